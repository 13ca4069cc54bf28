"""STAC items for tests, in the forms of versions 1.0 and 1.1, whose assets are small rasters."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from tests.files import write_raster

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

#: Bands of a sensor: key of the asset, common name, and centre wavelength in micrometres.
BANDS = {"B02": ("blue", 0.49), "B03": ("green", 0.56), "B04": ("red", 0.665)}
COG = "image/tiff; application=geotiff; profile=cloud-optimized"


def write_bands(folder: Path, *, shift: int = 0, **profile: Any) -> None:
    """Write a raster of each of `BANDS` into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, key in enumerate(BANDS):
        values = np.random.default_rng([shift, number]).integers(1000, 3000, (40, 50)).astype("uint16")
        write_raster(folder / f"{key}.tif", values, **profile)


def asset(key: str, version: str, folder: str = ".", **raster: Any) -> dict[str, Any]:
    """An asset of one of `BANDS`, with fields of the raster extension such as `scale`."""
    common_name, wavelength = BANDS[key]
    found: dict[str, Any] = {"href": f"{folder}/{key}.tif", "type": COG, "roles": ["data"]}
    if version == "1.0":
        found["eo:bands"] = [{"name": key, "common_name": common_name, "center_wavelength": wavelength}]
        return {**found, **({"raster:bands": [raster]} if raster else {})}
    band = {"name": key, "eo:common_name": common_name, "eo:center_wavelength": wavelength}
    named = {name if name in ("nodata", "unit", "data_type") else f"raster:{name}": v for name, v in raster.items()}
    return {**found, "bands": [{**band, **named}]}


def item(
    identifier: str = "S2A_T32",
    *,
    version: str = "1.1",
    moment: str = "2024-06-01T10:00:00Z",
    folder: str = ".",
    properties: Mapping[str, Any] | None = None,
    assets: Mapping[str, Any] | None = None,
    **raster: Any,
) -> dict[str, Any]:
    """An item with an asset of each of `BANDS`, a picture of them and a document, and further assets."""
    own = {key: asset(key, version, folder, **raster) for key in BANDS}
    pictures = {
        "visual": {**asset("B02", version, folder), "roles": ["visual"]},
        "thumbnail": {"href": "t.jpg", "type": "image/jpeg", "roles": ["thumbnail"]},
        "granule": {"href": "g.xml", "type": "application/xml", "roles": ["metadata"]},
    }
    return {
        "type": "Feature",
        "stac_version": f"{version}.0",
        "stac_extensions": [],
        "id": identifier,
        "geometry": {"type": "Point", "coordinates": [9.0, 45.1]},
        "bbox": [9.0, 45.1, 9.0, 45.1],
        "properties": {"datetime": moment, **(properties or {})},
        "links": [],
        "assets": {**own, **pictures, **(assets or {})},
    }


def save(path: Path, *items: dict[str, Any]) -> str:
    """Write an item, or several as an item collection."""
    whole = items[0] if len(items) == 1 else {"type": "FeatureCollection", "features": list(items)}
    path.write_text(json.dumps(whole), encoding="utf-8")
    return str(path)
