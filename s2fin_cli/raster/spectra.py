"""Wavelengths of bands in headers, and bands that are of no use."""

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
#: other bands of the image, and among this many bands around it.
IMPLAUSIBLE_FACTOR, USUAL_SHARE, BANDS_AROUND = 1.5, 90, 51
#: Fewest bands of a spectrum in which a band out of the range of the others can be recognised.
FEWEST_BANDS = 50
#: A band is the same as another where their wavelengths differ by at most this share of the distance to the next band,
#: but by no fewer and no more nanometres than these.
SAME_SHARE, SAME_NM = 0.5, (2.0, 30.0)
#: Below these a wavelength without a unit is in metres, and in micrometres.
LARGEST_METRE, LARGEST_MICROMETRE = 1e-3, 100.0
#: A description's number of nanometres is below this only where its comma is no decimal one.
LEAST_NM = 50.0
#: Nanometres of units of length, by how their names begin; those of one or two letters are whole names.
_UNITS = {
    "nm": 1.0, "nanom": 1.0, "um": 1e3, "µm": 1e3, "μm": 1e3, "mic": 1e3, "mm": 1e6, "millim": 1e6,
    "cm": 1e7, "centim": 1e7, "m": 1e9, "meter": 1e9, "metre": 1e9, "a": 0.1, "å": 0.1, "ang": 0.1, "ång": 0.1,
}  # fmt: skip
#: Names of the unit of which 10^7 divided by the number is nanometres.
_WAVENUMBERS = ("cm-1", "cm^-1", "cm**-1", "cm⁻¹", "1/cm", "wavenumber", "wavenumbers")
_NO_UNITS = ("", "unknown", "none", "n/a")
#: Keys of a band's own tags, and parts of names of netCDF dimensions that can be wavelengths.
_KEYS = ("wavelength", "center_wavelength", "centre_wavelength", "central_wavelength")
_DIMENSIONS, _WAVES = ("band", "channel", "spectral"), ("wave", "lambda", "wl")
_NUMBER = r"\d+(?:[.,]\d+)?(?:[eE][+-]?\d+)?"
_IN_WORDS = re.compile(rf"({_NUMBER})\s*(nm|nanomet|um|µm|μm|micromet|micron|å|angstrom|cm-1|cm\^-1)", re.IGNORECASE)
_WITH_UNIT = re.compile(rf"\s*([+-]?{_NUMBER})\s*(.*?)\s*")


def read_wavelengths(src: rasterio.DatasetReader, indexes: Sequence[int]) -> tuple[float | None, ...] | None:
    """Centre wavelengths of bands in nanometres, None of those without one; None where there is none or one is wrong.

    They come from the tags of the bands (ENVI's `wavelength`, netCDF's coordinate of the band, GDAL's IMAGERY domain),
    from lists in the tags of the dataset, or from the bands' descriptions ("Band 3 (665 nm)"), in this order. Units are
    nanometres to metres, Angstrom and wavenumbers (1/cm). Numbers without a unit are metres below 0.001, micrometres
    below 100 and else nanometres; numbers in an unknown unit are ignored.
    """
    header = _Header(src)
    try:
        found = [header.wavelength(index) for index in indexes]
    except ValueError:
        return None
    known = [place for place in found if place is not None]
    return tuple(found) if known and all(0 < place < np.inf for place in known) else None


class _Header:
    """The wavelengths of bands in the header of a raster, source by source.

    A source raises KeyError, IndexError or StopIteration for a band that it does not know, and ValueError for one whose
    entry is nonsense.
    """

    def __init__(self, src: rasterio.DatasetReader) -> None:
        self._src = src
        self._tags = {**_lower(src.tags(ns="ENVI")), **_lower(src.tags())}
        self._unit = self._tags.get("wavelength_units", "")
        listed = _dataset_list(src, "wavelength", count=src.count)
        self._listed = listed if len(listed) == src.count else []  # else it is unclear which are whose

    def wavelength(self, index: int) -> float | None:
        """Nanometres of a band by the first source that knows it."""
        sources = [self._of_tag, self._of_dimension, self._of_list, self._of_imagery, self._of_words]
        if any("," in text for text in self._listed):  # decimal commas, at which GDAL parts the bands' own tags
            sources.insert(0, self._of_list)
        for source in sources:
            with contextlib.suppress(KeyError, IndexError, StopIteration):
                return source(index)
        return None

    def _of_tag(self, index: int) -> float:
        tags = _lower(self._src.tags(index))
        text = next(tags[key] for key in _KEYS if key in tags)
        return _nanometres(text, tags.get("wavelength_units", tags.get("wavelength_unit", self._unit)))

    def _of_dimension(self, index: int) -> float:
        return _of_dimension(_lower(self._src.tags(index)), self._tags)

    def _of_list(self, index: int) -> float:
        return _nanometres(self._listed[index - 1], self._unit)

    def _of_imagery(self, index: int) -> float:
        return float(self._src.tags(index, ns="IMAGERY")["CENTRAL_WAVELENGTH_UM"]) * 1000

    def _of_words(self, index: int) -> float:
        found = _IN_WORDS.search(self._src.descriptions[index - 1] or "")
        if found is None:
            raise KeyError(index)
        return _of_words(*found.groups())


