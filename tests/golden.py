"""Mean probabilities on a small synthetic scene, which reveal a change of training or inference.

python -m tests.golden [--same-version] [--show]

Rewrites tests/golden.json, which `tests/test_golden.py` compares with; run it after raising `METHOD_VERSION`. Where
the numbers differ and the version does not, it refuses, unless `--same-version` says that the version is not released
and no result that is kept was measured with it. `--show` prints what it would write, and writes nothing.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import joblib  # type: ignore[import-untyped]  # what scikit-learn runs forests with
import numpy as np
from scipy.ndimage import gaussian_filter

import s2fin_cli
from s2fin_cli.training import METHOD_VERSION
from s2fin_cli.workflows.options.train import TrainOptions
from tests.files import read_raster, write_raster

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

GOLDEN = Path(__file__).with_suffix(".json")
#: The scene: so large that its few labels lie sparsely, as they mostly do.
SIDE, BANDS, CLASSES, LABELS = 80, 4, 3, 8
#: Blocks a side whose mean probabilities are kept: rounding moves single pixels ten times as far.
BLOCKS = 4
#: How far they may be off. Other numbers of threads and other instruction sets moved them by at most 0.0003; a tenth
#: more or less of the learning rate, of a vote or of the second image's share moves one of them by 0.0025 to 0.01.
TOLERANCE, DIGITS = 0.001, 6
LIBRARIES = ("numpy", "scikit-learn", "torch")


def write_inputs(folder: Path) -> dict[str, Any]:
    """Write an image, heights and labels of classes in patches, which noise makes hard to separate."""
    rng = np.random.default_rng(5)
    truth = gaussian_filter(rng.normal(size=(CLASSES, SIDE, SIDE)), (0, 4, 4)).argmax(axis=0)
    spectra, heights = rng.normal(100, 20, (BANDS, CLASSES)), np.array([0.0, 2.0, 3.0])
    single, broad = rng.normal(size=(2, BANDS, SIDE, SIDE))
    image = spectra[:, truth] + 15 * (single + 7 * gaussian_filter(broad, (0, 2, 2)))
    labels = np.zeros((SIDE, SIDE), np.uint8)
    for number in range(CLASSES):
        chosen = rng.choice(np.flatnonzero(truth == number), LABELS, replace=False)
        labels.flat[chosen] = number + 1
    height = heights[truth] + rng.normal(scale=1.5, size=(SIDE, SIDE))
    return {
        "hsi": write_raster(folder / "image.tif", image.astype(np.float32)),
        "dsm": write_raster(folder / "heights.tif", height.astype(np.float32)),
        "labels": write_raster(folder / "labels.tif", labels, nodata=0),
    }


def compute() -> dict[str, Any]:
    """The expected contents of the file by the present code."""
    # growing forests of few labels one tree after another is quicker than handing the trees to threads
    with tempfile.TemporaryDirectory() as name, joblib.parallel_config(backend="sequential"):
        folder = Path(name)
        inputs = write_inputs(folder)
        model, probabilities = folder / "model.s2fin", folder / "probabilities.tif"
        s2fin_cli.train(**inputs, output=model, epochs=1, device="cpu")
        del inputs["labels"]
        written: dict[str, Any] = {"output": folder / "map.tif", "probabilities": probabilities, "vector": False}
        s2fin_cli.classify(**inputs, **written, model=model, device="cpu")
        values: NDArray[np.float32] = read_raster(probabilities)
    sides = BLOCKS, SIDE // BLOCKS
    means = values.reshape(CLASSES, *sides, *sides).mean(axis=(2, 4), dtype=np.float64)
    return {
        "method_version": METHOD_VERSION,
        "libraries": {name: importlib.metadata.version(name) for name in LIBRARIES},
        "default_epochs": TrainOptions.epochs,
        "probabilities": means.round(DIGITS).reshape(CLASSES, -1).tolist(),
    }


def difference(stored: dict[str, Any], found: dict[str, Any]) -> float:
    """The largest difference of a probability; infinite where the default of epochs or the scene is another one."""
    first, second = (np.array(values["probabilities"]) for values in (stored, found))
    if stored["default_epochs"] != found["default_epochs"] or first.shape != second.shape:
        return np.inf
    return float(np.abs(first - second).max())


def complaint(stored: dict[str, Any], found: dict[str, Any]) -> str | None:
    """The problem with the present code or the file, and the remedy; None if there is none."""
    versions = stored["method_version"], found["method_version"]
    if versions[0] != versions[1]:
        return f"{GOLDEN.name} is of METHOD_VERSION {versions[0]}, not {versions[1]}; run python -m tests.golden"
    if (largest := difference(stored, found)) <= TOLERANCE:
        return None
    libraries = [f"{name} {version}" for name, version in stored["libraries"].items()]
    other = "" if stored["libraries"] == found["libraries"] else f" (the file was made with {', '.join(libraries)})"
    return (
        f"training or inference gives other probabilities than before, by up to {largest:.4f}{other}. "
        "If that is meant, raise METHOD_VERSION in s2fin_cli/training/__init__.py and run python -m tests.golden"
    )


def write(path: Path, found: dict[str, Any], *, same_version: bool = False) -> None:
    """Write the file.

    Raises:
        ValueError: there is one of the same version with other numbers, and `same_version` does not allow for it.
    """
    stored = json.loads(path.read_text(encoding="utf-8")) if path.exists() else found
    raised = stored["method_version"] != found["method_version"]
    if not (raised or same_version) and (text := complaint(stored, found)):
        raise ValueError(text)
    path.write_text(as_text(found), encoding="utf-8")


def as_text(found: dict[str, Any]) -> str:
    """The file's text, a class a line."""
    rows = ",\n".join(f"    {json.dumps(row)}" for row in found["probabilities"])
    rest = json.dumps({**found, "probabilities": []}, indent=2)
    return rest.replace('"probabilities": []', f'"probabilities": [\n{rows}\n  ]') + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--same-version", action="store_true")
    parser.add_argument("--show", action="store_true")
    args = parser.parse_args(arguments)
    found = compute()
    if args.show:
        sys.stdout.write(as_text(found))
        return 0
    try:
        write(GOLDEN, found, same_version=args.same_version)
    except ValueError as error:
        parser.exit(1, f"{error}; or give --same-version\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
