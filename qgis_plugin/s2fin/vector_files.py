"""The file of a vector layer: its own, or a copy of the features that QGIS shows."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, Any

from qgis.core import (
    QgsFeature,
    QgsFeatureSink,
    QgsField,
    QgsFields,
    QgsProcessingException,
    QgsProviderRegistry,
    QgsVectorFileWriter,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QMetaType, QVariant

from .layer_state import EXPORT, has_other_crs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qgis.core import QgsFeatureSource, QgsProcessingContext, QgsProcessingFeedback

#: A table in a GeoPackage whose name s2fin takes as a part of the file's, as in "GPKG:x.gpkg:table".
_TABLE_NAME = re.compile(r"(?!.*\.gpkg$)[^/\\:]+", re.IGNORECASE)
#: The names of types of fields, in Qt 5 and Qt 6.
_STRING, _BOOL, _LONG = (
    getattr(QVariant, old) if hasattr(QVariant, old) else getattr(QMetaType.Type, new)
    for old, new in (("String", "QString"), ("Bool", "Bool"), ("LongLong", "LongLong"))
)


def copy_features(
    source: QgsFeatureSource, path: str, context: QgsProcessingContext, feedback: QgsProcessingFeedback
) -> None:
    """Write features as QGIS shows them to a GeoPackage, with their numbers, which messages name.

    Raises:
        QgsProcessingException: a GeoPackage cannot hold them, or the run was cancelled.
    """
    fields = _writable(source.fields())
    options = QgsVectorFileWriter.SaveVectorOptions()
    options.driverName, options.layerName = "GPKG", "layer"  # a GeoPackage cannot have every name
    # NOTE: fields "fid" and "geom" of the layer are fields like any other; "fid" may hold a number twice.
    numbers, geometries = (_free_name(fields.names(), wanted) for wanted in ("fid", "geom"))
    fields.append(QgsField(numbers, _LONG))
    options.layerOptions = [f"FID={numbers}", f"GEOMETRY_NAME={geometries}", "SPATIAL_INDEX=NO"]
    crs, kind = source.sourceCrs(), source.wkbType()
    writer = QgsVectorFileWriter.create(path, fields, kind, crs, context.transformContext(), options)
    _check_written(writer, source)
    count = 0
    for feature in source.getFeatures():
        if feedback.isCanceled():
            raise QgsProcessingException("cancelled")
        writer.addFeature(_converted(feature, fields), QgsFeatureSink.Flag.FastInsert)
        count += 1
    writer.flushBuffer()
    _check_written(writer, source)
    del writer  # which closes the file
    features = "1 feature" if count == 1 else f"{count} features"
    feedback.pushInfo(f"s2fin gets {features} of the layer {source.sourceName()!r} as QGIS shows them")


def own_file(layer: QgsVectorLayer) -> str | None:
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
    if layer.isModified() or layer.subsetString() or has_other_crs(layer):
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


def _free_name(names: Sequence[str], wanted: str) -> str:
    """A name for a column beside the fields: the one that is wanted, or one like it that no field has."""
    taken = {name.lower() for name in names}
    return next(name for name in (wanted, *(f"{wanted}_{n}" for n in range(2, 10000))) if name not in taken)


def _check_written(writer: QgsVectorFileWriter, source: QgsFeatureSource) -> None:
    if writer.hasError() != QgsVectorFileWriter.WriterError.NoError:
        raise QgsProcessingException(
            f"the layer {source.sourceName()!r} cannot be copied to a GeoPackage ({writer.errorMessage()}); {EXPORT}"
        )
