"""The use case of training: files in, a model file out."""

from __future__ import annotations

import contextlib
import logging
from collections import Counter
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from s2fin import S2Fin, S2FinConfig
from s2fin_cli.assess.metrics import Accuracy
from s2fin_cli.core.classes import map_encoding
from s2fin_cli.core.device import keep_freed_memory, pick_device
from s2fin_cli.core.errors import LabelError, RasterError, S2finError
from s2fin_cli.core.files import check_outputs, staged
from s2fin_cli.core.modality import MODALITIES
from s2fin_cli.core.progress import Progress, silent
from s2fin_cli.inference.engine import Engine
from s2fin_cli.inference.pixels import predict_pixels
from s2fin_cli.labels.read import Labels, open_labels
from s2fin_cli.labels.rules import rules_of
from s2fin_cli.labels.splits import Split, cap_per_class, split_labels, units_of
from s2fin_cli.labels.thinning import thin_per_class
from s2fin_cli.model.file import current_versions, training_grid, write_model
from s2fin_cli.model.info import BandSet, ModelInfo
from s2fin_cli.raster.spectra import implausible_bands
from s2fin_cli.stack.assembly import stack_of
from s2fin_cli.stack.cells import (
    CELL_SIZE,
    ValidPixels,
    count_cells,
    have_data,
    iter_cells,
    read_cells,
    scatter_pixels,
    thin_out,
    whole_cells,
)
from s2fin_cli.stack.sampling import sample_pixels
from s2fin_cli.stack.statistics import BandStatistics, band_statistics, noise_adjusted_components
from s2fin_cli.teaching.ensemble import Ensemble, choose_members, cross_validate, teach
from s2fin_cli.teaching.features import FEW_BANDS, MARGIN, features_at, merged, pixel_features, positions
from s2fin_cli.teaching.propagation import average_alike, guide_of, lie_densely, propagate
from s2fin_cli.training.loop import (
    LABEL_SMOOTHING,
    Hyperparameters,
    Outcome,
    StandardizedCells,
    TrainingSet,
    fit,
)
from s2fin_cli.workflows.members import input_files

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from s2fin_cli.core.classes import LandCoverClass
    from s2fin_cli.labels.pixels import LabelledPixels
    from s2fin_cli.stack.layer import Layer
    from s2fin_cli.stack.stack import Stack
    from s2fin_cli.teaching.ensemble import Trust
    from s2fin_cli.teaching.features import Features
    from s2fin_cli.workflows.options.train import TrainOptions

logger = logging.getLogger(__name__)

ON_ALL_LABELS = "training on all labels"
#: Cells over the scene whose pixels the teacher labels, how many of their pixels, and the memory that they may take.
SCENE_CELLS = 512
SCENE_PIXELS = 16384
SCENE_BYTES = 512 << 20
#: Cells with labels that the network learns from, and the memory that they may take.
LABEL_CELLS = 512
LABEL_BYTES = 512 << 20
#: Pixels beyond a window within which blocks to hold out count as near.
BLOCK_REACH = 6
#: Of the epochs, the share that suffices where the network has learnt from a part of the labels before.
REFIT_SHARE = 0.4
#: Where labels lie densely, a window tells so many pixels a side: fewer, as there is more to copy.
BLOCK_OF_DENSE = 3
#: Cells that the noise is estimated from.
NOISE_CELLS = 48
#: Labelled pixels of one class that the teacher learns from at most: more would only cost time.
TEACHER_LABELS = 200
#: Below so many labelled pixels of the middle class, none are held out: they would miss in training and tell little.
FEWEST_TO_HOLD_OUT = 40


