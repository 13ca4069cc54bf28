"""What the teacher sees of a pixel: the values of both images there, and their surroundings at several scales.

Both images have the same kinds of features at the same scales, so that neither dominates. For an image with many bands,
the surroundings are those of its components: otherwise its hundreds of features would drown those of a second image.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from s2fin.afcm import local_statistics
from s2fin_cli.core.device import tensors_on
from s2fin_cli.core.images import Images
from s2fin_cli.stack.cells import CELL_SIZE, CELLS_TO_READ, by_cells, iter_cells, own_order
from s2fin_cli.stack.guide import AROUND, FEW_BANDS, compared_parts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from s2fin import Standardizer
    from s2fin_cli.stack.cells import Cells
    from s2fin_cli.stack.stack import Stack

#: Sides of the squares around a pixel that are summarised, in pixels, and how far they reach.
SCALES = (3, 7, 15, 31)
MARGIN = max(SCALES) // 2
#: Scales of the shape of spectra; with many bands the first one alone.
SHAPE_SCALES = (3, 15)
#: Cells whose features are computed at a time: bounds memory.
CELLS_AT_ONCE = 16
#: Deviation of a standardised spectrum below which its shape is only noise.
FLATTEST = 1e-3
#: What features hold of a model to start from, if there is one: its probabilities (n, classes).
START = "start"

#: float32 (n, features) by what they are: "bands", "components" and "shape" of the image and "aux", the second image's
#: bands, alone for the pixel's own values, and with "mean" or "deviation" (which the shape has none of) and a scale for
#: its surroundings, e.g. "bands mean 7"; "position" is row and column.
Features = dict[str, "NDArray[np.float32]"]


def pixel_features(standardizer: Standardizer, cells: Cells, *, at_once: int = CELLS_AT_ONCE) -> Features:
    """Features of the pixels of cells.

    Bands are the standardised ones of the passive image, and components its own; those of the second image, "aux", are
    there if it exists. The shape is the standard normal variate of the passive image's bands, or of their means.

    Args:
        standardizer: the scene's; its device computes.
        cells: cells with a margin of at least `MARGIN` pixels.
        at_once: cells that are computed at a time.
    """
    groups = _groups(cells, at_once)
    return merged([(pixels, _features_of(standardizer, cells, chosen, place)) for chosen, pixels, place in groups])


def features_at(
    standardizer: Standardizer,
    stack: Stack,
    rows: NDArray[np.int64],
    cols: NDArray[np.int64],
    *,
    at_once: int = CELLS_TO_READ,
) -> Features:
    """Features of pixels in any number of cells of a stack, with their positions.

    Args:
        standardizer: the scene's; its device computes.
        stack: the stack.
        rows: (n,) of the pixels in the raster.
        cols: (n,) of the pixels.
        at_once: cells that are read at a time.
    """
    read = iter_cells(stack, rows, cols, margin=MARGIN, at_once=at_once)
    parts = [(part, pixel_features(standardizer, cells)) for part, cells in read]
    return merged(parts) | {"position": positions(rows, cols)}


def merged(parts: Sequence[tuple[NDArray[np.int64], Features]]) -> Features:
    """Features of all pixels, of parts of them and the positions (n,) of these."""
    back = own_order([positions for positions, _ in parts])
    return {name: np.concatenate([part[name] for _, part in parts])[back] for name in parts[0][1]}


def positions(rows: NDArray[np.int64], cols: NDArray[np.int64]) -> NDArray[np.float32]:
    """Rows and columns of n pixels as (n, 2)."""
    return np.stack([rows, cols], axis=1).astype(np.float32)


def _groups(cells: Cells, at_once: int) -> Iterator[tuple[slice, NDArray[np.int64], Tensor]]:
    """Cells, some at a time, their pixels (n,), and these pixels' places (3, n) in them: cell, row and column."""
    places = cells.places
    for start, group in by_cells(places.index, count=len(cells), at_once=at_once):
        place = np.stack([places.index[group] - start, places.rows[group], places.cols[group]])
        yield slice(start, start + at_once), group, torch.from_numpy(place)


