"""What headers say of a band's place in the spectrum, and which bands are of no use."""

from __future__ import annotations

import contextlib
import re
import warnings
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import rasterio
    from numpy.typing import NDArray

#: Nanometres where water vapour lets through so little light that reflectance is mostly noise.
ABSORPTION = ((1340.0, 1460.0), (1790.0, 1970.0))
#: A band's values are not plausible where their 98th percentile is more than this factor above what is usual among the
#: other bands of the image, and among so many bands around it.
IMPLAUSIBLE_FACTOR, USUAL_SHARE, BANDS_AROUND = 1.5, 90, 51
#: So many bands make a spectrum in which one that leaves the range of the others can be told.
FEWEST_BANDS = 50
#: A band is the same as another where their wavelengths differ by at most this share of the distance to the next band,
#: but by no fewer and no more nanometres than these.
SAME_SHARE, SAME_NM = 0.5, (2.0, 30.0)
#: Below this a wavelength without a unit is in micrometres.
LARGEST_MICROMETRE = 100.0

_IN_WORDS = re.compile(r"(\d+(?:\.\d+)?)\s*(nm|nanomet|um|µm|μm|micromet|micron)", re.IGNORECASE)


def read_wavelengths(src: rasterio.DatasetReader, indexes: Sequence[int]) -> tuple[float | None, ...] | None:
    """Centre wavelengths of bands in nanometres, None of those without one; None where there is none or one is wrong.

    They come from the tags of the bands (ENVI's `wavelength`, GDAL's IMAGERY domain), from lists in the tags of the
    dataset, or from the bands' descriptions ("Band 3 (665 nm)"), whichever a band has first.
    """
    unit = {**_lower(src.tags(ns="ENVI")), **_lower(src.tags())}.get("wavelength_units", "")
    listed = _dataset_list(src, "wavelength")
    listed = listed if len(listed) == src.count else []  # else nobody knows which are whose

    def of_tag(index: int) -> float:
        tags = _lower(src.tags(index))
        return _nanometres(tags["wavelength"], tags.get("wavelength_units", unit))

    def of_list(index: int) -> float:
        return _nanometres(listed[index - 1], unit)

    def of_imagery(index: int) -> float:
        return float(src.tags(index, ns="IMAGERY")["CENTRAL_WAVELENGTH_UM"]) * 1000

    def of_words(index: int) -> float:
        found = _IN_WORDS.search(src.descriptions[index - 1] or "")
        if found is None:
            raise KeyError(index)
        return _nanometres(*found.groups())

    found: dict[int, float] = {}
    for index in indexes:
        for source in (of_tag, of_list, of_imagery, of_words):
            with contextlib.suppress(KeyError, IndexError):
                try:
                    found[index] = source(index)
                except ValueError:
                    return None
                break
    is_right = bool(found) and all(0 < place < np.inf for place in found.values())
    return tuple(found.get(index) for index in indexes) if is_right else None


def read_bad_bands(src: rasterio.DatasetReader, indexes: Sequence[int]) -> tuple[int, ...]:
    """Those of the bands that the file declares bad, as ENVI's `bbl` does with zeros."""
    flags = _dataset_list(src, "bbl")
    try:
        return tuple(index for index in indexes if flags and float(flags[index - 1]) == 0)
    except (ValueError, IndexError):
        return ()


def _lower(tags: dict[str, str]) -> dict[str, str]:
    return {key.lower().replace(" ", "_"): value for key, value in tags.items()}


def _dataset_list(src: rasterio.DatasetReader, key: str) -> list[str]:
    """A list "{a, b, c}" in the tags of a dataset, ENVI's own domain first; empty where there is none."""
    for namespace in ("ENVI", None):
        text = _lower(src.tags(ns=namespace)).get(key, "")
        if text:
            return re.sub(r"[{}\[\]()]", " ", text).replace(",", " ").split()
    return []


