"""The use case of training: files in, a model file out."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from rasterio.enums import Resampling

from s2fin import S2Fin, S2FinConfig
from s2fin_cli.device import keep_freed_memory, pick_device
from s2fin_cli.errors import LabelError, RasterError, S2finError
from s2fin_cli.files import check_outputs, staged
from s2fin_cli.geo.classes import map_encoding
from s2fin_cli.geo.labels import LabelledPixels, read_labels
from s2fin_cli.geo.stack import Stack, build_stack
from s2fin_cli.geo.statistics import BandStatistics, band_statistics, principal_components, sample_pixels
from s2fin_cli.learn.samples import have_data, read_patches
from s2fin_cli.learn.splits import Split, cap_per_class, split_labels
from s2fin_cli.learn.training import Hyperparameters, LabelledPatches, Outcome, fit
from s2fin_cli.modelfile import BandSet, ModelInfo, current_versions, training_grid, write_model
from s2fin_cli.progress import Progress, silent

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from s2fin_cli.config import TrainOptions
    from s2fin_cli.geo.stack import Layer

logger = logging.getLogger(__name__)

#: Principal components that stand in for the second image where there is none.
COMPONENTS = 3


@dataclass(frozen=True)
class TrainResult:
    """What training gave.

    Attributes:
        model: path of the model file.
        info: what is written in it beside the weights.
        outcome: how the training went.
    """

    model: Path
    info: ModelInfo
    outcome: Outcome

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values for scripts."""
        classes = [{"id": c.id, "name": c.name} for c in self.info.classes]
        return {"model": str(self.model), "classes": classes, "training": self.info.training}


@dataclass(frozen=True)
class _Prepared:
    """A stack without its empty bands, and what is known of its values.

    Attributes:
        stack: the stack.
        statistics: of all bands, the passive image's first.
        projection: (components, bands) that makes the second image where the passive image is alone, else None.
    """

    stack: Stack
    statistics: BandStatistics
    projection: NDArray[np.float64] | None


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
    check_outputs([dst_path], overwrite=options.overwrite, inputs=[*options.src_paths.values(), options.labels])
    device = pick_device(options.device)
    keep_freed_memory()
    resampling = None if options.resampling is None else Resampling[options.resampling]
    stack = build_stack(options.src_paths, resampling=resampling)
    labels = read_labels(str(options.labels), stack.grid, label_field=options.label_field)
    prepared = _prepare(stack)
    labels = _with_data(labels, prepared.stack)
    _check_classes(labels)
    network = _make_network(prepared, labels, options)
    split, train_set, validation_set = _make_samples(prepared.stack, labels, options, size=network.input_size)
    outcome = _fit(network.to(device), train_set, validation_set, labels, options, progress=progress)
    sizes = (len(train_set), len(validation_set))
    refitted = False
    if options.refit and validation_set and not outcome.interrupted:
        del train_set, validation_set  # their memory is needed again
        try:
            refit = _refit(prepared, labels, replace(options, epochs=outcome.epochs), device, progress=progress)
        except KeyboardInterrupt:
            refit = None
        network, refitted = refit or network, refit is not None
        outcome = replace(outcome, interrupted=not refitted)
    training = _describe(options, split, outcome, labels, sizes=sizes, refitted=refitted)
    info = _make_info(prepared, network, labels, training)
    with staged([dst_path], overwrite=options.overwrite) as (tmp_path,):
        write_model(tmp_path, network, info)
    return TrainResult(dst_path, info, outcome)


def _fit(
    network: S2Fin,
    train_set: LabelledPatches,
    validation_set: LabelledPatches | None,
    labels: LabelledPixels,
    options: TrainOptions,
    *,
    progress: Progress,
    stage: str = "training",
) -> Outcome:
    hyperparameters = Hyperparameters(options.epochs, options.batch_size, options.learning_rate, options.seed)
    try:
        return fit(
            network,
            train_set,
            validation_set,
            classes=labels.classes,
            hyperparameters=hyperparameters,
            progress=progress,
            stage=stage,
        )
    except torch.OutOfMemoryError as error:
        raise S2finError("the device has too little memory; take a smaller --batch-size or --device cpu") from error


