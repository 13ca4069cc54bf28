"""Options: bad values and unknown names are refused by name and value."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from s2fin_cli.core.errors import UsageError
from s2fin_cli.workflows.options.classify import ClassifyOptions
from s2fin_cli.workflows.options.train import TrainOptions

TRAIN: dict[str, Any] = {"hsi": "a.tif", "labels": "gt.shp"}
CLASSIFY: dict[str, Any] = {"hsi": "a.tif", "output": "map.tif"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("patch_size", 10), ("patch_size", 3), ("patch_size", 23), ("patch_size", 11.0), ("patch_size", "11"),
        ("epochs", 0), ("epochs", 1.5), ("epochs", "ten"), ("batch_size", -1), ("labels_per_class", 0),
        ("labels_per_class", None), ("learning_rate", 0), ("learning_rate", 1.01), ("learning_rate", float("nan")),
        ("learning_rate", "1e-3"), ("validation", 1), ("validation", -0.1), ("validation", float("nan")),
        ("split", "random pixels"), ("device", "gpu"), ("resampling", "bicubic"), ("seed", -1), ("seed", 0.5),
        ("seed", 2**64), ("seed", True), ("epochs", True), ("learning_rate", True), ("validation", False),
        ("learning_rate", np.float32("nan")),
    ],
)  # fmt: skip
def test_bad_values_of_training_options(name: str, value: object) -> None:
    with pytest.raises(UsageError) as caught:
        TrainOptions.from_kwargs({**TRAIN, name: value})
    assert str(caught.value).startswith(f"`{name}` is {value!r}; it must be ")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("tile_size", 15), ("tile_size", "256"), ("device", None), ("format", "PNG"), ("precision", "float16"),
        ("mmu", 0), ("mmu", 2.5), ("simplify", 0), ("simplify", "1"),
    ],
)  # fmt: skip
def test_bad_values_of_classification_options(name: str, value: object) -> None:
    with pytest.raises(UsageError, match=f"`{name}` is {value!r}; it must be "):
        ClassifyOptions.from_kwargs({**CLASSIFY, name: value})


@pytest.mark.parametrize("option", ["COMPRESS", "=LZW", 5])
def test_a_creation_option_has_a_name_and_a_value(option: object) -> None:
    with pytest.raises(UsageError, match=f"`co` is {option!r}; it must be NAME=VALUE"):
        ClassifyOptions.from_kwargs({**CLASSIFY, "co": ["COMPRESS=LZW", option]})


@pytest.mark.parametrize("share", ["water", "=5", "water=", "water=much", "water=-1", "water=101", "water=nan", 5])
def test_a_prior_has_a_class_and_a_percentage(share: object) -> None:
    with pytest.raises(UsageError, match=re.escape(f"`prior` is {share!r}; it must be CLASS=PERCENT, 0 to 100")):
        ClassifyOptions.from_kwargs({**CLASSIFY, "prior": ["bare soil=12.5", "a=b=0 %", share]})


def test_texts_may_come_alone_or_one_after_another() -> None:
    options = ClassifyOptions.from_kwargs({**CLASSIFY, "prior": "water=5", "co": iter(["A=1", "B=2"])})
    assert (options.prior, options.co) == (("water=5",), ("A=1", "B=2"))


@pytest.mark.parametrize("option", [{"polygons": "a.gpkg"}, {"mmu": 5}, {"simplify": 2.0}])
def test_options_of_polygons_that_are_not_wanted(option: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="apply to polygons, which `vector=False` turns off"):
        ClassifyOptions.from_kwargs({**CLASSIFY, "vector": False, **option})


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({**TRAIN, "epoch": 3}, "unknown option 'epoch'; did you mean 'epochs'?"),
        ({**TRAIN, "lables": "gt.shp"}, "unknown option 'lables'; did you mean 'labels'?"),
        ({**TRAIN, "zzz": 3}, "unknown option 'zzz'; known are: hsi, msi, lidar"),
        ({"hsi": "a.tif"}, "`labels` is missing"),
        ({"labels": "gt.shp"}, "no passive image was given; name it with `hsi` or `msi`"),
    ],
)
def test_wrong_names(kwargs: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        TrainOptions.from_kwargs(kwargs)
    assert message in str(caught.value)


def test_good_values_at_the_limits() -> None:
    for limits in (
        {"patch_size": 5, "epochs": 1, "batch_size": 1, "labels_per_class": 1, "learning_rate": 1, "validation": 0},
        {"patch_size": 21, "validation": 0.99, "learning_rate": 1e-9, "seed": 2**63 - 1},
        {"patch_size": np.int64(9), "seed": np.int32(4), "resampling": "average", "split": "blocks"},
    ):
        options = TrainOptions.from_kwargs({**TRAIN, **limits})
        assert {name: getattr(options, name) for name in limits} == limits
    assert ClassifyOptions.from_kwargs({**CLASSIFY, "tile_size": 16}).tile_size == 16


def test_numpy_numbers_become_plain_ones() -> None:
    given = {"patch_size": np.int64(9), "epochs": np.uint8(3), "batch_size": np.int64(8), "seed": np.int64(3)}
    options = TrainOptions.from_kwargs(
        {**TRAIN, **given, "labels_per_class": np.int16(5), "learning_rate": np.float32(0.5), "validation": np.int8(0)}
    )
    json.dumps(vars(options))
    assert type(options.validation) is float
    assert type(options.seed) is int
    assert type(ClassifyOptions.from_kwargs({**CLASSIFY, "tile_size": np.int64(64)}).tile_size) is int


def test_paths_by_modality() -> None:
    options = ClassifyOptions(msi=["b2.tif", Path("b3.tif")], sar="c.tif", output="map.tif")
    several = ("b2.tif", "b3.tif")
    assert options.src_paths == {"hsi": (), "msi": several, "lidar": (), "dsm": (), "sar": ("c.tif",), "thermal": ()}
    assert options.inputs == ["b2.tif", "b3.tif", "c.tif"]
    with pytest.raises(dataclasses.FrozenInstanceError):
        options.msi = "d.tif"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("given", "choice"),
    [
        ("3", {"hsi": (3,)}),
        (["1..3, 8", "lidar:2", "hsi:10"], {"hsi": (1, 2, 3, 8, 10), "lidar": (2,)}),
        (["5,2..3"], {"hsi": (5, 2, 3)}),
        ([], {}),
    ],
)
def test_bands_are_chosen_by_modality(given: str | list[str], choice: dict[str, tuple[int, ...]]) -> None:
    options = ClassifyOptions(hsi="a.tif", lidar="b.tif", output="map.tif", bidx=given)
    assert options.band_choice == choice


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("0", "`bidx` is '0'; it must be numbers of bands from 1, e.g. 1..5,8 or lidar:1"),
        ("3..1", "`bidx` is '3..1'; it must be numbers of bands from 1"),
        ("a", "`bidx` is 'a'"),
        ("1,,2", "`bidx` is '1,,2'"),
        ("1..999999999", "`bidx` is '1..999999999'"),
        ("1,1", "`bidx` is '1,1'; it must be numbers of bands, each once"),
        ("sar:1", "`bidx` is 'sar:1', but no `sar` was given"),
        ("lidr:1", "`bidx` is 'lidr:1', but no `lidr` was given"),
    ],
)
def test_a_wrong_choice_of_bands_is_refused(given: str, message: str) -> None:
    with pytest.raises(UsageError, match="^" + re.escape(message)):
        ClassifyOptions(hsi="a.tif", lidar="b.tif", output="map.tif", bidx=given)
