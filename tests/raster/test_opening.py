"""Opening rasters of every kind, and the messages about those that cannot be opened."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from rasterio.windows import Window

from s2fin_cli.core.errors import RasterError
from s2fin_cli.core.names import is_dataset_name
from s2fin_cli.raster.info import read_info
from s2fin_cli.raster.warp import open_on_grid
from tests.files import write_raster
from tests.raster.grids import GRID, random_values, read


@pytest.mark.parametrize(
    ("src_path", "expected"),
    [
        ("/vsizip/a.zip/b.tif", True), ("https://example.org/a.tif", True), ("NETCDF:a.nc:ndvi", True),
        ('GPKG:"a b.gpkg":one', True), ("C:\\x.tif", False), ("c:/x.tif", False), ("/data/a:b.tif", False),
        ("a.tif", False), ("data/2020-01-01T10:00.tif", False),
    ],
)  # fmt: skip
def test_names_of_gdals_own(src_path: str, expected: bool) -> None:
    assert is_dataset_name(src_path) == expected


def test_a_missing_file_is_named_with_its_folder(tmp_path: Path) -> None:
    with pytest.raises(RasterError, match=rf"gone\.tif does not exist \(looked in {tmp_path}\)"):
        read_info(tmp_path / "gone.tif")


def test_a_folder_is_no_raster(tmp_path: Path) -> None:
    with pytest.raises(RasterError, match="is a folder; give the raster file inside it"):
        read_info(tmp_path)


def test_a_text_file_is_no_raster(tmp_path: Path) -> None:
    (tmp_path / "notes.tif").write_text("no raster")
    with pytest.raises(RasterError, match=r"notes\.tif is not a raster that GDAL can read"):
        read_info(tmp_path / "notes.tif")


def test_a_container_of_subdatasets_lists_them(tmp_path: Path) -> None:
    path, values = tmp_path / "many.gpkg", random_values("uint8")
    write_raster(path, values, driver="GPKG", crs="EPSG:3857", RASTER_TABLE="one")
    write_raster(path, values, driver="GPKG", crs="EPSG:3857", RASTER_TABLE="two", APPEND_SUBDATASET="YES")
    with pytest.raises(RasterError, match=r"holds no bands of its own.*\n.*:one\n.*:two"):
        read_info(path)


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", random_values("float64"))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(RasterError, match=r"a\.tif"):
        read(path, GRID)


#: Gives parts of files, as servers of large rasters do and Python's own does not.
RANGE_SERVER = """
import http.server, pathlib, re

class Handler(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        path = pathlib.Path(self.translate_path(self.path))
        if not path.is_file():
            return self.send_error(404)
        content = path.read_bytes()
        first, last = 0, len(content) - 1
        if found := re.fullmatch(r"bytes=(\\d+)-(\\d*)", self.headers.get("Range", "")):
            first, last = int(found[1]), min(int(found[2] or last), last)
        self.send_response(206 if found else 200)
        self.send_header("Content-Range", f"bytes {first}-{last}/{len(content)}")
        self.send_header("Content-Length", str(last - first + 1))
        self.end_headers()
        self.wfile.write(content[first : last + 1])

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
"""


@pytest.mark.parametrize(
    "name", ["/vsicurl/http://127.0.0.1:{}/bucket/a.tif", "/vsis3/bucket/a.tif", "s3://bucket/a.tif"]
)
def test_a_raster_over_http_is_read_as_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """From a server on this machine, as the suite needs no network, in a process of its own, as GDAL keeps the GIL."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("GDAL_HTTP_TIMEOUT", "10")
    for key, value in (("NO_SIGN_REQUEST", "YES"), ("HTTPS", "NO"), ("VIRTUAL_HOSTING", "FALSE")):
        monkeypatch.setenv(f"AWS_{key}", value)
    values = random_values("uint16", (3, 300, 200))
    (tmp_path / "bucket").mkdir()
    write_raster(tmp_path / "bucket" / "a.tif", values)
    command = [sys.executable, "-c", RANGE_SERVER]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        try:
            assert server.stdout is not None
            port = int(server.stdout.readline())
            monkeypatch.setenv("AWS_S3_ENDPOINT", f"127.0.0.1:{port}")
            name = name.format(port)
            info = read_info(name)
            assert (info.count, info.grid.shape) == (3, (300, 200))
            with open_on_grid(name, info.grid, indexes=(3, 1)) as reader:
                assert np.array_equal(reader.read(Window(10, 20, 50, 60)), values[[2, 0], 20:80, 10:60])
            with pytest.raises(RasterError, match="is not a raster that GDAL can read"):
                read_info(name.replace("a.tif", "b.tif"))
        finally:
            server.kill()


def test_jpeg_2000_is_read(tmp_path: Path) -> None:
    values = np.add.outer(np.arange(3) * 500, np.add.outer(np.arange(80) * 7, np.arange(60) * 11)).astype("uint16")
    write_raster(tmp_path / "a.jp2", values, crs="EPSG:32633", driver="JP2OpenJPEG", quality="100", reversible="yes")
    info = read_info(tmp_path / "a.jp2")
    assert (info.driver, info.count, info.grid.shape) == ("JP2OpenJPEG", 3, (80, 60))
    assert info.grid.crs == "EPSG:32633"
    with open_on_grid(tmp_path / "a.jp2", info.grid, indexes=(3, 1)) as reader:
        assert np.array_equal(reader.read(Window(10, 20, 30, 40)), values[[2, 0], 20:60, 10:40])
