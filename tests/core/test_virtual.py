"""What virtual datasets are made of is found, however deep, and a source that is missing or damaged is named."""

from __future__ import annotations

import re
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
import rasterio
import rasterio.shutil
from rasterio.vrt import WarpedVRT

from s2fin_cli.core.errors import AreaError, RasterError
from s2fin_cli.core.virtual import local_file, sources_of
from s2fin_cli.raster.info import read_info
from s2fin_cli.raster.opening import open_raster
from s2fin_cli.raster.warp import open_on_grid
from s2fin_cli.vector.read import read_features
from tests.files import write_raster

VALUES = np.arange(600, dtype="uint16").reshape(20, 30)


def virtual(path: Path, *sources: str, relative: bool = True) -> Path:
    """A virtual raster with a band for each source."""
    bands = "".join(
        f'<VRTRasterBand dataType="UInt16" band="{band}"><SimpleSource>'
        f'<SourceFilename relativeToVRT="{relative:d}">{source}</SourceFilename><SourceBand>1</SourceBand>'
        "</SimpleSource></VRTRasterBand>"
        for band, source in enumerate(sources, start=1)
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        '<VRTDataset rasterXSize="30" rasterYSize="20"><SRS>EPSG:32632</SRS>'
        f"<GeoTransform>500000, 10, 0, 5000000, 0, -10</GeoTransform>{bands}</VRTDataset>"
    )
    return path


def paths_of(path: Path) -> list[str]:
    return [source.path for source in sources_of(path)]


def test_sources_of_nested_and_warped_rasters_are_found(tmp_path: Path) -> None:
    a, b = (write_raster(tmp_path / "data" / f"{name}.tif", VALUES) for name in "ab" if make(tmp_path / "data"))
    inner = virtual(tmp_path / "inner" / "inner.vrt", "../data/a.tif", "missing.tif")
    outer = virtual(tmp_path / "outer.vrt", "inner/inner.vrt", "data/b.tif")
    found = {str(Path(path).resolve()) for path in paths_of(outer)}
    assert found == {str(path.resolve()) for path in (inner, a, b, tmp_path / "inner" / "missing.tif")}
    with rasterio.open(a) as src, WarpedVRT(src, crs="EPSG:4326") as warped:
        rasterio.shutil.copy(warped, tmp_path / "warped.vrt", driver="VRT")
    assert [Path(path).resolve() for path in paths_of(tmp_path / "warped.vrt")] == [a.resolve()]
    assert paths_of(a) == []
    assert paths_of(tmp_path / "nothing.vrt") == []


def make(folder: Path) -> bool:
    folder.mkdir(exist_ok=True)
    return True


def test_a_raster_that_is_made_of_itself_ends(tmp_path: Path) -> None:
    path = virtual(tmp_path / "a.vrt", "b.vrt")
    virtual(tmp_path / "b.vrt", "a.vrt")
    assert len(paths_of(path)) == 2


def test_a_missing_source_is_named_before_anything_is_read(tmp_path: Path) -> None:
    write_raster(tmp_path / "a.tif", VALUES)
    path = virtual(tmp_path / "a.vrt", "a.tif", "b.tif", "c.tif")
    message = (
        f"{path} is made of other files, and {tmp_path / 'b.tif'}, {tmp_path / 'c.tif'} do not exist; put them back"
    )
    with pytest.raises(RasterError, match=re.escape(message)):
        read_info(path)
    outer = virtual(tmp_path / "outer.vrt", "a.tif", "a.vrt")
    with pytest.raises(RasterError, match=re.escape(f"{outer} is made of other files (by way of {path}), and")):
        read_info(outer)
    linked = tmp_path / "links" / "mine.vrt"
    linked.parent.mkdir()
    linked.symlink_to(path)
    with pytest.raises(RasterError, match=re.escape(f"{linked} is made of other files")):
        read_info(linked)


def test_a_source_that_is_no_raster_is_named(tmp_path: Path) -> None:
    write_raster(tmp_path / "a.tif", VALUES)
    (tmp_path / "b.tif").write_bytes(b"not a raster")
    path = virtual(tmp_path / "a.vrt", "a.tif", "b.tif")
    with pytest.raises(RasterError, match=rf"{tmp_path / 'b.tif'} cannot be read \(.*\); copy it there again"):
        read_info(path)


def test_a_source_that_goes_while_it_is_read_is_named(tmp_path: Path) -> None:
    source = write_raster(tmp_path / "a.tif", VALUES)
    path = virtual(tmp_path / "a.vrt", "a.tif")
    info = read_info(path)
    source.unlink()
    with (
        pytest.raises(RasterError, match=rf"made of other files, and {source} does not exist"),
        open_on_grid(path, info.grid, indexes=(1,)) as reader,
    ):
        reader.read(info.grid.window)


