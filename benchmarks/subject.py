"""s2fin as a method to measure: trained from files as by a user, its variants, and the use of a trained one."""

from __future__ import annotations

import copy
import functools
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import rasterio

from fitted import Fitted
from records import LABELS_ALONE, SUBJECT, Run
from s2fin_cli.core.device import pick_device
from s2fin_cli.core.modality import passive_of
from s2fin_cli.core.options import InputOptions
from s2fin_cli.inference.engine import Engine
from s2fin_cli.inference.pixels import predict_pixels
from s2fin_cli.inference.prior import apply_prior
from s2fin_cli.inference.smoothing import RADIUS, Smoother, guide_of
from s2fin_cli.inference.source import StackSource
from s2fin_cli.inference.tiles import classify_tiles
from s2fin_cli.model.file import read_model
from s2fin_cli.model.fit import fit_stack
from s2fin_cli.raster.opening import without_georeferencing_warning
from s2fin_cli.stack.assembly import stack_of
from s2fin_cli.teaching.ensemble import EnsembleTeacher
from s2fin_cli.training.recipe import Recipe
from s2fin_cli.workflows.options.classify import ClassifyOptions
from s2fin_cli.workflows.options.train import TrainOptions
from s2fin_cli.workflows.train import run as train
from subject_teachers import NoTeacher, Remembered

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from rasterio.windows import Window

    from s2fin import S2Fin
    from s2fin_cli.labels.pixels import LabelledPixels
    from s2fin_cli.model.info import ModelInfo
    from s2fin_cli.teaching.teacher import Teacher
    from scenes import LoadedScene

#: The variant that sees no second image.
ONE_IMAGE = "one image"
#: Changes to the network that show what its parts contribute.
PARTS: dict[str, dict[str, object]] = {
    "-hfset": {"hfset": False},
    "-afcm": {"afcm": False},
    "-ssaf": {"ssaf": False},
    "-hfrm": {"hfrm": False},
    "-scan": {"scan": False},
    "hard masks": {"frequency_mask": "hard"},
    "spatial resonance": {"resonance": "spatial"},
}


@dataclass(frozen=True)
class Use:
    """How a network is used.

    Attributes:
        stride, smooth: as of `s2fin classify`.
        misjudged: the prior is the shares of the scene's labels, each wrong by up to this factor; None for no prior.
    """

    stride: int | None = ClassifyOptions.stride
    smooth: bool = ClassifyOptions.smooth
    misjudged: float | None = None


#: Variants of how a network is used.
USES = {
    "stride 1": Use(stride=1),
    "stride 3": Use(stride=3),
    "smooth": Use(smooth=True),
    "prior": Use(misjudged=1),
    "rough prior": Use(misjudged=2),
}
#: What each variant of s2fin changes in the network.
VARIANTS: dict[str, dict[str, object]] = {
    **PARTS,
    **{name: {} for name in (*USES, ONE_IMAGE, LABELS_ALONE)},
    **{f"{LABELS_ALONE} {name}": changes for name, changes in PARTS.items()},
}


@dataclass(frozen=True)
class Trained:
    """A trained s2fin.

    Attributes:
        paths: the images, by modality.
        class_ids: the classes, in the order of the network's.
        network: the network.
        info: the description in the model file.
    """

    paths: dict[str, Any]
    class_ids: NDArray[np.int64]
    network: S2Fin
    info: ModelInfo

    def predict(
        self, pixels: LabelledPixels, *, stride: int | None, smooth: bool, prior: NDArray[np.float64] | None = None
    ) -> NDArray[np.float64]:
        """Probabilities (n, classes) of pixels of the scene, as a map of it would have them."""
        network = copy.deepcopy(self.network)
        if prior is not None:
            apply_prior(network, prior)
        engine = Engine(network, pick_device("auto"), stride=stride)
        stack = fit_stack(self.info, stack_of(InputOptions.from_kwargs(self.paths)))
        if not smooth:
            return predict_pixels(engine, stack, pixels.rows, pixels.cols).astype(np.float64)
        source, found = StackSource(stack, engine, reach=RADIUS), _Kept(engine.num_classes, stack.grid.shape)
        smoother = Smoother(source.extent, functools.partial(guide_of, network.standardizer))
        classify_tiles(source, engine, found, smoother=smoother)
        return found.probs[:, pixels.rows, pixels.cols].T.astype(np.float64)


