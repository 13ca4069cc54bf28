"""Scenes of a STAC file: its items, whose assets are the images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from s2fin_cli.core.errors import InputError, UsageError, shortened
from s2fin_cli.core.modality import MODALITIES
from s2fin_cli.scenes.entry import SceneEntry
from s2fin_cli.stac.document import read_items
from s2fin_cli.stac.reference import Reference, parse_names
from s2fin_cli.stac.selection import choose_assets

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from s2fin_cli.stac.items import Item


def read_collection(path: Path, assets: Mapping[str, Sequence[str]]) -> list[SceneEntry]:
    """The scenes of an item collection, in its order.

    Args:
        path: the file.
        assets: which assets are which image: for each modality texts like "B02,B03" with keys of assets, or names of
            bands. Empty takes assets whose keys are modalities.

    Raises:
        InputError: it is no item collection.
        UsageError: no item has such assets.
    """
    wanted = {
        modality: [key for text in texts for key in parse_names(text, text)] for modality, texts in assets.items()
    }
    items = read_items(str(path))
    entries = [
        _entry(item, wanted, where=f"item {n} of {path}", alone=len(items) == 1) for n, item in enumerate(items, 1)
    ]
    if not any(entry.paths for entry in entries):
        keys = list(dict.fromkeys(key for item in items for key in item.assets))
        raise UsageError(
            f"no item of {path} has {'these assets' if wanted else 'assets named ' + ', '.join(MODALITIES)}; it has "
            f'{shortened(keys)}: say which of them are which image with `images`, e.g. `images="msi=B02,B03,B04"`'
        )
    return entries


def _entry(item: Item, wanted: Mapping[str, list[str]], *, where: str, alone: bool) -> SceneEntry:
    """The scene of an item; `alone` says whether its file holds no other."""
    keys = wanted or {modality: [modality] for modality in MODALITIES if modality in item.assets}
    whole = Reference(item.place) if alone else Reference(item.place).of(item.id)
    paths: dict[str, tuple[str, ...]] = {}
    try:
        for modality, names in keys.items():
            choose_assets(item, names)
            paths[modality] = (str(whole.with_assets(names)),)
    except InputError as error:
        return SceneEntry(item.id, where, {}, error=f"{where}: {error}; name its assets with `images`")
    return SceneEntry(item.id, where, paths, error=None if paths else f"{where} has no assets that are images")
