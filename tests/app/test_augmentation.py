from __future__ import annotations

import pytest
import torch

from s2fin_cli.learn import augmentation
from s2fin_cli.learn.augmentation import augment


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(batch: int = 64, size: int = 7) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(batch, 5, size, size, generator=generator(1)), torch.randn(
        batch, 1, size, size, generator=generator(2)
    )


@pytest.fixture
def space_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the values alone."""
    for name in ("GAIN", "OFFSET", "BAND_GAIN", "NOISE", "BAND_DROPOUT", "CONTEXT_DROPOUT"):
        monkeypatch.setattr(augmentation, name, 0.0)


def test_shapes_finiteness_and_untouched_input() -> None:
    given = images()
    before = [part.clone() for part in given]
    changed = augment(given, generator=generator())
    for part, old, new in zip(given, before, changed, strict=True):
        assert torch.equal(part, old)
        assert new.shape == old.shape
        assert new.dtype == old.dtype
        assert new.isfinite().all()
        assert not torch.equal(new, old)


def test_the_generator_decides() -> None:
    first, again = (augment(images(), generator=generator(3)) for _ in range(2))
    other = augment(images(), generator=generator(4))
    for a, b, c in zip(first, again, other, strict=True):
        assert torch.equal(a, b)
        assert not torch.equal(a, c)


@pytest.mark.usefixtures("space_only")
def test_both_images_turn_alike_and_each_patch_by_its_own() -> None:
    size = 5
    codes = torch.arange(size * size, dtype=torch.float32).view(1, 1, size, size)
    image, aux = codes.repeat(200, 3, 1, 1), codes.repeat(200, 1, 1, 1)
    turned, turned_aux = augment((image, aux), generator=generator())
    assert torch.equal(turned, turned_aux.expand_as(turned))
    assert (turned[:, :, 2, 2] == 12).all(), "the centre stays"
    symmetries = [torch.rot90(part, k, dims=(2, 3))[0, 0] for part in (codes, codes.flip(3)) for k in range(4)]
    found = [next(i for i, known in enumerate(symmetries) if torch.equal(patch[0], known)) for patch in turned]
    assert set(found) == set(range(8)), "all eight symmetries occur, and nothing else"


@pytest.mark.usefixtures("space_only")
def test_left_out_surroundings_keep_the_centre(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(augmentation, "CONTEXT_DROPOUT", 1.0)
    for part in augment((torch.ones(3, 2, 9, 9), torch.ones(3, 1, 9, 9)), generator=generator()):
        assert (part[:, :, 2:7, 2:7] == 1).all()
        assert part.sum() == part.shape[0] * part.shape[1] * 25


@pytest.mark.usefixtures("space_only")
def test_only_one_of_several_bands_is_ever_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(augmentation, "BAND_DROPOUT", 1.0)
    image, aux = augment((torch.ones(3, 2, 7, 7), torch.ones(3, 1, 7, 7)), generator=generator())
    assert (image == 0).all()
    assert (aux == 1).all(), "a single band is all there is"