class _Kept:
    """Keeps the probabilities (num_classes, height, width) of a whole map; a `Sink`."""

    def __init__(self, num_classes: int, shape: tuple[int, int]) -> None:
        self.probs = np.full((num_classes, *shape), np.nan, np.float32)

    def write(
        self, window: Window, probs: NDArray[np.float32], valid: NDArray[np.bool_], measures: NDArray[np.float32]
    ) -> None:
        """Keep a window, see `Sink`."""
        self.probs[:, *window.toslices()] = np.where(valid, probs, np.nan)


def train_subject(
    variant: str,
    loaded: LoadedScene,
    pixels: LabelledPixels,
    seed: int,
    *,
    teacher: Teacher[Any] | None = None,
    recipe: Recipe | None = None,
) -> Trained:
    """Train s2fin on pixels of a scene as a user does: files in, a model file out, defaults throughout.

    Args:
        variant: one of `VARIANTS`, or "" for s2fin itself.
        loaded: the scene.
        pixels: the training pixels.
        seed: seed of the training.
        teacher: teacher of the variants that have one; None is s2fin's own.
        recipe: recipe of training; None is s2fin's own.
    """
    paths = _passive_only(loaded.paths) if variant == ONE_IMAGE else loaded.paths
    chosen = NoTeacher() if variant.startswith(LABELS_ALONE) else teacher
    changes: Mapping[str, Any] = VARIANTS[variant] if variant else {}
    with tempfile.TemporaryDirectory() as folder:
        labels, model = Path(folder, "labels.tif"), Path(folder, "model.s2fin")
        class_ids = write_labels(labels, loaded, pixels)
        options = TrainOptions.from_kwargs({**paths, "labels": str(labels), "output": str(model), "seed": seed})
        train(options, teacher=chosen, network=changes, recipe=recipe)
        network, info = read_model(model)
    return Trained(paths, class_ids[[c.id - 1 for c in info.classes]], network, info)


class Subjects:
    """Trains s2fin and keeps the last network, so that another use of it needs no new training.

    Args:
        train: trains a variant, see `train_subject`.
        teacher: labels the scenes; None is s2fin's own.
    """

    def __init__(self, train: Callable[..., Trained] = train_subject, teacher: Teacher[Any] | None = None) -> None:
        self._train = train
        self._last: tuple[Run, Trained] | None = None
        self._teacher = Remembered(teacher or EnsembleTeacher(Recipe().ensemble))

    def fit(self, run: Run, loaded: LoadedScene, pixels: LabelledPixels) -> Fitted:
        """Fit s2fin or a variant of it to pixels of a scene."""
        variant = run.method.removeprefix(SUBJECT).strip()
        trained_as = "" if variant in USES else variant
        key = replace(run, method=trained_as)
        if self._last is None or self._last[0] != key:
            teacher = self._teacher.of(replace(run, method=ONE_IMAGE if trained_as == ONE_IMAGE else ""))
            self._last = key, self._train(trained_as, loaded, pixels, run.seed, teacher=teacher)
        trained = self._last[1]
        use = USES.get(variant, Use())
        ids, prior = trained.class_ids, None
        if use.misjudged is not None:
            prior = known_shares(ids, loaded.labels, misjudged=use.misjudged, seed=run.seed)
        return Fitted(ids, functools.partial(trained.predict, stride=use.stride, smooth=use.smooth, prior=prior))


def known_shares(
    class_ids: NDArray[np.int64], labels: LabelledPixels, *, misjudged: float, seed: int
) -> NDArray[np.float64]:
    """Shares (classes,) of the classes among a scene's labels, each wrong by up to a factor."""
    counts = (labels.class_ids == class_ids[:, None]).sum(axis=1)
    errors = misjudged ** np.random.default_rng(seed).uniform(-1, 1, len(class_ids))
    return np.asarray(counts * errors / (counts * errors).sum())


def write_labels(path: Path, loaded: LoadedScene, train: LabelledPixels) -> NDArray[np.int64]:
    """Write a label raster, 0 where unlabelled; its class 1 is the first of the returned class ids."""
    class_ids, positions = np.unique(train.class_ids, return_inverse=True)
    grid = loaded.stack.grid
    values = np.zeros(grid.shape, np.uint8)
    values[train.rows, train.cols] = positions + 1
    profile = {"driver": "GTiff", "count": 1, "dtype": "uint8", "nodata": 0, "compress": "deflate"}
    placed = {"crs": grid.crs, "transform": grid.transform, "height": grid.height, "width": grid.width}
    with without_georeferencing_warning(), rasterio.open(path, "w", **profile, **placed) as dst:
        dst.write(values, 1)
    return class_ids


def _passive_only(paths: dict[str, Any]) -> dict[str, Any]:
    return {name: path for name, path in paths.items() if name == passive_of(paths)}
