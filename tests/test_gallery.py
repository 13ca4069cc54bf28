"""The notebooks of the gallery: stored with outputs, using the API as it is, and shown without a network."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from affine import Affine

import s2fin_cli
from tests.files import write_raster

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "docs" / "gallery").glob("*.ipynb"))
#: Bytes of a notebook at most.
MOST_BYTES = 400_000
#: What no output may hold: folders of a machine, and addresses of objects.
PRIVATE = re.compile(r"/(?:tmp|home|root|work|Users|var)/|\\Users\\| at 0x[0-9a-f]+")
every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def cells_of(path: Path, kind: str) -> list[dict[str, Any]]:
    notebook = json.loads(path.read_text(encoding="utf-8"))
    return [cell for cell in notebook["cells"] if cell["cell_type"] == kind]


def code_of(path: Path) -> str:
    return "\n\n".join("".join(cell["source"]) for cell in cells_of(path, "code"))


def texts_of(value: Any) -> Iterator[str]:
    """All texts in outputs but pictures."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, part in value.items():
            if key != "image/png":
                yield from texts_of(part)
    elif isinstance(value, list):
        for part in value:
            yield from texts_of(part)


def test_there_are_three() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["flood", "heights", "indian_pines"]


@every_notebook
def test_notebooks_are_stored_as_they_were_executed(path: Path) -> None:
    cells = cells_of(path, "code")
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert not [output for output in outputs if output["output_type"] == "error"]
    assert [text for text in texts_of(outputs) if PRIVATE.search(text)] == []
    assert path.stat().st_size <= MOST_BYTES


@every_notebook
def test_every_picture_is_described(path: Path) -> None:
    drawing = [
        cell for cell in cells_of(path, "code") if any("image/png" in o.get("data", {}) for o in cell["outputs"])
    ]
    assert len(drawing) >= 2
    for cell in drawing:
        assert cell["metadata"]["alt"]
        assert sum("image/png" in output.get("data", {}) for output in cell["outputs"]) == 1


@every_notebook
def test_every_scene_has_a_source_and_terms(path: Path) -> None:
    text = "".join("".join(cell["source"]) for cell in cells_of(path, "markdown"))
    assert "**The data.**" in text
    assert re.search(r"https?://", text)
    assert "S2FIN_DATA" in text


@every_notebook
def test_links_lead_somewhere(path: Path) -> None:
    for cell in cells_of(path, "markdown"):
        for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", "".join(cell["source"])):
            assert (path.parent / target).exists(), target


@every_notebook
def test_notebooks_use_the_api_as_it_is(path: Path) -> None:
    calls = [node for node in ast.walk(ast.parse(code_of(path))) if isinstance(node, ast.Call)]
    ours = [call for call in calls if re.fullmatch(r"s2fin_cli\.\w+", ast.unparse(call.func))]
    assert {ast.unparse(call.func) for call in ours} >= {"s2fin_cli.train", "s2fin_cli.predict", "s2fin_cli.evaluate"}
    for call in ours:
        assert isinstance(call.func, ast.Attribute)
        parameters = inspect.signature(getattr(s2fin_cli, call.func.attr)).parameters
        assert not call.args
        assert {keyword.arg for keyword in call.keywords if keyword.arg} <= set(parameters), ast.unparse(call)


# ---- run on scenes that are made here --------------------------------------------------------------------------------


def patches(classes: int, side: int, across: int) -> np.ndarray[Any, Any]:
    """Class numbers in square patches, in turn."""
    rows, cols = np.indices((across, across))
    numbers = (rows * across + cols) % classes + 1
    return np.asarray(np.kron(numbers, np.ones((side, side))), dtype="uint8")


def looks(truth: np.ndarray[Any, Any], bands: int, dtype: str) -> np.ndarray[Any, Any]:
    """An image in which each class has its own values, with noise."""
    draw = np.random.default_rng(0)
    table = draw.uniform(40, 200, (int(truth.max()) + 1, bands))
    values = table[truth].transpose(2, 0, 1) + draw.normal(0, 4, (bands, *truth.shape))
    return np.asarray(values.clip(1, 250), dtype=dtype)


