"""STAC items (version 1.1): of a model, with the Machine Learning Model extension (MLM 1.5), and of a class map.

They are plain JSON values. Their extensions (`mlm`, `eo`, `file`, `processing`, `projection`, `classification`,
`raster`) are those of https://stac-extensions.github.io.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from s2fin_cli.core.formats import media_type
from s2fin_cli.core.names import is_dataset_name
from s2fin_cli.core.options import DEFAULT_MODEL

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from s2fin_cli.core.classes import LandCoverClass
    from s2fin_cli.geo.grid import Grid
    from s2fin_cli.model.info import BandSet, ModelInfo

STAC_VERSION = "1.1.0"
MEDIA_TYPE = "application/geo+json"
MODEL_MEDIA_TYPE = "application/octet-stream; framework=safetensors"
PAPER = "https://arxiv.org/abs/2510.04628"
#: The longest time there is, for a model that is not of a certain one: STAC wants a beginning and an end.
ALWAYS = {"datetime": None, "start_datetime": "1900-01-01T00:00:00Z", "end_datetime": "9999-12-31T23:59:59Z"}
_CHUNK = 1 << 20
#: What stands for itself in the path of a reference, and in a whole URL (RFC 3986), besides letters and digits.
_IN_PATHS = "/:@!$&'()*+,;=-._~"
_IN_URLS = _IN_PATHS + "?#[]"


def _extension(name: str, version: str) -> str:
    return f"https://stac-extensions.github.io/{name}/v{version}/schema.json"


# ---- a model ---------------------------------------------------------------------------------------------------------


def model_item(info: ModelInfo, *, parameters: int, digest: str) -> dict[str, Any]:
    """The item of a model.

    Args:
        info: what the model is.
        parameters: how many its network has.
        digest: hexadecimal checksum of the model, which makes its id.

    Returns:
        the item; its asset is the default file name, see `model_item_beside`.
    """
    bands = [band for part in info.bands for band in _bands(part)]
    name = f"s2fin-{digest[:12]}"
    extensions = [_extension("mlm", "1.5.2"), _extension("classification", "1.1.0"), _extension("file", "2.1.0")]
    if any("eo:center_wavelength" in band for band in bands):
        extensions.append(_extension("eo", "2.0.0"))
    asset = {
        "href": f"./{DEFAULT_MODEL}",
        "type": MODEL_MEDIA_TYPE,
        "title": "Weights, and all that s2fin classify needs besides",
        "roles": ["mlm:model", "mlm:weights", "data"],
        "mlm:artifact_type": "safetensors.torch.save_file",
        "bands": [{"name": band["name"]} for band in bands],  # STAC allows the item's only beside an asset's own
    }
    return _item(
        name,
        info.footprint,
        stac_extensions=extensions,
        properties={**ALWAYS, "bands": bands, "mlm:name": name, **_model_properties(info, parameters)},
        assets={"model": asset},
        links=[{"rel": "cite-as", "href": PAPER, "type": "text/html", "title": "The network that it reconstructs"}],
    )


def _model_properties(info: ModelInfo, parameters: int) -> dict[str, Any]:
    inputs = {"image": info.bands[:1], "aux": info.bands[1:]}
    training = {key: info.training[key] for key in ("epochs", "batch_size", "learning_rate", "seed")}
    return {
        "title": f"Land cover of {len(info.classes)} classes",
        "description": "A network of s2fin, our reconstruction of S2Fin, trained on the scene of this item's geometry.",
        "mlm:architecture": "S2Fin",
        "mlm:tasks": ["semantic-segmentation"],
        "mlm:framework": "PyTorch",
        "mlm:framework_version": info.versions["torch"],
        "mlm:total_parameters": parameters,
        "mlm:pretrained": False,
        "mlm:pretrained_source": None,
        "mlm:accelerator": None,
        "mlm:input": [_input(name, parts, info) for name, parts in inputs.items() if parts],
        "mlm:output": [_output(info.classes)],
        "mlm:hyperparameters": {"patch_size": info.patch_size, **training},
    }


def model_item_beside(item: dict[str, Any], model_path: Path, folder: Path) -> dict[str, Any]:
    """The item of a model file for a folder: with the way to the file from there, its size and its checksum."""
    asset = {**item["assets"]["model"], "href": href(str(model_path.absolute()), folder), **_file_fields(model_path)}
    return {**item, "assets": {"model": asset}}


def _bands(part: BandSet) -> list[dict[str, Any]]:
    """The bands that a model wants of one modality; their names are unique among those of all."""
    bands = []
    for position, name in enumerate(_band_names(part)):
        statistics = {"mean": part.mean[position], "stddev": part.std[position]}
        band: dict[str, Any] = {"name": name, "data_type": part.dtype, "statistics": statistics}
        if part.band_names[position]:
            band["description"] = part.band_names[position]
        if part.wavelengths is not None:
            band["eo:center_wavelength"] = round(part.wavelengths[position] / 1000, 6)  # micrometres
        bands.append(band)
    return bands


def _band_names(part: BandSet) -> list[str]:
    return [f"{part.modality}-{index}" for index in part.indexes]


def _input(name: str, parts: Sequence[BandSet], info: ModelInfo) -> dict[str, Any]:
    """An input of the network, which may hold several modalities."""
    names = [band for part in parts for band in _band_names(part)]
    return {
        "name": name,
        "description": f"Raw values of {' and '.join(part.modality for part in parts)}; the network standardises them.",
        "bands": names,
        "input": {
            "shape": [-1, len(names), info.input_size, info.input_size],
            "dim_order": ["batch", "bands", "height", "width"],
            "data_type": "float32",
        },
        "value_scaling": None,
        "resize_type": None,
    }


def _output(classes: Sequence[LandCoverClass]) -> dict[str, Any]:
    return {
        "name": "logits",
        "description": "Of the classes of the pixel in the middle, in the order of the classes below.",
        "tasks": ["semantic-segmentation"],
        "result": {"shape": [-1, len(classes)], "dim_order": ["batch", "class"], "data_type": "float32"},
        "classification:classes": class_objects(classes),
    }


# ---- a map -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Written:
    """A file that an item is to have as an asset.

    Attributes:
        title: what it is.
        roles: what it is for, as STAC has it.
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
        # NOTE: an absolute path is no name of GDAL's, whatever the file will be called.
        place = href(str(self.path.absolute()), folder)
        asset = {"href": place, "title": self.title, "roles": list(self.roles), **typed}
        return {**asset, **_file_fields(self.source), **self.fields}


