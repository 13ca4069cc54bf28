"""Scaling and shifting of logits, and AFCM's own logits."""

import pytest
import torch

from s2fin import S2Fin
from tests.network.small import VARIANTS, afcm_inputs, by_tile, config, inputs, seeded, stem_of, tile_of

ALL_OF_AFCM = [f"{layer}.{part}" for layer in ("fuse.0", "fuse.2", "classify") for part in ("weight", "bias")]


def with_statistics_of_patches(model: S2Fin) -> S2Fin:
    """A network whose AFCM has the statistics of patches, which are far from 0 and 1 then."""
    values, context = (part.flatten(0, 2) for part in afcm_inputs(model, *inputs(model)))
    model.set_context_statistics(values * 3 + 1, context * 0.5)
    return model


@pytest.mark.parametrize("variant", ["default", "no-afcm", "one-image", "plain"])
@pytest.mark.parametrize("factor", [0.5, 1 / 3, 4.0])
def test_logits_are_scaled_and_shifted_exactly(factor: float, variant: str) -> None:
    model = seeded(config(**VARIANTS[variant])).double()
    torch.nn.init.normal_(model.head.classify.bias)
    given = inputs(model)
    before = model(*given)
    model.scale_logits(factor)
    scaled = model(*given)
    torch.testing.assert_close(scaled, factor * before, rtol=0, atol=1e-13)
    offsets = torch.tensor([1.5, -2.0, 0.0, 1e-3, -torch.inf], dtype=torch.float64)
    model.shift_logits(offsets)
    shifted = model(*given)
    torch.testing.assert_close(shifted, scaled + offsets, rtol=0, atol=1e-13)
    assert all(parameter.requires_grad and parameter.is_leaf for parameter in model.parameters())


@pytest.mark.parametrize("variant", ["default", "no-afcm", "one-image", "plain"])
def test_a_network_with_some_of_the_classes_gives_their_logits(variant: str) -> None:
    model = seeded(config(**VARIANTS[variant])).double().eval()
    torch.nn.init.normal_(model.head.classify.bias)
    given, positions = inputs(model), [3, 0, 4]
    chosen = model.with_classes(positions)
    assert chosen.cfg.num_classes == 3
    assert not chosen.training
    torch.testing.assert_close(chosen(*given), model(*given)[:, positions], rtol=0, atol=1e-13)


@pytest.mark.parametrize("variant", ["default", "no-afcm"])
def test_logits_of_all_pixels_of_a_window_are_scaled_and_shifted(variant: str) -> None:
    model = seeded(config(**VARIANTS[variant])).double()
    image, aux = tile_of(model, 6, 6)
    before = by_tile(model, image, aux, stride=3)
    model.scale_logits(0.4)
    model.shift_logits(torch.arange(5.0))
    torch.testing.assert_close(
        by_tile(model, image, aux, stride=3), 0.4 * before + torch.arange(5.0), rtol=0, atol=1e-13
    )


@pytest.mark.parametrize("variant", ["default", "one-image", "narrow-context", "wide-context"])
def test_without_the_windows_logits_those_of_the_context_remain(variant: str) -> None:
    model = with_statistics_of_patches(seeded(config(**VARIANTS[variant])).double())
    given = inputs(model)
    values, context = afcm_inputs(model, *given)
    alone = model.classify_context(values, context)
    assert values.shape[:3] == context.shape[:3] == (3, 7, 7)
    assert alone.shape == (3, 7, 7, 5)
    assert alone.std(dim=(0, 1, 2)).min() > 1e-3, "pixels differ"
    flat = model.classify_context(values.flatten(0, 2), context.flatten(0, 2))
    torch.testing.assert_close(flat, alone.flatten(0, 2), rtol=0, atol=1e-13)
    assert (model(*given) - alone[:, 3, 3]).abs().max() > 1e-3
    for parameter in model.head.classify.parameters():
        torch.nn.init.zeros_(parameter)
    torch.testing.assert_close(model(*given), alone[:, 3, 3], rtol=0, atol=1e-13)
    x, a = model.standardize(*given)
    block = model.classify_parts(model.near(x), model.near(a), context, model.block(5))
    torch.testing.assert_close(block, alone[:, 1:6, 1:6].flatten(1, 2), rtol=0, atol=1e-13)


@pytest.mark.parametrize("variant", ["default", "one-image"])
def test_afcm_scales_by_the_statistics_of_the_given_pixels(variant: str) -> None:
    model = seeded(config(**VARIANTS[variant])).double()
    values, context = (part.flatten(0, 2) for part in afcm_inputs(model, *inputs(model)))
    values[:, 4] = 7.0
    before = model.classify_context(values, context)
    model.set_context_statistics(values, context)
    afcm, together = model.map_stem.afcm, torch.cat([values, context], dim=1)
    assert afcm is not None
    deviations = together.std(dim=0, correction=0)
    assert deviations[4] == 0
    deviations[4] = 1
    torch.testing.assert_close(afcm.mean, together.mean(dim=0), rtol=0, atol=1e-12)
    torch.testing.assert_close(afcm.std, deviations, rtol=0, atol=1e-12)
    assert (model.classify_context(values, context) - before).abs().max() > 1e-3


def test_statistics_of_afcm_change_nothing_else() -> None:
    model = seeded(config())
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.set_context_statistics(torch.randn(9, 34), torch.randn(9, 56))
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"map_stem.afcm.mean", "map_stem.afcm.std"}


def test_context_parameters_are_those_that_the_logits_of_the_context_depend_on() -> None:
    model = seeded(config()).double()
    logits = model.classify_context(*afcm_inputs(model, *inputs(model)))
    torch.autograd.backward(logits.square().sum())
    reached = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
    named = {id(parameter) for parameter in model.context_parameters()}
    assert reached == {name for name, parameter in model.named_parameters() if id(parameter) in named}
    assert reached == {f"map_stem.afcm.{name}" for name in ALL_OF_AFCM}


def test_without_afcm_the_context_gives_no_logits() -> None:
    model = seeded(config(afcm=False))
    assert not list(model.context_parameters())
    image, aux = inputs(model)
    given = afcm_inputs(model, image, aux)
    with pytest.raises(ValueError, match="without AFCM"):
        model.classify_context(*given)
    model.set_context_statistics(*given)  # does nothing
    x, a = model.standardize(image, aux)
    maps = stem_of(model, x, a)
    assert maps.logits.shape == (3, 5, 7, 7)
    assert (maps.logits == 0).all()
    # so all that a pixel's logits come from is the head
    for parameter in model.head.classify.parameters():
        torch.nn.init.zeros_(parameter)
    assert (model(image, aux) == 0).all()