def _refit(
    prepared: _Prepared, labels: LabelledPixels, options: TrainOptions, device: torch.device, *, progress: Progress
) -> S2Fin | None:
    """Train a new network on all labels, those held out among them; None if the user stops it halfway."""
    generator = np.random.default_rng(options.seed)
    everything = np.arange(len(labels))
    chosen = cap_per_class(labels.class_ids, everything, most=options.labels_per_class, generator=generator)
    network = _make_network(prepared, labels, options).to(device)
    samples = _read_samples(prepared.stack, labels.select(chosen), size=network.input_size)
    outcome = _fit(network, samples, None, labels, options, progress=progress, stage="training on all labels")
    return None if outcome.interrupted else network


def _check_classes(labels: LabelledPixels) -> None:
    counts = labels.counts()
    if len(counts) < 2:
        only = labels.classes[0].name
        raise LabelError(f"all labels are of one class ({only}); label at least one other class, e.g. 'other'")
    map_encoding(list(counts))  # refuses numbers that no map can hold, before any work
    for land_cover in labels.classes:
        if counts[land_cover.id] < 5:
            logger.warning("class %r has only %d labelled pixels", land_cover.name, counts[land_cover.id])


def _prepare(stack: Stack) -> _Prepared:
    """Statistics of all bands; bands without any data are left out."""
    pixels = sample_pixels(stack)
    statistics = band_statistics(pixels)
    for layer, bands in stack.slices():
        _warn_of_constant_bands(layer, statistics.select(bands).is_constant)
    layers = [_without_empty_bands(layer, statistics.select(bands).is_empty) for layer, bands in stack.slices()]
    stack = replace(stack, image=layers[0], aux=tuple(layers[1:]))
    pixels, statistics = pixels[:, ~statistics.is_empty], statistics.select(~statistics.is_empty)
    if stack.aux:
        return _Prepared(stack, statistics, None)
    projection = principal_components(pixels, statistics, min(COMPONENTS, pixels.shape[1]))
    logger.info("one image alone: its %d leading principal components serve as the second image", len(projection))
    return _Prepared(stack, statistics, projection)


def _without_empty_bands(layer: Layer, is_empty: NDArray[np.bool_]) -> Layer:
    if is_empty.all():
        raise RasterError(f"{layer.describe()} has no data where the image lies; check its nodata value and extent")
    if is_empty.any():
        gone = [index for index, empty in zip(layer.indexes, is_empty, strict=True) if empty]
        logger.warning("%s: bands without any data are left out: %s", layer.describe(), _numbers(gone))
    return replace(
        layer, indexes=tuple(index for index, empty in zip(layer.indexes, is_empty, strict=True) if not empty)
    )


def _warn_of_constant_bands(layer: Layer, is_constant: NDArray[np.bool_]) -> None:
    if is_constant.any():
        constant = [index for index, same in zip(layer.indexes, is_constant, strict=True) if same]
        logger.warning("%s: bands with one value throughout tell nothing: %s", layer.describe(), _numbers(constant))


def _numbers(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers[:10])) + (f" and {len(numbers) - 10} more" if len(numbers) > 10 else "")


def _with_data(labels: LabelledPixels, stack: Stack) -> LabelledPixels:
    """The labelled pixels where all images have data."""
    keep = have_data(stack, labels.rows, labels.cols)
    if not keep.any():
        raise LabelError("no labelled pixel has data in all images; label pixels where every image has some")
    if not keep.all():
        logger.warning("%d labelled pixels have no data in some image and are left out", (~keep).sum())
    kept = labels.select(keep)
    present = set(np.unique(kept.class_ids).tolist())
    gone = [c.name for c in labels.classes if c.id not in present]
    if gone:
        logger.warning("classes without a labelled pixel that has data are left out: %s", ", ".join(gone))
    return replace(kept, classes=tuple(c for c in labels.classes if c.id in present))


