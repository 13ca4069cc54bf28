"""Virtual rasters whose sources get lost: an error each time, and never zeros."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import rasterio
from rasterio.errors import RasterioError

from s2fin_cli.core.errors import RasterError
from s2fin_cli.raster.alpha import alpha_roles
from s2fin_cli.raster.info import read_info
from s2fin_cli.raster.opening import open_raster
from s2fin_cli.raster.unreadable import UnreadableBlocks
from s2fin_cli.raster.warp import open_on_grid
from tests.files import write_raster

if TYPE_CHECKING:
    from pathlib import Path


def mosaic(path: Path, *sources: str, band: str = "") -> Path:
    """A virtual raster of one band, of sources of 4 x 4 pixels side by side."""
    parts = "".join(
        f'<SimpleSource><SourceFilename relativeToVRT="1">{source}</SourceFilename>'
        f'<SrcRect xOff="0" yOff="0" xSize="4" ySize="4"/>'
        f'<DstRect xOff="{4 * number}" yOff="0" xSize="4" ySize="4"/></SimpleSource>'
        for number, source in enumerate(sources)
    )
    path.write_text(
        f'<VRTDataset rasterXSize="{4 * len(sources)}" rasterYSize="4"><GeoTransform>0,1,0,4,0,-1</GeoTransform>'
        f'<VRTRasterBand dataType="Byte" band="1">{band}{parts}</VRTRasterBand></VRTDataset>'
    )
    return path


@pytest.fixture
def lost(tmp_path: Path) -> Path:
    """A source of 7, which is beside another one in a virtual raster, a.vrt."""
    for name in ("here", "lost", "other"):
        write_raster(tmp_path / f"{name}.tif", np.full((1, 4, 4), 7, np.uint8))
    mosaic(tmp_path / "a.vrt", "here.tif", "lost.tif")
    mosaic(tmp_path / "other.vrt", "other.tif")
    return tmp_path / "lost.tif"


def read(path: Path, *, without: Path | None = None) -> int:
    """The least value of a raster, one of whose sources is deleted once it is open."""
    with open_raster(path) as src:
        if without is not None:
            without.unlink()
        return int(src.read().min())


def test_a_source_that_was_lost_is_not_read_again(lost: Path, tmp_path: Path) -> None:
    content = lost.read_bytes()
    with open_raster(tmp_path / "other.vrt") as other:
        assert other.read().min() == 7
        with pytest.raises(RasterError, match=r"lost\.tif does not exist"):
            read(tmp_path / "a.vrt", without=lost)
        lost.write_bytes(content)
        mosaic(tmp_path / "b.vrt", "lost.tif")
        for name in ("a.vrt", "b.vrt"):  # which GDAL would read as zeros
            with pytest.raises(RasterError, match=rf"{name} is made of \S*lost\.tif, which could not be read before"):
                read(tmp_path / name)
        assert other.read().min() == 7
    assert read(tmp_path / "other.vrt") == 7


def fail_at_another(path: Path) -> None:
    with open_raster(path) as src:
        assert src.read(window=((0, 4), (0, 4))).min() == 7
        raise RasterError("other.tif cannot be read")


def test_an_error_about_another_raster_loses_no_source(lost: Path, tmp_path: Path) -> None:
    path = mosaic(tmp_path / "c.vrt", lost.name, f"/vsimem/{tmp_path.name}.tif")
    for _ in range(2):
        with pytest.raises(RasterError, match=r"other\.tif cannot be read"):
            fail_at_another(path)


def test_a_source_that_is_missing_from_the_beginning_may_come_back(lost: Path, tmp_path: Path) -> None:
    content = lost.read_bytes()
    lost.unlink()
    with pytest.raises(RasterError, match=r"lost\.tif does not exist"):
        read(tmp_path / "a.vrt")
    lost.write_bytes(content)
    assert read(tmp_path / "a.vrt") == 7


def read_skipping(path: Path, skipped: UnreadableBlocks, *, without: Path | None = None) -> None:
    grid = read_info(path).grid
    with open_on_grid(path, grid, indexes=(1,), skipped=skipped) as reader:
        if without is not None:
            without.unlink()
        reader.read(grid.window)


def test_skipping_storage_blocks_skips_no_source(lost: Path, tmp_path: Path) -> None:
    skipped = UnreadableBlocks()
    with pytest.raises(RasterError, match=r"lost\.tif does not exist"):
        read_skipping(tmp_path / "a.vrt", skipped, without=lost)
    assert skipped.parts() == []


def test_a_source_elsewhere_that_cannot_be_reached_is_no_storage_block(tmp_path: Path) -> None:
    write_raster(tmp_path / "here.tif", np.full((1, 4, 4), 7, np.uint8))
    path = mosaic(tmp_path / "a.vrt", "here.tif", f"/vsimem/{tmp_path.name}.tif")
    for message in ("not all of its sources are on this machine", "could not be read before"):
        with pytest.raises(RasterError, match=message):
            read_skipping(path, UnreadableBlocks())


def look_at_alpha(path: Path, *, without: Path) -> None:
    with open_raster(path) as src:
        without.unlink()
        alpha_roles(src)


def test_a_look_at_an_alpha_band_does_not_pass_over_a_lost_source(lost: Path, tmp_path: Path) -> None:
    path = mosaic(tmp_path / "b.vrt", "here.tif", "lost.tif", band="<ColorInterp>Alpha</ColorInterp>")
    with pytest.raises(RasterError, match=r"lost\.tif does not exist"):
        look_at_alpha(path, without=lost)


def test_gdal_still_reads_a_lost_source_as_zeros(lost: Path, tmp_path: Path) -> None:
    """If this fails, GDAL does not do so any more, and `LostSources` can go."""
    lost.unlink()
    with rasterio.open(tmp_path / "other.vrt") as other, rasterio.open(tmp_path / "a.vrt") as src:
        other.read()
        with pytest.raises(RasterioError):
            src.read()
        assert src.read()[0, :, 4:].max() == 0
