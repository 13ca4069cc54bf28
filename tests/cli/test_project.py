"""The project file: its keys, its paths, and which values override which."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner, Result
from shapely import box

from s2fin_cli.cli.main import cli
from s2fin_cli.cli.project import read_defaults
from s2fin_cli.core.errors import UsageError
from tests.files import write_raster, write_vector


def defaults(folder: Path, text: str) -> dict[str, dict[str, Any]]:
    (folder / "s2fin.toml").write_text(text, encoding="utf-8")
    found = read_defaults(folder / "s2fin.toml", cli.commands)
    return {name: of.runs[0] for name, of in found.items()}


def run(*args: str) -> Result:
    return CliRunner().invoke(cli, list(args))


def test_keys_at_the_top_hold_for_every_command_that_has_them(tmp_path: Path) -> None:
    values = defaults(tmp_path, 'hsi = "a.tif"\nepochs = 3\noverwrite = true\n')
    image = str(tmp_path / "a.tif")
    assert values["train"] == {"hsi": [image], "epochs": 3, "overwrite": True}
    assert values["classify"] == {"hsi": [image], "overwrite": True}
    assert values["evaluate"] == {"overwrite": True}
    assert values["inspect"] == {"overwrite": True}


def test_keys_in_a_table_come_first_and_hold_for_one_command(tmp_path: Path) -> None:
    values = defaults(tmp_path, 'output = "all"\n[train]\noutput = "a.s2fin"\nseed = 1\n[classify]\nvector = false\n')
    assert values["train"] == {"output": str(tmp_path / "a.s2fin"), "seed": 1}
    assert values["classify"] == {"output": str(tmp_path / "all"), "vector": False}


@pytest.mark.parametrize("key", ["patch-size", "patch_size"])
def test_keys_with_dashes_or_underscores(tmp_path: Path, key: str) -> None:
    assert defaults(tmp_path, f"{key} = 9")["train"] == {"patch_size": 9}
    assert defaults(tmp_path, f"[train]\n{key} = 9")["train"] == {"patch_size": 9}


def test_keys_are_the_names_of_options(tmp_path: Path) -> None:
    values = defaults(tmp_path, '[evaluate]\nmap = "map.tif"\n')
    assert values["evaluate"] == {"map": str(tmp_path / "map.tif")}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epoch = 3", r"s2fin\.toml: unknown key 'epoch'; did you mean 'epochs'\?"),
        ("[train]\npatchsize = 3", r"table \[train\]: unknown key 'patchsize'; did you mean 'patch_size'\?"),
        ("[trian]\nepochs = 3", r"unknown key 'trian'; did you mean 'train'\?"),
        ("[classify]\nepochs = 3", r"table \[classify\]: unknown key 'epochs'"),
        ("json = true", "unknown key 'json'"),
        ("quiet = true", "unknown key 'quiet'"),
        ("classify = 3", r"s2fin\.toml: 'classify' is a command; write its options below a line \[classify\]"),
        ("epochs = ", "is not valid TOML: Invalid value"),
        ("hsi = a.tif", r'is not valid TOML: .*; text must be in quotes: name = "\.\.\."'),
        ("epochs = 3\nepochs = 4", "is not valid TOML"),
    ],
)
def test_wrong_keys_are_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        defaults(tmp_path, text)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"gone\.toml does not exist \(looked in .*\); check the path"):
        read_defaults(tmp_path / "gone.toml", cli.commands)
    (tmp_path / "s2fin.toml").write_bytes(b'hsi = "\xff"')
    with pytest.raises(UsageError, match=r"s2fin\.toml cannot be read .*utf-8"):
        read_defaults(tmp_path / "s2fin.toml", cli.commands)


def test_a_byte_order_mark_is_no_key(tmp_path: Path) -> None:
    (tmp_path / "s2fin.toml").write_text("epochs = 3", encoding="utf-8-sig")
    assert read_defaults(tmp_path / "s2fin.toml", cli.commands)["train"].runs == [{"epochs": 3}]


@pytest.mark.parametrize(
    "name",
    ["/vsizip/a.zip/b.tif", "https://example.org/a.tif", "NETCDF:a.nc:ndvi", 'GPKG:"a b.gpkg":one', "/data/a.tif"],
)
def test_names_that_stand_for_themselves(tmp_path: Path, name: str) -> None:
    assert defaults(tmp_path, f"hsi = {name!r}")["classify"] == {"hsi": [name]}


def test_relative_paths_start_at_the_file(tmp_path: Path) -> None:
    values = defaults(tmp_path, 'labels = "labels/gt.shp"\nmsi = "../a, b.tif"\nlabel_field = "a"\ndevice = "cpu"')
    assert values["train"] == {
        "labels": [str(tmp_path / "labels" / "gt.shp")],
        "msi": [str(tmp_path / ".." / "a, b.tif")],
        "label_field": "a",
        "device": "cpu",
    }


def test_every_key_is_an_option(tmp_path: Path) -> None:
    for name, command in cli.commands.items():
        for parameter in command.params:
            if isinstance(parameter, click.Option) and parameter.name in ("epochs", "seed", "tile_size", "batch_size"):
                assert defaults(tmp_path, f"[{name}]\n{parameter.name} = 17")[name] == {parameter.name: 17}


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a map, references in two fields, and a project file; the current folder is another one."""
    folder = tmp_path / "scene"
    folder.mkdir()
    write_raster(folder / "map.tif", np.repeat([[1, 1, 2, 2]], 4, axis=0).astype("uint8"), nodata=0)
    boxes = [box(500_000, 4_999_960, 500_020, 5_000_000), box(500_020, 4_999_960, 500_040, 5_000_000)]
    write_vector(folder / "gt.gpkg", boxes, right=[1, 2], wrong=[2, 1])
    (folder / "s2fin.toml").write_text('[evaluate]\nmap = "map.tif"\nreference = "gt.gpkg"\nlabel-field = "wrong"\n')
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return folder


