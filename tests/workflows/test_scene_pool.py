"""Workers for many scenes, beside a thread that assembles their maps."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from rasterio.errors import NotGeoreferencedWarning

from s2fin_cli.core.progress import silent
from s2fin_cli.raster.opening import without_georeferencing_warning
from s2fin_cli.workflows.scene_pool import Pool
from s2fin_cli.workflows.shard_tasks import ThisProcess

if TYPE_CHECKING:
    from pathlib import Path


def test_one_thread_does_not_end_the_silence_of_another(tmp_path: Path) -> None:
    before = list(warnings.filters)
    common: Any = None
    with Pool(ThisProcess(), common, tmp_path, on_end=lambda scene: None, progress=silent):
        one, other = without_georeferencing_warning(), without_georeferencing_warning()
        one.__enter__()
        other.__enter__()
        one.__exit__(None, None, None)
        warnings.warn("it has no geotransform", NotGeoreferencedWarning, stacklevel=1)
        other.__exit__(None, None, None)
    assert list(warnings.filters) == before
