"""The STAC item of a model, with the Machine Learning Model extension (MLM 1.5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from s2fin_cli.core.options import DEFAULT_MODEL
from s2fin_cli.model.info import STARTED_FROM
from s2fin_cli.model.stac import MODEL_MEDIA_TYPE, class_objects, extension, file_fields, href, item_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from s2fin_cli.core.classes import LandCoverClass
    from s2fin_cli.model.info import BandSet, ModelInfo

PAPER = "https://arxiv.org/abs/2510.04628"
#: The longest possible time, for a model that belongs to no particular one: STAC demands a start and an end.
ALWAYS = {"datetime": None, "start_datetime": "1900-01-01T00:00:00Z", "end_datetime": "9999-12-31T23:59:59Z"}


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
    extensions = [extension("mlm", "1.5.2"), extension("classification", "1.1.0"), extension("file", "2.1.0")]
    if any("eo:center_wavelength" in band for band in bands):
        extensions.append(extension("eo", "2.0.0"))
    asset = {
        "href": f"./{DEFAULT_MODEL}",
        "type": MODEL_MEDIA_TYPE,
        "title": "Weights, and everything else that s2fin classify needs",
        "roles": ["mlm:model", "mlm:weights", "data"],
        "mlm:artifact_type": "safetensors.torch.save_file",
        "bands": [{"name": band["name"]} for band in bands],  # STAC allows the item's only beside an asset's own
    }
    return item_of(
        name,
        info.footprint,
        stac_extensions=extensions,
        properties={**ALWAYS, "bands": bands, "mlm:name": name, **_model_properties(info, parameters)},
        assets={"model": asset},
        links=[{"rel": "cite-as", "href": PAPER, "type": "text/html", "title": "The network that it reconstructs"}],
    )


def model_item_beside(
    item: dict[str, Any], model_path: Path, *, folder: Path, start_path: str | None = None
) -> dict[str, Any]:
    """The item of a model file for a folder: with the way to the file from there, its size and its checksum.

    Args:
        item: the item that the file carries.
        model_path: the file.
        folder: where the item will be.
        start_path: file of the model that it started from, if it did.
    """
    asset = {**item["assets"]["model"], "href": href(str(model_path.absolute()), folder), **file_fields(model_path)}
    links = list(item["links"])
    if start_path is not None:
        title = f"model {item['properties']['mlm:pretrained_source']}"
        place = href(start_path, folder)
        links.append({"rel": "derived_from", "href": place, "type": MODEL_MEDIA_TYPE, "title": title})
    return {**item, "assets": {"model": asset}, "links": links}


def _model_properties(info: ModelInfo, parameters: int) -> dict[str, Any]:
    inputs = {"image": info.bands[:1], "aux": info.bands[1:]}
    training = {key: info.training[key] for key in ("epochs", "batch_size", "learning_rate", "seed")}
    start = info.training.get(STARTED_FROM)
    return {
        "title": f"Land cover of {len(info.classes)} classes",
        "description": "A network of s2fin, our reconstruction of S2Fin, trained on the scene of this item's geometry.",
        "mlm:architecture": "S2Fin",
        "mlm:tasks": ["semantic-segmentation"],
        "mlm:framework": "PyTorch",
        "mlm:framework_version": info.versions["torch"],
        "mlm:total_parameters": parameters,
        "mlm:pretrained": start is not None,
        "mlm:pretrained_source": None if start is None else f"{start['model']} ({start['file']})",
        "mlm:accelerator": None,
        "mlm:input": [_input(name, parts, info=info) for name, parts in inputs.items() if parts],
        "mlm:output": [_output(info.classes)],
        "mlm:hyperparameters": {"patch_size": info.patch_size, **training},
    }


def _bands(part: BandSet) -> list[dict[str, Any]]:
    """The bands of one modality that a model takes; their names are unique among those of all."""
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


def _input(name: str, parts: Sequence[BandSet], *, info: ModelInfo) -> dict[str, Any]:
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
