"""Finds s2fin, and makes the environment that it runs in. Needs no QGIS."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: The variable that names the program.
VARIABLE = "S2FIN_EXECUTABLE"
INSTALL = "install it by “uv tool install git+https://github.com/s2fin/s2fin” in a terminal"
CHOOSE = "or choose the program in Settings > Options > Processing > Providers > s2fin"
#: Variables by which QGIS, or what it was started from, sets up its own Python, GDAL, PROJ and Qt; in s2fin they would
#: name the wrong files.
FOREIGN = re.compile(
    r"PYTHON.*|LD_LIBRARY_PATH|LD_PRELOAD|DYLD_.*|GDAL_.*|OGR_.*|CPL_.*|PROJ_.*|GEOTIFF_CSV|QT_.*|QML.*|QGIS_.*|PYQGIS_.*|"
    r"OSGEO4W_ROOT|O4W_.*|GISBASE|GISRC|GRASS_.*|FORCE_COLOR|TTY_COMPATIBLE|TTY_INTERACTIVE|COLUMNS|LINES|"
    r"S2FIN_EXECUTABLE|_MEIPASS2|__PYVENV_LAUNCHER__"
)


class NotFoundError(Exception):
    """There is no s2fin that can be used; the message is a sentence for the user."""


@dataclass(frozen=True)
class Place:
    """What decides where s2fin is looked for.

    Attributes:
        setting: what the user chose in QGIS, empty if nothing.
        environment: the variables of QGIS.
        home: the user's folder.
        system: `sys.platform`.
    """

    setting: str
    environment: Mapping[str, str]
    home: Path
    system: str

    @classmethod
    def here(cls, setting: str = "") -> Place:
        """This machine."""
        return cls(setting, os.environ, Path.home(), sys.platform)

    @property
    def is_windows(self) -> bool:
        """Whether programs have suffixes."""
        return self.system == "win32"


def find(place: Place) -> Path:
    """The program s2fin.

    Raises:
        NotFoundError: there is none, or none where the user says that it is.
    """
    named = {
        "the setting of the plugin": place.setting,
        f"${VARIABLE}": place.environment.get(VARIABLE, ""),
    }
    for by, value in named.items():
        if value.strip():
            chosen = _chosen(Path(value.strip()).expanduser(), place)
            if chosen is None:
                raise NotFoundError(f"{by} names {value.strip()}, and there is no s2fin to run; correct it or clear it")
            return chosen
    for folder in folders(place):
        if (found := _in(folder, place)) is not None:
            return found
    raise NotFoundError(f"s2fin is not installed, or not found: {INSTALL}, {CHOOSE}")


def _chosen(path: Path, place: Place) -> Path | None:
    """The program at a path, or in an environment's folder."""
    if path.is_file():
        return path.absolute() if _can_run(path, place) else None
    for folder in (path, path / "bin", path / "Scripts"):
        if (found := _in(folder, place)) is not None:
            return found
    return None


def _in(folder: Path, place: Place) -> Path | None:
    path = folder / ("s2fin.exe" if place.is_windows else "s2fin")
    return path.absolute() if _can_run(path, place) else None


def _can_run(path: Path, place: Place) -> bool:
    with contextlib.suppress(OSError):
        return path.is_file() and (place.is_windows or os.access(path, os.X_OK))
    return False


def folders(place: Place) -> Iterator[Path]:
    """Where s2fin is looked for, in this order: PATH, uv, pipx, virtual environments, conda."""
    path = place.environment.get("PATH", "")
    yield from (Path(entry) for entry in path.split(";" if place.is_windows else ":") if entry)
    yield from _of_tools(place)
    yield from _of_environments(place)


