"""Options of the report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from s2fin_cli.core.errors import UsageError
from s2fin_cli.core.options import ImageOptions, StrPath, path_tuple

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Options that name a file each, besides the images and the reference.
_NAMED = ("map", "model", "confidence", "uncertainty", "suggestions")


@dataclass(frozen=True, kw_only=True)
class ReportOptions(ImageOptions):
    """Options of `s2fin report`, besides the images to show. A map that `s2fin classify` wrote names its own ones.

    Attributes:
        map: class map to report on.
        model: model that made the map; None takes the one that the map names, if it is still there.
        confidence: confidence that was written with the map; None for none.
        uncertainty: uncertainty that was written with the map, which tells where it looks unlike all training data;
            None for none.
        suggestions: points that `s2fin suggest` wrote for the map's images, to show with pictures; None for none.
        reference: reference labels: a vector file of polygons or points, or a raster of class numbers; or a sequence of
            such files. Where several files label a pixel, the last file decides. None for none.
        label_field: class field of a vector reference; None takes the only possible field.
        stratified: whether the reference is a random sample within each class of the map, as `s2fin sample` draws it;
            then accuracies and class areas of the whole map are estimated, with margins of 95 % confidence.
        output: report to write, a `.html`, `.json`, `.csv` or `.md` file.
        overwrite: whether an existing `output` may be replaced.
    """

    map: StrPath
    model: StrPath | None = None
    confidence: StrPath | None = None
    uncertainty: StrPath | None = None
    suggestions: StrPath | None = None
    reference: StrPath | Sequence[StrPath] | None = None
    label_field: str | None = None
    stratified: bool = False
    output: StrPath = "report.html"
    overwrite: bool = False

    def __post_init__(self) -> None:
        if not self.reference_paths and (self.label_field is not None or self.stratified):
            raise UsageError("`label_field` and `stratified` apply to a reference; give one with `reference`")

    @property
    def reference_paths(self) -> tuple[str, ...]:
        """The files of the reference; the last one decides."""
        return path_tuple(self.reference)

    @property
    def named_files(self) -> dict[str, tuple[str, ...]]:
        """The files that were given, by option."""
        given = {name: path_tuple(getattr(self, name)) for name in _NAMED}
        return {**given, "reference": self.reference_paths, **self.src_paths}

    @property
    def inputs(self) -> list[str]:
        """Every file that was given."""
        return [path for paths in self.named_files.values() for path in paths]
