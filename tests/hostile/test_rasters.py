"""Rasters that claim more than they hold: what was found, and what hostile files may try."""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import rasterio

from s2fin_cli.core.errors import AreaError, RasterError
from s2fin_cli.raster.class_names import CLASSES_TAG, read_class_names
from s2fin_cli.raster.info import read_info
from s2fin_cli.raster.opening import MOST_PAM
from s2fin_cli.workflows.classify_job import prepare
from s2fin_cli.workflows.inspect import describe
from s2fin_cli.workflows.options.classify import ClassifyOptions
from s2fin_cli.workflows.options.sample import SampleOptions
from s2fin_cli.workflows.options.split import SplitOptions
from s2fin_cli.workflows.sample import run as sample
from s2fin_cli.workflows.split import run as split
from tests.files import CRS_CODE, TRANSFORM, everything_in, write_raster

if TYPE_CHECKING:
    from tests.scenes import Run, Scene

IMAGE = np.arange(3 * 40 * 50, dtype=np.uint16).reshape(3, 40, 50)


def write_sparse(path: Path, *, side: int, block: int, count: int = 1, dtype: str = "uint8", **profile: object) -> Path:
    """A raster of almost no bytes."""
    profile |= {"SPARSE_OK": True, "tiled": True, "blockxsize": block, "blockysize": block, "BIGTIFF": "YES"}
    place = {"crs": CRS_CODE, "transform": TRANSFORM}
    with rasterio.open(
        path, "w", driver="GTiff", width=side, height=side, count=count, dtype=dtype, **place, **profile
    ):
        pass
    return path


def write_virtual(path: Path, source: str, *, size: tuple[int, int] = (50, 40), band: str = "", kind: str = "") -> Path:
    """A virtual raster of one band of another file."""
    source = f'<SimpleSource><SourceFilename relativeToVRT="1">{source}</SourceFilename></SimpleSource>'
    path.write_text(
        f'<VRTDataset rasterXSize="{size[0]}" rasterYSize="{size[1]}"><SRS>{CRS_CODE}</SRS>'
        "<GeoTransform>500000, 10, 0, 5000000, 0, -10</GeoTransform>"
        f'<VRTRasterBand dataType="UInt16" band="1" {kind}>{band}{source}</VRTRasterBand></VRTDataset>'
    )
    return path


def test_a_raster_of_a_million_pixels_a_side_is_refused_before_any_work(
    scene: Scene, model: Path, tmp_path: Path
) -> None:
    huge = write_sparse(tmp_path / "huge.tif", side=10**6, block=4096, count=5, dtype="uint16")
    of_classes = write_sparse(tmp_path / "map.tif", side=10**6, block=4096)
    assert describe(huge)["width"] == 10**6
    options = ClassifyOptions(hsi=huge, lidar=scene.lidar, model=model, output=tmp_path / "new.tif", device="cpu")
    with pytest.raises(AreaError, match=r"1000000 x 1000000 px are to be processed, more than 1e\+11 in all; choose a"):
        prepare(options)
    with pytest.raises(AreaError, match="an image of the labels' surroundings"):
        split(SplitOptions(labels=scene.labels, like=huge, train=tmp_path / "a.tif", test=tmp_path / "b.tif"))
    with pytest.raises(AreaError, match="give a smaller map"):
        sample(SampleOptions(map=of_classes, output=tmp_path / "points.gpkg"))
    assert everything_in(tmp_path) == {"huge.tif", "map.tif"}


def test_a_part_of_a_huge_raster_can_be_mapped(scene: Scene, model: Path, tmp_path: Path) -> None:
    huge = write_sparse(tmp_path / "huge.tif", side=10**6, block=4096, count=5, dtype="uint16")
    job = prepare(
        ClassifyOptions(
            hsi=huge, lidar=scene.lidar, model=model, output=tmp_path / "map.tif", device="cpu", nodata=["none"],
            bounds=(500_000, 4_999_400, 500_700, 5_000_000),
        )
    )  # fmt: skip
    assert (job.stack.extent.width, job.stack.extent.height) == (70, 60)


@pytest.mark.parametrize(("block", "count", "interleave"), [(20_480, 1, "band"), (4096, 25, "pixel")])
def test_storage_blocks_that_memory_cannot_hold(tmp_path: Path, block: int, count: int, interleave: str) -> None:
    path = write_sparse(tmp_path / "bomb.tif", side=25_000, block=block, count=count, interleave=interleave)
    with pytest.raises(
        RasterError, match=rf"blocks of {block} x {block} px, of which one takes 400 MiB of memory, and"
    ):
        read_info(path)
    wanted = write_virtual(tmp_path / "of.vrt", "bomb.tif")
    with pytest.raises(RasterError, match=r"of\.vrt is made of other files, and .*bomb\.tif cannot be read"):
        read_info(wanted)


def test_large_blocks_that_memory_can_hold(tmp_path: Path) -> None:
    path = write_sparse(tmp_path / "large.tif", side=25_000, block=4096, count=20, interleave="pixel")
    assert read_info(path).block_shape == (4096, 4096)


