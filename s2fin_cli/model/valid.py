"""Whether a description in a model file is that of a model: anyone may write one, with a right checksum."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from rasterio.crs import CRS

from s2fin import S2FinConfig
from s2fin_cli.core.classes import MAX_CLASS_ID
from s2fin_cli.core.modality import MODALITIES
from s2fin_cli.labels.sketch import LabelSketch
from s2fin_cli.model.findings import check_findings
from s2fin_cli.model.info import LABEL_SKETCH, STARTED_FROM

if TYPE_CHECKING:
    from s2fin_cli.core.classes import LandCoverClass
    from s2fin_cli.model.info import BandSet, ModelInfo

#: The most bands that a raster can have.
MOST_BANDS = 65_535
#: No count is as large, and no seed.
MOST_COUNTED = 1 << 63
#: Letters of a name of a file or a model, at most.
MOST_LETTERS = 1000
#: Keys of `ModelInfo.training` that hold whole numbers, and figures or nothing.
_COUNTS = ("train_pixels", "validation_pixels", "epochs", "batch_size", "seed")
_FIGURES = ("overall_accuracy", "average_accuracy", "kappa")


def check_info(info: ModelInfo) -> None:
    """Refuse a description whose values are of wrong kinds, or do not fit each other.

    Raises:
        ValueError: it is; the message names the first such value.
        TypeError, KeyError: values are missing or of wrong kinds.
    """
    for bands in info.bands:
        _check_bands(bands)
    _check_classes(info.classes)
    if info.crs is not None:
        CRS.from_wkt(info.crs)  # a CRSError is a ValueError
    _require(len(info.res) == 2 and all(_is_number(value) and value > 0 for value in info.res), "res", info.res)
    _require(info.footprint is None or isinstance(info.footprint, dict), "footprint", info.footprint)
    _require(all(isinstance(text, str) for text in info.versions.values()), "versions", info.versions)
    _check_training(info.training)
    if info.findings is not None:
        check_findings(info.findings, info.bands, num_classes=len(info.classes))


def _check_bands(bands: BandSet) -> None:
    _require(bands.modality in MODALITIES, "modality", bands.modality)
    _require(_is_whole(bands.count) and 1 <= bands.count <= MOST_BANDS, "count", bands.count)
    numbers = bands.indexes
    fits = all(_is_whole(number) and 1 <= number <= bands.count for number in numbers)
    _require(fits and 0 < len(numbers) == len(set(numbers)), "indexes", numbers)
    _require(isinstance(bands.dtype, str), "dtype", bands.dtype)
    for name in ("band_names", "colors"):
        _check_each(bands, name, lambda value: isinstance(value, str))
    for name in ("mean", "std", "low", "high", "scales", "offsets"):
        _check_each(bands, name, _is_number)
    _check_each(bands, "wavelengths", lambda value: value is None or _is_number(value))


def _check_each(bands: BandSet, name: str, fits: Any) -> None:
    """Refuse what is not one fitting value for each band in use, or nothing where no band has a wavelength."""
    values = getattr(bands, name)
    if values is None and name == "wavelengths":
        return
    _require(isinstance(values, tuple) and len(values) == len(bands.indexes) and all(map(fits, values)), name, values)


def _check_classes(classes: tuple[LandCoverClass, ...]) -> None:
    ids = [each.id for each in classes]
    _require(all(_is_whole(number) and 0 <= number <= MAX_CLASS_ID for number in ids), "ids of classes", ids)
    _require(len(set(ids)) == len(ids), "ids of classes", ids)
    for each in classes:
        _require(isinstance(each.name, str), "name of a class", each.name)
        is_color = len(each.color) == 3 and all(_is_whole(part) and 0 <= part <= 255 for part in each.color)
        _require(is_color, "color of a class", each.color)


def network_config(info: ModelInfo) -> S2FinConfig:
    """The configuration of a model's network.

    Raises:
        ValueError: it describes none, or one of other sizes than the bands and classes.
    """
    cfg = S2FinConfig.from_dict(info.architecture)
    image, *aux = (len(bands.indexes) for bands in info.bands)
    _require(cfg.num_classes == len(info.classes), "num_classes", cfg.num_classes)
    _require(cfg.in_channels == image, "in_channels", cfg.in_channels)
    _require(cfg.aux_from_image == (not aux), "aux_from_image", cfg.aux_from_image)
    _require(cfg.aux_from_image or cfg.aux_channels == sum(aux), "aux_channels", cfg.aux_channels)
    return cfg


def _check_training(training: dict[str, Any]) -> None:
    for name in _COUNTS:
        _require(_is_count(training[name]), name, training[name])
    _require(isinstance(training["split"], str), "split", training["split"])
    _require(_is_number(training["learning_rate"]), "learning_rate", training["learning_rate"])
    rounds, use = training.get("refit_epochs"), training.get("use_of_second_image")
    _require(rounds is None or _is_count(rounds), "refit_epochs", rounds)
    _require(use is None or (_is_number(use) and 0 <= use <= 1), "use_of_second_image", use)
    if (sketch := training.get(LABEL_SKETCH)) is not None:
        LabelSketch.from_dict(sketch)
    if (start := training.get(STARTED_FROM)) is not None:
        _check_start(start)
    pixels = training["labelled_pixels"]
    is_right = isinstance(pixels, dict) and all(map(_is_count, pixels.values()))
    _require(is_right, "labelled_pixels", pixels)
    for name in ("validation", "cross_validation"):
        if (accuracy := training.get(name)) is not None:
            _require(isinstance(accuracy, dict), name, accuracy)
            for figure in _FIGURES:
                _require(accuracy[figure] is None or _is_number(accuracy[figure]), figure, accuracy[figure])


def _check_start(start: dict[str, Any]) -> None:
    for name in ("file", "model"):
        _require(isinstance(start[name], str) and len(start[name]) <= MOST_LETTERS, name, start[name])
    _require(start["statistics"] in ("model", "scene"), "statistics", start["statistics"])
    right = start["labels_right"]
    _require(_is_number(right) and 0 <= right <= 1, "labels_right", right)
    _require(isinstance(start["learnt_from"], list), "learnt_from", start["learnt_from"])
    for part in start["learnt_from"]:
        LabelSketch.from_dict(part["sketch"])
        if part["crs"] is not None:
            CRS.from_wkt(part["crs"])


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return _is_whole(value) and 0 <= value < MOST_COUNTED


def _is_number(value: Any) -> bool:
    """Whether it is one that a double can hold; JSON has larger whole numbers."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def _require(condition: bool, name: str, value: object) -> None:
    if not condition:
        raise ValueError(f"{name}: {value!r:.100}")
