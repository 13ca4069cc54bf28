"""The configuration: what it refuses, and that it survives JSON."""

import dataclasses
import json
from typing import Any

import pytest

from s2fin import S2FinConfig
from s2fin.config import PARTS

REQUIRED: dict[str, Any] = {"in_channels": 144, "aux_channels": 1, "num_classes": 15}


def test_round_trip_through_json() -> None:
    cfg = S2FinConfig(
        **REQUIRED, patch_size=9, components=4, context_size=7, afcm=False, resonance="spatial", dropout=0
    )
    assert S2FinConfig.from_dict(json.loads(json.dumps(cfg.to_dict()))) == cfg


def test_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        S2FinConfig(**REQUIRED).width = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("in_channels", 0),
        ("in_channels", 2.5),
        ("aux_channels", -1),
        ("num_classes", 1),
        ("num_classes", True),
        ("patch_size", 10),
        ("patch_size", 3),
        ("patch_size", 23),
        ("components", 0),
        ("components", 1.5),
        ("context_size", 1),
        ("context_size", -1),
        ("context_size", 0),
        ("context_size", 11),
        ("context_size", 63),
        ("context_size", 15.0),
        ("context_size", False),
        ("context_width", 0),
        ("context_width", 64.0),
        ("width", 42),
        ("depth", 0),
        ("topk", 0.0),
        ("temperature", 0.0),
        ("dropout", 1.0),
        ("hfset", 1),
        ("frequency_mask", "medium"),
        ("resonance", 7),
    ],
)
def test_refuses_a_wrong_value_and_shows_it(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=rf"{name} must be .*got {value!r}"):
        S2FinConfig.from_dict({**REQUIRED, name: value})


def test_components_that_stand_in_for_the_second_image_are_its_bands() -> None:
    with pytest.raises(ValueError, match="aux_channels must be as many as components, got 1"):
        S2FinConfig(**REQUIRED, aux_from_image=True)
    cfg = S2FinConfig(in_channels=144, aux_channels=12, num_classes=15, aux_from_image=True)
    assert cfg.components == cfg.aux_channels
    assert S2FinConfig(**REQUIRED, components=5).aux_channels == 1  # a second image of its own has bands of its own


@pytest.mark.parametrize(("context_size", "scales"), [(3, (3,)), (7, (3, 7)), (15, (3, 7, 15)), (31, (3, 7, 15, 31))])
@pytest.mark.parametrize("patch_size", [5, 7, 21])
def test_a_patch_holds_the_context_of_each_pixel_of_the_window(
    patch_size: int, context_size: int, scales: tuple[int, ...]
) -> None:
    cfg = S2FinConfig(**REQUIRED, patch_size=patch_size, context_size=context_size)
    assert cfg.context_scales == scales
    assert (cfg.near_size, cfg.input_size) == (patch_size + 2, patch_size + context_size - 1)
    assert cfg.near_size <= cfg.input_size
    assert cfg.input_size % 2 == cfg.near_size % 2 == 1, "both have the same pixel in their middle"


def test_the_context_is_of_both_images_or_of_the_one_that_there_is() -> None:
    assert S2FinConfig(in_channels=20, aux_channels=3, num_classes=2, components=5).context_channels == 8
    alone = S2FinConfig(in_channels=20, aux_channels=5, num_classes=2, components=5, aux_from_image=True)
    assert alone.context_channels == 5


def test_the_default_patch_has_37_pixels_a_side() -> None:
    cfg = S2FinConfig(**REQUIRED)
    assert (cfg.patch_size, cfg.context_size, cfg.input_size) == (7, 31, 37)


@pytest.mark.parametrize("part", PARTS)
def test_no_part_changes_what_a_network_learns_from(part: str) -> None:
    cfg = S2FinConfig(**REQUIRED)
    other = S2FinConfig.from_dict({**cfg.to_dict(), part: False})
    assert (other.near_size, other.input_size) == (cfg.near_size, cfg.input_size)


def test_refuses_unknown_and_missing_keys_by_name() -> None:
    with pytest.raises(ValueError, match="unknown network options: deepth, weight"):
        S2FinConfig.from_dict({**REQUIRED, "weight": 3, "deepth": 1})
    with pytest.raises(ValueError, match="missing network options: aux_channels, num_classes"):
        S2FinConfig.from_dict({"in_channels": 3})


@pytest.mark.parametrize(
    ("bands", "tokens", "group"),
    [(1, 1, 1), (3, 3, 1), (12, 12, 1), (16, 16, 1), (17, 9, 2), (144, 16, 9), (426, 16, 27)],
)
def test_bands_fill_the_tokens(bands: int, tokens: int, group: int) -> None:
    cfg = S2FinConfig(in_channels=bands, aux_channels=1, num_classes=2)
    assert (cfg.num_tokens, cfg.group_size) == (tokens, group)
    assert (tokens - 1) * group < bands <= tokens * group  # no token is empty
