"""Common parts of all STAC items (version 1.1) of s2fin: references, checksums, classes, outline.

Items are plain JSON values. Their extensions (`mlm`, `eo`, `file`, `processing`, `projection`, `classification`,
`raster`) are those of https://stac-extensions.github.io.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from s2fin_cli.core.names import is_dataset_name, without_credentials

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from s2fin_cli.core.classes import LandCoverClass

STAC_VERSION = "1.1.0"
MODEL_MEDIA_TYPE = "application/octet-stream; framework=safetensors"
ITEM_MEDIA_TYPE = "application/geo+json"
_CHUNK = 1 << 20
#: Characters that need no escaping in the path of a reference, and in a whole URL (RFC 3986), besides letters and
#: digits.
_IN_PATHS = "/:@!$&'()*+,;=-._~"
_IN_URLS = _IN_PATHS + "?#[]"


def write_item_file(dst_path: Path, item: Mapping[str, Any]) -> None:
    """Write an item."""
    dst_path.write_text(json.dumps(item, indent=2) + "\n", encoding="utf-8")


def extension(name: str, version: str) -> str:
    """The URL of a version of an extension's schema."""
    return f"https://stac-extensions.github.io/{name}/v{version}/schema.json"


def class_objects(classes: Iterable[LandCoverClass]) -> list[dict[str, Any]]:
    """Classes as the classification extension has them: a name for machines, one for people, a colour."""
    return [
        {
            "value": c.id,
            "name": re.sub(r"[^0-9A-Za-z_-]+", "_", c.name).strip("_") or f"class_{c.id}",
            "description": c.name,
            "color_hint": "".join(f"{value:02X}" for value in c.color),
        }
        for c in classes
    ]


def href(path: str, folder: Path) -> str:
    """How an item in a folder names a file, as a reference that needs no escaping any more.

    It is relative to the folder; for anything but a plain file it is the URL or GDAL's name, without credentials.
    """
    if is_dataset_name(path):
        return quote(without_credentials(path).removeprefix("/vsicurl/"), safe=_IN_URLS + "%")
    try:
        relative = PurePosixPath(Path(os.path.relpath(Path(path).absolute(), folder)).as_posix())
    except ValueError:  # another drive of Windows
        return Path(path).absolute().as_uri()
    return quote(str(relative) if relative.parts[0] == ".." else f"./{relative}", safe=_IN_PATHS)


def item_of(identifier: str, footprint: dict[str, Any] | None, **rest: Any) -> dict[str, Any]:
    """An item.

    Args:
        identifier: its id.
        footprint: its outline, GeoJSON in longitude and latitude, or None.
        rest: its other fields.
    """
    start = {"type": "Feature", "stac_version": STAC_VERSION, "id": identifier, "geometry": footprint}
    return {**start, **({} if footprint is None else {"bbox": _bbox(footprint)}), **rest}


def _bbox(footprint: dict[str, Any]) -> list[float]:
    """West, south, east and north; of an area across the 180th meridian, west is the greater."""
    parts = footprint["coordinates"] if footprint["type"] == "MultiPolygon" else [footprint["coordinates"]]
    boxes = []
    for part in parts:
        xs, ys = zip(*part[0], strict=True)
        boxes.append((min(xs), min(ys), max(xs), max(ys)))
    wests, souths, easts, norths = zip(*boxes, strict=True)
    across = len(boxes) > 1 and math.isclose(max(easts), 180) and math.isclose(min(wests), -180)
    west, east = (max(wests), min(easts)) if across else (min(wests), max(easts))
    return [west, min(souths), east, max(norths)]


def file_fields(path: Path) -> dict[str, Any]:
    """Size in bytes, and the checksum as a multihash: 0x12 for SHA-256, 0x20 bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return {"file:size": path.stat().st_size, "file:checksum": f"1220{digest.hexdigest()}"}
