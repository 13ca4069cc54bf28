"""The labelled scenes on which accuracy is measured, read through the same stack as by s2fin."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rasterio.windows import Window

from s2fin_cli.core.options import InputOptions
from s2fin_cli.labels.read import read_labels
from s2fin_cli.labels.rules import LabelRules
from s2fin_cli.stack.assembly import stack_of
from s2fin_cli.stack.sampling import sample_pixels
from s2fin_cli.stack.stack import Stack
from s2fin_cli.stack.statistics import band_statistics

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from s2fin_cli.labels.pixels import LabelledPixels

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
#: The file that describes another scene, in its folder.
SCENE_FILE = "scene.toml"


@dataclass(frozen=True)
class Scene:
    """One labelled scene.

    Attributes:
        name: its folder.
        images: file by modality.
        labels: file of all labels.
        label_field: the class field of vector labels.
        bands: for a multispectral image in single-band files, their pattern.
        fixed: files of a published split, training and test, if there is one.
        tuned_on: whether hyper-parameters were chosen on it, so that its figures are not independent of them.
        root: the folder that its folder is in.
    """

    name: str
    images: dict[str, str]
    labels: str
    label_field: str | None = None
    bands: str | None = None
    fixed: tuple[str, str] | None = None
    tuned_on: bool = False
    root: Path = DATA

    @property
    def folder(self) -> Path:
        """The folder of its files."""
        return self.root / self.name

    @property
    def paths(self) -> dict[str, str | list[str]]:
        """Path or paths by modality."""
        paths: dict[str, str | list[str]] = {name: str(self.folder / file) for name, file in self.images.items()}
        if self.bands is not None:
            paths["msi"] = sorted(map(str, self.folder.glob(self.bands)))
        return paths

    @property
    def has_second_image(self) -> bool:
        """Whether there is a second image beside the passive one."""
        return len(self.images) + (self.bands is not None) > 1


SCENES = (
    Scene("amazon_s2_dem", {"msi": "sen2_12b.tif", "dsm": "srtm_sen2.tif"}, "train_sen2.gpkg", "class", tuned_on=True),
    Scene(
        "amazon_landsat_dem", {"msi": "lsat7.tif", "dsm": "srtm_lsat.tif"}, "train_lsat.gpkg", "class", tuned_on=True
    ),
    Scene("slovenia_ndvi_dem", {"msi": "eo_ndvi68.tif", "dsm": "eo_dem.tif"}, "eo_lulc.tif", tuned_on=True),
    Scene(
        "indian_pines", {"hsi": "ip_hsi.tif"}, "ip_gt.tif", fixed=("ip_train_695.tif", "ip_test_695.tif"), tuned_on=True
    ),
    Scene("gulfport_crop", {"hsi": "muufl_hsi64.tif", "lidar": "muufl_dsm.tif"}, "muufl_pure80.tif", tuned_on=True),
    Scene("beaufort_s2", {}, "rcr_landcover.shp", "Classvalue", bands="*, B0?.tiff", tuned_on=True),
    Scene("zion_landsat_dem", {"msi": "landsat8.tif", "dsm": "srtm.tif"}, "nlcd2011.tif"),
    Scene("wetland_bc_s2_dem", {"msi": "sentinel2_b4.tif", "dsm": "dem.tif"}, "points.gpkg", "class"),
    # its fourth band is declared alpha, and used as data, as it holds too many values for a mask
    Scene("lattes_ortho_lidar", {"msi": "ortho_rgbn.tif", "lidar": "lidar_height.tif"}, "lidar_class.tif"),
    Scene("charente_s2_s1", {"msi": "s2_before_after.tif", "sar": "s1_vv_before_after.tif"}, "flood.tif"),
)


def read_scene(folder: Path) -> Scene:
    """A scene that is not among the known ones.

    Args:
        folder: it holds the scene's files and `SCENE_FILE`, whose keys are the attributes of `Scene`: `images` (a table
            of file by modality) and `labels`, and if they apply `label_field` and `bands`.

    Raises:
        OSError: it has no such file.
        ValueError: there is something else in it.
    """
    with (folder / SCENE_FILE).open("rb") as file:
        values: dict[str, Any] = tomllib.load(file)
    known = {field.name for field in fields(Scene)} - {"name", "root", "fixed", "tuned_on"}
    if unknown := sorted(values.keys() - known):
        raise ValueError(
            f"{folder / SCENE_FILE} has unknown keys: {', '.join(unknown)}; known are {', '.join(sorted(known))}"
        )
    if missing := sorted({"images", "labels"} - values.keys()):
        raise ValueError(f"{folder / SCENE_FILE} lacks {', '.join(missing)}")
    if not isinstance(values["images"], dict):
        raise ValueError(f'{folder / SCENE_FILE}: images is no table, such as {{msi = "image.tif"}}')
    folder = folder.resolve()
    return Scene(folder.name, root=folder.parent, **values)


@dataclass(frozen=True)
class LoadedScene:
    """A scene in memory.

    Attributes:
        scene: its description.
        paths: path or paths by modality.
        stack: its images on one grid.
        image: float32 (bands, height, width), all bands of all images, 0 where there is no data.
        image_bands: how many of them are the passive image's.
        labels: all labelled pixels that have data.
        fixed: training and test pixels of a published split, if there is one.
    """

    scene: Scene
    paths: dict[str, Any]
    stack: Stack
    image: NDArray[np.float32]
    image_bands: int
    labels: LabelledPixels
    fixed: tuple[LabelledPixels, LabelledPixels] | None


def load(scene: Scene) -> LoadedScene:
    """Read a scene."""
    stack = _without_empty_bands(stack_of(InputOptions.from_kwargs(scene.paths)))
    height, width = stack.grid.shape
    with stack.open() as opened:
        tile = opened.read(Window(0, 0, width, height))
    labels = read_labels(scene.folder / scene.labels, stack.grid, rules=LabelRules(scene.label_field))
    labels = labels.select(tile.valid[labels.rows, labels.cols])
    values = np.concatenate(tile.images.parts())
    fixed = None
    if scene.fixed is not None:
        # NOTE: a published split may hold other pixels than the scene's labels, and number the classes otherwise.
        train, test = (read_labels(scene.folder / name, stack.grid) for name in scene.fixed)
        fixed = train, test
    return LoadedScene(
        scene, scene.paths, stack, np.nan_to_num(values, copy=False), len(tile.images.image), labels, fixed
    )


def _without_empty_bands(stack: Stack) -> Stack:
    """The stack without bands that have no data anywhere, as training leaves them out: no pixel would be valid."""
    statistics = band_statistics(sample_pixels(stack))
    layers = []
    for layer, bands in stack.slices():
        is_empty = statistics.select(bands).is_empty
        layers.append(layer.without({number for number, empty in zip(layer.numbers, is_empty, strict=True) if empty}))
    return replace(stack, image=layers[0], aux=tuple(layers[1:]))
