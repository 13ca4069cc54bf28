"""What is known of the candidates of suggestions: probabilities that were written before, and labels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from rasterio.enums import Resampling

from s2fin_cli.core.classes import LandCoverClass, find_name
from s2fin_cli.core.errors import RasterError, shortened
from s2fin_cli.geo.windows import iter_squares
from s2fin_cli.labels.distances import nearest_label
from s2fin_cli.labels.read import open_labels
from s2fin_cli.labels.rules import rules_of
from s2fin_cli.labels.splits import units_of
from s2fin_cli.labels.thinning import thin_per_class
from s2fin_cli.raster.info import read_info
from s2fin_cli.raster.opening import environment
from s2fin_cli.raster.scaling import Scaling
from s2fin_cli.raster.warp import open_on_grid
from s2fin_cli.stack.cells import have_data
from s2fin_cli.suggesting.judges import Known
from s2fin_cli.teaching.features import MARGIN, features_at

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from s2fin import Standardizer
    from s2fin_cli.geo.grid import Grid
    from s2fin_cli.labels.pixels import LabelledPixels
    from s2fin_cli.labels.read import Labels
    from s2fin_cli.stack.stack import Stack
    from s2fin_cli.workflows.options.suggest import SuggestOptions

#: Labelled pixels of a class that the members learn from, at most.
MOST_OF_CLASS = 200


def read_probabilities(
    src_path: str, classes: Sequence[LandCoverClass], grid: Grid, *, rows: NDArray[np.int64], cols: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Probabilities (n, classes) of pixels of a grid from a raster that `classify` wrote; NaN where it has none.

    Raises:
        RasterError: its bands are not the classes.
        GeoreferencingError: it has another place.
    """
    info, names = read_info(src_path), [c.name for c in classes]
    if info.count != len(names) or (any(info.band_names) and list(info.band_names) != names):
        found = shortened(info.band_names) if any(info.band_names) else f"{info.count} bands without names"
        raise RasterError(
            f"{src_path} holds {found}, and the model has {shortened(names)}; give the probabilities that s2fin "
            "classify wrote with this model"
        )
    scaling = Scaling.of(info.scales, info.offsets)
    probs = np.empty((len(rows), len(names)), np.float32)
    with (
        environment(),
        open_on_grid(src_path, grid, indexes=info.indexes, resampling=Resampling.nearest, nodata=info.nodata) as raster,
    ):
        for positions, window in iter_squares(rows, cols):
            values = raster.read(window)
            scaling.apply(values)
            probs[positions] = values[:, rows[positions] - window.row_off, cols[positions] - window.col_off].T
    return probs


@dataclass(frozen=True, eq=False)
class KnownPlaces:
    """Labels on the grid of a scene.

    Attributes:
        classes: the model's classes, then those that only the labels have.
        kept: some labelled pixels of each class.
        targets: int64 (l,), positions of their classes.
    """

    classes: tuple[LandCoverClass, ...]
    kept: LabelledPixels
    targets: NDArray[np.int64]
    _labels: Labels

    @classmethod
    def of(cls, options: SuggestOptions, stack: Stack, classes: Sequence[LandCoverClass]) -> KnownPlaces:
        """Read labels.

        Args:
            options: which labels, and how.
            stack: the images.
            classes: the model's classes.

        Raises:
            LabelError: they cannot be read.
        """
        labels = open_labels(options.label_paths, stack.grid, rules=rules_of(options))
        kept = thin_per_class(labels.strips(), most=MOST_OF_CLASS, seed=options.seed)
        assert kept is not None  # noqa: S101  labels without a pixel are refused
        everywhere = replace(stack, area=None)  # labels tell of places, too, in which none is suggested
        kept = kept.select(have_data(everywhere, kept.rows, kept.cols))
        joined, places = _joined(classes, labels.classes)
        lookup = {c.id: place for c, place in zip(labels.classes, places, strict=True)}
        targets = np.array([lookup[class_id] for class_id in kept.class_ids.tolist()], dtype=np.int64)
        return cls(joined, kept, targets, labels)

    def known(self, standardizer: Standardizer, stack: Stack) -> Known | None:
        """The labelled pixels with their features; None where none has data."""
        if not len(self.kept):
            return None
        units = units_of(self.kept, "auto", radius=MARGIN)
        return Known(features_at(standardizer, stack, self.kept.rows, self.kept.cols), self.targets, units)

    def apart(self, rows: NDArray[np.int64], cols: NDArray[np.int64], *, distance: float) -> NDArray[np.bool_]:
        """Mask over pixels (n,) of those whose rows or columns differ by at least a distance from those of labels."""
        asked, found = np.stack([rows, cols], axis=1), np.ones(len(rows), dtype=bool)
        for pixels in self._labels.strips():
            places = np.stack([pixels.rows, pixels.cols], axis=1)
            found &= nearest_label(places, asked, metric="chebyshev") >= distance
        return found


def _joined(
    own: Sequence[LandCoverClass], others: Sequence[LandCoverClass]
) -> tuple[tuple[LandCoverClass, ...], list[int]]:
    """All classes, and the place of each of the others among them: that of its name, or of its number without one."""
    classes, places = list(own), []
    for other in others:
        known = {place: c.name for place, c in enumerate(classes)}
        place = find_name(other.name, known)
        if place is None and other.name == str(other.id):
            place = next((place for place, c in enumerate(classes) if c.id == other.id), None)
        if place is None:
            place = len(classes)
            classes.append(other)
        places.append(place)
    return tuple(classes), places
