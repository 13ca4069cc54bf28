"""Scales and offsets of assets: those given, those of the file, or those of the item."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from s2fin_cli.core.errors import RasterError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from s2fin_cli.stac.images import AssetRaster
    from s2fin_cli.stac.items import Band

    #: A scale and an offset.
    Pair = tuple[float, float]

#: What values that are stored as they are have.
IDENTITY = (1.0, 0.0)
#: Processing baseline of Sentinel-2 from which stored values are higher by an offset.
OFFSET_BASELINE = 4.0
#: What then has to be added to stored values; to values, it is as much times their scale.
STORED_OFFSET = -1000


@dataclass(frozen=True)
class AssetScaling:
    """Scales and offsets of the bands of an asset that are in use.

    Attributes:
        scales, offsets: one each of a band.
        notes: where they come from.
        doubts: why they may be wrong.
    """

    scales: tuple[float, ...]
    offsets: tuple[float, ...]
    notes: tuple[str, ...]
    doubts: tuple[str, ...]


def choose_scaling(own: Sequence[Pair], bands: Sequence[Band], tile: AssetRaster) -> AssetScaling:
    """Choose scales and offsets.

    Numbers in the reference come first, then those that the file declares, then those of the item. An offset of the
    item is left out where the item says that it has been applied to the stored values.

    Args:
        own: what the file declares of each band.
        bands: what the item says of each.
        tile: the asset.

    Raises:
        RasterError: the file and its item declare different ones, or a scale is 0.
    """
    said = [_said(band) for band in bands]
    given, is_applied = tile.reference, tile.item.offset_is_applied
    left_out = [pair == IDENTITY and bool(other[1]) and is_applied for pair, other in zip(own, said, strict=True)]
    unused = [other[1] for other, out in zip(said, left_out, strict=True) if out]
    usable = [(other[0], 0.0) if out else other for other, out in zip(said, left_out, strict=True)]
    if given.scale is None or given.offset is None:
        for pair, other in zip(own, usable, strict=True):
            _check(pair, other, tile)
    chosen = [other if pair == IDENTITY else pair for pair, other in zip(own, usable, strict=True)]
    scales = tuple(pair[0] if given.scale is None else given.scale for pair in chosen)
    offsets = tuple(pair[1] if given.offset is None else given.offset for pair in chosen)
    if 0 in scales:
        raise RasterError(
            f"{tile.describe()} has the scale 0, which leaves no values; give the right one, e.g. "
            f"{_example(tile, 'scale=0.0001')}"
        )
    return AssetScaling(
        scales,
        offsets,
        notes=tuple(_notes(own, scales, offsets, tile)),
        doubts=tuple(_doubts(scales, offsets, tile, left_out=[] if given.offset is not None else unused)),
    )


def _said(band: Band) -> Pair:
    return (IDENTITY[0] if band.scale is None else band.scale, IDENTITY[1] if band.offset is None else band.offset)


def _check(own: Pair, said: Pair, tile: AssetRaster) -> None:
    """Refuse what a file and its item declare, if that differs.

    Raises:
        RasterError: it does.
    """
    is_same = all(math.isclose(*pair, rel_tol=1e-6, abs_tol=1e-12) for pair in zip(own, said, strict=True))
    if IDENTITY not in (own, said) and not is_same:
        raise RasterError(
            f"{tile.path} declares scale {own[0]:g} and offset {own[1]:g}, and its item says scale {said[0]:g} and "
            f"offset {said[1]:g}; say which are right, e.g. {_example(tile, f'scale={own[0]:g}#offset={own[1]:g}')}"
        )


def _notes(own: Sequence[Pair], scales: Sequence[float], offsets: Sequence[float], tile: AssetRaster) -> Iterator[str]:
    """Which numbers are applied that the file does not declare."""
    if list(zip(scales, offsets, strict=True)) == list(own):
        return
    shown = " and ".join(
        f"{name} {', '.join(f'{value:g}' for value in dict.fromkeys(values))}"
        for name, values in (("scale", scales), ("offset", offsets))
    )
    is_given = tile.reference.scale is not None or tile.reference.offset is not None
    why = "are applied, as they were given" if is_given else "are applied, as its files declare none"
    yield f"{tile.describe_item()}: {shown} {why}"


def _doubts(
    scales: Sequence[float], offsets: Sequence[float], tile: AssetRaster, *, left_out: Sequence[float]
) -> Iterator[str]:
    """Why values may have an offset that is applied twice, or not at all."""
    item = tile.item
    if left_out:
        yield (
            f"{tile.describe_item()} declares an offset, and also says that it has been applied to the stored values "
            "(boa_offset_applied), so it is not applied again; if it was not, give it behind the name, e.g. "
            f"{tile.reference.path}#offset={left_out[0]:g}"
        )
    if item.offset_is_applied and tile.reference.offset is None and any(offsets):
        yield (
            f"{tile.describe_item()} says that its offset has been applied to the stored values (boa_offset_applied), "
            "but its files declare one, which is applied; if that is twice, leave it out: "
            f"{tile.reference.path}#offset=0"
        )
    is_known = tile.reference.offset is not None or item.offset_is_applied or any(offsets)
    if not is_known and _has_offset(item.baseline):
        yield (
            f"{tile.describe_item()} is of Sentinel-2 processing baseline {item.baseline}, and since 04.00 values are "
            "stored 1000 higher, which neither its files nor the item declare; to use it with images of an earlier "
            f"baseline, give that behind the name, {tile.reference.path}#offset={STORED_OFFSET * scales[0]:g}, or "
            "#offset=0 if it has been subtracted already"
        )


def _has_offset(baseline: str | None) -> bool:
    try:
        return baseline is not None and float(baseline) >= OFFSET_BASELINE
    except ValueError:
        return False


def _example(tile: AssetRaster, parts: str) -> str:
    """A reference with other scales or offsets, for messages."""
    return f"{tile.reference.path}#{parts}#assets={','.join(tile.reference.assets) or tile.chosen.asset.key}"
