"""The zip of the plugin: complete, the same every time, and one that QGIS loads."""

from __future__ import annotations

import subprocess
import sys
import xml.etree.ElementTree as ET
import zipfile
from pathlib import Path

import pytest

from qgis_plugin import package
from qgis_plugin.package import IncompleteError, check, files
from tests.qgis.qgis_of_debian import PROCESS, Qgis

ROOT = Path(__file__).parents[2]


@pytest.fixture
def zipped(tmp_path: Path) -> Path:
    path = tmp_path / "new" / "plugin.zip"
    done = subprocess.run(
        [sys.executable, "-m", "qgis_plugin.package", str(path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr, done.stdout) == (0, "", f"{path}\n")
    return path


def test_the_zip_holds_the_plugin_and_nothing_else(zipped: Path) -> None:
    with zipfile.ZipFile(zipped) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        sources = {f"s2fin/{path.name}" for path in (ROOT / "qgis_plugin" / "s2fin").glob("*.py")}
        assert {*names} == {
            *sources,
            *(f"s2fin/{name}" for name in ("commands.json", "icon.svg", "metadata.txt", "LICENSE")),
        }
        assert archive.read("s2fin/LICENSE") == (ROOT / "LICENSE").read_bytes()
        assert {info.external_attr >> 16 for info in archive.infolist()} == {0o644}


def test_what_is_no_file_name_makes_no_zip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for arguments, code in ((["--help"], 0), (["--out"], 2), (["a.zip", "b.zip"], 2)):
        with pytest.raises(SystemExit) as ended:
            package.main(arguments)
        assert ended.value.code == code
    assert not [*tmp_path.iterdir()]


def test_the_same_sources_give_the_same_bytes(zipped: Path, tmp_path: Path) -> None:
    contents = dict(reversed(files().items()))
    package.package(tmp_path / "again.zip", contents)
    assert (tmp_path / "again.zip").read_bytes() == zipped.read_bytes()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("version=", "version=9", r"metadata\.txt: version is '9\d.*', and must be like"),
        ("email=", "email=no body", r"metadata\.txt: email is .no body"),
        ("homepage=https", "homepage=http", r"homepage is 'http:"),
        ("supportsQt6=True\n", "", r"supportsQt6 is None, and must be like True"),
        ("hasProcessingProvider=yes", "hasProcessingProvider=no", r"hasProcessingProvider is 'no'"),
        ("icon=icon.svg", "icon=other.svg", r"the icon other\.svg is missing"),
        ("author=", "autor=", r"author is None, .*; metadata\.txt: autor is unknown"),
        ("about=", "about=100 % open. ", r"about has a percent sign"),
        ("[general]", "[special]", r"name is None, .*license is None"),
    ],
)
def test_incomplete_metadata_is_refused(old: str, new: str, message: str) -> None:
    contents = files()
    text = contents["s2fin/metadata.txt"].decode()
    assert old in text
    contents["s2fin/metadata.txt"] = text.replace(old, new).encode()
    with pytest.raises(IncompleteError, match=message):
        check(contents)


def test_a_description_that_is_out_of_date_is_refused_and_so_is_one_without_metadata() -> None:
    contents = files()
    contents["s2fin/commands.json"] = contents["s2fin/commands.json"].replace(b"Train", b"Drain")
    with pytest.raises(IncompleteError, match=r"^out of date, run python -m qgis_plugin\.describe: commands\.json$"):
        check(contents)
    contents = files()
    del contents["s2fin/metadata.txt"]
    with pytest.raises(IncompleteError, match=r"^metadata\.txt is missing"):
        check(contents)


def test_the_icon_is_what_qgis_can_draw() -> None:
    """Qt draws SVG Tiny, which has neither clipping nor styles nor filters."""
    tree = ET.fromstring(files()["s2fin/icon.svg"])  # noqa: S314  our own file
    assert tree.get("viewBox") == "0 0 64 64"
    assert {element.tag.partition("}")[2] for element in tree.iter()} == {"svg", "title", "path"}


@pytest.mark.slow
def test_qgis_loads_the_plugin_from_the_zip(zipped: Path, tmp_path: Path, qgis: Qgis) -> None:
    with zipfile.ZipFile(zipped) as archive:
        archive.extractall(tmp_path / "plugins")
    environment = {**qgis.environment, "HOME": str(tmp_path), "QGIS_PLUGINPATH": str(tmp_path / "plugins")}
    for arguments in (["plugins", "enable", "s2fin"], ["list"]):
        done = subprocess.run(
            [str(PROCESS), *arguments], env=environment, capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode == 0, done.stdout + done.stderr
    for name in ("train", "classify", "suggest", "report", "sample", "evaluate", "compare", "align", "split"):
        assert f"s2fin:{name}" in done.stdout
