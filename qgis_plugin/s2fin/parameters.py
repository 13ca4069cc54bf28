"""From a described option to the parameters of QGIS that show it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qgis.core import (
    QgsProcessing,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterDistance,
    QgsProcessingParameterEnum,
    QgsProcessingParameterExtent,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterField,
    QgsProcessingParameterFile,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
    QgsProcessingParameterVectorDestination,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from .commands import Command, Option

_GEOMETRIES = {
    "any": QgsProcessing.TypeVectorAnyGeometry,
    "point": QgsProcessing.TypeVectorPoint,
    "polygon": QgsProcessing.TypeVectorPolygon,
}


def parameters_of(command: Command) -> list[QgsProcessingParameterDefinition]:
    """The parameters of a command, in the order of its dialog."""
    made, labels = [], None
    for option in command.options:
        made.append(_with_help(_MADE[option.kind](option), option))
        if option.kind == "labels":
            labels = option
        elif labels is not None and labels.name in option.parents:  # their class field, which belongs beside them
            made.append(_with_help(_further_labels(labels), labels))
            labels = None
    return made


def _with_help(parameter: QgsProcessingParameterDefinition, option: Option) -> QgsProcessingParameterDefinition:
    parameter.setHelp(option.help)
    if option.advanced:
        parameter.setFlags(parameter.flags() | QgsProcessingParameterDefinition.FlagAdvanced)
    return parameter


def _common(option: Option) -> dict[str, Any]:
    """What all parameters have. One with a default always has a value, and is not called optional."""
    is_optional = not option.required and option.default is None and option.kind != "bool"
    return {"name": option.parameter, "description": option.title, "optional": is_optional}


def _limits(option: Option) -> dict[str, float]:
    limits = {"minValue": option.minimum, "maxValue": option.maximum}
    return {name: value for name, value in limits.items() if value is not None}


def _parent(option: Option) -> str:
    return option.parents[0].upper() if option.parents else ""


def _raster(option: Option) -> QgsProcessingParameterDefinition:
    return QgsProcessingParameterRasterLayer(**_common(option))


def _rasters(option: Option) -> QgsProcessingParameterDefinition:
    return QgsProcessingParameterMultipleLayers(**_common(option), layerType=QgsProcessing.TypeRaster)


def _vector(option: Option) -> QgsProcessingParameterDefinition:
    return QgsProcessingParameterFeatureSource(**_common(option), types=[_GEOMETRIES[option.geometry]])


def _labels(option: Option) -> QgsProcessingParameterDefinition:
    """One layer of features, with a field and perhaps a selection; optional, as `_further_labels` has all others."""
    return QgsProcessingParameterFeatureSource(
        option.parameter, option.title, [QgsProcessing.TypeVectorAnyGeometry], optional=True
    )


def _further_labels(option: Option) -> QgsProcessingParameterDefinition:
    return QgsProcessingParameterMultipleLayers(
        option.further, f"{option.title}: further layers, or rasters", QgsProcessing.TypeMapLayer, optional=True
    )


def _file(option: Option) -> QgsProcessingParameterDefinition:
    return QgsProcessingParameterFile(**_common(option), fileFilter=option.files)


def _folder(option: Option) -> QgsProcessingParameterDefinition:
    return QgsProcessingParameterFile(**_common(option), behavior=QgsProcessingParameterFile.Folder)


def _field(option: Option) -> QgsProcessingParameterDefinition:
    return QgsProcessingParameterField(**_common(option), parentLayerParameterName=_parent(option))


def _extent(option: Option) -> QgsProcessingParameterDefinition:
    return QgsProcessingParameterExtent(**_common(option))


def _distance(option: Option) -> QgsProcessingParameterDefinition:
    return QgsProcessingParameterDistance(
        **_common(option), defaultValue=option.default, parentParameterName=_parent(option), **_limits(option)
    )


def _bool(option: Option) -> QgsProcessingParameterDefinition:
    return QgsProcessingParameterBoolean(**_common(option), defaultValue=bool(option.default))


def _enum(option: Option) -> QgsProcessingParameterDefinition:
    return QgsProcessingParameterEnum(
        **_common(option), options=list(option.choices), defaultValue=option.default, usesStaticStrings=True
    )


def _int(option: Option) -> QgsProcessingParameterDefinition:
    return QgsProcessingParameterNumber(
        **_common(option),
        type=QgsProcessingParameterNumber.Integer,
        defaultValue=option.default,
        **_limits(option),
    )


def _float(option: Option) -> QgsProcessingParameterDefinition:
    return QgsProcessingParameterNumber(
        **_common(option), type=QgsProcessingParameterNumber.Double, defaultValue=option.default, **_limits(option)
    )


def _text(option: Option) -> QgsProcessingParameterDefinition:
    return QgsProcessingParameterString(**_common(option), defaultValue=option.default)


def _texts(option: Option) -> QgsProcessingParameterDefinition:
    made = _common(option)
    made["description"] += ", one a line"
    return QgsProcessingParameterString(**made, multiLine=True)


def _raster_out(option: Option) -> QgsProcessingParameterDefinition:
    return QgsProcessingParameterRasterDestination(**_common(option), createByDefault=_is_made(option))


def _vector_out(option: Option) -> QgsProcessingParameterDefinition:
    return QgsProcessingParameterVectorDestination(
        **_common(option), type=_GEOMETRIES[option.geometry], createByDefault=_is_made(option)
    )


def _file_out(option: Option) -> QgsProcessingParameterDefinition:
    return QgsProcessingParameterFileDestination(
        **_common(option), fileFilter=option.files, createByDefault=_is_made(option)
    )


def _is_made(option: Option) -> bool:
    return option.required or option.made


_MADE: dict[str, Callable[[Option], QgsProcessingParameterDefinition]] = {
    "raster": _raster,
    "rasters": _rasters,
    "vector": _vector,
    "labels": _labels,
    "file": _file,
    "folder": _folder,
    "field": _field,
    "extent": _extent,
    "distance": _distance,
    "bool": _bool,
    "enum": _enum,
    "int": _int,
    "float": _float,
    "text": _text,
    "texts": _texts,
    "raster_out": _raster_out,
    "vector_out": _vector_out,
    "file_out": _file_out,
}
