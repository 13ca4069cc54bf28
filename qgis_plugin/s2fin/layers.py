"""From the layers of QGIS to files that s2fin reads: what QGIS shows of a layer is what s2fin gets.

A layer whose file says the same as QGIS is handed over as that file. Where the user changed something in QGIS, vector
layers are copied to a GeoPackage, and rasters are described by a virtual raster. What cannot be handed over is refused.
"""

from __future__ import annotations

import json
import os
import re
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING, Any

from osgeo import gdal
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCsException,
    QgsFeature,
    QgsFeatureSink,
    QgsField,
    QgsFields,
    QgsProcessingException,
    QgsProviderRegistry,
    QgsRectangle,
    QgsVectorFileWriter,
    QgsVectorLayer,
    QgsVectorLayerSelectedFeatureSource,
)
from qgis.PyQt.QtCore import QMetaType, QVariant

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from qgis.core import (
        QgsFeatureSource,
        QgsProcessingContext,
        QgsProcessingFeedback,
        QgsRasterLayer,
        QgsReferencedRectangle,
    )

#: The remedy for a layer that has no file that s2fin could read.
EXPORT = "save it as a file (Export in the layer's menu) and choose that file"
#: Metadata of a raster that GDAL makes itself.
_DERIVED_DOMAINS = ("", "IMAGE_STRUCTURE", "DERIVED_SUBDATASETS", "SUBDATASETS", "COLOR_PROFILE")
#: A table in a GeoPackage whose name s2fin takes as a part of the file's, as in "GPKG:x.gpkg:table".
_TABLE_NAME = re.compile(r"(?!.*\.gpkg$)[^/\\:]+", re.IGNORECASE)
#: The names of types of fields, in Qt 5 and Qt 6.
_STRING, _BOOL, _LONG = (
    getattr(QVariant, old) if hasattr(QVariant, old) else getattr(QMetaType.Type, new)
    for old, new in (("String", "QString"), ("Bool", "Bool"), ("LongLong", "LongLong"))
)


