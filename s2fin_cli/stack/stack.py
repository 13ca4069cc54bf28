"""The stack: the passive image's grid, and every modality readable on it by window.

Training asks a stack for patches and inference asks it for tiles; neither knows a file, a CRS or a resampling method.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from rasterio.enums import Resampling
from rasterio.windows import Window

from s2fin_cli.core.errors import GeoreferencingError, RasterError, UsageError, quoted, shortened
from s2fin_cli.geo.grid import Grid, crs_name
from s2fin_cli.geo.transformation import (
    Placed,
    bounds_on,
    check_transformable,
    check_without_crs,
    resolution_on,
    share_covered,
    tell_of_accuracy,
)
from s2fin_cli.raster.read import (
    LEAST_CACHE,
    MOST_CACHE,
    JoinedReader,
    RasterInfo,
    WindowReader,
    check_placed,
    describe_scaling,
    environment,
    open_on_grid,
    read_info,
)
from s2fin_cli.stack.coregistration import Displacement, check_installed, find_displacement
from s2fin_cli.stack.fill import Fill, find_fill, find_voids
from s2fin_cli.vector.area import Area, read_area

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from s2fin_cli.core.options import InputOptions

logger = logging.getLogger(__name__)

R = TypeVar("R")

#: The modalities in the order in which they are stacked; the first one given of the first two is the passive image.
MODALITIES = ("hsi", "msi", "lidar", "dsm", "sar")
PASSIVE_MODALITIES = MODALITIES[:2]
#: Modalities whose values are heights: those that a file declares in feet are read in metres.
HEIGHT_MODALITIES = ("lidar", "dsm")
#: Metres of the units of heights, in lower case as files name them; others are left as they are.
METRES = dict.fromkeys(("ft", "foot", "feet", "international foot", "international feet"), 0.3048) | dict.fromkeys(
    ("us survey foot", "us survey feet", "us-ft", "ftus", "us_survey_foot", "foot_us", "sft"), 1200 / 3937
)
#: A second image that covers this share of the passive one lacks no more than an edge, which is no cause for warning.
MOST_OF_IT = 0.99
#: Rows of pixels that are read at a time, where nobody says how many.
ROWS = 256
#: Threads at most that read scattered windows.
MOST_THREADS = 8


@dataclass(frozen=True)
class Layer:
    """The bands in use of one modality.

    Attributes:
        modality: one of `MODALITIES`.
        rasters: its rasters; their data bands are counted through, from 1.
        numbers: of the bands in use, in the order in which they are read.
        is_chosen: whether the user chose them.
        shift: columns and rows of the passive image's grid by which what it shows lies right of and below what the
            passive image does; it is read from there.
        fill: what all bands in use hold, as stored, where there is no data, besides what the files say; None for no
            such value.
        nodata: likewise what any single band holds where it has no data.
        as_stored: whether values are read as they are stored, without the scales and offsets that the files declare.
        option: that it was given with, for messages, where it is not named like the modality.
    """

    modality: str
    rasters: tuple[RasterInfo, ...]
    numbers: tuple[int, ...]
    is_chosen: bool = False
    shift: tuple[float, float] = (0.0, 0.0)
    fill: float | None = None
    nodata: float | None = None
    as_stored: bool = False
    option: str | None = None

    @classmethod
    def of(cls, modality: str, rasters: Sequence[RasterInfo]) -> Layer:
        """All data bands of rasters."""
        return cls(modality, tuple(rasters), tuple(range(1, sum(info.count for info in rasters) + 1)))

    @property
    def finest(self) -> RasterInfo:
        """The raster with the smallest pixels, the first of equals."""
        first = self.rasters[0]
        if len(self.rasters) == 1 or any(info.grid.crs is None for info in self.rasters):
            return first
        return min(self.rasters, key=lambda info: round(float(np.prod(resolution_on(info.grid, first.grid))), 12))

    @property
    def count(self) -> int:
        """Number of data bands of all rasters."""
        return sum(info.count for info in self.rasters)

    @property
    def dtype(self) -> str:
        """Data type of the first raster."""
        return self.rasters[0].dtype

    @property
    def band_names(self) -> tuple[str, ...]:
        """Descriptions of the bands in use, empty where there is none."""
        names = [name for info in self.rasters for name in info.band_names]
        return tuple(names[number - 1] for number in self.numbers)

    @property
    def wavelengths(self) -> tuple[float, ...] | None:
        """Centre wavelengths in nanometres of the bands in use, or None where not all are known."""
        found = tuple(self.known_wavelengths.values())
        return found if len(found) == len(self.numbers) else None

    @property
    def known_wavelengths(self) -> dict[int, float]:
        """Centre wavelengths in nanometres by number of those bands in use of which they are known."""
        places = [place for info in self.rasters for place in info.wavelengths or [None] * info.count]
        return {number: place for number in self.numbers if (place := places[number - 1]) is not None}

    @property
    def scaling(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Declared scales and offsets of the bands in use, float64 (bands,) each: value = stored * scale + offset.

        Those of heights that are declared in feet give metres.
        """
        scales = np.array([scale for info in self.rasters for scale in info.scales])
        offsets = np.array([offset for info in self.rasters for offset in info.offsets])
        chosen, metres = np.array(self.numbers, dtype=np.int64) - 1, self._metres
        return (scales * metres)[chosen], (offsets * metres)[chosen]

    @property
    def _metres(self) -> NDArray[np.float64]:
        """Metres of a unit of each data band's values, float64 (bands,); 1 where that is not known."""
        units = [unit for info in self.rasters for unit in info.units]
        is_height = self.modality in HEIGHT_MODALITIES
        return np.array([METRES.get(unit.lower(), 1.0) if is_height else 1.0 for unit in units])

    @property
    def is_in_feet(self) -> bool:
        """Whether heights of a band in use are declared in feet."""
        return bool((self._metres[np.array(self.numbers, dtype=np.int64) - 1] != 1).any())

    @property
    def colors(self) -> tuple[str, ...]:
        """What colour the bands in use are marked as, empty where it is none."""
        names = [name for info in self.rasters for name in info.colors]
        return tuple(names[number - 1] for number in self.numbers)

    @property
    def is_scaled(self) -> bool:
        """Whether the files declare a scale other than 1 or an offset other than 0 for a band in use."""
        scales, offsets = self.scaling
        return bool((scales != 1).any() or (offsets != 0).any())

    @property
    def bad_numbers(self) -> tuple[int, ...]:
        """Numbers of the bands in use that a file declares bad."""
        declared = [index in info.bad_indexes for info in self.rasters for index in info.indexes]
        return tuple(number for number in self.numbers if declared[number - 1])

    def select(self, numbers: Sequence[int]) -> Layer:
        """The same rasters with other bands in use."""
        return replace(self, numbers=tuple(numbers))

    def without(self, numbers: Collection[int]) -> Layer:
        """The same rasters with fewer bands in use."""
        return self.select([number for number in self.numbers if number not in numbers])

    def sources(self) -> Iterator[tuple[RasterInfo, tuple[int, ...], list[int]]]:
        """Each raster in use, the indexes of its bands in use, and their places among all bands in use."""
        start = 0
        for info in self.rasters:
            places = [place for place, number in enumerate(self.numbers) if start < number <= start + info.count]
            if places:
                yield info, tuple(info.indexes[self.numbers[place] - start - 1] for place in places), places
            start += info.count

    def describe(self) -> str:
        """Option and path for messages."""
        more = f" (and {len(self.rasters) - 1} more)" if len(self.rasters) > 1 else ""
        return f"{self.describe_file(self.rasters[0])}{more}"

    def describe_file(self, info: RasterInfo) -> str:
        """Option and path of one of the rasters for messages."""
        return f"--{self.option or self.modality} {info.src_path}"

    def describe_bands(self, numbers: Sequence[int]) -> str:
        """Some bands for messages: their numbers, or their files too where there are several."""
        if len(self.rasters) == 1:
            return shortened(_runs(numbers))
        files = [(info, index) for info in self.rasters for index in info.indexes]
        found = [files[number - 1] for number in numbers]
        return shortened(
            [info.src_path if info.count == 1 else f"{info.src_path} band {index}" for info, index in found]
        )


