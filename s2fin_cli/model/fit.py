"""Whether a model fits images: their modalities, their bands and the unit of their values."""

from __future__ import annotations

import logging
from dataclasses import replace
from itertools import zip_longest
from typing import TYPE_CHECKING

import numpy as np
from rasterio.crs import CRS

from s2fin_cli.core.errors import ModelFileError
from s2fin_cli.core.modality import MODALITIES
from s2fin_cli.raster.scaling import Scaling
from s2fin_cli.raster.spectra import are_same_wavelengths, match_wavelengths

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from s2fin_cli.model.info import BandSet, ModelInfo
    from s2fin_cli.stack.layer import Layer
    from s2fin_cli.stack.stack import Stack
    from s2fin_cli.stack.statistics import BandStatistics

logger = logging.getLogger(__name__)

#: Images whose values differ by more than this factor from the training image's are in another unit.
MAX_SCALE_FACTOR = 20.0
#: From this factor on, the user gets a warning.
WARNED_SCALE_FACTOR = 4.0
#: The user is warned if a scene's resolution differs from the training image's by more than this factor.
RESOLUTION_FACTOR = 1.25
#: Rows of a table in a message at most.
MOST_ROWS = 12


def fit_stack(info: ModelInfo, stack: Stack) -> Stack:
    """The stack with the bands that a model takes, in its order.

    Raises:
        ModelFileError: a modality is missing or not known to the model, or bands of it are missing.
    """
    given = {layer.modality: layer for layer in stack.layers}
    wanted = [bands.modality for bands in info.bands]
    if sorted(given) != sorted(wanted):
        raise ModelFileError(f"the model needs {_options(wanted)}; {_difference(wanted, list(given))}")
    image, *aux = (given[bands.modality].select(_match_bands(bands, given[bands.modality])) for bands in info.bands)
    return replace(stack, image=image, aux=tuple(aux))


def _options(modalities: list[str]) -> str:
    *first, last = [f"`{modality}`" for modality in modalities]
    return f"{', '.join(first)} and {last}" if first else last


def _difference(wanted: list[str], given: list[str]) -> str:
    """What is missing, and what the model does not know."""
    missing = [modality for modality in wanted if modality not in given]
    unknown = [modality for modality in given if modality not in wanted]
    parts = []
    if missing:
        parts.append(f"{_options(missing)} {'is' if len(missing) == 1 else 'are'} missing")
    if unknown:
        parts.append(f"it was not trained with {_options(unknown)}")
    return ", and ".join(parts)


def _match_bands(bands: BandSet, layer: Layer) -> list[int]:
    """Numbers of the bands that a model takes: by wavelength where both have it, else by name, else by number."""
    by_number = _by_number(bands, layer)
    known = layer.known_wavelengths
    if bands.wavelengths is not None and len(known) == len(layer.numbers):
        numbers, how = (
            _by_wavelength(bands, bands.wavelengths, layer=layer, known=known, by_number=by_number),
            "wavelength",
        )
    elif (named := _by_name(bands, layer)) is not None:
        numbers, how = named, "name"
    elif bands.wavelengths is not None and known:
        numbers, how = (
            _by_wavelength(bands, bands.wavelengths, layer=layer, known=known, by_number=by_number),
            "wavelength",
        )
    elif by_number is not None:
        _warn_of_numbers(bands, layer.select(by_number))
        return by_number
    else:
        in_use = "" if len(bands.indexes) == bands.count else f", {len(bands.indexes)} of them in use,"
        chosen = f", {len(layer.numbers)} of them chosen" if layer.is_chosen else ""
        raise ModelFileError(
            f"the model was trained on {bands.count} bands of `{bands.modality}` ({bands.dtype}){in_use} and "
            f"{layer.describe()} has {layer.count} ({layer.dtype}){chosen}, and neither wavelengths nor names show "
            "which are the same; give an image of the same sensor, or choose the bands that are the model's with "
            f"`bidx`:\n{_table(_labels_of_model(bands), _labels_of_image(layer))}"
        )
    if numbers != by_number:
        logger.info("%s: bands matched by %s: %s", layer.describe(), how, layer.describe_bands(numbers))
    return numbers


def _by_number(bands: BandSet, layer: Layer) -> list[int] | None:
    """The bands in the same positions as in training, or those that the user chose if there are as many."""
    if not layer.is_chosen and layer.count == bands.count:
        return list(bands.indexes)
    return list(layer.numbers) if layer.is_chosen and len(layer.numbers) == len(bands.indexes) else None


