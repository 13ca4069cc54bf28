"""The whole network, over all its variants."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from s2fin import S2Fin, S2FinConfig, StemMaps, hfrm, hfset

SMALL: dict[str, Any] = {
    "width": 16, "map_width": 8, "deep_width": 12, "state_size": 4, "context_size": 7, "context_width": 24,
}  # fmt: skip

ALL_OF_AFCM = [f"{layer}.{part}" for layer in ("fuse.0", "fuse.2", "classify") for part in ("weight", "bias")]

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
    "one-component": {"components": 1},
    "narrow-context": {"context_size": 3},
    "wide-context": {"context_size": 31},
    "one-image": {"aux_from_image": True, "aux_channels": 3, "components": 3},
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


def parameters(model: S2Fin) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


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


# ---- patches and tiles -------------------------------------------------------------------------------------------


def cut(image: Tensor, aux: Tensor | None, top: int, left: int, side: int) -> tuple[Tensor, Tensor | None]:
    """A square of both images."""
    square = (..., slice(top, top + side), slice(left, left + side))
    return image[square], None if aux is None else aux[square]


def tile_of(model: S2Fin, rows: int, cols: int) -> tuple[Tensor, Tensor | None]:
    """A tile (1, C, H, W) of so many pixels, with the margin that its windows need."""
    side = max(rows, cols) + model.input_size - 1
    image, aux = inputs(model, batch=1, side=side)
    height, width = rows + model.input_size - 1, cols + model.input_size - 1
    return image[..., :height, :width], None if aux is None else aux[..., :height, :width]


def stem_of(model: S2Fin, x: Tensor, a: Tensor, *, border: int = 0, stride: int = 1) -> StemMaps:
    """The stem over standardised images (B, C, H, W) with their margin."""
    return model.stem(model.near(x), model.near(a), model.context(x, a), border=border, stride=stride)


def by_tile(model: S2Fin, image: Tensor, aux: Tensor | None, *, stride: int) -> Tensor:
    """Logits (rows, cols, stride^2, classes) of a tile's windows, gathered as the engine does."""
    maps = stem_of(model, *model.standardize(image, aux), border=model.cfg.patch_size // 2, stride=stride)
    rows, cols = ((side - model.input_size + 1) // stride for side in image.shape[-2:])
    logits = []
    for i in range(rows):
        for j in range(cols):
            top, left = i * stride + stride // 2, j * stride + stride // 2
            square = (..., slice(top, top + model.cfg.patch_size), slice(left, left + model.cfg.patch_size))
            windows = maps.image[square], maps.aux[square], maps.logits[square]
            logits.append(model.classify_windows(maps.tokens[..., i, j], *windows, model.block(stride))[0])
    return torch.stack(logits).view(rows, cols, stride**2, -1)


@pytest.mark.parametrize("patch_size", [5, 7, 21])
@pytest.mark.parametrize("variant", VARIANTS)
def test_dense_evaluation_is_patchwise_evaluation(variant: str, patch_size: int) -> None:
    """Stem once over a tile, windows gathered from its maps: the function of the patches, pixel by pixel."""
    model = seeded(config(patch_size=patch_size, **VARIANTS[variant])).double()
    image, aux = tile_of(model, 3, 2)
    with torch.inference_mode():
        dense = by_tile(model, image, aux, stride=1)
        for i in range(3):
            for j in range(2):
                logits = model(*cut(image, aux, i, j, model.input_size))
                torch.testing.assert_close(dense[i, j], logits, rtol=0, atol=1e-11)


@pytest.mark.parametrize("variant", ["default", "one-image"])
@pytest.mark.parametrize("context_size", [7, 31])
@pytest.mark.parametrize("patch_size", [7, 11])
@pytest.mark.parametrize("stride", [1, 3, 5])
def test_windows_of_a_tile_are_those_of_patches(stride: int, patch_size: int, context_size: int, variant: str) -> None:
    """A window's block, at any stride, is that of the patch around its centre; and the centre is what `forward` is."""
    model = seeded(config(patch_size=patch_size, context_size=context_size, **VARIANTS[variant])).double()
    image, aux = tile_of(model, 2 * stride, 3 * stride)
    with torch.inference_mode():
        dense = by_tile(model, image, aux, stride=stride)
        assert dense.shape == (2, 3, stride**2, 5)
        for i in range(2):
            for j in range(3):
                patch = cut(image, aux, i * stride + stride // 2, j * stride + stride // 2, model.input_size)
                x, a = model.standardize(*patch)
                block = model.classify_parts(model.near(x), model.near(a), model.context(x, a), model.block(stride))
                torch.testing.assert_close(dense[i, j], block[0], rtol=0, atol=1e-11)
                torch.testing.assert_close(dense[i, j, stride**2 // 2], model(*patch)[0], rtol=0, atol=1e-11)


@pytest.mark.parametrize("variant", ["default", "one-image"])
def test_the_context_is_of_the_components_and_of_the_second_image(variant: str) -> None:
    model = seeded(config(**VARIANTS[variant])).double()
    bands = model.cfg.components, model.cfg.in_channels
    scaling = ([1.0] * 20, [2.0] * 20) if variant == "one-image" else ([1.0] * 20, [2.0] * 20, [3.0] * 2, [4.0] * 2)
    model.set_statistics(*scaling, components=torch.randn(bands))
    x, a = model.standardize(*tile_of(model, 2, 3))
    told = x[:, 20:] if variant == "one-image" else torch.cat([x[:, 20:], a], dim=1)
    context = model.context(x, a)
    assert context.shape == (1, 8, 9, 4 * told.shape[1]), "two scales, means and deviations"
    for i, j in ((0, 0), (7, 8), (3, 5)):
        squares = [told[0, :, i + d : i + 7 - d, j + d : j + 7 - d].flatten(1) for d in (2, 0)]
        statistics = [(values.mean(1), torch.sqrt(values.var(1, correction=0) + 1e-4)) for values in squares]
        expected = torch.cat([part for pair in statistics for part in pair])
        torch.testing.assert_close(context[0, i, j], expected, rtol=0, atol=1e-11)


@pytest.mark.parametrize("variant", ["default", "one-image"])
def test_a_pixels_own_values_are_the_bands_the_components_and_the_second_image(variant: str) -> None:
    model = seeded(config(**VARIANTS[variant])).double()
    image, aux = tile_of(model, 2, 3)
    x, a = model.standardize(image, aux)
    values = model.values(model.near(x), model.near(a))[..., 1:-1, 1:-1].permute(0, 2, 3, 1)
    bands = x if variant == "one-image" else torch.cat([x, a], dim=1)
    assert values.shape == (1, 8, 9, 23 if variant == "one-image" else 20 + 12 + 2)
    assert values.shape[:3] == model.context(x, a).shape[:3], "of the pixels that there is a context of"
    assert torch.equal(values, bands[..., 3:-3, 3:-3].permute(0, 2, 3, 1))


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
def test_what_lies_farther_than_the_stem_looks_counts_and_what_lies_beyond_the_patch_does_not(
    context_size: int, stride: int
) -> None:
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


def test_stem_shapes_and_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    model = seeded(config())
    x, a = model.standardize(*inputs(model, batch=2))
    maps = stem_of(model, x, a)
    assert isinstance(maps, StemMaps)
    assert maps.tokens.shape == (2, 10, 16, 7, 7)
    assert maps.image.shape == maps.aux.shape == (2, 8, 7, 7)
    assert maps.logits.shape == (2, 5, 7, 7)
    assert all(part.is_contiguous(memory_format=torch.channels_last) for part in maps[1:])
    monkeypatch.setattr("s2fin.network.TOKEN_CHUNK", 5)
    torch.testing.assert_close(stem_of(model, x, a).tokens, maps.tokens)


@pytest.mark.parametrize("variant", ["default", "no-afcm", "no-hfset", "one-image"])
def test_tokens_are_those_of_their_3_x_3_pixels(variant: str) -> None:
    model = seeded(config(**VARIANTS[variant])).double()
    x, a = model.standardize(*inputs(model, batch=2, side=model.input_size - 1))
    stem = stem_of(model, x, a)
    assert stem.image.shape == (2, 8, 6, 6)
    tokens = model.tokens(model.near(x)[:, :, 3:6, 4:7])
    assert tokens.shape == (2, 1, 1, model.cfg.num_tokens, 16)
    torch.testing.assert_close(tokens[:, 0, 0], stem.tokens[..., 3, 4], rtol=0, atol=1e-11)
    inner = stem_of(model, x, a, border=2)
    torch.testing.assert_close(inner.tokens, stem.tokens[..., 2:-2, 2:-2], rtol=0, atol=1e-11)
    for one, two in zip(inner[1:], stem[1:], strict=True):
        torch.testing.assert_close(one, two, rtol=0, atol=0)


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
    windows = [torch.randn(3, channels, 7, 7).double() for channels in (8, 8, 5)]
    last = [w.contiguous(memory_format=torch.channels_last) for w in windows]
    ours, plain = (
        model.classify_windows(tokens, image, aux, logits, model.block(3)) for image, aux, logits in (last, windows)
    )
    torch.testing.assert_close(ours, plain)


# ---- pixels of a window ------------------------------------------------------------------------------------------


def windows_of(model: S2Fin, batch: int = 4) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    cfg, generator = model.cfg, torch.Generator().manual_seed(3)
    square = cfg.patch_size, cfg.patch_size
    shapes = (cfg.num_tokens, cfg.width), (cfg.map_width, *square), (cfg.map_width, *square), (cfg.num_classes, *square)
    tokens, image, aux, logits = (torch.randn(batch, *shape, generator=generator).double() for shape in shapes)
    return tokens, image, aux, logits


@pytest.mark.parametrize(("patch_size", "size"), [(5, 1), (5, 5), (7, 3), (11, 5)])
def test_the_block_is_in_the_middle_of_the_window(patch_size: int, size: int) -> None:
    inside = torch.zeros(patch_size, patch_size, dtype=torch.bool)
    border = (patch_size - size) // 2
    inside[border : patch_size - border, border : patch_size - border] = True
    assert torch.equal(seeded(config(patch_size=patch_size)).block(size), inside.flatten().nonzero()[:, 0])


def test_pixels_may_be_the_same_of_all_windows_or_each_windows_own() -> None:
    model = seeded(config()).double()
    windows = windows_of(model)
    block = model.classify_windows(*windows, model.block(5))
    assert block.shape == (4, 25, 5)
    own = torch.tensor([[0, 24], [12, 7], [3, 3], [20, 12]])
    picked = model.classify_windows(*windows, model.block(5)[own])
    torch.testing.assert_close(picked, block[torch.arange(4)[:, None], own])
    torch.testing.assert_close(model.classify_windows(*windows, model.block(1))[:, 0], block[:, 12])


def test_what_the_stem_says_of_a_pixel_is_added_to_what_its_window_says() -> None:
    model = seeded(config()).double()
    tokens, image, aux, logits = windows_of(model)
    without = model.classify_windows(tokens, image, aux, torch.zeros_like(logits), model.block(3))
    added = logits[:, :, 2:5, 2:5].permute(0, 2, 3, 1).reshape(4, 9, 5)
    together = model.classify_windows(tokens, image, aux, logits, model.block(3))
    torch.testing.assert_close(together, without + added, rtol=0, atol=1e-12)
    own = torch.tensor([[0, 48], [24, 7], [3, 3], [41, 30]])
    without = model.classify_windows(tokens, image, aux, torch.zeros_like(logits), own)
    together = model.classify_windows(tokens, image, aux, logits, own)
    for window, pixels in enumerate(own.tolist()):
        for number, pixel in enumerate(pixels):
            expected = without[window, number] + logits[window, :, pixel // 7, pixel % 7]
            torch.testing.assert_close(together[window, number], expected, rtol=0, atol=1e-12)


def test_pixels_of_a_window_differ_by_what_their_fine_maps_hold() -> None:
    model = seeded(config()).double()
    tokens, image, aux, _ = windows_of(model)
    maps = model.stages(tokens, image.flatten(2).mT, aux.flatten(2).mT)
    logits = model.head(maps, model.block(7))
    assert (logits - logits[:, :1]).abs().amax(dim=(1, 2)).min() > 1e-4
    changed = maps.fine[0].clone()
    changed[:, 30] += 1
    others = model.head(maps._replace(fine=(changed, maps.fine[1])), model.block(7))
    assert [int(i) for i in (others - logits).abs().amax(dim=(0, 2)).nonzero()] == [30]
    elsewhere = model.head(maps._replace(tokens=maps.tokens + torch.randn_like(maps.tokens)), model.block(7))
    assert (elsewhere - logits).abs().amax(dim=2).min() > 1e-6, "what the window is counts for all of them"


@pytest.mark.parametrize("stride", [1, 3, 5])
def test_with_a_stride_the_centres_of_blocks_have_tokens(stride: int) -> None:
    model = seeded(config()).double()
    x, a = model.standardize(*inputs(model, batch=1, side=15 + model.input_size - 1))
    every, some = stem_of(model, x, a, border=3), stem_of(model, x, a, border=3, stride=stride)
    first = stride // 2
    assert some.tokens.shape[-2:] == (15 // stride,) * 2
    torch.testing.assert_close(some.tokens, every.tokens[..., first::stride, first::stride], rtol=0, atol=1e-11)
    assert torch.equal(some.image, every.image)


# ---- logits, and those of the context alone --------------------------------------------------------------------------


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


def told_of(model: S2Fin, image: Tensor, aux: Tensor | None) -> tuple[Tensor, Tensor]:
    """The values and the context of the pixels of patches' windows."""
    x, a = model.standardize(image, aux)
    values = model.values(model.near(x), model.near(a))[..., 1:-1, 1:-1]
    return values.permute(0, 2, 3, 1), model.context(x, a)


def scaled_by_own(model: S2Fin) -> S2Fin:
    """A network whose AFCM has the statistics of patches, which are far from 0 and 1 then."""
    values, context = (part.flatten(0, 2) for part in told_of(model, *inputs(model)))
    model.set_context_statistics(values * 3 + 1, context * 0.5)
    return model


@pytest.mark.parametrize("variant", ["default", "one-image", "narrow-context", "wide-context"])
def test_without_what_the_windows_say_the_context_decides(variant: str) -> None:
    model = scaled_by_own(seeded(config(**VARIANTS[variant])).double())
    given = inputs(model)
    values, context = told_of(model, *given)
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
def test_afcm_scales_by_the_statistics_of_the_pixels_that_are_given(variant: str) -> None:
    model = seeded(config(**VARIANTS[variant])).double()
    values, context = (part.flatten(0, 2) for part in told_of(model, *inputs(model)))
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


def test_the_context_alone_is_told_by_the_parameters_that_are_named_for_it() -> None:
    model = seeded(config()).double()
    logits = model.classify_context(*told_of(model, *inputs(model)))
    torch.autograd.backward(logits.square().sum())
    reached = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
    named = {id(parameter) for parameter in model.context_parameters()}
    assert reached == {name for name, parameter in model.named_parameters() if id(parameter) in named}
    assert reached == {f"map_stem.afcm.{name}" for name in ALL_OF_AFCM}


def test_without_afcm_the_context_alone_tells_nothing() -> None:
    model = seeded(config(afcm=False))
    assert not list(model.context_parameters())
    image, aux = inputs(model)
    told = told_of(model, image, aux)
    with pytest.raises(ValueError, match="without AFCM"):
        model.classify_context(*told)
    model.set_context_statistics(*told)  # does nothing
    x, a = model.standardize(image, aux)
    maps = stem_of(model, x, a)
    assert maps.logits.shape == (3, 5, 7, 7)
    assert (maps.logits == 0).all()
    # so all that a pixel's logits come from is the head
    for parameter in model.head.classify.parameters():
        torch.nn.init.zeros_(parameter)
    assert (model(image, aux) == 0).all()


# ---- values and statistics ---------------------------------------------------------------------------------------


def test_standardize_scales_and_fills() -> None:
    model = seeded(config(in_channels=2, aux_channels=1, components=2))
    model.set_statistics([10.0, 5.0], [2.0, 0.0], torch.tensor([1.0]), torch.tensor([4.0]))
    image = torch.tensor([14.0, 6.0]).view(1, 2, 1, 1).expand(1, 2, 3, 4).clone()
    image[0, :, 1, 1] = float("nan")
    x, a = model.standardize(image, torch.full((1, 1, 3, 4), float("nan")))
    # a deviation of 0 counts as 1; components are the bands themselves until others are set
    assert x[0, :, 0, 0].tolist() == [2.0, 1.0, 2.0, 1.0]
    assert x[0, :, 1, 1].tolist() == [0.0, 0.0, 0.0, 0.0]
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
    centre = model.input_size // 2
    # the context, what is classified, its window
    for row, col in ((0, 1), (2, 5), (centre, centre), (centre, centre + 2)):
        image[:, :, row, col] = float("nan")
        filled[:, :, row, col] = mean
    torch.testing.assert_close(model(image, aux), model(filled, aux))


@pytest.mark.parametrize(
    ("statistics", "message"),
    [
        (([0.0], [1.0, 1.0], [0.0], [1.0]), "image_mean must have shape"),
        (([0.0, 0.0], [1.0, -1.0], [0.0], [1.0]), "image_std must be finite"),
        (([0.0, 0.0], [1.0, 1.0], [float("nan")], [1.0]), "aux_mean must be finite"),
        (([0.0, 0.0], [1.0, 1.0]), "need aux_mean"),
        (([0.0, 0.0], [1.0, 1.0], [0.0]), "need aux_mean and aux_std"),
    ],
)
def test_refuses_wrong_statistics(statistics: tuple[list[float], ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        seeded(config(in_channels=2, aux_channels=1)).set_statistics(*statistics)


@pytest.mark.parametrize(
    ("components", "message"),
    [
        ([[1.0, 0.0]] * 2, r"components must have shape \(3, 2\), got \(2, 2\)"),
        ([[1.0, 0.0, 0.0]] * 3, r"components must have shape \(3, 2\), got \(3, 3\)"),
        ([[1.0, float("inf")]] * 3, "components must be finite"),
    ],
)
def test_refuses_wrong_components(components: list[list[float]], message: str) -> None:
    model = seeded(config(in_channels=2, aux_channels=1, components=3))
    with pytest.raises(ValueError, match=message):
        model.set_statistics([0.0] * 2, [1.0] * 2, [0.0], [1.0], components=components)


def test_statistics_travel_with_the_weights() -> None:
    model, other = seeded(config(), seed=1), seeded(config(), seed=2)
    components = torch.randn(12, 20)
    model.set_statistics([1.0] * 20, [2.0] * 20, [3.0] * 2, [4.0] * 2, components=components)
    other.load_state_dict(model.state_dict())
    assert torch.equal(other.components, components)
    torch.testing.assert_close(other(*inputs(model)), model(*inputs(model)), rtol=0, atol=0)
    assert all(value.is_floating_point() for value in model.state_dict().values())


def test_components_are_projected_from_the_standardised_bands() -> None:
    model = seeded(config(in_channels=4, components=3)).double()
    projection = torch.randn(3, 4).double()
    model.set_statistics([1.0] * 4, [2.0] * 4, [0.0] * 2, [1.0] * 2, components=projection)
    image, aux = inputs(model)
    image[0, :, 2, 3] = float("nan")
    image[1, 2, 5] = float("nan")  # a band that is missing counts as its mean, and leaves the others' share
    image[2, 0, 0, 0] = 1e30  # an undeclared nodata value
    x, a = model.standardize(image, aux)
    bands = torch.where(image.abs() < 1e6, (image - 1) / 2, 0.0)
    torch.testing.assert_close(x[:, :4], bands, rtol=0, atol=1e-12)
    torch.testing.assert_close(x[:, 4:], torch.einsum("kc,bchw->bkhw", projection, bands), rtol=0, atol=1e-12)
    assert (x[0, :, 2, 3] == 0).all()
    torch.testing.assert_close(a, aux)
    # what is set stays until other components are given
    model.set_statistics([0.0] * 4, [1.0] * 4, [0.0] * 2, [1.0] * 2)
    assert torch.equal(model.components, projection)


def test_components_reach_the_map_and_not_the_tokens() -> None:
    model = seeded(config(afcm=False)).double()  # which lets the images know of each other
    statistics = [0.0] * 20, [1.0] * 20, [0.0] * 2, [1.0] * 2
    before = stem_of(model, *model.standardize(*inputs(model)))
    model.set_statistics(*statistics, components=torch.randn(12, 20))
    after = stem_of(model, *model.standardize(*inputs(model)))
    assert torch.equal(after.tokens, before.tokens)
    assert torch.equal(after.aux, before.aux)
    assert (after.image - before.image).abs().max() > 1e-2


def test_components_of_one_image_serve_as_the_second() -> None:
    model = seeded(config(in_channels=4, aux_channels=2, components=2, aux_from_image=True))
    projection = torch.randn(2, 4)
    model.set_statistics([1.0] * 4, [2.0] * 4, components=projection)
    image, _ = inputs(model)
    image[0, :, 2, 3] = float("nan")
    x, a = model.standardize(image)
    assert torch.equal(a, x[:, 4:])
    expected = torch.einsum("kc,bchw->bkhw", projection, ((image - 1) / 2).nan_to_num(0.0))
    torch.testing.assert_close(a, expected)
    assert model(image).shape == (3, 5)
    with pytest.raises(ValueError, match="aux must be None"):
        model(image, a)
    with pytest.raises(ValueError, match="one image needs neither"):
        model.set_statistics([1.0] * 4, [2.0] * 4, [0.0] * 2, [1.0] * 2)


def test_refuses_inputs_that_do_not_fit() -> None:
    model = seeded(config())
    image, aux = inputs(model)
    with pytest.raises(ValueError, match=r"image must be \(B, 20, H, W\), got \(3, 19, 13, 13\)"):
        model(image[:, 1:], aux)
    with pytest.raises(ValueError, match="13 x 13 pixels, got 12 x 13"):
        model(image[:, :, 1:], aux)
    with pytest.raises(ValueError, match="needs a second image"):
        model(image)


# ---- size, seeds and number formats ------------------------------------------------------------------------------


@pytest.mark.parametrize("in_channels", [12, 144])
def test_parameter_budget(in_channels: int) -> None:
    model = S2Fin(S2FinConfig(in_channels=in_channels, aux_channels=1, num_classes=15))
    count = parameters(model)
    low = 500_000 if in_channels == 144 else 350_000
    assert low <= count <= 800_000


def test_same_seed_gives_the_same_weights() -> None:
    one, two, three = (seeded(config(), seed=seed).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert any(not torch.equal(one[name], three[name]) for name in one)


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

    for module in (hfrm, hfset):
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


def test_autocast_keeps_the_components() -> None:
    model = seeded(config())
    # the difference of two bands that are almost the same
    components = torch.eye(12, 20) - torch.eye(12, 20).roll(1, dims=1)
    model.set_statistics([0.0] * 20, [1.0] * 20, [0.0] * 2, [1.0] * 2, components=components)
    image, aux = inputs(model)
    image = 100 + 0.01 * image
    exact, _ = model.standardize(image, aux)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        x, _ = model.standardize(image, aux)
    assert torch.equal(x, exact)


def test_autocast_keeps_what_the_context_is_told_by() -> None:
    """Values of one place differ little from each other, and far from the scene's mean."""
    model = seeded(config())
    image, aux = inputs(model)
    assert aux is not None
    image, aux = 4 + 0.01 * image, 4 + 0.01 * aux
    exact = model.context(*model.standardize(image, aux))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        context = model.context(*model.standardize(image, aux))
    assert context.dtype == torch.float32
    assert torch.equal(context, exact)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("variant", VARIANTS)
def test_cuda_gives_what_the_cpu_gives(variant: str) -> None:
    model = seeded(config(**VARIANTS[variant])).double()
    image, aux = inputs(model)
    expected = model(image, aux)
    on_gpu = model.cuda()(image.cuda(), None if aux is None else aux.cuda())
    torch.testing.assert_close(on_gpu.cpu(), expected, rtol=0, atol=1e-9)