def map_item(
    dst_path: Path,
    grid: Grid,
    files: dict[str, Written],
    *,
    inputs: Sequence[tuple[str, str]],
    model: tuple[Path, str],
    acquired: datetime | None,
    lineage: str,
    software: dict[str, str],
) -> dict[str, Any]:
    """The item of a class map.

    Args:
        dst_path: where it will lie.
        grid: of the map.
        files: what was written, by the names of the assets.
        inputs: what the map was derived from: a title and a path each.
        model: path and id of the model.
        acquired: when the image was taken; the time of the map where that is not known.
        lineage: how it was made, in words.
        software: versions by name.
    """
    folder, now = dst_path.absolute().parent, datetime.now(UTC)
    links = [{"rel": "derived_from", "href": href(path, folder), "title": title} for title, path in inputs]
    model_path, model_id = model
    links.append(
        {
            "rel": "derived_from",
            "href": href(str(model_path.absolute()), folder),
            "type": MODEL_MEDIA_TYPE,
            "title": f"model {model_id}, which carries a STAC item of its own",
            **_file_fields(model_path),
        }
    )
    properties = {
        "datetime": _utc(acquired or now),
        "created": _utc(now),
        "title": f"Land cover, {files['map'].path.name}",
        "processing:level": "L4",
        "processing:lineage": lineage,
        "processing:software": software,
        "processing:expression": {"format": "stac-mlm", "expression": model_id},
        **_projection_fields(grid),
    }
    versions = {"file": "2.1.0", "processing": "1.2.0", "projection": "2.0.0", "classification": "1.1.0"}
    assets = {name: file.to_asset(folder) for name, file in files.items()}
    if any("raster:scale" in asset for asset in assets.values()):
        versions["raster"] = "2.0.0"
    extensions = [_extension(name, version) for name, version in versions.items()]
    return _item(
        files["map"].path.stem,
        grid.footprint(),
        stac_extensions=extensions,
        properties=properties,
        assets=assets,
        links=links,
    )


def _projection_fields(grid: Grid) -> dict[str, Any]:
    fields: dict[str, Any] = {"proj:shape": list(grid.shape), "proj:transform": list(grid.transform[:6])}
    if grid.crs is None:
        return {"proj:code": None, **fields}
    authority = grid.crs.to_authority()
    if authority is not None:
        return {"proj:code": ":".join(authority), **fields}
    return {"proj:code": None, "proj:wkt2": grid.crs.to_wkt(version="WKT2_2019"), **fields}


# ---- both ------------------------------------------------------------------------------------------------------------


def class_objects(classes: Iterable[LandCoverClass]) -> list[dict[str, Any]]:
    """Classes as the classification extension has them: a name for machines, one for people, a colour."""
    return [
        {
            "value": c.id,
            "name": re.sub(r"[^0-9A-Za-z_-]+", "_", c.name).strip("_") or f"class_{c.id}",
            "description": c.name,
            "color_hint": "".join(f"{value:02X}" for value in c.color),
        }
        for c in classes
    ]


def href(path: str, folder: Path) -> str:
    """How an item in a folder names a file, as a reference that needs no escaping any more.

    It is relative to the folder; of what is no plain file, it is the URL, or GDAL's name.
    """
    if is_dataset_name(path):
        return quote(path.removeprefix("/vsicurl/"), safe=_IN_URLS + "%")
    try:
        relative = PurePosixPath(Path(os.path.relpath(Path(path).absolute(), folder)).as_posix())
    except ValueError:  # another drive of Windows
        return Path(path).absolute().as_uri()
    return quote(str(relative) if relative.parts[0] == ".." else f"./{relative}", safe=_IN_PATHS)


def _item(identifier: str, footprint: dict[str, Any] | None, **rest: Any) -> dict[str, Any]:
    start = {"type": "Feature", "stac_version": STAC_VERSION, "id": identifier, "geometry": footprint}
    return {**start, **({} if footprint is None else {"bbox": _bbox(footprint)}), **rest}


def _bbox(footprint: dict[str, Any]) -> list[float]:
    """West, south, east and north; of an area across the 180th meridian, west is the greater."""
    parts = footprint["coordinates"] if footprint["type"] == "MultiPolygon" else [footprint["coordinates"]]
    boxes = []
    for part in parts:
        xs, ys = zip(*part[0], strict=True)
        boxes.append((min(xs), min(ys), max(xs), max(ys)))
    wests, souths, easts, norths = zip(*boxes, strict=True)
    across = len(boxes) > 1 and math.isclose(max(easts), 180) and math.isclose(min(wests), -180)
    west, east = (max(wests), min(easts)) if across else (min(wests), max(easts))
    return [west, min(souths), east, max(norths)]


def _file_fields(path: Path) -> dict[str, Any]:
    """Size in bytes, and the checksum as a multihash: 0x12 for SHA-256, 0x20 bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return {"file:size": path.stat().st_size, "file:checksum": f"1220{digest.hexdigest()}"}


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
