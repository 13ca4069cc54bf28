"""Values of fields that may hold classes: known or empty, whole numbers, numbers in text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from s2fin_cli.core.classes import MAX_CLASS_ID
from s2fin_cli.core.errors import LabelError
from s2fin_cli.vector.texts import DOUBTFUL_WORDS, NULL_WORDS, is_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path


#: A class number as a text: without zeros before it.
_NUMBER = r"(?:0|[1-9]\d{0,4})(?:[.,]0+)?"


def is_known(values: pd.Series, *, kept: Iterable[str] = ()) -> pd.Series:
    """Which values are neither missing nor empty nor a word for that, unless the word is kept as a name."""
    known = values.notna()
    if not is_text(values):
        return known
    texts = values.fillna("").astype(str)
    words = texts.str.strip().str.lower()
    is_empty, is_doubtful = words.isin({"", *NULL_WORDS}), words.isin(DOUBTFUL_WORDS)
    certain = texts[~is_empty & ~is_doubtful]
    if len(certain) and certain.str.fullmatch(_NUMBER).all():
        is_empty |= is_doubtful
    return known & (~is_empty | texts.isin(list(kept)))


def says_something(values: pd.Series) -> bool:
    """Whether some value is known, and not all of them are words that may mean "no value"."""
    known = values[is_known(values)]
    return len(known) > 0 and not (is_text(values) and known.str.lower().isin(DOUBTFUL_WORDS).all())


def is_whole_number(values: pd.Series) -> bool:
    """Whether a field holds numbers, all of them whole."""
    if pd.api.types.is_bool_dtype(values) or not pd.api.types.is_numeric_dtype(values):
        return False
    return bool(are_whole(values.dropna()).all())


def are_whole(values: pd.Series) -> pd.Series:
    """Which numbers are whole ones."""
    return pd.Series(np.isfinite(values) & (values == np.round(values)), index=values.index)


def is_number_in_text(values: pd.Series) -> bool:
    """Whether a field of texts holds nothing but class numbers, none of them with zeros before it."""
    if not is_text(values):
        return False
    texts = values[is_known(values)]
    fitting = texts.str.fullmatch(_NUMBER, na=False)
    return bool(len(texts) and fitting.all() and (to_numbers(texts) <= MAX_CLASS_ID).all())


def to_numbers(texts: pd.Series) -> pd.Series:
    """The numbers that texts hold; NaN for a text without one."""
    return pd.to_numeric(texts.str.replace(",", "."), errors="coerce").astype(np.float64)


def words_in(values: pd.Series, words: Iterable[str]) -> list[str]:
    """The words, in any case, that occur in a field of texts, out of some."""
    wanted = {word.lower() for word in words}
    return sorted(text for text in values.dropna().unique() if text.lower() in wanted) if is_text(values) else []


def listed(words: Sequence[str]) -> str:
    """Words as the subject of a message, with its verb: "'NULL' is" or "'NULL', 'nan' are"."""
    return f"{', '.join(map(repr, words))} {'is' if len(words) == 1 else 'are'}"


class EmptyFieldError(LabelError):
    """A class field is empty in every feature.

    Args:
        field: its name.
        src_path: the file.
        count: how many features there are.
    """

    def __init__(self, field: str, src_path: str | Path, count: int) -> None:
        super().__init__(f"{src_path}: field {field!r} is empty in every feature; fill it in, or name another field")
        self.field, self.src_path, self.count = field, src_path, count
