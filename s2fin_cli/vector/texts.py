"""Texts in the fields of features."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from s2fin_cli.core.classes import normalized

if TYPE_CHECKING:
    import geopandas as gpd


#: Words, in lower case, that programs write for a missing value and that are no class names.
NULL_WORDS = ("null", "<null>", "(null)", "[null]", "nan", "<na>", "#n/a", "#na", "\\n")
#: Words that may be a class ("none" for no damage) or not; they are not if all other values are numbers.
DOUBTFUL_WORDS = ("none", "na", "n/a", "nil")


def plain_texts(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """The features with cleaned texts, so that "Road" and "Road " are one class."""
    frame = frame.copy()
    for name in frame.columns.drop(frame.geometry.name):
        if is_text(frame[name]):
            plain = {value: normalized(value) for value in frame[name].dropna().unique()}
            frame[name] = frame[name].map(plain, na_action="ignore")
    return frame


def is_text(values: pd.Series) -> bool:
    """Whether a field holds text, missing values aside."""
    return pd.api.types.infer_dtype(values, skipna=True) in ("string", "empty") and not (
        pd.api.types.is_numeric_dtype(values) or pd.api.types.is_datetime64_any_dtype(values)
    )
