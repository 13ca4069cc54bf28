"""The pictures of a report: the images, the map, its confidence and the labels on one coarse grid."""

from __future__ import annotations

import base64
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from s2fin_cli.core.classes import NO_CLASS
from s2fin_cli.core.errors import RasterError
from s2fin_cli.core.modality import MODALITIES, Role
from s2fin_cli.raster.encode import jpeg, palette_png
from s2fin_cli.stack.display import display_bands, one_band, stretched
from s2fin_cli.stack.preview import aspect, view_layer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from s2fin_cli.geo.grid import Grid
    from s2fin_cli.labels.pixels import LabelledPixels
    from s2fin_cli.reporting.classes import Color, MappedClass
    from s2fin_cli.stack.layer import Layer

#: Classes that a picture with switches can show at most: its palette has a colour for each, and one for no class.
MOST_CLASSES = 255
#: Longer side of the drawing in its own units.
DRAWING = 1000
#: Labelled pixels are enlarged where they are less than this share of a picture.
SPARSE = 0.005
#: What the sides of pictures are multiplied by, the first that makes them small enough; noise does not compress.
SCALES = (1.0, 0.8, 0.65, 0.5, 0.35, 0.2)


Step = tuple[float, tuple[int, int, int]]
#: Colours of confidence: the lower bound of each step, and its colour, from doubtful to certain.
CONFIDENCE_STEPS: tuple[Step, ...] = (
    (0.0, (122, 1, 119)), (0.5, (197, 27, 138)), (0.6, (247, 104, 161)), (0.7, (250, 159, 181)),
    (0.8, (252, 197, 192)), (0.9, (253, 224, 221)), (0.95, (255, 247, 243)),
)  # fmt: skip
#: The same of the dissimilarity from the training data; from 1 on, a pixel looks unlike all of them.
DISSIMILARITY_STEPS: tuple[Step, ...] = (
    (0.0, (237, 248, 251)), (0.5, (178, 205, 226)), (1.0, (253, 174, 97)), (1.5, (230, 85, 13)), (2.0, (140, 45, 4)),
)  # fmt: skip


# NOTE: eq=False because arrays do not compare to one truth value.
@dataclass(frozen=True, eq=False)
class Picture:
    """One layer of the drawing.

    Attributes:
        key: the modality of an image; "map", "confidence", "dissimilarity" or "labels".
        title: its name.
        caption: what it shows.
        pixels: uint8 (bands, height, width): one band or three of an image, or the numbers of colours.
        palette: the colours of the numbers 1, 2 and so on, while 0 is transparent; empty for an image.
        class_ids: the classes of the palette's colours, for a picture of classes.
        steps: the steps of the palette's colours, for a picture of values.
    """

    key: str
    title: str
    caption: str
    pixels: NDArray[np.uint8]
    palette: tuple[Color, ...] = ()
    class_ids: tuple[int, ...] = ()
    steps: tuple[Step, ...] = ()

    @property
    def is_image(self) -> bool:
        """Whether it shows an image, which lies below everything else."""
        return not self.palette

    def uri(self, scale: float = 1.0) -> str:
        """The picture as a data URI, with its height and width multiplied by a scale of 1 at most."""
        rows, cols = (
            np.linspace(0, length - 1, max(round(length * scale), 1)).round().astype(np.int64)
            for length in self.pixels.shape[1:]
        )
        pixels = self.pixels[:, rows[:, None], cols]
        kind, data = ("jpeg", jpeg(pixels)) if self.is_image else ("png", palette_png(pixels[0], self.palette))
        return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


