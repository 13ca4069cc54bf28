"""The parts of a report, gathered from a map, from what it records, and from a model."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from s2fin_cli.core.classes import NO_CLASS
from s2fin_cli.core.errors import S2finError
from s2fin_cli.core.modality import MODALITIES, passive_of
from s2fin_cli.core.names import is_dataset_name
from s2fin_cli.model.file import read_info as read_model_info
from s2fin_cli.raster.class_names import read_run
from s2fin_cli.raster.info import read_info
from s2fin_cli.reporting.commands import command_of
from s2fin_cli.reporting.map_report import ReportedRun
from s2fin_cli.reporting.pictures import Picture, Pictures, draw_classes, draw_confidence, draw_image
from s2fin_cli.reporting.training_report import TrainingReport
from s2fin_cli.shards.receipt import checksum
from s2fin_cli.stack.layer import Layer
from s2fin_cli.stack.preview import view_classes, view_grid, view_values

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from s2fin_cli.core.options import StrPath
    from s2fin_cli.core.run_record import RunRecord, UsedFile
    from s2fin_cli.geo.grid import Grid
    from s2fin_cli.reporting.classes import MappedClass

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Origin:
    """How a map was made, as far as it is known.

    Attributes:
        map_path: the map.
        run: the record of the classification, or None.
        model_path: the model, or None.
    """

    map_path: str
    run: RunRecord | None
    model_path: Path | None

    @classmethod
    def of(cls, map_path: str, model: StrPath | None = None) -> Origin:
        """From what a map records.

        Args:
            map_path: the map.
            model: the model, if it is known better.
        """
        run = read_run(map_path)
        if model is not None:
            return cls(map_path, run, Path(model))
        named = [] if run is None else [Path(path) for path in cls(map_path, run, None).paths_of("model")]
        return cls(map_path, run, next((path for path in named if path.is_file()), None))

    def paths_of(self, option: str) -> list[str]:
        """Where the files are now that were given with an option."""
        return [] if self.run is None else [self._found(file) for file in self.run.files if file.option == option]

    def _found(self, file: UsedFile) -> str:
        """Where a file is now: at its path, or in the map's folder; its path as it was where it is in neither."""
        if is_dataset_name(file.path):  # it is not followed, see `images_of`
            return file.path
        folder = Path(self.map_path).absolute().parent
        for place in (Path(file.path), folder / file.path, folder / Path(file.path).name):
            if place.exists() and (file.size is None or place.stat().st_size == file.size):
                return str(place)
        return file.path

    def training(self) -> TrainingReport | None:
        """What the training of the model found, None without a model.

        Raises:
            ModelFileError: the model cannot be read.
        """
        return None if self.model_path is None else TrainingReport.of(read_model_info(self.model_path))

    def runs(self, training: TrainingReport | None) -> tuple[ReportedRun, ...]:
        """The runs that made the model and the map."""
        known = []
        if training is not None and training.run is not None and self.model_path is not None:
            known.append((training.run, str(self.model_path)))
        if self.run is not None:
            known.append((self.run, self.map_path))
        return tuple(ReportedRun(run, name, command_of(run, name)) for run, name in known)

    def is_other_model(self) -> bool:
        """Whether the model is not the one that made the map."""
        if self.run is None or self.model_path is None:
            return False
        known = [file.sha256 for file in self.run.files if file.option == "model"]
        return bool(known) and known[0] is not None and checksum(self.model_path) != known[0]


@dataclass(frozen=True)
class Views:
    """A map and its confidence on the coarse grid of a drawing.

    Attributes:
        grid: the coarse grid.
        class_ids: int64 (height, width), `NO_CLASS` for nodata.
        confidence: float32 (height, width), NaN without data; None where it is not known.
    """

    grid: Grid
    class_ids: NDArray[np.int64]
    confidence: NDArray[np.float32] | None

    @classmethod
    def of(cls, map_path: str, grid: Grid, confidence: StrPath | NDArray[np.float32] | None) -> Views:
        """From a map on a grid, and its confidence: a raster, or a view of one."""
        view = view_grid(grid)
        values = confidence if confidence is None or isinstance(confidence, np.ndarray) else _first(confidence, view)
        return cls(view, view_classes(map_path, view), values)

    def mean_confidence(self) -> dict[int, float]:
        """Mean confidence by class id, of the classes that the view shows."""
        if self.confidence is None:
            return {}
        is_known = np.isfinite(self.confidence) & (self.class_ids != NO_CLASS)
        ids, values = self.class_ids[is_known], self.confidence[is_known]
        pixels, sums = np.bincount(ids), np.bincount(ids, values)
        return {int(i): round(float(sums[i] / pixels[i]), 4) for i in np.flatnonzero(pixels)}

    def draw(self, classes: Sequence[MappedClass], images: Sequence[tuple[str, Layer]]) -> Pictures:
        """The drawing: images below, the map and its confidence above."""
        layers, notes = draw_images(images, self.grid, valid=self.class_ids != NO_CLASS)
        layers.append(draw_classes(self.class_ids, classes, caption="the class of each pixel"))
        if self.confidence is not None:
            layers.append(draw_confidence(self.confidence))
        return Pictures.on(self.grid, layers, notes)


def _first(src_path: StrPath, view: Grid) -> NDArray[np.float32]:
    """The first band (height, width) of a raster on the grid of a view."""
    values: NDArray[np.float32] = view_values(str(src_path), view, [1])[0]
    return values


def draw_images(
    images: Sequence[tuple[str, Layer]], view: Grid, *, valid: NDArray[np.bool_] | None = None
) -> tuple[list[Picture], list[str]]:
    """Images with their keys as pictures, and why some could not be drawn."""
    layers, notes = [], []
    for key, layer in images:
        try:
            layers.append(draw_image(layer, view, valid=valid, key=key))
        except S2finError as error:
            notes.append(f"{layer.describe()} is not shown: {error}.")
            logger.warning("the report does not show %s: %s", layer.describe(), error)
    return layers, notes


def images_of(origin: Origin, image: StrPath | None) -> tuple[list[tuple[str, Layer]], list[str]]:
    """The images to draw with their keys, the passive one first, and why some cannot be.

    Args:
        origin: what the map records.
        image: the image to show instead of the passive one that it records.
    """
    given = {name: found for name in MODALITIES if (found := origin.paths_of(name))}
    passive = passive_of(given) or "image"
    second = next((name for name in given if name != passive), None)
    wanted = {"image": (passive, given.get(passive, []) if image is None else [str(image)])}
    if second is not None:
        wanted["second"] = (second, given[second])
    images, notes = [], []
    for key, (modality, paths) in wanted.items():
        is_given = image is not None and key == "image"
        if not is_given and any(map(is_dataset_name, paths)):
            # NOTE: the record of a map from elsewhere must not make this machine ask another one
            notes.append(f"The `{modality}` is not shown, because it is no plain file; give it as `image`.")
            continue
        try:
            if paths:
                images.append((key, Layer.of(modality, [read_info(path) for path in paths])))
        except S2finError as error:
            if is_given:
                raise
            notes.append(f"The `{modality}` is not shown, because {error}.")
    if not wanted["image"][1]:
        notes.append("The image is not shown, because the map does not say what it was made from; give it as `image`.")
    return images, notes