def _maps(standardizer: Standardizer, cells: Cells, chosen: slice) -> dict[str, Tensor]:
    """Standardised bands and components (cells, side, side, C) of cells, and the bands of a second image, "aux"."""
    raw = tensors_on(standardizer.device, cells.select(chosen))
    x, a = standardizer(*raw)
    maps = {"bands": x[:, : standardizer.bands], "components": x[:, standardizer.bands :]}
    if raw.aux is not None:
        maps["aux"] = a
    return {name: part.permute(0, 2, 3, 1).contiguous() for name, part in maps.items()}


@torch.inference_mode()
def _features_of(standardizer: Standardizer, cells: Cells, chosen: slice, place: Tensor) -> Features:
    maps, place = _maps(standardizer, cells, chosen), place.to(standardizer.device)
    features = {}
    for name, part in maps.items():
        features.update(_summaries(name, part, place))
    few_bands = maps["bands"].shape[3] <= FEW_BANDS
    for scale in SHAPE_SCALES if few_bands else SHAPE_SCALES[:1]:
        around = _around(maps["bands"], place, scale)[0]
        features[f"shape mean {scale}"] = standard_normal_variate(around)
    features["shape"] = standard_normal_variate(features["bands"])
    return {name: values.cpu().numpy() for name, values in features.items()}


def _summaries(name: str, maps: Tensor, place: Tensor) -> dict[str, Tensor]:
    """Features of one kind of maps (cells, side, side, C) at places (3, n): cell, row and column."""
    cell, row, col = place
    margin = (maps.shape[1] - CELL_SIZE) // 2
    found = {name: maps[cell, row + margin, col + margin]}
    if name == "bands" and maps.shape[3] > FEW_BANDS:
        return found
    for scale in SCALES:
        for kind, values in zip(("mean", "deviation"), _around(maps, place, scale), strict=True):
            found[f"{name} {kind} {scale}"] = values
    return found


def _around(maps: Tensor, place: Tensor, scale: int) -> tuple[Tensor, Tensor]:
    """Mean and deviation (n, C) of maps (cells, side, side, C) over squares around places (3, n)."""
    cell, row, col = place
    border = (maps.shape[1] - CELL_SIZE) // 2 - scale // 2
    inner = maps[:, border : maps.shape[1] - border, border : maps.shape[2] - border]
    mean, deviation = (part[cell, row, col] for part in local_statistics(inner, scale))
    return mean, deviation


def standard_normal_variate(spectra: Tensor) -> Tensor:
    """The shape of each pixel's spectrum: the spectrum minus its mean over the bands, divided by its deviation.

    Gain and offset of a spectrum, by slope, shade or haze, change from place to place more than its shape. Formula:
    Barnes et al. (1989), "Standard normal variate transformation and de-trending of near-infrared diffuse reflectance
    spectra", Applied Spectroscopy 43(5); of standardised bands here, so that none outweighs the others.

    Args:
        spectra: (n, bands); a deviation below `FLATTEST` counts as that.

    Returns:
        a tensor of the same shape; of a single band all 0.
    """
    deviation, mean = torch.std_mean(spectra, dim=1, keepdim=True, correction=0)
    return (spectra - mean) / deviation.clamp_min(FLATTEST)


def compared_features(features: Features) -> NDArray[np.float32]:
    """The features (n, k) by which pixels are compared with reference pixels, of all features of pixels."""
    kind = "bands" if features["bands"].shape[1] <= FEW_BANDS else "components"
    around = f"mean {2 * AROUND + 1}"
    images = Images(features[f"{kind} {around}"], features.get(f"aux {around}"))
    parts = compared_parts(images.map(lambda values: values.T.astype(np.float64)))
    return np.ascontiguousarray(np.concatenate(parts).T.astype(np.float32))
