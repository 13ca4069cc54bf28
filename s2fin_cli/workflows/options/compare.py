"""Options of comparing two maps."""

from __future__ import annotations

from dataclasses import dataclass

from s2fin_cli.core.errors import UsageError
from s2fin_cli.core.map_options import PolygonOptions, RasterOptions
from s2fin_cli.core.options import StrPath


@dataclass(frozen=True, kw_only=True)
class CompareOptions(RasterOptions, PolygonOptions):
    """Options of `s2fin compare`.

    Attributes:
        before: class map of the earlier date.
        after: class map of the later date, on the same grid.
        output: change map to write, a GeoTIFF; its QGIS style is written beside it with the suffix `.qml`. None writes
            none, and no polygons.
        polygons: where to write the polygons of the changes, in the format of the suffix, see `VECTOR_OUTPUT_SUFFIXES`;
            None is beside the change map, with the suffix `.gpkg`.
        reference: points with interpreted transitions, a random sample within each transition of the change map as
            `s2fin sample` draws it; then the areas that really changed are estimated, with margins of 95 % confidence.
        label_field: field of the reference that holds transitions; None takes its fields `before` and `after`, else the
            only possible field.
        report: report to write, a `.json`, `.csv` or `.md` file; None for none.
        overwrite: whether existing outputs may be replaced.
    """

    before: StrPath
    after: StrPath
    output: StrPath | None = None
    polygons: StrPath | None = None
    reference: StrPath | None = None
    label_field: str | None = None
    report: StrPath | None = None
    overwrite: bool = False

    def __post_init__(self) -> None:
        self.check_rasters()
        self.check_polygons(self.polygons)
        if self.output is None and (self.polygons is not None or self.mmu > 1 or self.simplify is not None):
            raise UsageError("polygons are made from the change map; give a name for it with `output`")
        if self.label_field is not None and self.reference is None:
            raise UsageError("`label_field` is a field of the `reference`, and none was given")
