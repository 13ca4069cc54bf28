"""A classification job: inputs, model, options and outputs, read and checked before any work."""

from __future__ import annotations

import contextlib
import functools
import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from s2fin_cli.core.classes import map_encoding
from s2fin_cli.core.device import keep_freed_memory, pick_device
from s2fin_cli.core.errors import ModelFileError, UnreadableError, UsageError
from s2fin_cli.core.files import check_outputs
from s2fin_cli.core.images import Images
from s2fin_cli.core.progress import Progress, Stop, silent
from s2fin_cli.core.run_record import recorded_warnings
from s2fin_cli.inference.engine import Engine, Predictor
from s2fin_cli.inference.likeness import Likeness
from s2fin_cli.inference.prior import apply_prior, read_prior
from s2fin_cli.inference.sinks import Cropped, Sink
from s2fin_cli.inference.smoothing import RADIUS, Smoother, guide_of
from s2fin_cli.inference.source import StackSource
from s2fin_cli.inference.tiles import classify_tiles
from s2fin_cli.inference.uncertainty import BANDS as UNCERTAINTY
from s2fin_cli.model.file import read_parts
from s2fin_cli.model.fit import check_scene, fit_stack
from s2fin_cli.model.header import find_model
from s2fin_cli.raster.creation import RasterFormat, check_format
from s2fin_cli.raster.unreadable import UnreadableBlocks
from s2fin_cli.raster.write import AS_FLOATS
from s2fin_cli.stack.assembly import stack_of
from s2fin_cli.stack.sampling import QUICK, sample_pixels
from s2fin_cli.stack.statistics import band_statistics
from s2fin_cli.vector.write import check_vector_crs
from s2fin_cli.workflows.classify_outputs import SCALED, Outputs
from s2fin_cli.workflows.input_files import input_files
from s2fin_cli.workflows.run_record import record_run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rasterio.windows import Window

    from s2fin_cli.core.options import StrPath
    from s2fin_cli.core.run_record import RunRecord
    from s2fin_cli.model.info import ModelInfo
    from s2fin_cli.stack.stack import Stack
    from s2fin_cli.workflows.options.classify import ClassifyOptions

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ClassifyJob:
    """A checked classification; nothing is written yet.

    Attributes:
        options: its options.
        outputs: the files that it writes.
        model_path: the model file.
        info: what the model file says about the model.
        stack: the images to classify, with the model's bands.
        predictor: the model's network, ready to compute.
        stride: pixels from one of the network's windows to the next.
        guide: makes the guide by which smoothing compares the pixels of a tile, see `smoothing.guide_of`.
        device: what computes.
        name: what the user calls the map: its path, or its URL in an object store.
        likeness: measures what the raster of uncertainty needs besides probabilities; None without reference pixels.
        warnings: what was warned of so far.
    """

    options: ClassifyOptions
    outputs: Outputs
    model_path: Path
    info: ModelInfo
    stack: Stack
    predictor: Predictor
    stride: int
    guide: Callable[[Images[Tensor]], Tensor]
    device: torch.device
    name: str
    likeness: Likeness | None = None
    warnings: tuple[str, ...] = ()

    @property
    def class_ids(self) -> list[int]:
        """Ids of the model's classes, in the order of the probabilities."""
        return [c.id for c in self.info.classes]

    def classify(
        self,
        sinks: Sequence[Sink],
        *,
        window: Window | None = None,
        uncertainty: bool = False,
        progress: Progress = silent,
    ) -> None:
        """Classify a part of the stack into sinks.

        Args:
            sinks: they cover the window; pixels outside the area of interest reach them as not valid.
            window: the part of the stack's grid; None is all that is of interest.
            uncertainty: whether sinks need the measures of uncertainty.
            progress: called after each tile.
        """
        smooth = self.options.smooth
        source = StackSource(
            self.stack,
            self.predictor,
            window=window,
            tile_size=self.options.tile_size,
            reach=RADIUS if smooth else 0,
        )
        sink = Cropped(window or self.stack.extent, self.stack.area, sinks)
        smoother = Smoother(source.extent, self.guide) if smooth else None
        with _skipping_suggested():
            measure = self.likeness if uncertainty else None
            classify_tiles(source, self.predictor, sink, smoother=smoother, measure=measure, progress=progress)

    def record(self) -> RunRecord:
        """The record of the run, for the map."""
        named, warnings = {"model": self.model_path}, self.warnings
        return record_run("classify", self.options, named=named, device=self.device, warnings=warnings)


@dataclass(frozen=True)
class LoadedModel:
    """A model that is ready to compute.

    Attributes:
        path: its file.
        info: what the file says about it.
        engine: computes with its network.
        device: where it computes.
        likeness: compares pixels with the model's reference pixels; None where it has none.
    """

    path: Path
    info: ModelInfo
    engine: Engine
    device: torch.device
    likeness: Likeness | None = None


