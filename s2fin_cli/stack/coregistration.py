"""The offset of a second image from the passive one, measured on the images themselves.

Georeferencing may be off by a pixel or so. In many windows all over the scene, the displacement between the edges of
both images is found by their correlation in the frequency domain, to fractions of a pixel (Guizar-Sicairos, Thurman and
Fienup 2008, Optics Letters 33, 156-158, as scikit-image has it). Windows without common edges give any displacement, so
the windows vote. The spectra are not whitened, as phase correlation proper does: with the sharp edges of real images,
fractions of a pixel then come out too small.
"""

from __future__ import annotations

import importlib.util
import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from rasterio.windows import Window

from s2fin_cli.core.errors import GeoreferencingError, UsageError
from s2fin_cli.core.figures import known
from s2fin_cli.geo.windows import evenly_spread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from numpy.typing import NDArray

    from s2fin_cli.stack.layer import Layer
    from s2fin_cli.stack.stack import OpenStack, Stack

logger = logging.getLogger(__name__)

#: Pixels a side of a window, at most and at least, and how many there are about.
LARGEST, SMALLEST, WINDOWS = 64, 16, 64
#: Larger offsets, in pixels, are not believed.
FARTHEST = 4.0
#: Windows agree if their displacements are within this many pixels of the winner's.
AGREEMENT = 0.5
#: No shift is applied if a smaller share of the windows agrees, or fewer of them.
LEAST_CONFIDENCE, LEAST_WINDOWS = 0.4, 5
#: Fraction of a pixel that is resolved, and how often the second image is moved and measured again.
UPSAMPLING, ROUNDS = 50, 3
#: Edges that run one way give no displacement along them. So a window is skipped if the variance of its gradients in
#: the direction of least variance is less than this share of that in the direction of most.
LEAST_ISOTROPY = 0.2
#: Largest number of bands of an image whose edges are used.
BANDS = 12
#: Share of a window without data above which it is skipped.
MOST_MISSING = 0.2


@dataclass(frozen=True)
class Displacement:
    """The offset of a second image from the passive one.

    Attributes:
        cols, rows: pixels of the passive image's grid; positive if objects in the second image are to the right of and
            below those in the passive one.
        vectors: float64 (windows, 4): row and column of each window's middle, and its displacement in columns and rows.
        agrees: bool (windows,), whether a window agrees with the result.
        before, after: mean correlation of both images' edges as they are, and with the second image moved.
    """

    cols: float
    rows: float
    vectors: NDArray[np.float64]
    agrees: NDArray[np.bool_]
    before: float
    after: float

    @property
    def confidence(self) -> float:
        """Share of the windows that agree, 0 where there are none."""
        return float(self.agrees.mean()) if len(self.agrees) else 0.0

    @property
    def is_certain(self) -> bool:
        """Whether enough windows agree for a shift to be applied, and the edges correlate no less with it."""
        return self._is_agreed and self.after >= self.before

    @property
    def _is_agreed(self) -> bool:
        return self.confidence >= LEAST_CONFIDENCE and int(self.agrees.sum()) >= LEAST_WINDOWS

    @property
    def fits(self) -> bool:
        """Whether the windows agree that the second image is where it should be."""
        return self._is_agreed and self.after < self.before

    @property
    def doubt(self) -> str:
        """Why no displacement is certain, for a message."""
        count = len(self.agrees)
        if not count:
            return "no window has edges in it and in the image"
        if self._is_agreed:
            return f"its edges fit best as they are, with a correlation of {self.before:.2f} and not {self.after:.2f}"
        shifts = self.vectors[:, 2:]
        far = shifts[np.hypot(*shifts.T) > FARTHEST]
        same = int((np.linalg.norm(far - np.median(far, axis=0), axis=1) <= AGREEMENT).sum()) if len(far) else 0
        if same >= LEAST_CONFIDENCE * count:
            return f"{same} of {count} windows find more than {FARTHEST:g} pixels, which is too far to be sure"
        share = 100 * self.confidence
        return f"no displacement is certain: {share:.0f} % of {count} windows agree on the most likely one"

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        keys = ("row", "col", "cols", "rows")
        windows = [dict(zip(keys, vector, strict=True)) for vector in self.vectors.tolist()]
        similarity = {"before": known(self.before), "after": known(self.after)}
        return {
            "cols": self.cols,
            "rows": self.rows,
            "is_certain": self.is_certain,
            "confidence": self.confidence,
            "edge_similarity": similarity,
            "windows": [{**w, "agrees": agrees} for w, agrees in zip(windows, self.agrees.tolist(), strict=True)],
        }


