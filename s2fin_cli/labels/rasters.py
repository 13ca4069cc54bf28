"""Label rasters: their labelled pixels on a grid, some rows at a time."""

from __future__ import annotations

import contextlib
import logging
from collections import Counter
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from rasterio.enums import Resampling
from rasterio.env import getenv, hasenv
from rasterio.windows import Window

from s2fin_cli.core.classes import MAX_CLASS_ID, check_class_ids, make_classes
from s2fin_cli.core.errors import LabelError, edit_info
from s2fin_cli.core.figures import number_of
from s2fin_cli.geo.accuracy import warn_of_inaccuracy
from s2fin_cli.geo.extents import check_without_crs
from s2fin_cli.geo.transformation import Placed, check_transformable
from s2fin_cli.geo.windows import iter_tiles, row_ranges
from s2fin_cli.labels.finer_rasters import UNLABELLED, with_unlabelled
from s2fin_cli.labels.pixels import Found, counted
from s2fin_cli.labels.rules import OutsideError, warn_of_other_classes
from s2fin_cli.raster.class_ids import check_class_raster, no_class_number
from s2fin_cli.raster.class_names import read_class_names
from s2fin_cli.raster.opening import LEAST_CACHE, MOST_CACHE, environment
from s2fin_cli.raster.warp import default_resampling, open_on_grid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from s2fin_cli.core.classes import LandCoverClass
    from s2fin_cli.geo.grid import Grid
    from s2fin_cli.labels.limits import Limits
    from s2fin_cli.labels.rules import LabelRules
    from s2fin_cli.raster.raster_info import RasterInfo
    from s2fin_cli.raster.readers import WindowReader

logger = logging.getLogger(__name__)

#: Pixels of a row of a label raster's blocks that are kept at most.
MOST_BLOCK_PIXELS = 1 << 23


