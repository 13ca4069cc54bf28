"""That a tile's windows give what patches give."""

import pytest
import torch

from tests.network.small import VARIANTS, by_tile, config, inputs, seeded, square_of, tile_of


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
                logits = model(*square_of(image, aux, i, j, model.input_size))
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
                patch = square_of(image, aux, i * stride + stride // 2, j * stride + stride // 2, model.input_size)
                x, a = model.standardize(*patch)
                block = model.classify_parts(model.near(x), model.near(a), model.context(x, a), model.block(stride))
                torch.testing.assert_close(dense[i, j], block[0], rtol=0, atol=1e-11)
                torch.testing.assert_close(dense[i, j, stride**2 // 2], model(*patch)[0], rtol=0, atol=1e-11)


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