def coregister(stack: Stack) -> tuple[Stack, list[Displacement]]:
    """Measure the offset of each other modality from the passive image, and apply it if it is certain.

    Returns:
        the stack, and what was found, one entry a modality.

    Raises:
        UsageError: scikit-image is not installed.
        GeoreferencingError: the images have no CRS, so that none can be warped.
    """
    check_installed()
    if stack.aux and stack.grid.crs is None:
        raise GeoreferencingError(
            f"{stack.image.describe()} has no CRS, so no image can be shifted onto it; assign one first"
        )
    layers, found = [], []
    for layer in stack.aux:
        alone = replace(stack, aux=(layer,), area=None)
        displacement = find_displacement(lambda *shift, alone=alone: alone.shifted(*shift).open())
        layers.append(
            replace(layer, shift=(displacement.cols, displacement.rows)) if displacement.is_certain else layer
        )
        found.append(displacement)
        _report_displacement(layer, displacement)
    return replace(stack, aux=tuple(layers)), found


def _report_displacement(layer: Layer, found: Displacement) -> None:
    share, windows = 100 * found.confidence, len(found.agrees)
    if found.is_certain:
        logger.info(
            "%s: shifted by %+.2f columns and %+.2f rows, as %.0f %% of %d windows agree; the edges' correlation goes "
            "from %.2f to %.2f",
            layer.describe(), -found.cols, -found.rows, share, windows, found.before, found.after,
        )  # fmt: skip
    else:
        level = logging.INFO if found.fits else logging.WARNING
        logger.log(level, "%s: not shifted, as %s", layer.describe(), found.doubt)


def check_installed() -> None:
    """Refuse to go on without scikit-image, which finds displacements.

    Raises:
        UsageError: scikit-image is not installed.
    """
    if importlib.util.find_spec("skimage") is None:
        raise UsageError("co-registration needs scikit-image; pip install 's2fin[coregister]', or leave it off")


def find_displacement(open_moved: Callable[[float, float], AbstractContextManager[OpenStack]]) -> Displacement:
    """Measure the offset of the second image of a stack from the passive one.

    Displacements by a fraction of a pixel are underestimated, because both images are sampled on one grid. So the
    second image is moved and measured again.

    Args:
        open_moved: opens the stack, with one modality as its second image that is moved back by a number of columns
            and rows.
    """
    cols = rows = 0.0
    found: Displacement | None = None
    for _ in range(ROUNDS):
        with open_moved(cols, rows) as opened:
            step = _measure(opened)
        found = found or step
        if not step._is_agreed:
            break
        cols, rows = cols + step.cols, rows + step.rows
    assert found is not None  # noqa: S101  there is a first round
    if not (cols or rows):
        return found
    with open_moved(cols, rows) as opened:
        return replace(found, cols=cols, rows=rows, after=_edge_similarity(opened))


def _measure(opened: OpenStack) -> Displacement:
    from skimage.registration import phase_cross_correlation  # noqa: PLC0415  an extra

    vectors, correlations = [], []
    for window, image, aux in _edges(opened):
        # NOTE: it is the shift that moves the second image back, and the first of three values as no masks are given
        shift = phase_cross_correlation(  # type: ignore[no-untyped-call]
            image, aux, upsample_factor=UPSAMPLING, normalization=None
        )[0]
        middle = (window.row_off + window.height / 2, window.col_off + window.width / 2)
        vectors.append((*middle, -shift[1], -shift[0]))
        correlations.append(_correlation(image, aux))
    found = np.array(vectors, dtype=np.float64).reshape(-1, 4)
    cols, rows, agrees = _vote(found[:, 2:])
    similarity = _mean(correlations)
    return Displacement(cols, rows, found, agrees, similarity, similarity)


