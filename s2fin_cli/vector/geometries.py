"""Geometries that are broken or of unusual kinds: built, taken apart and mended."""

from __future__ import annotations

import logging
import struct
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely

from s2fin_cli.core.errors import quoted, shortened
from s2fin_cli.geo.area import pixels_inside

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from s2fin_cli.core.errors import InputError
    from s2fin_cli.geo.grid import Grid

logger = logging.getLogger(__name__)

#: Kinds of geometry that GEOS does not have, by their numbers in well-known binary.
_UNKNOWN_KINDS = {
    8: "CircularString", 9: "CompoundCurve", 10: "CurvePolygon", 11: "MultiCurve", 12: "MultiSurface", 13: "Curve",
    14: "Surface", 15: "PolyhedralSurface", 16: "TIN", 17: "Triangle",
}  # fmt: skip
#: The numbers of polygons in well-known binary, and what surfaces become: polyhedral surfaces, TINs and triangles.
_POLYGON, _MULTIPOLYGON = 3, 6
_SURFACES = {15: _MULTIPOLYGON, 16: _MULTIPOLYGON, 17: _POLYGON}
#: The largest possible coordinate, in whatever unit: no CRS of the Earth reaches further.
LARGEST_COORDINATE = 1e9
#: What is wrong with a geometry that has no valid rings, for messages.
BROKEN = "broken (a ring that is not closed, or has too few points)"
#: The types that a collection's parts make, by the dimension of the parts.
_MULTI = {0: shapely.multipoints, 1: shapely.multilinestrings, 2: shapely.multipolygons}


def from_wkb(
    values: NDArray[np.object_], fids: NDArray[Any], *, src_path: str | Path, error: type[InputError]
) -> tuple[NDArray[np.object_], list[int], list[int]]:
    """Geometries (n,) from well-known binary, None where there is none or where it is beyond repair.

    A ring that is not closed is closed; features that are mended or given up are named in a warning.

    Args:
        values: bytes (n,), or None.
        fids: the numbers (n,) of the features in the file.
        src_path: where they come from, for messages.
        error: the kind of error to raise.

    Returns:
        the geometries, and the numbers of the features that were mended and of those that are lost.

    Raises:
        InputError: curves that have no counterpart among polygons and lines.
    """
    present = np.array([value is not None for value in values], dtype=bool)
    try:
        geometries = np.asarray(shapely.from_wkb(values, on_invalid="ignore"), dtype=object)
        broken = present & shapely.is_missing(geometries)
    except NotImplementedError:  # as newer GEOS has curves, but shapely does not
        geometries, broken = values, present
    surfaces = [place for place in np.flatnonzero(broken).tolist() if _as_polygons(values[place])]
    if surfaces:
        return _with_surfaces(values, surfaces, fids=fids, src_path=src_path, error=error)
    if not broken.any():
        return geometries, [], []
    _refuse_curves(values, broken, fids=fids, src_path=src_path, is_certain=geometries is values, error=error)
    geometries[broken] = shapely.from_wkb(values[broken], on_invalid="fix")
    lost = broken & (shapely.is_missing(geometries) | shapely.is_empty(geometries))
    if (mended := broken & ~lost).any():
        logger.warning("%s: the geometry of %s is %s; it is mended", src_path, _named(fids[mended]), BROKEN)
    if lost.any():
        logger.warning("%s: the geometry of %s is broken beyond repair; it is skipped", src_path, _named(fids[lost]))
        geometries[lost] = None
    return geometries, fids[mended].tolist(), fids[lost].tolist()


def _refuse_curves(
    values: NDArray[np.object_],
    broken: NDArray[np.bool_],
    *,
    fids: NDArray[Any],
    src_path: str | Path,
    is_certain: bool,
    error: type[InputError],
) -> None:
    """Refuse broken geometries of kinds that GEOS does not have; where it is certain, even of unknown ones."""
    kinds = {place: kind for place in np.flatnonzero(broken) if (kind := _unknown_kind(values[place]))}
    if kinds or is_certain:
        strange = list(kinds) or np.flatnonzero(broken)
        raise error(
            f"{src_path} holds {', '.join(sorted(set(kinds.values()))) or 'curved'} geometries, which cannot be used "
            f"({_named(fids[strange])}); convert them to polygons, e.g. with: "
            f"ogr2ogr -nlt CONVERT_TO_LINEAR -nlt PROMOTE_TO_MULTI polygons.gpkg {quoted(str(src_path))}"
        )


