"""The use case of assessment: a map and reference labels in, accuracy figures out."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np

from s2fin_cli.assess.area_adjusted import AreaAdjusted
from s2fin_cli.assess.metrics import Accuracy
from s2fin_cli.errors import LabelError, RasterError
from s2fin_cli.geo.classfield import find_name
from s2fin_cli.geo.classmap import read_class_names, tally_classes
from s2fin_cli.geo.labels import LabelledPixels, LabelRules, read_labels
from s2fin_cli.geo.rasters import RasterInfo, open_raster, read_info
from s2fin_cli.geo.windows import iter_blocks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from s2fin_cli.config import StrPath

logger = logging.getLogger(__name__)


def evaluate(map_path: StrPath, reference: StrPath, *, label_field: str | None = None) -> Accuracy:
    """Compare a class map with reference labels.

    Classes are matched by name where the map knows all the names that the reference uses, else by number. Upper and
    lower case count only where the map has names that differ in nothing else.

    Args:
        map_path: a class map: a raster of integers.
        reference: vector file of polygons or points, or an integer raster.
        label_field: the vector's class field; None takes the only one that can be it.

    Returns:
        the accuracy, over all classes of the map that occur in it or in the reference.

    Raises:
        RasterError: the map is not a class map.
        LabelError: the reference holds classes that the map does not know.
    """
    return _compare(map_path, reference, label_field)[0]


def _compare(map_path: StrPath, reference: StrPath, label_field: str | None) -> tuple[Accuracy, str]:
    """The accuracy, and what kind of labels the reference is, see `LabelledPixels`."""
    info = read_map_info(map_path)
    labels = read_labels(str(reference), info.grid, LabelRules(label_field))
    mapped = _read_pixels(str(map_path), labels)
    # NOTE: a path would fold the slashes of a name like /vsicurl/https://...; such a map goes without names.
    names = read_class_names(str(map_path))
    class_ids = _match(labels, names, reference)
    nodata = set() if info.nodata is None else {int(info.nodata)}
    present = (set(class_ids.tolist()) | set(mapped.tolist())) - nodata
    known = sorted(present & names.keys() if names else present)
    own_names = {c.id: c.name for c in labels.classes} | names
    accuracy = Accuracy.from_labels(
        class_ids, mapped, class_ids=known, class_names=[own_names.get(i, str(i)) for i in known]
    )
    return accuracy, labels.kind


def evaluate_stratified(map_path: StrPath, reference: StrPath, *, label_field: str | None = None) -> AreaAdjusted:
    """Estimate accuracies and class areas from a sample that was drawn at random within each class of the map.

    Args:
        map_path: the map that the sample was drawn from.
        reference: the sample with its classes, as for `evaluate`.
        label_field: likewise.

    Raises:
        RasterError, LabelError: as for `evaluate`; a class of the map has no pixel in the sample.
    """
    sample, kind = _compare(map_path, reference, label_field)
    if kind in ("polygons", "lines"):
        logger.warning(
            "%s holds %s, whose pixels are no random sample of each class: the margins are of points that s2fin sample "
            "draws", reference, kind,
        )  # fmt: skip
    pixels, areas = tally_classes(str(map_path), read_map_info(map_path).grid)
    names = read_class_names(str(map_path))
    drawn = dict(zip(sample.class_ids, sample.matrix.sum(axis=0).tolist(), strict=True))
    missing = [names.get(i, str(i)) for i in pixels if not drawn.get(i)]
    if missing:
        raise LabelError(
            f"{reference} has no pixel where the map has {', '.join(missing)}; a stratified sample has some of each "
            "class of the map, as s2fin sample draws it"
        )
    if sample.unmapped.any():
        logger.warning("%d sampled pixels lie where the map has no class and are left out", sample.unmapped.sum())
    has_areas = not np.isnan(list(areas.values())).any()
    map_areas = [float((areas if has_areas else pixels).get(i, 0)) for i in sample.class_ids]
    return AreaAdjusted(sample, np.array(map_areas), "m2" if has_areas else "pixels")


def read_map_info(map_path: StrPath) -> RasterInfo:
    """What a class map says about itself.

    Raises:
        RasterError: it is not one.
    """
    info = read_info(str(map_path))
    if not np.issubdtype(np.dtype(info.dtype), np.integer) or info.count != 1:
        raise RasterError(
            f"{map_path} is not a class map: it has {info.count} bands of {info.dtype}; "
            "give a raster with one band of whole numbers"
        )
    return info


def _read_pixels(map_path: str, labels: LabelledPixels) -> NDArray[np.int64]:
    """The map's values at labelled pixels."""
    values = np.empty(len(labels), dtype=np.int64)
    with open_raster(map_path) as src:
        for positions, window in iter_blocks(labels.rows, labels.cols):
            block = src.read(1, window=window)
            values[positions] = block[labels.rows[positions] - window.row_off, labels.cols[positions] - window.col_off]
    return values


def _match(labels: LabelledPixels, names: dict[int, str], reference: StrPath) -> NDArray[np.int64]:
    """The reference's class ids in the map's numbering: all by name, else all by number."""
    by_name = {c.id: find_name(c.name, names) for c in labels.classes}
    unknown = [c.name for c in labels.classes if by_name[c.id] is None]
    if not unknown:
        return np.array([by_name[class_id] for class_id in labels.class_ids.tolist()], dtype=np.int64)
    if labels.ids_are_given:
        foreign = [c.name for c in labels.classes if names and c.id not in names]
        if not foreign:
            strange = [c.name for c in labels.classes if c.name in unknown and c.name != str(c.id)]
            if names and strange:
                logger.warning("%s: the map has no class %s; all are matched by number", reference, ", ".join(strange))
            return labels.class_ids
        unknown = min(unknown, foreign, key=len)
    has = ", ".join(f"{name} ({class_id})" for class_id, name in names.items()) or "numbers without names only"
    raise LabelError(
        f"{reference} holds classes that the map does not know: {', '.join(unknown)}; the map has {has}; "
        "name the classes alike, or take another field with --label-field"
    )
