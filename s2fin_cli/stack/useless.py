"""Bands that are of no use to a classifier."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from s2fin_cli.core.modality import MODALITIES
from s2fin_cli.raster.spectra import implausible_bands

if TYPE_CHECKING:
    from s2fin_cli.stack.layer import Layer
    from s2fin_cli.stack.statistics import BandStatistics


def useless_bands(layer: Layer, statistics: BandStatistics) -> dict[str, list[int]]:
    """Numbers of the bands that are of no use, by reason. A band that the user chose is used if it can be."""
    found = {"without any data": statistics.is_empty, "with one value throughout": statistics.is_constant}
    if not layer.is_chosen:
        found["that the file declares bad"] = np.isin(layer.numbers, layer.bad_numbers)
        if layer.modality in MODALITIES and MODALITIES[layer.modality].is_hyperspectral:
            found["of noise, as where water vapour absorbs"] = implausible_bands(statistics.high, layer.wavelengths)
    seen: set[int] = set()
    result = {}
    for reason, mask in found.items():
        numbers = [number for number, hit in zip(layer.numbers, mask, strict=True) if hit and number not in seen]
        seen.update(numbers)
        if numbers:
            result[reason] = numbers
    return result