def _with_surfaces(
    values: NDArray[np.object_],
    surfaces: list[int],
    *,
    fids: NDArray[Any],
    src_path: str | Path,
    error: type[InputError],
) -> tuple[NDArray[np.object_], list[int], list[int]]:
    """As `from_wkb`, but surfaces at some positions become polygons that cover the same ground."""
    logger.info("%s: %s: surfaces are treated as polygons", src_path, _named(fids[surfaces]))
    values = values.copy()
    for place in surfaces:
        values[place] = _as_polygons(values[place])
    geometries, mended, lost = from_wkb(values, fids, src_path=src_path, error=error)
    flat = shapely.force_2d(geometries[surfaces])
    finite = are_finite(flat)
    # NOTE: vertical faces, such as walls, cover no ground.
    parts = [shapely.make_valid(shapely.get_parts(s), method="structure", keep_collapsed=False) for s in flat[finite]]
    merged = [shapely.union_all(part) for part in parts]
    geometries[np.array(surfaces)[finite]] = np.array([*merged, None], dtype=object)[:-1]
    return geometries, mended, lost


def _as_polygons(value: bytes) -> bytes | None:
    """A surface of triangles or polygons (TIN, polyhedral surface, triangle) as the well-known binary of polygons.

    None where it is of another kind. The heights stay.
    """
    rewritten = bytearray(value)
    try:
        kind, order, place = _header(rewritten, 0)
        if kind not in _SURFACES:
            return None
        _write_kind(rewritten, 0, kind=_SURFACES[kind])
        if _SURFACES[kind] == _MULTIPOLYGON:
            (count,) = struct.unpack_from(f"{order}I", rewritten, place)
            place += 4
            for _ in range(count):
                kind, part_order, start = _header(rewritten, place)
                _write_kind(rewritten, place, kind=_POLYGON)
                place = _after_polygon(rewritten, start, order=part_order, start=place)
    except struct.error:  # cut off
        return None
    return bytes(rewritten)


def _header(value: bytearray, place: int) -> tuple[int, str, int]:
    """The kind of the geometry at a place without its dimensions, the byte order, and where the contents begin."""
    order = "<" if value[place : place + 1] == b"\x01" else ">"
    (number,) = struct.unpack_from(f"{order}I", value, place + 1)
    has_srid = number & 0x20000000
    return (number & 0x0FFFFFFF) % 1000, order, place + (9 if has_srid else 5)


def _write_kind(value: bytearray, place: int, *, kind: int) -> None:
    """Change the kind of the geometry at a place, but not its dimensions."""
    old, order, _ = _header(value, place)
    (number,) = struct.unpack_from(f"{order}I", value, place + 1)
    struct.pack_into(f"{order}I", value, place + 1, number - old + kind)


def _after_polygon(value: bytearray, place: int, *, order: str, start: int) -> int:
    """Where a polygon ends whose contents begin at a place and whose header at `start`."""
    (number,) = struct.unpack_from(f"{order}I", value, start + 1)
    plain = (number & 0x0FFFFFFF) // 1000
    size = 2 + (plain in (1, 3) or bool(number & 0x80000000)) + (plain in (2, 3) or bool(number & 0x40000000))
    (rings,) = struct.unpack_from(f"{order}I", value, place)
    place += 4
    for _ in range(rings):
        (points,) = struct.unpack_from(f"{order}I", value, place)
        place += 4 + 8 * size * points
    return place


def _unknown_kind(value: bytes) -> str | None:
    number = struct.unpack_from("<I" if value[0] else ">I", value, 1)[0]
    return _UNKNOWN_KINDS.get((number & 0x0FFFFFFF) % 1000)


def _named(fids: NDArray[Any]) -> str:
    what = "feature" if len(fids) == 1 else "features"
    return f"{what} {shortened(fids.tolist())} (FID)"