def overall_accuracy(result: Result) -> float:
    assert result.exit_code == 0, result.output
    return float(json.loads(result.stdout)["overall_accuracy"])


def test_commands_take_their_options_from_the_file(scene: Path) -> None:
    result = run("--config", str(scene / "s2fin.toml"), "evaluate", "--json")
    assert overall_accuracy(result) == 0


def test_the_command_line_comes_before_the_file(scene: Path) -> None:
    result = run("--config", str(scene / "s2fin.toml"), "evaluate", "--label-field", "right", "--json")
    assert overall_accuracy(result) == 1


def test_the_file_in_the_current_folder_is_found(scene: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(scene)
    assert overall_accuracy(run("evaluate", "--label-field", "right", "--json")) == 1


def test_without_a_file_the_options_are_missing(scene: Path) -> None:
    result = run("evaluate", "--label-field", "right", "--json")
    assert result.exit_code == 2
    assert "--map" in result.stderr


def test_a_wrong_file_ends_the_program_with_code_2(scene: Path) -> None:
    (scene / "s2fin.toml").write_text("hsy = 3")
    result = run("--config", str(scene / "s2fin.toml"), "inspect", str(scene / "map.tif"))
    assert result.exit_code == 2
    assert "unknown key 'hsy'; did you mean 'hsi'?" in result.stderr
    assert "Traceback" not in result.output


def test_a_value_of_the_wrong_type_is_wrong_usage(scene: Path) -> None:
    (scene / "s2fin.toml").write_text('[train]\nepochs = "many"\nhsi = "map.tif"\nlabels = "gt.gpkg"')
    result = run("--config", str(scene / "s2fin.toml"), "train")
    assert result.exit_code == 2
    assert "table [train]: epochs is 'many'; it must be a whole number" in result.stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epochs = 2.9", "s2fin.toml: epochs is 2.9; it must be a whole number"),
        ("seed = true", "s2fin.toml: seed is True; it must be a whole number"),
        ("[train]\nbatch-size = 8.0", "s2fin.toml, table [train]: batch-size is 8.0; it must be a whole number"),
        ("learning_rate = '1e-3'", "learning_rate is '1e-3'; it must be a number"),
        ("validation = false", "validation is False; it must be a number"),
        ("refit = 1", "refit is 1; it must be true or false"),
        ("overwrite = 'yes'", "overwrite is 'yes'; it must be true or false"),
        ('msi = ["a", 2]', 'msi is 2; it must be a text in quotes, "...", or a list'),
        ('label_field = ["a"]', "label_field is ['a']; it must be a text in quotes"),
        ("label_field = 3", "label_field is 3; it must be a text"),
        ("split = 2026-01-01", "split is datetime.date(2026, 1, 1); it must be a text"),
    ],
)
def test_values_of_wrong_types_are_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        defaults(tmp_path, text)
    assert message in str(caught.value)


