"""Tables of points: text files, spreadsheets and other tables whose columns say where each row lies."""

from __future__ import annotations

import csv
import io
import itertools
import logging
import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from pyproj import CRS as ProjCRS
from pyproj.exceptions import CRSError

from s2fin_cli.core.errors import shortened
from s2fin_cli.core.names import is_dataset_name
from s2fin_cli.geo.grid import crs_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from s2fin_cli.core.errors import InputError
    from s2fin_cli.geo.grid import Grid

logger = logging.getLogger(__name__)

#: Names of columns without blanks, case and signs: longitude and latitude, coordinates in the image's CRS, geometries.
LON_LAT = (
    ("lon", "lat"), ("longitude", "latitude"), ("long", "lat"), ("lng", "lat"), ("lon", "latitude"),
    ("decimallongitude", "decimallatitude"), ("londd", "latdd"), ("lonwgs84", "latwgs84"), ("gpslon", "gpslat"),
    ("gpslongitude", "gpslatitude"), ("longitud", "latitud"), ("laengengrad", "breitengrad"),
)  # fmt: skip
X_Y = (
    ("x", "y"), ("easting", "northing"), ("east", "north"), ("eastings", "northings"), ("xcoord", "ycoord"),
    ("coordx", "coordy"), ("xcoordinate", "ycoordinate"), ("pointx", "pointy"), ("utmx", "utmy"), ("utme", "utmn"),
    ("utmeasting", "utmnorthing"), ("xutm", "yutm"), ("rechtswert", "hochwert"), ("este", "norte"), ("est", "nord"),
)  # fmt: skip
GEOMETRY = ("wkt", "ewkt", "geometry", "geom", "thegeom", "wktgeom", "geomwkt", "wktgeometry", "geometrywkt", "geo")

_DELIMITERS = ("\t", ";", ",", "|", " ")
#: Bytes that are looked at to see whether a file is a text table.
_HEAD = 1 << 16
_INTEGER = re.compile(r"[+-]?\d{1,15}")
_DECIMAL = re.compile(r"[+-]?(\d+[.,]?\d*|[.,]\d+)(e[+-]?\d+)?", re.IGNORECASE)
#: Numbers with commas that separate thousands, or decimals by the look of them.
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d*)?")
#: Words for "no value" in a column of numbers.
_MISSING = {"", "na", "n/a", "nan", "null", "none", "-"}
_BYTE_ORDER_MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))

WANTED = "x and y (in the image's CRS), lon and lat (in degrees) or wkt"


@dataclass(frozen=True)
class Place:
    """Which columns of a table say where its rows lie.

    Attributes:
        columns: one of geometries, or two of coordinates.
        kind: "geometry", "lonlat" or "xy".
        others: further columns of coordinates, which are not used.
    """

    columns: tuple[str, ...]
    kind: str
    others: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"column{'s' if len(self.columns) > 1 else ''} {' and '.join(map(repr, self.columns))}"


def find_place(columns: Sequence[str]) -> Place | None:
    """The columns that say where the rows lie; None if there are none.

    Geometries come before longitude and latitude, and these before coordinates in the image's CRS.
    """
    plain: dict[str, list[str]] = {}
    for column in columns:
        plain.setdefault(_plain(column), []).append(column)
    kinds: list[tuple[str, Sequence[tuple[str, ...]]]] = [
        ("geometry", [(name,) for name in GEOMETRY]), ("lonlat", LON_LAT), ("xy", X_Y)
    ]  # fmt: skip
    found = [
        (kind, _alike([plain[name] for name in names]))
        for kind, groups in kinds
        for names in groups
        if all(name in plain for name in names)
    ]
    if not found:
        return None
    kind, chosen = found[0]
    others = dict.fromkeys(column for _, names in found[1:] for column in names if column not in chosen)
    return Place(chosen, kind, tuple(others))


def _alike(groups: list[list[str]]) -> tuple[str, ...]:
    """One column of each group, in the same case where there is a choice: R numbers rows by an X beside x and y."""
    choices = list(itertools.product(*groups))
    return next((names for names in choices if len({name.isupper() for name in names}) == 1), choices[0])


