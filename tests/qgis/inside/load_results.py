"""Loads files as the plugin does after a run, as JSON: the tree of layers, and how QGIS shows and edits them.

python3 -m tests.qgis.inside.load_results RUNS PLATFORM

RUNS: JSON, a list of runs, each with the files of its `outputs` by name, the names of those that Processing was asked
to `load`, the name of the `group`, and if wanted `replace`, files that take the place of others before, and what a
model has the layers `called`. PLATFORM: "desktop" or "external".
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from typing import Any

from qgis.core import QgsApplication, QgsLayerTreeGroup, QgsProcessingContext, QgsProject, QgsRasterLayer
from qgis.PyQt.QtCore import QObject, QUrl, pyqtSlot
from qgis.PyQt.QtGui import QDesktopServices

from tests.qgis.inside.started import answer, in_project, plugin, start, start_processing

#: What Processing calls each output.
TITLE = "as Processing calls it"


class Browser(QObject):  # type: ignore[misc] # Qt has no types
    """Takes the place of the desktop's browser."""

    def __init__(self) -> None:
        super().__init__()
        self.opened: list[str] = []

    @pyqtSlot(QUrl)  # type: ignore[untyped-decorator] # Qt has no types
    def show(self, url: Any) -> None:
        self.opened.append(url.toLocalFile())


def run(
    outputs: dict[str, str], *, load: list[str], group: str, replace: dict[str, str] | None = None, called: str = TITLE
) -> list[str]:
    """What Processing does after a run; gives what it says."""
    for path, other in (replace or {}).items():
        os.replace(other, path)  # as s2fin does
    context, feedback = in_project()
    for name in load:
        details = QgsProcessingContext.LayerDetails(called, context.project(), name)
        context.addLayerToLoadOnCompletion(outputs[name], details)
    plugin("results").load(context, feedback, outputs, group=group, titles=dict.fromkeys(outputs, TITLE))
    algorithm = QgsApplication.processingRegistry().algorithmById("native:buffer")
    loading = importlib.import_module("processing.gui.Postprocessing")
    loading.handleAlgorithmResults(algorithm, context, feedback, parameters={})
    return feedback.lines


def described(node: Any) -> dict[str, Any]:
    """A node of the layer tree, with those below it."""
    if isinstance(node, QgsLayerTreeGroup):
        return {"group": node.name(), "layers": [described(child) for child in node.children()]}
    layer = node.layer()
    found = {
        "layer": layer.name(),
        "file": layer.source().partition("|")[0],
        "valid": layer.isValid(),
        "expanded": node.isExpanded(),
        "renderer": layer.renderer().type(),
    }
    return found | (of_raster(layer) if isinstance(layer, QgsRasterLayer) else of_vector(layer))


def of_raster(layer: Any) -> dict[str, Any]:
    """The legend of a raster layer, and the band that is shown."""
    legend = [[label, color.name()] for label, color in layer.renderer().legendSymbologyItems()]
    left, top = layer.extent().xMinimum(), layer.extent().yMaximum()
    return {
        "legend": legend,
        "bands": layer.renderer().usesBands(),
        "place": [left, top, layer.width(), layer.height()],
    }


def of_vector(layer: Any) -> dict[str, Any]:
    """The legend of a vector layer, and the values that its forms offer."""
    lists = {}
    for index, field in enumerate(layer.fields()):
        setup = layer.editorWidgetSetup(index)
        if setup.type() == "ValueMap":
            lists[field.name()] = [next(iter(entry.values())) for entry in setup.config()["map"]]
    legend = [item.label() for item in layer.renderer().legendSymbolItems()]
    return {"legend": legend, "lists": lists, "labelled": layer.labelsEnabled()}


def main() -> None:
    runs, platform = json.loads(sys.argv[1]), sys.argv[2]
    start(platform)
    start_processing()
    browser = Browser()
    QDesktopServices.setUrlHandler("file", browser.show)
    said = [run(**each) for each in runs]
    root = QgsProject.instance().layerTreeRoot()
    answer(
        {
            "tree": [described(node) for node in root.children()],
            "layers": len(QgsProject.instance().mapLayers()),
            "said": said,
            "opened": browser.opened,
        }
    )


main()