def write_indian_pines(folder: Path) -> None:
    truth = patches(16, 12, 6)
    nowhere: dict[str, Any] = {"crs": None, "transform": None}
    write_raster(folder / "ip_hsi.tif", looks(truth, 45, "uint16"), **nowhere)
    train = np.where(np.random.default_rng(1).random(truth.shape) < 0.15, truth, 0)
    write_raster(folder / "ip_train_695.tif", train, nodata=0, **nowhere)
    write_raster(folder / "ip_test_695.tif", np.where(train, 0, truth), nodata=0, **nowhere)


def write_flood(folder: Path) -> None:
    truth = patches(2, 14, 7)
    path = write_raster(folder / "s2_before_after.tif", looks(truth, 6, "uint8"), nodata=0)
    describe(path, [f"band {i}" for i in range(6)])
    describe(write_raster(folder / "s1_vv_before_after.tif", looks(truth, 2, "float32"), nodata=-9999), ["a", "b"])
    write_raster(folder / "flood.tif", truth, nodata=0)


def write_heights(folder: Path) -> None:
    truth = patches(4, 14, 7)
    place = Affine(0.2, 0, 770_550, 0, -0.2, 6_277_600)
    write_raster(folder / "ortho_rgbn.tif", looks(truth, 4, "uint8"), crs="EPSG:2154", transform=place)
    coarse, wide = looks(truth[::2, ::2], 1, "float32"), place @ Affine.scale(2)
    write_raster(folder / "lidar_height.tif", coarse, crs="EPSG:2154", transform=wide, nodata=-9999)
    write_raster(folder / "lidar_class.tif", truth, crs="EPSG:2154", transform=place, nodata=0)


def describe(path: Path, names: list[str]) -> None:
    import rasterio

    with rasterio.open(path, "r+") as dst:
        dst.descriptions = names


SCENES: dict[str, tuple[str, Callable[[Path], None]]] = {
    "indian_pines": ("indian_pines", write_indian_pines),
    "flood": ("charente_s2_s1", write_flood),
    "heights": ("lattes_ortho_lidar", write_heights),
}


@pytest.mark.slow
@pytest.mark.timeout(900)
@every_notebook
def test_the_code_of_notebooks_runs(path: Path, tmp_path: Path, environment: dict[str, str]) -> None:
    pytest.importorskip("matplotlib")
    name, write = SCENES[path.stem]
    folder = tmp_path / "data" / name
    folder.mkdir(parents=True)
    write(folder)
    script = tmp_path / "notebook.py"
    short = code_of(path).replace("s2fin_cli.train(", "s2fin_cli.train(epochs=1, refit=False, ")
    script.write_text(short, encoding="utf-8")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    places = {"S2FIN_DATA": str(tmp_path / "data"), "TMPDIR": str(temporary), "MPLBACKEND": "Agg"}
    done = subprocess.run(
        [sys.executable, script], env={**environment, **places}, cwd=tmp_path, capture_output=True, text=True,
        timeout=840, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert not list(temporary.glob(".s2fin*"))


# ---- shown without a network -----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_pages_are_built_strictly_and_load_nothing(tmp_path: Path) -> None:
    for package in ("mkdocs", "nbconvert", "mkdocstrings"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"the extra docs is not installed: {package} is missing")
    site = tmp_path / "site"
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(site)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    for path in NOTEBOOKS:
        page = (site / "gallery" / f"{path.stem}.html").read_text(encoding="utf-8")
        assert re.findall(r"<(?:script|img|link|iframe)[^>]*(?:src|href)=[\"']?(?:https?:)?//[^>]*>", page) == []
        pictures = re.findall(rf'<img alt="([^"]+)" src="({path.stem}_files/[^"]+)"', page)
        assert len(pictures) >= 2
        for alt, name in pictures:
            assert alt != "png"
            assert (site / "gallery" / name).stat().st_size > 1000
    assert not list(site.rglob("*.py"))
    assert not list(site.rglob("*.ipynb"))
