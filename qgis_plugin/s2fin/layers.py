"""From the layers of QGIS to files that s2fin reads: what QGIS shows of a layer is what s2fin gets.

A layer whose file says the same as QGIS is handed over as that file. Where the user changed something in QGIS, vector
layers are copied to a GeoPackage, and rasters are described by a virtual raster. What cannot be handed over is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qgis.core import (
    QgsCoordinateTransform,
    QgsCsException,
    QgsProcessingException,
    QgsRectangle,
    QgsVectorLayer,
    QgsVectorLayerSelectedFeatureSource,
)

from .layer_state import called, check_valid, crs_name
from .made_files import MadeFiles
from .raster_files import raster_file
from .vector_files import copy_features, own_file

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


class InputFiles:
    """Files of the layers of one run: a layer's own file where it says what QGIS shows, else one in `folder`.

    To be used in the main thread (`prepareAlgorithm`), to which layers and their unsaved edits belong.
    """

    def __init__(self, context: QgsProcessingContext, feedback: QgsProcessingFeedback, folder: Path) -> None:
        self._context, self._feedback = context, feedback
        self._rasters: dict[str, str] = {}
        self._vectors: dict[tuple[str, bool], str] = {}
        self._made = MadeFiles(folder)

    def raster(self, layer: QgsRasterLayer) -> str:
        """The path, URL or GDAL name of a raster layer.

        Raises:
            QgsProcessingException: it is not a raster of GDAL's, or is set up in QGIS in a way that no file can have.
        """
        if layer.id() not in self._rasters:
            self._rasters[layer.id()] = raster_file(layer, self._made, self._feedback)
        return self._rasters[layer.id()]

    def rasters(self, layers: Sequence[QgsRasterLayer]) -> list[str]:
        """The files of a group of rasters, in their order."""
        return [self.raster(layer) for layer in layers]

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
        check_valid(source)
        key = (source.id(), selected_only)
        if key not in self._vectors:
            self._vectors[key] = self._vector(source, selected_only=selected_only)
        return self._vectors[key]

    def _vector(self, layer: QgsVectorLayer, *, selected_only: bool) -> str:
        if not selected_only:
            return own_file(layer) or self._copy(layer)
        if not layer.selectedFeatureCount():
            raise QgsProcessingException(
                f"no feature of {called(layer)} is selected; select some, or take all features"
            )
        return self._copy(QgsVectorLayerSelectedFeatureSource(layer))

    def _copy(self, source: QgsFeatureSource) -> str:
        path = self._made.new(source.sourceName(), ".gpkg")
        copy_features(source, path, self._context, self._feedback)
        return path

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
                    f"the extent {extent.toString(2)} in {crs_name(extent.crs())} cannot be transformed to "
                    f"{crs_name(crs)}, the CRS of {called(layer)}; choose an extent in that CRS"
                ) from error
        if rectangle.isEmpty() or not rectangle.intersects(layer.extent()):
            raise QgsProcessingException(
                f"the extent {extent.toString(2)} in {crs_name(extent.crs())} is not where {called(layer)} is "
                f"({layer.extent().toString(2)} in {crs_name(crs)}); choose an extent on the image"
            )
        return [
            repr(v) for v in (rectangle.xMinimum(), rectangle.yMinimum(), rectangle.xMaximum(), rectangle.yMaximum())
        ]

    def worded(self, message: str) -> str:
        """A message of s2fin with the names of layers in place of the files that were made of them."""
        return self._made.worded(message)
