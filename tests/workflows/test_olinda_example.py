"""The facts about the Olinda example that its README states and that other tests and users rely on."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from rasterio.features import rasterize
from rasterio.transform import Affine
from shapely.geometry import box
from shapely.strtree import STRtree

OLINDA = Path(__file__).parents[2] / "examples" / "olinda"
IMAGE = OLINDA / "L7_ETMs.tif"
HEIGHT = OLINDA / "olinda_dem_utm25s.tif"
MIN_GAP = 9  # pixels between a training and a validation polygon


def polygons(name: str) -> gpd.GeoDataFrame:
    return gpd.read_file(OLINDA / f"{name}.shp")


def pixels_inside(frame: gpd.GeoDataFrame) -> NDArray[np.bool_]:
    """Mask of the image's grid: True where a pixel centre is inside a polygon."""
    with rasterio.open(IMAGE) as src:
        shape, transform = src.shape, src.transform
    mask: NDArray[np.uint8] = rasterize(frame.geometry, shape, transform=transform, default_value=1, dtype="uint8")
    return mask.astype(bool)


def readme_table() -> dict[str, tuple[int, int, int, int]]:
    """Class -> (training polygons, training pixels, validation polygons, validation pixels)."""
    text = (OLINDA / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([a-z ]+?) \| (\d+) \| (\d+) \| (\d+) \| (\d+) \|", text, flags=re.MULTILINE)
    return {name: (int(a), int(b), int(c), int(d)) for name, a, b, c, d in rows}


def test_image_is_as_documented() -> None:
    with rasterio.open(IMAGE) as src:
        assert (src.count, src.width, src.height) == (6, 349, 352)
        assert set(src.dtypes) == {"uint8"}
        assert src.crs.to_epsg() == 31985
        assert src.res == pytest.approx((28.5, 28.5))
        assert src.nodata is None
        assert src.read().min() > 0


def test_height_is_as_documented() -> None:
    with rasterio.open(HEIGHT) as src:
        assert (src.count, src.width, src.height) == (1, 111, 111)
        assert src.dtypes == ("float32",)
        assert src.res == pytest.approx((89.994067, 89.994067))
        assert src.nodata is None
        heights = src.read(1)
    assert (heights.min(), heights.max()) == (-1, 88)
    assert (heights == np.round(heights)).all()
    assert (heights < 0).sum() == 1
    assert heights[31, 102] == 48


def test_grids_and_crs_strings_differ_but_the_place_is_the_same() -> None:
    with rasterio.open(IMAGE) as image, rasterio.open(HEIGHT) as height:
        assert image.crs.to_wkt() != height.crs.to_wkt()
        assert "SIRGAS" not in height.crs.to_wkt()
        assert (height.bounds.left, height.bounds.top) == pytest.approx((image.bounds.left, image.bounds.top))
        assert height.bounds.bottom - image.bounds.bottom == pytest.approx(42.7, abs=0.05)
        assert height.bounds.right - image.bounds.right == pytest.approx(42.8, abs=0.05)
        x, y = image.xy(image.height - 1, 0)
        assert not box(*height.bounds).contains(gpd.points_from_xy([x], [y])[0])
        x, y = image.xy(image.height - 2, 0)
        assert box(*height.bounds).contains(gpd.points_from_xy([x], [y])[0])


@pytest.mark.parametrize("path", [IMAGE, HEIGHT], ids=lambda path: path.name)
def test_rasters_are_the_ones_the_notice_names(path: Path) -> None:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert f"{digest}  {path.name}" in (OLINDA / "NOTICE").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["training", "validation"])
def test_polygons_are_valid_and_inside_the_image(name: str) -> None:
    frame = polygons(name)
    with rasterio.open(IMAGE) as src:
        extent = box(*src.bounds)
    assert frame.crs.to_epsg() == 31985
    assert set(frame.geom_type) == {"Polygon"}
    assert frame.is_valid.all()
    assert frame.within(extent).all()
    assert frame["class"].str.strip().str.len().gt(0).all()
    assert frame["class"].value_counts().min() >= 2


def test_both_files_have_the_same_classes() -> None:
    names = set(polygons("training")["class"])
    assert names == set(polygons("validation")["class"])
    assert 5 <= len(names) <= 7


@pytest.mark.parametrize("name", ["training", "validation"])
def test_no_pixel_has_two_classes(name: str) -> None:
    frame = polygons(name)
    per_class = sum(pixels_inside(group).astype(int) for _, group in frame.groupby("class"))
    assert np.max(per_class) == 1


def test_training_and_validation_are_apart() -> None:
    training, validation = polygons("training"), polygons("validation")
    with rasterio.open(IMAGE) as src:
        pixel: Affine = src.transform
    tree = STRtree(training.geometry.to_numpy())
    _, gaps = tree.query_nearest(validation.geometry.to_numpy(), return_distance=True)
    assert gaps.min() / pixel.a >= MIN_GAP


def test_counts_are_those_of_the_readme() -> None:
    training, validation = polygons("training"), polygons("validation")
    documented = readme_table()
    counted = {}
    for name in training["class"].unique():
        row: list[int] = []
        for frame in (training, validation):
            of_class = frame[frame["class"] == name]
            row += [len(of_class), int(pixels_inside(of_class).sum())]
        counted[name] = tuple(row)
    counted["all"] = tuple(np.sum(list(counted.values()), axis=0).tolist())
    assert counted == documented


def test_folder_is_small_and_complete() -> None:
    sizes = {path.name: path.stat().st_size for path in OLINDA.iterdir()}
    sidecars = {
        f"{stem}{ext}" for stem in ("training", "validation") for ext in (".shp", ".shx", ".dbf", ".prj", ".cpg")
    }
    assert sidecars | {IMAGE.name, HEIGHT.name, "NOTICE", "README.md", "preview.png"} <= set(sizes)
    assert sum(sizes.values()) < 2_000_000
    assert sizes["preview.png"] < 300_000
