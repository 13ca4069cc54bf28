"""The benchmark of suggested places, on made-up pixels."""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

import suggest
from records import RESULTS
from s2fin_cli.core.classes import make_classes
from s2fin_cli.labels.pixels import LabelledPixels
from s2fin_cli.suggesting.judges import Judgement
from scenes import SCENES
from suggest_ways import WAYS, Round
from suggestible import Draw, Suggestible

SIDE = 60


def make_scene() -> Suggestible:
    """Every second pixel of three classes in patches of 10 x 10, each with values of its own."""
    rows, cols = (part.ravel() for part in np.indices((SIDE, SIDE)))
    rows, cols = rows[::2].astype(np.int64), cols[::2].astype(np.int64)
    ids = 1 + (rows // 10 + cols // 10) % 3
    labels = LabelledPixels(rows, cols, ids, np.zeros_like(ids), make_classes({1: "a", 2: "b", 3: "c"}), "raster")
    generator = np.random.default_rng(0)
    values = (np.eye(3)[ids - 1] * 4 + generator.normal(0, 1, (len(ids), 3))).astype(np.float32)
    kinds = ["bands", "components", "shape", "shape mean 3", "shape mean 15"]
    scales = [f"{kind} {what} {s}" for kind in kinds[:2] for what in ("mean", "deviation") for s in (3, 7, 15, 31)]
    features = dict.fromkeys((*kinds, *scales), values) | {"position": np.stack([rows, cols], 1).astype(np.float32)}
    return Suggestible("made", labels, np.ones(len(ids), dtype=bool), features, (SIDE, SIDE))


def test_a_draw_separates_candidates_from_tested_pixels() -> None:
    draw = make_scene().draw(0)
    assert not set(draw.tested) & set(draw.candidates)
    assert set(draw.start) <= set(draw.candidates)
    assert np.bincount(draw.targets[draw.start]).tolist() == [5, 5, 5]
    places = [np.stack([draw.scene.labels.rows[part], draw.scene.labels.cols[part]], 1)
              for part in (draw.candidates, draw.tested)]  # fmt: skip
    assert np.abs(places[0][:, None] - places[1]).max(axis=2).min() > 11


@pytest.mark.parametrize("way", WAYS)
def test_ways_choose_as_many_different_places_as_they_are_asked_for(way: str) -> None:
    generator = np.random.default_rng(1)
    members = generator.dirichlet([1, 1, 1], (2, 90)).astype(np.float32)
    leaves = generator.integers(0, 4, (90, 10), np.int32)
    judgement = Judgement(members.mean(axis=0), members, leaves, leaves[:5], np.zeros(90, dtype=bool))
    rows, cols = generator.integers(0, 40, (2, 90))
    chosen = WAYS[way](Round(judgement, rows, cols, 20, generator))
    assert len(set(chosen.tolist())) == len(chosen) == 20
    assert 0 <= chosen.min() <= chosen.max() < 90


def test_rounds_add_labels_and_figures_are_written(tmp_path: Path) -> None:
    draw: Draw = make_scene().draw(0)
    curve = suggest.simulate(draw, "s2fin", 0)
    assert curve.shape == (6, 2)
    assert curve[-1].min() > 90
    curves = {("made", 0, "random"): curve - 1, ("made", 0, "s2fin"): curve}
    suggest.write_csv(tmp_path / "found.csv", curves)
    with (tmp_path / "found.csv").open() as file:
        found = list(csv.DictReader(file))
    assert len(found) == 12
    assert [row["labels"] for row in found[:6]] == ["0", "20", "40", "60", "80", "100"]
    assert suggest.at_labels(curve, 30)[0] == pytest.approx(curve[1:3, 0].mean())
    assert "+1.0" in suggest.gain(curves, "s2fin")
    assert f"| made | {curve[-1, 0] - 1:.1f} | {curve[-1, 0]:.1f} |" in suggest.by_scene(curves)
    assert suggest.means(curves, 0).count("\n") == 4


def test_kept_results_are_as_a_run_would_write_them(tmp_path: Path) -> None:
    kept = RESULTS.parent / "suggest.csv"
    found: dict[tuple[str, int, str], list[tuple[float, float]]] = defaultdict(list)
    with kept.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            found[row["scene"], int(row["draw"]), row["way"]].append((float(row["oa"]), float(row["aa"])))
    curves = {run: np.array(curve) for run, curve in found.items()}
    assert {curve.shape for curve in curves.values()} == {(suggest.ROUNDS + 1, 2)}
    assert {way for _, _, way in curves} == {*WAYS, suggest.ALL}
    assert {scene for scene, _, _ in curves} <= {scene.name for scene in SCENES}
    suggest.write_csv(tmp_path / "suggest.csv", curves)
    assert (tmp_path / "suggest.csv").read_bytes() == kept.read_bytes()
