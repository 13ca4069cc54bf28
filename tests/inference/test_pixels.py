"""Scattered pixels are classified as in a map of the whole scene."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from s2fin_cli.core.progress import Stop, Stopped
from s2fin_cli.inference.engine import Engine
from s2fin_cli.inference.pixels import BATCHES_A_SIDE, predict_pixels
from s2fin_cli.model.file import read_model
from s2fin_cli.stack.assembly import build_stack
from s2fin_cli.stack.stack import Stack
from s2fin_cli.workflows.classify import run as classify
from s2fin_cli.workflows.options.classify import ClassifyOptions
from tests.files import read_raster
from tests.predictors import ValuePredictor
from tests.scenes import SHAPE

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from tests.scenes import Scene

#: The corners, both sides of the edges of batches, and pixels anywhere, one of them twice.
CORNERS = [(0, 0), (0, SHAPE[1] - 1), (SHAPE[0] - 1, 0), (SHAPE[0] - 1, SHAPE[1] - 1)]
EDGES = [(47, 47), (48, 47), (47, 48), (48, 48), (15, 16), (16, 15)]


def scattered() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    generator = np.random.default_rng(0)
    anywhere = generator.integers(SHAPE, size=(40, 2))
    places = generator.permutation(np.concatenate([CORNERS, EDGES, anywhere, anywhere[:1]]))
    return places[:, 0], places[:, 1]


def stack_of(scene: Scene) -> Stack:
    return build_stack({name: [str(path)] for name, path in scene.images.items()})


@pytest.mark.parametrize("stride", [1, 3, None])
def test_they_are_classified_as_in_the_map(scene: Scene, model: Path, tmp_path: Path, stride: int | None) -> None:
    """In the order that they are given in, whatever batches they lie in."""
    outputs: dict[str, Any] = {"output": tmp_path / "map.tif", "probabilities": tmp_path / "probs.tif", "vector": False}
    classify(ClassifyOptions(**{**scene.images, **outputs, "model": model, "stride": stride, "device": "cpu"}))
    expected = read_raster(tmp_path / "probs.tif")
    rows, cols = scattered()
    engine = Engine(read_model(model)[0], torch.device("cpu"), stride=stride)
    found = predict_pixels(engine, stack_of(scene), rows, cols)
    assert found.dtype == np.float32
    assert found.shape == (len(rows), 3)
    # windows that no pixel needs are left out of the batches, which changes the rounding
    assert found == pytest.approx(expected[:, rows, cols].T, abs=1e-5)
    assert expected[:, rows, cols].std(axis=1).min() > 0.1, "they are not all the same"


def test_no_more_is_computed_than_they_need(scene: Scene) -> None:
    """Each tile with any of them is computed once, and only their pixels in it: the engine skips all other batches."""
    predictor = ValuePredictor(1024)
    rows, cols = scattered()
    predict_pixels(predictor, stack_of(scene), rows, cols)
    side, computed = BATCHES_A_SIDE * predictor.batch_side, predictor.asked
    assert len(computed) == len(set(zip(rows // side, cols // side, strict=True)))
    assert all(max(valid.shape) <= side for valid in computed)
    assert sum(int(valid.sum()) for valid in computed) == len(set(zip(rows, cols, strict=True)))


def test_a_single_pixel(scene: Scene, model: Path) -> None:
    engine = Engine(read_model(model)[0], torch.device("cpu"))
    probs = predict_pixels(engine, stack_of(scene), np.array([59]), np.array([69]))
    assert probs.sum() == pytest.approx(1, abs=1e-5)
    among_others = predict_pixels(engine, stack_of(scene), np.array([5, 59, 30]), np.array([7, 69, 40]))
    np.testing.assert_allclose(probs[0], among_others[1], atol=1e-5)


def test_it_ends_at_the_next_tile_when_it_is_asked_to(scene: Scene) -> None:
    stop = Stop()
    predictor = ValuePredictor(1024, before=lambda number: stop.set())
    with pytest.raises(Stopped):
        predict_pixels(predictor, stack_of(scene), *scattered(), stop=stop)
    assert len(predictor.asked) == 1
