"""Any name that a file can have is opened as it is, links are followed to what belongs to a file, nothing stays."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine

from s2fin_cli.core.classes import make_classes
from s2fin_cli.core.errors import AreaError, OutputError, RasterError
from s2fin_cli.core.files import staged
from s2fin_cli.core.names import followed, gdal_name, is_dataset_name, plain_name, without_credentials
from s2fin_cli.geo.grid import Grid
from s2fin_cli.raster.class_map import create_class_map
from s2fin_cli.raster.class_names import read_class_names
from s2fin_cli.raster.creation import RasterFormat
from s2fin_cli.raster.info import read_info
from s2fin_cli.raster.opening import open_raster
from s2fin_cli.raster.picture import map_panel, write_picture
from s2fin_cli.raster.warp import open_on_grid
from s2fin_cli.vector.read import read_features
from s2fin_cli.vector.write import write_features
from tests.files import everything_in, write_raster, write_vector

#: What shells, archives, protocols, drivers, XML and patterns make something of.
ODD = (
    "a!b", "!a", "a;b", "a?", "a?b", "a#b", "a&b", "a%20b", "a b", " a", "a,b", "a'b", 'a"b', "-a", "--map", "a\nb",
    "\ta", "2020-01-01T10:00", "GPKG:a", "zip:a", "file:a", "~a", "~root", "$HOME", "{a}", "[a]", "<a>", "a*b", "a\\b",
    "a|b", "a=b", "a.b.c", "x!.zip", "\u00fc", "u\u0308", "\u65e5\u672c", "a!b;c?d#e",
)  # fmt: skip
GRID = Grid(rasterio.crs.CRS.from_epsg(32632), Affine(10, 0, 500_000, 0, -10, 5_000_000), (20, 30))
CLASSES = make_classes({1: "forest", 2: "water"})
VALUES = np.tile([1, 2], (20, 15)).astype("uint8")
BOXES = [shapely.box(500_000, 4_999_900, 500_100, 5_000_000), shapely.box(500_100, 4_999_900, 500_200, 5_000_000)]

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows allows few of these names")


@pytest.fixture(params=["relative", "absolute"])
def base(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, as a relative path or an absolute one."""
    monkeypatch.chdir(tmp_path)
    return Path() if request.param == "relative" else tmp_path


@pytest.mark.parametrize("name", ODD)
def test_rasters_of_any_name_are_written_and_read(base: Path, tmp_path: Path, name: str) -> None:
    (base / name).mkdir()
    formats = [RasterFormat(), RasterFormat("COG")]
    targets = [base / f"{name}.tif", base / name / "map.tif"]
    for target, fmt in zip(targets, formats, strict=True):
        with staged([target], overwrite=False) as (tmp,), create_class_map(tmp, GRID, CLASSES, fmt=fmt) as writer:
            writer.write(VALUES[None], GRID.window)
        with open_raster(str(target)) as src:
            assert np.array_equal(src.read(1), VALUES)
        assert read_info(str(target)).src_path == str(target)
        assert read_class_names(str(target)) == {1: "forest", 2: "water"}
    picture = base / name / f"{name}.png"
    with staged([picture], overwrite=False) as (tmp,):
        write_picture(tmp, [map_panel(targets[0])])
    assert picture.stat().st_size > 0
    assert everything_in(tmp_path) == {
        f"{name}.tif", f"{name}.tif.aux.xml", name, f"{name}/map.tif", f"{name}/map.tif.aux.xml", f"{name}/{name}.png",
    }  # fmt: skip


@pytest.mark.parametrize("suffix", [".gpkg", ".shp", ".fgb", ".geojson"])
@pytest.mark.parametrize("name", ["a!b", "a;b", "a?", "a\nb", "GPKG:a", "zip:a", "~root", "a\\b", "x!.zip", "{a}"])
def test_vectors_of_any_name_are_written_and_read(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, suffix: str
) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (base / name).mkdir()
    frame = gpd.GeoDataFrame({"class": ["forest", "water"]}, geometry=BOXES, crs="EPSG:32632")
    for target in (base / f"{name}{suffix}", base / name / f"x{suffix}"):
        with staged([target], overwrite=False) as (tmp,):
            write_features(tmp, frame, layer="sample")
        found = read_features(str(target), error=AreaError)
        found = found.sort_values("class")  # as FlatGeobuf has an order of its own
        assert found["class"].tolist() == ["forest", "water"]
        assert found.to_crs(32632).geometry.area.tolist() == pytest.approx([10_000, 10_000], rel=1e-3)
    places = [path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()]
    stems = {str(path)[: -len("".join(path.suffixes[-1:]))] for path in places}
    assert stems == {name, f"{name}/x"}
    assert not list((tmp_path / "temporary").iterdir())


