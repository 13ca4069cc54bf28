"""The use case of classification: files and a model in, a map and polygons out."""

from __future__ import annotations

import contextlib
import functools
import logging
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import rasterio.windows
import torch
from rasterio.crs import CRS
from rasterio.windows import Window
from torch import Tensor

from s2fin_cli.core.classes import map_encoding
from s2fin_cli.core.device import keep_freed_memory, pick_device
from s2fin_cli.core.errors import OutputError, RasterError, UsageError
from s2fin_cli.core.files import check_outputs, staged
from s2fin_cli.core.progress import Progress, silent
from s2fin_cli.geo.windows import aligned, clip, grown, iter_tiles, tile_shape_for
from s2fin_cli.inference.background import ahead, behind
from s2fin_cli.inference.engine import Engine
from s2fin_cli.inference.outputs import SCALED, Outputs, write_item
from s2fin_cli.inference.prior import apply_prior, read_prior
from s2fin_cli.inference.smoothing import RADIUS, Smoother, around, guide_of
from s2fin_cli.model.file import find_model, read_model
from s2fin_cli.model.fit import check_values, fit_stack
from s2fin_cli.model.info import ModelInfo
from s2fin_cli.raster.classmap import (
    RasterFormat,
    RasterWriter,
    check_format,
    create_class_map,
    create_image,
    iter_strips,
)
from s2fin_cli.raster.read import MOST_CACHE
from s2fin_cli.raster.styles import raster_style
from s2fin_cli.stack.assembly import stack_of
from s2fin_cli.stack.stack import Stack
from s2fin_cli.stack.statistics import FEW_VALUES, band_statistics, sample_pixels
from s2fin_cli.vector.polygons import map_regions, write_polygons
from s2fin_cli.vector.write import check_vector_crs
from s2fin_cli.workflows.members import input_files

if TYPE_CHECKING:
    from collections.abc import Iterator

    from s2fin_cli.core.classes import LandCoverClass
    from s2fin_cli.stack.stack import OpenStack, Tile
    from s2fin_cli.workflows.options.classify import ClassifyOptions

logger = logging.getLogger(__name__)

#: Pixels a side that are read and computed at a time, by type of device. The blocks of a large tile are decoded side by
#: side, by the many cores that there are beside a CUDA device, but it takes much memory.
TILE_SIZES = {"cpu": 256, "cuda": 640}
#: Bytes of decoded blocks that are kept at most, likewise.
CACHES = {"cpu": MOST_CACHE, "cuda": 1 << 30}
#: A map's resolution may differ from the training image's by this factor before the user is told.
RESOLUTION_FACTOR = 1.25


