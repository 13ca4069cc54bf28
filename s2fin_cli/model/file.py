"""The one file that a trained model is: safetensors weights, and everything needed to use them as JSON metadata.

Nothing in it is ever unpickled or executed: the architecture is rebuilt from its configuration by our own class.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from s2fin import S2Fin, S2FinConfig
from s2fin_cli.core.checks import is_no_path
from s2fin_cli.core.errors import MALFORMED, ModelFileError, RasterError, reason
from s2fin_cli.core.version import __version__
from s2fin_cli.model.header import METADATA_KEY, metadata_text
from s2fin_cli.model.info import ModelInfo
from s2fin_cli.model.model_item import model_item
from s2fin_cli.model.reference import MOST_KEPT, ReferencePixels
from s2fin_cli.model.valid import check_info, network_config
from s2fin_cli.stack.guide import compared_count
from s2fin_cli.vector.sources import raster_driver

if TYPE_CHECKING:
    from collections.abc import Mapping

    from s2fin_cli.geo.grid import Grid

T = TypeVar("T")

#: Key in the JSON text of the metadata of the checksum of all else in it and of the weights: a wrong bit could change a
#: map unnoticed.
CHECKSUM_KEY = "sha256"
#: Key in that text of the model's STAC item.
ITEM_KEY = "stac_item"
#: How the names of the tensors of the reference pixels begin; those of the network are its own.
REFERENCE_PREFIX = "reference."
#: Version of that text.
FORMAT_VERSION = 5
#: Numbers that a network may consist of; it has about a million.
MOST_WEIGHTS = 1 << 26
#: The oldest format whose networks this version has.
OLDEST_FORMAT = 4


class ModelParts(NamedTuple):
    """What a model file holds.

    Attributes:
        network: the network, in evaluation mode on the CPU.
        info: its description.
        reference: reference pixels of its training data; None in a model that was written without.
    """

    network: S2Fin
    info: ModelInfo
    reference: ReferencePixels | None


def current_versions() -> dict[str, str]:
    """Versions of the software that makes a model."""
    return {"s2fin": __version__, "torch": torch.__version__}


def training_grid(grid: Grid) -> tuple[str | None, tuple[float, float], dict[str, Any] | None]:
    """WKT, resolution and footprint of a grid, as a model keeps them."""
    return (None if grid.crs is None else grid.crs.to_wkt()), grid.res, grid.footprint()


def write_model(dst_path: Path, network: S2Fin, *, info: ModelInfo, reference: ReferencePixels | None = None) -> None:
    """Write a model file. The caller must make it appear complete or not at all.

    Raises:
        OSError: it cannot be written.
    """
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    if reference is not None:
        weights |= {f"{REFERENCE_PREFIX}{name}": tensor for name, tensor in reference.to_tensors().items()}
    values = {"format": FORMAT_VERSION, **info.to_dict()}
    parameters = sum(parameter.numel() for parameter in network.parameters())
    values[ITEM_KEY] = model_item(info, parameters=parameters, digest=_checksum(values, weights))
    # NOTE: one key of metadata, as safetensors writes several in no fixed order.
    description = json.dumps({**values, CHECKSUM_KEY: _checksum(values, weights)})
    dst_path.write_bytes(save(weights, metadata={METADATA_KEY: description}))


def _checksum(values: Mapping[str, Any], weights: Mapping[str, torch.Tensor]) -> str:
    digest = hashlib.sha256(json.dumps(values, allow_nan=False, sort_keys=True).encode())
    for name, tensor in sorted(weights.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()


def read_info(src_path: str | os.PathLike[str]) -> ModelInfo:
    """Read the description of a model from its file.

    Raises:
        ModelFileError: as `read_model`.
    """
    return read_model(src_path)[1]


def read_item(src_path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read the STAC item that a model file carries.

    Raises:
        ModelFileError: as `read_model`.
    """
    read_model(src_path)  # which checks it
    return dict(_read_description(src_path)[1][ITEM_KEY])


def _read_description(src_path: str | os.PathLike[str]) -> tuple[ModelInfo, dict[str, Any]]:
    """The description of a model, and the JSON values that it was made from."""
    text = _read_metadata(src_path)
    try:
        values = json.loads(text)
        _check_format(values, src_path)
        if not isinstance(values[ITEM_KEY]["assets"]["model"], dict):
            raise TypeError(f"{ITEM_KEY} has no asset of the model")
        info = ModelInfo.from_dict(values)
        check_info(info)
    except ModelFileError:
        raise
    except MALFORMED as error:
        raise ModelFileError(f"{src_path} is damaged: its description cannot be read ({error!r})") from error
    return info, values


