"""Measuring shards: what is watched and compared, and a whole run on a small scene."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio

import costs
import shards
from watched import COMMAND, WORKER, watch

#: Holds 200 MB in a process of its own.
HOLDING = "import time; held = bytearray(200_000_000); time.sleep(0.5)"
STARTING = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {HOLDING!r}])"


def test_memory_of_each_process_is_seen() -> None:
    run = watch(sys.executable, "-c", STARTING, variables=os.environ, least_mb=1)
    (own,), (others,) = run.peaks(COMMAND), run.peaks(WORKER)
    assert own < 100
    assert others > 190
    assert run.seconds >= 0.5
    assert run.cpu_seconds > 0
    assert not watch(sys.executable, "-c", "pass", variables=os.environ, least_mb=1000).processes


def test_a_command_that_fails_says_why() -> None:
    with pytest.raises(RuntimeError, match="failed: no room"):
        watch(sys.executable, "-c", "import sys; sys.exit('no room')", variables=os.environ)


def test_one_bit_in_one_pixel_is_a_difference(tmp_path: Path) -> None:
    values = np.zeros((1, 300, 200), np.float32)
    found = []
    for name, changed in (("a", 0.0), ("b", np.float32(1e-45)), ("c", 0.0)):
        values[0, 299, 7] = changed
        profile = {"driver": "GTiff", "count": 1, "height": 300, "width": 200, "dtype": "float32", "crs": "EPSG:32632"}
        compress = "deflate" if name == "c" else "none"
        transform = rasterio.Affine(10, 0, 0, 0, -10, 0)
        with rasterio.open(tmp_path / f"{name}.tif", "w", **profile, transform=transform, compress=compress) as dst:
            dst.write(values)
        found.append(shards.pixels_of(tmp_path / f"{name}.tif"))
    assert found[0] == found[2] != found[1]


@pytest.mark.slow
def test_a_whole_run_fills_the_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = tmp_path / "shards.json"
    monkeypatch.setattr(sys, "argv", ["shards.py", "--side", "330", "--json", str(written)])
    shards.main()
    figures = json.loads(written.read_text(encoding="utf-8"))
    assert figures["identical"] == 4
    assert figures["scene"]["shards"] > 1
    roles = [process["role"] for process in figures["runs"]["2 workers"]["processes"]]
    assert (roles.count(COMMAND), roles.count(WORKER) >= 2) == (1, True)
    monkeypatch.setattr(sys, "argv", ["costs.py", "--results", str(written)])
    costs.main()
