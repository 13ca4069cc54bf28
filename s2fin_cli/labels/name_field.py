"""The field that names the classes which another field numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from s2fin_cli.labels.class_values import is_known, says_something
from s2fin_cli.labels.field_names import NAME_FIELDS, paired_fields, without_language
from s2fin_cli.vector.texts import is_text

if TYPE_CHECKING:
    import geopandas as gpd


def names_field(frame: gpd.GeoDataFrame, field: str) -> str | None:
    """The text field that names the numbers of `field`, if there is one.

    It is named as such fields usually are (`class_name`, `label`, ...), or as `field` with another ending (LULC_ID and
    LULC_NAME), which comes first. It gives each number one name, or none, and no two numbers the same.
    """
    texts = text_fields(frame)
    paired = paired_fields(field, texts)
    usual = [name for name in texts if name not in (*paired, field) and without_language(name) in NAME_FIELDS]
    usual.sort(key=lambda name: NAME_FIELDS.index(without_language(name)))
    fitting = [name for name in (*paired, *usual) if _gives_names(frame, field, name=name)]
    return fitting[0] if fitting else None


def text_fields(frame: gpd.GeoDataFrame) -> list[str]:
    """The text fields that are not empty throughout."""
    fields = [str(name) for name in frame.columns if name != frame.geometry.name]
    return [name for name in fields if is_text(frame[name]) and says_something(frame[name])]


def _gives_names(frame: gpd.GeoDataFrame, field: str, *, name: str) -> bool:
    """Whether a text field gives each number one name or none throughout, and no name to two numbers."""
    numbered = frame.loc[frame[field].notna()]
    numbers, filled = numbered[field], is_known(numbered[name])
    if not filled.any() or (filled.groupby(numbers).nunique() > 1).any():
        return False
    pairs = pd.DataFrame({"number": numbers[filled], "name": numbered.loc[filled, name]}).drop_duplicates()
    return not pairs["number"].duplicated().any() and not pairs["name"].duplicated().any()
