"""What is published: the wheel and the source archive, their metadata, and that the wheel works without the sources."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from packaging.metadata import Metadata
from packaging.utils import canonicalize_name

from s2fin_cli.cli.completion.shells import SHELLS
from s2fin_cli.core.version import __version__
from tests.extras import FOR_DEVELOPERS

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT = Path(__file__).parent.parent
#: Folders of the sources that the wheel holds, and where it has them.
INSTALLED = {"s2fin_cli": "s2fin_cli", "models/s2fin": "s2fin", "examples/olinda": "s2fin_cli/examples/olinda"}
#: What may lie in a maintainer's folder and is not to be published.
STRAY = ("notes.txt", "map.tif", "model.s2fin", ".env", "demo/map.tif", "run/plan.json", "shared/scene.tif")


def built(kind: str, folder: Path, *, root: Path = ROOT) -> Path:
    """A wheel or a source archive of the sources in a folder."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(folder)],
        cwd=root, check=True, capture_output=True,
    )  # fmt: skip
    (path,) = folder.glob("*.whl" if kind == "wheel" else "*.tar.gz")
    return path


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built("wheel", tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def unpacked_wheel(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    shutil.unpack_archive(wheel, folder, "zip")
    return folder


@pytest.fixture(scope="module")
def unpacked_archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("archive")
    shutil.unpack_archive(built("sdist", folder), folder, filter="data")
    return folder / f"s2fin-{__version__}"


@pytest.fixture(scope="module")
def metadata(unpacked_wheel: Path) -> Metadata:
    """The metadata, valid by the rules of the package index."""
    (folder,) = unpacked_wheel.glob("*.dist-info")
    return Metadata.from_email((folder / "METADATA").read_bytes(), validate=True)


def files_in(folder: Path) -> set[str]:
    """Paths of the files in a folder, relative to it, without what Python compiled."""
    paths = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(folder).as_posix() for path in paths}


# ---- the wheel -------------------------------------------------------------------------------------------------------


def test_wheel_installs_two_packages_and_nothing_generic(unpacked_wheel: Path) -> None:
    top = {path.name for path in unpacked_wheel.iterdir() if not path.name.endswith(".dist-info")}
    assert top == {"s2fin", "s2fin_cli"}


def test_wheel_holds_all_files_of_the_packages_and_of_the_example_and_no_other(unpacked_wheel: Path) -> None:
    expected = {f"{place}/{name}" for source, place in INSTALLED.items() for name in files_in(ROOT / source)}
    assert {name for name in files_in(unpacked_wheel) if ".dist-info/" not in name} == expected
    for name in (
        "s2fin/py.typed",
        "s2fin_cli/py.typed",
        "s2fin_cli/__init__.pyi",
        "s2fin_cli/reporting/page/page.html",
    ):
        assert name in expected
    for name in ("L7_ETMs.tif", "training.shp", "NOTICE"):
        copy = unpacked_wheel / "s2fin_cli" / "examples" / "olinda" / name
        assert copy.read_bytes() == (ROOT / "examples" / "olinda" / name).read_bytes()


def test_unpacked_wheel_finds_its_example_away_from_the_source(unpacked_wheel: Path, tmp_path: Path) -> None:
    code = "import s2fin_cli.workflows.demo as d, s2fin; print(d.example_folder()); print(s2fin.__file__)"
    found = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(unpacked_wheel)}, check=True, capture_output=True, text=True,
    ).stdout.splitlines()  # fmt: skip
    assert Path(found[0]) == unpacked_wheel / "s2fin_cli" / "examples" / "olinda"
    assert Path(found[1]).is_relative_to(unpacked_wheel)


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel, and with the dependencies of this one but not its link to the sources."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index", str(wheel)],
        check=True, capture_output=True,
    )  # fmt: skip
    (site,) = folder.glob("lib/python*/site-packages")
    # a folder that such a file names is searched for modules, but the files that name folders in it are not read
    (site / "dependencies.pth").write_text("\n".join({sysconfig.get_path(name) for name in ("purelib", "platlib")}))
    return folder


