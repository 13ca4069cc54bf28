"""s2fin: land-cover maps from two co-located rasters and a few labels.

`train` and `classify` do what the commands of the same names do, with the same defaults.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from s2fin_cli.core.version import __version__

if TYPE_CHECKING:
    from s2fin_cli.workflows.classify import ClassifyResult
    from s2fin_cli.workflows.train import TrainResult

__all__ = ["__version__", "classify", "train"]

# NOTE: threads that spin while they wait make torch many times slower as soon as another process wants a core, and
# threads that do not spin at all make it a third slower when none does; so they spin for a short time. Both are read
# when torch is loaded, so they stand here, before any import of it.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "3000")


def train(**options: Any) -> TrainResult:
    """Train a model and write it, as `s2fin train` does.

    Args:
        options: the fields of `s2fin_cli.core.options.TrainOptions`, e.g. `hsi="a.tif", lidar="b.tif",
            labels="gt.shp"`, and `progress`, a listener as `s2fin_cli.core.progress.Progress` describes it.

    Returns:
        where the model is, and how good it is on the pixels held out.

    Raises:
        s2fin_cli.core.errors.S2finError: something is wrong with inputs, options or output; nothing is written.
    """
    from s2fin_cli.core.progress import silent
    from s2fin_cli.workflows.options.train import TrainOptions  # torch and GDAL load on the first call only
    from s2fin_cli.workflows.train import train as run

    progress = options.pop("progress", silent)
    return run(TrainOptions.from_kwargs(options), progress=progress)


def classify(**options: Any) -> ClassifyResult:
    """Classify a scene and write its map, as `s2fin classify` does.

    Args:
        options: the fields of `s2fin_cli.core.options.ClassifyOptions`, e.g. `hsi="a.tif", lidar="b.tif",
            output="map.tif"`, and `progress`, a listener as `s2fin_cli.core.progress.Progress` describes it.

    Returns:
        where the outputs are, and what the map holds.

    Raises:
        s2fin_cli.core.errors.S2finError: something is wrong with inputs, model, options or outputs; nothing is written.
    """
    from s2fin_cli.core.progress import silent
    from s2fin_cli.workflows.classify import classify as run
    from s2fin_cli.workflows.options.classify import ClassifyOptions

    progress = options.pop("progress", silent)
    return run(ClassifyOptions.from_kwargs(options), progress=progress)
