"""Class numbers and names of features, from their class field or by a class table."""

from __future__ import annotations

import logging
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from s2fin_cli.core.classes import check_class_ids, find_name
from s2fin_cli.core.errors import LabelError, shortened
from s2fin_cli.core.figures import number_of
from s2fin_cli.labels.class_values import EmptyFieldError, is_known, is_number_in_text, listed, to_numbers, words_in
from s2fin_cli.labels.field_names import paired_fields
from s2fin_cli.labels.name_field import names_field, text_fields
from s2fin_cli.labels.rules import warn_of_other_classes
from s2fin_cli.vector.texts import DOUBTFUL_WORDS, NULL_WORDS, is_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import geopandas as gpd
    import pandas as pd
    from numpy.typing import NDArray

    from s2fin_cli.core.classes import LandCoverClass

logger = logging.getLogger(__name__)


def number_classes(
    frame: gpd.GeoDataFrame,
    field: str,
    *,
    src_path: str | Path,
    table: Sequence[LandCoverClass] | None,
    takes_table: bool,
) -> tuple[gpd.GeoDataFrame, NDArray[np.int64], dict[int, str]]:
    """Features with a class, their class numbers, and the classes' names.

    Whole numbers stay as they are, in a field of texts too if it holds nothing else and none has zeros before it. Other
    text is numbered from 1 in alphabetical order, capitals first only where names differ in nothing else. Words that
    programs write for "no value" are taken as empty unless the class table has them; "none" and the like are a class.

    Args:
        frame: the features.
        field: the one that holds the class.
        src_path: where they come from, for messages.
        table: the class table; features of other classes are skipped. It numbers the names, whose case counts only if
            names of the table differ in nothing else.
        takes_table: whether the user can give a class table, so that messages may recommend one.

    Returns:
        the features, int64 (n,) class numbers, and names by class number.

    Raises:
        LabelError: no feature has a class, or a number that a map cannot hold.
    """
    frame = _with_class(frame, field, src_path=src_path, table=table, takes_table=takes_table)
    if table is not None:
        return _number_by_table(frame, field, src_path=src_path, table=table)
    if is_number_in_text(frame[field]):
        logger.info("labels: field %r of %s is text, but holds only class numbers; they are kept", field, src_path)
        frame[field] = to_numbers(frame[field])
    if is_text(frame[field]):
        return frame, *_number_texts(frame[field].astype(str), src_path)
    check_class_ids(frame[field].unique())
    return frame, frame[field].to_numpy(np.float64).astype(np.int64), _names_of_numbers(frame, field, src_path=src_path)


def _number_texts(texts: pd.Series, src_path: str | Path) -> tuple[NDArray[np.int64], dict[int, str]]:
    """Numbers (n,) of names in alphabetical order, and the names by number."""
    ordered = sorted(set(texts), key=lambda name: (name.casefold(), name))
    numbers = {name: number for number, name in enumerate(ordered, start=1)}
    for one, other in pairwise(ordered):
        if one.casefold() == other.casefold():
            logger.warning(
                "%s: %r and %r are treated as two classes; if they are one, correct the names", src_path, one, other
            )
    return texts.map(numbers).to_numpy(np.int64), {number: name for name, number in numbers.items()}


def _names_of_numbers(frame: gpd.GeoDataFrame, field: str, *, src_path: str | Path) -> dict[int, str]:
    """Names of the numbers in a field: from another field, else the numbers themselves."""
    names = {int(class_id): str(int(class_id)) for class_id in np.unique(frame[field].to_numpy(np.float64))}
    if (named_by := names_field(frame, field)) is not None:
        logger.info("labels: class names are taken from field %r", named_by)
        names |= _names_of(frame, field, named_by=named_by, src_path=src_path)
    elif unfit := paired_fields(field, text_fields(frame)):
        logger.warning(
            "%s: class names are not taken from field %r, because a class of %r has no name there, two names or the "
            "name of another class; correct it, or give it as `label_field`",
            src_path, unfit[0], field,
        )  # fmt: skip
    return names


def _with_class(
    frame: gpd.GeoDataFrame,
    field: str,
    *,
    src_path: str | Path,
    table: Sequence[LandCoverClass] | None,
    takes_table: bool,
) -> gpd.GeoDataFrame:
    """The features whose class is known.

    Raises:
        LabelError: no feature's class is known.
    """
    found = words_in(frame[field], (*NULL_WORDS, *DOUBTFUL_WORDS))
    kept = [text for text in found if _is_in_table(text, table)]
    known = is_known(frame[field], kept=kept)
    if not known.all():
        words = words_in(frame.loc[~known, field], found)
        hint = "; a class of that name must be in a class table (`classes`)" if takes_table else ""
        taken = f"; {listed(words)} treated as empty{hint}"
        logger.warning(
            "%s: skipped %s whose %r is empty%s",
            src_path,
            number_of(int((~known).sum()), "feature"),
            field,
            taken if words else "",
        )
    if table is None and (words := words_in(frame.loc[known, field], DOUBTFUL_WORDS)):
        hint = "; to skip it, give a class table without it (`classes`)" if takes_table else ""
        logger.warning("%s: in field %r, %s kept as a class%s", src_path, field, listed(words), hint)
    if not known.any():
        raise EmptyFieldError(field, src_path, len(frame))
    return frame[known].copy()


def _names_of(frame: gpd.GeoDataFrame, field: str, *, named_by: str, src_path: str | Path) -> dict[int, str]:
    """The names that a field of texts gives the class numbers, with a warning of words for "no value"."""
    known = is_known(frame[named_by])
    if words := words_in(frame.loc[~known, named_by], (*NULL_WORDS, *DOUBTFUL_WORDS)):
        numbers = sorted(frame.loc[~known, field].astype(int).unique())
        logger.warning(
            "%s: in field %r, %s treated as empty; the classes without a name are named by their numbers: %s",
            src_path, named_by, listed(words), shortened(numbers),
        )  # fmt: skip
    pairs = frame.loc[known, [field, named_by]].drop_duplicates()
    return {int(key): str(name) for key, name in pairs.itertuples(index=False)}


def _is_in_table(text: str, table: Sequence[LandCoverClass] | None) -> bool:
    return table is not None and find_name(text, {c.id: c.name for c in table}) is not None


def _number_by_table(
    frame: gpd.GeoDataFrame, field: str, *, src_path: str | Path, table: Sequence[LandCoverClass]
) -> tuple[gpd.GeoDataFrame, NDArray[np.int64], dict[int, str]]:
    names = {c.id: c.name for c in table}
    if is_text(frame[field]):
        found = {text: find_name(text, names) for text in frame[field].astype(str).unique()}
        class_ids = frame[field].astype(str).map(found)
        if class_ids.isna().all() and is_number_in_text(frame[field]):  # not the table's names, so its numbers
            numbers = to_numbers(frame[field])
            class_ids = numbers.where(numbers.isin(list(names)))
    else:
        class_ids = frame[field].where(frame[field].isin(list(names)))
    known = class_ids.notna()
    if not known.all():
        others = frame.loc[~known, field].astype(str).unique()
        warn_of_other_classes(src_path, number_of(int((~known).sum()), "feature"), others=others)
    if not known.any():
        raise LabelError(
            f"{src_path}: no class of field {field!r} is in the class table ({', '.join(names.values())}); "
            "name another field with `label_field`, or correct the table"
        )
    return frame[known], class_ids[known].to_numpy(np.int64), names
