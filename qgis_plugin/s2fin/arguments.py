"""From the values that QGIS hands over to the command line of s2fin."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from qgis.core import (
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeatureSourceDefinition,
    QgsProcessingOutputLayerDefinition,
    QgsRasterLayer,
    QgsReferencedRectangle,
    QgsVectorLayer,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from qgis.core import QgsMapLayer

    from .commands import Command, Option
    from .layers import InputFiles


class Values:
    """The values of one run, layers as files.

    Args:
        algorithm: the algorithm that runs.
        command: its command.
        parameters: what QGIS hands over.
        context: the context of the run.
        files: makes files of layers.
    """

    def __init__(
        self,
        algorithm: QgsProcessingAlgorithm,
        command: Command,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        files: InputFiles,
    ) -> None:
        self._algorithm, self._command = algorithm, command
        self._parameters, self._context, self._files = parameters, context, files

    def all(self) -> dict[str, Any]:
        """The value of each option by its name: text, number, truth value, list of texts, or None.

        Raises:
            QgsProcessingException: a layer cannot be read.
        """
        return {option.name: self._value(option) for option in self._command.options}

    def _value(self, option: Option) -> Any:
        readers: dict[str, Callable[[Option], Any]] = {
            "raster": self._raster,
            "rasters": self._rasters,
            "vector": self._vector,
            "labels": self._labels,
            "field": self._field,
            "extent": self._extent,
            "distance": self._number,
            "int": self._int,
            "float": self._number,
            "bool": self._bool,
            "enum": self._enum,
            "texts": self._texts,
            "file": self._path,
            "folder": self._path,
            "raster_out": self._layer_out,
            "vector_out": self._layer_out,
            "file_out": self._file_out,
        }
        return readers.get(option.kind, self._text)(option)

    def _is_given(self, option: Option) -> bool:
        return self._parameters.get(option.parameter) not in (None, "", [])

    # ---- layers ------------------------------------------------------------------------------------------------------
    def _raster(self, option: Option) -> str | None:
        layer = self._raster_layer(option)
        return None if layer is None else self._files.raster(layer)

    def _raster_layer(self, option: Option) -> QgsRasterLayer | None:
        if not self._is_given(option):
            return None
        layer = self._algorithm.parameterAsRasterLayer(self._parameters, option.parameter, self._context)
        if layer is None:
            raise QgsProcessingException(self._algorithm.invalidRasterError(self._parameters, option.parameter))
        return layer

    def _rasters(self, option: Option) -> list[str]:
        layers = self._layers(option, option.parameter)
        return self._files.rasters(layers) if layers else []

    def _layers(self, option: Option, parameter: str) -> list[QgsMapLayer]:
        given = self._parameters.get(parameter)
        if given in (None, "", []):
            return []
        layers = self._algorithm.parameterAsLayerList(self._parameters, parameter, self._context)
        if len(layers) < (len(given) if isinstance(given, (list, tuple)) else 1):
            raise QgsProcessingException(f"a layer of “{option.title}” cannot be read: {given}")
        return list(layers)

    def _vector(self, option: Option) -> str | None:
        if not self._is_given(option):
            return None
        parameters, name, context = self._parameters, option.parameter, self._context
        given = parameters[name]
        selected = False
        if isinstance(given, QgsProcessingFeatureSourceDefinition):
            selected = given.selectedFeaturesOnly
            if given.featureLimit > 0 or getattr(given, "filterExpression", ""):
                source = self._algorithm.parameterAsSource(parameters, name, context)
                return self._files.vector(source, selected_only=selected)
            parameters = {**parameters, name: given.source}  # QGIS 3.22 finds no layer by the definition itself
        layer = self._algorithm.parameterAsVectorLayer(parameters, name, context)
        if layer is None:
            raise QgsProcessingException(self._algorithm.invalidSourceError(parameters, name))
        return self._files.vector(layer, selected_only=selected)

    def _labels(self, option: Option) -> list[str]:
        """The layer of the dialog, then the further ones: the last one decides where they disagree."""
        first = self._vector(option)
        further = [self._further(layer) for layer in self._layers(option, option.further)]
        return [*([] if first is None else [first]), *further]

    def _further(self, layer: QgsMapLayer) -> str:
        if isinstance(layer, QgsRasterLayer):
            return self._files.raster(layer)
        if isinstance(layer, QgsVectorLayer):
            return self._files.vector(layer, selected_only=False)
        raise QgsProcessingException(f"the layer {layer.name()!r} has no labels: it is neither a vector nor a raster")

    def _field(self, option: Option) -> str | None:
        given = self._parameters.get(option.parameter)
        names = given if isinstance(given, (list, tuple)) else [given]
        return next((str(name) for name in names if name not in (None, "")), None)

    def _extent(self, option: Option) -> list[str] | None:
        """Left, bottom, right and top in the CRS of the image whose grid is taken."""
        if not self._is_given(option):
            return None
        parameters, name, context = self._parameters, option.parameter, self._context
        extent = self._algorithm.parameterAsExtent(parameters, name, context)
        if extent.isNull():
            raise QgsProcessingException(f"“{option.title}” is empty; choose an extent on the image")
        crs = self._algorithm.parameterAsExtentCrs(parameters, name, context)
        for layer in self._images(option.parents):
            return self._files.bounds(QgsReferencedRectangle(extent, crs), layer)
        return [repr(v) for v in (extent.xMinimum(), extent.yMinimum(), extent.xMaximum(), extent.yMaximum())]

    def _images(self, names: Sequence[str]) -> Iterator[QgsRasterLayer]:
        """The layers of some options, as far as they are given."""
        for option in (self._command.option(name) for name in names):
            if option.kind == "rasters":
                yield from self._layers(option, option.parameter)
            elif (layer := self._raster_layer(option)) is not None:
                yield layer

    # ---- plain values ------------------------------------------------------------------------------------------------
    def _number(self, option: Option) -> float | None:
        if not self._is_given(option):
            return option.default
        return float(self._algorithm.parameterAsDouble(self._parameters, option.parameter, self._context))

    def _int(self, option: Option) -> int | None:
        if not self._is_given(option):
            return option.default
        return int(self._algorithm.parameterAsInt(self._parameters, option.parameter, self._context))

    def _bool(self, option: Option) -> bool:
        return bool(self._algorithm.parameterAsBoolean(self._parameters, option.parameter, self._context))

    def _enum(self, option: Option) -> str | None:
        found = self._algorithm.parameterAsEnumString(self._parameters, option.parameter, self._context)
        return found or option.default

    def _text(self, option: Option) -> str | None:
        if not self._is_given(option):
            return None
        return str(self._algorithm.parameterAsString(self._parameters, option.parameter, self._context)).strip() or None

    def _path(self, option: Option) -> str | None:
        return _absolute(self._text(option))

    def _texts(self, option: Option) -> list[str]:
        given = self._parameters.get(option.parameter)
        if not isinstance(given, (list, tuple)):
            given = (self._text(option) or "").splitlines()
        return [str(line).strip() for line in given if str(line).strip()]

    # ---- outputs -----------------------------------------------------------------------------------------------------
    def _layer_out(self, option: Option) -> str | None:
        return _absolute(self._algorithm.parameterAsOutputLayer(self._parameters, option.parameter, self._context))

    def _file_out(self, option: Option) -> str | None:
        return _absolute(self._algorithm.parameterAsFileOutput(self._parameters, option.parameter, self._context))


def is_to_be_loaded(given: Any) -> bool:
    """Whether the user has not cleared the tick box of an output, by what QGIS hands over for it."""
    return not isinstance(given, QgsProcessingOutputLayerDefinition) or given.destinationProject is not None


def _absolute(path: str | None) -> str | None:
    """A path that means the same in another folder.

    One that is absolute stays as it is written, by which QGIS knows an output: on Windows with slashes.
    """
    if not path or os.path.isabs(path):
        return path or None
    return os.path.abspath(path)