def _make_network(prepared: _Prepared, labels: LabelledPixels, options: TrainOptions) -> S2Fin:
    bands = len(prepared.stack.image.indexes)
    mean, std = prepared.statistics.mean.tolist(), prepared.statistics.std.tolist()
    alone = prepared.projection is not None
    config = S2FinConfig(
        in_channels=bands,
        aux_channels=len(mean) - bands if prepared.projection is None else len(prepared.projection),
        num_classes=len(labels.classes),
        patch_size=options.patch_size,
        aux_from_image=alone,
    )
    torch.manual_seed(options.seed)
    network = S2Fin(config)
    network.set_statistics(
        mean[:bands],
        std[:bands],
        None if alone else mean[bands:],
        None if alone else std[bands:],
        aux_projection=None if prepared.projection is None else prepared.projection.tolist(),
    )
    return network


def _make_samples(
    stack: Stack, labels: LabelledPixels, options: TrainOptions, *, size: int
) -> tuple[Split, LabelledPatches, LabelledPatches]:
    generator = np.random.default_rng(options.seed)
    split = split_labels(labels, method=options.split, share=options.validation, radius=size // 2, generator=generator)
    if not len(split.validation) and options.validation > 0:
        logger.warning("no class has labels enough to hold some out: training runs all its epochs, unvalidated")
    train_set, validation_set = (
        _read_samples(
            stack,
            labels.select(cap_per_class(labels.class_ids, part, most=options.labels_per_class, generator=generator)),
            size=size,
        )
        for part in (split.train, split.validation)
    )
    _warn_of_unvalidated(labels, validation_set)
    return split, train_set, validation_set


def _read_samples(stack: Stack, labels: LabelledPixels, *, size: int) -> LabelledPatches:
    patches = read_patches(stack, labels.rows, labels.cols, size=size)
    targets = np.searchsorted([c.id for c in labels.classes], labels.class_ids)
    return LabelledPatches(patches, targets.astype(np.int64))


def _warn_of_unvalidated(labels: LabelledPixels, validation: LabelledPatches) -> None:
    held_out = np.bincount(validation.targets, minlength=len(labels.classes))
    missing = [c.name for c, count in zip(labels.classes, held_out, strict=True) if count == 0]
    if missing and len(validation):
        logger.warning("too few labels to validate these classes, which are trained on only: %s", ", ".join(missing))


def _describe(
    options: TrainOptions,
    split: Split,
    outcome: Outcome,
    labels: LabelledPixels,
    *,
    sizes: tuple[int, int],
    refitted: bool,
) -> dict[str, Any]:
    return {
        "epochs": outcome.epochs,
        "best_epoch": outcome.best_epoch,
        "interrupted": outcome.interrupted,
        "refitted": refitted,
        "seed": options.seed,
        "batch_size": options.batch_size,
        "learning_rate": options.learning_rate,
        "split": split.method,
        "labelled_pixels": {c.name: labels.counts()[c.id] for c in labels.classes},
        "train_pixels": sizes[0],
        "validation_pixels": sizes[1],
        "validation": None if outcome.accuracy is None else outcome.accuracy.to_dict(),
    }


def _make_info(prepared: _Prepared, network: S2Fin, labels: LabelledPixels, training: dict[str, Any]) -> ModelInfo:
    bands = [_band_set(layer, prepared.statistics.select(chosen)) for layer, chosen in prepared.stack.slices()]
    crs, res = training_grid(prepared.stack.grid)
    return ModelInfo(network.cfg.to_dict(), tuple(bands), labels.classes, training, crs, res, current_versions())


def _band_set(layer: Layer, statistics: BandStatistics) -> BandSet:
    info = layer.info
    positions = [info.indexes.index(index) for index in layer.indexes]
    return BandSet(
        modality=layer.modality,
        count=info.count,
        indexes=tuple(position + 1 for position in positions),
        dtype=info.dtype,
        band_names=tuple(info.band_names[i] for i in positions),
        wavelengths=None if info.wavelengths is None else tuple(info.wavelengths[i] for i in positions),
        **{name: tuple(values.tolist()) for name, values in asdict(statistics).items()},
    )
