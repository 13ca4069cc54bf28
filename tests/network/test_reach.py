"""How far the network and its stem see."""

import pytest
import torch

from tests.network.small import VARIANTS, by_tile, config, inputs, seeded, stem_of, tile_of


@pytest.mark.parametrize("variant", ["default", "one-image"])
@pytest.mark.parametrize(("afcm", "context_size"), [(True, 3), (True, 7), (True, 31), (False, 31)])
def test_a_window_sees_as_far_as_its_patch_and_no_farther(*, afcm: bool, context_size: int, variant: str) -> None:
    """Of both images; without AFCM no farther than the stem's convolution."""
    model = seeded(config(**VARIANTS[variant], afcm=afcm, context_size=context_size)).double()
    image, aux = (None if part is None else part.requires_grad_() for part in tile_of(model, 5, 5))
    assert image is not None
    logits = by_tile(model, image, aux, stride=1)[2, 2]
    sources = [part for part in (image, aux) if part is not None]
    seen = torch.zeros(image.shape[-2:], dtype=torch.bool)
    centre, reach = model.input_size // 2 + 2, model.input_size // 2 if afcm else 7 // 2 + 1
    seen[centre - reach : centre + reach + 1, centre - reach : centre + reach + 1] = True
    for gradient in torch.autograd.grad((logits * torch.randn_like(logits)).sum(), sources):
        assert torch.equal(gradient.abs().sum(dim=(0, 1)) > 0, seen)


@pytest.mark.parametrize("stride", [1, 3])
@pytest.mark.parametrize("context_size", [7, 31])
def test_the_surroundings_beyond_the_near_part_count_up_to_the_patch(context_size: int, stride: int) -> None:
    model = seeded(config(context_size=context_size)).double()
    image, aux = tile_of(model, 5 * stride, 5 * stride)
    centre, reach = model.input_size // 2 + 2 * stride + stride // 2, model.input_size // 2
    assert reach == {7: 6, 31: 18}[context_size]
    near = model.cfg.near_size // 2
    assert near == 4
    with torch.inference_mode():
        before = by_tile(model, image, aux, stride=stride)[2, 2]
        for distance, is_seen in ((near + 1, True), (reach, True), (reach + 1, False)):
            for part in (image, aux):
                assert part is not None
                kept = part.clone()
                part[..., centre, centre + distance] += 9
                part[..., centre - distance, centre] -= 9
                after = by_tile(model, image, aux, stride=stride)[2, 2]
                part.copy_(kept)
                if is_seen:
                    assert (after - before).abs().max() > 1e-7
                else:
                    assert torch.equal(after, before)


@pytest.mark.parametrize(("afcm", "context_size"), [(False, 7), (True, 3), (True, 7), (True, 31)])
def test_the_stem_sees_the_context_and_no_further(*, afcm: bool, context_size: int) -> None:
    model = seeded(config(afcm=afcm, context_size=context_size)).double()
    image, aux = inputs(model, batch=1, side=context_size + 4)
    x, a = (part.requires_grad_() for part in model.standardize(image, aux))
    maps = stem_of(model, x, a)
    assert maps.image.shape[-2:] == (5, 5)
    centre, far = context_size // 2 + 2, context_size // 2
    features = [  # how far each looks
        (maps.tokens, 1, None),
        (maps.image, far if afcm else 1, far if afcm else None),
        (maps.aux, far if afcm else None, far if afcm else 1),
    ]
    if afcm:
        features.append((maps.logits, far, far))
    else:
        assert (maps.logits == 0).all()
    for feature, of_image, of_aux in features:
        weights = torch.randn_like(feature[..., 2, 2])  # a plain sum after LayerNorm would not depend on anything
        total = (feature[..., 2, 2] * weights).sum()
        for source, reach in ((x, of_image), (a, of_aux)):
            (gradient,) = torch.autograd.grad(total, source, retain_graph=True, materialize_grads=True)
            seen = torch.zeros(source.shape[-2:], dtype=torch.bool)
            if reach is not None:
                seen[(slice(centre - reach, centre + reach + 1),) * 2] = True
            assert torch.equal(gradient.abs().sum(dim=(0, 1)) > 0, seen)
