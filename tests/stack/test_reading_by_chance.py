"""A stack reads random files as an independent reader made of rasterio, GDAL's masks and pyproj does."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from pyproj import Transformer
from rasterio.enums import ColorInterp

from s2fin_cli.core.options import InputOptions
from s2fin_cli.raster.opening import without_georeferencing_warning
from s2fin_cli.stack.assembly import stack_of
from tests.files import write_raster

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: The passive image: 24 x 30 pixels of 10 m, whose middle lies at 9 E.
SHAPE, CRS_CODE, TRANSFORM = (24, 30), "EPSG:32632", Affine(10, 0, 499_850, 0, -10, 5_000_120)
#: Grids of the second image: CRS, and pixel width and height.
GRIDS = [
    ("EPSG:32632", 10, 10), ("EPSG:32632", 10, -10), ("EPSG:32632", 7, -13), ("EPSG:32633", 9, -9),
    ("EPSG:4326", 1.1e-4, -0.9e-4), ("EPSG:3857", 14, -14), ("EPSG:3035", 25, -25), ("EPSG:2154", 10, -10),
]  # fmt: skip
DTYPES = ["uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64"]
GDAL_TYPES = {
    "uint8": "Byte", "int8": "Int8", "uint16": "UInt16", "int16": "Int16", "uint32": "UInt32", "int32": "Int32",
    "float32": "Float32", "float64": "Float64",
}  # fmt: skip
WHOLE: list[float | None] = [None, 0, 7, 99]
NODATA = dict.fromkeys(DTYPES, WHOLE) | {
    "float32": [None, 0.0, -9999.0, -9999.0004, -3.4e38, np.nan, 1e20],
    "float64": [None, 0.0, -9999.0, -1e300, np.nan],
}
#: What files hold that declare a nodata value rounded.
STORED = {-9999.0004: -9999.0, -3.4e38: -3.4028234663852886e38}


@dataclass
class Band:
    """One band of a file: its values, and what its header says of it."""

    dtype: str
    nodata: float | None
    scale: float
    offset: float
    values: NDArray[Any] = field(default_factory=lambda: np.empty(0))

    def fill(self, generator: np.random.Generator, shape: tuple[int, int]) -> None:
        """Values of 1 to 99, and holes that hold the nodata value, as files round it."""
        self.values = generator.integers(1, 100, shape).astype(self.dtype)
        if self.nodata is not None:
            self.values[generator.random(shape) < 0.2] = STORED.get(self.nodata, self.nodata)
        if self.dtype.startswith("float"):
            self.values[generator.random(shape) < 0.05] = np.nan


bands = st.sampled_from(DTYPES).flatmap(
    lambda dtype: st.builds(
        Band,
        dtype=st.just(dtype),
        nodata=st.sampled_from(NODATA[dtype]),
        scale=st.sampled_from([1.0, 0.0001, 2.0, -0.5]),
        offset=st.sampled_from([0.0, -0.1, 1000.0]),
    )
)


@dataclass
class File:
    """A raster: bands with a data type and a nodata value of their own, or in common; a mask or an alpha band."""

    bands: list[Band]
    mask: str
    grid: tuple[str, float, float]
    place: tuple[float, float]

    @property
    def is_mixed(self) -> bool:
        return len({(band.dtype, str(band.nodata)) for band in self.bands}) > 1


files = st.builds(
    File,
    bands=st.lists(bands, min_size=1, max_size=3),
    mask=st.sampled_from(["none", "none", "internal", "alpha", "data alpha"]),
    grid=st.sampled_from(GRIDS),
    place=st.tuples(st.floats(-6, 6), st.floats(-6, 6)),
)


def write_file(
    folder: Path, name: str, file: File, shape: tuple[int, int], seed: int, **profile: Any
) -> tuple[Path, Any]:
    """Write a file by chance.

    Returns:
        its path, and what it holds: float64 (bands, height, width), NaN where there is no data.
    """
    generator = np.random.default_rng(seed)
    for band in file.bands:
        band.fill(generator, shape)
    # NOTE: nodata is what GDAL says it is, of each band alone
    expected = []
    for number, band in enumerate(file.bands):
        alone = folder / f"{name}_{number}.tif"
        write_raster(alone, band.values, nodata=band.nodata, **profile)
        with rasterio.open(alone) as src:
            values, valid = src.read(1).astype(np.float64), src.read_masks(1) > 0
        expected.append(np.where(valid & np.isfinite(values), values * band.scale + band.offset, np.nan))
    if file.is_mixed:
        return write_vrt(folder, name, file, shape, **profile), np.stack(expected)
    return write_one_type(folder, name, file, expected, generator, **profile), np.stack(expected)


def write_vrt(folder: Path, name: str, file: File, shape: tuple[int, int], **profile: Any) -> Path:
    parts = [
        f'<VRTRasterBand dataType="{GDAL_TYPES[band.dtype]}" band="{number + 1}">'
        + ("" if band.nodata is None else f"<NoDataValue>{band.nodata!r}</NoDataValue>")
        + f"<Offset>{band.offset}</Offset><Scale>{band.scale}</Scale><SimpleSource><SourceFilename relativeToVRT='1'>"
        f"{name}_{number}.tif</SourceFilename><SourceBand>1</SourceBand></SimpleSource></VRTRasterBand>"
        for number, band in enumerate(file.bands)
    ]
    path = folder / f"{name}.vrt"
    path.write_text(
        f'<VRTDataset rasterXSize="{shape[1]}" rasterYSize="{shape[0]}"><SRS>{profile["crs"]}</SRS>'
        f"<GeoTransform>{', '.join(map(repr, profile['transform'].to_gdal()))}</GeoTransform>{''.join(parts)}"
        "</VRTDataset>"
    )
    return path


def write_one_type(
    folder: Path, name: str, file: File, expected: list[Any], generator: np.random.Generator, **profile: Any
) -> Path:
    """Bands of one type, with a mask or an alpha band, which is added to what is expected."""
    path, first = folder / f"{name}.tif", file.bands[0]
    values, scales = [band.values for band in file.bands], [(band.scale, band.offset) for band in file.bands]
    shape, is_alpha = values[0].shape, file.mask in ("alpha", "data alpha")
    hole = generator.random(shape) < 0.2
    if file.mask == "alpha":
        values.append(np.where(hole, 0, 100).astype(first.dtype))
        scales.append((1.0, 0.0))
    elif file.mask == "data alpha":
        data = (np.arange(hole.size).reshape(shape) % 90 + 5).astype(first.dtype)
        values.append(data)
        scales.append((2.0, 1.0))
        is_nodata = np.zeros(shape, bool) if first.nodata is None else data == STORED.get(first.nodata, first.nodata)
        expected.append(np.where(is_nodata, np.nan, data * 2.0 + 1.0))
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        write_raster(path, np.stack(values), nodata=first.nodata, **profile)
        with rasterio.open(path, "r+") as dst:
            dst.scales, dst.offsets = zip(*scales, strict=True)
            if is_alpha:
                dst.colorinterp = [*[ColorInterp.gray] * (len(values) - 1), ColorInterp.alpha]
            if file.mask == "internal":
                dst.write_mask(~hole)
    if file.mask in ("internal", "alpha"):
        for band in expected:
            band[hole] = np.nan
    return path


def nearest(values: NDArray[Any], crs: str, transform: Affine) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """The values at the centres of the passive image's pixels, and where they are sure: away from borders of pixels."""
    rows, cols = np.indices(SHAPE) + 0.5
    x, y = TRANSFORM.c + TRANSFORM.a * cols, TRANSFORM.f + TRANSFORM.e * rows
    x, y = Transformer.from_crs(CRS_CODE, crs, always_xy=True).transform(x, y)
    inverse = ~transform
    col, row = inverse.a * x + inverse.c, inverse.e * y + inverse.f
    sure = (np.abs(col - col.round()) > 0.01) & (np.abs(row - row.round()) > 0.01)
    height, width = values.shape[1:]
    inside = (col >= 0) & (col < width) & (row >= 0) & (row < height)
    found = values[:, np.where(inside, row, 0).astype(int), np.where(inside, col, 0).astype(int)]
    return np.where(inside, found, np.nan), sure