def _of_tools(place: Place) -> Iterator[Path]:
    """Folders of uv and pipx: where they put programs, then the environment that each has for s2fin."""
    home, scripts = place.home, "Scripts" if place.is_windows else "bin"
    variables = ("UV_TOOL_BIN_DIR", "XDG_BIN_HOME", "PIPX_BIN_DIR")
    yield from (Path(place.environment[name]) for name in variables if place.environment.get(name))
    yield home / ".local" / "bin"
    data = Path(place.environment.get("XDG_DATA_HOME") or home / ".local" / "share")
    uv, pipx = [data / "uv" / "tools"], [data / "pipx", home / ".local" / "pipx", home / "pipx"]
    if place.is_windows:
        roaming, local = _windows_folders(place)
        uv, pipx = [roaming / "uv" / "data" / "tools", roaming / "uv" / "tools"], [*pipx, local / "pipx" / "pipx"]
    if place.system == "darwin":
        pipx.append(home / "Library" / "Application Support" / "pipx")
        yield from (Path("/opt/homebrew/bin"), Path("/usr/local/bin"))
    if place.environment.get("UV_TOOL_DIR"):
        uv.insert(0, Path(place.environment["UV_TOOL_DIR"]))
    if place.environment.get("PIPX_HOME"):
        pipx.insert(0, Path(place.environment["PIPX_HOME"]))
    yield from (folder / "s2fin" / scripts for folder in uv)
    yield from (folder / "venvs" / "s2fin" / scripts for folder in pipx)
    yield home / ".pixi" / "bin"


def _of_environments(place: Place) -> Iterator[Path]:
    """Folders of virtual environments and of conda's, which QGIS may have been started from."""
    home, scripts = place.home, "Scripts" if place.is_windows else "bin"
    for name in ("VIRTUAL_ENV", "CONDA_PREFIX"):
        if place.environment.get(name):
            yield Path(place.environment[name]) / scripts
    yield home / ".virtualenvs" / "s2fin" / scripts
    yield from (prefix / scripts for prefix in _listed_by_conda(home))
    roots = [home, Path("/opt"), Path("/opt/homebrew/Caskroom")]
    if place.is_windows:
        roots = [home, _windows_folders(place)[1], Path(place.environment.get("PROGRAMDATA", r"C:\ProgramData"))]
    names = ("miniforge3", "mambaforge", "miniconda3", "anaconda3", "micromamba", "conda", ".conda", "miniforge/base")
    known = [Path(place.environment["MAMBA_ROOT_PREFIX"])] if place.environment.get("MAMBA_ROOT_PREFIX") else []
    for root in [*known, *(root / name for root in roots for name in names)]:
        yield root / "envs" / "s2fin" / scripts
        yield root / scripts
    if place.is_windows:  # pip install --user
        roaming, local = _windows_folders(place)
        for folder in (roaming / "Python", local / "Programs" / "Python"):
            yield from sorted(folder.glob("Python3*/Scripts"), reverse=True)


def _listed_by_conda(home: Path) -> list[Path]:
    """All environments of conda, of which it keeps a list."""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        lines = (home / ".conda" / "environments.txt").read_text(encoding="utf-8").splitlines()
        return [Path(line.strip()) for line in lines if line.strip()]
    return []


def _windows_folders(place: Place) -> tuple[Path, Path]:
    """The folders that hold the data of programs on Windows."""
    data = place.home / "AppData"
    return (
        Path(place.environment.get("APPDATA") or data / "Roaming"),
        Path(place.environment.get("LOCALAPPDATA") or data / "Local"),
    )


def clean_environment(program: Path, place: Place) -> dict[str, str]:
    """The variables that s2fin sees: those of QGIS without what sets up QGIS's own libraries.

    Args:
        program: the program, whose environment of conda is put before others on Windows.
        place: this machine.
    """
    kept = {name: value for name, value in place.environment.items() if not FOREIGN.fullmatch(name.upper())}
    if place.is_windows:
        foreign = [place.environment.get(name, "").lower() for name in ("OSGEO4W_ROOT", "QGIS_PREFIX_PATH")]
        entries = kept.get("PATH", "").split(";")
        own = [entry for entry in entries if not any(root and entry.lower().startswith(root) for root in foreign)]
        prefix = program.parent.parent
        if (prefix / "conda-meta").is_dir():  # which its libraries are found by
            own = [str(prefix), str(prefix / "Library" / "bin"), str(prefix / "Scripts"), *own]
        kept["PATH"] = ";".join(own)
    return {**kept, "PYTHONUTF8": "1", "PYTHONUNBUFFERED": "1", "PYTHONNOUSERSITE": "1", "COLUMNS": "120"}
