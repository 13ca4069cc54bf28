"""Where a model file is, and the description that it begins with, without the network that needs torch."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path

from safetensors import safe_open

from s2fin_cli.core.errors import ModelFileError
from s2fin_cli.core.options import DEFAULT_MODEL, MODEL_VARIABLE

logger = logging.getLogger(__name__)

#: Key of the JSON text in the file's metadata.
METADATA_KEY = "s2fin"


def find_model(given: str | os.PathLike[str] | None) -> Path:
    """The model to use: the one given, else `model.s2fin` here, else the one `$S2FIN_MODEL` names.

    Raises:
        ModelFileError: there is none.
    """
    if given is not None:
        return Path(given)
    if (default := Path(DEFAULT_MODEL)).exists():
        logger.info("model: %s, found in the current directory", default)
        return default
    if named := os.environ.get(MODEL_VARIABLE):
        logger.info("model: %s, named by $%s", named, MODEL_VARIABLE)
        return Path(named)
    raise ModelFileError(
        f"no model: there is no {DEFAULT_MODEL} in {Path.cwd()} and ${MODEL_VARIABLE} is not set; "
        "train one with s2fin train, or name one with `model`"
    )


def metadata_text(src_path: str | os.PathLike[str]) -> str | None:
    """The JSON text in a model file's metadata; None in a file of safetensors that is no model of s2fin.

    Raises:
        SafetensorError, OSError: it is no such file, or it is damaged.
    """
    with safe_open(src_path, framework="np") as file:  # no tensor is read, and "pt" would import torch
        text = (file.metadata() or {}).get(METADATA_KEY)
    return None if text is None else str(text)


def class_names(src_path: str | os.PathLike[str]) -> list[str]:
    """Names of a model's classes as its file gives them, unchecked; none of a file that cannot be read."""
    try:
        return [str(each["name"]) for each in json.loads(metadata_text(src_path) or "{}")["classes"]]
    except Exception:  # noqa: BLE001 - whatever is wrong with the file
        return []
