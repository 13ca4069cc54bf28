"""The table of modalities: all that lists them agrees with it."""

from __future__ import annotations

from dataclasses import fields

import pytest

from s2fin_cli.cli.main import cli
from s2fin_cli.core.modality import MODALITIES, Modality, PlausibleRange, Role, no_passive_image, passive_of
from s2fin_cli.core.options import InputOptions
from s2fin_cli.workflows.options.align import AlignOptions


def test_each_modality_is_a_field_and_an_option_in_the_order_of_the_table() -> None:
    names = list(MODALITIES)
    assert [field.name for field in fields(InputOptions) if "StrPath | Sequence" in str(field.type)] == names
    for command in ("train", "classify"):
        options = {parameter.name: parameter for parameter in cli.commands[command].params}
        assert [name for name in options if name in MODALITIES] == names
        for name, modality in MODALITIES.items():
            assert vars(options[name])["help"] == f"{modality.help} {modality.help_of_role}".strip()
            assert options[name].multiple


def test_to_align_no_image_is_said_to_set_the_grid() -> None:
    helps = {parameter.name: vars(parameter)["help"] for parameter in cli.commands["align"].params}
    assert {name: helps[name] for name in MODALITIES if name in helps} == {
        name: modality.help for name, modality in MODALITIES.items() if name != "hsi"
    }
    assert not any("passive image" in text for text in helps.values())


def test_every_given_image_is_read() -> None:
    given = {name: f"{name}.tif" for name in MODALITIES}
    expected = {name: (path,) for name, path in given.items()}
    assert InputOptions.from_kwargs(given).src_paths == expected
    aligned = AlignOptions.from_kwargs({"like": "a.tif", "output": "b.tif", "thermal": "thermal.tif"})
    assert aligned.src_paths == {**dict.fromkeys(MODALITIES, ()), "hsi": ("a.tif",), "thermal": ("thermal.tif",)}


def test_the_passive_image_is_the_first_of_the_table() -> None:
    assert passive_of(["sar", "msi", "hsi"]) == "hsi"
    assert passive_of(["dsm", "msi"]) == "msi"
    assert passive_of(["lidar", "thermal"]) is None
    assert no_passive_image() == "no passive image was given; name it with `hsi` or `msi`"


def test_values_are_plausible_in_one_unit_at_a_time() -> None:
    ranges = (PlausibleRange("kelvin", 150, 400), PlausibleRange("degrees Celsius", -100, 150))
    thermal = Modality(name="t", role=Role.SECOND, help="", plausible=ranges)
    assert thermal.is_plausible(280, 310)
    assert thermal.is_plausible(-20, 40)
    assert not thermal.is_plausible(0, 310)  # pixels without data among kelvin
    assert thermal.describe_plausible() == "150 to 400 kelvin or -100 to 150 degrees Celsius"
    assert MODALITIES["sar"].is_plausible(-1e9, 1e9)


@pytest.mark.parametrize("name", MODALITIES)
def test_an_entry_has_the_name_of_its_key_and_a_help(name: str) -> None:
    modality = MODALITIES[name]
    assert modality.name == name
    assert modality.help.endswith(".")