def load_model(path: Path, options: ClassifyOptions) -> LoadedModel:
    """Read a model and move it to the device that options name.

    Raises:
        S2finError: it cannot be read, or options do not fit it.
    """
    network, info, reference = read_parts(path)
    _check_stride(options.stride, network.cfg.block_size)
    if options.prior:
        apply_prior(network, read_prior(options.prior, info.classes))
    precision = getattr(torch, options.precision)
    device = pick_device("cpu" if options.scheduler is not None else options.device)  # a cluster has other devices
    engine = Engine(network, device, stride=options.stride, precision=precision)
    likeness = None if reference is None else Likeness(reference, engine.network.standardizer, engine)
    return LoadedModel(path, info, engine, device, likeness)


def prepare(
    options: ClassifyOptions,
    *,
    model: LoadedModel | None = None,
    writes: bool = True,
    name: StrPath | None = None,
    stop: Stop | None = None,
) -> ClassifyJob:
    """Read the model and the inputs' headers, and check that they and the options match.

    Args:
        options: the options.
        model: the model, if it was loaded with these options before; None loads it.
        writes: whether the outputs will be written; if not, they are not checked.
        name: what the user calls the map, if it is not `output`.
        stop: ends the work between two steps once it is set.

    Raises:
        S2finError: something is wrong with the inputs, the model or options, or an output cannot be written.
        Stopped: it was asked to end.
    """
    with recorded_warnings() as warnings:
        job = _prepare(options, model, writes=writes, stop=stop or Stop())
    return replace(job, name=job.name if name is None else str(name), warnings=tuple(warnings))


def _prepare(options: ClassifyOptions, model: LoadedModel | None, *, writes: bool, stop: Stop) -> ClassifyJob:
    stop.check()
    outputs = Outputs.of(options)
    model_path = find_model(options.model) if model is None else model.path
    if writes:
        check_outputs(outputs.wanted, overwrite=options.overwrite, inputs=input_files([*options.inputs, model_path]))
    model = model or load_model(model_path, options)
    info, engine = model.info, model.engine
    if outputs.uncertainty is not None and model.likeness is None:
        raise ModelFileError(
            f"{model_path} holds no reference pixels of its training data, which `uncertainty` needs; train again with "
            "this version of s2fin, or leave it out"
        )
    _check_formats(outputs, info, options)
    stop.check()
    skips = options.on_read_error == "skip"
    with _skipping_suggested():
        stack = fit_stack(info, stack_of(options, skipped=UnreadableBlocks() if skips else None))
    if outputs.polygons is not None:
        check_vector_crs(outputs.polygons, stack.grid)
    if options.simplify is not None:
        stack.grid.check_distance(options.simplify, "simplify")
    stop.check()
    with _skipping_suggested():
        check_scene(info, stack, band_statistics(sample_pixels(stack, QUICK)))
    if skips:
        stack = replace(stack, skipped=UnreadableBlocks())  # so far the images may have been read on another grid
    keep_freed_memory()  # only now: blocks that were decoded so far are not needed again
    guide = functools.partial(guide_of, engine.network.standardizer)
    return ClassifyJob(
        options, outputs, model_path, info, stack, engine, engine.stride, guide, model.device, str(options.output),
        model.likeness,
    )  # fmt: skip


@contextlib.contextmanager
def _skipping_suggested() -> Iterator[None]:
    """Where an image cannot be read, say that the rest of it can be mapped."""
    try:
        yield
    except UnreadableError as error:
        raise UnreadableError(f'{error}, or map the rest with `on_read_error="skip"`') from error


def _check_formats(outputs: Outputs, info: ModelInfo, options: ClassifyOptions) -> None:
    """Refuse options that the rasters cannot be written with, before any work is done."""
    fmt, class_ids = RasterFormat.of(options.format, options.co), [c.id for c in info.classes]
    dtype, nodata = map_encoding(class_ids)
    check_format(fmt, count=1, dtype=dtype, values=[nodata, *class_ids])
    stored = (SCALED if options.scaled else AS_FLOATS).dtype
    for path, count, kind in (
        (outputs.confidence, 1, stored),
        (outputs.probabilities, len(class_ids), stored),
        (outputs.uncertainty, len(UNCERTAINTY), AS_FLOATS.dtype),
    ):
        if path is not None:
            check_format(fmt, count=count, dtype=kind)


def _check_stride(stride: int | None, largest: int) -> None:
    """Refuse a stride that the model was not trained for."""
    if stride is not None and stride > largest:
        raise UsageError(f"`stride` is {stride}, and the model was trained for at most {largest}; use that or less")
