"""Sound files of every kind, which are copied and spoilt."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import rasterio
from rasterio.enums import ColorInterp
from rasterio.shutil import copy as copy_raster

from s2fin_cli.workflows.classify import run as classify
from s2fin_cli.workflows.options.classify import ClassifyOptions
from s2fin_cli.workflows.train import run as train
from tests.files import write_raster
from tests.recipes import QUICK, TINY_NETWORK
from tests.scenes import NAMES, Scene, tiny_options, write_scene


@dataclass(frozen=True)
class World:
    """Where the files are; none of them is ever changed.

    Attributes:
        scene: the images and labels.
        model: a model of the scene.
        map: the scene's map, without polygons.
        work: a work folder with the shards of that map.
        rasters, vectors: files by name, each with those beside it that belong to it.
    """

    scene: Scene
    model: Path
    map: Path
    work: Path
    rasters: dict[str, list[Path]]
    vectors: dict[str, list[Path]]


def make_world(folder: Path, *, scene: Scene | None = None, model: Path | None = None) -> World:
    """Write the files.

    Args:
        folder: a new folder.
        scene: a scene that is there.
        model: a model of it that is there.
    """
    scene = write_scene(folder / "scene") if scene is None else scene
    if model is None:
        model = train(tiny_options(scene, folder / "model.s2fin", epochs=1), recipe=QUICK, network=TINY_NETWORK).model
    own = {**scene.images, "model": model, "device": "cpu", "vector": False, "stride": 1}
    rasters, vectors, work = folder / "rasters", folder / "vectors", folder / "work"
    for part in (rasters, vectors):
        part.mkdir(parents=True)
    class_map = folder / "map.tif"
    classify(ClassifyOptions(**own, output=class_map, work=work, shard_size=16))
    _write_rasters(rasters, scene, class_map)
    _write_vectors(vectors, scene)
    return World(scene, model, class_map, work, _grouped(rasters), _grouped(vectors))


def _grouped(folder: Path) -> dict[str, list[Path]]:
    """The files of a folder by the main one's name: those that share its stem follow it."""
    files = sorted(folder.iterdir())
    mains = [path for path in files if path.suffix in MAIN]
    return {
        main.name: [main, *(path for path in files if path != main and path.name.split(".")[0] == main.stem)]
        for main in mains
    }


#: Suffixes of the files that commands are given.
MAIN = (".tif", ".img", ".vrt", ".gpkg", ".geojson", ".shp", ".csv", ".fgb", ".parquet", ".gml")


def _write_rasters(folder: Path, scene: Scene, class_map: Path) -> None:
    with rasterio.open(scene.hsi) as src:
        image = src.read()
    some = np.arange(image[0].size).reshape(image.shape[1:]) % 7 > 0
    plain = write_raster(folder / "plain.tif", image[:, :30, :30])
    write_raster(folder / "tiled.tif", image, tiled=True, blockxsize=32, blockysize=32, compress="deflate", mask=some)
    write_raster(
        folder / "lzw.tif", image.astype(np.float32), compress="lzw", predictor=3, nodata=-1, interleave="band"
    )
    write_raster(folder / "zstd.tif", image, compress="zstd", BIGTIFF="YES", scales=None)
    write_raster(folder / "lerc.tif", image.astype(np.float32), compress="lerc_deflate", MAX_Z_ERROR=0)
    write_raster(folder / "jpeg.tif", (image // 4).clip(0, 255).astype(np.uint8), compress="jpeg", tiled=True,
                 blockxsize=16, blockysize=16, interleave="band")  # fmt: skip
    write_raster(folder / "alpha.tif", image, alpha=some)
    write_raster(folder / "envi.img", image, driver="ENVI", interleave="bil")
    copy_raster(plain, folder / "virtual.vrt", driver="VRT")
    labels = np.where(some, 0, scene.truth).astype(np.uint8)
    write_raster(folder / "labels.tif", labels, nodata=0, compress="packbits")
    with rasterio.open(folder / "labels.tif", "r+") as dst:
        dst.colorinterp = [ColorInterp.palette]
        dst.write_colormap(1, {number: (10 * number, 200, 30) for number in NAMES})
    for path in (class_map, class_map.with_name("map.tif.aux.xml")):
        shutil.copy(path, folder)


def _write_vectors(folder: Path, scene: Scene) -> None:
    frame = gpd.read_file(scene.labels)
    frame["number"] = frame["class"].map({name: number for number, name in NAMES.items()})
    for suffix in ("gpkg", "geojson", "shp", "fgb", "gml"):
        frame.to_file(folder / f"as_{suffix}.{suffix}")
    frame.to_parquet(folder / "table.parquet")
    points = frame.assign(x=frame.centroid.x.round(1), y=frame.centroid.y.round(1)).drop(columns="geometry")
    points.to_csv(folder / "points.csv", index=False)
    frame.assign(wkt=frame.geometry.to_wkt()).drop(columns="geometry").to_csv(folder / "wkt.csv", index=False, sep=";")
    assert frame.crs is not None
    (folder / "wkt.prj").write_text(frame.crs.to_wkt("WKT1_GDAL"))
