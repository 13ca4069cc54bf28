"""Model files that somebody made up, with a right checksum: they can neither run code nor name a path."""

from __future__ import annotations

import json
import os
import pickle
import struct
from typing import TYPE_CHECKING, Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from s2fin_cli.core.errors import ModelFileError
from s2fin_cli.model.file import CHECKSUM_KEY, read_info, read_model
from s2fin_cli.model.header import METADATA_KEY
from tests.hostile.cases import checksum

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def forged(
    model: Path,
    path: Path,
    change: Callable[[dict[str, Any]], object],
    *,
    weights: dict[str, torch.Tensor] | None = None,
) -> Path:
    """A model with another description or other tensors, and the right checksum for them."""
    weights = load_file(model) if weights is None else weights
    with safe_open(model, framework="pt") as file:
        values = json.loads(file.metadata()[METADATA_KEY])
    del values[CHECKSUM_KEY]
    change(values)
    values[CHECKSUM_KEY] = checksum(values, weights)
    save_file(weights, path, metadata={METADATA_KEY: json.dumps(values)})
    return path


class RunsCode:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("write", [lambda value, path: path.write_bytes(pickle.dumps(value)), torch.save])
def test_pickles_are_refused_and_never_loaded(tmp_path: Path, write: Callable[[Any, Path], object]) -> None:
    path = tmp_path / "a.s2fin"
    write(RunsCode(tmp_path / "made"), path)
    with pytest.raises(ModelFileError, match=r"a\.s2fin is not a model file or is damaged"):
        read_model(path)
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    "content",
    [
        struct.pack("<Q", 2**63) + b"{}",
        struct.pack("<Q", 2**32) + b"{}",
        struct.pack("<Q", 200_000) + b"[" * 200_000,
        struct.pack("<Q", 2) + b"{}",
    ],
)
def test_headers_that_claim_too_much(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.s2fin"
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=r"a\.s2fin"):
        read_model(path)


RUN: dict[str, Any] = {"command": "train", "files": [], "options": {}, "made_with": {}, "warnings": []}
FILE: dict[str, Any] = {"option": "msi", "path": "a.tif", "size": 1, "sha256": None}

