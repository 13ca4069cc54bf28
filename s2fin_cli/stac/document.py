"""STAC files, read from this machine or from a server."""

from __future__ import annotations

import functools
import http.client
import importlib
import json
import os
import urllib.error
import urllib.request
from collections import Counter
from typing import Any

from s2fin_cli.core.errors import InputError, describe_missing, reason, shortened
from s2fin_cli.core.names import is_dataset_name, without_credentials
from s2fin_cli.stac.items import Item

#: Bytes of a STAC file at most, and seconds that a server may take to answer.
MOST_BYTES, TIMEOUT = 256 << 20, 20
#: GDAL's names of what is at a URL.
_SCHEMES = {"/vsicurl/": "", "/vsis3/": "s3://", "/vsigs/": "gs://"}
_SAVE = 'save the items of a search, e.g. by pystac-client: search.item_collection().save_object("items.json")'


def url_of(path: str) -> str:
    """The URL of a file that a name of GDAL's own leads to; other paths stay as they are."""
    return next((to + path.removeprefix(start) for start, to in _SCHEMES.items() if path.startswith(start)), path)


def read_items(path: str) -> tuple[Item, ...]:
    """The items of a STAC file, in its order.

    Raises:
        InputError: it cannot be read, or holds no items.
    """
    try:
        status = None if is_dataset_name(path) else os.stat(path)
    except OSError as error:
        raise InputError(describe_missing(path) if not os.path.lexists(path) else _unreadable(path, error)) from error
    return _read(path, None if status is None else (status.st_mtime_ns, status.st_size))


@functools.lru_cache(maxsize=32)
def _read(path: str, changed: tuple[int, int] | None) -> tuple[Item, ...]:
    """The items of a file as it was when it was changed last."""
    values = _values(path)
    kind = values.get("type") if isinstance(values, dict) else None
    if kind in ("Catalog", "Collection"):
        raise InputError(f"{path} is a STAC {kind}, which holds no images itself; {_SAVE}")
    features = values.get("features") if kind == "FeatureCollection" else [values]
    if kind not in ("Feature", "FeatureCollection") or not isinstance(features, list):
        raise InputError(f"{path} is no STAC item or item collection (its type is {kind!r:.50}); {_SAVE}")
    if not features:
        raise InputError(f"{path} is an item collection without items; search again, and save what was found")
    items = [Item.of(feature, path) for feature in features]
    counted = Counter(item.id for item in items)
    if twice := sorted(name for name, count in counted.items() if count > 1):
        raise InputError(f"{path} has several items with the id {shortened(twice)}; remove what is there twice")
    return tuple(items)


def _values(path: str) -> Any:
    """The JSON values of a file."""
    try:
        content = _content(path)
        if len(content) > MOST_BYTES:
            raise InputError(f"{path} has more than {MOST_BYTES >> 20} MiB; save fewer items")
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is no JSON ({reason(error)}); {_SAVE}") from error
    except (OSError, http.client.HTTPException) as error:
        raise InputError(_unreadable(path, error)) from error


def _content(path: str) -> bytes:
    if not is_dataset_name(path):
        with open(path, "rb") as file:
            return file.read(MOST_BYTES + 1)
    url = url_of(path)
    if url.lower().startswith(("http://", "https://")):
        with urllib.request.urlopen(url, timeout=TIMEOUT) as answer:  # noqa: S310  a URL that was given
            return bytes(answer.read(MOST_BYTES + 1))
    if not url.lower().startswith(("s3://", "gs://")):
        raise InputError(f"{path} cannot be read as a STAC file under this name; copy it to this machine first")
    return _stored(path, url)


def _stored(path: str, url: str) -> bytes:
    """The contents of an object in a store."""
    try:
        with importlib.import_module("fsspec").open(url, "rb") as file:
            return bytes(file.read(MOST_BYTES + 1))
    except ImportError as error:
        raise InputError(
            f'{path} cannot be read: {reason(error)} (for s3:// pip install "s2fin[cloud]"); or copy the file to this '
            "machine"
        ) from error
    except Exception as error:  # each store has errors of its own
        raise InputError(f"{path} cannot be read ({reason(error)}); check its name and the credentials") from error


def _unreadable(path: str, error: Exception) -> str:
    """Why a file cannot be read, in words."""
    shown = without_credentials(path)
    if isinstance(error, urllib.error.HTTPError) and error.code in (401, 403):
        return f"{shown} cannot be read ({reason(error)}); sign in or sign the URL first, or save the item to a file"
    return f"{shown} cannot be read ({reason(error)}); check the name and the connection"
