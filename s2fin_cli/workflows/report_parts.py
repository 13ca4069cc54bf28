"""The parts of a report, gathered from a map, from what it records, and from a model."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from s2fin_cli.core.classes import NO_CLASS
from s2fin_cli.core.errors import InputError, ModelFileError, S2finError
from s2fin_cli.core.modality import MODALITIES
from s2fin_cli.core.names import is_dataset_name
from s2fin_cli.model.file import read_info as read_model_info
from s2fin_cli.raster.class_names import read_run
from s2fin_cli.raster.info import read_info
from s2fin_cli.reporting.map_report import ReportedRun
from s2fin_cli.reporting.pictures import (
    Picture,
    Pictures,
    draw_classes,
    draw_confidence,
    draw_dissimilarity,
    draw_image,
)
from s2fin_cli.reporting.training_report import TrainingReport
from s2fin_cli.shards.receipt import checksum
from s2fin_cli.stac.images import is_elsewhere, named_file, rasters_of
from s2fin_cli.stack.layer import Layer
from s2fin_cli.stack.preview import view_classes, view_grid

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from s2fin_cli.core.options import StrPath
    from s2fin_cli.core.run_record import RunRecord, UsedFile
    from s2fin_cli.geo.grid import Grid
    from s2fin_cli.model.info import ModelInfo
    from s2fin_cli.reporting.classes import MappedClass
    from s2fin_cli.workflows.report_measures import Measured

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Origin:
    """How a map was made, as far as it is known.

    Attributes:
        map_path: the map.
        run: the record of the classification, or None.
        model_path: the model, or None.
        training: what the training of the model found, or None.
    """

    map_path: str
    run: RunRecord | None
    model_path: Path | None = None
    training: TrainingReport | None = None

    @classmethod
    def of(cls, map_path: str, model: StrPath | None = None, info: ModelInfo | None = None) -> Origin:
        """From what a map records.

        Args:
            map_path: the map.
            model: the model, if it was given.
            info: what that model says about itself, if it was read before.

        Raises:
            ModelFileError: the model that was given cannot be read; one that the map names causes a warning.
        """
        found = cls(map_path, read_run(map_path))
        if model is not None:
            info = read_model_info(model) if info is None else info
            return replace(found, model_path=Path(model), training=TrainingReport.of(info))
        named = next((path for path in found.paths_of("model") if os.path.isfile(path)), None)
        if named is None:
            return found
        try:
            return replace(found, model_path=Path(named), training=TrainingReport.of(read_model_info(named)))
        except ModelFileError as error:
            logger.warning("the report does not show how the model was trained: %s", error)
            return found

    def paths_of(self, option: str) -> list[str]:
        """Where the files are now that were given with an option."""
        return [] if self.run is None else [self._found(file) for file in self.run.files if file.option == option]

    def _found(self, file: UsedFile) -> str:
        """Where a file is now: at its path, or in the map's folder; its path as it was where it is in neither."""
        if is_dataset_name(file.path):  # which is not followed, see `_recorded`
            return file.path
        folder = os.path.dirname(os.path.abspath(self.map_path))
        for place in (file.path, os.path.join(folder, file.path), os.path.join(folder, Path(file.path).name)):
            named = named_file(place)
            if os.path.isdir(named) or (os.path.isfile(named) and file.size in (None, os.path.getsize(named))):
                return place
        return file.path

    def runs(self, map_name: str) -> tuple[ReportedRun, ...]:
        """The runs that made the model and the map, which the user calls by a name."""
        known = []
        if self.training is not None and self.training.run is not None:
            known.append((self.training.run, str(self.model_path)))
        if self.run is not None:
            known.append((self.run, map_name))
        return tuple(ReportedRun.of(run, name) for run, name in known)

    def is_other_model(self) -> bool:
        """Whether the model is not the one that made the map."""
        if self.run is None or self.model_path is None:
            return False
        known = [file.sha256 for file in self.run.files if file.option == "model"]
        return bool(known) and known[0] is not None and checksum(self.model_path) != known[0]


# NOTE: eq=False because arrays do not compare to one truth value.
@dataclass(frozen=True, eq=False)
class MapView:
    """A map and what was measured of it on the coarse grid of a drawing.

    Attributes:
        grid: the coarse grid.
        class_ids: int64 (height, width), `NO_CLASS` for nodata.
        measured: what was measured of the map.
    """

    grid: Grid
    class_ids: NDArray[np.int64]
    measured: Measured

    @classmethod
    def of(cls, map_path: str, grid: Grid, measured: Measured) -> MapView:
        """From a map on a grid, and what was measured of it."""
        view = view_grid(grid)
        return cls(view, view_classes(map_path, view), measured)

    def draw(self, classes: Sequence[MappedClass], images: Sequence[Layer]) -> Pictures:
        """The drawing: images below, the map and what was measured of it above."""
        layers, notes = draw_images(images, self.grid, valid=self.class_ids != NO_CLASS)
        layers.append(draw_classes(self.class_ids, classes, caption="the class of each pixel"))
        if self.measured.confidence is not None:
            layers.append(draw_confidence(self.measured.confidence))
        if self.measured.dissimilarity is not None:
            layers.append(draw_dissimilarity(self.measured.dissimilarity))
        return Pictures.on(self.grid, layers, notes)


def draw_images(
    images: Sequence[Layer], view: Grid, *, valid: NDArray[np.bool_] | None = None
) -> tuple[list[Picture], list[str]]:
    """Pictures of images, and why some could not be drawn."""
    pictures, notes = [], []
    for layer in images:
        try:
            pictures.append(draw_image(layer, view, valid=valid))
        except S2finError as error:
            notes.append(f"{layer.describe()} is not shown: {error}.")
            logger.warning("the report does not show %s: %s", layer.describe(), error)
    return pictures, notes


def images_of(origin: Origin, given: Mapping[str, Sequence[str]]) -> tuple[list[Layer], list[str]]:
    """The images to draw, the passive one first, and why some cannot be.

    Args:
        origin: what the map records.
        given: paths of the images that were given, by modality; they are shown instead of those that the map records.

    Raises:
        RasterError: an image that was given cannot be read.
    """
    layers, notes = [], []
    for modality in MODALITIES:
        if given.get(modality):
            layers.append(_layer(modality, given[modality]))
        elif recorded := origin.paths_of(modality):
            try:
                layers.append(_recorded(modality, recorded))
            except S2finError as error:
                notes.append(f"The `{modality}` is not shown, because {error}.")
    if not layers and not notes:
        notes.append("No image is shown, because the map does not say what it was made from; give one, e.g. as `msi`.")
    return layers, notes


def _layer(modality: str, paths: Sequence[str]) -> Layer:
    return Layer.of(modality, [read_info(name) for path in paths for name in rasters_of(path)])


def _recorded(modality: str, paths: Sequence[str]) -> Layer:
    """An image that a map names.

    Raises:
        S2finError: it cannot be read, or is no file of this machine.
    """
    # NOTE: the record of a map from elsewhere must not make this machine ask another one, or wait for a pipe
    for path in paths:
        if is_dataset_name(path):
            raise InputError(f"{path} is no file of this machine; give it as `{modality}`")
        file = named_file(path)
        if not (os.path.isfile(file) or os.path.isdir(file)):
            raise InputError(f"{path} is not there; give it as `{modality}` from where it is now")
        if is_elsewhere(path):
            raise InputError(f"{path} leads to another machine; give it as `{modality}`")
    return _layer(modality, paths)
