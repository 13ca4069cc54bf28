"""Whether a model fits images: their kinds, their bands and the unit of their values."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from s2fin_cli.errors import ModelFileError
from s2fin_cli.geo.spectra import are_same_wavelengths, match_wavelengths

if TYPE_CHECKING:
    from collections.abc import Sequence

    from s2fin_cli.geo.stack import Layer, Stack
    from s2fin_cli.modelinfo import BandSet, ModelInfo

logger = logging.getLogger(__name__)

#: Images whose values differ by more than this factor from the training image's are in another unit.
MAX_SCALE_FACTOR = 20.0
#: Modalities whose values are physical heights: another place may well lie much higher.
HEIGHT_MODALITIES = ("lidar", "dsm")
#: Rows of a table in a message at most.
MOST_ROWS = 12


def fit_stack(info: ModelInfo, stack: Stack) -> Stack:
    """The stack with the bands that a model wants, in its order.

    Raises:
        ModelFileError: a modality is missing or not known to the model, or bands of it are missing.
    """
    given = {layer.modality: layer for layer in stack.layers}
    wanted = [bands.modality for bands in info.bands]
    if sorted(given) != sorted(wanted):
        raise ModelFileError(
            f"the model was trained with {_options(wanted)}, and {_options(list(given))} was given; "
            "give the same kinds of images"
        )
    image, *aux = (given[bands.modality].select(_match_bands(bands, given[bands.modality])) for bands in info.bands)
    return replace(stack, image=image, aux=tuple(aux))


def _options(modalities: list[str]) -> str:
    return " ".join(f"--{modality}" for modality in modalities)


def _match_bands(bands: BandSet, layer: Layer) -> list[int]:
    """Numbers of the bands that a model wants: by wavelength where both know it, else by name, else by number."""
    by_number = _by_number(bands, layer)
    if bands.wavelengths is not None and layer.wavelengths is not None:
        numbers, how = _by_wavelength(bands, bands.wavelengths, layer, layer.wavelengths, by_number), "wavelength"
    elif all(name and layer.band_names.count(name) == 1 for name in bands.band_names):
        places = dict(zip(layer.band_names, layer.numbers, strict=True))
        numbers, how = [places[name] for name in bands.band_names], "name"
    elif by_number is not None:
        _warn_of_names(bands, layer.select(by_number))
        return by_number
    else:
        in_use = "" if len(bands.indexes) == bands.count else f", {len(bands.indexes)} of them in use,"
        chosen = f", {len(layer.numbers)} of them chosen" if layer.is_chosen else ""
        raise ModelFileError(
            f"the model was trained on {bands.count} bands of --{bands.modality} ({bands.dtype}){in_use} and "
            f"{layer.describe()} has {layer.count} ({layer.dtype}){chosen}, without wavelengths or names to match them "
            "by; give an image of the same sensor, or choose the bands that are the model's with -b"
        )
    if numbers != by_number:
        logger.info("%s: bands matched by %s: %s", layer.describe(), how, layer.describe_bands(numbers))
    return numbers


def _by_number(bands: BandSet, layer: Layer) -> list[int] | None:
    """The bands in the places where they were in training, or those that the user chose, if there are as many."""
    if not layer.is_chosen and layer.count == bands.count:
        return list(bands.indexes)
    return list(layer.numbers) if layer.is_chosen and len(layer.numbers) == len(bands.indexes) else None


def _by_wavelength(
    bands: BandSet,
    wanted: Sequence[float],
    layer: Layer,
    given: Sequence[float],
    by_number: list[int] | None,
) -> list[int]:
    places = dict(zip(layer.numbers, given, strict=True))
    if by_number is not None and are_same_wavelengths(wanted, [places[number] for number in by_number]):
        return by_number  # bands of two detectors may share a wavelength, and then their order tells them apart
    found = match_wavelengths(wanted, given)
    numbers = [layer.numbers[place] for place in found if place is not None]
    if len(numbers) == len(wanted):
        return numbers
    missing = [position for position, place in enumerate(found) if place is None]
    lines = [f"  {'model':>22}   {'nearest in the image':>22}"]
    for position in missing[:MOST_ROWS]:
        place = int(np.abs(np.asarray(given) - wanted[position]).argmin())
        lines.append(
            f"  {f'{bands.indexes[position]}: {wanted[position]:.1f} nm':>22}   "
            f"{f'{layer.numbers[place]}: {given[place]:.1f} nm':>22}"
        )
    if len(missing) > MOST_ROWS:
        lines.append(f"  and {len(missing) - MOST_ROWS} more")
    table = "\n".join(lines)
    raise ModelFileError(
        f"{layer.describe()} lacks {len(missing)} of the {len(wanted)} bands that the model was trained on; "
        f"give an image of the same sensor:\n{table}"
    )


def _are_names(names: Sequence[str]) -> bool:
    return all(names) and len(set(names)) == len(names)


def _warn_of_names(bands: BandSet, layer: Layer) -> None:
    """Tell of bands that are taken by number although both sides have names and these differ."""
    if not (_are_names(bands.band_names) and _are_names(layer.band_names)):
        return
    for wanted, given, number in zip(bands.band_names, layer.band_names, layer.numbers, strict=True):
        if wanted != given:
            logger.warning(
                "%s: bands are taken by number, and band %d is named %r where the model had %r",
                layer.describe(), number, given, wanted,
            )  # fmt: skip
            return


def check_values(bands: BandSet, layer: Layer, *, low: np.ndarray, high: np.ndarray) -> None:
    """Refuse an image whose values are in another unit than the training image's; heights are only warned of.

    Args:
        bands: what the model was trained on.
        layer: the image, for messages.
        low: 2nd percentile of each of its bands, NaN where there is no data.
        high: 98th percentile likewise.

    Raises:
        ModelFileError: the typical magnitude of the values differs by more than `MAX_SCALE_FACTOR`.
    """
    given = np.maximum(np.abs(low), np.abs(high))
    trained = np.maximum(np.abs(bands.low), np.abs(bands.high))
    comparable = np.isfinite(given) & (given > 0) & (trained > 0)
    if not comparable.any():
        return
    factor = float(np.median(given[comparable] / trained[comparable]))
    if 1 / MAX_SCALE_FACTOR <= factor <= MAX_SCALE_FACTOR:
        return
    message = (
        f"{layer.describe()} ({layer.dtype}) has values of about {np.nanmin(low):.4g} to {np.nanmax(high):.4g}, "
        f"and the model was trained on {bands.dtype} values of about {min(bands.low):.4g} to {max(bands.high):.4g}"
    )
    if bands.modality in HEIGHT_MODALITIES:
        logger.warning("%s; are both in the same unit?", message)
        return
    raise ModelFileError(f"{message}; bring the image to the same unit and scale first")
