"""What files hold, as the libraries alone say; each function runs in a process of its own."""

from __future__ import annotations

import hashlib
import warnings
from typing import Any

import numpy as np
import pyogrio
import rasterio

#: Values of a raster that are read at most.
_MOST_VALUES = 50_000_000


def raster(src_path: str, *bands: str) -> dict[str, Any]:
    """The grid of a raster, and a checksum of all that it holds; `error` where it cannot be read to the last pixel.

    With numbers of bands, only their pixels count.
    """
    try:
        with warnings.catch_warnings(), rasterio.open(src_path) as src:
            warnings.simplefilter("ignore")
            found: dict[str, Any] = {
                "shape": [src.count, src.height, src.width],
                "transform": list(src.transform[:6]),
                "crs": None if src.crs is None else src.crs.to_wkt(),
            }
            if src.count * src.height * src.width > _MOST_VALUES:
                return {**found, "error": "too large"}
            digest = hashlib.sha256()
            indexes = [int(band) for band in bands] or list(src.indexes)
            for values in (src.read(indexes), src.read_masks(indexes)):
                digest.update(np.ascontiguousarray(values).tobytes())
            tags = {name: value for name, value in src.tags().items() if name != "S2FIN_RUN"}  # it names the images
            rest = [src.dtypes, src.nodatavals, src.scales, src.offsets, src.descriptions, tags, src.units]
            rest += [[src.tags(index) for index in src.indexes], src.colorinterp]
            digest.update(repr(rest).encode(errors="surrogatepass"))
            return {**found, "digest": digest.hexdigest(), "error": None}
    except Exception as error:  # noqa: BLE001
        return {"error": f"{type(error).__name__}: {error}"}


def vector(src_path: str) -> dict[str, Any]:
    """A checksum of what the layers of a vector file hold, and numbers of features; `error` where it cannot be read."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            digest, counts = hashlib.sha256(), []
            for name, _ in pyogrio.list_layers(src_path):
                meta, _, geometries, columns = pyogrio.raw.read(src_path, layer=name)
                counts.append(len(columns[0]) if geometries is None else len(geometries))
                rest = [list(meta["fields"]), meta["crs"], [column.tolist() for column in columns]]
                digest.update(repr([str(name), None if geometries is None else geometries.tolist(), rest]).encode())
            return {"digest": digest.hexdigest(), "counts": counts, "error": None}
    except Exception as error:  # noqa: BLE001
        return {"error": f"{type(error).__name__}: {error}"}
