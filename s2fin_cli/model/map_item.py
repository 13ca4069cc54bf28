"""The STAC item of a class map."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from s2fin_cli.core.copies import copy_at
from s2fin_cli.core.formats import media_type
from s2fin_cli.geo.crs import crs_code
from s2fin_cli.model.stac import MODEL_MEDIA_TYPE, extension, file_fields, href, item_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from s2fin_cli.geo.grid import Grid


@dataclass(frozen=True)
class Written:
    """A file that becomes an asset of an item.

    Attributes:
        title: what it is.
        roles: its purpose, in STAC's words.
        path: its name.
        source: where its bytes are now.
        fields: more fields of the asset.
    """

    title: str
    roles: tuple[str, ...]
    path: Path
    source: Path
    fields: dict[str, Any]

    def to_asset(self, folder: Path) -> dict[str, Any]:
        """The asset of an item in a folder."""
        known = media_type(self.path)
        typed = {} if known is None else {"type": known}
        # NOTE: an absolute path is never one of GDAL's own names, whatever the file is called.
        place = href(str(self.path.absolute()), folder)
        asset = {"href": place, "title": self.title, "roles": list(self.roles), **typed}
        return {**asset, **file_fields(self.source), **self.fields}


@dataclass(frozen=True)
class Provenance:
    """What a class map was made from, and how.

    Attributes:
        inputs: what it was derived from: fields of a link and a path each.
        model_path: the model file.
        model_id: id of the model's own item.
        acquired: when the image was taken; None where that is not known.
        lineage: how it was made, in words.
        software: versions by name.
    """

    inputs: Sequence[tuple[dict[str, str], str]]
    model_path: Path
    model_id: str
    acquired: datetime | None
    lineage: str
    software: dict[str, str]

    def links(self, folder: Path) -> list[dict[str, Any]]:
        """The links of an item in a folder to what the map was derived from."""
        files = [(more, path) for more, path in self.inputs if copy_at(path) is None]
        links = [{"rel": "derived_from", "href": href(path, folder), **more} for more, path in files]
        model = {
            "rel": "derived_from",
            "href": href(str(self.model_path.absolute()), folder),
            "type": MODEL_MEDIA_TYPE,
            "title": f"model {self.model_id}, which carries a STAC item of its own",
            **file_fields(self.model_path),
        }
        return [*links, model]

    def properties(self, now: datetime) -> dict[str, Any]:
        """The properties of an item that is made now."""
        return {
            "datetime": _utc(self.acquired or now),
            "created": _utc(now),
            "processing:level": "L4",
            "processing:lineage": self.lineage,
            "processing:software": self.software,
            "processing:expression": {"format": "stac-mlm", "expression": self.model_id},
        }


def map_item(dst_path: Path, grid: Grid, *, files: dict[str, Written], provenance: Provenance) -> dict[str, Any]:
    """The item of a class map.

    Args:
        dst_path: where the item will be.
        grid: grid of the map.
        files: what was written, by the names of the assets; "map" among them.
        provenance: what the map was made from; the item's time is the map's where that of the image is not known.
    """
    folder, class_map = dst_path.absolute().parent, files["map"].path
    assets = {name: file.to_asset(folder) for name, file in files.items()}
    versions = {"file": "2.1.0", "processing": "1.2.0", "projection": "2.0.0", "classification": "1.1.0"}
    if any("raster:scale" in asset for asset in assets.values()):
        versions["raster"] = "2.0.0"
    title = {"title": f"Land cover, {class_map.name}"}
    return item_of(
        class_map.stem,
        grid.footprint(),
        stac_extensions=[extension(name, version) for name, version in versions.items()],
        properties={**provenance.properties(datetime.now(UTC)), **title, **_projection_fields(grid)},
        assets=assets,
        links=provenance.links(folder),
    )


def _projection_fields(grid: Grid) -> dict[str, Any]:
    fields: dict[str, Any] = {"proj:shape": list(grid.shape), "proj:transform": list(grid.transform[:6])}
    if grid.crs is None:
        return {"proj:code": None, **fields}
    code = crs_code(grid.crs)
    if code is not None:
        return {"proj:code": code, **fields}
    return {"proj:code": None, "proj:wkt2": grid.crs.to_wkt(version="WKT2_2019"), **fields}


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