def test_a_parquet_file_of_any_name_is_written(base: Path) -> None:
    frame = gpd.GeoDataFrame({"class": ["forest", "water"]}, geometry=BOXES, crs="EPSG:32632")
    for name in ("a:b", "a%20b", "a!b;c", "file:a", "s3:a"):
        with staged([base / f"{name}.parquet"], overwrite=False) as (tmp,):
            write_features(tmp, frame, layer="sample")
        with (base / f"{name}.parquet").open("rb") as file:
            assert len(gpd.read_parquet(file)) == 2


def test_a_virtual_vector_of_an_odd_name_finds_its_neighbours(tmp_path: Path) -> None:
    write_vector(tmp_path / "boxes.gpkg", BOXES, name=["forest", "water"])
    text = (
        '<OGRVRTDataSource><OGRVRTLayer name="boxes"><SrcDataSource relativeToVRT="1">boxes.gpkg</SrcDataSource>'
        "</OGRVRTLayer></OGRVRTDataSource>"
    )
    (tmp_path / "a!b.vrt").write_text(text)
    assert len(read_features(tmp_path / "a!b.vrt", error=AreaError)) == 2


def test_a_file_of_an_odd_name_that_is_damaged_is_called_by_it(tmp_path: Path) -> None:
    (tmp_path / "a!b.gpkg").write_bytes(b"SQLite format 3\0" + bytes(200))
    with pytest.raises(AreaError) as caught:
        read_features(tmp_path / "a!b.gpkg", error=AreaError)
    assert str(caught.value).startswith(f"{tmp_path / 'a!b.gpkg'} is not a vector file that GDAL can read")
    assert "s2fin-" not in str(caught.value)


def test_a_geopackage_in_a_deep_folder_is_read_by_a_relative_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / ("d" * 200) / ("e" * 200) / ("f" * 100)
    folder.mkdir(parents=True)
    write_vector(tmp_path / "a.gpkg", BOXES, name=["forest", "water"]).rename(folder / "a.gpkg")
    monkeypatch.chdir(folder)
    assert len(read_features("a.gpkg", error=AreaError)) == 2


def test_reading_gml_leaves_no_schema_beside_it(tmp_path: Path) -> None:
    for folder in (tmp_path / "plain", tmp_path / "odd!"):
        (tmp_path / "new").mkdir()
        gpd.GeoDataFrame({"class": ["forest", "water"]}, geometry=BOXES, crs="EPSG:32632").to_file(
            tmp_path / "new" / "a.gml", driver="GML"
        )
        (tmp_path / "new").rename(folder)
        (folder / "a.xsd").unlink()
        assert read_features(folder / "a.gml", error=AreaError)["class"].tolist() == ["forest", "water"]
        assert everything_in(folder) == {"a.gml"}


@pytest.mark.parametrize("folder", ["", "f\udcff"])
def test_a_name_that_is_not_utf8_is_refused(tmp_path: Path, folder: str) -> None:
    try:
        (tmp_path / folder).mkdir(exist_ok=True)
        path = tmp_path / folder / "a\udcff.tif"
        shutil.copy(write_raster(tmp_path / "a.tif", VALUES), path)
    except OSError:
        pytest.skip("this file system takes UTF-8 only")
    before = everything_in(tmp_path)
    for read in (read_info, lambda path: read_features(path, error=RasterError)):
        with pytest.raises(RasterError, match=r"a\\udcff\.tif has a name that is not UTF-8, .*; rename it first"):
            read(str(path))
    with pytest.raises(OutputError, match="not UTF-8"):
        plain_name(path)
    assert everything_in(tmp_path) == before


