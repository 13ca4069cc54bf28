"""What the teacher knows of a pixel: its spectrum and its shape, and those of its surroundings at several scales."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from s2fin.network import local_statistics, standard_normal_variate
from s2fin_cli.learn.samples import CELL_SIZE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from torch import Tensor

    from s2fin import S2Fin
    from s2fin_cli.learn.samples import Cells

#: Sides of the squares around a pixel that are summarised.
SCALES = (3, 7, 11, 21)
#: Cells whose features are computed at a time: bounds memory.
CELLS_AT_ONCE = 16

#: float32 (n, features) by what they are: "bands", "components" or "shape", alone for the pixel's own values, and with
#: "mean" or "deviation" (which the shape has none of) and a scale for its surroundings, e.g. "bands mean 11";
#: "position" is row and column.
Features = dict[str, "NDArray[np.float32]"]


def pixel_features(network: S2Fin, cells: Cells) -> Features:
    """Features of the pixels of cells.

    Bands are the standardised ones of both images; components are the passive image's, and the second image's bands;
    the shape is the standard normal variate of the passive image's bands, or of their means.

    Args:
        network: what standardises values and knows the components.
        cells: cells with a margin; scales beyond it are cut to it.
    """
    parts: list[Features] = []
    order = np.argsort(cells.index, kind="stable")
    groups = np.split(
        order, np.searchsorted(cells.index[order], np.arange(CELLS_AT_ONCE, len(cells.image), CELLS_AT_ONCE))
    )
    for start, group in zip(range(0, len(cells.image), CELLS_AT_ONCE), groups, strict=True):
        chosen = slice(start, start + CELLS_AT_ONCE)
        place = torch.from_numpy(np.stack([cells.index[group] - start, cells.rows[group], cells.cols[group]]))
        parts.append(_features_of(network, cells, chosen, place))
    inverse = np.empty_like(order)
    inverse[order] = np.arange(len(order))
    return {name: np.concatenate([part[name] for part in parts])[inverse] for name in parts[0]}


@torch.inference_mode()
def _features_of(network: S2Fin, cells: Cells, chosen: slice, place: Tensor) -> Features:
    device = network.image_mean.device
    image = torch.from_numpy(cells.image[chosen]).to(device)
    x, a = network.standardize(image, None if cells.aux is None else torch.from_numpy(cells.aux[chosen]).to(device))
    bands, components = x[:, : network.cfg.in_channels], x[:, network.cfg.in_channels :]
    maps = {"bands": bands, "components": components}
    if cells.aux is not None:
        maps = {name: torch.cat([part, a], dim=1) for name, part in maps.items()}
    features = {}
    for name, part in maps.items():
        features.update(_summaries(name, part.permute(0, 2, 3, 1).contiguous(), place.to(device)))
    for name in ("bands", *(f"bands mean {scale}" for scale in SCALES)):
        shape = standard_normal_variate(features[name][:, : network.cfg.in_channels])
        features[name.replace("bands", "shape")] = shape
    return {name: values.cpu().numpy() for name, values in features.items()}


def _summaries(name: str, maps: Tensor, place: Tensor) -> dict[str, Tensor]:
    """Features of one kind of maps (cells, side, side, C) at places (3, n): cell, row and column."""
    cell, row, col = place
    margin = (maps.shape[1] - CELL_SIZE) // 2
    found = {name: maps[cell, row + margin, col + margin]}
    for scale in SCALES:
        size = min(scale, 2 * margin + 1)
        offset = margin - size // 2
        for kind, summary in zip(("mean", "deviation"), local_statistics(maps, size), strict=True):
            found[f"{name} {kind} {scale}"] = summary[cell, row + offset, col + offset]
    return found


def joined(features: Mapping[str, NDArray[np.float32]], names: tuple[str, ...]) -> NDArray[np.float32]:
    """The named features side by side, (n, sum of their lengths)."""
    return np.concatenate([features[name] for name in names], axis=1)
