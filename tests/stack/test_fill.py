"""What fills the border of an image without being declared is no data; what may be data is not."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from s2fin_cli.core.errors import UsageError
from s2fin_cli.core.options import InputOptions
from s2fin_cli.stack import fill as fill_module
from s2fin_cli.stack.assembly import build_stack, stack_of
from s2fin_cli.stack.fill import find_undeclared
from s2fin_cli.stack.sampling import SMALL
from tests.files import write_raster

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from s2fin_cli.stack.fill import Fill

SHAPE = (80, 100)
#: A wedge at the lower left, as a swath leaves it, of a tenth of the image.
WEDGE = np.add.outer(np.arange(SHAPE[0]), -np.arange(SHAPE[1])) > 40


def image(dtype: str = "uint8", *, fill: float | None = 255, where: NDArray[np.bool_] = WEDGE) -> NDArray[Any]:
    values = np.random.default_rng(0).integers(20, 200, (3, *SHAPE)).astype(dtype)
    if fill is not None:
        values[:, where] = fill
    return values


def fill_of(path: Path) -> Fill | None:
    stack = build_stack({"msi": [str(path)]})
    as_a_whole, by_pieces = (find_undeclared(stack, most_at_once=most).fill for most in (SMALL.values, 0))
    assert as_a_whole == by_pieces
    return as_a_whole


@pytest.mark.parametrize(
    ("dtype", "fill"),
    [
        ("uint8", 255),
        ("uint8", 0),
        ("uint16", 65535),
        ("uint16", 0),
        ("int16", -9999),
        ("float32", -9999),
        ("float32", 0),
    ],
)
def test_what_fills_the_border_is_found_and_reported(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, dtype: str, fill: float
) -> None:
    path = write_raster(tmp_path / "a.tif", image(dtype, fill=fill))
    found = fill_of(path)
    assert found is not None
    assert found.value == fill
    assert found.share == pytest.approx(WEDGE.mean())
    with caplog.at_level(logging.WARNING):
        assert stack_of(options(path)).image.fill == fill
    assert f"`msi` {path}: {100 * WEDGE.mean():.1f} % of the pixels hold {fill:g} in all bands" in caplog.text
    assert '`nodata="none"` keeps them' in caplog.text


def inside() -> NDArray[np.bool_]:
    mask = np.zeros(SHAPE, dtype=bool)
    mask[20:60, 20:60] = True
    return mask


def corner(side: int) -> NDArray[np.bool_]:
    mask = np.zeros(SHAPE, dtype=bool)
    mask[:side, :side] = True
    return mask


@pytest.mark.parametrize(
    "values",
    [
        image(fill=None),
        image(fill=255, where=inside()),  # clouds, or water, that the border does not touch
        image(fill=255, where=corner(8)),  # too little
        image(fill=100),  # darker and brighter pixels are there: an even field
        image(fill=255)[:1],  # heights of 0 may be the sea
        np.where(WEDGE, np.array([[[255]], [[255]], [[254]]]), image()).astype("uint8"),
        np.full((3, *SHAPE), 7.5, "float32") + np.arange(3, dtype="float32")[:, None, None],
    ],
    ids=["none", "inside", "small", "even", "one band", "other bands", "constant"],
)
def test_what_may_be_data_is_not(tmp_path: Path, values: NDArray[Any]) -> None:
    assert fill_of(write_raster(tmp_path / "a.tif", values)) is None


def test_what_fills_a_border_beside_what_a_file_declares_stays_data_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    declared = write_raster(tmp_path / "a.tif", image(), nodata=0)
    values = image("float32", fill=np.nan)
    values[:, :, -20:] = -9999
    for path, fill in ((declared, 255), (write_raster(tmp_path / "b.tif", values), -9999)):
        found = fill_of(path)
        assert found is not None
        assert (found.value, found.is_declared_otherwise) == (fill, True)
        caplog.clear()
        assert stack_of(options(path)).image.fill is None
        (record,) = caplog.records
        assert (
            f"hold {fill} in all bands, on the border too, although the file declares in another way"
            in record.getMessage()
        )
        assert stack_of(options(path, nodata=fill)).image.fill == fill
    assert fill_of(write_raster(tmp_path / "c.tif", image(fill=0), nodata=0)) is None
    assert fill_of(write_raster(tmp_path / "d.tif", image(fill=None), nodata=0)) is None


def options(path: Path, **more: Any) -> InputOptions:
    return InputOptions(msi=str(path), **more)


@pytest.mark.parametrize("where", [np.s_[:200, 250:450], np.s_[-200:, 250:450], np.s_[250:, :60], np.s_[:500, -60:]])
def test_a_border_is_looked_at_in_places_all_around(tmp_path: Path, where: tuple[slice, slice]) -> None:
    values = np.random.default_rng(0).integers(20, 200, (3, 700, 600)).astype("uint8")
    values[:, *where] = 255
    found = fill_of(write_raster(tmp_path / "a.tif", values))
    assert found is not None
    assert found.share == pytest.approx((values[0] == 255).mean(), rel=0.1)


@given(shape=st.tuples(st.integers(1, 900), st.integers(1, 900)))
def test_pieces_of_a_border_hold_its_corners_and_nothing_else(shape: tuple[int, int]) -> None:
    looked_at = np.zeros(shape, dtype=int)
    for window in fill_module._border(shape):
        looked_at[window.toslices()] += fill_module._is_border(window, shape)
    assert not looked_at[1:-1, 1:-1].any()
    assert looked_at[[0, 0, -1, -1], [0, -1, 0, -1]].all()


def test_filled_pixels_have_no_data(tmp_path: Path) -> None:
    values = image()
    values[0, 0, 0] = values[1, 0, 1] = 255  # a single bright band is data
    path = write_raster(tmp_path / "a.tif", values)
    for value, expected in ((None, WEDGE), ("none", np.zeros(SHAPE, bool)), (255, WEDGE), ("255", WEDGE)):
        stack = stack_of(options(path, nodata=value))
        with stack.open() as opened:
            tile = opened.read(stack.grid.window)
        assert np.array_equal(~tile.valid, expected)
        assert np.array_equal(tile.images.image[:, ~expected], values[:, ~expected].astype("float32"))


def test_the_bands_of_several_files_are_looked_at_together(tmp_path: Path) -> None:
    paths = [str(write_raster(tmp_path / f"{i}.tif", band[None])) for i, band in enumerate(image())]
    assert stack_of(InputOptions(msi=paths)).image.fill == 255
    assert stack_of(InputOptions(msi=paths, nodata=0)).image.fill == 0


def test_it_does_not_depend_on_the_area_of_interest(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", image())
    left, bottom, right, top = build_stack({"msi": [str(path)]}).grid.bounds
    away = (left + 0.8 * (right - left), bottom + 0.5 * (top - bottom), right, top)
    assert stack_of(options(path, bounds=away)).image.fill == 255


@pytest.mark.parametrize("given", ["no", "nan", "inf", ""])
def test_a_value_is_a_number(tmp_path: Path, given: str) -> None:
    with pytest.raises(UsageError, match=r'`nodata` is .*; it must be a number or "none"'):
        options(tmp_path / "a.tif", nodata=given)


def voids_of(*paths: Path, **given: Any) -> list[tuple[str, float, tuple[int, ...]]]:
    stack = stack_of(InputOptions(msi=paths[0], dsm=paths[1:], **given))
    return [(layer.modality, void.value, void.numbers) for layer, void in find_undeclared(stack).voids]


def heights(void: float, share: float = 0.2) -> NDArray[np.float32]:
    values = np.random.default_rng(0).normal(100, 20, (40, 50)).astype(np.float32)
    values.ravel()[: int(share * values.size)] = void
    return values


@pytest.mark.parametrize("void", [-9999, -32768, 9999, -3.4028235e38, 1e20])
def test_voids_of_a_second_image_are_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture, void: float) -> None:
    msi = write_raster(tmp_path / "msi.tif", image()[:, :40, :50])
    dsm = write_raster(tmp_path / "dsm.tif", heights(void))
    assert voids_of(msi, dsm) == [("dsm", float(np.float32(void)), (1,))]
    assert f"{dsm}: 20.0 % of the pixels hold {void:g} in band 1, far from all other values" in caplog.text
    assert f'give `nodata="dsm:{void:g}"`' in caplog.text
    caplog.clear()
    assert not voids_of(msi, dsm, nodata=f"dsm:{void:g}" if abs(void) < 1e6 else f"dsm:{void!r}")
    assert not caplog.records


@pytest.mark.parametrize(
    "values",
    [heights(60), heights(-9999, share=0.005), np.where(heights(0) > 90, 255, 0), heights(0) * 0 + 7],
    ids=["among the others", "few", "two values", "one value"],
)
def test_what_is_no_void(tmp_path: Path, values: NDArray[Any]) -> None:
    msi = write_raster(tmp_path / "msi.tif", image()[:, :40, :50])
    assert not voids_of(msi, write_raster(tmp_path / "dsm.tif", values.astype(np.float32)))


@pytest.mark.parametrize("declared", [None, 0.0])
@pytest.mark.parametrize("shift", [0, 0.3])
def test_the_nodata_value_of_a_second_image_can_be_given(tmp_path: Path, shift: float, declared: float | None) -> None:
    """It counts beside a declared one, band by band, and is kept out of the warp."""
    transform = Affine(10, 0, 500_000, 0, -10, 5_000_000) * Affine.translation(shift, shift)
    values = np.stack([heights(-9999), heights(50, share=0.1)])
    if declared is not None:
        values[1, 30:] = declared
    msi = write_raster(tmp_path / "msi.tif", image()[:, :40, :50])
    dsm = write_raster(tmp_path / "dsm.tif", values, transform=transform, nodata=declared)
    stack = stack_of(InputOptions(msi=msi, dsm=dsm, nodata="dsm:-9999", resampling="nearest"))
    with stack.open() as opened:
        aux = opened.read(stack.grid.window).images.aux
    assert aux is not None
    void = (values == -9999) | (False if declared is None else values == declared)
    inside = np.s_[:, 1:-1, 1:-1]
    assert np.array_equal(np.isnan(aux)[inside], void[inside])
    assert np.nanmin(aux) > 0
    assert np.nanmax(np.where(np.isnan(aux), 0, np.abs(aux - values))[inside]) == 0


def test_a_nodata_value_is_of_an_image_that_is_given(tmp_path: Path) -> None:
    msi = write_raster(tmp_path / "msi.tif", image())
    for nodata, message in {"sar:0": "no `sar` was given", "msi:0,1": "it must be a number"}.items():
        with pytest.raises(UsageError, match=message):
            options(msi, nodata=nodata)
    with pytest.raises(UsageError, match=r"`nodata` .*`msi`.* twice"):
        options(msi, nodata=["0", "msi:1"])


def test_a_border_is_found_in_stored_values(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", image())
    with rasterio.open(path, "r+") as dst:
        dst.scales, dst.offsets = [1e-4 * (band + 1) for band in range(dst.count)], [-0.1] * dst.count
    stack = stack_of(options(path))
    assert stack.image.fill == 255
    with stack.open() as opened:
        values = opened.read(stack.grid.window).images.image
    stored = image().astype(np.float64)
    scale = 1e-4 * (np.arange(len(stored)) + 1)[:, None, None]
    expected = np.where((stored == stack.image.fill).all(axis=0), np.nan, stored * scale - 0.1)
    np.testing.assert_allclose(values, expected, rtol=1e-6)


@pytest.mark.parametrize("resampling", ["bilinear", "average"])
def test_voids_are_warned_of_whatever_resampling_would_make_of_them(tmp_path: Path, resampling: str) -> None:
    msi = write_raster(tmp_path / "msi.tif", image()[:, :40, :50])
    transform = Affine(10, 0, 500_000, 0, -10, 5_000_000) * Affine.translation(0.3, 0.4)
    values = heights(100, share=0)
    values[10:20, 10:30] = -9999
    dsm = write_raster(tmp_path / "dsm.tif", values, transform=transform)
    assert voids_of(msi, dsm, resampling=resampling) == [("dsm", -9999, (1,))]


@pytest.mark.parametrize("kind", ["complex sources", "warped"])
def test_a_nodata_value_can_be_given_for_virtual_rasters_of_any_kind(tmp_path: Path, kind: str) -> None:
    msi = write_raster(tmp_path / "msi.tif", image()[:, :40, :50])
    transform = Affine(10, 0, 500_000, 0, -10, 5_000_000) * Affine.translation(0.3, 0.4)
    dsm = write_raster(tmp_path / "dsm.tif", heights(-9999), transform=transform)
    vrt = tmp_path / "dsm.vrt"
    if kind == "warped":
        with rasterio.open(dsm) as src, WarpedVRT(src, resampling=Resampling.nearest) as warped:
            rasterio.shutil.copy(warped, vrt, driver="VRT")
    else:
        rasterio.shutil.copy(dsm, vrt, driver="VRT")
        vrt.write_text(vrt.read_text().replace("SimpleSource>", "ComplexSource>"))
    read: list[Any] = []
    for path in (dsm, vrt):
        with stack_of(InputOptions(msi=msi, dsm=path, nodata="dsm:-9999", resampling="bilinear")).open() as opened:
            read.append(opened.read(Window(0, 0, 50, 40)).images.aux)
    assert np.nanmin(read[0]) > 0
    assert np.array_equal(read[0], read[1], equal_nan=True)