def test_a_whole_number_is_a_number(tmp_path: Path) -> None:
    assert defaults(tmp_path, "learning_rate = 1")["train"] == {"learning_rate": 1}


def test_help_does_not_need_a_right_file(scene: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(scene)
    (scene / "s2fin.toml").write_text("hsy = 3")
    for flag in ("-h", "--help"):
        result = run("train", flag)
        assert result.exit_code == 0, result.output
        assert "--epochs" in result.stdout
    assert run("train").exit_code == 2


@pytest.mark.parametrize("name", [r"C:\data\a.tif", "C:/data/a.tif", "flight 10:30.tif"])
def test_a_drive_is_a_plain_path(tmp_path: Path, name: str) -> None:
    assert defaults(tmp_path, f"hsi = {name!r}".replace("\\\\", "\\"))["classify"] == {"hsi": [str(tmp_path / name)]}


def test_lists_hold_the_files_of_an_image(tmp_path: Path) -> None:
    values = defaults(tmp_path, 'msi = ["b 1.tif", "/vsizip/a.zip/b2.tif"]\nbidx = "1..2"\n[classify]\nco = ["A=1"]')
    msi = [str(tmp_path / "b 1.tif"), "/vsizip/a.zip/b2.tif"]
    assert values["train"] == {"msi": msi, "bidx": ["1..2"]}
    assert values["classify"] == {"msi": msi, "bidx": ["1..2"], "co": ["A=1"]}


def test_split_is_a_command_and_an_option(tmp_path: Path) -> None:
    values = defaults(tmp_path, 'split = "blocks"\n')
    assert values["train"] == {"split": "blocks"}
    assert values["split"] == {}
    values = defaults(tmp_path, 'labels = "gt.shp"\n[split]\nshare = 0.3\n[train]\nsplit = "random"\n')
    assert values["split"] == {"labels": [str(tmp_path / "gt.shp")], "share": 0.3}
    assert values["train"] == {"labels": [str(tmp_path / "gt.shp")], "split": "random"}
    values = defaults(tmp_path, '[train]\nlabels = ["gt.shp", "next.gpkg"]\n')
    assert values["train"]["labels"] == [str(tmp_path / "gt.shp"), str(tmp_path / "next.gpkg")]


def test_bounds_are_a_list_of_four_numbers(tmp_path: Path) -> None:
    values = defaults(tmp_path, "bounds = [1, 2.5, 3, 4]\n")
    assert values["train"] == {"bounds": [1, 2.5, 3, 4]}
    for text, message in (
        ("bounds = [1, 2, 3]", "bounds is [1, 2, 3]; it must be a list of 4 numbers"),
        ("bounds = 1", "bounds is 1; it must be a list of 4 numbers"),
        ('bounds = [1, 2, 3, "4"]', "bounds is '4'; it must be a number"),
    ):
        with pytest.raises(UsageError) as caught:
            defaults(tmp_path, text)
        assert message in str(caught.value)


def runs_of(folder: Path, text: str, command: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    (folder / "s2fin.toml").write_text(text, encoding="utf-8")
    found = read_defaults(folder / "s2fin.toml", cli.commands)[command]
    return found.shared, found.runs


def test_several_tables_are_several_runs(tmp_path: Path) -> None:
    text = 'crs = "EPSG:32615"\n[[convert]]\nsrc = "a.mat"\n[[convert]]\nsrc = "b.mat"\ncrs = "EPSG:32616"\n'
    shared, runs = runs_of(tmp_path, text, "convert")
    assert shared == {"crs": "EPSG:32615"}
    assert runs == [
        {"crs": "EPSG:32615", "src": str(tmp_path / "a.mat")},
        {"crs": "EPSG:32616", "src": str(tmp_path / "b.mat")},
    ]
    assert runs_of(tmp_path, text, "train") == ({}, [{}])
    with pytest.raises(UsageError, match=r"table 2 of \[\[convert\]\]: unknown key 'scr'; did you mean 'src'\?"):
        runs_of(tmp_path, text.replace('src = "b', 'scr = "b'), "convert")
    with pytest.raises(UsageError, match=r"'convert' is a command; write its options below a line \[convert\]"):
        runs_of(tmp_path, "convert = [1, 2]", "convert")


@pytest.fixture
def two_reports(scene: Path) -> Path:
    """A project with two evaluations, right and wrong."""
    tables = [
        f'[[evaluate]]\nmap = "map.tif"\nreference = "gt.gpkg"\nlabel-field = "{field}"\noutput = "{field}.json"\n'
        for field in ("right", "wrong")
    ]
    (scene / "s2fin.toml").write_text("\n".join(tables))
    return scene


def test_a_command_runs_once_for_each_table(two_reports: Path) -> None:
    result = run("--config", str(two_reports / "s2fin.toml"), "evaluate", "-q")
    assert result.exit_code == 0, result.output
    figures = [json.loads((two_reports / f"{name}.json").read_text()) for name in ("right", "wrong")]
    assert [f["overall_accuracy"] for f in figures] == [1, 0]


def test_the_command_line_holds_for_each_table(two_reports: Path) -> None:
    config = ("--config", str(two_reports / "s2fin.toml"))
    assert run(*config, "evaluate", "--label-field", "right").exit_code == 0
    again = run(*config, "evaluate", "--label-field", "right")
    assert (again.exit_code, "right.json already exists" in again.stderr) == (1, True)
    assert run(*config, "evaluate", "--label-field", "right", "--overwrite").exit_code == 0
    assert json.loads((two_reports / "wrong.json").read_text())["overall_accuracy"] == 1


def test_an_output_on_the_command_line_is_a_run_of_its_own(two_reports: Path) -> None:
    config, own = ("--config", str(two_reports / "s2fin.toml")), ("-o", str(two_reports / "own.json"))
    result = run(*config, "evaluate", *own)
    assert (result.exit_code, "--map" in result.stderr) == (2, True)
    inputs = ("--map", str(two_reports / "map.tif"), "--reference", str(two_reports / "gt.gpkg"))
    result = run(*config, "evaluate", *own, *inputs, "--label-field", "right")
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in two_reports.glob("*.json")) == ["own.json"]


def test_a_wrong_value_names_the_table_that_it_is_in(two_reports: Path) -> None:
    project = two_reports / "s2fin.toml"
    project.write_text(project.read_text().replace("wrong.json", "wrong.pdf"))
    result = run("--config", str(project), "evaluate", "-q")
    assert result.exit_code == 2
    assert result.stderr.startswith("error: table 2 of [[evaluate]]: ")
    assert "wrong.pdf has the suffix '.pdf'" in result.stderr
    project.write_text(project.read_text().replace("wrong.pdf", "wrong.json").replace("gt.gpkg", "none.gpkg"))
    result = run("--config", str(project), "evaluate", "-q", "--overwrite")
    assert result.exit_code == 1
    assert re.match(r"error: table 1 of \[\[evaluate\]\]: .*none\.gpkg", result.stderr)


def test_the_images_of_the_scene_are_not_those_to_align(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.tif", "b.tif"):
        write_raster(tmp_path / name, np.ones((1, 4, 4), np.uint8))
    text = 'msi = "a.tif"\ndsm = "no.tif"\nbidx = "dsm:1"\nnodata = "dsm:0"\noverwrite = true\n'
    values = defaults(tmp_path, f'{text}[align]\nlike = "a.tif"\n')
    assert values["align"] == {"like": str(tmp_path / "a.tif"), "overwrite": True}
    assert values["train"].keys() == {"msi", "dsm", "bidx", "nodata", "overwrite"}
    result = run("align", "--lidar", "b.tif", "-o", "c.tif")
    assert result.exit_code == 0, result.stderr
    assert defaults(tmp_path, '[align]\nlidar = "b.tif"\n')["align"] == {"lidar": [str(tmp_path / "b.tif")]}


def test_nothing_runs_where_one_table_is_wrong(two_reports: Path) -> None:
    with (two_reports / "s2fin.toml").open("a") as file:
        file.write("[[evaluate]]\noutput = 'third.json'\n")
    result = run("--config", str(two_reports / "s2fin.toml"), "evaluate")
    assert result.exit_code == 2
    assert "error: table 3 of [[evaluate]]: missing option '--map' (see" in result.stderr
    assert not list(two_reports.glob("*.json"))
    assert run("--config", str(two_reports / "s2fin.toml"), "evaluate", "--help").exit_code == 0


def test_a_project_file_that_is_found_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_raster(tmp_path / "a.tif", np.ones((1, 4, 4), np.uint8))
    (tmp_path / "s2fin.toml").write_text("overwrite = true\n")
    found = "project file: s2fin.toml, found in the current directory\n"
    assert run("inspect", "a.tif").stderr == found
    assert run("inspect", "a.tif", "-q").stderr == ""
    assert run("--config", "s2fin.toml", "inspect", "a.tif").stderr == ""
