"""Files that an input consists of are inputs too: no output replaces them, under any name."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import rasterio
import rasterio.shutil
import shapely
from rasterio.vrt import WarpedVRT

from s2fin_cli.core.errors import OutputError, UsageError
from s2fin_cli.core.files import check_outputs, protected, staged
from s2fin_cli.workflows.input_files import input_files
from tests.core.test_virtual import virtual
from tests.files import write_raster, write_vector

VALUES = np.ones((20, 30), dtype="uint16")
BOX = shapely.box(500_000, 4_999_900, 500_100, 5_000_000)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def check(output: str | Path, *inputs: str | Path) -> None:
    check_outputs([Path(output)], overwrite=True, inputs=input_files(inputs))


def refuses(output: str | Path, *inputs: str | Path) -> str:
    """What is said of an output, and that nothing becomes of it."""
    before = {path: path.lstat().st_mtime_ns for path in Path.cwd().rglob("*")}
    with pytest.raises(UsageError) as caught:
        check(output, *inputs)
    assert {path: path.lstat().st_mtime_ns for path in Path.cwd().rglob("*")} == before
    return str(caught.value)


def test_sources_of_virtual_rasters_stay(tmp_path: Path) -> None:
    Path("data").mkdir()
    for name in ("data/a.tif", "b.tif", "c.tif"):
        write_raster(Path(name), VALUES)
    virtual(Path("inner.vrt"), "data/a.tif")
    virtual(Path("outer.vrt"), "inner.vrt", "b.tif", "missing.tif")
    with rasterio.open("b.tif") as src, WarpedVRT(src, crs="EPSG:4326") as warped:
        rasterio.shutil.copy(warped, "warped.vrt", driver="VRT")
    for output in ("data/a.tif", "b.tif", tmp_path / "data" / ".." / "b.tif", "missing.tif", "inner.vrt"):
        message = f"{output} is an input, which would be lost (it belongs to outer.vrt); give the output another name"
        assert refuses(output, "outer.vrt") == message
    assert "belongs to warped.vrt" in refuses("b.tif", "warped.vrt")
    assert (
        refuses("outer.vrt", "outer.vrt") == "outer.vrt is an input, which would be lost; give the output another name"
    )
    check("c.tif", "outer.vrt", "warped.vrt", "data/a.tif")


def test_what_lies_beside_a_raster_stays() -> None:
    write_raster(Path("a.tiff"), VALUES)
    for name in ("a.tfw", "a.tiff.aux.xml", "a.tiff.msk", "a.tiff.ovr", "a.rpb", "a.IMD"):
        Path(name).write_text("<PAMDataset/>")
        assert "it belongs to a.tiff" in refuses(name, "a.tiff")
    assert refuses("a.tif", "a.tiff").startswith("a.tfw belongs to the input a.tiff and would be lost with a.tif; give")
    Path("a.tfw").unlink()
    check("a.tif", "a.tiff")


def test_the_halves_of_an_envi_raster_stay() -> None:
    write_raster(Path("a.dat"), VALUES, driver="ENVI")
    assert "it belongs to a.dat" in refuses("a.hdr", "a.dat")
    Path("a.qml").touch()
    assert "it belongs to a.dat" in refuses("a.qml", "a.dat")
    # the style of a map that is there already is the map's
    Path("a.tif").touch()
    check_outputs([Path("a.tif"), Path("a.qml")], overwrite=True, inputs=input_files(["a.dat"]))


def test_containers_and_archives_stay() -> None:
    with h5py.File("x.h5", "w") as file:
        file["bands/b"] = np.zeros((20, 30))
    write_raster(Path("a.tif"), VALUES)
    with zipfile.ZipFile("x.zip", "w") as archive:
        archive.write("a.tif")
    rasterio.shutil.copy("a.tif", "x.gpkg", driver="GPKG", RASTER_TABLE="one")
    names = {
        'HDF5:"x.h5"://bands/b': "x.h5", "/vsizip/x.zip/a.tif": "x.zip", "GPKG:x.gpkg:one": "x.gpkg",
        "vrt://a.tif?bands=1": "a.tif", 'NETCDF:"x.h5":b': "x.h5",
    }  # fmt: skip
    for name, output in names.items():
        assert f"(it belongs to {name})" in refuses(output, name)
        check("b.tif", name)


def test_links_to_an_input_are_the_input(tmp_path: Path) -> None:
    write_raster(Path("a.tif"), VALUES)
    virtual(Path("v.vrt"), "a.tif")
    (tmp_path / "elsewhere").mkdir()
    Path("elsewhere/hard.tif").hardlink_to("a.tif")
    Path("elsewhere/soft.tif").symlink_to(tmp_path / "a.tif")
    Path("folder").symlink_to(tmp_path, target_is_directory=True)
    for output in ("elsewhere/hard.tif", "elsewhere/soft.tif", "folder/a.tif", "folder/folder/a.tif"):
        for given in ("a.tif", "v.vrt"):
            assert "is an input, which would be lost" in refuses(output, given)
    # and the other way round: the input is a link
    for given in ("elsewhere/hard.tif", "elsewhere/soft.tif", "folder/a.tif"):
        assert "is an input, which would be lost" in refuses("a.tif", given)


def test_parts_of_vector_files_stay() -> None:
    write_vector(Path("a.shp"), [BOX], name=["x"])
    for name in ("a.dbf", "a.shx", "a.prj", "a.cpg"):
        assert "it belongs to a.shp" in refuses(name, "a.shp")
    Path("b.shp").symlink_to("a.shp")
    assert "is an input" in refuses("a.dbf", "b.shp")
    write_vector(Path("c.gpkg"), [BOX], name=["x"])
    text = '<OGRVRTDataSource><OGRVRTLayer name="c"><SrcDataSource relativeToVRT="1">c.gpkg</SrcDataSource>'
    Path("c.vrt").write_text(f"{text}</OGRVRTLayer></OGRVRTDataSource>")
    assert "it belongs to c.vrt" in refuses("c.gpkg", "c.vrt")
    Path("d.gdb").mkdir()
    Path("d.gdb/a0001.gdbtable").touch()
    for given in ("d.gdb", "OpenFileGDB:d.gdb:layer"):
        assert "is an input" in refuses("d.gdb/a0001.gdbtable", given)
        assert "is an input" in refuses("d.gdb/new.tif", given)
    Path("shapes").mkdir()
    write_vector(Path("shapes/a.shp"), [BOX], name=["x"])
    assert "it belongs to shapes" in refuses("shapes/a.dbf", "shapes")
    check("shapes/map.tif", "shapes")


def test_an_old_shapefile_may_be_replaced_beside_a_raster_of_its_name() -> None:
    write_raster(Path("a.tif"), VALUES)
    write_vector(Path("a.shp"), [BOX], name=["x"])
    check("a.shp", "a.tif")


def test_a_shapefiles_parts_replace_no_part_of_an_input() -> None:
    write_vector(Path("a.shp"), [BOX], name=["x"])
    Path("a.shp").rename("a.SHP")
    grid = "ncols 2\nnrows 1\nxllcorner 0\nyllcorner 0\ncellsize 1\n1 2\n"
    Path("b.asc").write_text(grid)
    Path("b.prj").write_text(rasterio.crs.CRS.from_epsg(32632).to_wkt(version="WKT1_ESRI"))
    assert refuses("b.shp", "b.asc").startswith("b.prj belongs to the input b.asc and would be lost with b.shp")


def test_the_tiles_of_an_index_stay() -> None:
    Path("data").mkdir()
    write_raster(Path("data/a.tif"), VALUES)
    write_vector(Path("index.gti.gpkg"), [BOX], location=["data/a.tif"])
    Path("index.gti").write_text(
        "<GDALTileIndexDataset><IndexDataset>index.gti.gpkg</IndexDataset></GDALTileIndexDataset>"
    )
    try:
        rasterio.open("index.gti.gpkg").close()
    except rasterio.errors.RasterioIOError:
        pytest.skip("this GDAL knows no indexes of tiles")
    for given in ("index.gti.gpkg", "GTI:index.gti.gpkg", "index.gti"):
        assert f"it belongs to {given}" in refuses("data/a.tif", given)
    assert "it belongs to index.gti" in refuses("index.gti.gpkg", "index.gti")


def test_missing_and_strange_inputs_have_no_files() -> None:
    assert set(input_files([None, "a.tif", "b.vrt", 'HDF5:"f.h5"://x', "/vsicurl/https://x.invalid/a.tif"])) >= {
        "a.tif"
    }
    Path("bad.vrt").write_text("<VRTDataset")
    Path("text.csv").write_text("x,y\n1,2\n")
    assert input_files(["bad.vrt"])["bad.vrt"] == "bad.vrt"
    assert "text.csv" in input_files(["text.csv"])
    check("new.tif", "bad.vrt", "text.csv", "a.tif", ".", "/")


def test_a_protected_file_stays(tmp_path: Path) -> None:
    Path("s2fin.toml").touch()
    with protected(tmp_path / "s2fin.toml"), pytest.raises(UsageError, match=r"s2fin\.toml is an input"):
        check_outputs([Path("s2fin.toml")], overwrite=True)
    check_outputs([Path("s2fin.toml")], overwrite=True)


# ---- names at the limit ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("letter", ["n", "\u00fc", "!"])
def test_the_longest_names_are_written_whole(letter: str) -> None:
    longest = os.pathconf(".", "PC_NAME_MAX")
    stem = letter * ((longest - len(".tif.aux.xml")) // len(letter.encode()))
    others = letter * ((longest - len(".gpkg")) // len(letter.encode()))
    targets = [Path(f"{stem}.tif"), Path(f"{others}.gpkg"), Path(f"{others}.tab")]
    for overwrite in (False, True):
        with staged(targets, overwrite=overwrite) as temporary:
            assert len({*temporary}) == len(targets)
            for path, target in zip(temporary, targets, strict=True):
                path.write_text(target.suffix)
            for suffix in (".aux.xml", ".ovr", ".ovr.tmp", ".plain.tif", "-journal", "_temp.fgb"):
                temporary[0].with_name(temporary[0].name + suffix).write_text("beside")
                if suffix != ".aux.xml":
                    temporary[0].with_name(temporary[0].name + suffix).unlink()
        assert [path.read_text() for path in targets] == [".tif", ".gpkg", ".tab"]
        assert {path.name for path in Path().iterdir()} == {*map(str, targets), f"{stem}.tif.aux.xml"}


def test_a_name_that_leaves_no_room_for_its_sidecar_is_refused() -> None:
    longest = os.pathconf(".", "PC_NAME_MAX")
    name = "n" * (longest - 4) + ".tif"
    message = rf"its name has {longest} bytes, and at most {longest - 8} are possible with the \.aux\.xml beside it"
    with pytest.raises(OutputError, match=message):
        check_outputs([Path(name)], overwrite=False)
    with pytest.raises(
        OutputError, match=rf"its name has {longest + 1} bytes, and at most {longest} are possible; give"
    ):
        check_outputs([Path("n" * (longest - 4) + ".gpkg")], overwrite=False)
    with pytest.raises(OutputError, match="does not exist; make it first"):
        check_outputs([Path("n" * (longest + 1), "a.tif")], overwrite=False)
    check_outputs([Path("n" * (longest - 12) + ".tif")], overwrite=False, inputs=[name, "n" * (longest + 9)])


def test_a_geopackage_deeper_than_sqlite_reaches_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / ("d" * 200) / ("e" * 200) / ("f" * 100)
    folder.mkdir(parents=True)
    with pytest.raises(OutputError, match=r"SQLite, .*; take a folder with a shorter path, or another format"):
        check_outputs([folder / "a.gpkg"], overwrite=False)
    check_outputs([folder / "a.tif", folder / "a.fgb"], overwrite=False)


def test_names_that_differ_in_odd_characters_only_are_kept_apart() -> None:
    targets = [Path("a!.tif"), Path("a;.tif"), Path("a?.tif")]
    for overwrite in (False, True):
        with staged(targets, overwrite=overwrite) as temporary:
            for path, target in zip(temporary, targets, strict=True):
                path.write_text(target.name)
        assert [path.read_text() for path in targets] == [path.name for path in targets]


def test_a_name_of_another_encoding_is_refused() -> None:
    with pytest.raises(UsageError, match=r"a\\udcff\.tif has a name that is not UTF-8, which GDAL cannot open; rename"):
        check_outputs([Path("a\udcff.tif")], overwrite=False)
    with pytest.raises(UsageError, match=r"^b\\udcff\.tif has a name that is not UTF-8"):
        check_outputs([Path("a.tif")], overwrite=False, inputs=input_files(["b\udcff.tif"]))


def test_a_raster_without_georeferencing_is_no_reason_to_warn(recwarn: pytest.WarningsRecorder) -> None:
    write_raster(Path("a.tif"), VALUES, crs=None, transform=None)
    recwarn.clear()
    assert "a.tif" in input_files(["a.tif"])
    assert not recwarn.list
