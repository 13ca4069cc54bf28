"""The rule of who may import whom, read from the sources."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
CLI = ROOT / "s2fin_cli"
NETWORK = ROOT / "models" / "s2fin"

BASE = {"errors", "config", "files", "progress", "__version__"}
USE_CASES = {"learn", "infer", "assess"}
#: What each top-level module or package of `s2fin_cli` may import of the others.
ALLOWED = {
    "errors": set(),
    "progress": set(),
    "config": {"errors"},
    "files": {"config", "errors"},
    "geo": {"config", "errors", "files", "__version__"},
    "device": {"errors"},
    "modelinfo": BASE | {"geo"},
    "stac": BASE | {"geo", "modelinfo"},
    "modelfile": BASE | {"geo", "modelinfo", "stac"},
    "modelfit": BASE | {"geo", "modelinfo"},
    "assess": BASE | {"geo"},
    "infer": BASE | {"geo", "device", "modelfile", "modelfit", "modelinfo", "stac"},
    # it reports its accuracy, as what a map would tell of the pixels held out
    "learn": BASE | {"geo", "device", "modelfile", "modelinfo", "assess", "infer"},
    "inspection": BASE | {"geo", "modelfile", "stac"},
    "demo": BASE | {"geo"} | USE_CASES,
    "alignment": BASE | {"geo"},
    "conversion": BASE | {"geo"},
    "partition": BASE | {"geo", "learn"},
    "options": {"config", "progress"},
    "commands": BASE | {"options", "inspection", "demo", "alignment", "conversion", "partition"} | USE_CASES,
    "project": {"config", "errors", "options"},
    "main": {"errors", "files", "project", "commands", "__version__"},
    "__main__": {"main"},
    "__init__": {"config", "progress", "learn", "infer"},  # the Python API: two use cases
}
CLICK_USERS = {"main", "options", "project", "commands"}
#: Modules that may call `rasterio.open`, and in which modes.
RASTER_OPENERS = {"geo/rasters.py": {"r"}, "geo/classmap.py": {"w", "r+"}, "geo/picture.py": {"w"}}


def sources(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    """Dotted names that a module imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def unit(path: Path) -> str:
    """The top-level module or package that a source belongs to."""
    return path.relative_to(CLI).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", sources(CLI), ids=lambda path: path.relative_to(CLI).as_posix())
def test_imports_run_one_way(path: Path) -> None:
    own = unit(path)
    imported = {name.split(".")[1] for name in imports(path) if name.startswith("s2fin_cli.")}
    assert "s2fin_cli" not in set(imports(path)), "import what is needed from it"
    assert imported - {own} <= ALLOWED[own]


def test_the_rule_has_no_cycle_and_no_stale_name() -> None:
    assert set(ALLOWED) == {unit(path) for path in sources(CLI)}
    rest = {name: allowed - {"__version__"} for name, allowed in ALLOWED.items()}
    while leaves := {name for name, allowed in rest.items() if not allowed & rest.keys()}:
        rest = {name: allowed for name, allowed in rest.items() if name not in leaves}
    assert not rest


@pytest.mark.parametrize("path", sources(NETWORK), ids=lambda path: path.name)
def test_the_network_needs_torch_alone(path: Path) -> None:
    imported = {name.split(".")[0] for name in imports(path)}
    assert imported <= set(sys.stdlib_module_names) | {"torch", "s2fin"}


@pytest.mark.parametrize("path", sources(CLI), ids=lambda path: path.relative_to(CLI).as_posix())
def test_click_stays_at_the_surface(path: Path) -> None:
    if any(name.split(".")[0] == "click" for name in imports(path)):
        assert unit(path) in CLICK_USERS


def raster_modes(path: Path) -> Iterator[str]:
    """Modes in which a module calls `rasterio.open`."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "rasterio.open":
            mode = ast.literal_eval(node.args[1]) if len(node.args) > 1 else "r"
            yield next((ast.literal_eval(k.value) for k in node.keywords if k.arg == "mode"), mode)


@pytest.mark.parametrize("path", sources(CLI), ids=lambda path: path.relative_to(CLI).as_posix())
def test_rasters_are_opened_in_one_place(path: Path) -> None:
    name = path.relative_to(CLI).as_posix()
    assert "rasterio.open" not in set(imports(path)), "call it as rasterio.open, so that this test sees it"
    assert set(raster_modes(path)) == RASTER_OPENERS.get(name, set())


def test_the_command_line_starts_without_heavy_libraries() -> None:
    heavy = {"torch", "rasterio", "geopandas", "pandas", "numpy", "s2fin", "rich"}
    code = f"import sys, s2fin_cli.main; print(*{heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