def _by_name(bands: BandSet, layer: Layer) -> list[int] | None:
    """The bands of the same names, or None where names do not identify them.

    Raises:
        ModelFileError: some of the names are the same, so names identify bands, and others are missing. If the user
            chose as many bands as the model has, they are taken for the model's nonetheless.
    """
    wanted, given = _names(bands.band_names), _names(layer.band_names)
    if not _are_names(wanted):
        return None
    numbers = [layer.numbers[given.index(name)] if given.count(name) == 1 else None for name in wanted]
    found = [number for number in numbers if number is not None]
    if len(found) == len(wanted):
        return found
    is_choice = layer.is_chosen and len(layer.numbers) == len(wanted)
    if not found or not _are_names(given) or is_choice:
        return None
    missing = [label for label, number in zip(_labels_of_model(bands), numbers, strict=True) if number is None]
    others = _labels_of_image(layer.without(set(found)))
    raise ModelFileError(
        f"{_lacking(layer, len(missing), wanted=len(wanted))}, or choose all of them in the model's order with "
        f"`bidx`:\n{_table(missing, others, 'others in the image')}"
    )


def _by_wavelength(
    bands: BandSet,
    wanted: Sequence[float],
    *,
    layer: Layer,
    known: Mapping[int, float],
    by_number: list[int] | None,
) -> list[int]:
    if (
        by_number is not None
        and known.keys() >= set(by_number)
        and are_same_wavelengths(wanted, [known[number] for number in by_number])
    ):
        return by_number  # bands of two detectors may share a wavelength, and then their order identifies them
    candidates, given = list(known), list(known.values())
    found = match_wavelengths(wanted, given)
    numbers = [candidates[place] for place in found if place is not None]
    if len(numbers) == len(wanted):
        return numbers
    missing = [position for position, place in enumerate(found) if place is None]
    nearest = [int(np.abs(np.asarray(given) - wanted[position]).argmin()) for position in missing]
    table = _table(
        [f"{bands.indexes[position]}: {wanted[position]:.1f} nm" for position in missing],
        [f"{candidates[place]}: {given[place]:.1f} nm" for place in nearest],
        "nearest in the image",
    )
    raise ModelFileError(f"{_lacking(layer, len(missing), wanted=len(wanted))}:\n{table}")


def _lacking(layer: Layer, missing: int, *, wanted: int) -> str:
    return (
        f"{layer.describe()} lacks {missing} of the {wanted} bands that the model was trained on; "
        "give an image of the same sensor"
    )


def _labels_of_model(bands: BandSet) -> list[str]:
    return _labels(bands.indexes, bands.band_names, wavelengths=bands.wavelengths)


def _labels_of_image(layer: Layer) -> list[str]:
    return _labels(layer.numbers, layer.band_names, wavelengths=layer.wavelengths)


def _labels(numbers: Sequence[int], names: Sequence[str], *, wavelengths: Sequence[float] | None) -> list[str]:
    """Bands for a table: number, and name or wavelength where there is one."""
    places = [""] * len(numbers) if wavelengths is None else [f"{place:.1f} nm" for place in wavelengths]
    return [
        f"{number}: {name or place}" if name or place else str(number)
        for number, name, place in zip(numbers, names, places, strict=True)
    ]


def _table(model: Sequence[str], image: Sequence[str], heading: str = "image") -> str:
    """Two columns, at most `MOST_ROWS` rows of them."""
    rows = list(zip_longest(model, image, fillvalue=""))
    lines = [f"  {left:>22}   {right:>22}".rstrip() for left, right in [("model", heading), *rows[:MOST_ROWS]]]
    if len(rows) > MOST_ROWS:
        lines.append(f"  and {len(rows) - MOST_ROWS} more")
    return "\n".join(lines)


def _names(names: Sequence[str]) -> list[str]:
    """Names as they are compared."""
    return [name.strip().casefold() for name in names]


def _are_names(names: Sequence[str]) -> bool:
    return all(names) and len(set(names)) == len(names)


def _warn_of_numbers(bands: BandSet, layer: Layer) -> None:
    """Warn of bands that are taken by number although there is reason to think that they are others."""
    wanted, given = _names(bands.band_names), _names(layer.band_names)
    if not (_are_names(wanted) and _are_names(given)):
        _warn_of_colors(bands, layer)
        if (bands.wavelengths is None) != (layer.wavelengths is None):
            knows, lacks = ("image", "model") if bands.wavelengths is None else ("model", "image")
            logger.warning(
                "%s: bands are taken by number, as the %s knows their wavelengths and the %s does not",
                layer.describe(), knows, lacks,
            )  # fmt: skip
        return
    for position, number in enumerate(layer.numbers):
        if wanted[position] != given[position]:
            logger.warning(
                "%s: bands are taken by number, and band %d is named %r where the model had %r",
                layer.describe(), number, layer.band_names[position], bands.band_names[position],
            )  # fmt: skip
            return


