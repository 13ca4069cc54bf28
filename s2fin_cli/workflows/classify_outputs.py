"""The files of one classification."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from s2fin_cli.raster.creation import check_raster_path
from s2fin_cli.raster.write import Encoding
from s2fin_cli.reporting.files import check_suffix
from s2fin_cli.vector.write import check_vector_path

if TYPE_CHECKING:
    from collections.abc import Sequence

    from s2fin_cli.core.map_options import OutputOptions
    from s2fin_cli.core.options import StrPath


#: How scaled probabilities are stored: 250 is 1.
SCALED = Encoding("uint8", 255, 0.004)


@dataclass(frozen=True)
class Outputs:
    """The files of one classification, None for those that are not written."""

    map: Path
    style: Path
    polygons: Path | None
    confidence: Path | None
    probabilities: Path | None
    stac: Path | None
    uncertainty: Path | None = None
    report: Path | None = None

    @classmethod
    def of(cls, options: OutputOptions) -> Outputs:
        """The files that a map's options ask for.

        Raises:
            UsageError: the name of a raster is not that of a GeoTIFF, or the format of the polygons or the report is
                unknown.
        """
        class_map = Path(options.output)
        check_raster_path(class_map)
        polygons = (_path(options.polygons) or class_map.with_suffix(".gpkg")) if options.vector else None
        if polygons is not None:
            check_vector_path(polygons)
        others = (_path(options.confidence), _path(options.probabilities))
        uncertainty = _path(options.uncertainty)
        for path in (*others, uncertainty):
            if path is not None:
                check_raster_path(path)
        report = _path(options.report)
        if report is not None:
            check_suffix(report)
        found = cls(class_map, class_map.with_suffix(".qml"), polygons, *others, None, uncertainty, report)
        return replace(found, stac=found.stac_beside) if options.stac else found

    @property
    def stac_beside(self) -> Path:
        """Where the map's STAC item is, if there is one."""
        return self.map.with_suffix(".json")

    @property
    def beside_unwritten(self) -> list[Path]:
        """Where an earlier map of this name may have left what is not written now."""
        places = (self.polygons, self.map.with_suffix(".gpkg")), (self.stac, self.stac_beside)
        return [beside for path, beside in places if path is None]

    @property
    def of_map(self) -> Outputs:
        """The files that appear together with the map: all but the report, which is made from them."""
        return replace(self, report=None)

    @property
    def wanted(self) -> list[Path]:
        """The files to write."""
        return [path for path in vars(self).values() if path is not None]

    def at(self, places: Sequence[Path]) -> Outputs:
        """The same files at other paths, given in the order of `wanted`."""
        moved = dict(zip(self.wanted, places, strict=True))
        return replace(self, **{name: moved[path] for name, path in vars(self).items() if path is not None})


def _path(given: StrPath | None) -> Path | None:
    return None if given is None else Path(given)