class InputFiles:
    """Files of the layers of one run: a layer's own file where it says what QGIS shows, else one in `folder`.

    To be used in the main thread (`prepareAlgorithm`), to which layers and their unsaved edits belong.
    """

    def __init__(self, context: QgsProcessingContext, feedback: QgsProcessingFeedback, folder: Path) -> None:
        self._context, self._feedback, self._folder = context, feedback, folder
        self._rasters: dict[str, str] = {}
        self._vectors: dict[tuple[str, bool], str] = {}
        self._made: dict[str, str] = {}

    # ---- rasters ---------------------------------------------------------------------------------------------------

    def raster(self, layer: QgsRasterLayer) -> str:
        """The path, URL or GDAL name of a raster layer.

        Raises:
            QgsProcessingException: it is not a raster of GDAL's, or is set up in QGIS in a way that no file can have.
        """
        if layer.id() not in self._rasters:
            self._rasters[layer.id()] = self._raster(layer)
        return self._rasters[layer.id()]

    def rasters(self, layers: Sequence[QgsRasterLayer]) -> list[str]:
        """The files of a group of rasters, in their order."""
        return [self.raster(layer) for layer in layers]

    def _raster(self, layer: QgsRasterLayer) -> str:
        if layer.providerType() != "gdal":
            raise QgsProcessingException(
                f"{_called(layer)} comes from a service or a database ({layer.providerType()!r}) and has no raster "
                f"file; {EXPORT}"
            )
        if "authcfg=" in layer.source():
            raise QgsProcessingException(
                f"{_called(layer)} needs a login that QGIS keeps ('authcfg') and s2fin does not have; {EXPORT}"
            )
        _check_valid(layer)
        name, _, settings = layer.source().partition("|")
        options = [text[len("option:") :] for text in settings.split("|") if text.startswith("option:")]
        nodata = _Nodata(layer)
        in_memory = name.startswith("/vsimem/")
        if not (options or in_memory or nodata.is_changed or _has_other_crs(layer)):
            return os.path.abspath(name) if os.path.exists(name) else name
        with _Opened(layer, name, options) as src:
            if in_memory:
                path = self._path(layer.name(), ".tif")
                _translate(layer, path, src, format="GTiff", creationOptions=["COMPRESS=DEFLATE", "BIGTIFF=IF_SAFER"])
                with _Opened(layer, path, []) as copy:
                    return self._virtual_raster(layer, copy, nodata)
            return self._virtual_raster(layer, src, nodata)

    def _virtual_raster(self, layer: QgsRasterLayer, src: gdal.Dataset, nodata: _Nodata) -> str:
        """Describe a raster as QGIS shows it."""
        path = self._path(layer.name(), ".vrt")
        # NOTE: without any of these options GDAL would write a virtual raster again, instead of describing it.
        dst = _translate(layer, path, src, format="VRT", noData="none")
        _copy_domains(src, dst)
        for number in range(1, src.RasterCount + 1):
            _copy_domains(src.GetRasterBand(number), dst.GetRasterBand(number))
        if _has_other_crs(layer):
            dst.SetProjection(_wkt(layer.crs()))
            self._say(layer, f"is in {_crs_name(layer.crs())} in QGIS, and in {_crs_name(_own_crs(layer))} in its file")
        for number in range(1, dst.RasterCount + 1):
            if (value := nodata.of(number)) is not None:
                dst.GetRasterBand(number).SetNoDataValue(value)
        dst.FlushCache()
        dst = None
        if nodata.is_changed:
            nodata.add_to(path)
            self._say(layer, "has nodata values in QGIS that its file does not declare")
        return path

    # ---- vectors ---------------------------------------------------------------------------------------------------

    def vector(self, source: QgsFeatureSource | QgsVectorLayer, *, selected_only: bool) -> str:
        """The file of a vector layer, or of a source of features, that holds this layer alone.

        Args:
            source: a layer, or a source of features; of the latter s2fin always gets a copy.
            selected_only: whether to take the features only that are selected in QGIS, if it is a layer.

        Raises:
            QgsProcessingException: it cannot be read, or no feature is selected.
        """
        if not isinstance(source, QgsVectorLayer):
            return self._copy(source)
        _check_valid(source)
        key = (source.id(), selected_only)
        if key not in self._vectors:
            self._vectors[key] = self._vector(source, selected_only=selected_only)
        return self._vectors[key]

    def _vector(self, layer: QgsVectorLayer, *, selected_only: bool) -> str:
        if selected_only:
            if not layer.selectedFeatureCount():
                raise QgsProcessingException(
                    f"no feature of {_called(layer)} is selected; select some, or take all features"
                )
            return self._copy(QgsVectorLayerSelectedFeatureSource(layer))
        return _own_file(layer) or self._copy(layer)

    def _copy(self, source: QgsFeatureSource) -> str:
        """Write features as QGIS shows them to a GeoPackage."""
        path = self._path(source.sourceName(), ".gpkg")
        fields = _writable(source.fields())
        options = QgsVectorFileWriter.SaveVectorOptions()
        options.driverName, options.layerName = "GPKG", source.sourceName() or "layer"
        # NOTE: a field "fid" of the layer is a field like any other, which may hold a number twice.
        numbers = _free_name(fields.names())
        fields.append(QgsField(numbers, _LONG))
        options.layerOptions = [f"FID={numbers}", "SPATIAL_INDEX=NO"]
        writer = QgsVectorFileWriter.create(
            path, fields, source.wkbType(), source.sourceCrs(), self._context.transformContext(), options
        )
        _check_written(writer, source)
        count = 0
        for feature in source.getFeatures():
            if self._feedback.isCanceled():
                raise QgsProcessingException("the run was cancelled")
            writer.addFeature(_converted(feature, fields), QgsFeatureSink.Flag.FastInsert)
            count += 1
        writer.flushBuffer()
        _check_written(writer, source)
        del writer  # which closes the file
        self._feedback.pushInfo(f"s2fin gets {count} features of the layer {source.sourceName()!r} as QGIS shows them")
        return path

    # ---- areas -----------------------------------------------------------------------------------------------------

    def bounds(self, extent: QgsReferencedRectangle, layer: QgsRasterLayer) -> list[str]:
        """Left, bottom, right and top of an extent in the CRS that a layer has in QGIS, for `--bounds`.

        An extent in another CRS is clipped to the layer, and becomes the rectangle around what is left.

        Raises:
            QgsProcessingException: it is not where the layer is, or cannot be transformed to its CRS.
        """
        rectangle, crs = QgsRectangle(extent), layer.crs()
        if extent.crs().isValid() and crs.isValid() and extent.crs() != crs:
            there = QgsCoordinateTransform(crs, extent.crs(), self._context.transformContext())
            back = QgsCoordinateTransform(extent.crs(), crs, self._context.transformContext())
            try:
                # NOTE: far from its area a projection gives any numbers, so the extent is clipped first.
                clipped = rectangle.intersect(there.transformBoundingBox(layer.extent()))
                rectangle = back.transformBoundingBox(clipped)
            except QgsCsException as error:
                raise QgsProcessingException(
                    f"the extent {extent.toString(2)} in {_crs_name(extent.crs())} cannot be transformed to "
                    f"{_crs_name(crs)}, the CRS of {_called(layer)}; choose an extent in that CRS"
                ) from error
        if rectangle.isEmpty() or not rectangle.intersects(layer.extent()):
            raise QgsProcessingException(
                f"the extent {extent.toString(2)} in {_crs_name(extent.crs())} is not where {_called(layer)} is "
                f"({layer.extent().toString(2)} in {_crs_name(crs)}); choose an extent on the image"
            )
        return [
            repr(v) for v in (rectangle.xMinimum(), rectangle.yMinimum(), rectangle.xMaximum(), rectangle.yMaximum())
        ]

    # ---- files -----------------------------------------------------------------------------------------------------

    def worded(self, message: str) -> str:
        """A message of s2fin with the names of layers in place of the files that were made of them."""
        for path, name in self._made.items():
            message = message.replace(path, f"the layer {name!r}")
        return message

    def _path(self, name: str, suffix: str) -> str:
        """A path that no other layer has."""
        stem = re.sub(r"\W+", "_", name).strip("_")[:60] or "layer"
        paths = (str(self._folder / f"{each}{suffix}") for each in (stem, *(f"{stem}_{n}" for n in range(2, 10000))))
        path = next(path for path in paths if path not in self._made)
        self._made[path] = name
        self._folder.mkdir(parents=True, exist_ok=True)
        return path

    def _say(self, layer: QgsRasterLayer, what: str) -> None:
        self._feedback.pushInfo(f"{_called(layer)} {what}; s2fin takes it as QGIS shows it")


