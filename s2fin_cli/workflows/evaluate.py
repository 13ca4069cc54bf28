"""The use case of assessment: a map and reference labels in, accuracy figures out."""

from __future__ import annotations

import contextlib
import logging
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from s2fin_cli.assess.area_adjusted import AreaAdjusted
from s2fin_cli.assess.metrics import Accuracy
from s2fin_cli.core.classes import find_name
from s2fin_cli.core.errors import LabelError, RasterError, quoted, shortened
from s2fin_cli.geo.windows import iter_blocks
from s2fin_cli.labels.limits import DEFAULT_LIMITS, Limits
from s2fin_cli.labels.read import Labels, open_labels
from s2fin_cli.labels.rules import LabelRules
from s2fin_cli.raster.class_ids import iter_class_strips, read_class_ids
from s2fin_cli.raster.class_names import read_class_names
from s2fin_cli.raster.info import RasterInfo, check_placed, read_info
from s2fin_cli.raster.opening import open_raster
from s2fin_cli.raster.tally import tally_classes

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray
    from rasterio import DatasetReader

    from s2fin_cli.core.options import StrPath
    from s2fin_cli.labels.pixels import LabelledPixels

logger = logging.getLogger(__name__)

#: Stands for a map's nodata: no raster of whole numbers has this value.
NOTHING = np.iinfo(np.int64).min


def evaluate(
    map_path: StrPath, reference: StrPath, *, label_field: str | None = None, limits: Limits = DEFAULT_LIMITS
) -> Accuracy:
    """Compare a class map with reference labels.

    Classes are matched by name where the map knows all the names that the reference uses, else by number. Upper and
    lower case count only where the map has names that differ in nothing else. Any value of the map but its nodata is a
    class, whether it has a name or not.

    Args:
        map_path: a class map: a raster of whole numbers, in floating point too.
        reference: vector file of polygons or points, or a raster of whole numbers.
        label_field: the vector's class field; None takes the only one that can be it.
        limits: how many labelled pixels are held or dealt with at a time.

    Returns:
        the accuracy, over all classes of the map that occur in it or in the reference.

    Raises:
        RasterError: the map is not a class map.
        LabelError: the reference holds classes that the map does not know.
    """
    return _compare(map_path, reference, label_field, limits)[0]


def _compare(map_path: StrPath, reference: StrPath, label_field: str | None, limits: Limits) -> tuple[Accuracy, str]:
    """The accuracy, and what kind of labels the reference is, see `LabelledPixels`."""
    info = read_map_info(map_path)
    labels = open_labels(str(reference), info.grid, LabelRules(label_field), limits=limits)
    pairs = _count_pairs(str(map_path), labels)
    # NOTE: a path would fold the slashes of a name like /vsicurl/https://...; such a map goes without names.
    names = read_class_names(str(map_path))
    mapped = {value for _, value in pairs if value != NOTHING}
    _tell_of_unnamed(str(map_path), mapped, names)
    own_ids = _match(labels, names, mapped, reference)
    if info.nodata in own_ids.values():
        raise LabelError(
            f"{reference} holds class {info.nodata:g}, which means no data in {map_path}; leave it out of the "
            f"reference, or, where it is a class of the map: gdal_edit.py -unsetnodata {quoted(str(map_path))}"
        )
    if mapped and not names and not _holds_any(str(map_path), mapped, own_ids.values()):
        raise LabelError(
            f"{map_path} has none of the classes of {reference}, but, where its labels lie, values such as "
            f"{shortened(sorted(mapped))}; give a class map, and a reference with the same class numbers or names"
        )
    known = sorted(set(own_ids.values()) | mapped)
    all_names = {c.id: c.name for c in labels.classes} | names
    place = {class_id: position for position, class_id in enumerate(known)}
    matrix = np.zeros((len(known), len(known) + 1), dtype=np.int64)
    for (class_id, value), count in pairs.items():
        matrix[place[own_ids[class_id]], place.get(value, len(known))] += count
    accuracy = Accuracy.from_matrix(matrix, class_ids=known, class_names=[all_names.get(i, str(i)) for i in known])
    return accuracy, labels.kind