@dataclass(frozen=True)
class Pictures:
    """The layers of the drawing, from below to above, and its measures.

    Attributes:
        layers: the layers.
        shape: height and width of the layers in pixels.
        ratio: width of the drawing by its height on the ground.
        metres: metres on the ground across the drawing's width, or None.
        north: degrees by which north is turned clockwise from upwards, or None where it is unknown.
        notes: what could not be drawn, a sentence each.
    """

    layers: tuple[Picture, ...]
    shape: tuple[int, int]
    ratio: float
    metres: float | None
    north: float | None
    notes: tuple[str, ...] = ()

    @property
    def size(self) -> tuple[float, float]:
        """Width and height of the drawing in its own units."""
        return (DRAWING, DRAWING / self.ratio) if self.ratio >= 1 else (DRAWING * self.ratio, DRAWING)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values: what the pictures show, without the pictures."""
        layers = [{"key": p.key, "title": p.title, "caption": p.caption} for p in self.layers]
        return {"layers": layers, "height": self.shape[0], "width": self.shape[1], "metres_across": self.metres}

    def uris(self, room: int) -> dict[str, str]:
        """The layers as data URIs by key, made as small as it takes to fit into a number of bytes."""
        uris: dict[str, str] = {}
        for scale in SCALES:
            uris = {layer.key: layer.uri(scale) for layer in self.layers}
            if sum(map(len, uris.values())) <= room:
                break
        return uris

    @classmethod
    def on(cls, view: Grid, layers: Sequence[Picture], notes: Sequence[str] = ()) -> Pictures:
        """Pictures on the grid of a view."""
        ratio = aspect(view)
        side = view.metres
        across = side * math.sqrt(ratio) * view.width if math.isfinite(side) else None
        return cls(tuple(layers), view.shape, view.width * ratio / view.height, across, _north(view), tuple(notes))


def _north(grid: Grid) -> float | None:
    """Degrees clockwise from upwards to the direction in which the second coordinate grows."""
    if grid.crs is None:
        return None
    (col_a, row_a), (col_b, row_b) = ~grid.transform * (0, 0), ~grid.transform * (0, 1)
    return round(math.degrees(math.atan2(col_b - col_a, row_a - row_b)), 1) + 0.0


def draw_image(layer: Layer, view: Grid, *, valid: NDArray[np.bool_] | None = None) -> Picture:
    """An image: a passive one in true or false colour, another one in grey.

    Args:
        layer: the image.
        view: grid of the drawing.
        valid: mask of the pixels that decide the stretch.

    Raises:
        S2finError: the image cannot be read on that grid, or has no data there.
    """
    modality = MODALITIES[layer.modality]
    bands = display_bands(layer) if modality.role is Role.PASSIVE else one_band(layer)
    found = stretched(view_layer(layer, bands.numbers, view), valid)
    if not any(found.ranges):
        raise RasterError("it has no data where the map is")
    caption = bands.caption
    if len(found.ranges) == 1 and found.ranges[0] is not None:
        low, high = found.ranges[0]
        caption = f"{caption}, from {low:.4g} (black) to {high:.4g} (white)"
    return Picture(layer.modality, modality.help.rstrip(".").partition(",")[0], caption, found.pixels)


def draw_classes(
    class_ids: NDArray[np.int64], classes: Sequence[MappedClass], *, key: str = "map", title: str = "Map", caption: str
) -> Picture:
    """Class ids (height, width), `NO_CLASS` for none, in the colours of the classes; the last of too many get none."""
    shown = classes[:MOST_CLASSES]
    table = np.zeros(NO_CLASS + 1, np.uint8)
    table[[c.id for c in shown]] = np.arange(1, len(shown) + 1)
    palette = tuple(c.color or (128, 128, 128) for c in shown)
    return Picture(key, title, caption, table[class_ids][None], palette, tuple(c.id for c in shown))


def draw_confidence(confidence: NDArray[np.float32]) -> Picture:
    """Confidence (height, width), NaN without data."""
    return _draw_steps(
        confidence,
        CONFIDENCE_STEPS,
        ("confidence", "Confidence", "probability of each pixel's class; dark is doubtful"),
    )


def draw_dissimilarity(dissimilarity: NDArray[np.float32]) -> Picture:
    """Dissimilarity (height, width) from the training data, NaN without data."""
    caption = "dissimilarity from the training data; from 1 on, the class is a guess"
    return _draw_steps(dissimilarity, DISSIMILARITY_STEPS, ("dissimilarity", "Unlike the labels", caption))


def _draw_steps(values: NDArray[np.float32], steps: tuple[Step, ...], names: tuple[str, str, str]) -> Picture:
    """Values (height, width), NaN without data, in the colours of steps; with a key, a title and a caption."""
    step = np.searchsorted([bound for bound, _ in steps], np.nan_to_num(values), side="right").clip(1)
    numbers = np.where(np.isfinite(values), step, 0).astype(np.uint8)
    return Picture(*names, numbers[None], tuple(color for _, color in steps), steps=steps)


def draw_labels(labels: LabelledPixels, shape: tuple[int, int], view: Grid, classes: Sequence[MappedClass]) -> Picture:
    """Labelled pixels of a grid of a shape on a view of it; few of them are enlarged, so that they can be seen."""
    class_ids = np.full(view.shape, NO_CLASS, np.int64)
    rows, cols = labels.rows * view.height // shape[0], labels.cols * view.width // shape[1]
    class_ids[rows, cols] = labels.class_ids
    is_sparse = np.count_nonzero(class_ids != NO_CLASS) < SPARSE * class_ids.size
    reach = max(view.shape) // 250 if is_sparse else 0
    for down in range(-reach, reach + 1):
        for right in range(-reach, reach + 1):
            near = (rows + down).clip(0, view.height - 1), (cols + right).clip(0, view.width - 1)
            class_ids[near] = np.where(class_ids[near] == NO_CLASS, labels.class_ids, class_ids[near])
    caption = "labelled pixels of the classes" + (", enlarged" if reach else "")
    return draw_classes(class_ids, classes, key="labels", title="Labels", caption=caption)
