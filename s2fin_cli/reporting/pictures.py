"""The pictures of a report: the images, the map, its confidence and the labels on one coarse grid."""

from __future__ import annotations

import base64
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from s2fin_cli.core.classes import NO_CLASS
from s2fin_cli.core.modality import MODALITIES
from s2fin_cli.raster.encode import jpeg, palette_png
from s2fin_cli.stack.display import display_bands, stretched
from s2fin_cli.stack.preview import aspect, view_layer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from s2fin_cli.geo.grid import Grid
    from s2fin_cli.labels.pixels import LabelledPixels
    from s2fin_cli.reporting.classes import MappedClass
    from s2fin_cli.stack.layer import Layer

#: Classes that a picture with switches can show at most: its palette has a colour for each, and one for no class.
MOST_CLASSES = 255
#: Colours of confidence: the lower bound of each step, and its colour, from doubtful to certain.
CONFIDENCE_STEPS: tuple[tuple[float, tuple[int, int, int]], ...] = (
    (0.0, (122, 1, 119)), (0.5, (197, 27, 138)), (0.6, (247, 104, 161)), (0.7, (250, 159, 181)),
    (0.8, (252, 197, 192)), (0.9, (253, 224, 221)), (0.95, (255, 247, 243)),
)  # fmt: skip
#: Longer side of the drawing in its own units.
DRAWING = 1000


@dataclass(frozen=True)
class Picture:
    """One layer of the drawing.

    Attributes:
        key: "image", "second", "map", "confidence" or "labels".
        title: its name.
        caption: what it shows.
        media_type: of the data.
        data: the encoded picture.
        class_ids: the classes of its palette from 1 on, for a picture of classes.
    """

    key: str
    title: str
    caption: str
    media_type: str
    data: bytes
    class_ids: tuple[int, ...] = ()

    @property
    def uri(self) -> str:
        """The picture as a data URI."""
        return f"data:{self.media_type};base64,{base64.b64encode(self.data).decode()}"


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


def draw_image(layer: Layer, view: Grid, *, valid: NDArray[np.bool_] | None = None, key: str = "image") -> Picture:
    """An image in true or false colour, or in grey.

    Args:
        layer: the image.
        view: grid of the drawing.
        valid: mask of the pixels that decide the stretch.
        key: of the picture.

    Raises:
        S2finError: the image cannot be read on that grid.
    """
    bands = display_bands(layer) if key == "image" else None
    numbers = layer.numbers[:1] if bands is None else bands.numbers
    values = stretched(view_layer(layer, numbers, view), valid)
    name = MODALITIES[layer.modality].help.rstrip(".").partition(",")[0] if layer.modality in MODALITIES else "Image"
    caption = (
        f"band {numbers[0]}, from its 2nd percentile in black to its 98th in white" if bands is None else bands.caption
    )
    return Picture(key, name, caption, "image/jpeg", jpeg(values))


def draw_classes(
    class_ids: NDArray[np.int64], classes: Sequence[MappedClass], *, key: str = "map", title: str = "Map", caption: str
) -> Picture:
    """Class ids (height, width), `NO_CLASS` for none, in the colours of the classes; the last of too many get none."""
    shown = classes[:MOST_CLASSES]
    table = np.zeros(NO_CLASS + 1, np.uint8)
    table[[c.id for c in shown]] = np.arange(1, len(shown) + 1)
    png = palette_png(table[class_ids], [c.color or (128, 128, 128) for c in shown])
    return Picture(key, title, caption, "image/png", png, tuple(c.id for c in shown))


def draw_confidence(confidence: NDArray[np.float32]) -> Picture:
    """Confidence (height, width), NaN without data, in the steps of `CONFIDENCE_STEPS`."""
    bounds = np.array([bound for bound, _ in CONFIDENCE_STEPS])
    step = np.searchsorted(bounds, np.nan_to_num(confidence), side="right").clip(1)
    numbers = np.where(np.isfinite(confidence), step, 0).astype(np.uint8)
    png = palette_png(numbers, [color for _, color in CONFIDENCE_STEPS])
    return Picture("confidence", "Confidence", "probability of each pixel's class", "image/png", png)


def draw_labels(labels: LabelledPixels, shape: tuple[int, int], view: Grid, classes: Sequence[MappedClass]) -> Picture:
    """Labelled pixels of a grid of a shape on a view of it."""
    class_ids = np.full(view.shape, NO_CLASS, np.int64)
    rows, cols = labels.rows * view.height // shape[0], labels.cols * view.width // shape[1]
    class_ids[rows, cols] = labels.class_ids
    return draw_classes(class_ids, classes, key="labels", title="Labels", caption="labelled pixels of the classes")