def test_a_name_that_is_gdals_text_of_a_raster_is_refused(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", VALUES).rename(tmp_path / "<VRTDataset>.tif")
    with pytest.raises(RasterError, match="takes for the text of a virtual raster; rename it first"):
        read_info(str(path))


def test_the_text_of_a_virtual_raster_is_no_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_raster(tmp_path / "a.tif", VALUES)
    rasterio.shutil.copy("a.tif", "a.vrt", driver="VRT")
    text = Path("a.vrt").read_text()
    Path("a.vrt").unlink()
    assert is_dataset_name(text)
    with open_raster(text) as src:
        assert np.array_equal(src.read(1), VALUES)


def test_a_file_with_a_colon_is_a_path_where_it_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert is_dataset_name("GPKG:a.tif")
    assert gdal_name("GPKG:a.tif") == "GPKG:a.tif"
    Path("GPKG:a.tif").touch()
    assert not is_dataset_name("GPKG:a.tif")
    assert gdal_name("GPKG:a.tif") == "./GPKG:a.tif"
    assert gdal_name("a.tif") == "a.tif"
    assert gdal_name("//a/b.tif") == "/a/b.tif"


# ---- links -----------------------------------------------------------------------------------------------------------


def write_masked(path: Path) -> tuple[Path, np.ndarray]:
    """A raster whose mask lies beside it, and where that has data."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_raster(path, np.ones((20, 30), dtype="uint8"))
    valid = np.zeros((20, 30), dtype=bool)
    valid[3:9, 4:20] = True
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False), rasterio.open(path, "r+") as dst:
        dst.write_mask(valid)
    assert path.with_name(f"{path.name}.msk").is_file()
    return path, valid


def valid_pixels(path: Path) -> np.ndarray:
    grid = read_info(path).grid
    with open_on_grid(path, grid, indexes=(1,)) as reader:
        return np.asarray(np.isfinite(reader.read(grid.window)[0]))


@pytest.mark.parametrize("kind", ["absolute", "relative", "chain", "folder", "other name"])
def test_the_mask_beside_a_links_target_counts(tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture) -> None:
    path, valid = write_masked(tmp_path / "store" / "scene.tif")
    (tmp_path / "links").mkdir()
    link = tmp_path / "links" / ("other.tif" if kind == "other name" else "scene.tif")
    if kind == "folder":
        link = tmp_path / "to" / "scene.tif"
        (tmp_path / "to").symlink_to(path.parent, target_is_directory=True)
    elif kind == "chain":
        (tmp_path / "links" / "middle.tif").symlink_to(Path("..") / "store" / "scene.tif")
        link.symlink_to("middle.tif")
    else:
        link.symlink_to(Path("..") / "store" / "scene.tif" if kind == "relative" else path)
    assert np.array_equal(valid_pixels(link), valid)
    assert read_info(link).src_path == str(link)
    assert not caplog.records


def test_of_links_to_links_the_last_place_with_sidecars_counts(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, valid = write_masked(tmp_path / "middle" / "a.tif")
    (tmp_path / "store").mkdir()
    path.rename(tmp_path / "store" / "0123")
    path.symlink_to(Path("..") / "store" / "0123")
    (tmp_path / "a.tif").symlink_to(Path("middle") / "a.tif")
    assert followed(str(tmp_path / "a.tif")) == str(path)
    assert np.array_equal(valid_pixels(tmp_path / "a.tif"), valid)
    assert not caplog.records


def test_what_lies_beside_the_link_alone_counts(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    path, valid = write_masked(tmp_path / "a.tif")
    path.rename(tmp_path / "store" / "0123")
    path.symlink_to(tmp_path / "store" / "0123")
    assert followed(str(path)) == str(path)
    assert np.array_equal(valid_pixels(path), valid)


def test_a_link_whose_sidecars_are_links_is_opened_as_it_is(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path, valid = write_masked(tmp_path / "store" / "a.tif")
    for name in ("a.tif", "a.tif.msk"):
        (tmp_path / name).symlink_to(path.with_name(name))
    assert followed(str(tmp_path / "a.tif")) == str(tmp_path / "a.tif")
    assert np.array_equal(valid_pixels(tmp_path / "a.tif"), valid)
    assert not caplog.records


def test_the_targets_sidecars_win_and_the_links_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path, valid = write_masked(tmp_path / "store" / "a.tif")
    link, other = tmp_path / "a.tif", tmp_path / "a.tif.msk"
    link.symlink_to(path)
    shutil.copy(path.with_name("a.tif.msk"), other)
    (tmp_path / "a.qml").touch()  # which is QGIS's
    with caplog.at_level(logging.CRITICAL, "s2fin_cli"):
        assert np.array_equal(valid_pixels(link), valid)
    assert not caplog.records
    with caplog.at_level(logging.WARNING):
        assert np.array_equal(valid_pixels(link), valid)
        assert np.array_equal(valid_pixels(link), valid)
    message = f"{link} is a link, and files beside its target {path} are read with it; ignored: {other}"
    assert [record.getMessage() for record in caplog.records] == [message]


def test_a_header_and_a_world_file_beside_the_target_are_found(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    values = np.arange(600, dtype="int16").reshape(1, 20, 30)
    write_raster(tmp_path / "store" / "a.dat", values, driver="ENVI", crs=GRID.crs, transform=GRID.transform)
    (tmp_path / "a.dat").symlink_to(tmp_path / "store" / "a.dat")
    with open_raster(tmp_path / "a.dat") as src:
        assert np.array_equal(src.read(), values)
    write_raster(tmp_path / "store" / "b.tif", values, crs=None, transform=None)
    (tmp_path / "store" / "b.TFW").write_text("10\n0\n0\n-10\n500005\n4999995\n")
    (tmp_path / "b.tif").symlink_to(tmp_path / "store" / "b.tif")
    assert read_info(tmp_path / "b.tif").grid.transform == GRID.transform


def test_a_shapefile_is_read_through_a_link_to_its_shp_alone(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    write_vector(tmp_path / "store" / "boxes.shp", BOXES, name=["forest", "water"])
    (tmp_path / "store").rename(tmp_path / "store!")
    (tmp_path / "mine.shp").symlink_to(tmp_path / "store!" / "boxes.shp")
    found = read_features(tmp_path / "mine.shp", error=AreaError)
    assert found["name"].tolist() == ["forest", "water"]
    assert found.crs == "EPSG:32632"


def test_errors_call_a_raster_by_the_name_of_the_link(tmp_path: Path) -> None:
    path, _ = write_masked(tmp_path / "store" / "a.tif")
    path.write_bytes(path.read_bytes()[:-100])
    (tmp_path / "mine.tif").symlink_to(path)
    assert followed(str(tmp_path / "mine.tif")) == str(path)
    with pytest.raises(RasterError, match=rf"^{tmp_path / 'mine.tif'} cannot be read") as caught:
        valid_pixels(tmp_path / "mine.tif")
    assert "store" not in str(caught.value)


def test_a_link_in_a_circle_is_missing(tmp_path: Path) -> None:
    (tmp_path / "a.tif").symlink_to(tmp_path / "b.tif")
    (tmp_path / "b.tif").symlink_to(tmp_path / "a.tif")
    with pytest.raises(RasterError, match="does not exist"):
        read_info(tmp_path / "a.tif")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("/vsicurl/https://h/x.tif?sig=SECRET&b=1", "/vsicurl/https://h/x.tif"),
        ("https://me:SECRET@h:80/x.tif?a=b@c", "https://h:80/x.tif"),
        ("postgresql://me:SECRET@h/lands", "postgresql://h/lands"),
        ("/vsizip/{/vsicurl/https://h/x.zip?sig=SECRET}/a.tif", "/vsizip/{/vsicurl/https://h/x.zip}/a.tif"),
        ('NETCDF:"/vsicurl/https://h/x.nc?sig=SECRET":ndvi', 'NETCDF:"/vsicurl/https://h/x.nc":ndvi'),
        ("PG:host=h password=SECRET dbname=lands", "PG:host=h password= dbname=lands"),
        ("PG:host=h Password = 'SE CR\\'ET' dbname=lands", "PG:host=h Password= dbname=lands"),
        ("MSSQL:server=h;UID=me;PWD=SECRET;database=lands", "MSSQL:server=h;UID=me;PWD=;database=lands"),
        ("MYSQL:lands,user=me,password=SECRET", "MYSQL:lands,user=me,password="),
        ("/vsicurl?pc_url_signing=yes&url=https://h/x.tif", "/vsicurl"),
        ("s3://bucket/a.tif", "s3://bucket/a.tif"),
        ("what?/a@b.tif", "what?/a@b.tif"),
    ],
)
def test_credentials_are_cut_from_names(name: str, shown: str) -> None:
    assert without_credentials(name) == shown
