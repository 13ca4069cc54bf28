"""From the outputs of s2fin to layers of the project: with their styles, in a group; the report in the browser.

Processing loads layers when a run has ended and then calls a post-processor for each. Nothing here needs `iface`.
"""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING

from qgis.core import (
    QgsApplication,
    QgsColorRampShader,
    QgsProcessingContext,
    QgsProcessingLayerPostProcessorInterface,
    QgsRasterShader,
    QgsSingleBandPseudoColorRenderer,
)
from qgis.PyQt.QtCore import QThread, QUrl
from qgis.PyQt.QtGui import QColor, QDesktopServices

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qgis.core import (
        QgsLayerTreeGroup,
        QgsLayerTreeLayer,
        QgsMapLayer,
        QgsProcessingFeedback,
        QgsProject,
        QgsRasterLayer,
    )

#: Suffixes of the outputs that become layers, and of those that a browser shows.
LAYERS = (".tif", ".tiff", ".gpkg", ".shp", ".fgb", ".geojson", ".parquet", ".tab", ".sqlite")
PAGES = (".html",)
#: What the layer of each output is called, the topmost first: points lie above maps, and maps above the other rasters.
NAMES = {
    "suggestions": "Places to label",
    "sample": "Sample",
    "polygons": "Polygons",
    "change": "Change",
    "map": "Land cover",
    "train": "Training labels",
    "test": "Test labels",
    "confidence": "Confidence",
    "uncertainty": "Dissimilarity to the labels",
    "probabilities": "Probabilities",
    "aligned": "Aligned image",
}
#: Outputs whose legend is folded away: it says again what that of the map says, or there are too many bands.
_FOLDED = ("polygons", "probabilities", "aligned")
#: Of rasters that QGIS would show in grey or as a mixture of bands: the band to show, and classes of its values, each
#: with the largest value, a colour and a label.
COLORS = {
    "confidence": (
        1,
        (
            (0.5, "#b2182b", "up to 0.5"),
            (0.7, "#f4a582", "0.5 to 0.7"),
            (0.9, "#92c5de", "0.7 to 0.9"),
            (math.inf, "#2166ac", "above 0.9"),
        ),
    ),
    "uncertainty": (
        4,
        (
            (0.5, "#fff7ec", "up to 0.5: like the labels"),
            (1.0, "#fdcc8a", "0.5 to 1"),
            (math.inf, "#b30000", "above 1: unlike all labels"),
        ),
    ),
}
#: What QGIS shows rasters without a style by.
_DEFAULT_RENDERERS = ("singlebandgray", "multibandcolor")
#: Properties of nodes of the layer tree: the place of a layer in its group, and whether a group is that of a run.
_RANK, _OF_RUN = "s2fin/rank", "s2fin/run"
#: Post-processors: Processing does not own them, so they have to live until it calls them.
_KEPT: list[QgsProcessingLayerPostProcessorInterface] = []


def load(
    context: QgsProcessingContext,
    feedback: QgsProcessingFeedback,
    outputs: Mapping[str, str],
    *,
    group: str,
    titles: Mapping[str, str],
) -> None:
    """Let Processing load the outputs of a run, and open its report in the browser of a desktop.

    To be called in the main thread (`postProcessAlgorithm`). Layers are loaded where Processing was asked to load at
    least one of them, so not by `qgis_process` and not in the midst of a model.

    Args:
        context: of the run.
        feedback: of the run.
        outputs: files by the names of the outputs, written as Processing knows them: on Windows with slashes. An output
            that the user does not want to load is not among them.
        group: name of the group of layers.
        titles: what Processing calls the outputs, by their names; a layer that is called otherwise, as the output of a
            model, keeps its name.
    """
    layers = {name: path for name, path in outputs.items() if _is_written(path, LAYERS)}
    if any(context.willLoadLayerOnCompletion(path) for path in layers.values()):
        shared = _Group(group)
        for name, path in layers.items():
            details = _registered(context, name, path)
            if details.name == titles.get(name, ""):
                details.name, details.forceName = NAMES.get(name, details.name), True
            placing = _Placing(name, shared)
            _KEPT.append(placing)
            details.setPostProcessor(placing)
    for path in outputs.values():
        if _is_written(path, PAGES):
            _open(path, feedback)


def _is_written(path: str, suffixes: Sequence[str]) -> bool:
    """Whether there is a file of some kind."""
    return os.path.splitext(path)[1].lower() in suffixes and os.path.exists(path)


