"""How pixels of a tile compare with reference pixels, by a second computation; tiles and threads do not show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from scipy.ndimage import uniform_filter
from scipy.spatial.distance import cdist

from s2fin import Standardizer
from s2fin_cli.core.device import threads
from s2fin_cli.core.images import Images
from s2fin_cli.inference.likeness import Likeness
from s2fin_cli.model.reference import Prototypes, ReferencePixels
from s2fin_cli.stack.guide import AROUND, FEW_BANDS, compared_count
from tests.predictors import ValuePredictor

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

COMPONENTS, SECOND = 3, 2
SHAPE = (37, 53)
MARGIN, SIDE = ValuePredictor().margin, ValuePredictor().batch_side


@dataclass(frozen=True)
class Case:
    """Images of some bands, the second one of `SECOND` bands or none, and what they are compared with."""

    bands: int = 4
    second: int | None = SECOND

    @property
    def standardizer(self) -> Standardizer:
        components = np.random.default_rng(0).normal(size=(COMPONENTS, self.bands)).tolist()
        second = () if self.second is None else ([1.0] * self.second, [2.0] * self.second)
        return Standardizer.from_statistics([10.0] * self.bands, [3.0] * self.bands, *second, components=components)

    @property
    def reference(self) -> ReferencePixels:
        generator, count = np.random.default_rng(2), compared_count(self.bands, COMPONENTS, self.second)
        values, others = generator.normal(size=(2, 90, count)).astype(np.float32)
        prototypes = Prototypes(torch.from_numpy(others), torch.rand(90, generator=torch.manual_seed(0)))
        return ReferencePixels.of(values, np.arange(90) % 3, np.arange(90) % 4, prototypes=prototypes)

    @property
    def likeness(self) -> Likeness:
        return Likeness(self.reference, self.standardizer, ValuePredictor())

    @property
    def images(self) -> Images[Tensor]:
        """Raw values with margins, some of them missing."""
        generator = np.random.default_rng(1)
        height, width = (size + 2 * MARGIN for size in SHAPE)
        image = generator.normal(10, 3, size=(self.bands, height, width)).astype(np.float32)
        image[:, 20:23, 30:41] = np.nan
        second = generator.normal(1, 2, size=(self.second or 0, height, width)).astype(np.float32)
        return Images(torch.from_numpy(image), None if self.second is None else torch.from_numpy(second))

    def features(self) -> NDArray[np.float64]:
        """What is compared of each pixel, by definition, in float64 (pixels, k)."""
        parts = [((self.images.image.double() - 10) / 3).nan_to_num().numpy()]
        if self.bands > FEW_BANDS:
            parts = [np.einsum("cb,bhw->chw", self.standardizer.components.double().numpy(), parts[0])]
        if self.images.aux is not None:
            parts.append(((self.images.aux.double() - 1) / 2).numpy())
        size, inner = 2 * AROUND + 1, slice(MARGIN, -MARGIN)
        around = [uniform_filter(part, (0, size, size)) / np.sqrt(len(part)) for part in parts]
        values = np.concatenate(around)[:, inner, inner]
        return values.reshape(len(values), -1).T


@pytest.mark.parametrize("case", [Case(), Case(second=None), Case(bands=FEW_BANDS + 1)])
def test_the_measures_of_each_pixel(case: Case) -> None:
    disagreement, index = case.likeness(case.images, torch.ones(SHAPE, dtype=torch.bool)).flatten(1).numpy()
    features, known = case.features(), case.reference
    distances = cdist(features, known.values.double().numpy()).min(axis=1)
    np.testing.assert_allclose(index, distances / known.mean_distance / known.threshold, rtol=1e-4)
    assert known.prototypes is not None
    weights = cdist(features, known.prototypes.values.double().numpy()) ** -4
    expected = weights @ known.prototypes.disagreement.double().numpy() / weights.sum(axis=1)
    np.testing.assert_allclose(disagreement, expected, rtol=1e-3)


def test_tiles_and_threads_do_not_matter_and_what_is_not_asked_for_is_not_measured() -> None:
    images, valid, measure = Case().images, torch.ones(SHAPE, dtype=torch.bool), Case().likeness
    whole = measure(images, valid)
    assert whole.shape == (2, *SHAPE)
    with threads(3):
        assert torch.equal(measure(images, valid), whole)
    for top in range(0, SHAPE[0], SIDE):
        for left in range(0, SHAPE[1], 2 * SIDE):
            rows, cols = slice(top, top + SIDE + 2 * MARGIN), slice(left, left + 2 * (SIDE + MARGIN))
            here = slice(top, top + SIDE), slice(left, left + 2 * SIDE)
            part = Images(images.image[:, rows, cols], None if images.aux is None else images.aux[:, rows, cols])
            assert torch.equal(measure(part, valid[here]), whole[:, *here])
    valid[:SIDE, SIDE:] = False
    some = measure(images, valid)
    assert (some[:, :SIDE, SIDE:] == 0).all()
    assert torch.equal(some[:, valid], whole[:, valid])
