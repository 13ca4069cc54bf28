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
import torch
from rasterio.crs import CRS

from s2fin_cli.device import keep_freed_memory, pick_device
from s2fin_cli.errors import OutputError, UsageError
from s2fin_cli.files import check_outputs, staged
from s2fin_cli.geo.classes import map_encoding
from s2fin_cli.geo.classmap import (
    RasterFormat,
    RasterWriter,
    check_format,
    create_class_map,
    create_probabilities,
    iter_strips,
)
from s2fin_cli.geo.stack import Stack, Tile, stack_of
from s2fin_cli.geo.statistics import band_statistics, sample_pixels
from s2fin_cli.geo.styles import raster_style
from s2fin_cli.geo.vectors import write_polygons
from s2fin_cli.geo.windows import aligned, clip, iter_tiles, tile_shape_for
from s2fin_cli.infer.background import ahead, behind
from s2fin_cli.infer.engine import Engine
from s2fin_cli.infer.outputs import Outputs, write_item
from s2fin_cli.modelfile import find_model, read_model
from s2fin_cli.modelfit import check_values, fit_stack
from s2fin_cli.modelinfo import ModelInfo
from s2fin_cli.progress import Progress, silent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from rasterio.windows import Window

    from s2fin_cli.config import ClassifyOptions
    from s2fin_cli.geo.classes import LandCoverClass

logger = logging.getLogger(__name__)

#: A map's resolution may differ from the training image's by this factor before the user is told.
RESOLUTION_FACTOR = 1.25


