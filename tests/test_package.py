"""The wheel: what is in it, and that it works away from the source tree."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def unpacked_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT, check=True, capture_output=True,
    )  # fmt: skip
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_wheel_installs_two_packages_and_nothing_generic(unpacked_wheel: Path) -> None:
    top = {path.name for path in unpacked_wheel.iterdir() if not path.name.endswith(".dist-info")}
    assert top == {"s2fin", "s2fin_cli"}


def test_wheel_has_the_example_with_its_notice_and_the_console_script(unpacked_wheel: Path) -> None:
    example = unpacked_wheel / "s2fin_cli" / "examples" / "olinda"
    for name in ("L7_ETMs.tif", "olinda_dem_utm25s.tif", "training.shp", "training.dbf", "validation.shp", "NOTICE"):
        assert (example / name).read_bytes() == (ROOT / "examples" / "olinda" / name).read_bytes()
    (metadata,) = unpacked_wheel.glob("*.dist-info")
    assert "s2fin = s2fin_cli.cli.main:main" in (metadata / "entry_points.txt").read_text()
    for name in ("s2fin/py.typed", "s2fin_cli/py.typed", "s2fin_cli/__init__.pyi"):
        assert (unpacked_wheel / name).exists()


def test_description_has_absolute_links_only(unpacked_wheel: Path) -> None:
    (metadata,) = unpacked_wheel.glob("*.dist-info")
    text = (metadata / "METADATA").read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert "https://github.com/s2fin/s2fin/blob/main/docs/getting-started.md" in links
    assert "https://raw.githubusercontent.com/s2fin/s2fin/main/docs/olinda.png" in links
    assert all(link.startswith("https://") for link in links)


def test_unpacked_wheel_finds_its_example_away_from_the_source(unpacked_wheel: Path, tmp_path: Path) -> None:
    code = "import s2fin_cli.workflows.demo as d, s2fin; print(d.example_folder()); print(s2fin.__file__)"
    found = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(unpacked_wheel)}, check=True, capture_output=True, text=True,
    ).stdout.splitlines()  # fmt: skip
    assert Path(found[0]) == unpacked_wheel / "s2fin_cli" / "examples" / "olinda"
    assert Path(found[1]).is_relative_to(unpacked_wheel)
