"""Training jobs that tests share: small ones on the synthetic scene, some with the number of each pixel as a band."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from s2fin_cli.stack.cells import CELL_SIZE
from s2fin_cli.training.job import Job
from s2fin_cli.training.recipe import Recipe
from s2fin_cli.training.samples import TrainingSet
from s2fin_cli.workflows.train import prepare
from tests.files import write_raster
from tests.recipes import QUICK, TINY_NETWORK
from tests.scenes import SHAPE, Scene, make_image, tiny_options

#: The band of the numbered scene that holds numbers.
NUMBER = 5


def make_job(scene: Scene, folder: Path, *, recipe: Recipe = QUICK, teacher: Any = None, **options: Any) -> Job:
    """A job of a tiny network with hardly any steps."""
    given = tiny_options(scene, folder / "model.s2fin", **options)
    return prepare(given, teacher=teacher, network=TINY_NETWORK, recipe=recipe)


def with_numbers(scene: Scene, folder: Path) -> Scene:
    """The scene with one more band, which holds each pixel's number."""
    numbers = np.arange(SHAPE[0] * SHAPE[1], dtype=np.uint16).reshape(1, *SHAPE)
    hsi = write_raster(folder / "hsi.tif", np.concatenate([make_image(scene.truth), numbers]))
    return replace(scene, hsi=hsi)


def numbers_of(job: Job, train: TrainingSet) -> NDArray[np.int64]:
    """Numbers of the pixels of a training set of the numbered scene."""
    near, places, known = train.cells.near, train.cells.places, job.scene.standardizer
    margin = (near.shape[-1] - CELL_SIZE) // 2
    values = near[places.index, NUMBER, places.rows + margin, places.cols + margin]
    numbers = values * known.image_std[NUMBER] + known.image_mean[NUMBER]
    return np.asarray(numbers.round().numpy().ravel(), np.int64)


def labelled_numbers() -> set[int]:
    """Numbers of the pixels in the scene's polygons, 4 x 4 pixels in the middle of each patch of the map."""
    mask = np.zeros(SHAPE, bool)
    for row, col in np.ndindex(3, 5):
        mask[20 * row + 8 : 20 * row + 12, 14 * col + 5 : 14 * col + 9] = True
    return set(np.flatnonzero(mask).tolist())
