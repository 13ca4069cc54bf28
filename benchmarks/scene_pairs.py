"""Pairs of scenes with the same bands and classes: two halves of one scene, or of two years of it.

There are hardly any real pairs among the scenes, so halves stand for neighbouring scenes. Where the values of the
second half are changed by gains and offsets, it stands for another date or sensor.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import rasterio
from rasterio.transform import Affine

from protocols import lay_out
from s2fin_cli.core.modality import passive_of
from s2fin_cli.labels.pixels import LabelledPixels
from s2fin_cli.raster.opening import without_georeferencing_warning
from scenes import SCENES, load

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from rasterio.crs import CRS

#: Pixels between the halves that belong to neither.
GAP = 12
#: A class of a pair has at least this many labelled pixels in both halves.
FEWEST = 20
#: Deviations of the gains and offsets of a changed half, in units of the band's own deviation: of all bands, and of
#: each band.
COMMON_CHANGE, BAND_CHANGE = 0.3, 0.1
#: Labelled pixels of each class that a model to start from learns from, fewer than those from which some are held out.
SOURCE_LABELS = 30
#: Labelled pixels of a half that are tested, at most.
MOST_TESTED = 2000


@dataclass(frozen=True)
class Pair:
    """Two scenes, by what they are made of.

    Attributes:
        name: what it is called.
        scene: name of the scene whose halves they are.
        axis: along which it is divided: 0 for upper and lower halves, 1 for left and right ones.
        bands: positions of the bands of the passive image in the first and the second scene; None takes all of both.
        changed: whether the values of the second scene are changed.
        reported: whether figures of it are reported; others only served to make choices.
    """

    name: str
    scene: str
    axis: int = 1
    bands: tuple[tuple[int, ...], tuple[int, ...]] | None = None
    changed: bool = False
    reported: bool = True


#: Positions of dates of the Slovenian stack in 2016, and of those of the same season in 2017.
YEARS = (
    (14, 15, 16, 18, 19, 20, 21, 23, 24, 25, 26, 27, 28, 29),
    (36, 37, 40, 41, 42, 43, 44, 49, 51, 52, 53, 56, 57, 61),
)
PAIRS = (
    Pair("zion", "zion_landsat_dem"),
    Pair("zion, changed", "zion_landsat_dem", changed=True, reported=False),
    Pair("charente", "charente_s2_s1"),
    Pair("charente, changed", "charente_s2_s1", changed=True, reported=False),
    Pair("lattes", "lattes_ortho_lidar"),
    Pair("lattes, changed", "lattes_ortho_lidar", changed=True, reported=False),
    Pair("slovenia", "slovenia_ndvi_dem", axis=0),
    Pair("slovenia, two years", "slovenia_ndvi_dem", axis=0, bands=YEARS),
    Pair("indian pines", "indian_pines"),
    Pair("gulfport", "gulfport_crop"),
    # one label of each class is enough here, whatever the way
    Pair("amazon landsat", "amazon_landsat_dem", axis=0, reported=False),
)


@dataclass(frozen=True)
class Half:
    """One scene of a pair, as files.

    Attributes:
        paths: path of each image by modality.
        labels: its labelled pixels, of the classes of the pair.
        shape: (height, width).
        crs, transform: of its grid.
    """

    paths: dict[str, str]
    labels: LabelledPixels
    shape: tuple[int, int]
    crs: CRS | None
    transform: Affine

    def write_labels(self, path: Path, pixels: LabelledPixels) -> None:
        """Write a label raster, 0 where unlabelled."""
        values = np.zeros(self.shape, np.uint8)
        values[pixels.rows, pixels.cols] = pixels.class_ids
        _write(path, values[None], self.crs, self.transform, nodata=0)


@dataclass(frozen=True)
class Draw:
    """What is learnt from and tested on in the second scene of a pair.

    Attributes:
        train, test: labelled pixels.
    """

    train: LabelledPixels
    test: LabelledPixels


def make_pair(pair: Pair, folder: Path, *, swapped: bool) -> tuple[Half, Half]:
    """Write the images of both scenes of a pair.

    Args:
        pair: the pair.
        folder: where to write.
        swapped: whether the second half is the first scene, as for choices.
    """
    loaded = load({scene.name: scene for scene in SCENES}[pair.scene])
    with loaded.stack.open() as opened:
        values = np.concatenate(opened.read(loaded.stack.extent).images.parts())
    side = loaded.stack.grid.shape[pair.axis]
    parts = [slice(0, (side - GAP) // 2), slice(side - (side - GAP) // 2, side)]
    if swapped:
        parts.reverse()
    inside = [_inside(loaded.labels, part, pair.axis) for part in parts]
    classes = [c for c in loaded.labels.classes if all((own.class_ids == c.id).sum() >= FEWEST for own in inside)]
    halves = []
    for number, part in enumerate(parts):
        image = list(range(loaded.image_bands)) if pair.bands is None else list(pair.bands[number])
        own = values[[*image, *range(loaded.image_bands, len(values))]]
        own = own[:, part] if pair.axis == 0 else own[:, :, part]
        if pair.changed and number == 1:
            own = np.concatenate([_changed(own[: len(image)]), own[len(image) :]])
        row, col = (part.start, 0) if pair.axis == 0 else (0, part.start)
        transform = loaded.stack.grid.transform @ Affine.translation(col, row)
        passive = passive_of(loaded.paths)
        names = sorted(loaded.paths, key=lambda name: name != passive)  # the passive image first
        paths = {name: str(folder / f"{number}_{name}.tif") for name in names}
        crs = loaded.stack.grid.crs
        for name, bands in zip(names, (own[: len(image)], own[len(image) :]), strict=False):
            _write(folder / f"{number}_{name}.tif", bands, crs, transform, nodata=np.nan)
        kept = inside[number].select(np.isin(inside[number].class_ids, [c.id for c in classes]))
        halves.append(Half(paths, replace(kept, classes=tuple(classes)), own.shape[1:], crs, transform))
    return halves[0], halves[1]


def _inside(labels: LabelledPixels, part: slice, axis: int) -> LabelledPixels:
    """Labels in a part of the rows or columns, in the part's own ones."""
    along = (labels.rows, labels.cols)[axis]
    kept = labels.select((along >= part.start) & (along < part.stop))
    return replace(kept, rows=kept.rows - part.start) if axis == 0 else replace(kept, cols=kept.cols - part.start)


