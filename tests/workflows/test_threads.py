"""The number of threads does not show in a map."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.workflows.sharding import CHECKS, options_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.scenes import Scene


@pytest.mark.slow
def test_a_process_with_several_threads_makes_the_map_of_one(scene: Scene, model: Path, tmp_path: Path) -> None:
    """In processes that begin with all cores, as a user's does: new threads begin with the same number."""
    names = {"output": "map.tif", "probabilities": "p.tif"}
    for count in (1, 3):
        folder = tmp_path / str(count)
        folder.mkdir()
        paths = {name: str(folder / file) for name, file in names.items()}
        keywords = {**options_of(scene, model, folder / "map.tif", stride=1, vector=False), **paths}
        keywords = {name: str(value) if isinstance(value, os.PathLike) else value for name, value in keywords.items()}
        script = f"import torch, s2fin_cli; torch.set_num_threads({count}); s2fin_cli.classify(**{keywords!r})"
        variables = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
        subprocess.run([sys.executable, "-c", script], check=True, timeout=120, env=variables)
    for name, file in (("map", "map.tif"), ("probabilities", "p.tif")):
        CHECKS[name](tmp_path / "1" / file, tmp_path / "3" / file)
