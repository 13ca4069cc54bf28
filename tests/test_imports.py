"""The rule of who may import whom, read from the sources."""

from __future__ import annotations

import ast
import graphlib
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

#: The packages of `s2fin_cli`; each imports only from those before it.
ORDER = (
    "core", "installation", "stac", "geo", "raster", "vector", "labels", "stack", "model", "assess", "reporting",
    "inference", "shards", "scenes", "teaching", "suggesting", "training", "workflows", "cli",
)  # fmt: skip
#: Modules beside the packages, and what they may import.
LOOSE = {"__init__": set(ORDER[:-1]), "__main__": {"cli"}}
#: Modules that may call `rasterio.open`, and in which modes.
RASTER_OPENERS = {"raster/opening.py": {"r"}, "raster/write.py": {"w", "r+"}, "raster/picture.py": {"w"}}


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
    allowed = set(ORDER[: ORDER.index(own) + 1]) if own in ORDER else LOOSE[own]
    assert imported <= allowed


def module_name(path: Path) -> str:
    """Dotted name that a source is imported by."""
    base = CLI if path.is_relative_to(CLI) else NETWORK
    return ".".join(path.relative_to(base.parent).with_suffix("").parts).removesuffix(".__init__")


def graph_of_modules() -> dict[str, set[str]]:
    """The modules of ours that each module imports, for type checking only too."""
    paths = {module_name(path): path for path in (*sources(CLI), *sources(NETWORK))}
    graph: dict[str, set[str]] = {name: set() for name in paths}
    for name, path in paths.items():
        for imported in imports(path):
            module = imported if imported in paths else imported.rpartition(".")[0]
            graph[name] |= {module} & paths.keys()
    return graph


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = graph_of_modules()
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError, which names the modules of the circle


def test_every_module_lies_in_a_package() -> None:
    assert {unit(path) for path in sources(CLI)} == {*ORDER, *LOOSE}


@pytest.mark.parametrize("path", sources(NETWORK), ids=lambda path: path.name)
def test_the_network_needs_torch_alone(path: Path) -> None:
    imported = {name.split(".")[0] for name in imports(path)}
    assert imported <= set(sys.stdlib_module_names) | {"torch", "s2fin"}


@pytest.mark.parametrize("path", sources(CLI), ids=lambda path: path.relative_to(CLI).as_posix())
def test_click_and_rich_stay_at_the_surface(path: Path) -> None:
    if any(name.split(".")[0] in {"click", "rich"} for name in imports(path)):
        assert unit(path) == "cli"


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
    heavy = {"torch", "rasterio", "geopandas", "pandas", "numpy", "s2fin", "rich", "xarray"}
    code = f"import sys, s2fin_cli.cli.main; print(*{heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
