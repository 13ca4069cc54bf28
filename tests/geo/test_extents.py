"""How far grids cover each other."""

from __future__ import annotations

import pytest
from affine import Affine
from rasterio.crs import CRS

from s2fin_cli.geo.extents import share_covered
from s2fin_cli.geo.grid import Grid

UTM_100 = Grid(CRS.from_epsg(32633), Affine(10, 0, 500_000, 0, -10, 5_000_000), (100, 100))


@pytest.mark.parametrize(
    ("transform", "expected"),
    [
        (Affine(10, 0, 500_000, 0, -10, 5_000_000), 1.0),
        (Affine(10, 0, 500_250, 0, -10, 5_000_000), 0.75),
        (Affine(10, 0, 500_250, 0, 10, 4_999_250), 0.75 * 0.75),
        (Affine(10, 0, 500_004, 0, -10, 5_000_000), 1.0),  # less than half a pixel off: every centre is still on it
        (Affine(10, 0, 501_000, 0, -10, 5_000_000), 0.0),
        (Affine.translation(500_500, 5_000_000) * Affine.rotation(-45) * Affine.scale(10 / 2**0.5, -10 / 2**0.5), 0.5),
    ],
)
def test_share_covered(transform: Affine, expected: float) -> None:
    share = share_covered(UTM_100, Grid(UTM_100.crs, transform, (100, 100)))
    assert share == pytest.approx(expected, abs=0.011)


def test_share_covered_by_another_crs() -> None:
    degrees = Grid(CRS.from_epsg(4326), Affine(0.01, 0, 14, 0, -0.01, 46), (200, 200))
    assert share_covered(UTM_100, degrees) == 1.0
    assert 0 < share_covered(degrees, UTM_100) < 0.01
    assert share_covered(UTM_100, Grid(degrees.crs, Affine(0.01, 0, -170, 0, -0.01, 46), (200, 200))) == 0.0