def second_transform(file: File, shape: tuple[int, int]) -> Affine:
    """A grid of a shape whose middle is offset by some pixels from that of the passive image."""
    crs, width, height = file.grid
    middle = TRANSFORM * (SHAPE[1] / 2, SHAPE[0] / 2)
    x, y = Transformer.from_crs(CRS_CODE, crs, always_xy=True).transform(*middle)
    corner = x - width * (shape[1] / 2 + file.place[0]), y - height * (shape[0] / 2 + file.place[1])
    return Affine(width, 0, corner[0], 0, height, corner[1])


@pytest.mark.slow
@settings(max_examples=100, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(first=files, second=files, seed=st.integers(0, 1000))
def test_a_stack_reads_what_the_files_hold(first: File, second: File, seed: int) -> None:
    shape = (27, 33)
    transform = second_transform(second, shape)
    with tempfile.TemporaryDirectory() as name, without_georeferencing_warning():
        folder = Path(name)
        msi, image = write_file(folder, "msi", first, SHAPE, seed, crs=CRS_CODE, transform=TRANSFORM)
        dsm, aux = write_file(folder, "dsm", second, shape, seed + 1, crs=second.grid[0], transform=transform)
        stack = stack_of(InputOptions(msi=msi, dsm=dsm, nodata="none", resampling="nearest"))
        with stack.open() as opened:
            tile = opened.read(stack.grid.window)
    assert np.array_equal(tile.images.image, image.astype(np.float32), equal_nan=True)
    expected, sure = nearest(aux, second.grid[0], transform)
    assert tile.images.aux is not None
    assert np.array_equal(tile.images.aux[:, sure], expected[:, sure].astype(np.float32), equal_nan=True)
