"""Options of accuracy assessment."""

from __future__ import annotations

from dataclasses import dataclass

from s2fin_cli.core.options import Options, StrPath


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions(Options):
    """Options of `s2fin evaluate`.

    Attributes:
        map: class map to assess: a raster of whole numbers, in floating point too.
        reference: reference labels: a vector file of polygons or points, or a raster of class numbers.
        label_field: class field of a vector reference; None takes the only possible field.
        stratified: whether the reference is a random sample within each class of the map, as `s2fin sample` draws it;
            then accuracies and class areas of the whole map are estimated, with margins of 95 % confidence.
        output: report to write, a `.json`, `.csv` or `.md` file; None for none.
        overwrite: whether an existing `output` may be replaced.
    """

    map: StrPath
    reference: StrPath
    label_field: str | None = None
    stratified: bool = False
    output: StrPath | None = None
    overwrite: bool = False
