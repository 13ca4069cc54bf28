from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from s2fin import Standardizer
from s2fin_cli.stack.assembly import build_stack
from s2fin_cli.stack.cells import Cells, count_cells, read_cells
from s2fin_cli.stack.guide import FEW_BANDS
from s2fin_cli.stack.stack import Stack
from s2fin_cli.teaching.features import (
    CELLS_AT_ONCE,
    FLATTEST,
    MARGIN,
    SCALES,
    SHAPE_SCALES,
    Features,
    features_at,
    pixel_features,
    positions,
    standard_normal_variate,
)
from s2fin_cli.teaching.members import choose_members
from tests.files import write_raster

SHAPE = (53, 90)
MEAN, STD = np.array([100.0, 50.0, 7.0]), np.array([20.0, 10.0, 0.0])
AUX_MEAN, AUX_STD = 5.0, 2.0
COMPONENTS = np.array([[0.5, -1.0, 0.0], [0.25, 0.5, 2.0]])


def make_standardizer(*, alone: bool = False, bands: int = 3) -> Standardizer:
    """One for these bands."""
    aux = (None, None) if alone else ([AUX_MEAN], [AUX_STD])
    mean, std, components = of_bands(bands)
    return Standardizer.from_statistics(mean.tolist(), std.tolist(), *aux, components=components.tolist())


def of_bands(count: int) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Mean and deviation (count,) of a number of bands, and components (2, count)."""
    repeats = -(-count // 3)
    return np.tile(MEAN, repeats)[:count], np.tile(STD, repeats)[:count], np.tile(COMPONENTS, repeats)[:, :count]


@pytest.fixture(scope="module")
def image() -> NDArray[np.float32]:
    """Three bands with gaps, the third of them constant; the gradient makes each place another."""
    values = np.random.default_rng(0).normal(MEAN[:, None, None], STD[:, None, None], size=(3, *SHAPE))
    values[0] += np.arange(SHAPE[1])
    values[1, :2, 3], values[0, 30, 40], values[:, 52, 80:] = np.nan, np.nan, np.nan
    return values.astype(np.float32)


@pytest.fixture(scope="module")
def heights() -> NDArray[np.float32]:
    values = np.random.default_rng(1).normal(5, 2, size=(1, *SHAPE)).astype(np.float32)
    values[0, 20:25, 20] = np.nan
    return values


@pytest.fixture(scope="module")
def stack(image: NDArray[np.float32], heights: NDArray[np.float32], tmp_path_factory: pytest.TempPathFactory) -> Stack:
    folder = tmp_path_factory.mktemp("features")
    write_raster(folder / "a.tif", image)
    write_raster(folder / "b.tif", heights)
    return build_stack({"hsi": [str(folder / "a.tif")], "dsm": [str(folder / "b.tif")]})


def all_pixels() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    rows, cols = np.indices(SHAPE).reshape(2, -1)
    order = np.random.default_rng(2).permutation(rows.size)
    return rows[order], cols[order]


def scaled(values: NDArray[np.float32], mean: NDArray[np.float64], std: NDArray[np.float64]) -> NDArray[np.float64]:
    """Standardised bands, 0 where there is no data, as float64."""
    result = (values - mean[:, None, None]) / np.where(std > 0, std, 1)[:, None, None]
    return np.where(np.isfinite(result), result, 0.0)


def expected_features(maps: dict[str, NDArray[np.float64]]) -> Features:
    """Expected features, by plain windows on the whole mirrored maps; arrays (height, width, bands)."""
    expected = {}
    for name, part in maps.items():
        expected[name] = part.transpose(1, 2, 0)
        for scale in SCALES:
            padded = np.pad(part, ((0, 0), *((scale // 2, scale // 2),) * 2), mode="symmetric")
            windows = np.lib.stride_tricks.sliding_window_view(padded, (scale, scale), axis=(1, 2))
            expected[f"{name} mean {scale}"] = windows.mean(axis=(3, 4)).transpose(1, 2, 0)
            # 1e-4 is added to the variance so that its root has a gradient
            expected[f"{name} deviation {scale}"] = np.sqrt(windows.var(axis=(3, 4)) + 1e-4).transpose(1, 2, 0)
    for name in ("bands", *(f"bands mean {scale}" for scale in SHAPE_SCALES)):
        spectra = expected[name]
        deviation = spectra.std(axis=2, keepdims=True)
        shape = (spectra - spectra.mean(axis=2, keepdims=True)) / np.where(deviation > 0, deviation, 1)
        expected[name.replace("bands", "shape")] = shape
    if len(maps["bands"]) > FEW_BANDS:  # then the surroundings are those of the components
        gone = f"shape mean {SHAPE_SCALES[1]}"
        expected = {n: values for n, values in expected.items() if not n.startswith("bands ") and n != gone}
    return {name: values.astype(np.float32) for name, values in expected.items()}


def maps_of(image: NDArray[np.float32], heights: NDArray[np.float32] | None) -> dict[str, NDArray[np.float64]]:
    """Standardised bands and components of an image, and the second image if there is one."""
    mean, std, components = of_bands(len(image))
    bands = scaled(image, mean, std)
    maps = {"bands": bands, "components": np.einsum("kb,bhw->khw", components, bands)}
    if heights is not None:
        maps["aux"] = scaled(heights, np.array([AUX_MEAN]), np.array([AUX_STD]))
    return maps


def check(found: Features, expected: Features, rows: NDArray[np.int64], cols: NDArray[np.int64]) -> None:
    assert set(found) == set(expected)
    for name, values in found.items():
        assert values.dtype == np.float32
        assert values.shape == (len(rows), expected[name].shape[2])
        assert values == pytest.approx(expected[name][rows, cols], abs=2e-3), name


@pytest.mark.parametrize("margin", [MARGIN, MARGIN + 4])
@pytest.mark.parametrize("alone", [False, True], ids=["two images", "one image"])
def test_features_are_windows_of_the_whole_image(
    stack: Stack, image: NDArray[np.float32], heights: NDArray[np.float32], *, alone: bool, margin: int
) -> None:
    """Gaps count as the band's mean, and beyond the edge all is mirrored; a margin may be larger than needed."""
    rows, cols = all_pixels()
    cells = read_cells(Stack(stack.image) if alone else stack, rows, cols, margin=margin)
    found = pixel_features(make_standardizer(alone=alone), cells)
    check(found, expected_features(maps_of(image, None if alone else heights)), rows, cols)


