"""Numbers in the texts of a table: plain ones, with decimal commas, or with commas whose meaning is unclear."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from s2fin_cli.vector.place_columns import Place, find_place
from s2fin_cli.vector.texts import DOUBTFUL_WORDS, NULL_WORDS

if TYPE_CHECKING:
    from numpy.typing import NDArray


_INTEGER = re.compile(r"[+-]?\d{1,15}")
_DECIMAL = re.compile(r"[+-]?(\d+[.,]?\d*|[.,]\d+)(e[+-]?\d+)?", re.IGNORECASE)
#: Numbers whose commas may separate thousands or decimals.
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d*)?")
#: Texts that stand for "no value" in a column of numbers, in lower case.
_MISSING = {"", "-", *NULL_WORDS, *DOUBTFUL_WORDS}


def typed(table: pd.DataFrame) -> pd.DataFrame:
    """A table with the columns of text that hold nothing but numbers turned into numbers; empty texts are missing.

    Coordinates stay texts if it is unclear what their commas mean.
    """
    place = find_place([str(name) for name in table])
    unclear = [] if place is None else unclear_columns(table, place)
    columns = {name: table[name] if name in unclear else _typed(table[name]) for name in table}
    return pd.DataFrame(columns, index=table.index)


def _typed(values: pd.Series) -> pd.Series:
    if pd.api.types.is_numeric_dtype(values) or not pd.api.types.is_string_dtype(values.dropna()):
        return values
    texts = values.fillna("").astype(str).str.strip()
    missing = texts.str.lower().isin(_MISSING)
    known = texts[~missing]
    if len(known) and known.map(lambda text: _INTEGER.fullmatch(text) is not None).all():
        return known.astype(np.int64).reindex(values.index)
    if len(known) and known.map(lambda text: _DECIMAL.fullmatch(text) is not None).all():
        return known.str.replace(",", ".").astype(np.float64).reindex(values.index)
    return texts.astype(object).where(texts != "", None)


def unclear_columns(table: pd.DataFrame, place: Place) -> list[str]:
    """The columns of coordinates with commas, all of which may separate thousands."""
    if place.kind == "geometry":
        return []
    commas = {}
    for name in place.columns:
        texts = table[name].map(lambda value: value.strip() if isinstance(value, str) else "")
        commas[name] = [text for text in texts if "," in text]
    are_unclear = all(_THOUSANDS.fullmatch(text) for texts in commas.values() for text in texts)
    return [name for name, texts in commas.items() if texts and are_unclear]


def coordinates_in(values: pd.Series) -> NDArray[np.float64]:
    """Coordinates (n,), NaN where a value is not a number."""
    if pd.api.types.is_numeric_dtype(values):
        return values.to_numpy(np.float64, na_value=np.nan)
    texts = values.fillna("").astype(str).str.strip().str.replace(r"[\s°]+", "", regex=True)
    texts = texts.where(texts.map(lambda text: _DECIMAL.fullmatch(text) is not None), "nan")
    return texts.str.replace(",", ".").to_numpy().astype(np.float64)