@dataclass(frozen=True)
class TrainResult:
    """What training gave.

    Attributes:
        model: path of the model file.
        info: what is written in it beside the weights.
        outcome: how the training went.
        accuracy: of the network on the pixels held out, or None where there were none.
        teacher: accuracy of the teacher by cross-validation, or None where no class could be held out.
    """

    model: Path
    info: ModelInfo
    outcome: Outcome
    accuracy: Accuracy | None
    teacher: Accuracy | None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values for scripts."""
        classes = [{"id": c.id, "name": c.name} for c in self.info.classes]
        return {"model": str(self.model), "classes": classes, "training": self.info.training}


@dataclass(frozen=True)
class _Scene:
    """What is known of a scene before any label is looked at.

    Attributes:
        stack: its images, without their empty bands.
        statistics: of all bands, the passive image's first.
        components: (components, bands) of the passive image's spectrum.
        rows, cols: pixels all over the scene, to learn from without labels.
    """

    stack: Stack
    statistics: BandStatistics
    components: NDArray[np.float64]
    rows: NDArray[np.int64]
    cols: NDArray[np.int64]


@dataclass(frozen=True)
class _Taught:
    """What a teacher gave.

    Attributes:
        train_set: pixels with targets.
        trust: what its members are worth.
        accuracy: what it is worth itself, if it was cross-validated now.
        use_of_second: how much of what it looks at is the second image.
    """

    train_set: TrainingSet
    trust: Trust
    accuracy: Accuracy | None
    use_of_second: float | None


@dataclass(frozen=True)
class _Learnt:
    """What one training run gave.

    Attributes:
        network: the network.
        outcome: how it went.
        accuracy: of the network on the pixels held out.
        taught: what the teacher gave.
        pixels: how many labelled pixels were trained on, and how many validated on.
    """

    network: S2Fin
    outcome: Outcome
    accuracy: Accuracy | None
    taught: _Taught
    pixels: tuple[int, int]


def train(options: TrainOptions, *, progress: Progress = silent) -> TrainResult:
    """Train a model from files and write it.

    Args:
        options: the options.
        progress: told how far it is.

    Returns:
        where the model is, and how good it is on the pixels held out.

    Raises:
        S2finError: something is wrong with the inputs, options or outputs; nothing is written.
        KeyboardInterrupt: the user stopped it before there was anything worth keeping.
    """
    with torch.random.fork_rng():  # the caller's own random numbers are none of our business
        return _train(options, progress=progress)


def _train(options: TrainOptions, *, progress: Progress) -> TrainResult:
    dst_path = Path(options.output)
    inputs = input_files([*options.inputs, *options.label_inputs])
    check_outputs([dst_path], overwrite=options.overwrite, inputs=inputs)
    device = pick_device(options.device)
    keep_freed_memory()
    stack = stack_of(options)
    given = open_labels(str(options.labels), stack.grid, rules_of(options))
    stack, statistics = _prepare(stack)
    labels, counts = _with_data(given, stack, options)
    _check_classes(labels)
    scene = _explore(stack, statistics, options)
    split = _split(labels, options)
    learnt = _learn(scene, labels, split, options, device, progress=progress, stage="training")
    final = None
    if options.refit and len(split.validation) and not learnt.outcome.interrupted:
        everything = replace(split, train=np.arange(len(labels)), validation=split.validation[:0])
        with contextlib.suppress(KeyboardInterrupt):
            final = _learn(
                scene, labels, everything, options, device, before=learnt, progress=progress, stage=ON_ALL_LABELS
            )
        if final is None or final.outcome.interrupted:
            learnt, final = replace(learnt, outcome=replace(learnt.outcome, interrupted=True)), None
    network = (final or learnt).network
    use = (final or learnt).taught.use_of_second
    if use is not None:
        logger.info(
            "the teacher splits by the first image for %.0f %%, by the second for %.0f %%", 100 - 100 * use, 100 * use
        )
    training = _describe(options, split, learnt, labels.classes, counts, refitted=final is not None, use=use)
    info = _make_info(scene, network, labels, training)
    with staged([dst_path], overwrite=options.overwrite) as (tmp_path,):
        write_model(tmp_path, network, info)
    return TrainResult(dst_path, info, learnt.outcome, learnt.accuracy, learnt.taught.accuracy)


def _learn(
    scene: _Scene,
    labels: LabelledPixels,
    split: Split,
    options: TrainOptions,
    device: torch.device,
    *,
    before: _Learnt | None = None,
    progress: Progress,
    stage: str,
) -> _Learnt:
    """Train the teacher on the labels, and the network on them and on what the teacher thinks of the scene.

    What was learnt before from a part of the labels is gone on from.
    """
    generator = np.random.default_rng(options.seed)
    train, validation = (
        labels.select(cap_per_class(labels.class_ids, part, most=options.labels_per_class, generator=generator))
        for part in (split.train, split.validation)
    )
    dense = lie_densely(positions(train.rows, train.cols), positions(scene.rows, scene.cols))
    network = _make_network(scene, labels, options, dense=dense).to(device)
    goes_on, epochs = before is not None and before.network.cfg == network.cfg, options.epochs
    if before is not None and goes_on:
        network.load_state_dict(before.network.state_dict())
        epochs = max(round(epochs * REFIT_SHARE), 1)
    trust = before.taught.trust if before is not None and before.taught.train_set.dense == dense else None
    taught = _teach(network, scene, train, options, dense=dense, trust=trust, progress=progress)
    hyperparameters = Hyperparameters(epochs, options.batch_size, options.learning_rate, options.seed, goes_on=goes_on)
    outcome = _fit(network, taught.train_set, hyperparameters, progress=progress, stage=stage)
    accuracy = _validate(network, scene, validation, progress=progress) if len(validation) else None
    if len(validation) and accuracy is None:
        outcome = replace(outcome, interrupted=True)
    return _Learnt(network, outcome, accuracy, taught, (len(train), len(validation)))


def _capped(labels: LabelledPixels, *, most: int, most_cells: int, generator: np.random.Generator) -> LabelledPixels:
    """As many pixels of each class as make the cells that they lie in not too many."""
    everything, kept = np.arange(len(labels)), labels
    while most > 1 and count_cells(kept.rows, kept.cols) > most_cells:
        most //= 2
        kept = labels.select(cap_per_class(labels.class_ids, everything, most=most, generator=generator))
    if len(kept) < len(labels):
        logger.info(
            "the labels are scattered: the network sees the surroundings of at most %d labelled pixels of a class", most
        )
    return kept


def _cell_bytes(stack: Stack, patch_size: int) -> int:
    """Memory that a cell takes as the network sees it, and its pixels' features, roughly; float32."""
    image, config = len(stack.image.numbers), _config(patch_size)
    aux, components = sum(len(layer.numbers) for layer in stack.aux), min(config.components, image)
    near = (image + aux + components) * (CELL_SIZE + config.near_size - 1) ** 2
    statistics = 1 + 2 * len(config.context_scales)
    context = (components + aux) * statistics * (CELL_SIZE + config.patch_size - 1) ** 2
    told = (min(image, FEW_BANDS) + components + aux) * statistics + 4 * image
    return 4 * (near + context + 2 * CELL_SIZE**2 * told)


