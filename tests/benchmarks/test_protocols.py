from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols import BLOCK_SIDE, BUFFER, draw
from s2fin_cli.core.classes import make_classes
from s2fin_cli.core.options import InputOptions
from s2fin_cli.labels.pixels import LabelledPixels
from s2fin_cli.stack.assembly import build_stack
from scenes import SCENES, LoadedScene, Scene, load
from tests.files import write_raster

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


SHAPE = (110, 90)  # no whole number of blocks
SEEDS = st.integers(0, 2**32 - 1)
COUNTS = st.integers(1, 40)


@pytest.fixture(scope="module")
def made_scene(tmp_path_factory: pytest.TempPathFactory) -> LoadedScene:
    """Stripes of three classes with gaps between, and a rare fourth class."""
    path = write_raster(tmp_path_factory.mktemp("scene") / "msi.tif", np.ones((2, *SHAPE), np.float32))
    rows, cols = np.nonzero(np.random.default_rng(3).random(SHAPE) < 0.4)
    ids = 1 + rows // 7 % 3
    ids[np.random.default_rng(4).choice(len(ids), 9, replace=False)] = 40
    names = {int(class_id): str(class_id) for class_id in np.unique(ids)}
    labels = LabelledPixels(rows, cols, ids, np.zeros_like(rows), make_classes(names), "raster")
    paths: dict[str, str | list[str]] = {"msi": str(path)}
    stack = build_stack(InputOptions.from_kwargs(paths).src_paths)
    return LoadedScene(Scene("made", {}, ""), paths, stack, np.ones((2, *SHAPE), np.float32), 2, labels, None)


def pixels(labels: LabelledPixels) -> set[tuple[int, int]]:
    return set(zip(labels.rows.tolist(), labels.cols.tolist(), strict=True))


def distance_to_block(places: NDArray[np.int64], place: int) -> NDArray[np.int64]:
    """Along one axis, from places to the block that another place lies in."""
    first = place // BLOCK_SIDE * BLOCK_SIDE
    return np.maximum(0, np.maximum(first - places, places - (first + BLOCK_SIDE - 1)))


@given(seed=SEEDS, count=COUNTS)
@settings(max_examples=8)
def test_blocks_keep_test_pixels_beyond_the_buffer(made_scene: LoadedScene, seed: int, count: int) -> None:
    case = draw(made_scene, "blocks", count, seed)
    assert len(case.train)
    assert len(case.test)
    for row, col in pixels(case.train):
        apart = np.maximum(distance_to_block(case.test.rows, row), distance_to_block(case.test.cols, col))
        assert apart.min() > BUFFER


@pytest.mark.parametrize("protocol", ["blocks", "random"])
@given(seed=SEEDS, count=COUNTS)
@settings(max_examples=8)
def test_draws_are_disjoint_and_bounded(made_scene: LoadedScene, protocol: str, seed: int, count: int) -> None:
    case = draw(made_scene, protocol, count, seed)
    assert not pixels(case.train) & pixels(case.test)
    assert pixels(case.train) | pixels(case.test) <= pixels(made_scene.labels)
    total = made_scene.labels.counts()
    for class_id, taken in case.train.counts().items():
        assert taken <= min(count, max(total[class_id] // 2, 1))
    assert set(case.test.class_ids.tolist()) == set(case.train.class_ids.tolist())


@pytest.mark.parametrize("protocol", ["blocks", "random"])
def test_a_seed_gives_one_draw(made_scene: LoadedScene, protocol: str) -> None:
    first, again, other = (pixels(draw(made_scene, protocol, 5, seed).train) for seed in (7, 7, 8))
    assert first == again != other


def test_blocks_of_a_seed_are_the_same_for_all_counts(made_scene: LoadedScene) -> None:
    few, many = (draw(made_scene, "blocks", count, 1) for count in (5, 20))
    assert pixels(few.test) == pixels(many.test)


def test_the_published_split_is_given_as_it_is(made_scene: LoadedScene) -> None:
    with pytest.raises(ValueError, match="made has no published split"):
        draw(made_scene, "fixed", 0, 0)
    halves = (made_scene.labels.select(np.arange(10)), made_scene.labels.select(np.arange(10, 30)))
    case = draw(dataclasses.replace(made_scene, fixed=halves), "fixed", 5, 3)
    assert (case.train, case.test) == halves


@pytest.mark.parametrize("protocol", ["blocks", "random"])
def test_of_many_test_pixels_some_are_chosen_at_random(made_scene: LoadedScene, tmp_path: Path, protocol: str) -> None:
    everything = draw(made_scene, protocol, 5, 1)
    assert len(everything.test) > 500
    case, again = (draw(made_scene, protocol, 5, 1, most_tested=300) for _ in range(2))
    assert pixels(case.train) == pixels(everything.train)
    assert pixels(case.test) == pixels(again.test) < pixels(everything.test)
    assert 295 <= len(case.test) <= 300 + 1  # a rare class keeps one pixel
    before, after = everything.test.counts(), case.test.counts()
    for class_id in after:
        assert after[class_id] == pytest.approx(before[class_id] * 300 / len(everything.test), abs=1)
        assert after[class_id] >= 1
    own = dataclasses.replace(made_scene, scene=dataclasses.replace(made_scene.scene, root=tmp_path))
    assert pixels(draw(own, protocol, 5, 1, most_tested=300).test) == pixels(everything.test)


def test_blocks_of_few_points_have_each_class_on_both_sides(real_scenes: Path) -> None:
    (scene,) = (scene for scene in SCENES if scene.name == "wetland_bc_s2_dem")
    loaded = load(scene)
    for seed in range(3):
        case = draw(loaded, "blocks", 20, seed)
        for side in (case.train, case.test):
            assert len(np.unique(side.class_ids)) == 6
        assert len(case.train) >= 25
        assert len(case.test) >= 50