def _read_metadata(src_path: str | os.PathLike[str]) -> str:
    """The JSON text in a model file's metadata."""
    if not os.path.isfile(src_path):
        what = "copy it to this machine first" if is_no_path(src_path) else "check the path"
        raise ModelFileError(f"there is no model file {src_path}; {what}")
    try:
        text = metadata_text(src_path)
    except (SafetensorError, OSError) as error:
        raise ModelFileError(_why_unreadable(src_path, error)) from error
    if text is None:
        raise ModelFileError(f"{src_path} holds safetensors weights, but not of an s2fin model; train one with s2fin")
    return text


def _why_unreadable(src_path: str | os.PathLike[str], error: Exception) -> str:
    """The message about a file that is not a model file, with what it is."""
    try:
        driver = raster_driver(os.fspath(src_path))
    except RasterError:  # of several rasters
        driver = "of several layers"
    if driver is not None:
        return f"{src_path} is not a model file but a raster ({driver}); give the model file that s2fin train wrote"
    return f"{src_path} is not a model file or is damaged ({reason(error)}); train again, or copy it again"


def _check_format(values: Mapping[str, Any], src_path: str | os.PathLike[str]) -> None:
    """Refuse a format that this version does not read."""
    found, version = values["format"], values["versions"].get("s2fin")
    written = f"{src_path} was written by s2fin {version} in format {found}"
    if found > FORMAT_VERSION:
        raise ModelFileError(
            f"{written}, and this is s2fin {__version__}, which reads up to {FORMAT_VERSION}; update s2fin"
        )
    if found < OLDEST_FORMAT:
        raise ModelFileError(f"{written}, whose network this version no longer has; train again")


def read_model(src_path: str | os.PathLike[str]) -> tuple[S2Fin, ModelInfo]:
    """Read a model: its network, in evaluation mode on the CPU, and its description.

    Raises:
        ModelFileError: as `read_parts`.
    """
    network, info, _ = read_parts(src_path)
    return network, info


def read_parts(src_path: str | os.PathLike[str]) -> ModelParts:
    """Read all that a model file holds.

    Raises:
        ModelFileError: it is missing, damaged, foreign or of a later format.
    """
    info, values = _read_description(src_path)
    try:
        cfg = network_config(info)
        with safe_open(src_path, framework="pt") as file:
            _check_shapes({name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}, cfg)  # noqa: SIM118
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  not a mapping
        if values.pop(CHECKSUM_KEY, None) != _checksum(values, weights):
            raise ModelFileError(f"{src_path} is damaged: its checksum is wrong; copy it again, or train again")
        of_reference, own = _divided(weights)
        network = S2Fin(cfg)
        network.load_state_dict(own)
        second = None if cfg.aux_from_image else cfg.aux_channels
        count = compared_count(cfg.in_channels, cfg.components, second)
        reference = ReferencePixels.from_tensors(of_reference, features=count) if of_reference else None
    except ModelFileError:
        raise
    except (SafetensorError, OSError, TypeError, ValueError, RuntimeError) as error:
        raise ModelFileError(
            f"{src_path} is damaged: its weights do not fit its description ({reason(error)})"
        ) from error
    if not all(tensor.isfinite().all() for tensor in weights.values()):
        raise ModelFileError(f"{src_path} is damaged: it holds weights that are not finite; train again")
    if any((tensor <= 0).any() for name, tensor in weights.items() if name.endswith("std")):
        raise ModelFileError(f"{src_path} is damaged: it holds deviations that are not above 0; train again")
    return ModelParts(network.eval(), info, reference)


def _divided(tensors: Mapping[str, T]) -> tuple[dict[str, T], dict[str, T]]:
    """What a file has of the reference pixels, by their own names, and what it has of the network."""
    prefix = REFERENCE_PREFIX
    of_reference = {name.removeprefix(prefix): each for name, each in tensors.items() if name.startswith(prefix)}
    return of_reference, {name: each for name, each in tensors.items() if not name.startswith(prefix)}


def _check_shapes(given: Mapping[str, tuple[int, ...]], cfg: S2FinConfig) -> None:
    """Compare shapes of weights with those of the network, of which nothing is made yet, and bound the others.

    Raises:
        ValueError: it names the first difference only, whereas torch lists them all.
    """
    with torch.device("meta"):
        wanted = {name: tuple(tensor.shape) for name, tensor in S2Fin(cfg).state_dict().items()}
    of_reference, of_network = _divided(given)
    if (count := sum(map(math.prod, of_reference.values()))) > MOST_KEPT:
        raise ValueError(f"its reference pixels are {count} numbers, and at most {MOST_KEPT} are read")
    for name in sorted(of_network.keys() | wanted.keys()):
        found, own = (part.get(name, "nothing") for part in (of_network, wanted))
        if found != own:
            raise ValueError(f"{name} is {found} in the file and {own} in the network")
    if (count := sum(map(math.prod, wanted.values()))) > MOST_WEIGHTS:
        raise ValueError(f"it holds {count} weights, and at most {MOST_WEIGHTS} are read")
