"""Reference pixels: which stand for the training data, and how unlike them other pixels are."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist, pdist

from s2fin_cli.model.reference import MOST_PIXELS, Prototypes, ReferencePixels, farthest_points, nearest, upper_whisker


def clusters(each: int = 60, *, features: int = 5, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features of training pixels around three places, their classes and folds."""
    generator = np.random.default_rng(seed)
    targets = np.repeat(np.arange(3), each)
    values = generator.normal(6.0 * np.eye(features)[targets], size=(len(targets), features)).astype(np.float32)
    return values, targets, np.arange(len(targets)) % 4


def test_the_index_is_the_distance_to_the_nearest_over_the_mean_distance_of_the_training_pixels() -> None:
    values, targets, folds = clusters()
    reference = ReferencePixels.of(values, targets, folds)
    assert reference.mean_distance == pytest.approx(pdist(values.astype(np.float64)).mean(), rel=1e-6)
    assert len(reference.values) == len(values), "few labels are all kept"
    asked = np.concatenate([values[:5], np.random.default_rng(1).normal(scale=6, size=(200, 5))]).astype(np.float32)
    expected = cdist(asked.astype(np.float64), values.astype(np.float64)).min(axis=1) / reference.mean_distance
    found = reference.dissimilarity(torch.from_numpy(asked)).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-7)
    assert (found[:5] == 0).all()


def test_the_threshold_is_the_largest_distance_between_folds_without_outliers() -> None:
    values, targets, folds = clusters()
    distances = np.concatenate([
        cdist(values[folds == fold].astype(np.float64), values[folds != fold].astype(np.float64)).min(axis=1)
        for fold in range(4)
    ])  # fmt: skip
    low, high = np.quantile(distances, [0.25, 0.75])
    expected = distances[distances <= high + 1.5 * (high - low)].max()
    reference = ReferencePixels.of(values, targets, folds)
    assert reference.threshold * reference.mean_distance == pytest.approx(expected, rel=1e-4)
    far = values[0] + 100
    values[0] = far
    moved = ReferencePixels.of(values, targets, folds)
    assert moved.threshold * moved.mean_distance < 10, "one label at an odd place does not let everything in"


def test_what_looks_like_no_label_is_outside_and_what_looks_like_some_is_inside() -> None:
    reference = ReferencePixels.of(*clusters(seed=2))
    others = torch.from_numpy(clusters(seed=3)[0])
    assert (reference.dissimilarity(others) <= reference.threshold).float().mean() > 0.9
    unknown = torch.from_numpy(clusters(seed=4)[0] + np.array([0, 0, 0, 12, 0], np.float32))
    assert (reference.dissimilarity(unknown) > reference.threshold).all()


def test_many_labels_are_thinned_class_by_class() -> None:
    values, targets, folds = clusters(each=1000)
    rare = np.flatnonzero((targets > 0) | (np.arange(len(targets)) < 7))
    reference = ReferencePixels.of(values[rare], targets[rare], folds[rare])
    kept = reference.values.numpy()
    assert 2 * (MOST_PIXELS // 3) <= len(kept) <= MOST_PIXELS
    assert all((kept == pixel).all(axis=1).any() for pixel in values[:7]), "a rare class keeps all of its labels"
    assert all((values[rare] == pixel).all(axis=1).any() for pixel in kept)
    assert len(ReferencePixels.of(*clusters(each=500, features=200)).values) < 100, "wide features take no more room"


def test_points_are_chosen_far_from_each_other() -> None:
    line = np.array([0, 1, 2, 3, 4, 5, 6, 7, 8, 100], np.float32)[:, None]
    assert line[farthest_points(line, most=3)][:, 0].tolist() == [8, 100, 0]
    assert sorted(farthest_points(line, most=99).tolist()) == list(range(10))
    plane = np.random.default_rng(0).normal(size=(40, 2)).astype(np.float32)
    best = min(cdist(plane, plane[list(some)]).min(axis=1).max() for some in itertools.combinations(range(40), 3))
    assert cdist(plane, plane[farthest_points(plane, most=3)]).min(axis=1).max() <= 2 * best + 1e-6


def test_the_nearest_of_points_far_from_the_origin() -> None:
    generator = np.random.default_rng(0)
    kept = (1000 + generator.normal(size=(50, 3))).astype(np.float32)
    asked = (1000 + generator.normal(size=(300, 3))).astype(np.float32)
    found = nearest(torch.from_numpy(asked), torch.from_numpy(kept))[0].numpy()
    expected = cdist(asked.astype(np.float64), kept.astype(np.float64)).min(axis=1)
    assert (found >= expected - 1e-4).all()
    assert np.median(found - expected) < 1e-4


@pytest.mark.parametrize(
    ("values", "expected"), [([1, 2, 3, 4, 100], 4), ([5.0], 5), ([], 0), ([0, 0, 0, 0, 9], 0), ([1, 2, 3, 4, 5], 5)]
)
def test_the_whisker(values: list[float], expected: float) -> None:
    assert upper_whisker(np.array(values, np.float64)) == expected


@pytest.mark.parametrize("count", [1, 2])
def test_labels_of_one_look_have_a_threshold_all_the_same(count: int) -> None:
    reference = ReferencePixels.of(np.ones((count, 4), np.float32), np.arange(count), np.zeros(count, np.int64))
    assert reference.threshold > 0
    index = reference.dissimilarity(torch.tensor([[1.0, 1, 1, 1], [1, 1, 1, 2]]))
    assert index[0] <= reference.threshold < index[1]


@pytest.mark.parametrize("odd", [3e38, -3e38, np.inf])
def test_what_the_most_odd_values_give_is_finite_and_a_model_keeps_it(odd: float) -> None:
    values, targets, folds = clusters()
    values[::7] = odd
    prototypes = Prototypes(torch.from_numpy(values[:9]), torch.linspace(0, 1, 9))
    made = ReferencePixels.of(values, targets, folds, prototypes=prototypes)
    reference = ReferencePixels.from_tensors(made.to_tensors(), features=values.shape[1])
    for asked in (torch.from_numpy(values), torch.from_numpy(-values), torch.from_numpy(clusters(seed=5)[0])):
        assert reference.dissimilarity(asked).isfinite().all()
        found = reference.disagreement(asked)
        assert ((found >= 0) & (found <= 1)).all()
