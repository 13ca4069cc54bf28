"""The options of commands that write maps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from s2fin_cli.core.checks import check, check_choice, check_whole, is_real, make_plain, make_tuples, parse_share
from s2fin_cli.core.errors import UsageError
from s2fin_cli.core.formats import RASTER_DRIVERS
from s2fin_cli.core.options import PRECISIONS, Options, StrPath

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, kw_only=True)
class FileOptions(Options):
    """The files of one map.

    Attributes:
        output: the map to write, a GeoTIFF; its QGIS style is written beside it with the suffix `.qml`. Like all
            outputs of a map it may be in an object store, as in "s3://bucket/map.tif".
        polygons: where to write the polygons, in the format of the suffix, see `VECTOR_OUTPUT_SUFFIXES`; None is
            beside the map, with the suffix `.gpkg`.
        confidence: where to write the probability of each pixel's class, if anywhere.
        probabilities: where to write the probabilities of all classes, if anywhere.
        uncertainty: where to write how uncertain the class of each pixel is, if anywhere: entropy, margin, disagreement
            of the teacher's members, and dissimilarity to the training data.
        report: where to write a report on the map, if anywhere: a `.html`, `.json`, `.csv` or `.md` file.
    """

    output: StrPath
    polygons: StrPath | None = None
    confidence: StrPath | None = None
    probabilities: StrPath | None = None
    uncertainty: StrPath | None = None
    report: StrPath | None = None


@dataclass(frozen=True, kw_only=True)
class PolygonOptions(Options):
    """How the polygons of a map are made.

    Attributes:
        vector: whether to write polygons.
        mmu: minimum mapping unit of the polygons in pixels; smaller areas are merged into their largest neighbours.
        simplify: how far the polygons' borders may move, approximately, in CRS units; neighbours stay joined. None
            keeps the pixels' borders.
    """

    vector: bool = True
    mmu: int = 1
    simplify: float | None = None

    def check_polygons(self, polygons: StrPath | None) -> None:
        """Refuse impossible values.

        Args:
            polygons: where the polygons are to be written, if they are not beside the map.

        Raises:
            UsageError: there is one.
        """
        check_whole("mmu", self.mmu, least=1)
        make_plain(self, int, "mmu")
        if self.simplify is not None:
            check("simplify", self.simplify, is_real(self.simplify) and self.simplify > 0, "above 0")
            make_plain(self, float, "simplify")
        if not self.vector and (polygons is not None or self.mmu > 1 or self.simplify is not None):
            raise UsageError("`polygons`, `mmu` and `simplify` apply to polygons, which `vector=False` turns off")


@dataclass(frozen=True, kw_only=True)
class RasterOptions(Options):
    """How rasters are written.

    Attributes:
        format: how the rasters are written, one of `RASTER_DRIVERS`.
        co: GDAL's creation options of the rasters, each "NAME=VALUE".
    """

    format: str = "GTiff"
    co: Sequence[str] = ()

    def check_rasters(self) -> None:
        """Refuse impossible values.

        Raises:
            UsageError: there is one.
        """
        check_choice("format", self.format, RASTER_DRIVERS)
        make_tuples(self, "co")
        for option in self.co:
            check("co", option, isinstance(option, str) and option.find("=") > 0, "NAME=VALUE")


@dataclass(frozen=True, kw_only=True)
class WritingOptions(RasterOptions, PolygonOptions):
    """How maps are written, whatever their files are called.

    Attributes:
        scaled: whether confidence and probabilities are stored as bytes, 250 for 1.
        stac: whether to write a STAC item of the map, beside it with the suffix `.json`.
        overwrite: whether existing outputs may be replaced.
    """

    scaled: bool = False
    stac: bool = False
    overwrite: bool = False


@dataclass(frozen=True, kw_only=True)
class OutputOptions(WritingOptions, FileOptions):
    """What is written of a map."""

    def check_output(self) -> None:
        """Refuse impossible values.

        Raises:
            UsageError: there is one.
        """
        self.check_rasters()
        self.check_polygons(self.polygons)
        if self.scaled and self.confidence is None and self.probabilities is None:
            raise UsageError("`scaled` applies to `confidence` and `probabilities`, and neither is to be written")


@dataclass(frozen=True, kw_only=True)
class MethodOptions(Options):
    """How the network's probabilities become a map.

    Attributes:
        smooth: whether to average each pixel's probabilities with those of similar pixels nearby.
        prior: approximate share of the mapped area that classes cover, each "CLASS=PERCENT" with a class's name or
            number; the other classes share the rest.
        precision: precision of the network's matrix products, one of `PRECISIONS`; its frequency parts are always
            float32.
    """

    smooth: bool = False
    prior: Sequence[str] = ()
    precision: str = "float32"


@dataclass(frozen=True, kw_only=True)
class MapOptions(MethodOptions, OutputOptions):
    """A map: what is written of it, and how the network's probabilities become it."""

    def check_map(self) -> None:
        """Refuse impossible values.

        Raises:
            UsageError: there is one.
        """
        self.check_output()
        check_choice("precision", self.precision, PRECISIONS)
        make_tuples(self, "prior")
        for text in self.prior:
            parse_share(text)
