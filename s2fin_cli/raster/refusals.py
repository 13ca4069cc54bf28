"""Why rasters cannot be opened, in words, and what to do about it."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from rasterio.errors import CRSError

from s2fin_cli.core.errors import describe_missing, quoted, reason
from s2fin_cli.core.names import is_dataset_name

if TYPE_CHECKING:
    from pathlib import Path

#: What GDAL says where a server asks for credentials.
_REFUSED = re.compile(r"(code:?|error) (401|403|409)\b|AccessDenied|InvalidCredentials|Forbidden")


def why_not_open(src_path: str | Path, error: Exception) -> str:
    """Why GDAL cannot open a raster.

    Args:
        src_path: the raster.
        error: what GDAL or rasterio raised.
    """
    is_plain = not is_dataset_name(src_path)
    if is_plain and not os.path.exists(src_path):
        return describe_missing(src_path)
    if is_plain and os.path.isdir(src_path):
        return f"{src_path} is a folder; give the raster file inside it"
    if isinstance(error, CRSError):
        return (
            f"{src_path} has a CRS that PROJ cannot read ({reason(error)}); assign the right one: "
            f"gdal_edit.py -a_srs EPSG:CODE {quoted(src_path)}"
        )
    what = (
        "give a GeoTIFF or another raster format" if is_plain else "check the name, the credentials and the connection"
    )
    said = reason(error)
    return f"{src_path} is not a raster that GDAL can read ({said}){zarr_hint(said) or f'; {what}'}"


def zarr_hint(why: str) -> str:
    """What to do about an array of Zarr version 3, whose codecs GDAL 3.10 does not know."""
    if "codec" not in why:
        return ""
    return "; write it as Zarr of version 2, e.g. in Python with xarray: data.to_zarr(PATH, zarr_format=2)"


def signing_hint(error: Exception) -> str:
    """What to do about an asset of a STAC item for which a server wants credentials."""
    if _REFUSED.search(str(error)) is None:
        return ""
    return (
        "; the server wants credentials: give them (e.g. AWS_PROFILE, or AWS_NO_SIGN_REQUEST=YES for public data), or "
        "sign the item with the catalogue's tool and save it again"
    )
