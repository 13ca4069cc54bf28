"""The project files in examples/benchmarks, with small files made in the layout that each scene has."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import scipy.io

from s2fin_cli.raster.class_names import read_class_names
from s2fin_cli.raster.info import read_info
from tests.files import read_raster

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tests.scenes import Run

PROJECTS = Path(__file__).parents[2] / "examples" / "benchmarks"
#: Files of a scene, the variable that each holds, and its bands; 0 are labels.
SEPARATE = {"HSI": 12, "LiDAR": 1, "TRLabel": 0, "TSLabel": 0}
AUTHORS = {"data_HS_LR": 12, "data_SAR_HR": 4, "TrainImage": 0, "TestImage": 0}
#: By scene: the files, the bands of the passive image, the second image, and how many classes there are.
SCENES: dict[str, tuple[dict[str, int], int, str, int]] = {
    "houston2013": (SEPARATE, 144, "lidar", 15),
    "trento": (SEPARATE, 63, "lidar", 6),
    "augsburg": (AUTHORS, 180, "sar", 7),
    "berlin": (AUTHORS, 244, "sar", 8),
}
SHAPE = (48, 60)


def class_stripes(classes: int) -> NDArray[np.uint8]:
    """Two rows of patches, each class once in either."""
    columns = np.arange(SHAPE[1]) * classes // SHAPE[1]
    upper, lower = columns + 1, (columns + classes // 2) % classes + 1
    return np.repeat([upper, lower], SHAPE[0] // 2, axis=0).astype("uint8")


def images_of(truth: NDArray[np.uint8], bands: int) -> NDArray[np.float64]:
    """An image (rows, columns, bands) in which classes differ."""
    generator = np.random.default_rng(bands)
    spectra = generator.uniform(50, 200, (truth.max() + 1, bands))
    return np.asarray(spectra[truth] + generator.normal(0, 4, (*truth.shape, bands)))


def put_scene(name: str, folder: Path) -> None:
    """The project's files and the MATLAB files that it wants."""
    shutil.copytree(PROJECTS / name, folder, dirs_exist_ok=True)
    files, bands, _, classes = SCENES[name]
    truth = class_stripes(classes)
    is_test = np.indices(SHAPE)[0] // 6 % 2 == 1
    for variable, own_bands in files.items():
        values: NDArray[Any]
        if own_bands == 0:
            values = np.where(is_test == variable.startswith(("TS", "Test")), truth, 0)
        elif own_bands == 1:
            values = images_of(truth, 1)[..., 0]
        else:
            values = images_of(truth, bands if variable in ("HSI", "data_HS_LR") else own_bands)
        scipy.io.savemat(folder / f"{variable}.mat", {variable: values})


def put_muufl(folder: Path) -> None:
    shutil.copytree(PROJECTS / "muufl", folder, dirs_exist_ok=True)
    truth = class_stripes(11)
    labels = truth.astype(float)
    labels[0] = -1  # unlabelled there
    lidar = np.empty((1, 2), dtype=object)
    lidar[0, 0], lidar[0, 1] = {"z": images_of(truth, 2)}, {"z": images_of(truth, 2)}
    scene = {"Data": images_of(truth, 64), "Lidar": lidar, "sceneLabels": {"labels": labels}}
    scipy.io.savemat(folder / "muufl_gulfport_campus_1_hsi_220_label.mat", {"hsi": scene})


def names_in(table: Path) -> dict[int, str]:
    with table.open(encoding="utf-8", newline="") as file:
        return {int(row["id"]): row["name"] for row in csv.DictReader(file)}


@pytest.mark.parametrize("name", SCENES)
def test_one_command_converts_a_scene(run: Run, in_folder: Path, name: str) -> None:
    put_scene(name, in_folder)
    result = run("convert")
    assert result.exit_code == 0, result.stderr
    _, bands, second, classes = SCENES[name]
    passive = read_info("hsi.tif")
    assert (passive.grid.shape, len(passive.indexes)) == (SHAPE, bands)
    assert (passive.wavelengths is not None) == Path("wavelengths.txt").exists()
    assert read_info(f"{second}.tif").grid.shape == SHAPE
    train, test = read_raster(Path("train.tif")), read_raster(Path("test.tif"))
    assert set(np.unique(train)) == set(np.unique(test)) == set(range(classes + 1))
    assert not ((train > 0) & (test > 0)).any()
    assert read_class_names("train.tif") == names_in(Path("classes.csv"))


@pytest.mark.slow
def test_a_run_is_reproduced(run: Run, in_folder: Path) -> None:
    put_scene("houston2013", in_folder)
    for command in (("convert",), ("train", "--epochs", "2"), ("classify",), ("evaluate", "-o", "report.csv")):
        result = run(*command)
        assert result.exit_code == 0, result.stderr
    right = read_raster(Path("map.tif")) == class_stripes(15)
    assert right.mean() > 0.8
    assert Path("report.csv").stat().st_size > 0


def test_muufl_is_split_by_blocks(run: Run, in_folder: Path) -> None:
    put_muufl(in_folder)
    for command in (("convert",), ("split", "--distance", "2")):
        result = run(*command)
        assert result.exit_code == 0, result.stderr
    (labels,) = read_raster(Path("labels.tif"))
    assert not labels[0].any()  # -1 there
    assert np.array_equal(labels[1:], class_stripes(11)[1:])
    assert len(read_info("lidar.tif").indexes) == 2
    assert read_class_names("train.tif") == names_in(Path("classes.csv"))
