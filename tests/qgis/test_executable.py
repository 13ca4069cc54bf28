"""How the plugin finds s2fin, what it asks of it, and the environment that it runs it in."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from qgis_plugin.s2fin.executable import NotFoundError, Place, clean_environment, find, folders
from qgis_plugin.s2fin.process import CancelledError
from qgis_plugin.s2fin.version import check_version
from s2fin_cli.core.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.qgis.qgis_of_debian import Qgis

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the programs of these tests are shell scripts")


def program(path: Path, text: str = "echo 's2fin, version 0.1.0'") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def place(
    home: Path, variables: Mapping[str, object] | None = None, *, setting: str = "", system: str = "linux"
) -> Place:
    return Place(setting, {name: str(value) for name, value in (variables or {}).items()}, home, system)


@pytest.mark.parametrize(
    "where",
    [
        ".local/bin", ".local/share/uv/tools/s2fin/bin", ".local/share/pipx/venvs/s2fin/bin",
        ".local/pipx/venvs/s2fin/bin", "miniforge3/envs/s2fin/bin", "miniforge3/bin", ".pixi/bin",
        ".virtualenvs/s2fin/bin",
    ],
)  # fmt: skip
def test_where_tools_install_programs(tmp_path: Path, where: str) -> None:
    wanted = program(tmp_path / where / "s2fin")
    assert find(place(tmp_path)) == wanted


@pytest.mark.parametrize(
    ("variable", "below"),
    [
        ("PATH", ""), ("UV_TOOL_BIN_DIR", ""), ("PIPX_BIN_DIR", ""), ("UV_TOOL_DIR", "s2fin/bin"),
        ("PIPX_HOME", "venvs/s2fin/bin"), ("VIRTUAL_ENV", "bin"), ("CONDA_PREFIX", "bin"),
        ("MAMBA_ROOT_PREFIX", "envs/s2fin/bin"), ("XDG_DATA_HOME", "uv/tools/s2fin/bin"),
    ],
)  # fmt: skip
def test_where_variables_of_tools_say(tmp_path: Path, variable: str, below: str) -> None:
    folder = tmp_path / "elsewhere"
    wanted = program(folder / below / "s2fin")
    assert find(place(tmp_path / "home", {variable: folder})) == wanted


@pytest.mark.parametrize(
    "where",
    [
        ".local/bin/s2fin.exe", "AppData/Roaming/uv/data/tools/s2fin/Scripts/s2fin.exe",
        "pipx/venvs/s2fin/Scripts/s2fin.exe", "AppData/Local/miniforge3/envs/s2fin/Scripts/s2fin.exe",
        "AppData/Roaming/Python/Python312/Scripts/s2fin.exe",
    ],
)  # fmt: skip
def test_where_tools_install_programs_on_windows(tmp_path: Path, where: str) -> None:
    wanted = program(tmp_path / where)
    assert find(place(tmp_path, system="win32")) == wanted
    assert not any(folder == wanted.parent for folder in folders(place(tmp_path, system="linux"))) or where[0] == "."


def test_conda_has_a_list_of_environments(tmp_path: Path) -> None:
    wanted = program(tmp_path / "disk" / "maps" / "bin" / "s2fin")
    (tmp_path / ".conda").mkdir()
    (tmp_path / ".conda" / "environments.txt").write_text(f"/gone\n\n{tmp_path}/disk/maps\n")
    assert find(place(tmp_path)) == wanted


def test_the_setting_comes_first_then_the_variable_then_path(tmp_path: Path) -> None:
    setting, variable, path = (program(tmp_path / name / "s2fin") for name in ("setting", "variable", "path"))
    variables = {"S2FIN_EXECUTABLE": variable, "PATH": path.parent}
    assert find(place(tmp_path, variables, setting=str(setting))) == setting
    assert find(place(tmp_path, variables)) == variable
    assert find(place(tmp_path, {"PATH": path.parent})) == path


@pytest.mark.parametrize("given", ["env/bin/s2fin", "env/bin", "env", "~/env"])
def test_the_setting_may_be_a_program_or_a_folder_of_its_environment(
    tmp_path: Path, given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = program(tmp_path / "env" / "bin" / "s2fin")
    setting = given if given.startswith("~") else str(tmp_path / given)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert find(place(tmp_path, setting=setting)) == wanted


@pytest.mark.parametrize(("setting", "by"), [(True, "the setting of the plugin"), (False, r"\$S2FIN_EXECUTABLE")])
def test_a_program_that_the_user_names_and_is_not_there_is_no_reason_to_take_another(
    tmp_path: Path, setting: bool, by: str
) -> None:
    program(tmp_path / ".local" / "bin" / "s2fin")
    named = str(tmp_path / "gone" / "s2fin")
    here = place(tmp_path, setting=named) if setting else place(tmp_path, {"S2FIN_EXECUTABLE": named})
    with pytest.raises(
        NotFoundError, match=rf"^{by} names .*gone/s2fin, and there is no s2fin to run; correct it or clear"
    ):
        find(here)


def test_without_s2fin_one_sentence_says_how_to_install_it(tmp_path: Path) -> None:
    unusable = program(tmp_path / ".local" / "bin" / "s2fin")
    unusable.chmod(0o644)
    (tmp_path / "bin" / "s2fin").mkdir(parents=True)
    with pytest.raises(NotFoundError) as caught:
        find(place(tmp_path, {"PATH": tmp_path / "bin"}))
    assert str(caught.value) == (
        "s2fin is not installed, or not found: install it by “uv tool install git+https://github.com/s2fin/s2fin” in a "
        "terminal, or choose the program in Settings > Options > Processing > Providers > s2fin"
    )


@pytest.mark.parametrize(
    ("version", "wanted", "message"),
    [
        ("0.1.0", "0.1.0", None),
        ("0.1.9", "0.1.0", None),
        ("0.1.0rc1", "0.1.0", None),
        ("0.2.0", "0.1.3", "s2fin is 0.2.0, and this plugin was made for 0.1.3: an update of the plugin may have more"),
    ],
)
def test_versions_that_go_together(tmp_path: Path, version: str, wanted: str, message: str | None) -> None:
    found = check_version(program(tmp_path / "s2fin", f"echo 's2fin, version {version}'"), wanted, place(tmp_path))
    assert found == message if message is None else str(found).startswith(message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "echo 's2fin, version 0.1.9'",
            "is s2fin 0.1.9, and this plugin needs 0.2: update it by “uv tool upgrade s2fin”",
        ),
        (
            "echo 's2fin, version 1.0.0'",
            "is s2fin 1.0.0, and this plugin was made for 0.2.0: update the plugin in Plugins",
        ),
        ("echo 'other, version 0.2.0'", "does not work as s2fin (other, version 0.2.0); install it again"),
        (
            "echo trace >&2; echo 'No module' >&2; exit 1",
            "does not work as s2fin (No module); install it again",
        ),
        ("exit 0", "does not work as s2fin (it says nothing); install it again"),
    ],
)
def test_programs_that_the_plugin_cannot_use(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(NotFoundError, match=re.escape(message)):
        check_version(program(tmp_path / "s2fin", text), "0.2.0", place(tmp_path, {"PATH": os.defpath}))


def test_the_question_for_the_version_can_be_cancelled(tmp_path: Path) -> None:
    with pytest.raises(CancelledError):
        check_version(program(tmp_path / "s2fin", "cat; exit 1"), "0.1.0", place(tmp_path), lambda: True)


def test_a_program_that_the_system_cannot_start(tmp_path: Path) -> None:
    broken = tmp_path / "s2fin"
    broken.write_bytes(b"\x7fELF is no program")
    broken.chmod(0o755)
    with pytest.raises(NotFoundError, match=r"s2fin cannot be started: .*; install it by"):
        check_version(broken, "0.1.0", place(tmp_path))


def test_s2fin_itself_sees_nothing_of_qgis_and_has_the_version_of_the_description(tmp_path: Path) -> None:
    """Under the variables of a QGIS that would break any other Python, GDAL or PROJ, the real s2fin answers."""
    root = Path(__file__).parents[2]
    s2fin = program(tmp_path / "s2fin", f'PYTHONPATH="{root}:{root}/models" exec "{sys.executable}" -m s2fin_cli "$@"')
    foreign = {
        "PYTHONHOME": "/nowhere", "PYTHONPATH": "/nowhere", "PYTHONSTARTUP": "x", "LD_LIBRARY_PATH": "/nowhere",
        "GDAL_DATA": "/nowhere", "GDAL_DRIVER_PATH": "/nowhere", "PROJ_LIB": "/nowhere", "PROJ_DATA": "/nowhere",
        "QT_PLUGIN_PATH": "/nowhere", "OSGEO4W_ROOT": "C:\\OSGeo4W", "FORCE_COLOR": "1", "S2FIN_EXECUTABLE": "x",
    }  # fmt: skip
    kept = {"PATH": os.defpath, "HOME": str(tmp_path), "HTTPS_PROXY": "http://proxy", "AWS_PROFILE": "maps"}
    here = place(tmp_path, {**foreign, **kept})
    assert check_version(s2fin, __version__, here) is None
    seen = clean_environment(s2fin, here)
    assert not foreign.keys() & seen.keys()
    assert kept.keys() <= seen.keys()
    environment = {**seen, "PYTHONPATH": f"{root}:{root}/models"}
    code = (
        "import json, rasterio.crs, sys; print(json.dumps([rasterio.crs.CRS.from_epsg(31985).to_epsg(), sys.prefix]))"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [31985, sys.prefix]


@pytest.mark.slow
def test_the_setting_is_among_the_options_of_processing(qgis: Qgis, tmp_path: Path) -> None:
    found = qgis.script("choose_program", program(tmp_path / "s2fin"))
    assert found["settings"] == ["S2FIN_EXECUTABLE"]
    (without, why), chosen, (wrong, where) = found["runs"]
    assert (without, why[:42]) == (False, "s2fin is not installed, or not found: inst")
    assert chosen == [True, ""]
    assert (wrong, where[:36]) == (False, "the setting of the plugin names /usr")
    assert found["left"] == [None], "the plugin takes away what it added"


def test_on_windows_the_folders_of_qgis_are_taken_off_the_path_and_those_of_conda_put_before(tmp_path: Path) -> None:
    s2fin = program(tmp_path / "env" / "Scripts" / "s2fin.exe")
    path = r"C:\OSGeo4W\bin;C:\OSGeo4W\apps\qgis\bin;C:\Windows\System32"
    here = place(tmp_path, {"PATH": path, "OSGEO4W_ROOT": r"C:\OSGeo4W"}, system="win32")
    assert clean_environment(s2fin, here)["PATH"] == r"C:\Windows\System32"
    (tmp_path / "env" / "conda-meta").mkdir()
    prefix = tmp_path / "env"
    assert clean_environment(s2fin, here)["PATH"].split(";") == [
        str(prefix), str(prefix / "Library" / "bin"), str(prefix / "Scripts"), r"C:\Windows\System32",
    ]  # fmt: skip
