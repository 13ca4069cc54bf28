"""The loop in QGIS without a window, on the example: train, classify, report, suggest, fill in labels, train again.

    QT_QPA_PLATFORM=offscreen S2FIN_EXECUTABLE=.venv/bin/s2fin /usr/bin/python3 qgis_plugin/try_loop.py FOLDER

Run it with the Python that QGIS belongs to. FOLDER is made. Besides what s2fin writes, it gets a picture of each step
as QGIS draws it, with the legend, and one of the form in which a class is chosen. Look at them.
"""

from __future__ import annotations

import importlib
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsApplication,
    QgsLayerTree,
    QgsLayerTreeModel,
    QgsLegendRenderer,
    QgsLegendSettings,
    QgsMapRendererParallelJob,
    QgsMapSettings,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProject,
    QgsRasterLayer,
    QgsRenderContext,
    QgsVectorLayer,
)
from qgis.gui import QgsAttributeForm, QgsGui
from qgis.PyQt.QtCore import QSize
from qgis.PyQt.QtGui import QColor, QImage, QPainter

HERE = Path(__file__).parent
EXAMPLE = HERE.parent / "examples" / "olinda"
#: Pixels a side of a map in a picture, and of its legend.
SIDE, LEGEND = 700, 300


class Printing(QgsProcessingFeedback):  # type: ignore[misc] # QGIS has no types
    """Prints what a run says."""

    def __init__(self) -> None:
        super().__init__(False)

    def pushInfo(self, info: str) -> None:  # noqa: N802  QGIS's name
        """A message."""
        sys.stdout.write(f"  {info}\n")

    def pushWarning(self, warning: str) -> None:  # noqa: N802
        """A warning."""
        sys.stdout.write(f"  warning: {warning}\n")

    def reportError(self, error: str, fatalError: bool = False) -> None:  # noqa: N802, N803
        """An error."""
        del fatalError
        sys.stdout.write(f"  error: {error}\n")


class Session:
    """QGIS with the plugin and a project.

    Args:
        folder: where files and pictures go.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.project = QgsProject.instance()
        sys.path[:0] = [str(HERE), f"{QgsApplication.pkgDataPath()}/python/plugins"]
        importlib.import_module("processing.core.Processing").Processing.initialize()
        self._plugin = importlib.import_module("s2fin").classFactory(None)
        self._plugin.initProcessing()

    def add(self, layer: Any) -> Any:
        """Add a layer to the project."""
        assert layer.isValid(), layer.source()  # noqa: S101
        self.project.addMapLayer(layer)
        return layer

    def run(self, command: str, **parameters: Any) -> dict[str, Any]:
        """Run a command of s2fin, and load what it writes as the toolbox does."""
        sys.stdout.write(f"{command}\n")
        context = QgsProcessingContext()
        context.setProject(self.project)
        processing = importlib.import_module("processing")
        found: dict[str, Any] = processing.runAndLoadResults(f"s2fin:{command}", parameters, Printing(), context)
        return found

    def layer(self, name: str) -> Any:
        """The layer of the project that has a name."""
        (layer,) = self.project.mapLayersByName(name)
        return layer

    def picture(self, name: str, layers: list[Any]) -> None:
        """Draw layers, the topmost first, with the legend."""
        settings = QgsMapSettings()
        settings.setLayers(layers)
        settings.setDestinationCrs(layers[-1].crs())
        settings.setExtent(layers[-1].extent())
        settings.setOutputSize(QSize(SIDE, SIDE))
        settings.setBackgroundColor(QColor("white"))
        job = QgsMapRendererParallelJob(settings)
        job.start()
        job.waitForFinished()
        picture = QImage(SIDE + LEGEND, SIDE, QImage.Format.Format_RGB32)
        picture.fill(QColor("white"))
        painter = QPainter(picture)
        painter.drawImage(0, 0, job.renderedImage())
        painter.translate(SIDE, 0)
        self._draw_legend(layers, painter)
        painter.end()
        picture.save(str(self._folder / f"{name}.png"))

    def _draw_legend(self, layers: list[Any], painter: Any) -> None:
        tree = QgsLayerTree()
        for layer in layers:
            tree.addLayer(layer)
        model = QgsLayerTreeModel(tree)  # which the renderer does not keep
        legend = QgsLegendRenderer(model, QgsLegendSettings())
        context = QgsRenderContext.fromQPainter(painter)
        painter.scale(context.scaleFactor(), context.scaleFactor())
        legend.drawLegend(context)

    def form(self, name: str, layer: Any) -> None:
        """Draw the form of the first feature, in which its class is chosen."""
        QgsGui.editorWidgetRegistry().initEditors()
        layer.startEditing()
        form = QgsAttributeForm(layer, next(layer.getFeatures()))
        form.resize(420, 320)
        form.grab().save(str(self._folder / f"{name}.png"))
        layer.rollBack()


def fill_in(layer: Any) -> None:
    """Give each place the class that the model takes for the likeliest, as a user does who agrees with it."""
    layer.startEditing()
    index = layer.fields().indexOf("class")
    for feature in layer.getFeatures():
        layer.changeAttributeValue(feature.id(), index, feature["likeliest"])
    assert layer.commitChanges()  # noqa: S101


def loop(session: Session, folder: Path) -> None:
    """One turn of the loop, and the training of the next."""
    example = Path(shutil.copytree(EXAMPLE, folder / "olinda"))  # beside rasters QGIS writes statistics
    image = session.add(QgsRasterLayer(str(example / "L7_ETMs.tif"), "Landsat 7"))
    heights = session.add(QgsRasterLayer(str(example / "olinda_dem_utm25s.tif"), "Heights"))
    labels = session.add(QgsVectorLayer(str(example / "training.shp"), "Training"))
    images = {"MSI": [image], "DSM": [heights]}
    session.picture("0_start", [labels, image])
    model, new_map = str(folder / "model.s2fin"), str(folder / "map.tif")
    session.run("train", **images, LABELS=labels, OUTPUT=model)
    rasters = {name.upper(): str(folder / f"{name}.tif") for name in ("confidence", "uncertainty")}
    polygons = str(folder / "map.gpkg")
    session.run("classify", **images, MODEL=model, OUTPUT=new_map, POLYGONS=polygons, **rasters)
    for number, name in enumerate(("Land cover", "Polygons", "Confidence", "Dissimilarity to the labels"), start=1):
        session.picture(f"{number}_{name.lower().replace(' ', '_')}", [session.layer(name), image])
    reference = str(example / "validation.shp")
    session.run("report", MAP=session.layer("Land cover"), REFERENCE=reference, OUTPUT=str(folder / "report.html"))
    session.run("suggest", **images, MODEL=model, LABELS=labels, NUMBER=20, OUTPUT=str(folder / "next.gpkg"))
    places = session.layer("Places to label")
    session.picture("5_places_to_label", [places, image])
    session.form("6_form", places)
    fill_in(places)
    session.run("train", **images, LABELS=labels, LABELS_FURTHER=[places], OUTPUT=str(folder / "second.s2fin"))
    session.run("classify", **images, MODEL=str(folder / "second.s2fin"), OUTPUT=str(folder / "second.tif"))
    session.picture("7_second_map", [session.project.mapLayersByName("Land cover")[-1], image])


def main() -> None:
    """Make the folder and run the loop in it."""
    folder = Path(sys.argv[1]).absolute()
    folder.mkdir(parents=True)
    app = QgsApplication([], True)
    app.initQgis()
    loop(Session(folder), folder)
    sys.stdout.flush()
    os._exit(0)  # QGIS 3.22 may crash when it is taken down


main()
