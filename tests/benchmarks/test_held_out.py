"""Scenes that are put together from public files: what decides which labels they have."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
from rasterio.transform import from_origin
from shapely import box

import held_out


def test_shares_of_pixels_under_a_mask_by_polygon() -> None:
    mask = np.zeros((10, 10), dtype=bool)
    mask[:, :5] = True
    left, both, right = box(0, 0, 4, 10), box(4, 0, 6, 10), box(6, 0, 10, 10)
    over = box(6, 0, 8, 10)  # the last one: its pixels are no longer those of the polygon under it
    outside = box(20, 0, 30, 10)
    polygons = gpd.GeoSeries([left, both, right, over, outside])
    shares = held_out._shares(mask, polygons, from_origin(0, 10, 1, 1))
    assert shares.tolist() == [1.0, 0.5, 0.0, 0.0, 0.0]
    mask[:, 6:8] = True
    assert held_out._shares(mask, polygons, from_origin(0, 10, 1, 1)).tolist() == [1.0, 0.5, 0.0, 1.0, 0.0]
