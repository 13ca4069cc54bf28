"""What fills the border of an image without being declared is no data; what may be data is not."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2fin_cli.config import InputOptions
from s2fin_cli.errors import UsageError
from s2fin_cli.geo import fill as fill_module
from s2fin_cli.geo.fill import find_fill
from s2fin_cli.geo.stack import build_stack, stack_of

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from s2fin_cli.geo.fill import Fill
    from tests.conftest import WriteRaster

SHAPE = (80, 100)
#: A wedge at the lower left, as a swath leaves it, of a tenth of the image.
WEDGE = np.add.outer(np.arange(SHAPE[0]), -np.arange(SHAPE[1])) > 40


def image(dtype: str = "uint8", *, fill: float | None = 255, where: NDArray[np.bool_] = WEDGE) -> NDArray[Any]:
    values = np.random.default_rng(0).integers(20, 200, (3, *SHAPE)).astype(dtype)
    if fill is not None:
        values[:, where] = fill
    return values


@pytest.fixture(autouse=True, params=["whole", "border by border"])
def how_it_is_read(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param != "whole":
        monkeypatch.setattr(fill_module, "READ_AT_ONCE", 0)


def fill_of(path: Path) -> Fill | None:
    return find_fill(build_stack({"msi": [str(path)]}))


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
def test_what_fills_the_border_is_found_and_told(
    tmp_path: Path, write_raster: WriteRaster, caplog: pytest.LogCaptureFixture, dtype: str, fill: float
) -> None:
    path = write_raster(tmp_path / "a.tif", image(dtype, fill=fill))
    found = fill_of(path)
    assert found is not None
    assert found.value == fill
    assert found.share == pytest.approx(WEDGE.mean())
    with caplog.at_level(logging.WARNING):
        assert stack_of(options(path)).image.fill == fill
    assert f"--msi {path}: {100 * WEDGE.mean():.1f} % of the pixels hold {fill:g} in all bands" in caplog.text
    assert "--nodata none keeps them" in caplog.text


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
def test_what_may_be_data_is_not(tmp_path: Path, write_raster: WriteRaster, values: NDArray[Any]) -> None:
    assert fill_of(write_raster(tmp_path / "a.tif", values)) is None


def test_what_a_file_says_itself_is_enough(tmp_path: Path, write_raster: WriteRaster) -> None:
    assert fill_of(write_raster(tmp_path / "a.tif", image(), nodata=0)) is None
    values = image("float32", fill=np.nan)
    values[:, :, -20:] = -9999
    assert fill_of(write_raster(tmp_path / "b.tif", values)) is None


def options(path: Path, **more: Any) -> InputOptions:
    return InputOptions(msi=str(path), **more)


@pytest.mark.parametrize("where", [np.s_[:200, 250:450], np.s_[-200:, 250:450], np.s_[250:, :60], np.s_[:500, -60:]])
def test_a_border_is_looked_at_in_places_all_around(
    tmp_path: Path, write_raster: WriteRaster, where: tuple[slice, slice]
) -> None:
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


def test_filled_pixels_have_no_data(tmp_path: Path, write_raster: WriteRaster) -> None:
    values = image()
    values[0, 0, 0] = values[1, 0, 1] = 255  # a single bright band is data
    path = write_raster(tmp_path / "a.tif", values)
    for value, expected in ((None, WEDGE), ("none", np.zeros(SHAPE, bool)), (255, WEDGE), ("255", WEDGE)):
        stack = stack_of(options(path, nodata=value))
        with stack.open() as opened:
            tile = opened.read(stack.grid.window)
        assert np.array_equal(~tile.valid, expected)
        assert np.array_equal(tile.image[:, ~expected], values[:, ~expected].astype("float32"))


def test_the_bands_of_several_files_are_looked_at_together(tmp_path: Path, write_raster: WriteRaster) -> None:
    paths = [str(write_raster(tmp_path / f"{i}.tif", band[None])) for i, band in enumerate(image())]
    assert stack_of(InputOptions(msi=paths)).image.fill == 255
    assert stack_of(InputOptions(msi=paths, nodata=0)).image.fill == 0


def test_it_does_not_depend_on_the_area_of_interest(tmp_path: Path, write_raster: WriteRaster) -> None:
    path = write_raster(tmp_path / "a.tif", image())
    left, bottom, right, top = build_stack({"msi": [str(path)]}).grid.bounds
    away = (left + 0.8 * (right - left), bottom + 0.5 * (top - bottom), right, top)
    assert stack_of(options(path, bounds=away)).image.fill == 255


@pytest.mark.parametrize("given", ["no", "nan", "inf", ""])
def test_a_value_is_a_number(tmp_path: Path, given: str) -> None:
    with pytest.raises(UsageError, match=r'nodata is .*; it must be a number, or "none"'):
        options(tmp_path / "a.tif", nodata=given)