def _margin(patch_size: int) -> int:
    """Pixels around a cell that the teacher or the network look at."""
    return max(_config(patch_size).input_size // 2, MARGIN)


def _reach(patch_size: int) -> int:
    """How far what lies around pixels has much in common; blocks that are held out are some of these a side."""
    return patch_size // 2 + BLOCK_REACH


def _config(patch_size: int) -> S2FinConfig:
    return S2FinConfig(in_channels=1, aux_channels=1, num_classes=2, patch_size=patch_size)


def _teach(
    network: S2Fin,
    scene: _Scene,
    labels: LabelledPixels,
    options: TrainOptions,
    *,
    dense: bool,
    trust: Trust | None,
    progress: Progress,
) -> _Taught:
    """Pixels with targets that the teacher gave, and what the teacher is worth."""
    progress("teaching", 0, 3)
    generator = np.random.default_rng(options.seed)
    kept = cap_per_class(labels.class_ids, np.arange(len(labels)), most=TEACHER_LABELS, generator=generator)
    known, targets = labels.select(kept), _targets(labels)[kept]
    features = features_at(network, scene.stack, known.rows, known.cols)
    ensemble = Ensemble(choose_members(features, dense=dense), network.cfg.num_classes, options.seed)
    progress("teaching", 1, 3)
    accuracy = None
    if trust is None:
        units = units_of(labels, options.split, _reach(options.patch_size))[kept]
        buffer = 0 if dense or options.split == "random" else MARGIN
        trust = cross_validate(ensemble, features, targets, units, buffer=buffer)
        accuracy = _cross_validated(trust, known, labels.classes)
    progress("teaching", 2, 3)
    cells, asked, near = _scene_cells(network, scene, labels, options, generator)
    lessons = teach(ensemble, features, targets, asked, trust=trust)
    guide = guide_of(asked["components"], asked.get("aux"))
    if dense:
        logger.info("labels lie densely: what the teacher thinks is passed on between pixels, and copied closely")
        probs = propagate(lessons.probs, near, guide, asked["position"])
    else:
        probs = average_alike(lessons.probs, guide, cells)
    progress("teaching", 3, 3)
    train_set = TrainingSet(cells, _with_labels(probs, near), near, dense)
    return _Taught(train_set, trust, accuracy, lessons.use_of_second)


def _scene_cells(
    network: S2Fin, scene: _Scene, labels: LabelledPixels, options: TrainOptions, generator: np.random.Generator
) -> tuple[StandardizedCells, Features, NDArray[np.int64]]:
    """Cells of the labels and of the scene, all of their pixels' features, and the classes of those with a label."""
    most_cells = min(max(LABEL_BYTES // _cell_bytes(scene.stack, options.patch_size), 1), LABEL_CELLS)
    few = _capped(labels, most=options.labels_per_class, most_cells=most_cells, generator=generator)
    rows, cols, known = _with_scene(labels, few, scene)
    features, standardized = [], []
    for part, cells in iter_cells(scene.stack, rows, cols, margin=_margin(options.patch_size)):
        features.append((part, pixel_features(network, cells)))
        standardized.append((part, StandardizedCells.of(network, cells)))
    asked = merged(features) | {"position": positions(rows, cols)}
    return StandardizedCells.joined(standardized), asked, known


def _with_labels(targets: NDArray[np.float32], known: NDArray[np.int64]) -> NDArray[np.float32]:
    """Targets (n, classes) with those of labelled pixels put in by their labels (n,), -1 without one."""
    result, labelled = targets.copy(), known >= 0
    result[labelled] = LABEL_SMOOTHING / targets.shape[1]
    result[labelled, known[labelled]] += 1 - LABEL_SMOOTHING
    return result


def _with_scene(
    labels: LabelledPixels, around: LabelledPixels, scene: _Scene
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Rows, columns and positions of classes of all pixels with data in the cells of some labels and of the scene.

    Args:
        labels: all labels to learn from; other pixels have the class -1.
        around: those whose cells are taken.
        scene: the scene.
    """
    rows, cols = whole_cells(
        np.append(around.rows, scene.rows), np.append(around.cols, scene.cols), scene.stack.grid.shape
    )
    valid = have_data(scene.stack, rows, cols)
    rows, cols = rows[valid], cols[valid]
    known, width = np.full(len(rows), -1), scene.stack.grid.width
    # NOTE: both are in no common order; a pixel's number is its place in the raster
    numbers, labelled = rows * width + cols, labels.rows * width + labels.cols
    order = np.argsort(labelled, kind="stable")
    found = np.searchsorted(labelled[order], numbers).clip(max=len(order) - 1)
    is_labelled = labelled[order][found] == numbers
    known[is_labelled] = _targets(labels)[order][found[is_labelled]]
    return rows, cols, known


def _cross_validated(trust: Trust, labels: LabelledPixels, classes: tuple[LandCoverClass, ...]) -> Accuracy | None:
    """Accuracy of the teacher on the labels it learnt from, each told by an ensemble that had not seen it."""
    known = np.flatnonzero(np.isfinite(trust.cross_validated).all(axis=1))
    if not len(known):
        return None
    return _accuracy(labels.select(known), trust.cross_validated[known], classes)


def _validate(network: S2Fin, scene: _Scene, labels: LabelledPixels, *, progress: Progress) -> Accuracy | None:
    """Accuracy of the network on pixels held out, or None if the user did not wait for it."""
    _warn_of_unvalidated(labels)
    with contextlib.suppress(KeyboardInterrupt):
        progress("validating", 0, 1)
        scores = predict_pixels(Engine(network, network.image_mean.device), scene.stack, labels.rows, labels.cols)
        progress("validating", 1, 1)
        return _accuracy(labels, scores, labels.classes)
    return None


def _accuracy(labels: LabelledPixels, scores: NDArray[np.floating], classes: tuple[LandCoverClass, ...]) -> Accuracy:
    """Accuracy of scores (n, classes) of labelled pixels."""
    ids = np.array([c.id for c in classes])
    return Accuracy.from_labels(
        labels.class_ids,
        ids[scores.argmax(axis=1)],
        class_ids=ids.tolist(),
        class_names=[c.name for c in classes],
    )


def _fit(
    network: S2Fin, train_set: TrainingSet, hyperparameters: Hyperparameters, *, progress: Progress, stage: str
) -> Outcome:
    try:
        return fit(network, train_set, hyperparameters=hyperparameters, progress=progress, stage=stage)
    except torch.OutOfMemoryError as error:
        raise S2finError("the device has too little memory; take a smaller --batch-size or --device cpu") from error


def _check_classes(labels: LabelledPixels) -> None:
    counts = labels.counts()
    if len(counts) < 2:
        only = labels.classes[0].name
        raise LabelError(f"all labels are of one class ({only}); label at least one other class, e.g. 'other'")
    map_encoding(list(counts))  # refuses numbers that no map can hold, before any work
    for land_cover in labels.classes:
        if counts[land_cover.id] < 5:
            logger.warning("class %r has only %d labelled pixels", land_cover.name, counts[land_cover.id])


def _prepare(stack: Stack) -> tuple[Stack, BandStatistics]:
    """The stack without bands that are of no use, and statistics of its bands."""
    statistics = band_statistics(sample_pixels(stack))
    layers, kept = [], []
    for layer, bands in stack.slices():
        useless = _useless_bands(layer, statistics.select(bands))
        for reason, numbers in useless.items():
            logger.warning("%s: bands %s, left out: %s", layer.describe(), reason, layer.describe_bands(numbers))
        layers.append(layer.without({number for numbers in useless.values() for number in numbers}))
        kept += [number in layers[-1].numbers for number in layer.numbers]
        if not layers[-1].numbers:
            empty = statistics.select(bands).is_empty.all()
            raise RasterError(
                f"{layer.describe()} has {'no data' if empty else 'no band that tells anything'} where the image lies; "
                "check its nodata value and extent"
            )
    return replace(stack, image=layers[0], aux=tuple(layers[1:])), statistics.select(np.array(kept))


def _useless_bands(layer: Layer, statistics: BandStatistics) -> dict[str, list[int]]:
    """Numbers of the bands that tell nothing, by why. What the user chose is taken to have a use if it can."""
    found = {"without any data": statistics.is_empty, "with one value throughout": statistics.is_constant}
    if not layer.is_chosen:
        found["that the file declares bad"] = np.isin(layer.numbers, layer.bad_numbers)
        if MODALITIES[layer.modality].is_hyperspectral:
            found["of noise, as where water vapour absorbs"] = implausible_bands(statistics.high, layer.wavelengths)
    seen: set[int] = set()
    result = {}
    for reason, mask in found.items():
        numbers = [number for number, hit in zip(layer.numbers, mask, strict=True) if hit and number not in seen]
        seen.update(numbers)
        if numbers:
            result[reason] = numbers
    return result


def _explore(stack: Stack, statistics: BandStatistics, options: TrainOptions) -> _Scene:
    """Choose pixels all over the scene, and find the components of its spectra."""
    generator = np.random.default_rng(options.seed)
    cells = min(SCENE_CELLS, max(SCENE_BYTES // _cell_bytes(stack, options.patch_size), 1))
    rows, cols = scatter_pixels(
        stack.grid.shape, cells=cells, pixels=SCENE_PIXELS, generator=generator, area=stack.area
    )
    valid = have_data(stack, rows, cols)
    rows, cols = rows[valid], cols[valid]
    image_bands = len(stack.image.numbers)
    some = thin_out(rows, cols, cells=NOISE_CELLS)
    components = noise_adjusted_components(
        read_cells(stack, rows[some], cols[some], margin=1).image,
        statistics.select(slice(image_bands)),
        min(S2FinConfig.components, image_bands),
    )
    if not stack.aux:
        logger.info("one image alone: its %d spectral components serve as the second image", len(components))
    return _Scene(stack, statistics, components, rows, cols)


def _with_data(labels: Labels, stack: Stack, options: TrainOptions) -> tuple[LabelledPixels, Mapping[int, int]]:
    """The labelled pixels in the area of interest where all images have data, and how many there are by class id.

    Where there are more labels than are held, they are thinned class by class after those without data were sorted out,
    so that no class is lost by it.
    """
    if labels.whole is not None:
        kept = labels.whole.select(have_data(stack, labels.whole.rows, labels.whole.cols))
        counts: Mapping[int, int] = kept.counts()
    else:
        kept, counts = _thinned(labels, stack, options)
    where = "in all images" if stack.area is None else "in all images inside the area of interest"
    total = sum(counts.values())
    if not total:
        raise LabelError(f"no labelled pixel has data {where}; label pixels where every image has some")
    if total < len(labels):
        outside = "" if stack.area is None else ", or lie outside the area of interest,"
        logger.warning("%d labelled pixels have no data in some image%s and are left out", len(labels) - total, outside)
    gone = [c.name for c in labels.classes if not counts[c.id]]
    if gone:
        logger.warning("classes without a labelled pixel that has data are left out: %s", ", ".join(gone))
    return replace(kept, classes=tuple(c for c in labels.classes if counts[c.id])), counts


def _thinned(labels: Labels, stack: Stack, options: TrainOptions) -> tuple[LabelledPixels, Mapping[int, int]]:
    """At most so many labelled pixels with data of each class that all fit, and how many have data by class id."""
    # both parts of the labels, what is trained on and what is held out, are to have as many as the options allow
    held = labels.limits.held_pixels
    most = max(held // len(labels.classes), min(2 * options.labels_per_class, held), 1)
    counts: Counter[int] = Counter()

    def with_data() -> Iterator[LabelledPixels]:
        with stack.open() as opened, contextlib.closing(labels.strips()) as strips:
            valid = ValidPixels(opened)
            for pixels in strips:
                kept = pixels.select(valid.of(pixels.rows, pixels.cols))
                counts.update(kept.counts())
                yield kept

    thinned = thin_per_class(with_data(), most=most, seed=options.seed)
    assert thinned is not None  # noqa: S101  (without a labelled pixel there is an error before)
    logger.info(
        "the labels are many: %d of %d labelled pixels are used, at most %d of a class, chosen at random",
        len(thinned), counts.total(), most,
    )  # fmt: skip
    return thinned, counts


def _make_network(scene: _Scene, labels: LabelledPixels, options: TrainOptions, *, dense: bool) -> S2Fin:
    bands = len(scene.stack.image.numbers)
    mean, std = scene.statistics.mean.tolist(), scene.statistics.std.tolist()
    alone = not scene.stack.aux
    config = S2FinConfig(
        in_channels=bands,
        aux_channels=len(scene.components) if alone else len(mean) - bands,
        num_classes=len(labels.classes),
        patch_size=options.patch_size,
        block_size=BLOCK_OF_DENSE if dense else S2FinConfig.block_size,
        components=len(scene.components),
        aux_from_image=alone,
    )
    torch.manual_seed(options.seed)
    network = S2Fin(config)
    network.set_statistics(
        mean[:bands],
        std[:bands],
        None if alone else mean[bands:],
        None if alone else std[bands:],
        components=scene.components.tolist(),
    )
    return network


def _split(labels: LabelledPixels, options: TrainOptions) -> Split:
    everything = np.arange(len(labels))
    if options.validation > 0 and np.median(list(labels.counts().values())) < FEWEST_TO_HOLD_OUT:
        logger.info("labels are too few to hold any out: all are trained on, and the teacher is cross-validated")
        return Split(everything, everything[:0], "none")
    split = split_labels(
        labels,
        method=options.split,
        share=options.validation,
        radius=_reach(options.patch_size),
        generator=np.random.default_rng(options.seed),
    )
    if not len(split.validation) and options.validation > 0:
        logger.warning("no class has labels enough to hold some out: training runs all its epochs, unvalidated")
    return split


def _targets(labels: LabelledPixels) -> NDArray[np.int64]:
    """The position of each labelled pixel's class among the classes."""
    return np.searchsorted([c.id for c in labels.classes], labels.class_ids).astype(np.int64)


def _warn_of_unvalidated(validation: LabelledPixels) -> None:
    held_out = set(np.unique(validation.class_ids).tolist())
    missing = [c.name for c in validation.classes if c.id not in held_out]
    if missing:
        logger.warning("too few labels to validate these classes, which are trained on only: %s", ", ".join(missing))


def _describe(
    options: TrainOptions,
    split: Split,
    learnt: _Learnt,
    classes: Sequence[LandCoverClass],
    counts: Mapping[int, int],
    *,
    refitted: bool,
    use: float | None,
) -> dict[str, Any]:
    """What the model file says of its training; the counts are of labelled pixels with data by class id."""
    outcome = learnt.outcome
    return {
        "epochs": outcome.epochs,
        "interrupted": outcome.interrupted,
        "refitted": refitted,
        "seed": options.seed,
        "batch_size": options.batch_size,
        "learning_rate": options.learning_rate,
        "split": split.method,
        "labelled_pixels": {c.name: counts[c.id] for c in classes},
        "train_pixels": learnt.pixels[0],
        "validation_pixels": learnt.pixels[1],
        "validation": None if learnt.accuracy is None else learnt.accuracy.to_dict(),
        "cross_validation": None if learnt.taught.accuracy is None else learnt.taught.accuracy.to_dict(),
        "use_of_second_image": None if use is None else round(use, 3),
    }


def _make_info(scene: _Scene, network: S2Fin, labels: LabelledPixels, training: dict[str, Any]) -> ModelInfo:
    bands = [_band_set(layer, scene.statistics.select(chosen)) for layer, chosen in scene.stack.slices()]
    placed = training_grid(scene.stack.grid)
    return ModelInfo(network.cfg.to_dict(), tuple(bands), labels.classes, training, *placed, current_versions())


def _band_set(layer: Layer, statistics: BandStatistics) -> BandSet:
    return BandSet(
        modality=layer.modality,
        count=layer.count,
        indexes=layer.numbers,
        dtype=layer.dtype,
        band_names=layer.band_names,
        wavelengths=layer.wavelengths,
        scales=tuple(layer.scaling.scales.tolist()),
        offsets=tuple(layer.scaling.offsets.tolist()),
        colors=layer.colors,
        **{name: tuple(values.tolist()) for name, values in asdict(statistics).items()},
    )