CHANGES: dict[str, Callable[[dict[str, Any]], object]] = {
    "number of a band": lambda d: d["bands"][0].update(indexes=[10**30] * 5),
    "band twice": lambda d: d["bands"][0].update(indexes=[1] * 5),
    "path as a modality": lambda d: d["bands"][0].update(modality="../../etc/passwd"),
    "too few statistics": lambda d: d["bands"][0].update(mean=[1.0]),
    "text as a statistic": lambda d: d["bands"][0].update(low=["1"] * 5),
    "no scales": lambda d: d["bands"][0].update(scales=None),
    "no colors": lambda d: d["bands"][0].update(colors=None),
    "label sketch": lambda d: d["training"].update(label_sketch={"hashes": ""}),
    "number as a name": lambda d: d["bands"][0].update(band_names=[1] * 5),
    "class id": lambda d: d["classes"][0].update(id=70_000),
    "class id twice": lambda d: d["classes"][0].update(id=d["classes"][1]["id"]),
    "list as a class name": lambda d: d["classes"][0].update(name=["forest"]),
    "color": lambda d: d["classes"][0].update(color=[1, 2, 300]),
    "crs": lambda d: d.update(crs="/etc/passwd"),
    "res": lambda d: d.update(res=[0, 10]),
    "footprint": lambda d: d.update(footprint=[[1, 2]]),
    "epochs": lambda d: d["training"].update(epochs="many"),
    "endless epochs": lambda d: d["training"].update(epochs=10**400),
    "endless count of pixels": lambda d: d["training"].update(labelled_pixels={"forest": 10**400}),
    "endless refit": lambda d: d["training"].update(refit_epochs=10**400),
    "endless learning rate": lambda d: d["training"].update(learning_rate=10**400),
    "text as a use": lambda d: d["training"].update(use_of_second_image="x"),
    "use above 1": lambda d: d["training"].update(use_of_second_image=1.5),
    "figures": lambda d: d["training"].update(validation={"overall_accuracy": "1"}),
    "labelled pixels": lambda d: d["training"].update(labelled_pixels=[]),
    "versions": lambda d: d["versions"].update(s2fin=["1"]),
    "item": lambda d: d.update(stac_item={"assets": []}),
    "classes": lambda d: d["classes"].pop(),
    "bands": lambda d: d["bands"].pop(),
    "no bands": lambda d: d.update(bands=[]),
    "negative count": lambda d: d["training"].update(labelled_pixels={"forest": -1}),
    "text as findings": lambda d: d.update(findings="none"),
    "text as a loss": lambda d: d["findings"].update(losses=[["0.1"]]),
    "losses of many runs": lambda d: d["findings"].update(losses=[[0.1]] * 1000),
    "losses of many epochs": lambda d: d["findings"].update(losses=[[0.1] * 100_000]),
    "list as a member": lambda d: d["findings"].update(members=[["forest", 1]]),
    "long name of a member": lambda d: d["findings"]["members"][0].update(name="a" * 10**6),
    "large weight": lambda d: d["findings"]["members"][0].update(weight=1e300),
    "more right than pixels": lambda d: d["findings"]["reliability"]["intervals"][3].update(pixels=1, right=2),
    "confidence above 1": lambda d: d["findings"]["reliability"]["intervals"][9].update(mean_confidence=2),
    "image that is not there": lambda d: d["findings"]["values"][0].update(modality="thermal"),
    "values twice": lambda d: d["findings"].update(values=d["findings"]["values"] * 2),
    "bands that are not there": lambda d: d["findings"]["values"][0].update(indexes=[1, 2, 3, 4, 6]),
    "values of too few bands": lambda d: d["findings"]["values"][0]["classes"][0].update(mean=[1.0]),
    "values of too few classes": lambda d: d["findings"]["values"][0]["classes"].pop(),
    "value beyond a float32": lambda d: d["findings"]["values"][0]["classes"][0].update(mean=[1e300] * 5),
    "spread without a mean": lambda d: d["findings"]["values"][0]["classes"][0].update(mean=None),
    "list as a run": lambda d: d["findings"].update(run=["train"]),
    "number as a file": lambda d: d["findings"].update(run={**RUN, "files": [1]}),
    "endless size": lambda d: d["findings"].update(run={**RUN, "files": [{**FILE, "size": 10**400}]}),
    "nested options": lambda d: d["findings"].update(run={**RUN, "options": {"bidx": [[1]]}}),
    "many warnings": lambda d: d["findings"].update(run={**RUN, "warnings": ["a"] * 20_000}),
    "long warning": lambda d: d["findings"].update(run={**RUN, "warnings": ["a" * 10**6]}),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_made_up_description_is_refused(name: str, model: Path, tmp_path: Path) -> None:
    path = forged(model, tmp_path / "a.s2fin", CHANGES[name])
    with pytest.raises(ModelFileError, match=r"a\.s2fin is damaged: its (description|weights)") as caught:
        read_model(path)
    assert len(str(caught.value)) < 500


TENSORS: dict[str, dict[str, torch.Tensor | None]] = {
    "other features": {"values": torch.zeros(5, 99)},
    "no pixel": {"values": torch.zeros(0, 6)},
    "one axis": {"values": torch.zeros(6)},
    "another type": {"values": torch.zeros(5, 6, dtype=torch.float64)},
    "not finite": {"values": torch.full((5, 6), torch.nan)},
    "far too many": {"values": torch.zeros(1 << 15, 6)},
    "no scale": {"scale": None},
    "threshold of 0": {"scale": torch.tensor([1.0, 0.0], dtype=torch.float64)},
    "endless threshold": {"scale": torch.tensor([1.0, torch.inf], dtype=torch.float64)},
    "tiny scale": {"scale": torch.tensor([1e-300, 1.0], dtype=torch.float64)},
    "huge threshold": {"scale": torch.tensor([1.0, 1e300], dtype=torch.float64)},
    "huge values": {"values": torch.full((5, 6), 3e38)},
    "huge prototypes": {"prototypes": torch.full((2, 6), -3e38), "disagreement": torch.zeros(2)},
    "three scales": {"scale": torch.ones(3, dtype=torch.float64)},
    "prototypes alone": {"disagreement": None},
    "fewer values of prototypes": {"disagreement": torch.zeros(1)},
    "disagreement above 1": {"prototypes": torch.zeros(2, 6), "disagreement": torch.tensor([0.0, 1.5])},
    "something else": {"more": torch.zeros(1)},
}


@pytest.mark.parametrize("name", TENSORS)
def test_made_up_reference_pixels_are_refused(name: str, model: Path, tmp_path: Path) -> None:
    weights = load_file(model)
    for part, tensor in TENSORS[name].items():
        weights.pop(f"reference.{part}", None)
        weights |= {} if tensor is None else {f"reference.{part}": tensor}
    path = forged(model, tmp_path / "a.s2fin", lambda d: None, weights=weights)
    with pytest.raises(
        ModelFileError, match=r"a\.s2fin is damaged: (its weights do not fit|it holds weights that)"
    ) as caught:
        read_model(path)
    assert "reference pixels" in str(caught.value)
    assert len(str(caught.value)) < 500


def test_a_forgery_without_changes_is_a_model(model: Path, tmp_path: Path) -> None:
    assert read_info(forged(model, tmp_path / "a.s2fin", lambda d: None)) == read_info(model)


@pytest.mark.parametrize("sizes", [{"width": 10**9}, {"depth": 10**9}, {"context_width": 60_000, "deep_width": 60_000}])
def test_a_network_of_any_size_takes_no_memory(model: Path, tmp_path: Path, sizes: dict[str, int]) -> None:
    path = forged(model, tmp_path / "a.s2fin", lambda d: d["architecture"].update(sizes))
    with pytest.raises(ModelFileError, match="its weights do not fit its description"):
        read_model(path)


def test_a_wrong_bit_in_a_description_is_noticed_when_it_is_only_described(model: Path, tmp_path: Path) -> None:
    path, content = tmp_path / "a.s2fin", model.read_bytes()
    path.write_bytes(content.replace(b'\\"forest\\"', b'\\"fores4\\"', 1))
    assert path.read_bytes() != content
    with pytest.raises(ModelFileError, match="its checksum is wrong"):
        read_info(path)
