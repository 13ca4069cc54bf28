from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from s2fin import S2Fin, S2FinConfig
from s2fin_cli.geo.stack import Stack, build_stack
from s2fin_cli.learn import features
from s2fin_cli.learn.features import (
    FLATTEST,
    SCALES,
    TEXTURE_SCALES,
    Features,
    joined,
    pixel_features,
    standard_normal_variate,
    texture_dictionary,
)
from s2fin_cli.learn.samples import Cells, read_cells
from s2fin_cli.learn.teacher import choose_members
from s2fin_cli.learn.texture import Dictionary, patches_of
from tests.app.scenes import write_tif

SHAPE = (53, 90)
MEAN, STD = np.array([100.0, 50.0, 7.0]), np.array([20.0, 10.0, 0.0])
AUX_MEAN, AUX_STD = 5.0, 2.0
COMPONENTS = np.array([[0.5, -1.0, 0.0], [0.25, 0.5, 2.0]])


def make_network(*, patch_size: int = 11, alone: bool = False) -> S2Fin:
    config = S2FinConfig(
        in_channels=3,
        aux_channels=2 if alone else 1,
        num_classes=2,
        patch_size=patch_size,
        components=2,
        aux_from_image=alone,
    )
    network = S2Fin(config)
    aux = (None, None) if alone else ([AUX_MEAN], [AUX_STD])
    network.set_statistics(MEAN.tolist(), STD.tolist(), *aux, components=COMPONENTS.tolist())
    return network


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
    write_tif(folder / "a.tif", image)
    write_tif(folder / "b.tif", heights)
    return build_stack({"hsi": [str(folder / "a.tif")], "dsm": [str(folder / "b.tif")]})


def all_pixels() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    rows, cols = np.indices(SHAPE).reshape(2, -1)
    order = np.random.default_rng(2).permutation(rows.size)
    return rows[order], cols[order]


def scaled(values: NDArray[np.float32], mean: NDArray[np.float64], std: NDArray[np.float64]) -> NDArray[np.float64]:
    """Standardised bands, 0 where there is no data, as float64."""
    result = (values - mean[:, None, None]) / np.where(std > 0, std, 1)[:, None, None]
    return np.where(np.isfinite(result), result, 0.0)


