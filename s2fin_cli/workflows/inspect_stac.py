"""Descriptions of STAC files: their items, the assets that may be images, and what an image of them would be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from s2fin_cli.core.errors import InputError
from s2fin_cli.core.names import without_credentials
from s2fin_cli.stac.document import read_items
from s2fin_cli.stac.images import rasters_of
from s2fin_cli.stac.selection import choose_items

if TYPE_CHECKING:
    from collections.abc import Callable

    from s2fin_cli.stac.items import Asset, Band, Item
    from s2fin_cli.stac.reference import Reference


def describe_stac(reference: Reference, describe: Callable[[str], dict[str, Any]]) -> dict[str, Any]:
    """Describe a STAC file, and the rasters that a reference to it means.

    Args:
        reference: the reference.
        describe: describes a raster.

    Returns:
        plain JSON values: `kind` is "stac"; `rasters` are empty where the reference does not say which assets are
        meant, and `unclear` then says why.

    Raises:
        InputError: the file cannot be read, or has no such items or assets.
    """
    items = choose_items(read_items(reference.path), reference)
    unclear = None
    try:
        names = rasters_of(str(reference))
    except InputError as error:
        if reference.assets:
            raise
        names, unclear = [], str(error)
    return {
        "kind": "stac",
        "path": without_credentials(reference.path),
        "items": [_item(item) for item in items],
        "rasters": [describe(name) for name in names],
        "unclear": unclear,
    }


def _item(item: Item) -> dict[str, Any]:
    return {
        "id": item.id,
        "datetime": None if item.moment is None else item.moment.isoformat(),
        "assets": [_asset(asset) for asset in item.assets.values()],
    }


def _asset(asset: Asset) -> dict[str, Any]:
    return {
        "key": asset.key,
        "href": without_credentials(asset.href),
        "type": asset.media_type or None,
        "roles": list(asset.roles),
        "may_be_raster": asset.may_be_raster,
        "bands": [_band(band) for band in asset.bands],
    }


def _band(band: Band) -> dict[str, Any]:
    return {
        "name": band.name or None,
        "common_name": band.common_name or None,
        "wavelength_nm": band.wavelength,
        "nodata": band.nodata if band.nodata is None or band.nodata == band.nodata else "nan",
        "scale": band.scale,
        "offset": band.offset,
        "unit": band.unit or None,
    }
