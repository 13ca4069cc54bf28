"""Scenes of a STAC item collection: a GeoJSON file of items whose assets are the images."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from s2fin_cli.core.errors import InputError, UsageError, shortened
from s2fin_cli.core.modality import MODALITIES
from s2fin_cli.core.names import looks_like_dataset_name
from s2fin_cli.scenes.entry import SceneEntry

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path


def read_collection(path: Path, assets: Mapping[str, Sequence[str]]) -> list[SceneEntry]:
    """The scenes of an item collection, in its order; relative references are relative to its folder.

    Args:
        path: the file.
        assets: which assets are which image: for each modality texts like "B02,B03" with keys of assets, or common
            names of bands. Empty takes assets whose keys are modalities.

    Raises:
        InputError: it is no item collection.
        UsageError: no item has such assets.
    """
    wanted = {
        modality: [key.strip() for text in texts for key in text.split(",")] for modality, texts in assets.items()
    }
    items = _items(path)
    entries = [_entry(item, wanted, where=f"item {n} of {path}", folder=path.parent) for n, item in enumerate(items, 1)]
    if not any(entry.paths for entry in entries):
        keys = list(dict.fromkeys(key for item in items for key in item["assets"]))
        raise UsageError(
            f"no item of {path} has {'these assets' if wanted else 'assets named ' + ', '.join(MODALITIES)}; it has "
            f'{shortened(keys)}: say which of them are which image with `images`, e.g. `images="msi=B02,B03,B04"`'
        )
    return entries


def _items(path: Path) -> list[dict[str, Any]]:
    """The items of a collection.

    Raises:
        InputError: it is no collection of items.
    """
    try:
        values = json.loads(path.read_bytes())
        items = values["features"] if values["type"] == "FeatureCollection" else [values]
        if not items or not all(isinstance(item["assets"], dict) and isinstance(item["id"], str) for item in items):
            raise ValueError("its features are no items with an id and assets")
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(
            f"{path} is no list of scenes ({error!r}): give a STAC item collection, which is a FeatureCollection of "
            "items, or a CSV file"
        ) from error
    return list(items)


def _entry(item: dict[str, Any], wanted: Mapping[str, list[str]], *, where: str, folder: Path) -> SceneEntry:
    """The scene of an item."""
    assets: dict[str, dict[str, Any]] = {
        key: asset for key, asset in item["assets"].items() if isinstance(asset, dict) and "href" in asset
    }
    keys = wanted or {modality: [modality] for modality in MODALITIES if modality in assets}
    paths: dict[str, tuple[str, ...]] = {}
    try:
        for modality, names in keys.items():
            paths[modality] = tuple(_located(_asset(name, assets), folder) for name in names)
    except LookupError as error:
        return SceneEntry(item["id"], where, {}, error=f"{where}: {error.args[0]}")
    return SceneEntry(item["id"], where, paths, error=None if paths else f"{where} has no assets that are images")


def _asset(name: str, assets: Mapping[str, dict[str, Any]]) -> str:
    """The reference of an asset by its key, or by the common name of its only band.

    Raises:
        LookupError: none has it, or several do.
    """
    if name in assets:
        return str(assets[name]["href"])
    found = [key for key, asset in assets.items() if list(_common_names(asset)) == [name]]
    if len(found) != 1:
        which = f"{len(found)} assets have the common name {name}" if found else f"no asset {name}"
        raise LookupError(f"the item has {which}, but {shortened(list(assets))}; name its assets with `images`")
    return str(assets[found[0]]["href"])


def _common_names(asset: dict[str, Any]) -> Iterator[str]:
    """Common names of an asset's bands, as STAC 1.0 and 1.1 have them."""
    bands = asset.get("eo:bands") or asset.get("bands")
    for band in bands if isinstance(bands, list) else ():
        if isinstance(band, dict):
            yield str(band.get("common_name") or band.get("eo:common_name") or "")


def _located(href: str, folder: Path) -> str:
    """The path or GDAL's name of what a reference refers to."""
    if href.startswith("file:"):
        return url2pathname(urlsplit(href).path)
    if looks_like_dataset_name(href) and not re.match(r"[A-Za-z]:[\\/]", href):
        return href
    plain = os.path.join(folder, unquote(href))
    return plain if os.path.lexists(plain) or not os.path.lexists(os.path.join(folder, href)) else str(folder / href)
