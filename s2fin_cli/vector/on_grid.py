"""Features on a grid: in its CRS, and mended where they are broken there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from s2fin_cli.vector.frames import MENDED
from s2fin_cli.vector.geometries import mended_polygons
from s2fin_cli.vector.read import POLYGON_TYPES
from s2fin_cli.vector.reproject import on_grid_crs

if TYPE_CHECKING:
    from pathlib import Path

    import geopandas as gpd
    import numpy as np
    from numpy.typing import NDArray

    from s2fin_cli.geo.grid import Grid


def features_on_grid(
    frame: gpd.GeoDataFrame, grid: Grid, *, src_path: str | Path, name: str = "labels"
) -> NDArray[np.object_]:
    """Geometries (n,) of features in a grid's CRS; of polygons, those that cross or overlap themselves are mended.

    Args:
        frame: the features, as `read_features` gives them.
        grid: the grid.
        src_path: where they come from, for messages.
        name: what they are, for messages.

    Raises:
        GeoreferencingError: only one of both has a CRS, or the features cannot be reprojected.
    """
    geometries: NDArray[np.object_] = on_grid_crs(frame, grid, src_path=src_path, name=name).to_numpy()
    if not set(frame.geom_type) <= POLYGON_TYPES:
        return geometries
    closed = frame.attrs.get(MENDED, ())
    return mended_polygons(geometries, frame.index.to_numpy(), grid=grid, src_path=src_path, closed=closed)