def _holds_any(map_path: str, mapped: set[int], class_ids: Collection[int]) -> bool:
    """Whether a map has any of some classes; all of it is read only if it has none where the labels lie."""
    if not mapped.isdisjoint(class_ids):
        return True
    wanted = sorted(class_ids)
    return any(bool(np.isin(values, wanted).any()) for _, values in iter_class_strips(map_path, NOTHING))


def evaluate_stratified(map_path: StrPath, reference: StrPath, *, label_field: str | None = None) -> AreaAdjusted:
    """Estimate accuracies and class areas from a sample that was drawn at random within each class of the map.

    Args:
        map_path: the map that the sample was drawn from.
        reference: the sample with its classes, as for `evaluate`.
        label_field: likewise.

    Raises:
        RasterError, LabelError: as for `evaluate`; a class of the map has no pixel in the sample.
    """
    sample, kind = _compare(map_path, reference, label_field, DEFAULT_LIMITS)
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
    check_placed(info, str(map_path))
    if info.is_lossy:
        raise RasterError(
            f"{map_path} is compressed by JPEG, which changes class numbers; give the map that it was made of"
        )
    if info.count != 1:
        raise RasterError(
            f"{map_path} is not a class map: it has {info.count} bands of {info.dtype}; "
            "give a raster with one band of whole numbers"
        )
    return info


def _count_pairs(map_path: str, labels: Labels) -> Counter[tuple[int, int]]:
    """Number of labelled pixels by their class id and the map's value there, `NOTHING` for none."""
    pairs: Counter[tuple[int, int]] = Counter()
    with open_raster(map_path) as src, contextlib.closing(labels.strips()) as strips:
        for pixels in strips:
            values = _read_pixels(src, pixels)
            found, place = np.unique(values, return_inverse=True)
            # NOTE: class ids go up to 65535, and few values occur
            code = pixels.class_ids * len(found) + place
            numbers = np.bincount(code)
            for position in np.flatnonzero(numbers).tolist():
                class_id, index = divmod(position, len(found))
                pairs[class_id, int(found[index])] += int(numbers[position])
    return pairs


def _read_pixels(src: DatasetReader, labels: LabelledPixels) -> NDArray[np.int64]:
    """An open map's values at labelled pixels, `NOTHING` where it has none."""
    values = np.empty(len(labels), dtype=np.int64)
    for positions, window in iter_blocks(labels.rows, labels.cols):
        block = read_class_ids(src, window, NOTHING)
        values[positions] = block[labels.rows[positions] - window.row_off, labels.cols[positions] - window.col_off]
    return values


def _tell_of_unnamed(map_path: str, mapped: set[int], names: dict[int, str]) -> None:
    """Warn of values that a map with names has none for; they are classes all the same."""
    unnamed = sorted(mapped - names.keys())
    if names and unnamed:
        logger.warning(
            "%s has no name for %s, which counts as a class by its number; if it means no data, declare it with: "
            "gdal_edit.py -a_nodata %d %s", map_path, shortened(unnamed), unnamed[0], quoted(map_path),
        )  # fmt: skip


def _match(labels: Labels, names: dict[int, str], mapped: set[int], reference: StrPath) -> dict[int, int]:
    """The map's class id by the reference's: all by name, else all by number.

    Args:
        labels: the reference.
        names: of the map's classes.
        mapped: the values that the map has where labels lie.
        reference: their file, for messages.
    """
    by_name = {c.id: find_name(c.name, names) for c in labels.classes}
    unknown = [c.name for c in labels.classes if by_name[c.id] is None]
    if not unknown:
        return {class_id: number for class_id, number in by_name.items() if number is not None}
    if labels.ids_are_given:
        foreign = [c.name for c in labels.classes if names and c.id not in names and c.id not in mapped]
        if not foreign:
            strange = [c.name for c in labels.classes if c.name in unknown and c.name != str(c.id)]
            if names and strange:
                logger.warning("%s: the map has no class %s; all are matched by number", reference, ", ".join(strange))
            return {c.id: c.id for c in labels.classes}
        unknown = min(unknown, foreign, key=len)
    has = ", ".join(f"{name} ({class_id})" for class_id, name in names.items()) or "numbers without names only"
    raise LabelError(
        f"{reference} holds classes that the map does not know: {', '.join(unknown)}; the map has {has}; "
        "use the same names in both, or choose another field with `label_field`"
    )
