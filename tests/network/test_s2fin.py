"""The whole network, over all its variants."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from s2fin import S2Fin, S2FinConfig, StemMaps, afcm, hfrm, hfset

SMALL: dict[str, Any] = {"width": 16, "map_width": 8, "deep_width": 12, "state_size": 4}

VARIANTS: dict[str, dict[str, Any]] = {
    "default": {},
    "no-hfset": {"hfset": False},
    "no-afcm": {"afcm": False},
    "no-ssaf": {"ssaf": False},
    "no-hfrm": {"hfrm": False},
    "no-scan": {"scan": False},
    "plain": {"hfset": False, "afcm": False, "ssaf": False, "hfrm": False, "scan": False},
    "hard": {"frequency_mask": "hard"},
    "spatial": {"resonance": "spatial"},
    "dense-attention": {"topk": 1.0},
    "two-layers": {"depth": 2},
    "one-map-token": {"map_tokens": 1},
    "one-image": {"aux_from_image": True, "aux_channels": 3},
}


def config(**options: Any) -> S2FinConfig:
    return S2FinConfig(**{"in_channels": 20, "aux_channels": 2, "num_classes": 5, "patch_size": 7, **SMALL, **options})


def seeded(cfg: S2FinConfig, seed: int = 0) -> S2Fin:
    torch.manual_seed(seed)
    return S2Fin(cfg).eval()


def inputs(model: S2Fin, batch: int = 3, side: int | None = None) -> tuple[Tensor, Tensor | None]:
    cfg, side = model.cfg, side or model.input_size
    generator = torch.Generator().manual_seed(7)
    dtype = model.image_mean.dtype
    image = torch.randn(batch, cfg.in_channels, side, side, generator=generator).to(dtype)
    aux = torch.randn(batch, cfg.aux_channels, side, side, generator=generator).to(dtype)
    return image, None if cfg.aux_from_image else aux


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
    assert model.input_size == patch_size + 2 * model.halo
    assert_all_have_gradients(model)


@pytest.mark.parametrize("patch_size", [5, 7, 21])
@pytest.mark.parametrize("variant", VARIANTS)
def test_dense_evaluation_is_patchwise_evaluation(variant: str, patch_size: int) -> None:
    """Stem once over a tile, windows gathered from its maps: the function of the patches, pixel by pixel."""
    model = seeded(config(patch_size=patch_size, **VARIANTS[variant])).double()
    side, rows, columns = model.input_size, 3, 2
    image, aux = inputs(model, batch=1, side=side + 3)
    with torch.inference_mode():
        maps = model.stem(*model.standardize(image, aux))
        assert maps.image.shape[-2:] == (side + 3 - 2 * model.halo,) * 2
        half = patch_size // 2
        for i in range(rows):
            for j in range(columns):
                rowspan, colspan = slice(i, i + patch_size), slice(j, j + patch_size)
                dense = model.classify_windows(
                    maps.tokens[:, :, :, i + half, j + half],
                    maps.image[:, :, rowspan, colspan],
                    maps.aux[:, :, rowspan, colspan],
                )
                patch = image[:, :, i : i + side, j : j + side]
                other = None if aux is None else aux[:, :, i : i + side, j : j + side]
                torch.testing.assert_close(dense, model(patch, other), rtol=0, atol=1e-11)


def test_stem_shapes_and_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    model = seeded(config())
    x, a = model.standardize(*inputs(model, batch=2, side=9))
    maps = model.stem(x, a)
    assert isinstance(maps, StemMaps)
    assert maps.tokens.shape == (2, 10, 16, 7, 7)
    assert maps.image.shape == maps.aux.shape == (2, 8, 7, 7)
    assert maps.image.is_contiguous(memory_format=torch.channels_last)
    monkeypatch.setattr("s2fin.network.TOKEN_CHUNK", 5)
    torch.testing.assert_close(model.stem(x, a).tokens, maps.tokens)


@pytest.mark.parametrize("variant", ["default", "spatial", "one-image"])
def test_a_result_does_not_depend_on_its_batch(variant: str) -> None:
    model = seeded(config(**VARIANTS[variant])).double()
    image, aux = inputs(model, batch=4)
    together = model(image, aux)
    image[1:] = 1e3 * torch.randn_like(image[1:])
    torch.testing.assert_close(model(image, aux)[0], together[0])
    torch.testing.assert_close(model(image[:1], None if aux is None else aux[:1])[0], together[0])


def test_memory_layout_of_windows_does_not_matter() -> None:
    model = seeded(config()).double()
    tokens = torch.randn(3, 10, 16).double()
    windows = torch.randn(2, 3, 8, 7, 7).double()
    last = [w.contiguous(memory_format=torch.channels_last) for w in windows]
    torch.testing.assert_close(model.classify_windows(tokens, *last), model.classify_windows(tokens, *windows))


# ---- values and statistics ---------------------------------------------------------------------------------------


def test_standardize_scales_and_fills() -> None:
    model = seeded(config(in_channels=2, aux_channels=1))
    model.set_statistics([10.0, 5.0], [2.0, 0.0], torch.tensor([1.0]), torch.tensor([4.0]))
    image = torch.tensor([14.0, 6.0]).view(1, 2, 1, 1).expand(1, 2, 3, 4).clone()
    image[0, :, 1, 1] = float("nan")
    x, a = model.standardize(image, torch.full((1, 1, 3, 4), float("nan")))
    assert x[0, :, 0, 0].tolist() == [2.0, 1.0]  # a deviation of 0 counts as 1
    assert x[0, :, 1, 1].tolist() == [0.0, 0.0]
    assert a.shape == (1, 1, 3, 4)
    assert (a == 0).all()


def test_missing_values_give_finite_logits_and_gradients() -> None:
    model = seeded(config())
    image, aux = inputs(model)
    assert aux is not None
    image[0], aux[0] = float("nan"), float("nan")
    image[1, :, :3], aux[2, 0, 4:] = float("nan"), float("inf")
    logits = model(image, aux)
    torch.autograd.backward(logits.sum())
    assert logits.isfinite().all()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_missing_value_is_the_mean() -> None:
    model = seeded(config())
    mean = torch.arange(20.0)
    model.set_statistics(mean, torch.ones(20), [3.0, 4.0], [1.0, 1.0])
    image, aux = inputs(model)
    filled = image.clone()
    image[:, :, 2, 2] = float("nan")
    filled[:, :, 2, 2] = mean
    torch.testing.assert_close(model(image, aux), model(filled, aux))


@pytest.mark.parametrize(
    ("statistics", "message"),
    [
        (([0.0], [1.0, 1.0], [0.0], [1.0]), "image_mean must have shape"),
        (([0.0, 0.0], [1.0, -1.0], [0.0], [1.0]), "image_std must be finite"),
        (([0.0, 0.0], [1.0, 1.0], [float("nan")], [1.0]), "aux_mean must be finite"),
        (([0.0, 0.0], [1.0, 1.0]), "need aux_mean"),
    ],
)
def test_refuses_wrong_statistics(statistics: tuple[list[float], ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        seeded(config(in_channels=2, aux_channels=1)).set_statistics(*statistics)


def test_statistics_travel_with_the_weights() -> None:
    model, other = seeded(config(), seed=1), seeded(config(), seed=2)
    model.set_statistics([1.0] * 20, [2.0] * 20, [3.0] * 2, [4.0] * 2)
    other.load_state_dict(model.state_dict())
    torch.testing.assert_close(other(*inputs(model)), model(*inputs(model)), rtol=0, atol=0)
    assert all(value.is_floating_point() for value in model.state_dict().values())


def test_second_image_is_projected_from_the_first() -> None:
    model = seeded(config(in_channels=4, aux_channels=2, aux_from_image=True))
    projection = torch.randn(2, 4)
    model.set_statistics([1.0] * 4, [2.0] * 4, aux_projection=projection)
    image, _ = inputs(model)
    _, a = model.standardize(image)
    torch.testing.assert_close(a, torch.einsum("kc,bchw->bkhw", projection, (image - 1) / 2))
    assert model(image).shape == (3, 5)
    with pytest.raises(ValueError, match="aux must be None"):
        model(image, a)


def test_refuses_inputs_that_do_not_fit() -> None:
    model = seeded(config())
    image, aux = inputs(model)
    with pytest.raises(ValueError, match=r"image must be \(B, 20, H, W\), got \(3, 19, 9, 9\)"):
        model(image[:, 1:], aux)
    with pytest.raises(ValueError, match="9 x 9 pixels, got 8 x 9"):
        model(image[:, :, 1:], aux)
    with pytest.raises(ValueError, match="needs a second image"):
        model(image)


# ---- size, seeds and number formats ------------------------------------------------------------------------------


@pytest.mark.parametrize("in_channels", [12, 144])
def test_parameter_budget(in_channels: int) -> None:
    model = S2Fin(S2FinConfig(in_channels=in_channels, aux_channels=1, num_classes=15))
    count = sum(parameter.numel() for parameter in model.parameters())
    low = 500_000 if in_channels == 144 else 350_000
    assert low <= count <= 800_000


def test_same_seed_gives_the_same_weights() -> None:
    one, two, three = (seeded(config(), seed=seed).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert any(not torch.equal(one[name], three[name]) for name in one)


def test_parts_that_are_off_have_no_weights() -> None:
    names = dict(seeded(config(**VARIANTS["plain"])).named_parameters())
    assert not [name for name in names if any(part in name for part in ("hfset", "afcm", "ssaf", "hfrm", "scan"))]


def test_every_switch_changes_the_result() -> None:
    full = seeded(config())
    image, aux = inputs(full)
    reference = full(image, aux)
    for switch in ("hfset", "afcm", "ssaf", "hfrm", "scan"):
        other = S2Fin(S2FinConfig.from_dict({**full.cfg.to_dict(), switch: False})).eval()
        weights = other.state_dict().keys()
        other.load_state_dict({name: value for name, value in full.state_dict().items() if name in weights})
        assert (other(image, aux) - reference).abs().max() > 1e-4, switch


@pytest.mark.parametrize("variant", ["default", "spatial", "hard"])
def test_autocast_keeps_frequencies_in_float32(variant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[torch.dtype] = []

    def watch(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def watched(signal: Tensor, shape: tuple[int, ...]) -> Tensor:
            result = function(signal, shape)
            seen.extend([signal.dtype, result.dtype])
            return result

        return watched

    for module in (afcm, hfrm, hfset):
        monkeypatch.setattr(module, "rdft", watch(module.rdft))
        monkeypatch.setattr(module, "irdft", watch(module.irdft))
    model = seeded(config(**VARIANTS[variant]))
    exact = model(*inputs(model))
    seen.clear()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = model(*inputs(model))
    assert set(seen) == {torch.float32}
    assert logits.isfinite().all()
    torch.testing.assert_close(logits.float(), exact, rtol=0.05, atol=0.05)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("variant", VARIANTS)
def test_cuda_gives_what_the_cpu_gives(variant: str) -> None:
    model = seeded(config(**VARIANTS[variant])).double()
    image, aux = inputs(model)
    expected = model(image, aux)
    on_gpu = model.cuda()(image.cuda(), None if aux is None else aux.cuda())
    torch.testing.assert_close(on_gpu.cpu(), expected, rtol=0, atol=1e-9)
