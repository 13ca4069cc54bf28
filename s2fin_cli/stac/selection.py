"""Which items and assets a reference means. Whatever could be meant in two ways is refused."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from s2fin_cli.core.errors import InputError, UsageError, shortened
from s2fin_cli.stac.items import as_moment, in_order

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from s2fin_cli.stac.items import Asset, Item
    from s2fin_cli.stac.reference import Reference

#: Years, months and days that stand for all times in them.
_PARTIAL = re.compile(r"(\d{4})(?:-(\d{2}))?(?:-(\d{2}))?")


@dataclass(frozen=True)
class Chosen:
    """An asset, and which of its bands are meant.

    Attributes:
        asset: the asset.
        position: the band, counted from 0; None for all of them.
    """

    asset: Asset
    position: int | None = None


def choose_items(items: Sequence[Item], reference: Reference) -> list[Item]:
    """The items that a reference means, by time and id.

    Raises:
        InputError: there is none, or no item has such an id.
        UsageError: its time cannot be understood.
    """
    chosen = in_order(items)
    if reference.items:
        known = {item.id: item for item in items}
        if missing := [name for name in reference.items if name not in known]:
            raise InputError(f"{reference.path} has no item {shortened(missing)}; it has {shortened(list(known))}")
        chosen = in_order([known[name] for name in reference.items])
    if reference.datetime is not None:
        start, end = _interval(reference.datetime)
        dated = [item for item in chosen if item.moment is not None and start <= item.moment <= end]
        if not dated:
            found = sorted({item.date or "unknown" for item in chosen})
            raise InputError(f"{reference.path} has no item of {reference.datetime}; its dates are {shortened(found)}")
        chosen = dated
    return chosen


def _interval(text: str) -> tuple[datetime, datetime]:
    """First and last moment of "2024", "2024-06", "2024-06-01", a time, or "START/END", where ".." has no end.

    Raises:
        UsageError: it cannot be understood.
    """
    first, mark, last = text.partition("/")
    try:
        start = datetime.min.replace(tzinfo=UTC) if mark and first in ("", "..") else _span(first)[0]
        end = datetime.max.replace(tzinfo=UTC) if mark and last in ("", "..") else _span(last if mark else first)[1]
        if start > end:
            raise ValueError("it ends before it begins")
    except (ValueError, OverflowError) as error:
        raise UsageError(
            f"datetime={text} cannot be understood ({error}); give a date or an interval, such as 2024-06-01, 2024-06 "
            "or 2024-06-01/2024-08-31"
        ) from error
    return start, end


def _span(text: str) -> tuple[datetime, datetime]:
    """First and last moment of a year, month, day or time."""
    found = _PARTIAL.fullmatch(text.strip())
    if found is None:
        moment = as_moment(text)
        return moment, moment
    year, month, day = (None if part is None else int(part) for part in found.groups())
    start = datetime(year or 0, month or 1, day or 1, tzinfo=UTC)
    if month is None:
        after = start.replace(year=start.year + 1)
    elif day is None:
        after = (start + timedelta(days=31)).replace(day=1)
    else:
        after = start + timedelta(days=1)
    return start, after - timedelta(microseconds=1)


def choose_assets(item: Item, names: Sequence[str]) -> list[Chosen]:
    """The assets or bands of an item that names mean, in their order.

    A name is the key of an asset; otherwise the name of a band, and otherwise its common name. Among bands of one name
    those of assets with this band alone come first. Without names, the only raster is meant.

    Raises:
        InputError: a name is that of no raster, or of several.
    """
    if names:
        return [_choose(item, name) for name in names]
    rasters = [asset for asset in item.assets.values() if asset.may_be_raster]
    if len(rasters) != 1:
        what = f"{len(rasters)} rasters" if rasters else "no raster that is known as one"
        raise InputError(
            f"{item.place}: item {item.id} has {what}; say which assets make the image, e.g. "
            f"{item.place}#assets=KEY,KEY; {describe_assets(rasters or item.assets.values())}"
        )
    return [Chosen(rasters[0])]


def _choose(item: Item, name: str) -> Chosen:
    if (asset := item.assets.get(name)) is not None:
        if asset.is_no_raster:
            kind = ", ".join(part for part in (asset.media_type, *asset.roles) if part)
            raise InputError(
                f"asset {name!r} of {item.id} in {item.place} is no raster of measured values ({kind}); "
                f"{describe_assets(item.assets.values())}"
            )
        return Chosen(asset)
    for attribute in ("name", "common_name"):
        found = [
            Chosen(asset, position if len(asset.bands) > 1 else None)
            for asset in item.assets.values()
            if asset.may_be_raster
            for position, band in enumerate(asset.bands)
            if getattr(band, attribute) == name
        ]
        alone = [chosen for chosen in found if chosen.position is None] or found
        if len(alone) > 1:
            keys = shortened([chosen.asset.key for chosen in alone])
            raise InputError(
                f"{name!r} is the {attribute.replace('_', ' ')} of {len(alone)} bands of item {item.id} in "
                f"{item.place}, in the assets {keys}; name an asset by its key"
            )
        if alone:
            return alone[0]
    raise InputError(
        f"item {item.id} in {item.place} has no asset {name!r} and no band of that name; "
        f"{describe_assets(item.assets.values())}"
    )


def describe_assets(assets: Iterable[Asset]) -> str:
    """Keys of the rasters among assets with the common names of their bands, for messages."""
    known = [
        f"{asset.key} ({', '.join(names)})"
        if (names := [name for name in asset.names if name != asset.key])
        else asset.key
        for asset in assets
        if asset.may_be_raster
    ]
    return f"its rasters are {shortened(known)}" if known else "it has no rasters"
