"""Two class maps looked at: their classes and transitions, and what is true at interpreted points."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from s2fin_cli.assess.change_estimates import ChangeEstimates
from s2fin_cli.assess.common_classes import CommonClasses, MapClasses, common_classes
from s2fin_cli.assess.comparison import NO_VALUE, read_pixels
from s2fin_cli.assess.metrics import Accuracy
from s2fin_cli.assess.strata import estimate_whole
from s2fin_cli.core.classes import NO_CLASS
from s2fin_cli.core.transitions import Pair, Transitions
from s2fin_cli.labels.transitions import read_transition_points
from s2fin_cli.raster.class_names import read_class_names
from s2fin_cli.raster.opening import open_raster

if TYPE_CHECKING:
    from s2fin_cli.assess.area_adjusted import AreaAdjusted
    from s2fin_cli.geo.grid import Grid
    from s2fin_cli.raster.change import PairTally


@dataclass(frozen=True)
class Changes:
    """Two maps, and what of them was found.

    Attributes:
        sides: the classes of the maps before and after.
        grid: the grid of both.
        classes: their common classes.
        tally: how much there is of each pair of values.
        transitions: the transitions that occur.
    """

    sides: tuple[MapClasses, MapClasses]
    grid: Grid
    classes: CommonClasses
    tally: PairTally
    transitions: Transitions

    @classmethod
    def of(cls, paths: tuple[str, str], grid: Grid, tally: PairTally) -> Changes:
        """Match the classes of two maps that were counted; errors are those of `common_classes`."""
        before, after = (
            MapClasses(path, read_class_names(path), tally.present(side)) for side, path in enumerate(paths)
        )
        classes = common_classes(before, after)
        pairs = {(own, classes.after_ids[other]) for own, other in tally.pixels if NO_CLASS not in (own, other)}
        return cls((before, after), grid, classes, tally, Transitions.of(classes.names, pairs))

    @property
    def paths(self) -> tuple[str, str]:
        """Paths of the maps before and after."""
        return self.sides[0].path, self.sides[1].path

    @cached_property
    def pixels(self) -> dict[Pair, int]:
        """Number of pixels by transition."""
        found = Counter[Pair]()
        for (before, after), number in self.tally.pixels.items():
            if NO_CLASS not in (before, after):
                found[before, self.classes.after_ids[after]] += number
        return dict(found)

    @cached_property
    def areas(self) -> dict[Pair, float] | None:
        """Square metres by transition; None without a CRS."""
        if self.grid.crs is None:
            return None
        found: dict[Pair, float] = {}
        for (before, after), area in self.tally.areas.items():
            if NO_CLASS not in (before, after):
                pair = before, self.classes.after_ids[after]
                found[pair] = found.get(pair, 0.0) + area
        return found


@dataclass(frozen=True, eq=False)
class Sampled:
    """What interpreted points say.

    Attributes:
        transitions: the transitions of the maps, and those that only the points have.
        estimates: estimates of each transition, with the accuracy of the sample.
        changed: estimates of all changes together.
    """

    transitions: Transitions
    estimates: AreaAdjusted
    changed: ChangeEstimates


def assess_changes(found: Changes, reference: str, *, label_field: str | None) -> Sampled:
    """Compare two maps with interpreted points that were drawn at random within each transition.

    Args:
        found: the maps.
        reference: the points.
        label_field: see `read_transition_points`.

    Raises:
        LabelError: the points cannot be used, or there is none where the maps have some transition.
    """
    points, transitions = read_transition_points(reference, found.grid, found.transitions, label_field=label_field)
    mapped = []
    for path in found.paths:
        with open_raster(path) as src:
            mapped.append(read_pixels(src, points))
    ids = list(transitions.pairs)
    place = {value: position for position, value in enumerate(ids)}
    matrix = np.zeros((len(ids), len(ids) + 1), dtype=np.int64)
    for true, before, after in zip(points.class_ids.tolist(), *(values.tolist() for values in mapped), strict=True):
        is_mapped = NO_VALUE not in (before, after)
        column = place[transitions.values[before, found.classes.after_ids[after]]] if is_mapped else len(ids)
        matrix[place[true], column] += 1
    names = {value: transitions.name_of(pair) for value, pair in transitions.pairs.items()}
    sample = Accuracy.from_matrix(matrix, class_ids=ids, class_names=[names[value] for value in ids])
    covered = {transitions.values[pair]: float(size) for pair, size in (found.areas or found.pixels).items()}
    unit = "pixels" if found.areas is None else "m2"
    estimates = estimate_whole(sample, covered, names=names, unit=unit, reference=reference)
    is_changed = np.array([before != after for before, after in (transitions.pairs[value] for value in ids)])
    return Sampled(transitions, estimates, ChangeEstimates(estimates, is_changed))