def _vote(shifts: NDArray[np.float64]) -> tuple[float, float, NDArray[np.bool_]]:
    """The displacement on which most of (n, 2) agree, as the median of those that agree, and which these are."""
    possible = np.hypot(*shifts.T) <= FARTHEST
    if not possible.any():
        return 0.0, 0.0, np.zeros(len(shifts), dtype=bool)
    near = (np.linalg.norm(shifts[:, None] - shifts[None], axis=2) <= AGREEMENT) & possible[:, None] & possible[None]
    agrees = near[near.sum(axis=1).argmax()]
    for _ in range(5):  # until the median and those around it fit each other
        middle = np.median(shifts[agrees], axis=0)
        agrees = (np.linalg.norm(shifts - middle, axis=1) <= AGREEMENT) & possible
    cols, rows = np.median(shifts[agrees], axis=0).tolist() if agrees.any() else (0.0, 0.0)
    return cols, rows, agrees


def _edge_similarity(opened: OpenStack) -> float:
    return _mean([_correlation(image, aux) for _, image, aux in _edges(opened)])


def _mean(correlations: list[float]) -> float:
    return float(np.mean(correlations)) if correlations else float("nan")


def _edges(opened: OpenStack) -> Iterator[tuple[Window, NDArray[np.float64], NDArray[np.float64]]]:
    """Windows spread over the scene, with the edges of both images in them."""
    for window in _spread(opened.grid.shape):
        first, second = opened.read(window).images
        if second is None or not _enough(first) or not _enough(second):
            continue
        image, image_isotropy = _edge_strength(first)
        aux, aux_isotropy = _edge_strength(second)
        if min(image_isotropy, aux_isotropy) >= LEAST_ISOTROPY:
            yield window, image, aux


def _spread(shape: tuple[int, int]) -> Iterator[Window]:
    """Windows over a raster of (height, width), which overlap by half if necessary; none in a tiny one."""
    side = int(np.clip(min(shape) // 3, SMALLEST, LARGEST))
    if min(shape) < side:
        return
    apart = max(np.sqrt(shape[0] * shape[1] / WINDOWS), side / 2)  # for about `WINDOWS` of them
    rows, cols = (evenly_spread(size - side, most=int((size - side) / apart) + 1).tolist() for size in shape)
    yield from (Window(col, row, side, side) for row in rows for col in cols)


def _enough(values: NDArray[np.float32]) -> bool:
    return bool((~np.isfinite(values).all(axis=0)).mean() <= MOST_MISSING)


def _edge_strength(values: NDArray[np.float32]) -> tuple[NDArray[np.float64], float]:
    """Edges of an image (bands, height, width), and how far they run in all directions.

    Returns:
        mean gradient magnitude of the bands, each relative to its own mean, tapered to the borders; and the ratio of
        the smaller to the larger eigenvalue of the gradients' covariance, 0 where all edges run one way or there are
        none.
    """
    some = evenly_spread(len(values) - 1, most=BANDS)
    total, covariance = np.zeros(values.shape[1:]), np.zeros((2, 2))
    for band in values[some].astype(np.float64):
        known = np.isfinite(band)
        gradient = np.stack(np.gradient(np.where(known, band, band[known].mean()))) * known
        strength = np.hypot(*gradient)
        if strength.mean() > 0:
            total += strength / strength.mean()
            covariance += np.einsum("ihw,jhw->ij", gradient, gradient) / strength.mean() ** 2
    taper = np.outer(np.hanning(len(total) + 2)[1:-1], np.hanning(len(total[0]) + 2)[1:-1])
    smaller, larger = np.linalg.eigvalsh(covariance)
    return np.asarray((total - total.mean()) * taper), float(smaller / larger) if larger > 0 else 0.0


def _correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])
