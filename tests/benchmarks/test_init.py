"""The benchmark of models to start from: pairs of scenes, draws of labels, and tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

from init import ALONE, WAYS, WITH, WITHOUT, Result, by_pair, read_results, times, write_results
from records import RESULTS
from s2fin_cli.core.classes import make_classes
from s2fin_cli.labels.pixels import LabelledPixels
from scene_pairs import GAP, PAIRS, SOURCE_LABELS, Half, draw_source, draw_target, make_pair

ROOT = Path(__file__).parents[2]
SHAPE = (120, 90)


@pytest.fixture
def half() -> Half:
    """A scene of which every pixel is labelled, three classes in patches of 10 x 10."""
    rows, cols = (part.ravel().astype(np.int64) for part in np.indices(SHAPE))
    ids = 2 + (rows // 10 + cols // 10) % 3
    classes = make_classes({2: "a", 3: "b", 4: "c"})
    labels = LabelledPixels(rows, cols, ids, np.zeros_like(ids), classes, "raster")
    return Half({"msi": "image.tif"}, labels, SHAPE, None, Affine.identity())


def test_labels_are_drawn_of_each_class_and_tested_away_from_them(half: Half) -> None:
    draw = draw_target(half, 5, 0)
    assert np.bincount(draw.train.class_ids).tolist() == [0, 0, 5, 5, 5]
    apart = [np.abs(getattr(draw.train, axis)[:, None] - getattr(draw.test, axis)) for axis in ("rows", "cols")]
    assert np.maximum(*apart).min() > 11
    again, other = draw_target(half, 5, 0), draw_target(half, 5, 1)
    assert np.array_equal(draw.train.rows, again.train.rows)
    assert not np.array_equal(draw.train.rows, other.train.rows)
    assert np.bincount(draw_source(half, 0).class_ids)[2:].tolist() == [SOURCE_LABELS] * 3


def test_label_rasters_hold_the_class_numbers(half: Half, tmp_path: Path) -> None:
    train = draw_target(half, 5, 0).train
    half.write_labels(tmp_path / "labels.tif", train)
    with rasterio.open(tmp_path / "labels.tif") as src:
        values = src.read(1)
    assert np.array_equal(values[train.rows, train.cols], train.class_ids)
    assert np.count_nonzero(values) == len(train)


def test_halves_do_not_touch_and_the_second_may_be_changed(real_scenes: Path, tmp_path: Path) -> None:
    assert real_scenes.is_dir()
    pairs = {pair.name: pair for pair in PAIRS}
    halves = {}
    for name in ("lattes", "lattes, changed"):
        folder = tmp_path / name
        folder.mkdir()
        halves[name] = make_pair(pairs[name], folder, swapped=False)
    first, second = halves["lattes"]
    assert first.shape == second.shape
    assert second.transform.c - first.transform.c == pytest.approx((first.shape[1] + GAP) * first.transform.a)
    assert [c.id for c in first.labels.classes] == [c.id for c in second.labels.classes]
    values = {}
    for name, own in halves.items():
        for number, half in enumerate(own):
            with rasterio.open(half.paths["msi"]) as src:
                values[name, number] = src.read()
    assert np.array_equal(values["lattes", 0], values["lattes, changed", 0])
    assert not np.array_equal(values["lattes", 1], values["lattes, changed", 1])


def made_results() -> list[Result]:
    """Starting from a model gains 1 point on one pair, and 2 and 4 points on draws of another, in half of the time."""
    figures = {("a", 0): (70.0, 60.0, 61.0), ("b", 0): (50.0, 80.0, 82.0), ("b", 1): (50.0, 80.0, 84.0)}
    seconds = (0.0, 20.0, 10.0)
    return [
        Result(pair, 5, draw, way, oa, oa - 1, time)
        for (pair, draw), found in figures.items()
        for way, oa, time in zip(WAYS, found, seconds, strict=True)
    ]


def test_tables_show_gains_by_pair_and_their_mean_over_pairs() -> None:
    lines = by_pair(made_results(), 5).splitlines()
    assert lines[0] == f"| OA, 5 a class | {ALONE} | {WITHOUT} | {WITH} | gain |"
    assert lines[2:] == [
        "| a | 70.0 | 60.0 | 61.0 | +1.0 |",
        "| b | 50.0 | 80.0 | 83.0 | +3.0 ± 1.0 |",
        "| **mean** | 60.0 | 70.0 | 72.0 | +2.0 ± 1.0 |",
    ]
    assert times(made_results()).endswith(": 0.50 (median)")


def test_figures_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "init.csv"
    assert read_results(path) == []
    write_results(path, made_results())
    assert read_results(path) == made_results()


def test_kept_results_are_as_a_run_would_write_them(tmp_path: Path) -> None:
    kept = RESULTS.parent / "init.csv"
    results = read_results(kept)
    assert {result.way for result in results} == set(WAYS)
    assert {result.pair for result in results} == {pair.name for pair in PAIRS if pair.reported}
    write_results(tmp_path / "init.csv", results)
    assert (tmp_path / "init.csv").read_bytes() == kept.read_bytes()


def test_the_documentation_has_the_kept_figures() -> None:
    results = read_results(RESULTS.parent / "init.csv")
    text = (ROOT / "docs/benchmarks.md").read_text(encoding="utf-8")
    one, five, twenty = (_rows(by_pair(results, count)) for count in (1, 5, 20))
    assert len(one) == 1 + sum(pair.reported for pair in PAIRS)
    for name, (*own, _) in one.items():
        assert f"| {' | '.join([name, *own, *five[name][1:3], *twenty[name][1:3]])} |\n" in text
    gains = [rows["**mean**"][-1] for rows in (one, five, twenty)]
    assert f"| gain | | | {' | | '.join(gains)} |\n" in text
    assert f"{times(results).split()[-2]} times the processor time (median)" in text


def _rows(markdown: str) -> dict[str, list[str]]:
    """The figures of a table by what stands before them, without the head."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in markdown.strip().splitlines()[2:]]
    return {row[0]: row[1:] for row in rows}