def run(installed: Path, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command of the environment in an empty folder, with none of this process's variables."""
    environment = {"HOME": str(folder), "PATH": os.defpath, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [str(installed / "bin" / arguments[0]), *arguments[1:]],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=280, check=True,
    )  # fmt: skip


@pytest.mark.slow
def test_installed_wheel_works_without_the_sources(installed: Path, tmp_path: Path) -> None:
    where = run(
        installed, "python", "-c", "import s2fin, s2fin_cli; print(s2fin.__file__, s2fin_cli.__file__)", folder=tmp_path
    )
    assert all(Path(path).is_relative_to(installed) for path in where.stdout.split())
    assert run(installed, "s2fin", "--version", folder=tmp_path).stdout == f"s2fin, version {__version__}\n"
    for shell in SHELLS:
        assert "s2fin" in run(installed, "s2fin", "--show-completion", shell, folder=tmp_path).stdout
    findings = json.loads(run(installed, "s2fin", "doctor", "--json", "-q", folder=tmp_path).stdout)
    assert findings["problems"] == 0
    assert list(tmp_path.iterdir()) == []


# ---- the source archive ----------------------------------------------------------------------------------------------


def test_archive_holds_what_it_takes_to_build_and_to_test(unpacked_archive: Path) -> None:
    names = files_in(unpacked_archive)
    for name in (
        "pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "constraints.txt", "Makefile", "mkdocs.yml",
        "models/s2fin/network.py", "s2fin_cli/cli/main.py", "tests/conftest.py", "docs/index.md", "docs/olinda.png",
        "examples/olinda/L7_ETMs.tif", "examples/olinda/NOTICE", "benchmarks/accuracy.py",
        "conda/recipe.yaml", "qgis_plugin/s2fin/metadata.txt",
    ):  # fmt: skip
        assert name in names


def test_archive_holds_nothing_that_lies_beside_the_sources(unpacked_archive: Path, tmp_path: Path) -> None:
    tops = {name.split("/")[0] for name in files_in(unpacked_archive)}
    assert tops <= {
        "benchmarks", "docs", "examples", "models", "conda", "qgis_plugin", "s2fin_cli", "tests",
        ".gitignore", "CHANGELOG.md", "CITATION.cff", "CONTRIBUTING.md", "LICENSE", "Makefile", "PKG-INFO", "README.md",
        "SECURITY.md", "constraints.txt", "mkdocs.yml", "pyproject.toml",
    }  # fmt: skip
    for name in STRAY:
        path = unpacked_archive / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    with tarfile.open(built("sdist", tmp_path, root=unpacked_archive)) as archive:
        packed = {name.partition("/")[2] for name in archive.getnames()}
    for name in STRAY:
        assert name not in packed
        (unpacked_archive / name).unlink()


def test_archive_builds_the_same_wheel(unpacked_archive: Path, wheel: Path, tmp_path: Path) -> None:
    again = built("wheel", tmp_path, root=unpacked_archive)
    assert again.name == wheel.name
    assert checksums(again) == checksums(wheel)


def checksums(wheel: Path) -> dict[str, int]:
    with zipfile.ZipFile(wheel) as archive:
        return {info.filename: info.CRC for info in archive.infolist()}


# ---- the metadata ----------------------------------------------------------------------------------------------------


def test_metadata_say_what_it_is(metadata: Metadata) -> None:
    assert (metadata.name, str(metadata.version)) == ("s2fin", __version__)
    assert metadata.license_expression == "Apache-2.0"
    assert metadata.license_files == ["LICENSE", "examples/olinda/NOTICE"]
    assert metadata.summary
    assert len(metadata.summary) < 100
    assert metadata.description_content_type == "text/markdown"
    assert metadata.project_urls
    assert {"Repository", "Documentation", "Changelog", "Issues"} <= metadata.project_urls.keys()


def test_console_script(unpacked_wheel: Path) -> None:
    (folder,) = unpacked_wheel.glob("*.dist-info")
    assert (folder / "entry_points.txt").read_text() == "[console_scripts]\ns2fin = s2fin_cli.cli.main:main\n"


def test_classifiers_name_the_versions_of_python_that_are_tested(metadata: Metadata) -> None:
    workflow = ROOT / ".github" / "workflows" / "test.yml"
    if not workflow.exists():
        pytest.skip("the workflows are not in the source archive")
    matrix = re.search(r"python: \[(.+)\]", workflow.read_text())
    assert matrix
    tested = re.findall(r"\d+\.\d+", matrix[1])
    named = [c.rpartition(" ")[2] for c in metadata.classifiers or [] if re.search(r"Python :: \d+\.\d+$", c)]
    assert named == tested
    assert str(metadata.requires_python) == f">={tested[0]}"


def test_description_has_absolute_links_only(metadata: Metadata) -> None:
    links = re.findall(r"\]\(([^)]+)\)", metadata.description or "")
    assert "https://github.com/s2fin/s2fin/blob/main/docs/getting-started.md" in links
    assert "https://raw.githubusercontent.com/s2fin/s2fin/main/docs/olinda.png" in links
    assert all(link.startswith("https://") for link in links)


# ---- what else names the version and the dependencies ----------------------------------------------------------------

RECIPE = ROOT / "conda" / "recipe.yaml"
#: Names that conda-forge's packages have, where they are others.
CONDA_NAMES = {"torch": "pytorch", "geopandas": "geopandas-base"}


def recipe() -> dict[str, list[str]]:
    """The lists of requirements of the recipe by their names."""
    found: dict[str, list[str]] = {}
    name = ""
    for line in (
        RECIPE.read_text(encoding="utf-8").partition("requirements:\n")[2].partition("\ntests:")[0].splitlines()
    ):
        text = line.partition("#")[0].strip()
        if text.endswith(":"):
            name = text[:-1]
            found[name] = []
        elif text:
            found[name].append(text.removeprefix("- "))
    return found


def in_conda(requirements: Iterable[str]) -> set[str]:
    """Requirements of pyproject.toml as conda writes them."""
    found = set()
    for text in requirements:
        match = re.fullmatch(r"([\w.-]+)(?:\[[\w,]+\])?(>=[\w.,<>=]+)", text)
        assert match, f"{text} has no lower bound"
        name = str(canonicalize_name(match[1]))
        found.add(f"{CONDA_NAMES.get(name, name)} {match[2]}")
    return found


def test_recipe_has_the_dependencies_of_the_project() -> None:
    text = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    project, requirements = text["project"], recipe()
    python = "python >=${{ python_min }}"
    assert {*requirements["run"]} == in_conda(project["dependencies"]) | {python}
    assert {*requirements["host"]} == in_conda(text["build-system"]["requires"]) | {"python ${{ python_min }}.*", "pip"}
    extras = project["optional-dependencies"]
    optional = {each for name, of_extra in extras.items() if name not in FOR_DEVELOPERS for each in of_extra}
    assert {*requirements["run_constraints"]} == in_conda(optional), "see run_constraints of the recipe"
    minimum = re.search(r'python_min: "(.+)"', RECIPE.read_text(encoding="utf-8"))
    assert minimum
    assert project["requires-python"] == f">={minimum[1]}"


def test_recipe_and_citation_are_of_this_version() -> None:
    assert f'\n  version: "{__version__}"\n' in RECIPE.read_text(encoding="utf-8")
    assert f"\nversion: {__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
