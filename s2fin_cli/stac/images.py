"""The rasters that an image consists of: files, and assets of items that a reference means."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from s2fin_cli.core import virtual
from s2fin_cli.core.errors import InputError, shortened
from s2fin_cli.core.names import is_dataset_name
from s2fin_cli.stac.document import read_items
from s2fin_cli.stac.location import locate
from s2fin_cli.stac.reference import TILES, TIME, Reference, find_reference
from s2fin_cli.stac.selection import choose_assets, choose_items

if TYPE_CHECKING:
    from collections.abc import Sequence

    from s2fin_cli.core.options import StrPath
    from s2fin_cli.stac.items import Item
    from s2fin_cli.stac.selection import Chosen


@dataclass(frozen=True)
class AssetRaster:
    """A raster that is an asset of an item, or one of its bands.

    Attributes:
        name: the reference to it alone.
        path: where its file is: a path, or a name of GDAL's own.
        item: the item.
        chosen: the asset, and which of its bands are meant.
        reference: how it is meant to be read.
    """

    name: str
    path: str
    item: Item
    chosen: Chosen
    reference: Reference

    def describe_item(self) -> str:
        """The item in words, for messages that are the same for all its assets."""
        return f"item {self.item.id} in {self.reference.path}"

    def describe(self) -> str:
        """The asset in words, for messages."""
        return f"asset {self.chosen.asset.key!r} of {self.item.id} in {self.reference.path}"


def rasters_of(src_path: StrPath) -> list[str]:
    """The rasters that an image's path means, by the names by which they are opened.

    Args:
        src_path: a path, a name of GDAL's own, or a reference to a STAC file.

    Returns:
        the path itself, unless it is a reference: then one for each asset, date by date.

    Raises:
        InputError: the STAC file cannot be read, or it is not clear what is meant.
        UsageError: what stands behind its name cannot be understood.
    """
    reference = find_reference(src_path)
    if reference is None:
        return [str(src_path)]
    items = read_items(reference.path)
    chosen = choose_items(items, reference)
    # NOTE: a file of one item needs no id, so that the name is short.
    parts = [reference] if len(items) == 1 else _joined(reference, chosen)
    return [
        str(part.with_assets([name])) for part in parts for name in reference.assets or _only(_items_of(part, items)[0])
    ]


def _only(item: Item) -> list[str]:
    return [chosen.asset.key for chosen in choose_assets(item, ())]


def _joined(reference: Reference, chosen: Sequence[Item]) -> list[Reference]:
    """A reference for each image that items are, one below the other in the order of their dates."""
    if len(chosen) == 1:
        return [reference.of(chosen[0].id)]
    if not reference.join:
        raise InputError(_several(reference, chosen))
    dates = list(dict.fromkeys(item.date for item in chosen))
    by_date = {date: [item for item in chosen if item.date == date] for date in dates}
    if "" in by_date:
        raise InputError(
            f"{reference.path}: items without a time cannot be joined ({shortened([i.id for i in by_date['']])}); "
            "choose others with #item=ID,ID"
        )
    if TIME not in reference.join and len(dates) > 1:
        raise InputError(
            f"{reference.path}: the items are of {len(dates)} dates ({shortened(dates)}), and tiles are joined of one "
            f"date; choose it, e.g. #datetime={dates[0]}, or join the dates too: #join=tiles,time"
        )
    several = {date: items for date, items in by_date.items() if len(items) > 1}
    if several and TILES not in reference.join:
        date, items = next(iter(several.items()))
        raise InputError(
            f"{reference.path} has {len(items)} items of {date} ({shortened([item.id for item in items])}); if they "
            "are tiles of one date, join them too: #join=tiles,time; otherwise choose with #item=ID,ID"
        )
    if len(by_date) == 1:
        return [reference]
    return [
        replace(reference, items=tuple(sorted(item.id for item in items)), datetime=None) for items in by_date.values()
    ]


def _several(reference: Reference, items: Sequence[Item]) -> str:
    """The message that a reference means several items, and how to say which."""
    dates = Counter(item.date or "unknown" for item in items)
    shown = shortened([f"{date} ({count})" if count > 1 else date for date, count in sorted(dates.items())])
    return (
        f"{reference.path} has {len(items)} items, of {shown}: {shortened([item.id for item in items])}; choose "
        "one with #item=ID or #datetime=DATE, or join them: #join=time makes bands of the dates, #join=tiles one image "
        "of neighbouring tiles of one date"
    )


def _items_of(reference: Reference, items: Sequence[Item]) -> list[Item]:
    known = {item.id: item for item in items}
    return [known[name] for name in reference.items] if reference.items else list(items)


def tiles_of(name: StrPath) -> list[AssetRaster]:
    """The assets that one raster of `rasters_of` consists of, the first one on top; none if it is a plain path.

    Raises:
        InputError, UsageError: as `rasters_of`.
    """
    reference = find_reference(name)
    if reference is None:
        return []
    every = read_items(reference.path)
    items = choose_items(every, reference)
    if (count := len(rasters_of(name))) > 1:
        raise InputError(f"{name} means {count} rasters, and one is needed here; name one item and one asset of it")
    found = []
    for item in sorted(items, key=lambda item: item.id):
        (chosen,) = choose_assets(item, reference.assets)
        path = locate(item, chosen.asset, reference.alternate)
        own = reference if len(every) == 1 else reference.of(item.id)
        found.append(AssetRaster(str(own), path, item, chosen, own))
    return found


def files_of(src_path: StrPath) -> list[str]:
    """The paths and GDAL's names of the files that an image's path means; the path itself if it is no reference.

    Raises:
        InputError, UsageError: as `rasters_of`.
    """
    if find_reference(src_path) is None:
        return [str(src_path)]
    return [tile.path for name in rasters_of(src_path) for tile in tiles_of(name)]


def named_file(src_path: StrPath) -> str:
    """The file that a path names: the STAC file of a reference, and otherwise the path itself."""
    reference = find_reference(src_path)
    return str(src_path) if reference is None else reference.path


def is_elsewhere(src_path: StrPath) -> bool:
    """Whether a dataset, or a file that it consists of, is not on this machine."""
    file = named_file(src_path)
    if is_dataset_name(file) and virtual.is_remote(file):
        return True
    return any(virtual.is_elsewhere(path) for path in files_of(src_path))


def is_there(src_path: StrPath) -> bool:
    """Whether the file that a path names exists; a name of GDAL's own does."""
    file = named_file(src_path)
    return is_dataset_name(file) or os.path.exists(file)