def _plain(column: str) -> str:
    """A column's name without what is in brackets, case, blanks and signs."""
    return re.sub(r"[\W_]", "", re.sub(r"\(.*?\)|\[.*?\]", "", str(column))).casefold()


def names_places(path: Path) -> bool:
    """Whether a file is a text whose first line names columns of coordinates.

    A grid of values that has the columns X, Y and Z alone and is named .xyz is none.
    """
    columns = first_columns(path)
    is_grid = path.suffix.lower() == ".xyz" and [_plain(column) for column in columns] == ["x", "y", "z"]
    return find_place(columns) is not None and not is_grid


def first_columns(path: Path) -> list[str]:
    """What a text file's first line names, or nothing where it is no text."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
    encoding = _marked_encoding(head)
    if encoding is None and b"\0" in head:
        return []
    lines = _lines(head.decode(encoding or "latin-1", errors="replace"))
    is_table = bool(lines) and not lines[0].lstrip().startswith(("{", "[", "<"))  # JSON and XML
    return _split_header(lines[0])[0] if is_table else []


def _marked_encoding(head: bytes) -> str | None:
    return next((encoding for mark, encoding in _BYTE_ORDER_MARKS if head.startswith(mark)), None)


def _lines(text: str) -> list[str]:
    """The lines of a table from its header on, without what Excel notes before it."""
    lines = re.split(r"\r\n|\r|\n", text)  # and not at the other signs that `str.splitlines` knows
    while lines and (not lines[0].strip() or re.fullmatch(r'"?sep=.{0,2}"?', lines[0].strip(), re.IGNORECASE)):
        lines = lines[1:]
    return lines


def _split_header(line: str) -> tuple[list[str], str]:
    """A header's columns and the delimiter: the one by which coordinates are found, else the one that splits most."""
    line = line.removeprefix("#").strip(" \r\n")
    splits = []
    for delimiter in _DELIMITERS:
        try:
            row = line.split() if delimiter == " " else next(csv.reader([line], delimiter=delimiter), [])
        except csv.Error:
            continue
        columns = [column.strip() for column in row]
        if find_place(columns) is not None:
            return columns, delimiter
        splits.append((columns, delimiter))
    return max(splits, key=lambda split: len(split[0]), default=([], ","))


