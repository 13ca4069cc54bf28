"""Timing the stages of a classification."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from stages import STAGES, Stopwatch, stage_seconds
from synthetic import SyntheticScene

if TYPE_CHECKING:
    from pathlib import Path

    from tests.scenes import Scene


def test_a_stopwatch_counts_time_once_however_many_run() -> None:
    watch = Stopwatch()
    start = time.perf_counter()
    with watch.running(), watch.running():
        time.sleep(0.01)
    total = time.perf_counter() - start
    assert 0.01 <= watch.seconds <= total
    time.sleep(0.01)
    assert watch.seconds <= total


@pytest.mark.parametrize("computing", [True, False])
def test_every_stage_is_timed(scene: Scene, model: Path, tmp_path: Path, *, computing: bool) -> None:
    synthetic = SyntheticScene({name: str(path) for name, path in scene.images.items()}, str(scene.labels))
    seconds = stage_seconds(synthetic, model, tmp_path, computing=computing)
    assert seconds.keys() == {*STAGES, "seconds"}
    assert all(0 < seconds[stage] < seconds["seconds"] for stage in STAGES if stage != "compute")
    assert (seconds["compute"] > 0) == computing
    assert seconds["compute"] + seconds["polygons"] < seconds["seconds"]
