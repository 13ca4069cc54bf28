"""Features: fields beside geometries, and notes on what was mended or lost while they were read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import geopandas as gpd

from s2fin_cli.vector.geometries import from_wkb

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from s2fin_cli.core.errors import InputError

#: Keys of `frame.attrs`: the numbers of the features whose rings were closed, those of the features without a usable
#: geometry, and the fields of the latter.
MENDED, LOST, LOST_FIELDS = "mended", "lost", "lost fields"


def features_of(fields: pd.DataFrame, geometries: NDArray[np.object_], *, crs: Any) -> gpd.GeoDataFrame:
    """Features from fields and geometries; the geometry column gets a name that no field has."""
    name = "geometry"
    while name in fields:
        name += "_"
    fields = fields.copy()
    fields[name] = gpd.GeoSeries(geometries, index=fields.index, crs=crs)
    return gpd.GeoDataFrame(fields, geometry=name)


def features_of_wkb(
    fields: pd.DataFrame, binary: NDArray[np.object_], *, crs: Any, src_path: str | Path, error: type[InputError]
) -> gpd.GeoDataFrame:
    """Features with geometries from well-known binary; `frame.attrs` lists those that were mended and those lost."""
    geometries, mended, lost = from_wkb(binary, fields.index.to_numpy(), src_path=src_path, error=error)
    frame = features_of(fields, geometries, crs=crs)
    frame.attrs |= {MENDED: mended, LOST: lost}
    return frame