@dataclass(frozen=True)
class ClassifyResult:
    """What classification gave.

    Attributes:
        outputs: paths of the files that were written.
        model: path of the model that was used.
        pixels: number of pixels by class id.
        nodata_pixels: pixels that some needed image has no data for.
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
    fmt = RasterFormat(options.format, dict(option.split("=", 1) for option in options.co))
    check_format(fmt)
    model_path = find_model(options.model)
    check_outputs(outputs.wanted, overwrite=options.overwrite, inputs=[*options.inputs, model_path])
    network, info = read_model(model_path)
    _check_stride(options.stride, network.cfg.block_size)
    precision = getattr(torch, options.precision)
    engine = Engine(network, pick_device(options.device), stride=options.stride, precision=precision)
    keep_freed_memory()
    stack = fit_stack(info, stack_of(options))
    if options.simplify is not None:
        stack.grid.check_distance(options.simplify, "simplify")
    _check_scene(info, stack)
    tags = {"S2FIN_MODEL": model_path.name}
    with staged(outputs.wanted, overwrite=options.overwrite) as tmp_paths, _scratch(outputs.map) as scratch:
        tmp = outputs.at(tmp_paths)
        if tmp.polygons is not None and tmp.confidence is None:
            tmp = replace(tmp, confidence=scratch / "confidence.tif")  # polygons need it
        tmp.style.write_bytes(raster_style(info.classes))
        with _open_writers(tmp, stack, info, tags=tags, fmt=fmt, scaled=options.scaled) as writers:
            pixels = _fill(writers, stack, engine, info, tile_size=options.tile_size, progress=progress)
        if tmp.polygons is not None:
            try:
                _vectorise(tmp, stack, info, mmu=options.mmu, simplify=options.simplify, progress=progress)
            except OutputError as error:  # it knows the temporary name only
                raise OutputError(
                    f"writing {outputs.polygons} failed: {error.__cause__ or error}; nothing is left"
                ) from error
        if tmp.stac is not None:
            write_item(outputs, written=tmp, stack=stack, info=info, model_path=model_path, options=options)
    if not any(pixels.values()):
        logger.warning("no pixel has data in all images, so the map is empty")
    nodata_pixels = stack.extent.height * stack.extent.width - sum(pixels.values())
    return ClassifyResult(outputs, model_path, pixels, nodata_pixels, info.classes)


@contextlib.contextmanager
def _scratch(map_path: Path) -> Iterator[Path]:
    """A folder beside the map for what is needed only while it is made."""
    with tempfile.TemporaryDirectory(prefix=".s2fin.", dir=map_path.absolute().parent) as folder:
        yield Path(folder)


def _check_stride(stride: int, largest: int) -> None:
    """Refuse a stride that the model was not trained for."""
    if stride > largest:
        raise UsageError(f"--stride is {stride}, and the model was trained for at most {largest}; take that or less")


def _check_scene(info: ModelInfo, stack: Stack) -> None:
    """Compare the scene with the one that the model was trained on."""
    statistics = band_statistics(sample_pixels(stack))
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
    tmp: Outputs, stack: Stack, info: ModelInfo, *, tags: dict[str, str], fmt: RasterFormat, scaled: bool
) -> Iterator[_Writers]:
    grid, names = stack.grid.crop(stack.extent), [c.name for c in info.classes]
    with contextlib.ExitStack() as opened:

        def create(dst_path: Path | None, band_names: list[str]) -> RasterWriter | None:
            if dst_path is None:
                return None
            made = create_probabilities(dst_path, grid, band_names, tags=tags, fmt=fmt, scaled=scaled)
            return opened.enter_context(made)

        yield _Writers(
            opened.enter_context(create_class_map(tmp.map, grid, info.classes, tags=tags, fmt=fmt)),
            create(tmp.confidence, ["confidence"]),
            create(tmp.probabilities, names),
        )


def _fill(
    writers: _Writers, stack: Stack, engine: Engine, info: ModelInfo, *, tile_size: int, progress: Progress
) -> dict[int, int]:
    """Classify tile by tile and write; the number of pixels by class id."""
    ids = np.array([c.id for c in info.classes])
    dtype, nodata = map_encoding(ids.tolist())
    counts = np.zeros(len(ids), dtype=np.int64)

    def write(tile_window: Window, probs: NDArray[np.float32], valid: NDArray[np.bool_]) -> None:
        window, (rows, cols) = clip(tile_window, stack.extent)
        probs, valid = probs[:, rows, cols], valid[rows, cols]
        best = probs.argmax(axis=0)
        counts[:] += np.bincount(best[valid], minlength=len(ids))
        writers.map.write(np.where(valid, ids[best], nodata).astype(dtype)[None], window)
        probs[:, ~valid] = np.nan
        if writers.confidence is not None:
            writers.confidence.write(probs.max(axis=0, keepdims=True), window)
        if writers.probabilities is not None:
            writers.probabilities.write(probs, window)

    windows = _tiles(stack, tile_size=tile_size, unit=engine.cell_size)
    progress("classifying", 0, len(windows))
    with stack.open() as opened, behind() as writing:
        read = functools.partial(opened.read, halo=engine.margin)
        with contextlib.closing(ahead(read, windows)) as tiles:
            for done, (window, tile) in enumerate(zip(windows, tiles, strict=True), start=1):
                writing.call(functools.partial(write, window, *_predict(engine, tile)))
                progress("classifying", done, len(windows))
    return {int(class_id): int(count) for class_id, count in zip(ids, counts, strict=True)}


def _tiles(stack: Stack, *, tile_size: int, unit: int) -> list[Window]:
    """Tiles that cover the area of interest, made of whole cells of the raster.

    So the map depends neither on their size nor on the area.
    """
    extent = aligned(stack.extent, stack.grid.shape, unit=unit)
    shape, offset = (extent.height, extent.width), (extent.row_off, extent.col_off)
    tile_shape = tile_shape_for(stack.image.finest.block_shape, shape, size=tile_size, unit=unit)
    tiles = iter_tiles(shape, tile_shape, offset=offset)
    return [tile for tile in tiles if stack.area is None or stack.area.mask(tile).any()]


def _predict(engine: Engine, tile: Tile) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Probabilities (classes, height, width) of a tile without its margin, and where they are valid."""
    inner = slice(engine.margin, -engine.margin)
    valid = tile.valid[inner, inner]
    aux = None if tile.aux is None else torch.from_numpy(tile.aux)
    probs = engine.predict(torch.from_numpy(tile.image), aux, torch.from_numpy(valid))
    return probs.numpy(), valid


def _vectorise(
    tmp: Outputs, stack: Stack, info: ModelInfo, *, mmu: int, simplify: float | None, progress: Progress
) -> None:
    assert tmp.polygons is not None  # noqa: S101  the caller saw to it
    rows = 0

    def report(strip_rows: int) -> None:
        nonlocal rows
        rows += strip_rows
        progress("polygons", rows, stack.extent.height)

    # NOTE: closing the strips closes the rasters, which could not be removed while they are open on Windows.
    with contextlib.closing(iter_strips(tmp.map, tmp.confidence, mmu=mmu)) as strips:
        write_polygons(
            tmp.polygons,
            strips,
            grid=stack.grid.crop(stack.extent),
            classes=info.classes,
            simplify=simplify,
            nodata=map_encoding([c.id for c in info.classes])[1],
            on_progress=report,
        )
