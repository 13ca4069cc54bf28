"""Labels parted into training and test labels: apart, whole, in every class, and read again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from scipy.ndimage import maximum_filter

from s2fin import S2FinConfig
from s2fin_cli.labels.limits import DEFAULT_LIMITS, Limits
from s2fin_cli.labels.read import read_labels
from s2fin_cli.raster.class_names import read_class_names
from s2fin_cli.raster.info import read_info
from s2fin_cli.raster.lettering import caption
from s2fin_cli.workflows.options.split import SplitOptions
from s2fin_cli.workflows.split import run as split
from tests.files import CRS_CODE, TRANSFORM, read_raster, write_raster

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from tests.scenes import Run

SHAPE = (120, 150)
NAMES = ("sand", "Sea, deep", "reef")


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    """Scattered polygons of three classes, and an image."""
    generator = np.random.default_rng(1)
    corners = [(col, row) for row in range(0, 116, 12) for col in range(0, 146, 12)]
    a, _, c, _, e, f = TRANSFORM[:6]
    geometries = [shapely.box(a * col + c, e * row + f, a * (col + 4) + c, e * (row + 3) + f) for col, row in corners]
    land = [NAMES[i] for i in generator.integers(0, 3, len(geometries))]
    gpd.GeoDataFrame({"land": land}, geometry=geometries, crs=CRS_CODE).to_crs("EPSG:4326").to_file(
        tmp_path / "gt.gpkg"
    )
    write_raster(tmp_path / "image.tif", generator.random((2, *SHAPE)).astype("float32"))
    return tmp_path


def run_split(run: Run, *arguments: object) -> dict[str, Any]:
    given = ("--labels", "gt.gpkg", "--like", "image.tif", "--train", "train.tif", "--test", "test.tif")
    result = run("split", *given, "--json", *arguments)
    assert result.exit_code == 0, result.stderr
    return dict(json.loads(result.stdout))


def nearest(train: NDArray[Any], test: NDArray[Any]) -> int:
    """Chebyshev distance between labelled pixels of both."""
    a, b = np.argwhere(train > 0), np.argwhere(test > 0)
    return int(np.abs(a[:, None] - b[None]).max(axis=2).min())


#: By which labels are too many to be held, and read in strips.
SMALL = Limits(held_pixels=10, strip_pixels=500, split_pixels=1200)


@pytest.mark.parametrize("limits", [DEFAULT_LIMITS, SMALL], ids=["few", "many"])
@pytest.mark.parametrize(("method", "distance"), [("polygons", 11), ("blocks", 9), ("random", 1)])
def test_both_parts_lie_apart_and_hold_what_the_labels_did(
    scene: Path, method: str, distance: int, limits: Limits
) -> None:
    options = SplitOptions(
        labels=scene / "gt.gpkg", like=scene / "image.tif", train=scene / "train.tif", test=scene / "test.tif",
        method=method, distance=distance, share=0.3,
    )  # fmt: skip
    answer = split(options, limits=limits).to_dict()
    train, test = (read_raster(scene / f"{name}.tif")[0] for name in ("train", "test"))
    assert nearest(train, test) >= distance
    labels = read_labels(scene / "gt.gpkg", read_info(scene / "image.tif").grid)
    whole = np.zeros(SHAPE, np.uint8)
    whole[labels.rows, labels.cols] = labels.class_ids
    both = np.maximum(train, test)
    assert not ((train > 0) & (test > 0)).any()
    assert np.array_equal(both[both > 0], whole[both > 0])
    assert (whole > 0).sum() - (both > 0).sum() == answer["dropped"]
    assert sorted(answer["classes"]) == sorted(NAMES)
    for class_id, name in read_class_names(scene / "train.tif").items():
        assert answer["classes"][name] == {"train": (train == class_id).sum(), "test": (test == class_id).sum()}
        assert 0.15 < (test == class_id).sum() / (whole == class_id).sum() < 0.45
    if method != "blocks":
        near = maximum_filter(test > 0, 2 * distance - 1, mode="constant")
        assert np.array_equal(train > 0, (whole > 0) & ~near), "no more is left out than has to be"
    if method == "polygons":
        places = np.zeros(SHAPE, int)
        places[labels.rows, labels.cols] = labels.groups + 1
        assert not set(places[train > 0].tolist()) & set(places[test > 0].tolist())


def test_the_parts_are_labels_with_names_and_colours(run: Run, scene: Path) -> None:
    (scene / "classes.csv").write_text("id,name,color\n5,Reef,#ff0000\n9,sand,#00ff00\n")
    run_split(run, "--classes", "classes.csv", "--picture", "split.png")
    grid = read_info(scene / "image.tif").grid
    for name in ("train", "test"):
        labels = read_labels(scene / f"{name}.tif", grid)
        assert [(c.id, c.name) for c in labels.classes] == [(5, "Reef"), (9, "sand")]
        with rasterio.open(scene / f"{name}.tif") as src:
            assert src.colormap(1)[5] == (255, 0, 0, 255)
            assert (src.crs, src.transform, src.shape) == (CRS_CODE, TRANSFORM, SHAPE)
    result = run("evaluate", "--map", "train.tif", "--reference", "train.tif", "--json")
    assert json.loads(result.stdout)["overall_accuracy"] == 1
    picture = read_raster(scene / "split.png")
    captions, drawn = picture[:, : -SHAPE[0]], picture[:, -SHAPE[0] :]
    panels = drawn[:, :, : SHAPE[1]], drawn[:, :, -SHAPE[1] :]
    for strip, text in zip(
        (captions[:, :, : SHAPE[1]], captions[:, :, -SHAPE[1] :]), ("training", "test"), strict=True
    ):
        assert np.array_equal(strip, caption(text, SHAPE[1]))
    for panel, name in zip(panels, ("train", "test"), strict=True):
        values = read_raster(scene / f"{name}.tif")[0]
        assert np.array_equal((panel == np.array([255, 0, 0])[:, None, None]).all(axis=0), values == 5)
        assert np.array_equal((panel == 255).all(axis=0), values == 0)


def test_the_same_seed_gives_the_same_parts(run: Run, scene: Path) -> None:
    parts = []
    for seed in (0, 0, 1):
        run_split(run, "--seed", seed, "--overwrite")
        parts.append(read_raster(scene / "test.tif"))
    assert np.array_equal(parts[0], parts[1])
    assert not np.array_equal(parts[0], parts[2])


def test_the_default_distance_is_farther_than_the_network_sees() -> None:
    network = S2FinConfig(in_channels=1, aux_channels=1, num_classes=2)
    assert SplitOptions.distance == network.input_size // 2 + 1


def test_splits_that_cannot_be_made(run: Run, scene: Path) -> None:
    given = ("split", "--labels", "gt.gpkg", "--like", "image.tif", "--train", "train.tif")
    for arguments, code, message in (
        (("--test", "test.gpkg"), 2, "rasters are GeoTIFFs; give a name that ends in .tif"),
        (("--test", "test.tif", "--picture", "a.jpg"), 2, "a picture is a PNG"),
        (("--test", "test.tif", "--share", 1), 2, "--share is 1.0; it must be above 0 and below 1"),
        (("--test", "test.tif", "--distance", 100), 1, "a smaller --share or another --method"),
        (("--test", "train.tif"), 1, "train.tif"),
        (("--test", "gone/test.tif"), 1, "does not exist; make it first"),
    ):
        result = run(*given, *arguments)
        assert (result.exit_code, message in result.stderr) == (code, True), result.stderr
        assert sorted(path.name for path in scene.iterdir()) == ["gt.gpkg", "image.tif"]