class RasterLabels:
    """Labels of a raster on the grid; its nodata value, or 0 where it has none, is no label.

    Attributes:
        is_finer: whether they are so much finer than the grid that a pixel gets the class that covers most of it, and
            not the nearest one.
    """

    kind, ids_are_given, group_count, field = "raster", True, 1, None

    def __init__(
        self, info: RasterInfo, grid: Grid, classes: tuple[LandCoverClass, ...] | None, limits: Limits
    ) -> None:
        self._info, self._grid, self._table, self._limits = info, grid, classes, limits
        self._unlabelled, self.is_finer = _unlabelled(info), _is_finer(info, grid)
        if self.is_finer and self._unlabelled != 0:
            self._unlabelled = UNLABELLED
        self._strange: Counter[int] = Counter()

    @property
    def src_path(self) -> str:
        """The raster."""
        return self._info.src_path

    @cached_property
    def names(self) -> dict[int, str]:
        """Names by class number, as the raster declares them."""
        return read_class_names(self._info.src_path)

    @property
    def strips(self) -> list[tuple[int, int]]:
        """Rows of few enough pixels."""
        height, rows = self._grid.height, max(self._limits.strip_pixels // self._grid.width, 1)
        return row_ranges(height, rows)

    @contextlib.contextmanager
    def open(self) -> Iterator[Callable[[int, int], Found]]:
        """The reader of the labelled pixels of rows from a first to a last one (exclusive)."""
        info, grid = self._info, self._grid
        # NOTE: strips share rows of blocks; those of small values GDAL keeps decoded, others would take much memory
        is_kept = np.dtype(info.dtype).itemsize > 2 and grid.matches(info.grid)
        is_kept &= info.block_shape[0] * grid.width <= MOST_BLOCK_PIXELS
        with (
            environment(None if is_kept else _cache_for(info)),
            self._reader() as reader,
        ):
            rows = (
                _BlockRows(reader, grid, info.block_shape[0], self._limits.strip_pixels)
                if is_kept
                else _PlainRows(reader, grid)
            )
            yield lambda start, stop: self._found(rows.read(start, stop), start)

    @contextlib.contextmanager
    def _reader(self) -> Iterator[WindowReader]:
        """The reader of the labels on the grid."""
        info, grid = self._info, self._grid
        with contextlib.ExitStack() as opened:
            name, indexes, alphas = info.src_path, info.indexes, info.alpha_indexes
            if self.is_finer:
                name = opened.enter_context(with_unlabelled(info, grid, number=self._unlabelled))
                indexes, alphas = (1,), ()
            resampling = Resampling.mode if self.is_finer else Resampling.nearest
            yield opened.enter_context(
                open_on_grid(name, grid, indexes=indexes, resampling=resampling, alpha_indexes=alphas)
            )

    def _found(self, values: NDArray[np.float32], start: int) -> Found:
        """The labelled pixels among values (rows, width)."""
        width, values = self._grid.width, values.ravel()
        at = np.flatnonzero(np.isfinite(values) & (values != self._unlabelled))
        values = values[at]
        rows, cols = at // width + start, at % width
        self._check_numbers(values, rows, cols=cols)
        class_ids = values.astype(np.int64)
        if self._table is not None:
            known = np.isin(class_ids, [c.id for c in self._table], kind="table")
            self._strange.update(counted(class_ids[~known]))
            rows, cols, class_ids = rows[known], cols[known], class_ids[known]
        return rows, cols, class_ids, np.zeros_like(rows)

    def _check_numbers(self, values: NDArray[np.float32], rows: NDArray[np.int64], *, cols: NDArray[np.int64]) -> None:
        """Refuse values that are not class numbers."""
        if not len(values):
            return
        broken = np.flatnonzero(values != np.rint(values))
        if len(broken):
            first, src_path = broken[0], self._info.src_path
            raise LabelError(
                no_class_number(src_path, values[first], f"row {rows[first]}, column {cols[first]} of the image")
            )
        if values.min() < 0 or values.max() > MAX_CLASS_ID:
            check_class_ids(np.unique(values))

    def _warn_of_filling(self, totals: Counter[int]) -> None:
        """Warn of the highest number of the data type where it has most labels and no nodata value is declared."""
        info = self._info
        highest = int(np.iinfo(info.dtype).max) if np.issubdtype(np.dtype(info.dtype), np.integer) else -1
        share = totals[highest] / max(totals.total(), 1)
        if info.nodata is None and not info.has_mask and self._table is None and share > 0.5:
            logger.warning(
                "%s: %.1f %% of the labelled pixels have class %d, the highest possible number; if it means "
                "unlabelled, declare it with: %s",
                info.src_path, 100 * share, highest, edit_info(info.src_path, "nodata", highest),
            )  # fmt: skip

    def conclude(self, totals: Counter[int]) -> tuple[LandCoverClass, ...]:
        """The classes of all rows, from pixels by class number; warns of problems in the labels, or refuses them."""
        src_path, present = self._info.src_path, sorted(totals)
        self._warn_of_filling(totals)
        if not present and not self._strange:
            raise OutsideError(
                f"{src_path}: no labelled pixel is in the image ({self._grid.describe()}), and the label raster is "
                f"{self._info.grid.describe()}; give labels of the same place, and check its CRS and nodata value"
            )
        if self._strange:
            warn_of_other_classes(src_path, number_of(self._strange.total(), "pixel"), others=self._strange)
        if not present:
            raise LabelError(f"{src_path}: none of its classes is in the class table; correct the table")
        if self._table is not None:
            return tuple(c for c in self._table if c.id in present)
        return make_classes({class_id: self.names.get(class_id, str(class_id)) for class_id in present})


def _unlabelled(info: RasterInfo) -> float:
    """The value that means unlabelled: the nodata value, or 0 if neither that nor a mask is declared."""
    return info.nodata if info.nodata is not None else np.nan if info.has_mask else 0


def _is_finer(info: RasterInfo, grid: Grid) -> bool:
    """Whether labels are at least twice as fine as the image."""
    is_placed = info.grid.crs is not None and grid.crs is not None
    return is_placed and default_resampling(info.grid, grid) == Resampling.average


class _PlainRows:
    """Reads rows of a raster of one band."""

    def __init__(self, reader: WindowReader, grid: Grid) -> None:
        self._reader, self._grid = reader, grid

    def read(self, start: int, stop: int) -> NDArray[np.float32]:
        """Values (rows, width) from a first to a last row (exclusive)."""
        return np.asarray(self._reader.read(Window(0, start, self._grid.width, stop - start))[0])


class _BlockRows:
    """Reads rows of a raster of one band, and keeps a row of its blocks."""

    def __init__(self, reader: WindowReader, grid: Grid, block_height: int, strip_pixels: int) -> None:
        self._strip_pixels = strip_pixels
        self._reader, self._grid, self._height = reader, grid, min(block_height, grid.height)
        self._values = np.empty((self._height, grid.width), dtype=np.float32)
        self._number = -1

    def read(self, start: int, stop: int) -> NDArray[np.float32]:
        """Values (rows, width) from a first to a last row (exclusive)."""
        parts = []
        for number in range(start // self._height, (stop - 1) // self._height + 1):
            self._keep(number)
            top = number * self._height
            parts.append(self._values[max(start - top, 0) : stop - top].copy())
        return np.concatenate(parts) if len(parts) > 1 else parts[0]

    def _keep(self, number: int) -> None:
        if number == self._number:
            return
        top = number * self._height
        shape = min(self._height, self._grid.height - top), self._grid.width
        for window in iter_tiles(shape, (shape[0], max(self._strip_pixels // shape[0], 1)), offset=(top, 0)):
            cols = window.toslices()[1]
            self._values[: shape[0], cols] = self._reader.read(window)[0]
        self._number = number


def _cache_for(info: RasterInfo) -> int:
    """Bytes of GDAL's cache, so that it still holds the storage blocks that one strip shares with the next.

    The cache also keeps its size for other rasters, which are read in turn with the labels.
    """
    around = int(getenv().get("GDAL_CACHEMAX") or 0) if hasenv() else 0
    return max(min(around + info.decoded_bytes(1), MOST_CACHE), around, LEAST_CACHE)


def open_raster_labels(info: RasterInfo, grid: Grid, *, rules: LabelRules, limits: Limits) -> RasterLabels:
    """Labels from a raster of whole numbers."""
    _check_label_raster(info, grid)
    if rules.field is not None and rules.is_alone:
        logger.warning("%s is a raster and has no fields; `label_field` (%r) is ignored", info.src_path, rules.field)
    labels = RasterLabels(info, grid, rules.classes, limits)
    is_float = np.issubdtype(np.dtype(info.dtype), np.floating)
    if info.nodata is None and info.has_mask:
        logger.info("labels: masked pixels are unlabelled in %s, and 0 is a class where it occurs", info.src_path)
    elif info.nodata is None and is_float:
        logger.info("labels: 0 and NaN mean unlabelled in %s", info.src_path)
    else:
        logger.info("labels: %g means unlabelled in %s", _unlabelled(info), info.src_path)
    if labels.is_finer:
        logger.info(
            "labels: %s is finer than the image; each pixel gets the class that covers most of it, and none where "
            "most of it is unlabelled",
            info.src_path,
        )
    return labels


def _check_label_raster(info: RasterInfo, grid: Grid) -> None:
    check_class_raster(info, kind="labels", error=LabelError)
    labels = Placed(info.src_path, info.src_path, info.grid.crs)
    check_transformable(labels, Placed("the image", "IMAGE", grid.crs))
    if grid.crs is None:
        check_without_crs(grid, info.grid, names=("the image", info.src_path))
        return
    warn_of_inaccuracy(labels, grid)
