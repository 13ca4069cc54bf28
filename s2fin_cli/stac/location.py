"""Where assets are: references in items, as paths and as names that GDAL understands."""

from __future__ import annotations

import os
import posixpath
import re
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urljoin, urlsplit
from urllib.request import url2pathname

from s2fin_cli.core.errors import InputError, shortened
from s2fin_cli.core.names import is_dataset_name, looks_like_dataset_name
from s2fin_cli.stac.document import url_of

if TYPE_CHECKING:
    from s2fin_cli.stac.items import Asset, Item


def locate(item: Item, asset: Asset, alternate: str | None) -> str:
    """The path or GDAL's name of an asset's file.

    Args:
        item: the item, to whose file relative references are relative.
        asset: its asset.
        alternate: which of the asset's alternate references is taken; None for the main one.

    Raises:
        InputError: there is no such alternate, or the reference cannot be understood.
    """
    if alternate is not None and alternate not in asset.alternates:
        raise InputError(
            f"asset {asset.key!r} of {item.id} has no alternate {alternate!r}, but "
            f"{shortened(list(asset.alternates)) or 'none'}; take the main reference or another one"
        )
    href = asset.href if alternate is None else asset.alternates[alternate]
    try:
        return located(href, item.place)
    except ValueError as error:
        raise InputError(
            f"asset {asset.key!r} of {item.id} in {item.place} has a reference that is no URL ({error}): {href!r:.200}"
        ) from error


def located(href: str, place: str) -> str:
    """The path or GDAL's name of what a reference in a file refers to."""
    if href.startswith("file:"):
        return url2pathname(urlsplit(href).path)
    if looks_like_dataset_name(href) and not re.match(r"[A-Za-z]:[\\/]", href):
        return _without_blanks(href)
    if is_dataset_name(place):
        return _beside(href, url_of(place))
    folder, name = os.path.dirname(place), href.removeprefix("./")
    plain, written = (os.path.join(folder, spelled) for spelled in (unquote(name), name))
    return plain if os.path.lexists(plain) or not os.path.lexists(written) else written


def _without_blanks(url: str) -> str:
    """A URL whose blanks are escaped, as servers want it."""
    return quote(url, safe="%/:=&?~#+!$,;'@()*[]") if re.match("https?://", url, re.IGNORECASE) else url


def _beside(href: str, url: str) -> str:
    """A reference relative to a URL."""
    if re.match("https?://", url, re.IGNORECASE):
        return _without_blanks(urljoin(url, href))
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{posixpath.normpath(posixpath.join(posixpath.dirname(rest), unquote(href)))}"