def without_collections(
    geometries: NDArray[np.object_], fids: NDArray[Any], *, src_path: str | Path
) -> NDArray[np.object_]:
    """Geometries (n,) with the parts of collections: their polygons, else their lines, else their points.

    Other parts of a collection are skipped, with a warning.
    """
    collections = shapely.get_type_id(geometries) == shapely.GeometryType.GEOMETRYCOLLECTION
    if not collections.any():
        return geometries
    geometries, mixed = geometries.copy(), []
    for position in np.flatnonzero(collections):
        parts = _simple_parts(geometries[position])
        dimensions = shapely.get_dimensions(parts)
        if len(parts):
            chosen = parts[dimensions == dimensions.max()]
            geometries[position] = joined(chosen)
            if len(chosen) < len(parts):
                mixed.append(position)
    if mixed:
        logger.warning(
            "%s: the collections of %s also hold lines or points, which are skipped", src_path, _named(fids[mixed])
        )
    return geometries


def joined(parts: Sequence[Any] | NDArray[np.object_]) -> Any:
    """The multipoint, multiline or multipolygon of parts (n,) that have no parts themselves, and one dimension."""
    return _MULTI[int(shapely.get_dimensions(parts[0]))](parts)


def _simple_parts(geometry: Any) -> NDArray[np.object_]:
    """The parts (n,) of a geometry that have no parts themselves, empty ones left out."""
    parts = np.array([geometry], dtype=object)
    while (shapely.get_type_id(parts) >= shapely.GeometryType.MULTIPOINT).any():
        parts = shapely.get_parts(parts)
    return np.asarray(parts[~shapely.is_empty(parts)], dtype=object)


def are_finite(geometries: NDArray[np.object_], largest: float = np.finfo(float).max) -> NDArray[np.bool_]:
    """Which geometries (n,) have finite coordinates only, none of them larger than a limit."""
    coordinates, owners = shapely.get_coordinates(geometries, return_index=True)
    finite = np.ones(len(geometries), dtype=bool)
    finite[owners[~(np.abs(coordinates) <= largest).all(axis=1)]] = False
    return finite


def mended_polygons(
    polygons: NDArray[np.object_], fids: NDArray[Any], *, grid: Grid, src_path: str | Path, closed: Sequence[int] = ()
) -> NDArray[np.object_]:
    """Polygons (n,) in a grid's CRS, those mended that cross or overlap themselves.

    The mended polygon covers whatever any part of the broken one covers, whereas GDAL leaves out what two parts cover.
    A polygon of which nothing is left becomes an empty one.

    Args:
        polygons: polygons and multipolygons in the grid's CRS.
        fids: the numbers (n,) of the features in the file.
        grid: the grid, to count the pixels that change by it.
        src_path: where they come from, for messages.
        closed: the numbers of the features whose rings were closed, to report how many pixels they hold.
    """
    if (are_closed := np.isin(fids, closed)).any():
        count = sum(int(_mask(polygon, polygon.bounds, grid).sum()) for polygon in polygons[are_closed])
        logger.warning(
            "%s: %s: rings closed; %d pixels of the image are inside",
            src_path,
            _named(fids[are_closed]),
            count,
        )
    invalid = np.flatnonzero(~shapely.is_valid(polygons) & are_finite(polygons))
    if not len(invalid):
        return polygons
    polygons, before = polygons.copy(), polygons[invalid]
    after = shapely.make_valid(before, method="structure", keep_collapsed=False)
    polygons[invalid] = after
    changes = np.array([_change(one, other, grid) for one, other in zip(before, after, strict=True)])
    gained, lost = changes.sum(axis=0).tolist()
    reasons = sorted({str(reason).split("[")[0] for reason in shapely.is_valid_reason(before)})
    logger.warning(
        "%s: %s: not valid as polygons (%s); mended, by which they gain %d and lose %d pixels of the image",
        src_path, _named(fids[invalid]), ", ".join(reasons), gained, lost,
    )  # fmt: skip
    if (gone := shapely.is_empty(after)).any():
        logger.warning("%s: %s: without any area; skipped", src_path, _named(fids[invalid[gone]]))
    return polygons


def _change(before: Any, after: Any, grid: Grid) -> tuple[int, int]:
    """How many pixel centres are only in the mended polygon, and how many only in the broken one, by GDAL."""
    one, other = (_mask(shape, before.bounds, grid) for shape in (before, after))
    return int((other & ~one).sum()), int((one & ~other).sum())


def _mask(polygon: Any, bounds: Sequence[float], grid: Grid) -> NDArray[np.bool_]:
    """The pixels (height, width) inside bounds whose centres are in a polygon, as GDAL finds them."""
    window = grid.window_of(bounds)
    if window is None or polygon.is_empty:
        return np.zeros((1, 1), dtype=bool)
    return pixels_inside([polygon], grid, window)