@pytest.mark.parametrize(
    ("cut", "message"),
    [
        (True, r"made of other files, and \S*b\.tif cannot be read \(.*\); copy it there again"),
        (False, r"a\.vrt cannot be read in band 2 at columns .*; is the file whole\?"),
    ],
    ids=["its end", "a block in the middle"],
)
def test_a_source_that_lost_its_end_is_named(tmp_path: Path, cut: bool, message: str) -> None:
    write_raster(tmp_path / "a.tif", VALUES)
    noise = np.random.default_rng(0).integers(0, 9999, (1, 20, 30)).astype("uint16")
    write_raster(tmp_path / "b.tif", noise, compress="deflate", blockysize=2)
    whole = (tmp_path / "b.tif").read_bytes()
    half = len(whole) // 2
    path = virtual(tmp_path / "a.vrt", "a.tif", "b.tif")
    (tmp_path / "b.tif").write_bytes(whole[:-20] if cut else whole[:half] + bytes(150) + whole[half + 150 :])
    info = read_info(path)
    with pytest.raises(RasterError, match=message), open_on_grid(path, info.grid, indexes=(1, 2)) as reader:
        reader.read(info.grid.window)


def test_sources_of_gdals_own_names_are_looked_up(tmp_path: Path) -> None:
    import zipfile

    write_raster(tmp_path / "a.tif", VALUES)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(tmp_path / "a.tif", "a.tif")
    path = virtual(tmp_path / "a.vrt", f"/vsizip/{tmp_path / 'a.zip'}/a.tif", relative=False)
    with open_raster(path) as src:
        assert np.array_equal(src.read(1), VALUES)
    (tmp_path / "a.zip").unlink()
    with pytest.raises(RasterError, match=r"a\.zip/a\.tif cannot be read"):
        read_info(virtual(tmp_path / "b.vrt", f"/vsizip/{tmp_path / 'a.zip'}/a.tif", relative=False))


def test_subdatasets_are_relative_to_the_virtual_raster(tmp_path: Path) -> None:
    with h5py.File(make(tmp_path / "data") and tmp_path / "data" / "x.h5", "w") as file:
        file["b"] = VALUES
    path = virtual(tmp_path / "data" / "a.vrt", 'HDF5:"x.h5"://b')
    assert [local_file(source) for source in paths_of(path)] == [str(tmp_path / "data" / "x.h5")]
    with open_raster(path) as src:
        assert np.array_equal(src.read(1), VALUES)
    (tmp_path / "data" / "x.h5").unlink()
    with pytest.raises(RasterError, match=r'HDF5:"x\.h5"://b cannot be read'):
        read_info(virtual(tmp_path / "data" / "b.vrt", 'HDF5:"x.h5"://b'))


def test_thousands_of_sources_are_looked_for_in_no_time(tmp_path: Path) -> None:
    write_raster(tmp_path / "a.tif", VALUES)
    names = [f"t{number}.tif" for number in range(3000)]
    for name in names:
        (tmp_path / name).hardlink_to(tmp_path / "a.tif")
    path = virtual(tmp_path / "a.vrt", *names)
    started = time.monotonic()
    assert len(sources_of(path)) == len(names)
    assert time.monotonic() - started < 5


def test_a_missing_source_of_a_virtual_vector_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.vrt"
    path.write_text(
        '<OGRVRTDataSource><OGRVRTLayer name="b"><SrcDataSource relativeToVRT="1">b.gpkg</SrcDataSource></OGRVRTLayer>'
        "</OGRVRTDataSource>"
    )
    with pytest.raises(AreaError, match=rf"{tmp_path / 'b.gpkg'} does not exist; put it back"):
        read_features(path, error=AreaError)


def test_the_file_behind_a_name_of_gdals_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("x.zip", "x.gpkg", "x.h5", "x.nc", "a.tif", "x.tar.gz"):
        Path(name).touch()
    (tmp_path / "x.gdb").mkdir()
    (tmp_path / "folder").mkdir()
    expected = {
        "/vsizip/x.zip/a.tif": "x.zip", "/vsizip/{x.zip}/b/a.tif": "x.zip", "zip://x.zip!b/a.tif": "x.zip",
        f"/vsizip/{tmp_path}/x.zip/a.tif": f"{tmp_path}/x.zip", "/vsitar//vsigzip/x.tar.gz/a.tif": "x.tar.gz",
        "GPKG:x.gpkg:layer": "x.gpkg", 'HDF5:"x.h5"://bands/b': "x.h5", "HDF5:x.h5://b": "x.h5",
        'NETCDF:"x.nc":b': "x.nc", f'NETCDF:"{tmp_path}/x.nc":b': f"{tmp_path}/x.nc", "vrt://a.tif?bands=1": "a.tif",
        "OpenFileGDB:x.gdb:layer": "x.gdb", "GTIFF_DIR:2:a.tif": "a.tif", "/vsisubfile/0_100,a.tif": "a.tif",
        "/vsicurl/https://example.org/a.tif": None, "s3://bucket/a.tif": None, 'HDF5:"folder/missing.h5"://b': None,
        "file:///nowhere/a.tif": None, "/vsimem/a.tif": None,
    }  # fmt: skip
    assert {name: local_file(name) for name in expected} == expected