def _called(layer: Any) -> str:
    return f"the layer {layer.name()!r}"


def _check_valid(layer: Any) -> None:
    if not layer.isValid():
        raise QgsProcessingException(f"{_called(layer)} cannot be read ({layer.source()}); is its file still there?")


# ---- CRS -----------------------------------------------------------------------------------------------------------


def _own_crs(layer: Any) -> QgsCoordinateReferenceSystem:
    """The CRS that the file of a layer declares."""
    return layer.dataProvider().crs()


def _has_other_crs(layer: Any) -> bool:
    """Whether the user, or QGIS's settings, gave a layer another CRS than its file has."""
    shown, own = layer.crs(), _own_crs(layer)
    return shown.isValid() != own.isValid() or (shown.isValid() and shown != own)


def _crs_name(crs: QgsCoordinateReferenceSystem) -> str:
    return (crs.authid() or crs.description() or "a CRS without a name") if crs.isValid() else "no CRS"


def _wkt(crs: QgsCoordinateReferenceSystem) -> str:
    return crs.toWkt(QgsCoordinateReferenceSystem.WKT_PREFERRED_GDAL) if crs.isValid() else ""


# ---- rasters -------------------------------------------------------------------------------------------------------


class _Opened:
    """A raster that GDAL has open while the block runs."""

    def __init__(self, layer: QgsRasterLayer, name: str, options: Sequence[str]) -> None:
        self._layer, self._name, self._options = layer, name, options

    def __enter__(self) -> gdal.Dataset:
        try:
            self._src = gdal.OpenEx(self._name, gdal.OF_RASTER, open_options=list(self._options))
        except RuntimeError:  # where a plugin switched GDAL's exceptions on
            self._src = None
        if self._src is None:
            raise QgsProcessingException(f"{_called(self._layer)} cannot be opened by GDAL ({self._name}); {EXPORT}")
        return self._src

    def __exit__(self, *_: object) -> None:
        self._src = None


def _translate(layer: QgsRasterLayer, path: str, src: gdal.Dataset, **options: Any) -> gdal.Dataset:
    try:
        dst = gdal.Translate(path, src, **options)
    except RuntimeError:
        dst = None
    if dst is None:
        raise QgsProcessingException(f"{_called(layer)} cannot be written to {path}; {EXPORT}")
    return dst


def _copy_domains(src: Any, dst: Any) -> None:
    """Copy the metadata that GDAL leaves out, such as wavelengths in the domains ENVI and IMAGERY."""
    for domain in src.GetMetadataDomainList() or []:
        if domain not in _DERIVED_DOMAINS and not domain.startswith("xml:"):
            dst.SetMetadata(src.GetMetadata(domain), domain)


