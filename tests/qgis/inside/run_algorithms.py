"""Runs algorithms of the plugin one after the other through Processing, as JSON: what each gave and said.

python3 -m tests.qgis.inside.run_algorithms STEPS

STEPS: JSON, a list of objects with the `algorithm`, its `parameters`, and if wanted
- `environment`: variables to set before the run;
- `lost`: true, to take away the temporary folder of QGIS before the run;
- `dialog`: true, to run it in a thread as the dialog does, and to load the results;
- `cancel`: a text; the run is cancelled when a line that has it was said.

An object with `fill` instead is a file whose empty field `class` is filled in with the field `from` in QGIS's editing.

A value of a parameter may be an object: {"layer": SOURCE} is a layer of the project, with "selected": FIDS for the
features of these numbers alone, "memory": true for a copy in memory, and "mesh": NAME for a mesh; {"load": PATH} is an
output that is loaded into the project.
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import sys
from typing import Any

from qgis.core import (
    QgsApplication,
    QgsMeshLayer,
    QgsProcessingAlgRunnerTask,
    QgsProcessingException,
    QgsProcessingFeatureSourceDefinition,
    QgsProcessingOutputLayerDefinition,
    QgsProcessingUtils,
    QgsProject,
    QgsRasterLayer,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QEventLoop, QTimer

from tests.qgis.inside.started import Feedback, answer, in_project, plugin, start, start_processing

#: The provider, which QGIS's registry does not keep alive in Python.
KEPT: list[Any] = []


class Cancelling(Feedback):
    """Cancels the run when a text was said."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text

    def pushInfo(self, info: str) -> None:  # noqa: N802  QGIS's name
        super().pushInfo(info)
        self._look(info)

    def setProgressText(self, text: str) -> None:  # noqa: N802
        self.lines.append(text)
        self._look(text)

    def _look(self, text: str) -> None:
        if self._text in text:
            self.cancel()


def value(given: Any) -> Any:
    """The value of a parameter as the dialog makes it."""
    if isinstance(given, list):
        return [value(each) for each in given]
    if not isinstance(given, dict):
        return given
    if "load" in given:
        return QgsProcessingOutputLayerDefinition(given["load"], QgsProject.instance())
    layer = QgsRasterLayer(given["layer"], "raster")
    if "mesh" in given:
        layer = QgsMeshLayer(given["layer"], given["mesh"], "mesh_memory")
    elif not layer.isValid():
        layer = QgsVectorLayer(given["layer"], given.get("name", "vector"))
    if given.get("memory"):
        layer = layer.materialize(importlib.import_module("qgis.core").QgsFeatureRequest())
    QgsProject.instance().addMapLayer(layer)
    if "selected" in given:
        layer.selectByIds(given["selected"])
        return QgsProcessingFeatureSourceDefinition(layer.id(), True)
    return layer.id()


def fill(path: str, *, source: str) -> dict[str, Any]:
    """Fill in the class of features as a user does who edits the layer."""
    layer = QgsVectorLayer(path, "to fill in")
    layer.startEditing()
    for feature in layer.getFeatures():
        layer.changeAttributeValue(feature.id(), layer.fields().indexOf("class"), feature[source])
    return {"saved": layer.commitChanges()}


def run_as_dialog(name: str, parameters: dict[str, Any], context: Any, feedback: Feedback) -> dict[str, Any]:
    """A run in a thread, as the dialog does it, with the layers of the project afterwards."""
    algorithm = QgsApplication.processingRegistry().createAlgorithmById(name)
    task = QgsProcessingAlgRunnerTask(algorithm, parameters, context, feedback)
    loading = importlib.import_module("processing.gui.Postprocessing")
    events, ended, alive = QEventLoop(), [], []

    def end(is_done: bool, results: dict[str, Any]) -> None:
        loading.handleAlgorithmResults(algorithm, context, feedback, parameters=parameters)
        ended.append((is_done, results))
        events.quit()

    timer = QTimer()
    timer.timeout.connect(lambda: alive.append(True))
    timer.start(10)
    task.executed.connect(end)
    QgsApplication.taskManager().addTask(task)
    events.exec()
    layers = [layer.name() for layer in QgsProject.instance().layerTreeRoot().layerOrder()]
    (found,) = ended
    return {"done": found[0], "results": found[1], "layers": layers, "said": feedback.lines, "alive": bool(alive)}


def run(step: dict[str, Any]) -> dict[str, Any]:
    """One run."""
    if "fill" in step:
        return fill(step["fill"], source=step["from"])
    os.environ.update(step.get("environment", {}))
    if step.get("lost"):
        shutil.rmtree(QgsProcessingUtils.tempFolder())
    context, feedback = in_project()
    if "cancel" in step:
        feedback = Cancelling(step["cancel"])
    parameters = {name: value(given) for name, given in step["parameters"].items()}
    if step.get("dialog"):
        return run_as_dialog(step["algorithm"], parameters, context, feedback)
    processing = importlib.import_module("processing")
    try:
        found = processing.run(step["algorithm"], parameters, context=context, feedback=feedback)
    except QgsProcessingException as error:
        return {"error": str(error), "said": feedback.lines}
    loaded = list(context.layersToLoadOnCompletion())
    return {"results": {name: str(each) for name, each in found.items()}, "said": feedback.lines, "loaded": loaded}


def main() -> None:
    steps = json.loads(sys.argv[1])
    start()
    start_processing()
    KEPT.append(plugin("provider").Provider())
    QgsApplication.processingRegistry().addProvider(KEPT[0])
    answer([run(step) for step in steps])


main()