def test_a_sidecar_of_any_size(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", IMAGE)
    sidecar = tmp_path / "a.tif.aux.xml"
    with sidecar.open("wb") as file:
        file.truncate(MOST_PAM + 1)
    with pytest.raises(RasterError, match=r"a\.tif\.aux\.xml has 16 MiB, and at most 16 MiB of such XML are read"):
        read_info(path)


@pytest.mark.parametrize("text", ['{"1": "forest', '["forest"]', '{"one": "forest"}', "[" * 100_000])
def test_damaged_names_of_classes_in_a_map(tmp_path: Path, text: str) -> None:
    path = write_raster(tmp_path / "map.tif", IMAGE[:1].astype(np.uint8))
    with rasterio.open(path, "r+") as dst:
        dst.update_tags(**{CLASSES_TAG: text})
    with pytest.raises(RasterError, match=r"map\.tif holds names of classes that cannot be read .*; make it again"):
        read_class_names(path)


def test_a_sidecar_with_a_character_that_xml_cannot_hold(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "map.tif", IMAGE[:1].astype(np.uint8))
    names = "<CategoryNames><Category/><Category>for\uffffest</Category></CategoryNames>"
    text = f"<PAMDataset><PAMRasterBand band='1'>{names}</PAMRasterBand></PAMDataset>"
    path.with_name("map.tif.aux.xml").write_text(text, encoding="utf-8")
    assert read_class_names(path) == {1: "for\ufffdest"}
    describe(path)


def test_a_virtual_raster_whose_crs_is_no_text(tmp_path: Path) -> None:
    path = write_virtual(tmp_path / "a.vrt", write_raster(tmp_path / "a.tif", IMAGE).name)
    path.write_bytes(path.read_bytes().replace(b"EPSG:", b'LOCAL_CS["\xff"] EPSG:'))
    with pytest.raises(RasterError, match=r"a\.vrt .*codec can't decode byte 0xff"):
        describe(path)


def test_a_crs_of_impossible_numbers(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.img", IMAGE, driver="ENVI")
    header = path.with_suffix(".hdr")
    text = header.read_text()
    header.write_text(re.sub(r'"Degree",[\d.]+', '"Degree",1e308', text))
    with pytest.raises(RasterError, match=r"a\.img has a CRS that PROJ cannot read \(.*gdal_edit\.py -a_srs EPSG:"):
        describe(path)


def test_a_directory_that_is_read_only_when_a_band_is_asked_for(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", IMAGE, mask=IMAGE[0] > 5)
    content = bytearray(path.read_bytes())
    (first,) = struct.unpack_from("<I", content, 4)
    (count,) = struct.unpack_from("<H", content, first)
    struct.pack_into("<I", content, first + 2 + 12 * count, len(content) + 1000)  # of the mask
    path.write_bytes(content)
    try:
        describe(path)
    except RasterError as error:
        assert "a.tif" in str(error)  # noqa: PT017  some versions of GDAL ignore the mask


def test_directories_in_a_circle(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", IMAGE)
    content = bytearray(path.read_bytes())
    (first,) = struct.unpack_from("<I", content, 4)
    (count,) = struct.unpack_from("<H", content, first)
    struct.pack_into("<I", content, first + 2 + 12 * count, first)
    path.write_bytes(content)
    assert describe(path)["bands"][0]["mean"] == pytest.approx(IMAGE[0].mean())


def test_virtual_rasters_that_refer_to_themselves(tmp_path: Path) -> None:
    write_virtual(tmp_path / "a.vrt", "b.vrt")
    write_virtual(tmp_path / "b.vrt", "a.vrt")
    write_virtual(tmp_path / "c.vrt", "a.vrt")
    for name in ("a", "b", "c"):
        with pytest.raises(RasterError, match=rf"{name}\.vrt is made of itself, or of a file that is \(.*a\.vrt"):
            describe(tmp_path / f"{name}.vrt")


def test_a_virtual_raster_cannot_run_code(tmp_path: Path) -> None:
    write_raster(tmp_path / "a.tif", IMAGE)
    code = f"open({str(tmp_path / 'run')!r}, 'w')\ndef f(*args, **kwargs): pass"
    band = (
        "<PixelFunctionType>f</PixelFunctionType><PixelFunctionLanguage>Python</PixelFunctionLanguage>"
        f"<PixelFunctionCode><![CDATA[\n{code}\n]]></PixelFunctionCode>"
    )
    path = write_virtual(tmp_path / "code.vrt", "a.tif", band=band, kind='subClass="VRTDerivedRasterBand"')
    with pytest.raises(RasterError, match=r"code\.vrt cannot be read"):
        describe(path)
    assert not (tmp_path / "run").exists()


def test_entities_that_multiply_are_not_expanded(tmp_path: Path, run: Run) -> None:
    path = write_virtual(tmp_path / "a.vrt", write_raster(tmp_path / "a.tif", IMAGE[:1]).name)
    entities = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 12))
    declared = f'<!DOCTYPE x [<!ENTITY a0 "ha">{entities}]>'
    text = path.read_text().replace("<SRS>", "<Metadata><MDI key='x'>&a11;</MDI></Metadata><SRS>")
    path.write_text(declared + text)
    assert run("inspect", path, "--json").exit_code == 0
