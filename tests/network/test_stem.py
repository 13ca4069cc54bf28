"""The stem: tokens, maps, and what AFCM takes."""

import math
from typing import Any

import pytest
import torch
from torch import nn

from s2fin import S2FinConfig, StemMaps
from s2fin.network import TOKEN_CHUNK
from s2fin.pointwise import Linear
from s2fin.stem import MapStem
from tests.network.small import VARIANTS, config, inputs, randn, seeded, shaken, stem_of, tile_of


def test_shapes_of_the_stem() -> None:
    model = seeded(config())
    maps = stem_of(model, *model.standardize(*inputs(model, batch=2)))
    assert isinstance(maps, StemMaps)
    assert maps.tokens.shape == (2, 10, 16, 7, 7)
    assert maps.image.shape == maps.aux.shape == (2, 8, 7, 7)
    assert maps.logits.shape == (2, 5, 7, 7)
    assert all(part.is_contiguous(memory_format=torch.channels_last) for part in maps[1:])


def test_tokens_that_are_refined_in_chunks_are_those_of_all_at_once() -> None:
    model = seeded(config()).double()
    side = math.isqrt(TOKEN_CHUNK) + 1
    x = randn(1, 20, side + 2, side + 2)
    expected = model.hfset(model.embedding(x).flatten(0, 2)).view(1, side, side, 10, 16)
    torch.testing.assert_close(model.tokens(x), expected, rtol=0, atol=1e-11)


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


@pytest.mark.parametrize("stride", [1, 3, 5])
def test_with_a_stride_the_centres_of_blocks_have_tokens(stride: int) -> None:
    model = seeded(config()).double()
    x, a = model.standardize(*inputs(model, batch=1, side=15 + model.input_size - 1))
    every, some = stem_of(model, x, a, border=3), stem_of(model, x, a, border=3, stride=stride)
    first = stride // 2
    assert some.tokens.shape[-2:] == (15 // stride,) * 2
    torch.testing.assert_close(some.tokens, every.tokens[..., first::stride, first::stride], rtol=0, atol=1e-11)
    assert torch.equal(some.image, every.image)


@pytest.mark.parametrize("variant", ["default", "one-image"])
def test_the_context_is_of_the_components_and_of_the_second_image(variant: str) -> None:
    model = seeded(config(**VARIANTS[variant])).double()
    bands = model.cfg.components, model.cfg.in_channels
    scaling = ([1.0] * 20, [2.0] * 20) if variant == "one-image" else ([1.0] * 20, [2.0] * 20, [3.0] * 2, [4.0] * 2)
    model.set_statistics(*scaling, components=torch.randn(bands))
    x, a = model.standardize(*tile_of(model, 2, 3))
    sources = x[:, 20:] if variant == "one-image" else torch.cat([x[:, 20:], a], dim=1)
    context = model.context(x, a)
    assert context.shape == (1, 8, 9, 4 * sources.shape[1]), "two scales, means and deviations"
    for i, j in ((0, 0), (7, 8), (3, 5)):
        squares = [sources[0, :, i + d : i + 7 - d, j + d : j + 7 - d].flatten(1) for d in (2, 0)]
        statistics = [(values.mean(1), torch.sqrt(values.var(1, correction=0) + 1e-4)) for values in squares]
        expected = torch.cat([part for pair in statistics for part in pair])
        torch.testing.assert_close(context[0, i, j], expected, rtol=0, atol=1e-11)


@pytest.mark.parametrize("variant", ["default", "one-image"])
def test_values_are_the_bands_the_components_and_the_second_image(variant: str) -> None:
    model = seeded(config(**VARIANTS[variant])).double()
    image, aux = tile_of(model, 2, 3)
    x, a = model.standardize(image, aux)
    values = model.values(model.near(x), model.near(a))[..., 1:-1, 1:-1].permute(0, 2, 3, 1)
    bands = x if variant == "one-image" else torch.cat([x, a], dim=1)
    assert values.shape == (1, 8, 9, 23 if variant == "one-image" else 20 + 12 + 2)
    assert values.shape[:3] == model.context(x, a).shape[:3], "of the pixels that there is a context of"
    assert torch.equal(values, bands[..., 3:-3, 3:-3].permute(0, 2, 3, 1))


@pytest.mark.parametrize("options", [{"context_size": 3}, {"context_size": 31}, {"afcm": False}])
def test_map_stem(options: dict[str, Any]) -> None:
    sizes = {"components": 1, "map_width": 4, "context_width": 6}
    cfg = S2FinConfig.from_dict({"in_channels": 3, "aux_channels": 2, "num_classes": 5, **sizes, **options})
    module = shaken(MapStem(cfg))
    assert isinstance(module, MapStem)
    images = [randn(2, channels, 4, 5) for channels in (4, 2)]
    context = randn(2, 2, 3, 2 * len(cfg.context_scales) * 3)
    values = torch.cat(images, dim=1)[..., 1:-1, 1:-1].permute(0, 2, 3, 1)
    if module.afcm is not None:
        module.afcm.set_statistics(2 * values.flatten(0, 2) + 1, context.flatten(0, 2) - 3)
    mixed = [mix(x.permute(0, 2, 3, 1)) for mix, x in zip(module.mix, images, strict=True)]
    *results, logits = module(*images, context)
    assert logits.shape == (2, 5, 2, 3)
    assert logits.is_contiguous(memory_format=torch.channels_last)
    if module.afcm is None:
        assert len(module.add) == 0
        assert (logits == 0).all()
    else:
        expected = module.afcm.classify(module.afcm(values, context)).permute(0, 3, 1, 2)
        torch.testing.assert_close(logits, expected, rtol=0, atol=1e-12)
    assert len(results) == 2
    for m, result in enumerate(results):
        assert result.shape == (2, 4, 2, 3)
        assert result.is_contiguous(memory_format=torch.channels_last)
        conv = module.conv[m]
        assert isinstance(conv, nn.Conv2d)
        assert conv.bias is not None
        for i in range(2):
            for j in range(3):
                near = mixed[m][:, i : i + 3, j : j + 3]
                features = module.narrow[m](torch.einsum("dcuv,buvc->bd", conv.weight, near) + conv.bias)
                if module.afcm is not None:
                    add = module.add[m]
                    assert isinstance(add, Linear)
                    assert add.weight.shape == (4, 6)
                    features = features + module.afcm(values, context)[:, i, j] @ add.weight.T + add.bias
                torch.testing.assert_close(result[:, :, i, j], module.norm[m](features))
