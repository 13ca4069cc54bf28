"""Warnings about images whose values are not plausible for their modality."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import rasterio

from s2fin_cli.core.options import InputOptions
from s2fin_cli.stack.assembly import stack_of
from tests.files import write_raster

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def around(middle: float, dtype: str = "float32") -> NDArray[Any]:
    """Two bands of values around a middle."""
    return np.random.default_rng(0).normal(middle, 5, (2, 40, 50)).astype(dtype)


def assemble(folder: Path, values: NDArray[Any], **declared: Any) -> Path:
    """Put a multispectral image and a thermal one of some values into a stack."""
    msi = write_raster(folder / "msi.tif", np.random.default_rng(1).integers(1, 200, (3, 40, 50)).astype("uint8"))
    thermal = write_raster(folder / "t.tif", values)
    with rasterio.open(thermal, "r+") as dst:
        for name, value in declared.items():
            setattr(dst, name, value)
    stack_of(InputOptions(msi=msi, thermal=thermal))
    return thermal


@pytest.mark.parametrize(
    ("values", "declared"),
    [
        (around(290), {}),
        (around(15), {}),
        (around(-40), {}),
        (around(29000, "uint16"), {}),  # in hundredths of kelvin, maybe
        (around(150, "uint8"), {}),
        (around(14000, "uint16"), {"scales": (0.02, 0.02)}),
        (around(41000, "uint16"), {"scales": (0.00341802,) * 2, "offsets": (149.0,) * 2}),
        (np.full((2, 40, 50), np.nan, "float32"), {}),
    ],
    ids=["kelvin", "Celsius", "cold", "scaled", "bytes", "scale", "scale and offset", "no data"],
)
def test_plausible_temperatures_raise_no_warning(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    values: NDArray[Any],
    declared: dict[str, Any],
) -> None:
    assemble(tmp_path, values, **declared)
    assert not caplog.records


@pytest.mark.parametrize(
    ("values", "declared"),
    [
        (around(2900), {}),
        (around(14000, "uint16"), {"scales": (0.1, 0.1)}),
        (around(14000, "uint16"), {"scales": (-0.1, -0.1)}),
    ],
    ids=["tenths", "scale", "negative"],
)
def test_a_warning_names_the_values_that_are_no_temperatures(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    values: NDArray[Any],
    declared: dict[str, Any],
) -> None:
    path = assemble(tmp_path, values, **declared)
    (record,) = caplog.records
    assert record.getMessage().startswith(f"`thermal` {path}: band 1, 2 has values of about ")
    assert "but 150 to 400 kelvin or -100 to 150 degrees Celsius are plausible; check the unit" in record.getMessage()


def test_only_bands_that_are_odd_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    values = around(290)
    values[1] *= 10
    assemble(tmp_path, values)
    assert "band 2 has values of about 2" in caplog.text


def test_a_void_raises_one_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    values = around(290)
    values[:, :20] = -9999
    assemble(tmp_path, values)
    (record,) = caplog.records
    assert "far from all other values" in record.getMessage()
