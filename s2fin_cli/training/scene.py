"""The scene: what is known about the images before any label is used."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from s2fin import Standardizer
from s2fin_cli.core.errors import RasterError
from s2fin_cli.stack.cells import have_data, read_cells, scatter_pixels, thin_out
from s2fin_cli.stack.sampling import sample_pixels
from s2fin_cli.stack.statistics import BandStatistics, band_statistics, noise_adjusted_components
from s2fin_cli.stack.useless import useless_bands
from s2fin_cli.training.memory import cell_bytes

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from s2fin import S2FinConfig
    from s2fin_cli.stack.stack import Stack
    from s2fin_cli.training.recipe import Sampling

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Scene:
    """What is known about a scene before any label is used.

    Attributes:
        stack: its images, without the bands that are of no use.
        statistics: statistics of all bands, the passive image's first.
        standardizer: made from these, with the components of the passive image's spectrum.
        rows, cols: int64 (n,), pixels all over the scene, to learn from without labels.
    """

    stack: Stack
    statistics: BandStatistics
    standardizer: Standardizer
    rows: NDArray[np.int64]
    cols: NDArray[np.int64]


def usable_bands(stack: Stack) -> tuple[Stack, BandStatistics]:
    """The stack without bands that are of no use, and statistics of its bands.

    Raises:
        RasterError: no band of an image is of any use.
    """
    statistics = band_statistics(sample_pixels(stack))
    layers, kept = [], []
    for layer, bands in stack.slices():
        useless = useless_bands(layer, statistics.select(bands))
        for reason, numbers in useless.items():
            logger.warning("%s: bands %s, skipped: %s", layer.describe(), reason, layer.describe_bands(numbers))
        layers.append(layer.without({number for numbers in useless.values() for number in numbers}))
        kept += [number in layers[-1].numbers for number in layer.numbers]
        if not layers[-1].numbers:
            empty = statistics.select(bands).is_empty.all()
            raise RasterError(
                f"{layer.describe()} has {'no data' if empty else 'no usable band'} where the image is; "
                "check its nodata value and extent"
            )
    return replace(stack, image=layers[0], aux=tuple(layers[1:])), statistics.select(np.array(kept))


def explore(
    stack: Stack,
    statistics: BandStatistics,
    config: S2FinConfig,
    *,
    sampling: Sampling,
    seed: int,
    device: torch.device,
) -> Scene:
    """Draw pixels all over the scene, and find the components of its spectra.

    Args:
        stack: the images, without the bands that are of no use.
        statistics: statistics of their bands.
        config: configuration of the network that is to learn from them.
        sampling: how many pixels to draw.
        seed: seed of the random draw.
        device: where values are to be standardised.
    """
    generator = np.random.default_rng(seed)
    cells = min(sampling.scene_cells, max(sampling.scene_bytes // cell_bytes(config), 1))
    rows, cols = scatter_pixels(
        stack.grid.shape, cells=cells, pixels=sampling.scene_pixels, generator=generator, area=stack.area
    )
    valid = have_data(stack, rows, cols)
    rows, cols = rows[valid], cols[valid]
    some = thin_out(rows, cols, cells=sampling.noise_cells)
    components = noise_adjusted_components(
        read_cells(stack, rows[some], cols[some], margin=1).images.image,
        statistics.select(slice(config.in_channels)),
        config.components,
    )
    if not stack.aux:
        logger.info("one image alone: its %d spectral components serve as the second image", len(components))
    standardizer = _standardizer(statistics, components, alone=not stack.aux).to(device)
    return Scene(stack, statistics, standardizer, rows, cols)


def _standardizer(statistics: BandStatistics, components: NDArray[np.float64], *, alone: bool) -> Standardizer:
    """The scene's standardizer, from the statistics of all its bands."""
    image, second = slice(components.shape[1]), slice(components.shape[1], None)
    mean, std = statistics.mean.tolist(), statistics.std.tolist()
    given = [mean[image], std[image], *([] if alone else [mean[second], std[second]])]
    return Standardizer.from_statistics(*given, components=components.tolist())