@dataclass(frozen=True)
class ClassifyResult:
    """What classification gave.

    Attributes:
        outputs: paths of the files that were written.
        model: path of the model that was used.
        pixels: number of pixels by class id.
        nodata_pixels: pixels of the area of interest that some needed image has no data for.
        classes: the model's classes.
    """

    outputs: Outputs
    model: Path
    pixels: dict[int, int]
    nodata_pixels: int
    classes: tuple[LandCoverClass, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values for scripts."""
        paths = {**vars(self.outputs), "model": self.model}
        return {
            **{name: None if path is None else str(path) for name, path in paths.items()},
            "classes": [{"id": c.id, "name": c.name, "pixels": self.pixels[c.id]} for c in self.classes],
            "nodata_pixels": self.nodata_pixels,
        }


def classify(options: ClassifyOptions, *, progress: Progress = silent) -> ClassifyResult:
    """Classify a scene and write the map.

    Args:
        options: the options.
        progress: told how far it is.

    Returns:
        where the outputs are, and what the map holds.

    Raises:
        S2finError: something is wrong with the inputs, the model, options or outputs; nothing is written.
    """
    outputs = Outputs.of(options)
    model_path = find_model(options.model)
    check_outputs(outputs.wanted, overwrite=options.overwrite, inputs=input_files([*options.inputs, model_path]))
    network, info = read_model(model_path)
    _check_formats(outputs, info, options)
    _check_stride(options.stride, network.cfg.block_size)
    if options.prior:
        apply_prior(network, read_prior(options.prior, info.classes))
    precision = getattr(torch, options.precision)
    engine = Engine(network, pick_device(options.device), stride=options.stride, precision=precision)
    stack = fit_stack(info, stack_of(options))
    if outputs.polygons is not None:
        check_vector_crs(outputs.polygons, stack.grid)
    if options.simplify is not None:
        stack.grid.check_distance(options.simplify, "simplify")
    _check_scene(info, stack)
    keep_freed_memory()  # only now: what was looked at so far is not needed again
    tags = {"S2FIN_MODEL": model_path.name, **({"S2FIN_PRIOR": ", ".join(options.prior)} if options.prior else {})}
    with staged(outputs.wanted, overwrite=options.overwrite) as tmp_paths, _scratch(outputs.map) as scratch:
        tmp = outputs.at(tmp_paths)
        unwanted = scratch / "confidence.tif" if outputs.polygons is not None and outputs.confidence is None else None
        tmp.style.write_bytes(raster_style(info.classes))
        with _open_writers(tmp, unwanted, stack, info, tags=tags, options=options) as writers:
            pixels, nodata_pixels = _fill(writers, stack, engine, info, options=options, progress=progress)
        if not any(pixels.values()):
            raise RasterError(_why_empty(stack))
        if outputs.polygons is not None:
            source = replace(tmp, confidence=tmp.confidence or unwanted)
            _vectorise(source, outputs.polygons, stack, info, options=options, progress=progress)
        if tmp.stac is not None:
            write_item(
                outputs,
                written=tmp,
                stack=stack,
                info=info,
                model_path=model_path,
                stride=engine.stride,
                options=options,
            )
    if options.overwrite:
        _tell_of_old(outputs)
    return ClassifyResult(outputs, model_path, pixels, nodata_pixels, info.classes)


@contextlib.contextmanager
def _scratch(map_path: Path) -> Iterator[Path]:
    """A folder beside the map for what is needed only while it is made."""
    with tempfile.TemporaryDirectory(prefix=".s2fin.", dir=map_path.absolute().parent) as folder:
        yield Path(folder)


def _why_empty(stack: Stack) -> str:
    """Why no pixel can be classified, for a message."""
    is_empty = band_statistics(sample_pixels(stack, values=FEW_VALUES)).is_empty
    lacking = [(layer, np.array(layer.numbers)[is_empty[bands]].tolist()) for layer, bands in stack.slices()]
    found = [
        f"{layer.describe()} has none in bands {layer.describe_bands(numbers)}" for layer, numbers in lacking if numbers
    ]
    why = f" ({'; '.join(found)})" if found else ""
    where = "" if stack.area is None else " inside the area of interest"
    return f"no pixel has data in all images{where}{why}, so there is nothing to map; check nodata values and extents"


def _check_formats(outputs: Outputs, info: ModelInfo, options: ClassifyOptions) -> None:
    """Refuse options that the rasters cannot be written with, before any work is done."""
    fmt, class_ids = RasterFormat.of(options.format, options.co), [c.id for c in info.classes]
    dtype, nodata = map_encoding(class_ids)
    check_format(fmt, count=1, dtype=dtype, values=[nodata, *class_ids])
    stored = SCALED["dtype"] if options.scaled else "float32"
    for path, count in ((outputs.confidence, 1), (outputs.probabilities, len(class_ids))):
        if path is not None:
            check_format(fmt, count=count, dtype=stored)


def _tell_of_old(outputs: Outputs) -> None:
    """Warn of what an earlier map may have left beside the new one, which is not written now."""
    for path, beside in ((outputs.polygons, outputs.map.with_suffix(".gpkg")), (outputs.stac, outputs.stac_beside)):
        if path is None and beside.exists():
            logger.warning("%s is there from before and is not of the new map", beside)


def _check_stride(stride: int | None, largest: int) -> None:
    """Refuse a stride that the model was not trained for."""
    if stride is not None and stride > largest:
        raise UsageError(f"--stride is {stride}, and the model was trained for at most {largest}; take that or less")


def _check_scene(info: ModelInfo, stack: Stack) -> None:
    """Compare the scene with the one that the model was trained on."""
    statistics = band_statistics(sample_pixels(stack, values=FEW_VALUES, few_tiles=True))
    for bands, (layer, chosen) in zip(info.bands, stack.slices(), strict=True):
        check_values(bands, layer, low=statistics.low[chosen], high=statistics.high[chosen])
    same_crs = info.crs is not None and stack.grid.crs == CRS.from_wkt(info.crs)
    factor = max(max(a / b, b / a) for a, b in zip(info.res, stack.grid.res, strict=True))
    if same_crs and factor > RESOLUTION_FACTOR:
        logger.warning(
            "the model was trained on pixels of %.6g x %.6g and these have %.6g x %.6g: textures will look different",
            *info.res, *stack.grid.res,
        )  # fmt: skip


@dataclass(frozen=True)
class _Writers:
    """The open rasters of one classification."""

    map: RasterWriter
    confidence: RasterWriter | None
    probabilities: RasterWriter | None


@contextlib.contextmanager
def _open_writers(
    tmp: Outputs,
    unwanted: Path | None,
    stack: Stack,
    info: ModelInfo,
    *,
    tags: dict[str, str],
    options: ClassifyOptions,
) -> Iterator[_Writers]:
    """Open the rasters, and an unwanted confidence where polygons need one and none is asked for."""
    grid, fmt = stack.grid.crop(stack.extent), RasterFormat.of(options.format, options.co)
    stored: dict[str, Any] = {"tags": tags, "fmt": fmt, **(SCALED if options.scaled else {})}
    with contextlib.ExitStack() as opened:

        def create(dst_path: Path | None, band_names: list[str], **how: Any) -> RasterWriter | None:
            return None if dst_path is None else opened.enter_context(create_image(dst_path, grid, band_names, **how))

        yield _Writers(
            opened.enter_context(create_class_map(tmp.map, grid, info.classes, tags=tags, fmt=fmt)),
            create(tmp.confidence, ["confidence"], **stored) or create(unwanted, ["confidence"]),
            create(tmp.probabilities, [c.name for c in info.classes], **stored),
        )


def _fill(
    writers: _Writers, stack: Stack, engine: Engine, info: ModelInfo, *, options: ClassifyOptions, progress: Progress
) -> tuple[dict[int, int], int]:
    """Classify tile by tile and write; the number of pixels by class id, and of those without data."""
    writer = _PixelWriter(writers, stack, [c.id for c in info.classes])
    kind = engine.device.type
    tile_size = options.tile_size or TILE_SIZES[kind]
    extent, tiles = _tiles(stack, engine, tile_size=tile_size, smooth=options.smooth)
    smoother = Smoother((extent.height, extent.width)) if options.smooth else None

    def finish(window: Window, predicted: _Predicted | None) -> None:
        if smoother is None:
            if predicted is not None:
                writer.write(window, predicted.probs, predicted.valid)
            return
        row, col = window.row_off - extent.row_off, window.col_off - extent.col_off
        pieces = (
            smoother.skip(row, col, (window.height, window.width))
            if predicted is None
            else smoother.add(row, col, predicted.probs, predicted.guide, predicted.valid)
        )
        for row, col, probs, valid in pieces:
            height, width = valid.shape
            writer.write(Window(extent.col_off + col, extent.row_off + row, width, height), probs, valid)

    wanted = [window for window, is_wanted in tiles if is_wanted]
    progress("classifying", 0, len(wanted))
    rows = tiles[0][0].height + 2 * engine.margin
    with (
        stack.open(rows=rows, most_cache=CACHES[kind]) as opened,
        behind() as writing,
        _loaded(opened, engine, wanted) as loaded,
    ):
        done = 0
        for window, is_wanted in tiles:
            predicted = _predict(engine, next(loaded), smooth=options.smooth) if is_wanted else None
            writing.call(functools.partial(finish, window, predicted))
            done += is_wanted
            progress("classifying", done, len(wanted))
    return writer.pixels, writer.nodata_pixels


class _PixelWriter:
    """Writes probabilities as classes, and counts them.

    Attributes:
        nodata_pixels: pixels of the area of interest that have no data.
    """

    def __init__(self, writers: _Writers, stack: Stack, class_ids: list[int]) -> None:
        self._writers, self._extent, self._area = writers, stack.extent, stack.area
        self._ids = np.array(class_ids)
        self._dtype, self._nodata = map_encoding(class_ids)
        self._counts = np.zeros(len(class_ids), dtype=np.int64)
        self.nodata_pixels = 0

    @property
    def pixels(self) -> dict[int, int]:
        """Number of pixels written by class id."""
        return {int(class_id): int(count) for class_id, count in zip(self._ids, self._counts, strict=True)}

    def write(self, window: Window, predicted: Tensor, has_data: Tensor) -> None:
        """Write what of a window of the stack's grid lies in the area of interest.

        Args:
            window: the window.
            predicted: probabilities (num_classes, height, width).
            has_data: mask (height, width).
        """
        if not rasterio.windows.intersect(window, self._extent):
            return
        inside = np.ones(has_data.shape, dtype=bool) if self._area is None else self._area.mask(window)
        window, (rows, cols) = clip(window, self._extent)
        probs, inside = predicted.numpy()[:, rows, cols], inside[rows, cols]
        valid = inside & has_data.numpy()[rows, cols]
        self.nodata_pixels += int((inside & ~valid).sum())
        best = probs.argmax(axis=0)
        self._counts += np.bincount(best[valid], minlength=len(self._ids))
        values = np.where(valid, self._ids[best], self._nodata).astype(self._dtype)
        self._writers.map.write(values[None], window)
        probs[:, ~valid] = np.nan
        if self._writers.confidence is not None:
            self._writers.confidence.write(probs.max(axis=0, keepdims=True), window)
        if self._writers.probabilities is not None:
            self._writers.probabilities.write(probs, window)


def _tiles(stack: Stack, engine: Engine, *, tile_size: int, smooth: bool) -> tuple[Window, list[tuple[Window, bool]]]:
    """Tiles that cover the area of interest, made of whole cells of the raster.

    So the map depends neither on their size nor on the area.

    Returns:
        the window that they cover, and the tiles, row by row, each with whether it is to be classified.
    """
    reach, shape, unit = RADIUS if smooth else 0, stack.grid.shape, engine.cell_size
    extent = aligned(grown(stack.extent, shape, by=reach), shape, unit=unit)
    covered, offset = (extent.height, extent.width), (extent.row_off, extent.col_off)
    kept = stack.kept_blocks(CACHES[engine.device.type])
    block_shape = stack.image.finest.block_shape
    tile_shape = tile_shape_for(block_shape, covered, size=tile_size, unit=unit, halo=engine.margin, kept=kept)
    area = stack.area
    return extent, [
        (tile, area is None or bool(area.mask(grown(tile, shape, by=reach)).any()))
        for tile in iter_tiles(covered, tile_shape, offset=offset)
    ]


@dataclass(frozen=True)
class _Predicted:
    """What the network says of a tile.

    Attributes:
        probs: probabilities (num_classes, height, width).
        valid: mask (height, width) of the pixels that it was asked for.
        guide: what smoothing goes by; empty where there is none.
    """

    probs: Tensor
    valid: Tensor
    guide: Tensor


@dataclass(frozen=True)
class _Loaded:
    """A tile with its margin, where the engine computes.

    Attributes:
        image, aux: (bands, height, width), see `Engine.predict`.
        has_data: mask (height, width), on the CPU, True where no band of either is missing.
        inside: likewise of the area of interest, or None where all is of interest.
    """

    image: Tensor
    aux: Tensor | None
    has_data: Tensor
    inside: Tensor | None


@contextlib.contextmanager
def _loaded(opened: OpenStack, engine: Engine, windows: list[Window]) -> Iterator[Iterator[_Loaded]]:
    """The tiles of windows, the next one always under way."""
    read, load = functools.partial(opened.read, halo=engine.margin), functools.partial(_load, engine)
    with contextlib.closing(ahead(read, windows)) as tiles:
        if engine.device.type == "cpu":
            yield map(load, tiles)
            return
        with contextlib.closing(ahead(load, tiles)) as loaded:
            yield loaded


def _load(engine: Engine, tile: Tile) -> _Loaded:
    image, aux = tile.images.map(lambda part: engine.put(torch.from_numpy(part)))
    inside = None if tile.inside is None else torch.from_numpy(tile.inside)
    return _Loaded(image, aux, torch.from_numpy(tile.has_data), inside)


def _predict(engine: Engine, tile: _Loaded, *, smooth: bool) -> _Predicted:
    """Classify a tile without its margin; with smoothing, the surroundings of the area of interest too."""
    inner = slice(engine.margin, -engine.margin)
    valid = tile.has_data
    if tile.inside is not None:
        valid = valid & (around(tile.inside) if smooth else tile.inside)
    valid = valid[inner, inner]
    guide = guide_of(engine.network, tile.image, tile.aux)[:, inner, inner] if smooth else torch.empty(0)
    return _Predicted(engine.predict(tile.image, tile.aux, valid), valid, guide)


def _vectorise(
    source: Outputs, dst_path: Path, stack: Stack, info: ModelInfo, *, options: ClassifyOptions, progress: Progress
) -> None:
    """Write the polygons.

    Args:
        source: where the map, its confidence and the polygons are for now.
        dst_path: where the polygons will be, for messages.
        stack: what was classified.
        info: the model.
        options: of the classification.
        progress: told how far it is.
    """
    assert source.polygons is not None  # noqa: S101  the caller saw to it
    rows = 0

    def report(strip_rows: int) -> None:
        nonlocal rows
        rows += strip_rows
        progress("polygons", rows, stack.extent.height)

    try:
        # NOTE: closing the strips closes the rasters, which could not be removed while they are open on Windows.
        with contextlib.closing(iter_strips(source.map, source.confidence, mmu=options.mmu)) as strips:
            grid, nodata = stack.grid.crop(stack.extent), map_encoding([c.id for c in info.classes])[1]
            regions = map_regions(strips, grid, nodata=nodata, on_progress=report)
            write_polygons(source.polygons, regions, grid=grid, classes=info.classes, simplify=options.simplify)
    except OutputError as error:  # it knows the temporary name only
        raise OutputError(f"writing {dst_path} failed: {error.__cause__ or error}; nothing is left") from error
