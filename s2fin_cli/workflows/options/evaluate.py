"""Options of accuracy assessment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from s2fin_cli.core.checks import check
from s2fin_cli.core.options import Options, StrPath, path_tuple

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions(Options):
    """Options of `s2fin evaluate`.

    Attributes:
        map: class map to assess: a raster of whole numbers, in floating point too.
        reference: reference labels: a vector file of polygons or points, or a raster of class numbers; or a sequence of
            such files. Where several files label a pixel, the last file decides.
        label_field: class field of a vector reference; None takes the only possible field. Of several files, those
            without such a field go by their own.
        stratified: whether the reference is a random sample within each class of the map, as `s2fin sample` draws it;
            then accuracies and class areas of the whole map are estimated, with margins of 95 % confidence.
        output: report to write, a `.html`, `.json`, `.csv` or `.md` file; None for none.
        overwrite: whether an existing `output` may be replaced.
    """

    map: StrPath
    reference: StrPath | Sequence[StrPath]
    label_field: str | None = None
    stratified: bool = False
    output: StrPath | None = None
    overwrite: bool = False

    def __post_init__(self) -> None:
        check("reference", self.reference, bool(self.reference_paths), "a file, or a sequence of files")

    @property
    def reference_paths(self) -> tuple[str, ...]:
        """The files of the reference; the last one decides."""
        return path_tuple(self.reference)
