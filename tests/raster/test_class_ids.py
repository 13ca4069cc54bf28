"""Class ids read from maps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import rasterio
import rasterio.shutil

from s2fin_cli.core.classes import make_classes
from s2fin_cli.core.errors import RasterError
from s2fin_cli.raster.class_ids import iter_class_strips
from s2fin_cli.raster.class_map import create_class_map
from s2fin_cli.raster.class_names import read_class_names
from tests.files import write_raster
from tests.raster.maps import LARGE, write

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("names", "dtype", "nodata"),
    [
        ({0: "sea", 1: "sand"}, "uint8", 255),
        ({0: "sea", 300: "sand"}, "uint16", 255),
        ({0: "sea", 255: "sand"}, "uint16", 65535),
        ({7: "sea", 22531: "sand"}, "uint16", 0),
        ({65535: "sea"}, "uint16", 0),
    ],
)
def test_class_numbers_of_all_sizes(tmp_path: Path, names: dict[int, str], dtype: str, nodata: int) -> None:
    values = write(tmp_path / "map.tif", names)
    with rasterio.open(tmp_path / "map.tif") as src:
        assert src.dtypes == (dtype,)
        assert src.nodata == nodata
        assert np.array_equal(src.read(1), values)
        colormap = src.colormap(1)
        assert {c.id: colormap[c.id][:3] for c in make_classes(names)} == {c.id: c.color for c in make_classes(names)}
    assert read_class_names(tmp_path / "map.tif") == names


def test_a_truncated_map_is_reported(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(1, 3, (1, *LARGE.shape)).astype("uint8")
    path = tmp_path / "map.tif"
    with create_class_map(path, LARGE, make_classes({1: "a", 2: "b"})) as writer:
        writer.write(values, LARGE.window)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
    with pytest.raises(RasterError):
        list(iter_class_strips(path, 0))


@pytest.mark.parametrize("has_mask", [False, True])
@pytest.mark.parametrize(
    "held_as",
    [
        ("float32", -3.402823e38, -3.4028235e38),
        ("float64", -3.402823e38, -3.402823e38),
        ("float32", np.nan, np.nan),
        ("uint8", 255, 255),
        ("int64", -9999, -9999),
        ("uint16", None, 0),
    ],
)
def test_nodata_of_a_class_map_is_what_gdal_takes_for_it(
    tmp_path: Path, held_as: tuple[str, float | None, float], has_mask: bool
) -> None:
    dtype, declared, held = held_as
    values = np.random.default_rng(0).integers(1, 4, (20, 30)).astype(dtype)
    values[3, 4:9] = held
    mask = np.ones(values.shape, bool)
    mask[10:12] = not has_mask
    path = write_raster(tmp_path / "a.tif", values, nodata=declared, mask=mask if has_mask else None)
    found = np.concatenate([strip for _, strip in iter_class_strips(path, 77)])
    void = ~mask
    void[3, 4:9] |= declared is not None
    assert np.array_equal(found == 77, void)
    assert np.array_equal(found[~void], values[~void].astype(np.int64))
