"""A model of another scene that training starts from."""

from __future__ import annotations

import copy
import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from s2fin import S2FinConfig
from s2fin_cli.core.classes import find_name
from s2fin_cli.core.errors import LabelError, ModelFileError, UsageError, shortened
from s2fin_cli.core.names import without_credentials
from s2fin_cli.labels.splits import cap_per_class
from s2fin_cli.model.file import read_item, read_parts
from s2fin_cli.model.fit import check_scene, fit_stack
from s2fin_cli.training.cell_probs import probs_at
from s2fin_cli.training.labelled import targets_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from s2fin import S2Fin
    from s2fin_cli.core.options import StrPath
    from s2fin_cli.geo.grid import Grid
    from s2fin_cli.labels.pixels import LabelledPixels
    from s2fin_cli.labels.splits import Split
    from s2fin_cli.model.info import ModelInfo
    from s2fin_cli.stack.stack import Stack
    from s2fin_cli.stack.statistics import BandStatistics
    from s2fin_cli.training.scene import Scene

logger = logging.getLogger(__name__)

#: Lower probabilities of the right class count as this one where models are compared.
SMALLEST_PROB = 1e-3
#: Values of `Start.statistics`.
OF_MODEL, OF_SCENE = "model", "scene"


@dataclass(frozen=True, eq=False)
class Start:
    """A model to start from that fits a scene.

    Attributes:
        network: its network, for the classes of the scene, in evaluation mode; the scene is standardised by its
            statistics.
        origin: what the new model's file keeps of it, plain JSON values.
    """

    network: S2Fin
    origin: dict[str, Any]