def _warn_of_colors(bands: BandSet, layer: Layer) -> None:
    """Warn of a band that is marked as another colour than the model's band of the same number."""
    for number, wanted, given in zip(layer.numbers, bands.colors, layer.colors, strict=False):
        if wanted and given and wanted != given:
            logger.warning(
                "%s: bands are taken by number, and band %d is marked as %s where the model had %s; if their order "
                "differs, choose the bands in the model's order with `bidx`", layer.describe(), number, given, wanted,
            )  # fmt: skip
            return


def check_scene(info: ModelInfo, stack: Stack, statistics: BandStatistics) -> None:
    """Compare a scene with the one that a model was trained on: warns of other values and pixels.

    Args:
        info: the model.
        stack: the scene's images, with the model's bands.
        statistics: statistics of their bands.

    Raises:
        ModelFileError: values are in another unit, see `check_values`.
    """
    for bands, (layer, chosen) in zip(info.bands, stack.slices(), strict=True):
        check_values(bands, layer, low=statistics.low[chosen], high=statistics.high[chosen])
    same_crs = info.crs is not None and stack.grid.crs == CRS.from_wkt(info.crs)
    factor = max(max(a / b, b / a) for a, b in zip(info.res, stack.grid.res, strict=True))
    if same_crs and factor > RESOLUTION_FACTOR:
        logger.warning(
            "the model was trained on pixels of %.6g x %.6g and these have %.6g x %.6g: textures will look different",
            *info.res, *stack.grid.res,
        )  # fmt: skip


def check_values(bands: BandSet, layer: Layer, *, low: np.ndarray, high: np.ndarray) -> None:
    """Refuse an image whose values are in another unit than the training image's.

    If the difference may be real, as for heights at another place, the user is only warned.

    Args:
        bands: what the model was trained on.
        layer: the image, for messages.
        low: 2nd percentile of each of its bands, NaN where there is no data.
        high: 98th percentile of each, NaN where there is no data.

    Raises:
        ModelFileError: the typical magnitude of the values differs by more than `MAX_SCALE_FACTOR`.
    """
    given = np.maximum(np.abs(low), np.abs(high))
    trained = np.maximum(np.abs(bands.low), np.abs(bands.high))
    comparable = np.isfinite(given) & (given > 0) & (trained > 0)
    if not comparable.any():
        return
    factor = float(np.median(given[comparable] / trained[comparable]))
    _warn_of_bands(bands, layer, given=given, trained=trained, usual=factor)
    if 1 / WARNED_SCALE_FACTOR <= factor <= WARNED_SCALE_FACTOR:
        return
    given_kind = layer.scaling.describe_values(layer.dtype)
    trained_kind = Scaling.of(bands.scales, bands.offsets).describe_values(bands.dtype)
    message = (
        f"{layer.describe()} ({given_kind}) has values of about {np.nanmin(low):.4g} to {np.nanmax(high):.4g}, and the "
        f"model was trained on {trained_kind} values of about {min(bands.low):.4g} to {max(bands.high):.4g}"
    )
    if MODALITIES[bands.modality].varies_by_place or 1 / MAX_SCALE_FACTOR <= factor <= MAX_SCALE_FACTOR:
        logger.warning("%s; are both in the same unit?", message)
        return
    raise ModelFileError(f"{message}; bring the image to the same unit and scale first")


def _warn_of_bands(bands: BandSet, layer: Layer, *, given: np.ndarray, trained: np.ndarray, usual: float) -> None:
    """Warn of single bands whose values are of another magnitude than those of the other bands suggest."""
    if MODALITIES[bands.modality].varies_by_place:
        return
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        factors = given / trained / usual
        odd = np.isfinite(given) & (trained > 0) & ((factors > MAX_SCALE_FACTOR) | (factors < 1 / MAX_SCALE_FACTOR))
    if odd.any() and not odd.all():
        numbers = [number for number, is_odd in zip(layer.numbers, odd, strict=True) if is_odd]
        logger.warning(
            "%s: band %s has values up to about %.4g, where the model was trained on values up to about %.4g; the "
            "map may be wrong", layer.describe(), layer.describe_bands(numbers), given[odd].max(),
            trained[odd].max(),
        )  # fmt: skip