@pytest.mark.parametrize("bands", [FEW_BANDS, FEW_BANDS + 1])
def test_the_surroundings_of_many_bands_are_those_of_their_components(tmp_path: Path, bands: int) -> None:
    mean, std, _ = of_bands(bands)
    values = np.random.default_rng(0).normal(mean[:, None, None], std[:, None, None], size=(bands, 20, 30))
    image = values.astype(np.float32)
    stack = build_stack({"hsi": [str(write_raster(tmp_path / "a.tif", image))]})
    rows, cols = np.indices((20, 30)).reshape(2, -1)
    found = pixel_features(make_standardizer(alone=True, bands=bands), read_cells(stack, rows, cols, margin=MARGIN))
    assert ("bands mean 3" in found) == (bands <= FEW_BANDS)
    check(found, expected_features(maps_of(image, None)), rows, cols)


@pytest.mark.parametrize("at_once", [1, 7, 256])
@pytest.mark.parametrize("count", [1, 2, 400])
def test_pixels_anywhere_have_the_features_of_cells_and_their_positions(stack: Stack, count: int, at_once: int) -> None:
    standardizer = make_standardizer()
    rows, cols = (places[:count] for places in all_pixels())
    rows, cols = np.append(rows, rows[0]), np.append(cols, cols[0])  # one of them twice
    assert count < 400 or 7 < count_cells(rows, cols) < 256
    found = features_at(standardizer, stack, rows, cols, at_once=at_once)
    expected = pixel_features(standardizer, read_cells(stack, rows, cols, margin=MARGIN))
    assert set(found) == {*expected, "position"}
    for name, values in expected.items():
        assert found[name].dtype == np.float32
        assert found[name] == pytest.approx(values, abs=1e-4), name
    assert np.array_equal(found["position"], positions(rows, cols))
    assert found["position"].tolist() == [[row, col] for row, col in zip(rows, cols, strict=True)]
    assert found["position"].dtype == np.float32