@dataclass(frozen=True, eq=False)
class GivenModel:
    """A model to start from, as its file has it.

    Attributes:
        path: the file.
        network: its network.
        info: its description.
        identifier: what its STAC item is called, which its contents determine.
    """

    path: StrPath
    network: S2Fin
    info: ModelInfo
    identifier: str

    @classmethod
    def read(cls, path: StrPath) -> GivenModel:
        """Read a model file.

        Raises:
            ModelFileError: it is missing, damaged, foreign or of a later format.
        """
        with torch.random.fork_rng():  # a network draws weights when it is made
            network, info, _ = read_parts(path)
            identifier = str(read_item(path)["id"])
        return cls(path, network, info, identifier)

    def check_patch_size(self, patch_size: int) -> None:
        """Refuse a size of windows that is not the model's.

        Raises:
            UsageError: it is another one.
        """
        if patch_size != self.info.patch_size:
            raise UsageError(
                f"`patch_size` is {patch_size}, and {self.path}, the model to start from, has windows of "
                f"{self.info.patch_size} pixels; use `patch_size={self.info.patch_size}`"
            )

    def bands_of(self, stack: Stack) -> Stack:
        """The stack with the bands that the model takes, in its order.

        Raises:
            ModelFileError: images or bands are missing, or there are images that the model does not know.
        """
        try:
            return fit_stack(self.info, stack)
        except ModelFileError as error:
            raise ModelFileError(f"training cannot start from {self.path}: {error}") from error

    def check_images(self, stack: Stack, statistics: BandStatistics) -> None:
        """Refuse images without usable values in a band that the model takes, or of another unit.

        Args:
            stack: the images, without the bands that are of no use.
            statistics: statistics of their bands.

        Raises:
            ModelFileError: they are such.
        """
        for bands, layer in zip(self.info.bands, stack.layers, strict=True):
            if len(layer.numbers) != len(bands.indexes):
                raise ModelFileError(
                    f"{layer.describe()} has bands of no use, which {self.path}, the model to start from, needs; "
                    "train without `init`"
                )
        check_scene(self.info, stack, statistics)

    def check_labels(self, labels: LabelledPixels, grid: Grid) -> None:
        """Refuse labels that the model learnt from: they cannot tell how far it is to be trusted here.

        Raises:
            LabelError: some of them are such, or of a class that the model does not know.
        """
        self._positions(labels)
        share = max((sketch.share_in([labels], grid) for sketch in self.info.label_sketches(grid)), default=0.0)
        if share > 0:
            raise LabelError(
                f"{self.path}, the model to start from, learnt from about {max(100 * share, 1):.0f} % of these labels, "
                "so they cannot tell how far to trust it; start from a model of another scene, or train without `init`"
            )

    def _positions(self, labels: LabelledPixels) -> list[int]:
        """The position of each class of labels among the model's.

        Raises:
            LabelError: the model does not know one.
        """
        names = {position: c.name for position, c in enumerate(self.info.classes)}
        found = {c.name: find_name(c.name, names) for c in labels.classes}
        positions = [position for position in found.values() if position is not None]
        unknown = [name for name, position in found.items() if position is None]
        if unknown or len(set(positions)) < len(positions):
            raise LabelError(
                f"{self.path}, the model to start from, knows the classes {shortened(list(names.values()))}, and the "
                f"labels have {shortened(unknown or list(found))}; give classes its names, or train without `init`"
            )
        return positions

    def config(self, labels: LabelledPixels) -> S2FinConfig:
        """The configuration of a network that starts from it, for the classes of labels that are not dense."""
        return replace(self.network.cfg, num_classes=len(labels.classes), block_size=S2FinConfig.block_size)

    def start(self, scene: Scene, labels: LabelledPixels, split: Split, *, most: int, seed: int) -> Start:
        """The start for a scene and the classes of its labels; warns of classes of the model that have no labels.

        Labels choose whether the scene is standardised by the model's own statistics or by the scene's. The components
        of the spectrum stay the model's, as its weights are for these.

        Args:
            scene: what is known of the images.
            labels: their labels.
            split: which of them are learnt from.
            most: labels of a class that are looked at, at most.
            seed: seed of their random choice.
        """
        network, known = self._for_classes(labels), scene.standardizer
        here = copy.deepcopy(network)
        here.set_statistics(known.image_mean, known.image_std, known.aux_mean, known.aux_std)
        some = labels.select(
            cap_per_class(labels.class_ids, split.train, most=most, generator=np.random.default_rng(seed))
        )
        targets, best = targets_of(some), None
        for statistics, each in ((OF_MODEL, network), (OF_SCENE, here)):
            probs = probs_at(each.to(known.device), scene.stack, some.rows, some.cols)
            likelihood = _likelihood(probs, targets)
            if best is None or likelihood > best[0]:
                best = likelihood, each, statistics, float((probs.argmax(axis=1) == targets).mean())
        assert best is not None  # noqa: S101  there are two
        _, chosen, statistics, right = best
        whose = "its own scene" if statistics == OF_MODEL else "this scene"
        logger.info(
            "%s, with the statistics of %s, has the right class at %.0f %% of the labels", self.path, whose, 100 * right
        )
        name = Path(without_credentials(self.path)).name
        origin = {"file": name, "model": self.identifier, "statistics": statistics, "labels_right": round(right, 3)}
        origin["learnt_from"] = self.info.learnt_from
        return Start(chosen, origin)

    def _for_classes(self, labels: LabelledPixels) -> S2Fin:
        """Its network for the classes of labels, in their order."""
        positions = self._positions(labels)
        if left := [c.name for position, c in enumerate(self.info.classes) if position not in positions]:
            logger.warning(
                "%s, the model to start from, knows classes that have no labels here, which the new model will not "
                "map: %s", self.path, shortened(left),
            )  # fmt: skip
        with torch.random.fork_rng():  # a network draws weights when it is made
            return self.network.with_classes(positions)


def _likelihood(probs: NDArray[np.float32], targets: NDArray[np.int64]) -> float:
    """Mean logarithm of the probability of the right class."""
    return float(np.log(np.maximum(probs[np.arange(len(targets)), targets], SMALLEST_PROB)).mean())