def _nanometres(text: str, unit: str) -> float:
    value = float(text)
    unit = unit.strip().lower()
    if unit == "index":  # of the band, in ENVI headers
        raise ValueError(text)
    if unit.startswith(("nm", "nano")):
        return value
    is_micro = unit.startswith(("mic", "um", "µm", "μm")) or value < LARGEST_MICROMETRE
    return value * 1000 if is_micro else value


def implausible_bands(high: NDArray[np.float64], wavelengths: Sequence[float] | None) -> NDArray[np.bool_]:
    """Mask over the bands of a hyperspectral image of those that hold noise, as where water vapour absorbs.

    Where wavelengths are known, an absorption window goes as a whole as soon as one of its bands has values that are
    not plausible, and bands elsewhere stay. Otherwise it is those bands themselves.

    Args:
        high: (bands,), 98th percentile of each band, NaN where it has no data.
        wavelengths: of the bands in nm, or None.
    """
    result = np.zeros(len(high), dtype=bool)
    if len(high) < FEWEST_BANDS or np.isnan(high).all():
        return result
    if wavelengths is None:
        return np.asarray(high > IMPLAUSIBLE_FACTOR * _usual(high))  # False for NaN
    places = np.asarray(wavelengths)
    windows = [(places >= low_nm) & (places <= high_nm) for low_nm, high_nm in ABSORPTION]
    usual = _usual(np.where(np.logical_or.reduce(windows), np.nan, high))  # however many of the bands are noise
    for window in windows:
        result |= window & (high > IMPLAUSIBLE_FACTOR * usual)[window].any()
    return result


def _usual(high: NDArray[np.float64]) -> NDArray[np.float64]:
    """What is usual at each band; NaN, which nothing is above, where no band has a value."""
    if np.isnan(high).all():
        return high
    return np.maximum(np.fmax(np.nanpercentile(high, USUAL_SHARE), _running_median(high, BANDS_AROUND)), 0)


def _running_median(values: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """Median of so many values around each, those there are; NaN where there are none."""
    padded = np.pad(values, width // 2, constant_values=np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # nothing but NaN gives NaN
        return np.asarray(np.nanmedian(np.lib.stride_tricks.sliding_window_view(padded, width), axis=1))


def are_same_wavelengths(wanted: Sequence[float], given: Sequence[float]) -> bool:
    """Whether each wavelength is that of the band in the same place.

    Args:
        wanted: nm, in any order.
        given: nm, as many.
    """
    wanted_nm = np.asarray(wanted, dtype=float)
    return bool((np.abs(wanted_nm - np.asarray(given, dtype=float)) <= _tolerance(wanted_nm)).all())


def _tolerance(places: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far off each band may be and still be the same, in nm."""
    return np.asarray(np.clip(SAME_SHARE * _distance_to_next(places), *SAME_NM))


def match_wavelengths(wanted: Sequence[float], given: Sequence[float]) -> list[int | None]:
    """The position among given wavelengths of each wanted one, None where there is none near enough.

    Each given band serves one wanted band at most, and the distances are least in all.

    Args:
        wanted: nm, in any order.
        given: nm, in any order.
    """
    from scipy.optimize import linear_sum_assignment  # noqa: PLC0415  takes half a second, and most images have the model's order

    wanted_nm, given_nm = np.asarray(wanted, dtype=float), np.asarray(given, dtype=float)
    tolerance = _tolerance(wanted_nm)[:, None]
    distances = np.abs(wanted_nm[:, None] - given_nm[None])
    near = distances <= tolerance
    # what is too far costs more than all that is near together
    rows, cols = linear_sum_assignment(np.where(near, distances, (1 + tolerance.max()) * (1 + len(wanted_nm))))
    result: list[int | None] = [None] * len(wanted_nm)
    for row, col in zip(rows.tolist(), cols.tolist(), strict=True):
        if near[row, col]:
            result[row] = col
    return result


def _distance_to_next(places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distance of each place to its nearest other, 0 where it is alone."""
    if len(places) < 2:
        return np.zeros(len(places))
    distances = np.abs(places[:, None] - places[None])
    np.fill_diagonal(distances, np.inf)
    return np.asarray(distances.min(axis=1))
