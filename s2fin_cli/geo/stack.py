"""The stack: the passive image's grid, and every modality readable on it by window.

Training asks a stack for patches and inference asks it for tiles; neither knows a file, a CRS or a resampling method.
"""

from __future__ import annotations

import contextlib
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from rasterio.windows import Window

from s2fin_cli.errors import GeoreferencingError, RasterError
from s2fin_cli.geo.grid import Grid, crs_name
from s2fin_cli.geo.rasters import (
    RasterInfo,
    WindowReader,
    bounds_on,
    check_without_crs,
    open_on_grid,
    read_info,
    share_covered,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray
    from rasterio.enums import Resampling

logger = logging.getLogger(__name__)

#: The modalities in the order in which they are stacked; the first one given of the first two is the passive image.
MODALITIES = ("hsi", "msi", "lidar", "dsm", "sar")
PASSIVE_MODALITIES = MODALITIES[:2]
#: A second image that covers this share of the passive one lacks no more than an edge, which is no cause for warning.
MOST_OF_IT = 0.99


@dataclass(frozen=True)
class Layer:
    """The bands in use of one modality's raster."""

    modality: str
    info: RasterInfo
    indexes: tuple[int, ...]

    @property
    def src_path(self) -> str:
        """Path of the raster."""
        return self.info.src_path

    def describe(self) -> str:
        """Modality and path for messages."""
        return f"--{self.modality} {self.src_path}"


@dataclass(frozen=True)
class Tile:
    """Values of all modalities in one window.

    Attributes:
        image: passive image, float32 (bands, height, width), NaN where it has no data.
        aux: second image likewise, all its modalities' bands stacked, or None where there is none.
    """

    image: NDArray[np.float32]
    aux: NDArray[np.float32] | None

    @property
    def valid(self) -> NDArray[np.bool_]:
        """Mask (height, width), True where every band of every modality has data."""
        parts = [self.image] if self.aux is None else [self.image, self.aux]
        return np.asarray(np.logical_and.reduce([np.isfinite(part).all(axis=0) for part in parts]))


@dataclass(frozen=True)
class Stack:
    """Co-located modalities on the passive image's grid.

    Attributes:
        image: the passive image, which is never resampled.
        aux: the other modalities, warped onto the passive image's grid.
        resampling: method of the warp, None for the default by resolution.
    """

    image: Layer
    aux: tuple[Layer, ...] = ()
    resampling: Resampling | None = None

    @property
    def grid(self) -> Grid:
        """The passive image's grid."""
        return self.image.info.grid

    @property
    def layers(self) -> tuple[Layer, ...]:
        """All modalities, the passive image first."""
        return (self.image, *self.aux)

    def slices(self) -> Iterator[tuple[Layer, slice]]:
        """Each modality with the place of its bands among the bands of all."""
        start = 0
        for layer in self.layers:
            yield layer, slice(start, start + len(layer.indexes))
            start += len(layer.indexes)

    @contextlib.contextmanager
    def open(self) -> Iterator[OpenStack]:
        """Open all rasters and give what reads them window by window."""
        with contextlib.ExitStack() as opened:
            readers = [
                opened.enter_context(
                    open_on_grid(layer.src_path, self.grid, indexes=layer.indexes, resampling=self.resampling)
                )
                for layer in self.layers
            ]
            yield OpenStack(self.grid, readers[0], readers[1:])


@dataclass(frozen=True)
class OpenStack:
    """An open stack."""

    grid: Grid
    image: WindowReader
    aux: Sequence[WindowReader]

    def read(self, window: Window, *, halo: int = 0) -> Tile:
        """Read a window with a halo around it.

        Beyond the raster's edge the values are mirrored, so that what is read for a pixel does not depend on the
        window it is read with.

        Args:
            window: inside the grid.
            halo: pixels to add on each side.

        Returns:
            arrays (bands, height + 2 halo, width + 2 halo).
        """
        inner, padding = _clip(window, halo, self.grid)
        parts = [np.pad(reader.read(inner), padding, mode="symmetric") for reader in (self.image, *self.aux)]
        return Tile(parts[0], np.concatenate(parts[1:]) if parts[1:] else None)


def _clip(window: Window, halo: int, grid: Grid) -> tuple[Window, tuple[tuple[int, int], ...]]:
    """The part of a window with halo that lies in the grid, and what `np.pad` must add to it."""
    top, left = window.row_off - halo, window.col_off - halo
    bottom, right = window.row_off + window.height + halo, window.col_off + window.width + halo
    row_off, col_off = max(top, 0), max(left, 0)
    inner = Window(col_off, row_off, min(right, grid.width) - col_off, min(bottom, grid.height) - row_off)
    rows = (row_off - top, max(bottom - grid.height, 0))
    cols = (col_off - left, max(right - grid.width, 0))
    return inner, ((0, 0), rows, cols)


def build_stack(src_paths: Mapping[str, str | None], *, resampling: Resampling | None = None) -> Stack:
    """Put the given rasters into a stack and check that they go together.

    Args:
        src_paths: path by modality, see `MODALITIES`; None for a modality that is not given.
        resampling: method of the warp, None for the default by resolution.

    Raises:
        RasterError: no passive image, or a raster that cannot be read.
        GeoreferencingError: grids, CRS or extents that do not go together.
    """
    given = {modality: src_paths[modality] for modality in MODALITIES if src_paths.get(modality) is not None}
    if not any(modality in given for modality in PASSIVE_MODALITIES):
        raise RasterError("no passive image was given; name it with --hsi or --msi")
    layers = []
    for modality, src_path in given.items():
        info = read_info(str(src_path))
        layers.append(Layer(modality, info, info.indexes))
        for index in info.alpha_indexes:
            logger.warning(
                "band %d of %s is marked as alpha and is taken as a mask; if it is data: "
                "gdal_edit.py -colorinterp_%d undefined %s", index, src_path, index, src_path,
            )  # fmt: skip
    image, *aux = layers
    _check_passive(image)
    for layer in aux:
        _check_together(image, layer)
    return Stack(image, tuple(aux), resampling)


def _check_passive(image: Layer) -> None:
    grid = image.info.grid
    _check_placed(image)
    if grid.is_rotated:
        a, b, _, d, e, _ = grid.transform[:6]
        raise GeoreferencingError(
            f"{image.describe()} has a rotated grid (a={a:.6g}, b={b:.6g}, d={d:.6g}, e={e:.6g}); "
            "make it north-up first with: gdalwarp -r near IN.tif OUT.tif"
        )
    if grid.crs is None:
        logger.warning("%s has no CRS; the map will have none either", image.describe())


def _check_placed(layer: Layer) -> None:
    if layer.info.has_gcps:
        raise GeoreferencingError(
            f"{layer.describe()} is placed by ground control points only; rectify it first with gdalwarp"
        )


def _check_together(image: Layer, other: Layer) -> None:
    """Refuse what cannot be co-registered; warn of what can be in part only."""
    _check_placed(other)
    grid, own = image.info.grid, other.info.grid
    if (grid.crs is None) != (own.crs is None):
        with_crs, without = (image, other) if own.crs is None else (other, image)
        raise GeoreferencingError(
            f"{without.describe()} has no CRS but {with_crs.describe()} has {crs_name(with_crs.info.grid.crs)}; "
            f"if it is the same, assign it with: gdal_edit.py -a_srs CODE {without.src_path}"
        )
    if grid.crs is None:
        check_without_crs(image.info.grid, other.info.grid, names=(image.describe(), other.describe()))
        return
    covered = share_covered(grid, own)
    if covered == 0:
        left, bottom, right, top = bounds_on(own, grid)
        target = grid.bounds
        raise GeoreferencingError(
            f"{other.describe()} does not overlap {image.describe()}: in {crs_name(grid.crs)} it covers "
            f"x {left:.10g} to {right:.10g}, y {bottom:.10g} to {top:.10g}, and the image "
            f"x {target.left:.10g} to {target.right:.10g}, y {target.bottom:.10g} to {target.top:.10g}"
        )
    if covered < 1:
        logger.log(
            logging.WARNING if covered < MOST_OF_IT else logging.INFO,
            "%s covers %.1f %% of %s; the rest of the map will have no data",
            other.describe(), 100 * covered, image.describe(),
        )  # fmt: skip
