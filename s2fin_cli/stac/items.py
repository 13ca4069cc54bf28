"""Items and their assets: what a STAC file says, of versions 1.0 and 1.1 in one form."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

from s2fin_cli.core.errors import MALFORMED, InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Nanometres of a micrometre, the unit of wavelengths in STAC.
NM = 1000.0
#: Roles of assets that are no measured values, those of them that are no rasters, and the role of measured values.
_PICTURES, _NO_RASTERS, _DATA = {"thumbnail", "overview", "metadata", "visual"}, {"thumbnail", "metadata"}, "data"
#: Media types by how they begin: of rasters, of images that may be pictures only, and of what is no raster.
_RASTER_TYPES = (
    "image/tiff", "image/vnd.stac.geotiff", "image/x.geotiff", "image/jp2", "application/x-hdf", "application/netcdf",
    "application/x-netcdf", "application/vnd+zarr", "application/vnd.zarr",
)  # fmt: skip
_IMAGE_TYPES = "image/"
_OTHER_TYPES = (
    "text/", "application/json", "application/geo+json", "application/xml", "application/gml", "application/pdf",
    "application/vnd.apache.parquet", "application/x-parquet", "application/geopackage",
)  # fmt: skip
#: Suffixes of rasters, where an item does not say what an asset is.
_SUFFIXES = (".tif", ".tiff", ".jp2", ".vrt", ".nc", ".h5", ".hdf", ".img", ".zarr", ".dat", ".bil", ".bsq")
#: Fields that a band may have from its asset, and an asset from its item.
_INHERITED = ("nodata", "raster:scale", "raster:offset", "unit")


@dataclass(frozen=True)
class Band:
    """What an item says of a band of an asset.

    Attributes:
        name, common_name: its names, empty where there is none.
        wavelength: its centre wavelength in nanometres, None where it is unknown.
        nodata, scale, offset: None where the item does not say.
        unit: unit of its values, empty where it is unknown.
    """

    name: str = ""
    common_name: str = ""
    wavelength: float | None = None
    nodata: float | None = None
    scale: float | None = None
    offset: float | None = None
    unit: str = ""

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """From the fields of a band, whatever extension they belong to."""
        wavelength = _number(_first(values, "eo:center_wavelength", "center_wavelength"))
        return cls(
            name=_text(values.get("name")),
            common_name=_text(_first(values, "eo:common_name", "common_name")),
            wavelength=wavelength * NM if wavelength is not None and 0 < wavelength < math.inf else None,
            nodata=_nodata(values.get("nodata")),
            scale=_finite(_first(values, "scale", "raster:scale")),
            offset=_finite(_first(values, "offset", "raster:offset")),
            unit=_text(values.get("unit")),
        )


@dataclass(frozen=True)
class Asset:
    """An asset of an item.

    Attributes:
        key: its key.
        href: its reference, as it is written.
        alternates: other references by name.
        media_type: its media type, empty where there is none.
        roles: its roles.
        bands: what the item says of its bands; empty if it says nothing of them.
        every: what it says of all its bands.
        place: its `proj:` fields, with those of the item.
        has_own_place: whether the place is of this asset rather than of the item.
    """

    key: str
    href: str
    alternates: Mapping[str, str]
    media_type: str
    roles: tuple[str, ...]
    bands: tuple[Band, ...]
    every: Band
    place: Mapping[str, Any]
    has_own_place: bool

    @property
    def may_be_raster(self) -> bool:
        """Whether it probably holds measured values as a raster, by its type and its roles."""
        if _PICTURES.intersection(self.roles):
            return False
        if self.media_type:
            is_image = self.media_type.startswith(_IMAGE_TYPES) and _DATA in self.roles
            return is_image or self.media_type.startswith(_RASTER_TYPES)
        return self.href.split("?")[0].rstrip("/").lower().endswith(_SUFFIXES)

    @property
    def is_no_raster(self) -> bool:
        """Whether it cannot be a raster, or is only a thumbnail of one."""
        return bool(_NO_RASTERS.intersection(self.roles)) or self.media_type.startswith(_OTHER_TYPES)

    @property
    def names(self) -> list[str]:
        """Names and common names of its bands, as far as they are known, each once."""
        return [name for name in dict.fromkeys(part for b in self.bands for part in (b.name, b.common_name)) if name]

    def band(self, position: int) -> Band:
        """What is said of a band, counted from 0."""
        return self.bands[position] if position < len(self.bands) else self.every


@dataclass(frozen=True)
class Item:
    """A STAC item.

    Attributes:
        id: its id.
        moment: when it was taken, or when that began; None where it does not say.
        properties: its properties.
        assets: its assets by key.
        place: the URL or path of the file that it is from.
        url: its own URL in its catalogue; None where it does not say.
    """

    id: str
    moment: datetime | None
    properties: Mapping[str, Any]
    assets: Mapping[str, Asset]
    place: str
    url: str | None = None

    @classmethod
    def of(cls, values: Any, place: str) -> Self:
        """From JSON values.

        Raises:
            InputError: they are no item.
        """
        try:
            properties, identifier = values.get("properties") or {}, values["id"]
            if not isinstance(identifier, str):
                raise TypeError("its id is no text")
            assets = {
                key: _asset(key, asset, properties)
                for key, asset in values["assets"].items()
                if isinstance(asset, dict) and isinstance(asset.get("href"), str)
            }
            return cls(identifier, _moment(properties), properties, assets, place, _url(values))
        except MALFORMED as error:
            raise InputError(
                f"{place} is no STAC item ({error!r:.200}): an item has an id, properties and assets; save it again"
            ) from error

    @property
    def date(self) -> str:
        """The day in UTC, "2024-06-01"; empty where it is unknown."""
        return "" if self.moment is None else self.moment.date().isoformat()

    @property
    def offset_is_applied(self) -> bool:
        """Whether the item says that a radiometric offset is in the stored values already, as Earth Search does."""
        return any(key.endswith("boa_offset_applied") and value is True for key, value in self.properties.items())

    @property
    def baseline(self) -> str | None:
        """Processing baseline of a Sentinel-2 product, "05.09"; None of any other."""
        found = self.properties.get("s2:processing_baseline")
        if found is None and str(self.properties.get("constellation", "")).lower() == "sentinel-2":
            found = self.properties.get("processing:version")
        return None if found is None else str(found)


def _asset(key: str, values: Mapping[str, Any], properties: Mapping[str, Any]) -> Asset:
    every = {name: values.get(name, properties.get(name)) for name in _INHERITED}
    bands = [Band.of({**every, **band}) for band in _bands(values)]
    own = {name: value for name, value in values.items() if name.startswith("proj:")}
    of_item = {name: value for name, value in properties.items() if name.startswith("proj:")}
    alternates, roles = values.get("alternate"), values.get("roles")
    return Asset(
        key=key,
        href=values["href"],
        alternates=_alternates(alternates),
        media_type=_text(values.get("type")).lower(),
        roles=tuple(map(str, roles)) if isinstance(roles, list) else (),
        bands=tuple(bands),
        every=Band.of(every),
        place={**of_item, **own},
        has_own_place="proj:transform" in own,
    )


def _bands(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The bands of an asset: those of STAC 1.1, or of the extensions of 1.0 together."""
    listed = [_dicts(values.get(name)) for name in ("bands", "eo:bands", "raster:bands")]
    count = max(map(len, listed))
    if len(listed[-1]) == 1:
        listed[-1] = listed[-1] * count  # some catalogues say once what holds for all bands
    if any(len(bands) not in (0, count) for bands in listed):
        listed = [bands for bands in listed if len(bands) == count]
    return [{key: value for bands in listed if bands for key, value in bands[i].items()} for i in range(count)]