class _Nodata:
    """What the user set about the nodata values of a raster layer in QGIS.

    Attributes:
        is_changed: whether that differs from what the file declares.
    """

    def __init__(self, layer: QgsRasterLayer) -> None:
        """Read it.

        Raises:
            QgsProcessingException: it is more than one value for a band.
        """
        provider = layer.dataProvider()
        bands = range(1, layer.bandCount() + 1)
        self._declared = {n: provider.sourceNoDataValue(n) for n in bands if provider.sourceHasNoDataValue(n)}
        self._used = {n: value for n, value in self._declared.items() if provider.useSourceNoDataValue(n)}
        self._added: dict[int, float] = {}
        for number in bands:
            ranges = provider.userNoDataValues(number)
            if len(ranges) > 1 or any(each.min() < each.max() for each in ranges):
                raise QgsProcessingException(
                    f"{_called(layer)} has several additional nodata values in QGIS, and s2fin takes one; {EXPORT}"
                )
            if ranges and ranges[0].min() != self._used.get(number):
                self._added[number] = ranges[0].min()
        self.is_changed = bool(self._added) or self._used.keys() != self._declared.keys()

    def of(self, band: int) -> float | None:
        """The value that a band of the virtual raster declares, or None."""
        return self._used.get(band, self._added.get(band))

    def add_to(self, path: str) -> None:
        """Let the values that the user added become those that the bands of a virtual raster declare."""
        tree = ET.parse(path)  # noqa: S314  written just before
        for band in tree.getroot().findall("VRTRasterBand"):
            number = int(band.get("band", "0"))
            if number not in self._added or number not in self._used:
                continue
            for source in band.findall("SimpleSource"):
                source.tag = "ComplexSource"
                # NOTE: pixels with this value are not written over what the band declares.
                ET.SubElement(source, "NODATA").text = repr(self._added[number])
        tree.write(path, encoding="utf-8")


# ---- vectors -------------------------------------------------------------------------------------------------------


def _own_file(layer: QgsVectorLayer) -> str | None:
    """The file of a vector layer, if it says what QGIS shows and holds no other layer, or GDAL's name of its table."""
    parts = {key: value for key, value in _uri_parts(layer).items() if value}
    path = str(parts.pop("path", ""))
    table, _ = parts.pop("layerName", None), parts.pop("layerId", None)
    if parts or not os.path.isfile(path) or not _shows_its_file(layer):
        return None
    path = os.path.abspath(path)
    if len(QgsProviderRegistry.instance().querySublayers(path)) == 1:
        return path
    is_table = table is not None and path.lower().endswith(".gpkg") and _TABLE_NAME.fullmatch(table)
    return f"GPKG:{path}:{table}" if is_table else None


def _uri_parts(layer: QgsVectorLayer) -> dict[str, Any]:
    """The parts of the source of a layer of OGR's; none of other layers."""
    if layer.providerType() != "ogr":
        return {}
    return QgsProviderRegistry.instance().decodeUri("ogr", layer.source())


def _shows_its_file(layer: QgsVectorLayer) -> bool:
    """Whether QGIS shows the features and fields of the file, without edits, filters and settings of the user's."""
    if layer.isModified() or layer.subsetString() or _has_other_crs(layer):
        return False
    if layer.fields().names() != layer.dataProvider().fields().names():
        return False  # some are joined or virtual
    fresh = QgsVectorLayer(layer.source(), "fresh", "ogr")
    return fresh.isValid() and fresh.dataProvider().encoding() == layer.dataProvider().encoding()


def _writable(fields: QgsFields) -> QgsFields:
    """Fields that a GeoPackage can hold: texts instead of lists and the like.

    Raises:
        QgsProcessingException: two differ only in upper and lower case, which a GeoPackage cannot hold.
    """
    found, names = QgsFields(), dict[str, str]()
    for field in fields:
        name = field.name()
        if (other := names.setdefault(name.lower(), name)) != name:
            raise QgsProcessingException(f"the fields {other!r} and {name!r} differ only in case; rename one of them")
        is_plain = field.isNumeric() or field.isDateOrTime() or field.type() in (_STRING, _BOOL)
        found.append(QgsField(field) if is_plain else QgsField(name, _STRING))
    return found


def _converted(feature: QgsFeature, fields: QgsFields) -> QgsFeature:
    """A feature with its number as a field, and with texts instead of values that a GeoPackage cannot hold."""
    values = [
        json.dumps(value, default=str, ensure_ascii=False) if isinstance(value, (list, dict)) else value
        for value in feature.attributes()
    ]
    converted = QgsFeature(fields, feature.id())
    converted.setGeometry(feature.geometry())
    converted.setAttributes([*values, feature.id()])
    return converted


def _free_name(names: Sequence[str]) -> str:
    """A name for the column of feature numbers that is not one of the fields."""
    taken = {name.lower() for name in names}
    return next(name for name in ("fid", *(f"fid_{n}" for n in range(2, 10000))) if name not in taken)


def _check_written(writer: QgsVectorFileWriter, source: QgsFeatureSource) -> None:
    if writer.hasError() != QgsVectorFileWriter.WriterError.NoError:
        raise QgsProcessingException(
            f"the layer {source.sourceName()!r} cannot be copied to a GeoPackage ({writer.errorMessage()}); {EXPORT}"
        )
