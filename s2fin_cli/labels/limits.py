"""How many labelled pixels are held or processed at a time."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Sizes that bound memory.

    Which pixels are labelled, and with which class, depends on none of them.

    Attributes:
        held_pixels: labelled pixels that are held as a whole; if there are more, none is held.
        strip_pixels: pixels of a label raster, or of the windows of polygons, that are read at a time.
        window_pixels: pixels of a polygon's window; a polygon whose window has more is burnt in bands of rows.
        band_rows: rows of such a band.
        blocks: blocks at most that a grid is cut into to split labels that are not held; they are made larger where
            there would be more.
        sample_pixels: pixels, over all classes, on which splits of labels that are not held are compared.
        split_pixels: pixels, about, of the strips of whole rows that are split at a time.
    """

    held_pixels: int = 1 << 20
    strip_pixels: int = 1 << 18
    window_pixels: int = 1 << 20
    band_rows: int = 64
    blocks: int = 1 << 14
    sample_pixels: int = 50_000
    split_pixels: int = 1 << 20


#: The default limits.
DEFAULT_LIMITS = Limits()