def _registered(context: QgsProcessingContext, name: str, path: str) -> QgsProcessingContext.LayerDetails:
    """How Processing loads a layer; registers the layer if it is not registered yet."""
    if not context.willLoadLayerOnCompletion(path):
        title = NAMES.get(name, name.replace("_", " ").capitalize())
        details = QgsProcessingContext.LayerDetails(title, context.project(), name)
        context.addLayerToLoadOnCompletion(path, details)
    return context.layerToLoadOnCompletionDetails(path)


def _open(path: str, feedback: QgsProcessingFeedback) -> None:
    """Open a page in the browser where there is a desktop, but not for a step of a model, which runs in a thread."""
    if QgsApplication.platform() == "desktop" and QThread.currentThread() == QgsApplication.instance().thread():
        feedback.pushInfo(f"{path} is opened in the browser")
        QDesktopServices.openUrl(QUrl.fromLocalFile(path))


class _Group:
    """The group of the layers of one run, which is made for its first layer."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._made: str | None = None

    def take(self, node: QgsLayerTreeLayer, rank: int, project: QgsProject) -> QgsLayerTreeLayer:
        """Move a layer to its place in the group; gives its node there."""
        moved = _moved(node, self._of(project), rank)
        root = project.layerTreeRoot()
        if self._made != self._name and root.findGroup(self._name) is None:  # the layer was the last one there
            root.findGroup(self._made).setName(self._name)
            self._made = self._name
        return moved

    def _of(self, project: QgsProject) -> QgsLayerTreeGroup:
        """The group, the topmost of the project; one of an earlier run with the same name stays as it is."""
        root = project.layerTreeRoot()
        if self._made is None or root.findGroup(self._made) is None:
            names = (self._name, *(f"{self._name} ({number})" for number in range(2, 10000)))
            self._made = next(name for name in names if root.findGroup(name) is None)
            root.insertGroup(0, self._made).setCustomProperty(_OF_RUN, True)
        return root.findGroup(self._made)


class _Placing(QgsProcessingLayerPostProcessorInterface):
    """Puts a loaded layer into the group of its run, and colours it where its file has no style."""

    def __init__(self, output: str, group: _Group) -> None:
        super().__init__()
        self._output, self._group = output, group

    def postProcessLayer(  # noqa: N802  QGIS's name
        self, layer: QgsMapLayer, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> None:
        """Called by Processing when the layer is in the project."""
        del feedback
        if layer is None or not layer.isValid():
            return
        # NOTE: if the project has a layer of this file already, Processing takes that; it still has the extent of the
        # file that was there before.
        layer.setDataSource(layer.source(), layer.name(), layer.providerType())
        layer.loadDefaultStyle()
        if self._output in COLORS and layer.renderer().type() in _DEFAULT_RENDERERS:
            _color(layer, *COLORS[self._output])
        layer.triggerRepaint()
        node = context.project().layerTreeRoot().findLayer(layer.id())
        if node is not None:
            rank = list(NAMES).index(self._output) if self._output in NAMES else len(NAMES)
            moved = self._group.take(node, rank, context.project())
            moved.setExpanded(self._output not in _FOLDED)


def _moved(node: QgsLayerTreeLayer, group: QgsLayerTreeGroup, rank: int) -> QgsLayerTreeLayer:
    """Move a layer to its place in a group; gives its node there. An earlier run's group that it leaves empty goes."""
    before = node.parent()
    moved = node.clone()
    moved.setCustomProperty(_RANK, rank)
    ranks = [int(child.customProperty(_RANK, len(NAMES))) for child in group.children()]
    # NOTE: the project drops a layer that is nowhere in its tree, so the copy comes first.
    group.insertChildNode(sum(other <= rank for other in ranks), moved)
    before.removeChildNode(node)
    if before.customProperty(_OF_RUN) and not before.children():
        before.parent().removeChildNode(before)
    return moved


def _color(layer: QgsRasterLayer, band: int, classes: Sequence[tuple[float, str, str]]) -> None:
    """Show one band of a raster in a colour for each class of values."""
    ramp = QgsColorRampShader(0.0, classes[-2][0])
    ramp.setColorRampType(QgsColorRampShader.Discrete)
    items = [QgsColorRampShader.ColorRampItem(value, QColor(color), label) for value, color, label in classes]
    ramp.setColorRampItemList(items)
    shader = QgsRasterShader()
    shader.setRasterShaderFunction(ramp)
    layer.setRenderer(QgsSingleBandPseudoColorRenderer(layer.dataProvider(), band, shader))
