"""The class field of a vector file: the one named, or the only possible one."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pandas as pd

from s2fin_cli.core.classes import normalized
from s2fin_cli.core.errors import LabelError
from s2fin_cli.labels.class_values import (
    EmptyFieldError,
    are_whole,
    is_known,
    is_number_in_text,
    is_whole_number,
    says_something,
)
from s2fin_cli.labels.field_names import ID_FIELDS, KML_FIELDS, USUAL_FIELDS, VAGUE_FIELDS
from s2fin_cli.labels.name_field import names_field
from s2fin_cli.vector.texts import is_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import geopandas as gpd


logger = logging.getLogger(__name__)


def class_field(
    frame: gpd.GeoDataFrame, src_path: str | Path, *, label_field: str | None, is_alone: bool = True
) -> str:
    """The field that holds the class: the one named, else the only possible one.

    Args:
        frame: the features.
        src_path: where they come from, for messages.
        label_field: name of the field; None finds it.
        is_alone: whether there is one file only. One of several may lack the named field, and its own is found.

    Raises:
        EmptyFieldError: the field is empty throughout.
        LabelError: the named field is missing or of the wrong type, or the choice is not clear.
    """
    fields = [str(name) for name in frame.columns if name != frame.geometry.name]
    if label_field is not None and (is_alone or _like(label_field, fields) is not None):
        return _named_field(frame, fields, label_field=label_field, src_path=src_path)
    if not fields:
        raise LabelError(f"{src_path} has no attribute fields; add a text field that names each feature's class")
    candidates = _candidate_fields(frame, fields)
    usual = [name for name in candidates if name.lower() in USUAL_FIELDS]
    # A number and a name of the same classes: both are kept.
    chosen = _number_of_pair(frame, candidates) or _number_of_pair(frame, usual)
    if not chosen:
        to_fill_in = [] if usual else _field_to_fill_in(frame, fields, is_alone=is_alone)
        chosen = to_fill_in or (candidates if len(candidates) == 1 else usual)
    if len(chosen) != 1:
        raise _unclear(frame, fields, candidates=candidates, label_field=label_field, src_path=src_path)
    _check_values(frame[chosen[0]], chosen[0], src_path=src_path)
    logger.info("labels: the classes of %s are taken from its field %r", src_path, chosen[0])
    return chosen[0]


def _named_field(frame: gpd.GeoDataFrame, fields: list[str], *, label_field: str, src_path: str | Path) -> str:
    """The field of a name, or of the only one that looks like it."""
    found = _like(label_field, fields)
    if found is None:
        raise LabelError(
            f"{src_path} has no field {label_field!r}; its fields are: {', '.join(fields) or 'none'}; "
            "name one with `label_field`"
        )
    _check_values(frame[found], found, src_path=src_path)
    return found


def _like(label_field: str, fields: list[str]) -> str | None:
    """The field of a name, or the only one that looks like it."""
    same = [name for name in fields if normalized(name) == normalized(label_field)]
    return label_field if label_field in fields else same[0] if len(same) == 1 else None


def _field_to_fill_in(frame: gpd.GeoDataFrame, fields: list[str], *, is_alone: bool) -> list[str]:
    """The field with a clear name in which classes are still missing, whatever other fields hold; none if unclear.

    In one of several files, that field may also hold a single class throughout.
    """
    clear = [name for name in fields if name.lower() in USUAL_FIELDS and name.lower() not in VAGUE_FIELDS]
    fitting = [name for name in clear if is_text(frame[name]) or is_whole_number(frame[name])]
    found = [name for name in fitting if not is_alone or not is_known(frame[name]).all()]
    return found if len(found) == 1 else []


def _unclear(
    frame: gpd.GeoDataFrame, fields: list[str], *, candidates: list[str], label_field: str | None, src_path: str | Path
) -> LabelError:
    """The error that the class field is ambiguous.

    Raises:
        LabelError: a field with a usual name cannot hold classes, and there is no other candidate.
    """
    if not candidates:
        for name in fields:
            if name.lower() in USUAL_FIELDS:
                _check_values(frame[name], name, src_path=src_path)
    found = (
        f"several fields may hold the class ({', '.join(candidates)})"
        if candidates
        else f"no field seems to hold the class ({', '.join(fields) or 'there is none'})"
    )
    lacking = "" if label_field is None else f"there is no field {label_field!r}, and "
    return LabelError(f"{src_path}: {lacking}{found}; name the field with `label_field`")


def _number_of_pair(frame: gpd.GeoDataFrame, fields: Sequence[str]) -> list[str]:
    """The field with numbers, if the other one of two names them; else none."""
    numbers = [name for name in fields if is_whole_number(frame[name])]
    numbers = numbers or [name for name in fields if is_number_in_text(frame[name])]
    is_pair = len(fields) == 2 and len(numbers) == 1 and names_field(frame, numbers[0]) in fields
    return numbers if is_pair else []


def _check_values(values: pd.Series, field: str, *, src_path: str | Path) -> None:
    """Refuse a field that cannot hold classes."""
    known = values[is_known(values)]
    if known.empty:
        raise EmptyFieldError(field, src_path, len(values))
    if not is_text(values) and not is_whole_number(values):
        is_number = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
        strange = known[~are_whole(known)] if is_number else known
        raise LabelError(
            f"{src_path}: field {field!r} holds neither text nor whole numbers but {strange.iloc[0]!s}; "
            "name another field, or write the classes as text"
        )


def _candidate_fields(frame: gpd.GeoDataFrame, fields: list[str]) -> list[str]:
    classlike = [
        name
        for name in fields
        if name.lower() not in (*ID_FIELDS, *KML_FIELDS)
        and (is_text(frame[name]) or is_whole_number(frame[name]))
        and says_something(frame[name])
    ]
    # NOTE: where some field repeats its values, one that never does describes features, not classes.
    repeating = [name for name in classlike if frame[name].nunique() < len(frame)]
    varying = [name for name in repeating or classlike if frame[name].nunique() > 1]
    candidates = varying or repeating or classlike
    if not any(name.lower() in USUAL_FIELDS for name in candidates):
        # In a file with one feature per class, the surveyor may repeat but the class does not: go by the field's name.
        candidates += [
            name
            for name in classlike
            if name.lower() in USUAL_FIELDS
            and name.lower() not in VAGUE_FIELDS
            and name not in candidates
            and frame[name].nunique() > 1
            and is_known(frame[name]).all()
        ]
    return candidates
