"""Scenes with synthetic heights: how informative these are, and that the scenes are read like any other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from made_heights import HEIGHTS, NOISE, write_scene
from scenes import SCENES, load, read_scene
from tests.files import write_raster

SIDE, CLASSES = 90, 6


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A scene of six classes in stripes, of which every third pixel has a label."""
    rows, cols = np.indices((SIDE, SIDE))
    classes = np.where((rows + cols) % 3 == 0, cols // 5 % CLASSES + 1, 0).astype(np.uint8)
    image = np.random.default_rng(0).normal(100, 1, (2, SIDE, SIDE)).astype(np.float32)
    for name, values in (("image.tif", image), ("labels.tif", classes[None])):
        write_raster(tmp_path / name, values)
    (tmp_path / "scene.toml").write_text('labels = "labels.tif"\nimages = {msi = "image.tif"}\n')
    return tmp_path


def test_a_height_narrows_a_class_down_without_determining_it(folder: Path) -> None:
    write_scene(read_scene(folder), folder / "made", seed=1)
    loaded = load(read_scene(folder / "made"))
    assert (loaded.image_bands, len(loaded.image)) == (2, 3), "the image, and the heights as the second one"
    assert len(loaded.labels) == SIDE**2 // 3
    heights = loaded.image[2]
    labelled = heights[loaded.labels.rows, loaded.labels.cols]
    of_class = [labelled[loaded.labels.class_ids == number] for number in range(1, CLASSES + 1)]
    levels = [round(float(values.mean())) for values in of_class]
    assert sorted(levels) == [0, 0, 1, 1, 2, 3], "all heights, as evenly as six classes can"
    assert [values.std() for values in of_class] == pytest.approx([NOISE] * CLASSES, rel=0.2)
    unlabelled = np.ones((SIDE, SIDE), dtype=bool)
    unlabelled[loaded.labels.rows, loaded.labels.cols] = False
    steps = np.rint(heights[unlabelled]).clip(0, HEIGHTS - 1).astype(int)
    shares = np.bincount(steps, minlength=HEIGHTS) / unlabelled.sum()
    assert shares == pytest.approx([0.25] * HEIGHTS, abs=0.03), "pixels without a label have all heights as well"


def test_the_seed_decides_which_class_has_which_height(folder: Path) -> None:
    scene, made = read_scene(folder), [folder / name for name in ("one", "same", "other")]
    for target, seed in zip(made, (0, 0, 3), strict=True):
        write_scene(scene, target, seed=seed)
    one, same, other = (load(read_scene(target)).image[2] for target in made)
    assert np.array_equal(one, same)
    assert not np.allclose(one, other, atol=1)


def test_a_scene_in_several_files_is_refused(tmp_path: Path) -> None:
    (scene,) = (scene for scene in SCENES if scene.bands)
    with pytest.raises(ValueError, match="several files"):
        write_scene(scene, tmp_path / "made")
    assert not (tmp_path / "made").exists()