def read_text_table(path: Path, *, error: type[InputError]) -> pd.DataFrame:
    """A text table with typed columns; the index has the lines' numbers in the file.

    Its delimiter is a tab, semicolon, comma, bar or blanks; decimals may have a comma.

    Raises:
        InputError: rows have more fields than the header, or there are none.
    """
    text = _decoded(path)
    lines = _lines(text)
    if lines and not lines[0].replace("\t", "").isprintable():
        raise error(f"{path} is not a table of text, as its name says; check what it holds")
    if not lines:
        raise error(f"{path} is empty; give a table with a header line and a row for each point")
    columns, delimiter = _split_header(lines[0])
    names = distinct([name or f"column {number}" for number, name in enumerate(columns, start=1)], path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # which would lose fields
            table = pd.read_csv(
                io.StringIO("\n".join(lines[1:])),
                sep=r"\s+" if delimiter == " " else delimiter,
                names=names,
                header=None,
                index_col=False,
                dtype=str,
                keep_default_na=False,
                skipinitialspace=True,
                skip_blank_lines=False,
            )
    except (pd.errors.ParserError, pd.errors.ParserWarning) as cause:
        raise error(
            f"{path} has rows with more fields than its header ({', '.join(columns)}), split at {delimiter!r}; quote "
            "fields that hold it, or write decimals with a point"
        ) from cause
    except pd.errors.EmptyDataError:
        table = pd.DataFrame(columns=names, dtype=str)
    table.index += len(re.findall(r"\r\n|\r|\n", text)) + 1 - len(lines) + 2
    table = table[(table.fillna("") != "").any(axis=1)]
    blank = [name for name in table if str(name).startswith("column ") and is_blank(table[name])]
    return typed(table.drop(columns=blank))


def distinct(names: list[str], src_path: str | Path) -> list[str]:
    """Names of fields of which no two are the same; the later ones get a number, with a warning."""
    seen: list[str] = []
    for name in names:
        own, number = name, 2
        while own in seen:
            own, number = f"{name}_{number}", number + 1
        if own != name:
            logger.warning("%s: several fields are named %r; a later one is taken for %r", src_path, name, own)
        seen.append(own)
    return seen


def is_blank(values: pd.Series) -> bool:
    """Whether texts are all empty."""
    return not (values.fillna("") != "").any()


def _decoded(path: Path) -> str:
    content = path.read_bytes()
    if (marked := _marked_encoding(content)) is not None:
        return content.decode(marked, errors="replace")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        logger.warning("%s is not UTF-8; it is read as cp1252; if names look wrong, save it as UTF-8", path)
        return content.decode("cp1252", errors="replace")


def typed(table: pd.DataFrame) -> pd.DataFrame:
    """A table with the columns of text that hold nothing but numbers turned into numbers; empty texts are missing.

    Coordinates stay texts where it is not clear what their commas mean.
    """
    place = find_place([str(name) for name in table])
    unclear = [] if place is None else _unclear(table, place)
    columns = {name: table[name] if name in unclear else _typed(table[name]) for name in table}
    return pd.DataFrame(columns, index=table.index)


def _unclear(table: pd.DataFrame, place: Place) -> list[str]:
    """The columns of coordinates with commas, all of which may separate thousands."""
    if place.kind == "geometry":
        return []
    commas = {}
    for name in place.columns:
        texts = table[name].map(lambda value: value.strip() if isinstance(value, str) else "")
        commas[name] = [text for text in texts if "," in text]
    are_unclear = all(_THOUSANDS.fullmatch(text) for texts in commas.values() for text in texts)
    return [name for name, texts in commas.items() if texts and are_unclear]


def _typed(values: pd.Series) -> pd.Series:
    if pd.api.types.is_numeric_dtype(values) or not pd.api.types.is_string_dtype(values.dropna()):
        return values
    texts = values.fillna("").astype(str).str.strip()
    missing = texts.str.lower().isin(_MISSING)
    known = texts[~missing]
    if len(known) and known.map(lambda text: _INTEGER.fullmatch(text) is not None).all():
        return known.astype(np.int64).reindex(values.index)
    if len(known) and known.map(lambda text: _DECIMAL.fullmatch(text) is not None).all():
        return known.str.replace(",", ".").astype(np.float64).reindex(values.index)
    return texts.astype(object).where(texts != "", None)


def points_of(
    table: pd.DataFrame, src_path: str | Path, *, grid: Grid | None, error: type[InputError], rows: str = "rows"
) -> gpd.GeoDataFrame:
    """The rows of a table as features, placed by its columns of coordinates or geometries.

    `lon` and `lat` are WGS 84; `x` and `y`, and geometries that name no CRS, are in that of a .prj file beside the
    table, else in the grid's, which is reported. Columns of coordinates are no fields of the features.

    Args:
        table: one row a feature.
        src_path: where it comes from, for messages.
        grid: the image's grid; None leaves the features without CRS where the table has none.
        error: the kind of error to raise.
        rows: what the index numbers, for messages.

    Raises:
        InputError: no column says where the rows lie, or none of the rows can be placed.
    """
    place = find_place([str(name) for name in table.columns])
    if place is None:
        raise error(
            f"{src_path} holds a table without geometries; its columns are {', '.join(map(str, table.columns))}, and "
            f"none says where a row lies: name them {WANTED}"
        )
    if table.empty:
        raise error(f"{src_path} holds a table without rows; give one with a row for each point")
    beside = None if place.kind == "lonlat" else _crs_beside(src_path)
    _check_commas(table, place, src_path, crs=beside or (grid and grid.crs), error=error)
    geometries, crs = _placed(table, place, src_path, rows=rows, error=error)
    known = ~shapely.is_missing(geometries)
    if not known.any():
        if place.kind == "geometry" and place.others:  # a column of that name that holds something else
            fields = table.drop(columns=[*place.columns])
            return points_of(fields, src_path, grid=grid, error=error, rows=rows)
        examples = ", ".join(str(value) for value in table.iloc[0][list(place.columns)])
        what = "geometries as WKT" if place.kind == "geometry" else "plain numbers"
        raise error(f"{src_path}: there are no {what} in {place} but, e.g., {examples}; write them so")
    if not known.all():
        lost = shortened(table.index[~known].tolist())
        logger.warning("%s: skipped %s whose coordinates cannot be read: %s", src_path, rows, lost)
    geometries = geometries[known]
    if (crs := crs or beside) is not None:
        logger.info("%s: placed by %s, in %s", src_path, place, ProjCRS.from_user_input(crs).name)
    else:
        crs = _images_crs(geometries, place, src_path, grid=grid, error=error)
    return features_of(table.drop(columns=[*place.columns, *place.others])[known], geometries, crs)


def _check_commas(
    table: pd.DataFrame, place: Place, src_path: str | Path, *, crs: Any, error: type[InputError]
) -> None:
    """Refuse coordinates whose commas may separate thousands; in degrees they can only separate decimals."""
    if place.kind == "lonlat" or (crs is not None and ProjCRS.from_user_input(crs).is_geographic):
        return
    if unclear := _unclear(table, place):
        example = next(text for text in table[unclear[0]] if isinstance(text, str) and "," in text)
        raise error(
            f"{src_path}: column {unclear[0]!r} holds numbers such as {example.strip()}, whose comma may separate "
            "thousands or decimals; write them without separators of thousands, and decimals with a point"
        )


def _crs_beside(src_path: str | Path) -> str | None:
    """The CRS that GDAL writes beside a table, in x.prj of x.csv; not where that belongs to a Shapefile x.shp."""
    path = Path(src_path).with_suffix(".prj")
    if is_dataset_name(src_path) or not path.is_file() or path.with_suffix(".shp").exists():
        return None
    try:
        return ProjCRS.from_wkt(path.read_text(encoding="latin-1").strip()).to_wkt()
    except CRSError:
        logger.warning("%s holds no CRS that is known; it is ignored", path)
        return None


def _images_crs(
    geometries: NDArray[np.object_], place: Place, src_path: str | Path, *, grid: Grid | None, error: type[InputError]
) -> str | None:
    """The image's CRS, with a warning, for coordinates that may be in it; None where there is none."""
    if grid is None or grid.crs is None:
        return None
    _check_no_degrees(geometries, src_path, place=place, grid=grid, error=error)
    name = crs_name(grid.crs)
    logger.warning("%s names no CRS; the coordinates in %s are taken to be in the image's, %s", src_path, place, name)
    return str(grid.crs.to_wkt())


def _placed(
    table: pd.DataFrame, place: Place, src_path: str | Path, *, rows: str, error: type[InputError]
) -> tuple[NDArray[np.object_], str | None]:
    """Geometries (n,) of a table's rows, None where a row has none, and the CRS that they are in, if that is known."""
    if place.kind == "geometry":
        return _geometries(table[place.columns[0]], src_path, rows=rows, error=error)
    x, y = (_numbers(table[column]) for column in place.columns)
    known = np.isfinite(x) & np.isfinite(y)
    geometries = np.full(len(table), None, dtype=object)
    geometries[known] = shapely.points(x[known], y[known])
    return geometries, "EPSG:4326" if place.kind == "lonlat" else None


def features_of(fields: pd.DataFrame, geometries: NDArray[np.object_], crs: Any) -> gpd.GeoDataFrame:
    """Fields and geometries as features; the geometries' column has a name that no field has."""
    name = "geometry"
    while name in fields:
        name += "_"
    fields = fields.copy()
    fields[name] = gpd.GeoSeries(geometries, index=fields.index, crs=crs)
    return gpd.GeoDataFrame(fields, geometry=name)


def _numbers(values: pd.Series) -> NDArray[np.float64]:
    """Coordinates (n,), NaN where a value is none."""
    if pd.api.types.is_numeric_dtype(values):
        return values.to_numpy(np.float64, na_value=np.nan)
    texts = values.fillna("").astype(str).str.strip().str.replace(r"[\s°]+", "", regex=True)
    texts = texts.where(texts.map(lambda text: _DECIMAL.fullmatch(text) is not None), "nan")
    return texts.str.replace(",", ".").to_numpy().astype(np.float64)


def _geometries(
    values: pd.Series, src_path: str | Path, *, rows: str, error: type[InputError]
) -> tuple[NDArray[np.object_], str | None]:
    """Geometries (n,) written as WKT, as hexadecimal WKB or as GeoJSON, and the CRS that they name."""
    if isinstance(values.dtype, gpd.array.GeometryDtype):
        return values.to_numpy(), None
    try:
        found = [_geometry(value, on_invalid="ignore") for value in values]
    except NotImplementedError as cause:
        raise error(f"{src_path}: column {values.name!r} holds curves; convert them to polygons first") from cause
    if broken := [place for place, (geometry, _) in enumerate(found) if geometry is None]:
        mended = {place: _geometry(values.iloc[place], on_invalid="fix") for place in broken}
        mended = {place: pair for place, pair in mended.items() if pair[0] is not None}
        found = [mended.get(place, pair) for place, pair in enumerate(found)]
        if mended:
            logger.warning(
                "%s: the geometries of %s %s are broken (a ring that is not closed, or has too few points); mended",
                src_path, rows, shortened(values.index[list(mended)].tolist()),
            )  # fmt: skip
    srids = {srid for geometry, srid in found if geometry is not None}
    if len(srids) > 1:
        raise error(
            f"{src_path}: column {values.name!r} mixes geometries of several CRS "
            f"({', '.join(f'EPSG:{srid}' if srid else 'none' for srid in sorted(srids))}); give those of one"
        )
    geometries = np.array([None, *(geometry for geometry, _ in found)], dtype=object)[1:]
    srid = next(iter(srids), 0)
    return geometries, f"EPSG:{srid}" if srid else None


def _geometry(value: Any, *, on_invalid: Literal["ignore", "fix"]) -> tuple[Any, int]:
    """One geometry and its SRID, 0 where there is none; None where the value is no geometry."""
    text = value if isinstance(value, bytes) else str(value).strip()
    if isinstance(text, bytes) or re.fullmatch(r"[0-9A-Fa-f]{18,}", text):
        found = shapely.from_wkb(text, on_invalid=on_invalid)
        return found, 0 if found is None else shapely.get_srid(found)
    if text.startswith("{"):
        return shapely.from_geojson(text, on_invalid="ignore"), 4326
    if (named := re.match(r"SRID=(\d+);", text, re.IGNORECASE)) is not None:
        return shapely.from_wkt(text[named.end() :], on_invalid=on_invalid), int(named[1])
    return shapely.from_wkt(text, on_invalid=on_invalid), 0


def _check_no_degrees(
    geometries: NDArray[np.object_], src_path: str | Path, *, place: Place, grid: Grid, error: type[InputError]
) -> None:
    """Refuse coordinates that can only be degrees where the image's are not."""
    left, bottom, right, top = shapely.total_bounds(geometries)
    if grid.crs is None or grid.crs.is_geographic or not (-180 <= left <= right <= 180 and -90 <= bottom <= top <= 90):
        return
    if not shapely.box(*grid.bounds).intersects(shapely.box(left, bottom, right, top)):
        raise error(
            f"{src_path}: the values in {place} are {left:.6g} to {right:.6g} and {bottom:.6g} to {top:.6g}, which can "
            f"only be degrees, and the image is in {crs_name(grid.crs)}; if they are longitude and latitude, name them "
            "lon and lat"
        )
