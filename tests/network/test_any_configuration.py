"""What holds for the whole set of configurations."""

import pytest
import torch

from s2fin import S2Fin, S2FinConfig
from s2fin.config import PARTS
from tests.network.small import VARIANTS, config, inputs, seeded, stem_of


def assert_all_have_gradients(model: S2Fin) -> None:
    model.zero_grad()
    logits = model(*inputs(model, batch=6))
    torch.autograd.backward(torch.nn.functional.cross_entropy(logits, torch.arange(6) % model.cfg.num_classes))
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_parameter_gets_a_gradient(variant: str) -> None:
    assert_all_have_gradients(seeded(config(**VARIANTS[variant])))


@pytest.mark.parametrize("aux_channels", [1, 3])
@pytest.mark.parametrize("in_channels", [1, 2, 3, 12, 17, 144, 426])
def test_any_number_of_bands(in_channels: int, aux_channels: int) -> None:
    model = seeded(config(in_channels=in_channels, aux_channels=aux_channels))
    logits = model(*inputs(model))
    assert logits.shape == (3, 5)
    assert logits.isfinite().all()
    assert_all_have_gradients(model)


@pytest.mark.parametrize("patch_size", [5, 11, 21])
def test_any_patch_size(patch_size: int) -> None:
    model = seeded(config(patch_size=patch_size))
    assert model.input_size == model.cfg.input_size == patch_size + 6
    assert_all_have_gradients(model)


def test_every_switch_changes_the_result() -> None:
    full = seeded(config())
    image, aux = inputs(full)
    reference = full(image, aux)
    for switch in PARTS:
        other = S2Fin(S2FinConfig.from_dict({**full.cfg.to_dict(), switch: False})).eval()
        weights = other.state_dict().keys()
        other.load_state_dict({name: value for name, value in full.state_dict().items() if name in weights})
        assert (other(image, aux) - reference).abs().max() > 1e-4, switch


def test_parts_that_are_off_have_no_weights() -> None:
    names = dict(seeded(config(**VARIANTS["plain"])).named_parameters())
    parts = ("hfset", "afcm", "map_stem.add", "ssaf", "hfrm", "scan")
    of_all = dict(seeded(config()).named_parameters())
    assert all(any(part in name for name in of_all) for part in parts)
    assert not [name for name in names if any(part in name for part in parts)]


def test_dropout_is_in_hfset_and_before_the_classifier_alone() -> None:
    model = seeded(config(dropout=0.5)).double()
    x, a = model.standardize(*inputs(model))
    exact, model = stem_of(model, x, a), model.train()
    noisy = stem_of(model, x, a)
    assert all(torch.equal(one, two) for one, two in zip(noisy[1:], exact[1:], strict=True))
    assert not torch.equal(noisy.tokens, exact.tokens)
    windows = noisy.image.flatten(2).mT, noisy.aux.flatten(2).mT
    once, twice = (model.stages(exact.tokens[..., 3, 3], *windows) for _ in range(2))
    assert all(
        torch.equal(one, two) for one, two in zip((*once[:3], *once.fine), (*twice[:3], *twice.fine), strict=True)
    )
    assert torch.equal(model.head.sources(once), model.head.sources(once))
    assert not torch.equal(model.head(once, model.block(3)), model.head(once, model.block(3)))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("variant", VARIANTS)
def test_cuda_gives_what_the_cpu_gives(variant: str) -> None:
    model = seeded(config(**VARIANTS[variant])).double()
    image, aux = inputs(model)
    expected = model(image, aux)
    on_gpu = model.cuda()(image.cuda(), None if aux is None else aux.cuda())
    torch.testing.assert_close(on_gpu.cpu(), expected, rtol=0, atol=1e-9)
