"""The head, and the pixels of a window that it classifies."""

import pytest
import torch
from torch import Tensor

from s2fin import S2Fin
from s2fin.head import CentredPooling
from tests.network.small import config, randn, seeded


def random_windows(model: S2Fin, batch: int = 4) -> tuple[Tensor, Tensor, Tensor, Tensor]:
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


def test_positions_are_shared_by_all_windows_or_each_windows_own() -> None:
    model = seeded(config()).double()
    windows = random_windows(model)
    block = model.classify_windows(*windows, model.block(5))
    assert block.shape == (4, 25, 5)
    own = torch.tensor([[0, 24], [12, 7], [3, 3], [20, 12]])
    picked = model.classify_windows(*windows, model.block(5)[own])
    torch.testing.assert_close(picked, block[torch.arange(4)[:, None], own])
    torch.testing.assert_close(model.classify_windows(*windows, model.block(1))[:, 0], block[:, 12])


def test_logits_of_the_stem_are_added_to_those_of_the_window() -> None:
    model = seeded(config()).double()
    tokens, image, aux, logits = random_windows(model)
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


def test_pixels_of_a_window_differ_by_their_fine_maps() -> None:
    model = seeded(config()).double()
    tokens, image, aux, _ = random_windows(model)
    maps = model.stages(tokens, image.flatten(2).mT, aux.flatten(2).mT)
    logits = model.head(maps, model.block(7))
    assert (logits - logits[:, :1]).abs().amax(dim=(1, 2)).min() > 1e-4
    changed = maps.fine[0].clone()
    changed[:, 30] += 1
    others = model.head(maps._replace(fine=(changed, maps.fine[1])), model.block(7))
    assert [int(i) for i in (others - logits).abs().amax(dim=(0, 2)).nonzero()] == [30]
    elsewhere = model.head(maps._replace(tokens=maps.tokens + torch.randn_like(maps.tokens)), model.block(7))
    assert (elsewhere - logits).abs().amax(dim=2).min() > 1e-6, "what the window is counts for all of them"


def test_centred_pooling_weighs_by_distance() -> None:
    pool = CentredPooling(5, 2).double()
    with torch.no_grad():
        pool.log_sigma.copy_(torch.tensor([0.05, 1e4]).log())
    maps = randn(1, 25, 3)
    torch.testing.assert_close(pool(maps), torch.stack([maps[:, 12], maps.mean(1)], dim=1), rtol=0, atol=1e-6)