def _first(values: Mapping[str, Any], *names: str) -> Any:
    """The first of some fields that is there; in a band those of STAC 1.0 come first, as others may be inherited."""
    return next((values[name] for name in names if values.get(name) is not None), None)


def _dicts(value: Any) -> list[dict[str, Any]]:
    return value if isinstance(value, list) and value and all(isinstance(part, dict) for part in value) else []


def _alternates(values: Any) -> dict[str, str]:
    known = values.items() if isinstance(values, dict) else ()
    return {name: other["href"] for name, other in known if _has_href(other)}


def _has_href(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("href"), str)


def _url(values: Mapping[str, Any]) -> str | None:
    """The URL that an item's link to itself has."""
    found = [link["href"] for link in _dicts(values.get("links")) if link.get("rel") == "self" and _has_href(link)]
    return next((href for href in found if href.lower().startswith(("http://", "https://", "s3://", "gs://"))), None)


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _finite(value: Any) -> float | None:
    number = _number(value)
    return number if number is not None and math.isfinite(number) else None


def _nodata(value: Any) -> float | None:
    """A nodata value, for which STAC allows the texts "nan", "inf" and "-inf" too."""
    if isinstance(value, str) and value.strip().lower() in ("nan", "inf", "-inf"):
        return float(value)
    return _number(value)


def _moment(properties: Mapping[str, Any]) -> datetime | None:
    for name in ("datetime", "start_datetime"):
        text = properties.get(name)
        if isinstance(text, str):
            return as_moment(text)
    return None


def as_moment(text: str) -> datetime:
    """A time in UTC.

    Raises:
        ValueError: it is none.
    """
    found = datetime.fromisoformat(text.strip())
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def in_order(items: Sequence[Item]) -> list[Item]:
    """Items by their time and id, whatever their order in the file."""
    return sorted(
        items, key=lambda item: (item.moment is None, item.moment or datetime.max.replace(tzinfo=UTC), item.id)
    )
