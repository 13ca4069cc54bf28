"""The use case of prediction: images and a model in, a map in memory out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from s2fin_cli.core.classes import map_encoding
from s2fin_cli.core.errors import RasterError
from s2fin_cli.core.progress import Progress, Stop, silent, stoppable
from s2fin_cli.core.version import __version__
from s2fin_cli.inference.sinks import ClassMap, Confidence, Counts, Probabilities, Sink, Uncertainty
from s2fin_cli.inference.uncertainty import BANDS, INSIDE
from s2fin_cli.raster.datasets import CLASS, CONFIDENCE, PROBABILITIES, make_dataset, need_xarray
from s2fin_cli.raster.write import RasterWriter
from s2fin_cli.workflows.classify_job import ClassifyJob, prepare
from s2fin_cli.workflows.map_files import warn_of_outside, why_empty
from s2fin_cli.workflows.unreadable import unreadable_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from rasterio.windows import Window
    from xarray import Dataset

    from s2fin_cli.workflows.options.predict import PredictOptions


class ArrayWriter(RasterWriter):
    """An array (bands, height, width) that is filled window by window like a raster."""

    def write(self, values: NDArray[Any], window: Window) -> None:
        """Write values (bands, height, width) into a window."""
        rows, cols = window.toslices()
        self.dst[:, rows, cols] = values


def run(options: PredictOptions, *, progress: Progress = silent, stop: Stop | None = None) -> Dataset:
    """Classify a scene into memory, and write no file.

    The dataset takes 5 bytes a pixel, 4 more for each class with probabilities, and 16 more with uncertainty.

    Args:
        options: the options.
        progress: called with how far it is.
        stop: ends the work at its next step once it is set.

    Returns:
        the classes of all pixels, their probabilities and, if wanted, what else is known of them, on the grid that a
        map in files has.

    Raises:
        S2finError: something is wrong with the inputs, the model or options.
        Stopped: it was asked to end.
    """
    need_xarray("`predict`, which gives a dataset of xarray,")
    progress = progress if stop is None else stoppable(progress, stop)
    job = prepare(options.of_map, writes=False, name="the map", stop=stop)
    arrays = _arrays(job)
    counts = Counts(job.class_ids)
    job.classify([*_sinks(job, arrays), counts], uncertainty=options.uncertainty, progress=progress)
    if not any(counts.pixels.values()):
        raise RasterError(why_empty(job.stack))
    unreadable_of(job.stack, job.stack.extent).warn()
    layers = _layers(arrays)
    if options.uncertainty:
        warn_of_outside(int((layers[BANDS[-1]] > INSIDE).sum()), sum(counts.pixels.values()))
    made_by = {"model": job.model_path.name, "software": f"s2fin {__version__}"}
    return make_dataset(job.stack.grid.crop(job.stack.extent), job.info.classes, layers, made_by)


def _arrays(job: ClassifyJob) -> dict[str, NDArray[Any]]:
    """Arrays (bands, height, width) for what is wanted, without data."""
    shape, (dtype, nodata) = (job.stack.extent.height, job.stack.extent.width), map_encoding(job.class_ids)
    arrays: dict[str, NDArray[Any]] = {CLASS: np.full((1, *shape), nodata, dtype)}
    counts = {CONFIDENCE: 1}
    if job.outputs.probabilities is not None:
        counts[PROBABILITIES] = len(job.class_ids)
    if job.outputs.uncertainty is not None:
        counts["uncertainty"] = len(BANDS)
    return arrays | {name: np.full((count, *shape), np.nan, np.float32) for name, count in counts.items()}


def _sinks(job: ClassifyJob, arrays: Mapping[str, NDArray[Any]]) -> list[Sink]:
    """Sinks that fill arrays."""
    sinks: list[Sink] = [
        ClassMap(ArrayWriter(arrays[CLASS]), job.class_ids),
        Confidence(ArrayWriter(arrays[CONFIDENCE])),
    ]
    if PROBABILITIES in arrays:
        sinks.append(Probabilities(ArrayWriter(arrays[PROBABILITIES])))
    if "uncertainty" in arrays:
        sinks.append(Uncertainty(ArrayWriter(arrays["uncertainty"])))
    return sinks


def _layers(arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """The arrays as the variables of a dataset."""
    layers = {name: values if name == PROBABILITIES else values[0] for name, values in arrays.items()}
    if "uncertainty" in layers:
        del layers["uncertainty"]
        layers |= dict(zip(BANDS, arrays["uncertainty"], strict=True))
    return layers