def _of_dimension(tags: dict[str, str], tags_of_all: dict[str, str]) -> float:
    """The wavelength that netCDF has as a coordinate of the band."""
    for key, text in tags.items():
        name = key.removeprefix("netcdf_dim_")
        about, unit = tags_of_all.get(f"{name}#standard_name", ""), tags_of_all.get(f"{name}#units", "").strip()
        is_wave = any(part in name or part in about for part in _WAVES)
        is_band = any(part in name for part in _DIMENSIONS) and unit not in ("", "1")
        if key != name and (is_wave or is_band):
            return _nanometres(text, unit)
    raise KeyError("wavelength")


def _of_words(number: str, unit: str) -> float:
    """Nanometres of a number and a unit in words, whose comma may be a decimal one or stand between two numbers."""
    value = _nanometres(number, unit)
    if "," not in number or value >= LEAST_NM:
        return value
    raise KeyError(number)  # "1,650 nm" may be 1650 nm as well as 650 nm of band 1


def read_bad_bands(src: rasterio.DatasetReader, indexes: Sequence[int]) -> tuple[int, ...]:
    """Those of the bands that the file declares bad, as ENVI's `bbl` does with zeros."""
    flags = _dataset_list(src, "bbl", count=src.count)
    try:
        return tuple(index for index in indexes if flags and float(flags[index - 1]) == 0)
    except (ValueError, IndexError):
        return ()


def _lower(tags: dict[str, str]) -> dict[str, str]:
    return {key.lower().replace(" ", "_"): value for key, value in tags.items()}


def _dataset_list(src: rasterio.DatasetReader, key: str, *, count: int) -> list[str]:
    """A list "{a, b, c}" in the tags of a dataset, ENVI's own domain first; empty where there is none.

    Commas are decimal ones where other marks or blanks part the numbers, and there are as many as `count` only so.
    """
    for namespace in ("ENVI", None):
        text = re.sub(r"[{}\[\]()]", " ", _lower(src.tags(ns=namespace)).get(key, "")).strip()
        if text:
            parts = re.split(r"[,;\s]+", text)
            parted = re.split(r"\s*;\s*|,?\s+", text)
            return parted if len(parts) != count and len(parted) == count else parts
    return []


def _nanometres(text: str, unit: str) -> float:
    """Nanometres of a number, which may have its unit behind it.

    Raises:
        ValueError: it is no number, or its unit is none of a wavelength.
    """
    found = _WITH_UNIT.fullmatch(text)
    if found is None:
        raise ValueError(text)
    value = float(found[1].replace(",", "."))
    unit = (found[2] or unit).strip().lower()
    if unit in _WAVENUMBERS:
        return 1e7 / value if value else np.inf
    if unit in _NO_UNITS:
        return value * (1e9 if value < LARGEST_METRE else 1e3 if value < LARGEST_MICROMETRE else 1)
    fitting = [size for name, size in _UNITS.items() if unit == name or (len(name) > 2 and unit.startswith(name))]
    if not fitting:
        raise ValueError(unit)  # the band's index, for example, or a frequency
    return value * fitting[0]


def implausible_bands(high: NDArray[np.float64], wavelengths: Sequence[float] | None) -> NDArray[np.bool_]:
    """Mask over the bands of a hyperspectral image of those that hold noise, as where water vapour absorbs.

    Where wavelengths are known, an absorption window goes as a whole as soon as one of its bands has values that are
    not plausible, and bands elsewhere stay. Otherwise it is those bands themselves.

    Args:
        high: (bands,), 98th percentile of each band, NaN where it has no data.
        wavelengths: wavelengths of the bands in nm, or None.
    """
    result = np.zeros(len(high), dtype=bool)
    if len(high) < FEWEST_BANDS or np.isnan(high).all():
        return result
    if wavelengths is None:
        return np.asarray(high > IMPLAUSIBLE_FACTOR * _usual(high))  # False for NaN
    places = np.asarray(wavelengths)
    windows = [(places >= low_nm) & (places <= high_nm) for low_nm, high_nm in ABSORPTION]
    usual = _usual(np.where(np.logical_or.reduce(windows), np.nan, high))  # however many bands are noise
    for window in windows:
        result |= window & (high > IMPLAUSIBLE_FACTOR * usual)[window].any()
    return result


def _usual(high: NDArray[np.float64]) -> NDArray[np.float64]:
    """The usual value at each band; NaN, which no value exceeds, if no band has a value."""
    if np.isnan(high).all():
        return high
    return np.maximum(np.fmax(np.nanpercentile(high, USUAL_SHARE), _running_median(high, BANDS_AROUND)), 0)


def _running_median(values: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """Median of the `width` values around each, without NaN; NaN where there are none."""
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