def some_cells(stack: Stack, *, count: int = 300) -> Cells:
    rows, cols = (places[:count] for places in all_pixels())
    return read_cells(stack, rows, cols, margin=MARGIN)


def test_a_pixels_features_depend_on_no_other_pixel(stack: Stack) -> None:
    """Neither on how many cells are computed at once, nor on cells none of whose pixels is asked for."""
    standardizer = make_standardizer()
    cells = some_cells(stack)
    assert len(cells) > CELLS_AT_ONCE
    together = pixel_features(standardizer, cells)
    few = np.flatnonzero(cells.places.index % 5 == 2)[::-1]
    chosen = pixel_features(standardizer, replace(cells, places=cells.places.select(few)))
    single = pixel_features(standardizer, cells, at_once=1)
    for name, values in together.items():
        assert single[name] == pytest.approx(values, abs=1e-4)
        assert chosen[name] == pytest.approx(values[few], abs=1e-4)


def test_features_need_no_gradient_and_leave_the_cells_alone(stack: Stack) -> None:
    cells = some_cells(stack)
    before = cells.images.map(np.copy)
    found = pixel_features(make_standardizer(), cells)
    for values, old in zip(cells.images.parts(), before.parts(), strict=True):
        assert np.array_equal(values, old, equal_nan=True)
    assert all(np.isfinite(values).all() for values in found.values())
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("bands", [3, FEW_BANDS + 1])
@pytest.mark.parametrize("alone", [False, True], ids=["two images", "one image"])
def test_every_member_of_the_teacher_looks_at_features_that_there_are(
    tmp_path: Path, *, alone: bool, bands: int
) -> None:
    values = np.random.default_rng(0).normal(size=(bands, 9, 9)).astype(np.float32)
    files = {"hsi": [str(write_raster(tmp_path / "a.tif", values))]}
    if not alone:
        files["dsm"] = [str(write_raster(tmp_path / "b.tif", values[:1]))]
    places = np.arange(5)
    found = features_at(make_standardizer(alone=alone, bands=bands), build_stack(files), places, places)
    members = choose_members(found, dense=True)
    assert len(members) == (7 if bands <= FEW_BANDS else 6)
    for member in members:
        assert len(np.concatenate(member.see(found), axis=1)) == 5


def test_a_scene_of_one_pixel(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "pixel.tif", np.array([120.0, 40.0, 7.0], np.float32).reshape(3, 1, 1))
    standardizer = make_standardizer(alone=True)
    zero = np.zeros(1, np.int64)
    stack = build_stack({"msi": [str(path)]})
    found = features_at(standardizer, stack, zero, zero)
    for scale in SCALES:
        assert found[f"bands mean {scale}"] == pytest.approx(np.array([[1.0, -1.0, 0.0]]), abs=1e-5)
        assert found[f"bands deviation {scale}"] == pytest.approx(np.full((1, 3), 0.01), abs=1e-3)


# ---- standard normal variate -----------------------------------------------------------------------------------------


def test_the_shape_of_a_spectrum_has_mean_0_and_deviation_1() -> None:
    shape = standard_normal_variate(torch.randn(20, 9, generator=torch.Generator().manual_seed(0)))
    torch.testing.assert_close(shape.mean(dim=1), torch.zeros(20))
    torch.testing.assert_close(shape.std(dim=1, correction=0), torch.ones(20))


def test_the_shape_knows_neither_gain_nor_offset() -> None:
    spectra = torch.randn(30, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.testing.assert_close(standard_normal_variate(5 * spectra - 2), standard_normal_variate(spectra))
    torch.testing.assert_close(standard_normal_variate(-spectra), -standard_normal_variate(spectra))


def test_flat_spectra_have_no_shape() -> None:
    assert (standard_normal_variate(torch.full((2, 4), 7.0)) == 0).all()
    assert (standard_normal_variate(torch.randn(2, 1)) == 0).all(), "nor has a single band"
    noise = FLATTEST / 10 * torch.tensor([[1.0, -1.0]])
    torch.testing.assert_close(standard_normal_variate(noise), noise / FLATTEST)