def expected_features(maps: dict[str, NDArray[np.float64]], *, largest: int) -> Features:
    """What features say, by plain windows on the whole mirrored maps; arrays (height, width, bands)."""
    expected = {}
    for name, part in maps.items():
        expected[name] = part.transpose(1, 2, 0)
        for scale in SCALES:
            size = min(scale, largest)
            padded = np.pad(part, ((0, 0), *((size // 2, size // 2),) * 2), mode="symmetric")
            windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size), axis=(1, 2))
            expected[f"{name} mean {scale}"] = windows.mean(axis=(3, 4)).transpose(1, 2, 0)
            # 1e-4 is added to the variance so that its root has a gradient
            expected[f"{name} deviation {scale}"] = np.sqrt(windows.var(axis=(3, 4)) + 1e-4).transpose(1, 2, 0)
    for name in ("bands", *(f"bands mean {scale}" for scale in SCALES)):
        spectra = expected[name]
        deviation = spectra.std(axis=2, keepdims=True)
        shape = (spectra - spectra.mean(axis=2, keepdims=True)) / np.where(deviation > 0, deviation, 1)
        expected[name.replace("bands", "shape")] = shape
    return {name: values.astype(np.float32) for name, values in expected.items()}


def check(found: Features, expected: Features, rows: NDArray[np.int64], cols: NDArray[np.int64]) -> None:
    assert set(found) == set(expected)
    for name, values in found.items():
        assert values.dtype == np.float32
        assert values.shape == (len(rows), expected[name].shape[2])
        assert values == pytest.approx(expected[name][rows, cols], abs=2e-3), name


@pytest.mark.parametrize(("patch_size", "largest"), [(11, 23), (5, 17)])
def test_features_are_windows_of_the_whole_image(
    stack: Stack, image: NDArray[np.float32], heights: NDArray[np.float32], patch_size: int, largest: int
) -> None:
    """Gaps count as the band's mean, beyond the edge all is mirrored, and scales beyond the margin are cut to it."""
    network = make_network(patch_size=patch_size)
    rows, cols = all_pixels()
    found = pixel_features(network, read_cells(stack, rows, cols, margin=network.input_size // 2))
    bands = scaled(image, MEAN, STD)
    components = np.einsum("kb,bhw->khw", COMPONENTS, bands)
    aux = scaled(heights, np.array([AUX_MEAN]), np.array([AUX_STD]))
    maps = {"bands": bands, "components": components, "aux": aux}
    check(found, expected_features(maps, largest=largest), rows, cols)


def test_features_of_one_image_alone(stack: Stack, image: NDArray[np.float32]) -> None:
    network = make_network(alone=True)
    rows, cols = all_pixels()
    alone = Stack(stack.image)
    found = pixel_features(network, read_cells(alone, rows, cols, margin=network.input_size // 2))
    bands = scaled(image, MEAN, STD)
    maps = {"bands": bands, "components": np.einsum("kb,bhw->khw", COMPONENTS, bands)}
    check(found, expected_features(maps, largest=23), rows, cols)


def some_cells(stack: Stack, network: S2Fin, *, count: int = 300) -> Cells:
    rows, cols = (places[:count] for places in all_pixels())
    return read_cells(stack, rows, cols, margin=network.input_size // 2)


def test_a_pixels_features_depend_on_no_other_pixel(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither on how many cells are computed at once, nor on cells none of whose pixels is asked for."""
    network = make_network()
    cells = some_cells(stack, network)
    assert len(cells.image) > features.CELLS_AT_ONCE
    dictionary = texture_dictionary(network, cells, seed=0)
    together = pixel_features(network, cells, dictionary)
    few = np.flatnonzero(cells.index % 5 == 2)[::-1]
    chosen = pixel_features(network, cells.select(few), dictionary)
    monkeypatch.setattr(features, "CELLS_AT_ONCE", 1)
    single = pixel_features(network, cells, dictionary)
    for name, values in together.items():
        assert single[name] == pytest.approx(values, abs=1e-4)
        assert chosen[name] == pytest.approx(values[few], abs=1e-4)


def test_texture_is_the_mean_likeness_of_the_patches_around_a_pixel(
    stack: Stack, image: NDArray[np.float32], heights: NDArray[np.float32]
) -> None:
    """Of the components and the second image, over the whole mirrored maps."""
    network = make_network()
    rows, cols = all_pixels()
    cells = read_cells(stack, rows, cols, margin=network.input_size // 2)
    dictionary = texture_dictionary(network, cells, seed=3)
    found = pixel_features(network, cells, dictionary)
    components = np.einsum("kb,bhw->khw", COMPONENTS, scaled(image, MEAN, STD))
    maps = np.concatenate([components, scaled(heights, np.array([AUX_MEAN]), np.array([AUX_STD]))])
    for scale in TEXTURE_SCALES:
        reach = scale // 2 + 1
        padded = np.pad(maps, ((0, 0), *((reach, reach),) * 2), mode="symmetric")
        likeness = dictionary.likeness(torch.from_numpy(padded.transpose(1, 2, 0)[None]).float())[0].numpy()
        windows = np.lib.stride_tricks.sliding_window_view(likeness, (scale, scale), axis=(0, 1))
        expected = windows.mean(axis=(3, 4))[rows, cols]
        assert found[f"texture mean {scale}"] == pytest.approx(expected, abs=2e-3)


def test_the_seed_decides_which_patches_are_words(stack: Stack) -> None:
    network = make_network()
    cells = some_cells(stack, network)
    first, again, other = (texture_dictionary(network, cells, seed=seed).words for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_likeness_grows_towards_a_word_and_is_none_beyond_the_mean() -> None:
    """Against a plain float64 computation; a word itself is most like itself."""
    generator = torch.Generator().manual_seed(0)
    patches = torch.randn(500, 18, generator=generator) * torch.linspace(0.1, 5, 18) + 3
    dictionary = Dictionary.of(patches, generator)
    maps = torch.randn(2, 6, 7, 2, generator=generator) * 3 + 3
    found = dictionary.likeness(maps).double()
    values = patches.double()
    covariance = (values - values.mean(0)).T @ (values - values.mean(0)) / 500
    variances, axes = torch.linalg.eigh(covariance)
    inverse = axes @ torch.diag(1 / (variances + 0.05 * variances.mean())) @ axes.T
    words = torch.linalg.lstsq(dictionary.whitening.double().T, dictionary.words.double().T).solution.T
    for image, row, col in ((0, 0, 0), (1, 3, 4)):
        patch = maps[image, row : row + 3, col : col + 3].double().permute(2, 0, 1).flatten() - values.mean(0)
        differences = patch - words
        distances = torch.einsum("ki,ij,kj->k", differences, inverse, differences).sqrt()
        expected = (distances.mean() - distances).clamp_min(0)
        assert found[image, row, col].numpy() == pytest.approx(expected.numpy(), abs=1e-3)
    word = (words[5] + values.mean(0)).float().view(2, 3, 3).permute(1, 2, 0)[None]
    assert dictionary.likeness(word)[0, 0, 0].argmax() == 5
    assert patches_of(word).flatten().numpy() == pytest.approx((words[5] + values.mean(0)).numpy(), abs=1e-4)


def test_a_flat_scene_has_a_dictionary() -> None:
    dictionary = Dictionary.of(torch.ones(20, 9), torch.Generator().manual_seed(0))
    assert len(dictionary.words) == 20
    assert not dictionary.likeness(torch.ones(1, 4, 4, 1)).any()


def test_features_need_no_gradient_and_leave_the_cells_alone(stack: Stack) -> None:
    network = make_network()
    cells = some_cells(stack, network)
    before = cells.image.copy()
    found = pixel_features(network, cells, texture_dictionary(network, cells, seed=0))
    assert np.array_equal(cells.image, before, equal_nan=True)
    assert all(np.isfinite(values).all() for values in found.values())
    assert torch.is_grad_enabled()


def test_every_member_of_the_teacher_looks_at_features_that_there_are(stack: Stack) -> None:
    network = make_network()
    cells = some_cells(stack, network, count=5)
    found = pixel_features(network, cells, texture_dictionary(network, cells, seed=0))
    found["position"] = np.zeros((5, 2), np.float32)  # which cells do not know, and who reads them does
    for dense in (False, True):
        for member in choose_members(found, dense=dense):
            assert len(joined(found, member.seen(found))) == 5


def test_joined_features_stand_side_by_side_in_the_order_of_their_names() -> None:
    given = {"a": np.ones((2, 3), np.float32), "b": np.zeros((2, 1), np.float32), "c": np.full((2, 1), 7, np.float32)}
    assert joined(given, ("c", "a")).tolist() == [[7, 1, 1, 1]] * 2


def test_a_scene_of_one_pixel(tmp_path: Path) -> None:
    path = write_tif(tmp_path / "pixel.tif", np.array([120.0, 40.0, 7.0], np.float32).reshape(3, 1, 1))
    network = make_network(alone=True)
    zero = np.zeros(1, np.int64)
    stack = build_stack({"msi": [str(path)]})
    found = pixel_features(network, read_cells(stack, zero, zero, margin=network.input_size // 2))
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
