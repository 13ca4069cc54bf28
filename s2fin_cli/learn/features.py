"""What the teacher knows of a pixel: its spectrum and its shape, and those and the texture of its surroundings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from s2fin.afcm import local_statistics
from s2fin_cli.learn.samples import CELL_SIZE
from s2fin_cli.learn.texture import SIDE, Dictionary, patches_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray
    from torch import Tensor

    from s2fin import S2Fin
    from s2fin_cli.learn.samples import Cells

#: Sides of the squares around a pixel that are summarised.
SCALES = (3, 7, 11, 21)
#: Sides of the squares over which texture is averaged.
TEXTURE_SCALES = (3, 15)
#: Pixels whose patches texture is told by.
TEXTURE_PIXELS = 8192
#: Cells whose features are computed at a time: bounds memory.
CELLS_AT_ONCE = 16
#: Deviation of a standardised spectrum below which it has no shape but noise.
FLATTEST = 1e-3

#: float32 (n, features) by what they are: "bands", "components" or "shape" of the image, or "aux", the second image's
#: bands, alone for the pixel's own values, and with "mean" or "deviation" (which the shape has none of) and a scale for
#: its surroundings, e.g. "bands mean 11"; "texture" as a mean at its own scales alone; "position" is row and column.
Features = dict[str, "NDArray[np.float32]"]


def pixel_features(network: S2Fin, cells: Cells, dictionary: Dictionary | None = None) -> Features:
    """Features of the pixels of cells.

    Bands are the standardised ones of the passive image, and components its own; those of the second image, "aux", are
    there if it is. The shape is the standard normal variate of the passive image's bands, or of their means; texture is
    how like the components, and the second image, are around a pixel to the words of a dictionary.

    Args:
        network: what standardises values and knows the components.
        cells: cells with a margin; scales beyond it are cut to it.
        dictionary: without one there is no texture.
    """
    groups = list(_groups(cells, np.arange(len(cells))))
    parts = [_features_of(network, cells, chosen, place, dictionary) for chosen, _, place in groups]
    order = np.argsort(np.concatenate([pixels for _, pixels, _ in groups]))
    return {name: np.concatenate([part[name] for part in parts])[order] for name in parts[0]}


@torch.inference_mode()
def texture_dictionary(network: S2Fin, cells: Cells, *, seed: int) -> Dictionary:
    """The dictionary of the components, and of the second image, around some of the pixels of cells."""
    generator = torch.Generator().manual_seed(seed)
    some = torch.randperm(len(cells), generator=generator)[:TEXTURE_PIXELS].numpy()
    patches = []
    for chosen, _, (cell, row, col) in _groups(cells, some):
        maps = _for_texture(_maps(network, cells, chosen))
        around = (maps.shape[1] - CELL_SIZE) // 2 - SIDE // 2
        patches.append(patches_of(maps)[cell, row + around, col + around])
    return Dictionary.of(torch.cat(patches), generator)


def _groups(cells: Cells, pixels: NDArray[np.int64]) -> Iterator[tuple[slice, NDArray[np.int64], Tensor]]:
    """Cells, some at a time, those (n,) of the pixels that lie in them, and their places (3, n) there."""
    order = pixels[np.argsort(cells.index[pixels], kind="stable")]
    starts = np.arange(0, len(cells.image), CELLS_AT_ONCE)
    groups = np.split(order, np.searchsorted(cells.index[order], starts[1:]))
    for start, group in zip(starts.tolist(), groups, strict=True):
        place = np.stack([cells.index[group] - start, cells.rows[group], cells.cols[group]])
        yield slice(start, start + CELLS_AT_ONCE), group, torch.from_numpy(place)


def _maps(network: S2Fin, cells: Cells, chosen: slice) -> dict[str, Tensor]:
    """Standardised bands and components (cells, side, side, C) of cells, and the bands of a second image, "aux"."""
    device = network.image_mean.device
    image = torch.from_numpy(cells.image[chosen]).to(device)
    x, a = network.standardize(image, None if cells.aux is None else torch.from_numpy(cells.aux[chosen]).to(device))
    maps = {"bands": x[:, : network.cfg.in_channels], "components": x[:, network.cfg.in_channels :]}
    if cells.aux is not None:
        maps["aux"] = a
    return {name: part.permute(0, 2, 3, 1).contiguous() for name, part in maps.items()}


def _for_texture(maps: dict[str, Tensor]) -> Tensor:
    """What texture is told by: components, and the second image's bands."""
    return torch.cat([maps[name] for name in ("components", "aux") if name in maps], dim=3)


@torch.inference_mode()
def _features_of(network: S2Fin, cells: Cells, chosen: slice, place: Tensor, dictionary: Dictionary | None) -> Features:
    maps, place = _maps(network, cells, chosen), place.to(network.image_mean.device)
    features = {}
    for name, part in maps.items():
        features.update(_summaries(name, part, place))
    if dictionary is not None:
        likeness = dictionary.likeness(_for_texture(maps))
        for scale in TEXTURE_SCALES:
            features[f"texture mean {scale}"] = _around(likeness, place, scale)[0]
    for name in ("bands", *(f"bands mean {scale}" for scale in SCALES)):
        features[name.replace("bands", "shape")] = standard_normal_variate(features[name])
    return {name: values.cpu().numpy() for name, values in features.items()}


def _summaries(name: str, maps: Tensor, place: Tensor) -> dict[str, Tensor]:
    """Features of one kind of maps (cells, side, side, C) at places (3, n): cell, row and column."""
    cell, row, col = place
    margin = (maps.shape[1] - CELL_SIZE) // 2
    found = {name: maps[cell, row + margin, col + margin]}
    for scale in SCALES:
        for kind, values in zip(("mean", "deviation"), _around(maps, place, scale), strict=True):
            found[f"{name} {kind} {scale}"] = values
    return found


def _around(maps: Tensor, place: Tensor, scale: int) -> tuple[Tensor, Tensor]:
    """Mean and deviation (n, C) of maps (cells, side, side, C) over squares around places (3, n)."""
    cell, row, col = place
    margin = (maps.shape[1] - CELL_SIZE) // 2
    size = min(scale, 2 * margin + 1)
    offset = margin - size // 2
    mean, deviation = (part[cell, row + offset, col + offset] for part in local_statistics(maps, size))
    return mean, deviation


def standard_normal_variate(spectra: Tensor) -> Tensor:
    """Each pixel's spectrum without its own mean over the bands, divided by its own deviation: its shape.

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


def joined(features: Mapping[str, NDArray[np.float32]], names: tuple[str, ...]) -> NDArray[np.float32]:
    """The named features side by side, (n, sum of their lengths)."""
    return np.concatenate([features[name] for name in names], axis=1)
