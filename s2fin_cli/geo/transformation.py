"""Whether files can be transformed from one coordinate reference system to another."""

from __future__ import annotations

import functools
import logging
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyproj import Transformer
from rasterio.warp import transform

from s2fin_cli.core.copies import copy_at
from s2fin_cli.core.errors import GeoreferencingError, edit_info, quoted
from s2fin_cli.geo.crs import TRANSFORM_ERRORS, crs_code, crs_name, describe_crs, horizontal, is_engineering

if TYPE_CHECKING:
    from rasterio.crs import CRS
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Placed:
    """A file and its CRS, for messages.

    Attributes:
        name: name of the file, with its option where it has one.
        src_path: the file alone, for commands.
        crs: its CRS; None where it has none.
        is_vector: whether it holds features.
    """

    name: str
    src_path: str
    crs: CRS | None
    is_vector: bool = False

    def assign(self, crs: str) -> str:
        """The command that assigns a CRS to it."""
        if self.is_vector and copy_at(self.src_path) is not None:
            return f'frame.set_crs("{crs}")'
        if self.is_vector:
            return f"ogr2ogr -a_srs {crs} OUT.gpkg {quoted(self.src_path)}"
        return edit_info(self.src_path, "crs", crs)


def check_transformable(other: Placed, image: Placed) -> None:
    """Refuse two files if one cannot be transformed to the other's CRS; two files without a CRS go together.

    Raises:
        GeoreferencingError: only one of them has a CRS; or one has an engineering CRS, another celestial body's, or one
            that PROJ has no operation for.
    """
    if other.crs is None or image.crs is None:
        _check_both_without(other, image)
        return
    if other.crs == image.crs:
        _warn_of_planes(other.name, other.crs, image.name, image.crs)
        return
    reason = why_not(other.crs, image.crs)
    if reason is None:
        return
    pairs = [(other, image.crs), (image, other.crs)]
    local = [(placed, known) for placed, known in pairs if placed.crs is not None and is_engineering(placed.crs)]
    names = f"{other.name} has {describe_crs(other.crs)} and {image.name} has {describe_crs(image.crs)}"
    if len(local) == 1:
        ((with_local, known),) = local
        code = crs_code(known) or "EPSG:CODE"
        raise GeoreferencingError(
            f"{names}; an engineering CRS has no place on the Earth, so neither can be transformed to the other: if "
            f"{with_local.src_path} is really in {crs_name(known)}, assign it with: {with_local.assign(code)}"
        )
    raise GeoreferencingError(
        f"{names}, and nothing can be transformed between them ({reason}); assign both their right CRS, with: "
        f"{other.assign('EPSG:CODE')}"
    )


def _check_both_without(other: Placed, image: Placed) -> None:
    """Refuse two files of which only one has a CRS."""
    for without, known in ((other, image), (image, other)):
        if known.crs is not None:
            raise GeoreferencingError(
                f"{without.name} has no CRS but {known.name} has {crs_name(known.crs)}; "
                f"if it is the same, assign it with: {without.assign('EPSG:CODE')}"
            )


def _warn_of_planes(name: str, crs: CRS, other_name: str, other_crs: CRS) -> None:
    """Warn of two engineering CRS with two names, which GDAL takes for the same."""
    own, other = crs_name(crs), crs_name(other_crs)
    if is_engineering(crs) and own.casefold() != other.casefold():
        logger.warning(
            "%s has the engineering CRS %r and %s has %r; both are assumed to be the same plane",
            name, own, other_name, other,
        )  # fmt: skip


@functools.lru_cache(maxsize=32)
def why_not(crs: CRS, other: CRS) -> str | None:
    """Why nothing can be transformed from one CRS to another; None where it can."""
    if is_engineering(crs) or is_engineering(other):
        return "one is an engineering CRS"
    try:
        for a, b in ((crs, other), (other, crs)):
            Transformer.from_crs(horizontal(a), horizontal(b), always_xy=True)
            transform(a, b, [0.0], [0.0])
    except TRANSFORM_ERRORS as error:
        found = re.search(r"Internal Proj Error: (?:\w+: )?(.*?)\)?$", str(error))
        return found[1] if found else "PROJ has no operation for it"
    return None