def _changed(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """An image (bands, height, width) with other gains and offsets, always the same ones."""
    generator = np.random.default_rng(0)
    deviations = np.nanstd(image, axis=(1, 2), keepdims=True)
    means = np.nanmean(image, axis=(1, 2), keepdims=True)
    strengths = (COMMON_CHANGE, BAND_CHANGE)
    gains, offsets = (
        sum(s * generator.standard_normal((n, 1, 1)) for s, n in zip(strengths, (1, len(image)), strict=True))
        for _ in range(2)
    )
    return np.asarray(means + (image - means) * np.exp(gains) + offsets * deviations, np.float32)


def draw_source(half: Half, seed: int) -> LabelledPixels:
    """Labels of the first scene."""
    generator = np.random.default_rng(seed)
    return half.labels.select(_take(half.labels, np.arange(len(half.labels)), SOURCE_LABELS, generator))


def draw_target(half: Half, count: int, seed: int) -> Draw:
    """Labels of the second scene: some to learn from, in half of its blocks, and others to test on."""
    generator, labels = np.random.default_rng([seed, count]), half.labels
    trainable, testable = lay_out(labels, half.shape, np.random.default_rng(seed))
    train = _take(labels, np.flatnonzero(trainable), count, generator)
    train = train[np.isin(labels.class_ids[train], labels.class_ids[testable])]
    test = np.flatnonzero(testable & np.isin(labels.class_ids, labels.class_ids[train]))
    if len(test) > MOST_TESTED:
        test = np.sort(np.random.default_rng(seed).choice(test, MOST_TESTED, replace=False))
    return Draw(labels.select(train), labels.select(test))


def _take(
    labels: LabelledPixels, positions: NDArray[np.int64], count: int, generator: np.random.Generator
) -> NDArray[np.int64]:
    """`count` positions of each class at random, at most half of the class's."""
    taken = []
    for class_id in np.unique(labels.class_ids[positions]):
        own = positions[labels.class_ids[positions] == class_id]
        taken.append(generator.choice(own, min(count, max(len(own) // 2, 1)), replace=False))
    return np.sort(np.concatenate(taken))


def _write(path: Path, values: NDArray[np.generic], crs: CRS | None, transform: Affine, *, nodata: float) -> None:
    count, height, width = values.shape
    profile = {"driver": "GTiff", "count": count, "height": height, "width": width, "dtype": values.dtype.name}
    with (
        without_georeferencing_warning(),
        rasterio.open(path, "w", crs=crs, transform=transform, nodata=nodata, **profile) as dst,
    ):
        dst.write(values)