def _runs(numbers: Sequence[int]) -> list[str]:
    """Numbers as texts, three or more in a row as "first..last"."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return [
        text for run in runs for text in ([f"{run[0]}..{run[-1]}"] if len(run) > 2 else [str(number) for number in run])
    ]


@dataclass(frozen=True)
class Tile:
    """Values of all modalities in one window.

    Attributes:
        image: passive image, float32 (bands, height, width), NaN where it has no data.
        aux: second image likewise, all its modalities' bands stacked, or None where there is none.
        inside: mask (height, width) of the area of interest, or None where all is of interest.
    """

    image: NDArray[np.float32]
    aux: NDArray[np.float32] | None
    inside: NDArray[np.bool_] | None = None

    @property
    def has_data(self) -> NDArray[np.bool_]:
        """Mask (height, width), True where every band of every modality has data."""
        parts = [self.image] if self.aux is None else [self.image, self.aux]
        return np.asarray(np.logical_and.reduce([np.isfinite(part).all(axis=0) for part in parts]))

    @property
    def valid(self) -> NDArray[np.bool_]:
        """Mask (height, width), True inside the area of interest where every band of every modality has data."""
        return self.has_data if self.inside is None else self.has_data & self.inside


@dataclass(frozen=True)
class Stack:
    """Co-located modalities on the passive image's grid.

    Attributes:
        image: the passive image, which is never resampled.
        aux: the other modalities, warped onto the passive image's grid.
        resampling: method of the warp, None for the default by resolution.
        area: the area of interest, None where it is all of the grid. The modalities can be read beyond it.
    """

    image: Layer
    aux: tuple[Layer, ...] = ()
    resampling: Resampling | None = None
    area: Area | None = None

    @property
    def grid(self) -> Grid:
        """The passive image's grid, that of its finest raster."""
        return self.image.finest.grid

    @property
    def extent(self) -> Window:
        """The window of the grid that holds the area of interest."""
        return self.grid.window if self.area is None else self.area.window

    @property
    def layers(self) -> tuple[Layer, ...]:
        """All modalities, the passive image first."""
        return (self.image, *self.aux)

    def slices(self) -> Iterator[tuple[Layer, slice]]:
        """Each modality with the place of its bands among the bands of all."""
        start = 0
        for layer in self.layers:
            yield layer, slice(start, start + len(layer.numbers))
            start += len(layer.numbers)

    def shifted(self, cols: float, rows: float) -> Stack:
        """The stack with all other modalities shifted."""
        return replace(self, aux=tuple(replace(layer, shift=(cols, rows)) for layer in self.aux))

    @contextlib.contextmanager
    def open(self, *, rows: int = ROWS, most_cache: int = MOST_CACHE) -> Iterator[OpenStack]:
        """Open all rasters and give what reads them window by window.

        Args:
            rows: of the windows that will be read.
            most_cache: bytes that GDAL may keep of what it decodes.
        """
        with environment(self._cache(rows, most_cache)), contextlib.ExitStack() as opened:
            readers = [self._open_layer(layer, opened) for layer in self.layers]
            yield OpenStack(self.grid, readers[0], readers[1:], self.area)

    def read_scattered(self, windows: Sequence[Window], function: Callable[[Tile], R]) -> list[R]:
        """Give what a function makes of the tiles of windows that lie far apart, in their order.

        Such windows share no blocks, and hold too few each for GDAL to decode them side by side; so several threads
        read them, each its own rasters.
        """
        count = min(len(windows), os.cpu_count() or 1, MOST_THREADS)
        ends = np.linspace(0, len(windows), count + 1).round().astype(int)

        def read_some(opened: OpenStack, start: int, end: int) -> list[R]:
            return [function(opened.read(window)) for window in windows[start:end]]

        with contextlib.ExitStack() as all_opened, ThreadPoolExecutor(count) as pool:
            # NOTE: not opened in the threads, as keeping warnings quiet is not for several at a time
            stacks = [all_opened.enter_context(self.open()) for _ in range(count)]
            return [result for part in pool.map(read_some, stacks, ends, ends[1:]) for result in part]

    def kept_blocks(self, cache: int) -> float:
        """Blocks of the passive image's finest raster, all bands, that so many bytes of cache hold."""
        bands = [(info.count, np.dtype(info.dtype).itemsize) for info in self.image.rasters]
        return cache / (math.prod(self.image.finest.block_shape) * sum(count * size for count, size in bands))

    def _cache(self, rows: int, most: int) -> int:
        """Bytes that GDAL is to keep of what it decodes: the blocks that a row of windows lies in.

        Some of them the next row shares. Not more, so that memory does not grow with the raster's height.
        """
        needed = 0
        for info in (info for layer in self.layers for info, _, _ in layer.sources()):
            height, width = info.block_shape
            kept = (-(-rows // height) + 1) * height, -(-info.grid.width // width) * width
            needed += math.prod(kept) * info.count * np.dtype(info.dtype).itemsize
        return min(max(needed, LEAST_CACHE), most)

    def _open_layer(self, layer: Layer, opened: contextlib.ExitStack) -> WindowReader:
        readers, places = [], []
        grid = self.grid.moved(*layer.shift) if any(layer.shift) else self.grid
        for info, indexes, at in layer.sources():
            context = open_on_grid(
                info.src_path,
                grid,
                indexes=indexes,
                resampling=self.resampling,
                alpha_indexes=info.alpha_indexes,
                nodata=layer.nodata,
            )
            readers.append(opened.enter_context(context))
            places += at
        reader = readers[0] if len(readers) == 1 else JoinedReader(readers, np.argsort(places))
        if layer.fill is not None:
            reader = _FilledReader(reader, layer.fill)
        return reader if layer.as_stored or not layer.is_scaled else _ScaledReader(reader, *layer.scaling)


@dataclass(frozen=True)
class _FilledReader:
    """Reads NaN where all bands hold a value."""

    reader: WindowReader
    value: float

    def read(self, window: Window) -> NDArray[np.float32]:
        values = self.reader.read(window)
        values[:, (values == np.float32(self.value)).all(axis=0)] = np.nan
        return values


@dataclass(frozen=True)
class _ScaledReader:
    """Reads what stored values mean: times a scale, plus an offset, float64 (bands,) each."""

    reader: WindowReader
    scales: NDArray[np.float64]
    offsets: NDArray[np.float64]

    def read(self, window: Window) -> NDArray[np.float32]:
        values = self.reader.read(window)
        for band, scale, offset in zip(values, self.scales, self.offsets, strict=True):
            if (scale, offset) != (1, 0):
                band[:] = band * scale + offset  # in float64
        return values


@dataclass(frozen=True)
class OpenStack:
    """An open stack."""

    grid: Grid
    image: WindowReader
    aux: Sequence[WindowReader]
    area: Area | None = None

    def read(self, window: Window, *, halo: int = 0) -> Tile:
        """Read a window with a halo around it.

        Beyond the raster's edge the values are mirrored, so that what is read for a pixel does not depend on the
        window it is read with.

        Args:
            window: inside the grid.
            halo: pixels to add on each side.

        Returns:
            arrays (bands, height + 2 halo, width + 2 halo); nothing beyond the edge is inside the area of interest.
        """
        inner, padding = _clip(window, halo, self.grid)
        parts = [_mirrored(reader.read(inner), padding) for reader in (self.image, *self.aux)]
        inside = None if self.area is None else np.pad(self.area.mask(inner), padding[1:])
        return Tile(parts[0], np.concatenate(parts[1:]) if parts[1:] else None, inside)


def _mirrored(values: NDArray[np.float32], padding: tuple[tuple[int, int], ...]) -> NDArray[np.float32]:
    """Values with so many mirrored ones added before and behind each axis; themselves where that is none."""
    return np.pad(values, padding, mode="symmetric") if np.any(padding) else values


def _clip(window: Window, halo: int, grid: Grid) -> tuple[Window, tuple[tuple[int, int], ...]]:
    """The part of a window with halo that lies in the grid, and what `np.pad` must add to it."""
    top, left = window.row_off - halo, window.col_off - halo
    bottom, right = window.row_off + window.height + halo, window.col_off + window.width + halo
    row_off, col_off = max(top, 0), max(left, 0)
    inner = Window(col_off, row_off, min(right, grid.width) - col_off, min(bottom, grid.height) - row_off)
    rows = (row_off - top, max(bottom - grid.height, 0))
    cols = (col_off - left, max(right - grid.width, 0))
    return inner, ((0, 0), rows, cols)


def build_stack(
    src_paths: Mapping[str, Sequence[str]],
    *,
    choice: Mapping[str, Sequence[int]] | None = None,
    resampling: Resampling | None = None,
    passive_option: str | None = None,
) -> Stack:
    """Put the given rasters into a stack and check that they go together.

    Args:
        src_paths: paths by modality, see `MODALITIES`.
        choice: numbers of the bands to use by modality, counted through its rasters; all bands of others are used.
        resampling: method of the warp, None for the default by resolution.
        passive_option: that the passive image was given with, where it is not named like its modality.

    Raises:
        RasterError: no passive image, a raster that cannot be read, or a band that is not there.
        GeoreferencingError: grids, CRS or extents that do not go together.
    """
    given = {modality: src_paths[modality] for modality in MODALITIES if src_paths.get(modality)}
    if not any(modality in given for modality in PASSIVE_MODALITIES):
        raise RasterError("no passive image was given; name it with --hsi or --msi")
    layers = [
        _choose(Layer.of(modality, [_read_info(path) for path in paths]), (choice or {}).get(modality))
        for modality, paths in given.items()
    ]
    layers[0] = replace(layers[0], option=passive_option)
    for layer in layers:
        if layer.is_in_feet:
            logger.info("%s: its heights are declared in feet and are read in metres", layer.describe())
    image, *aux = layers
    reference = image.finest
    _check_passive(reference, image.describe_file(reference))
    for layer in layers:
        for info in layer.rasters:
            if info is not reference:
                names = image.describe_file(reference), layer.describe_file(info)
                _check_together(reference, info, names=names)
    return Stack(image, tuple(aux), resampling)


def stack_of(options: InputOptions) -> Stack:
    """The stack that options describe.

    Raises:
        RasterError, GeoreferencingError: as `build_stack`.
        AreaError: as `read_area`.
        UsageError: as `coregister`.
    """
    resampling = None if options.resampling is None else Resampling[options.resampling]
    stack = build_stack(
        options.src_paths, choice=options.band_choice, resampling=resampling, passive_option=options.passive_option
    )
    _check_resampling(stack)
    stack, fill = _with_nodata(stack, options.nodata_values)
    _warn_of_voids(stack, except_for=fill)
    aoi = None if options.aoi is None else str(options.aoi)
    stack = replace(stack, area=read_area(stack.grid, bounds=options.bounds, src_path=aoi))
    return coregister(stack)[0] if options.coregister == "shift" else stack


def _check_resampling(stack: Stack) -> None:
    """Refuse a resampling of stored values that is another one of the values that they stand for."""
    for layer in stack.aux:
        scales, offsets = layer.scaling
        name = None if stack.resampling is None else stack.resampling.name
        if (name == "rms" and (offsets != 0).any()) or (name in ("q1", "q3") and (scales < 0).any()):
            raise UsageError(
                f"--resampling {name} cannot be taken for {layer.describe()}, whose values are declared with "
                f"{describe_scaling(scales, offsets)}; take another method, or write the values out first: "
                "gdal_translate -unscale -ot Float32"
            )


def _with_nodata(stack: Stack, given: Mapping[str, float | None]) -> tuple[Stack, Fill | None]:
    """The stack with the nodata values that were given or found, and what fills the passive image's border."""
    image, fill = stack.image, None
    # NOTE: to s2fin align the passive image is only a grid
    if image.modality in given or image.option is not None:
        image = replace(image, fill=given.get(image.modality))
    elif (fill := find_fill(stack)) is not None:
        _warn_of_fill(image, fill)
        image = replace(image, fill=None if fill.is_declared_otherwise else fill.value)
    aux = tuple(replace(layer, nodata=given.get(layer.modality)) for layer in stack.aux)
    return replace(stack, image=image, aux=aux), fill


def _warn_of_voids(stack: Stack, *, except_for: Fill | None) -> None:
    """Warn of values that look like voids, except for what the passive image's border is known to be filled with."""
    for layer, void in find_voids(stack):
        if layer.modality == stack.image.modality and except_for is not None and void.value == except_for.value:
            continue
        logger.warning(
            "%s: %.1f %% of the pixels hold %g in band %s, far from all other values (%g to %g), and it is no declared "
            "nodata value; if these pixels have no data, give --nodata %s:%g",
            layer.describe(), 100 * void.share, void.value, layer.describe_bands(void.numbers), *void.others,
            layer.modality, void.value,
        )  # fmt: skip


def _warn_of_fill(image: Layer, fill: Fill) -> None:
    """Say what is made of a value that fills the passive image's border."""
    share = f"{100 * fill.share:.1f} % of the pixels"
    found = f"{image.describe()}: {share} hold {fill.value:g} in all bands, on the border too"
    if fill.is_declared_otherwise:
        logger.warning(
            "%s, although the file says otherwise what has no data; if these pixels have none either, give "
            "--nodata %s:%g", found, image.modality, fill.value,
        )  # fmt: skip
    else:
        logger.warning(
            "%s, and no nodata value is declared; they are taken for no data (--nodata none keeps them)", found
        )


def coregister(stack: Stack) -> tuple[Stack, list[Displacement]]:
    """Find how far each other modality lies off the passive image, and shift those for which that is certain.

    Returns:
        the stack, and what was found, one entry a modality.

    Raises:
        UsageError: scikit-image is not installed.
        GeoreferencingError: the images have no CRS, so that none can be warped.
    """
    check_installed()
    if stack.aux and stack.grid.crs is None:
        raise GeoreferencingError(
            f"{stack.image.describe()} has no CRS, so no image can be shifted onto it; assign one first"
        )
    layers, found = [], []
    for layer in stack.aux:
        alone = replace(stack, aux=(layer,), area=None)
        displacement = find_displacement(lambda *shift, alone=alone: alone.shifted(*shift).open())
        layers.append(
            replace(layer, shift=(displacement.cols, displacement.rows)) if displacement.is_certain else layer
        )
        found.append(displacement)
        _tell_of_displacement(layer, displacement)
    return replace(stack, aux=tuple(layers)), found


def _tell_of_displacement(layer: Layer, found: Displacement) -> None:
    share, windows = 100 * found.confidence, len(found.agrees)
    if found.is_certain:
        logger.info(
            "%s: shifted by %+.2f columns and %+.2f rows, as %.0f %% of %d windows agree; the edges' correlation goes "
            "from %.2f to %.2f",
            layer.describe(), -found.cols, -found.rows, share, windows, found.before, found.after,
        )  # fmt: skip
    else:
        level = logging.INFO if found.fits else logging.WARNING
        logger.log(level, "%s: not shifted, as %s", layer.describe(), found.doubt)


def _read_info(src_path: str) -> RasterInfo:
    info = read_info(src_path)
    for index in info.alpha_indexes:
        logger.warning(
            "band %d of %s is marked as alpha and is taken as a mask; if it is data: "
            "gdal_edit.py -colorinterp_%d undefined %s", index, src_path, index, quoted(src_path),
        )  # fmt: skip
    for doubt in info.doubts:
        logger.warning("%s", doubt)
    for index in info.alpha_data_indexes:
        logger.warning(
            "band %d of %s is marked as alpha and is used as data, as it holds too many values for a mask; to leave it "
            "out, choose the others with -b", index, src_path,
        )  # fmt: skip
    return info


def _choose(layer: Layer, numbers: Sequence[int] | None) -> Layer:
    """The layer with the bands that the user chose, or all of them."""
    if numbers is None:
        return layer
    missing = [number for number in numbers if number > layer.count]
    if missing:
        raise RasterError(
            f"band {missing[0]} of {layer.describe()} was asked for, and there are {layer.count}; give others with -b"
        )
    return replace(layer, numbers=tuple(numbers), is_chosen=True)


def _check_passive(info: RasterInfo, name: str) -> None:
    check_placed(info, name)
    grid = info.grid
    if grid.is_rotated:
        a, b, _, d, e, _ = grid.transform[:6]
        raise GeoreferencingError(
            f"{name} has a rotated grid (a={a:.6g}, b={b:.6g}, d={d:.6g}, e={e:.6g}); "
            "make it north-up first with: gdalwarp -r near IN.tif OUT.tif"
        )
    if grid.crs is None:
        logger.warning("%s has no CRS; the map will have none either", name)


def _check_together(image: RasterInfo, other: RasterInfo, *, names: tuple[str, str]) -> None:
    """Refuse what cannot be co-registered; warn of what can be in part only.

    Args:
        image: the raster whose grid is the map's.
        other: another one.
        names: both, for messages.
    """
    image_name, other_name = names
    check_placed(other, other_name)
    grid, own = image.grid, other.grid
    if (grid.crs is None) != (own.crs is None):
        parts = [(image_name, image), (other_name, other)]
        (with_crs, first), (without, second) = parts if own.crs is None else parts[::-1]
        raise GeoreferencingError(
            f"{without} has no CRS but {with_crs} has {crs_name(first.grid.crs)}; "
            f"if it is the same, assign it with: gdal_edit.py -a_srs CODE {quoted(second.src_path)}"
        )
    if grid.crs is None:
        check_without_crs(grid, own, names=(image_name, other_name))
        return
    placed = Placed(other_name, other.src_path, own.crs)
    check_transformable(placed, Placed(image_name, image.src_path, grid.crs))
    covered = share_covered(grid, own)
    if covered == 0:
        left, bottom, right, top = bounds_on(own, grid)
        target = grid.bounds
        raise GeoreferencingError(
            f"{other_name} does not overlap {image_name}: in {crs_name(grid.crs)} it covers "
            f"x {left:.10g} to {right:.10g}, y {bottom:.10g} to {top:.10g}, and the image "
            f"x {target.left:.10g} to {target.right:.10g}, y {target.bottom:.10g} to {target.top:.10g}"
        )
    if covered < 1:
        logger.log(
            logging.WARNING if covered < MOST_OF_IT else logging.INFO,
            "%s covers %.1f %% of %s; the rest of the map will have no data",
            other_name, 100 * covered, image_name,
        )  # fmt: skip
    tell_of_accuracy(placed, grid)
