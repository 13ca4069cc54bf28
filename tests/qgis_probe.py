"""What QGIS makes of a class map and of its polygons, as JSON on stdout; run by the Python that QGIS comes with.

python3 qgis_probe.py MAP.tif POLYGONS.gpkg
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from qgis.core import (
    QgsApplication,
    QgsMapRendererSequentialJob,
    QgsMapSettings,
    QgsRasterLayer,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QSize
from qgis.PyQt.QtGui import QColor

WIDTH = 400


def describe(layer: Any, classes: list[tuple[str, Any]]) -> dict[str, Any]:
    """A layer with its classes, (label, colour) each, and the colours that a picture of it has."""
    extent = layer.extent()
    settings = QgsMapSettings()
    settings.setLayers([layer])
    settings.setExtent(extent)
    settings.setOutputSize(QSize(WIDTH, round(WIDTH * extent.height() / extent.width())))
    settings.setBackgroundColor(QColor("white"))
    settings.setFlag(QgsMapSettings.Antialiasing, False)
    job = QgsMapRendererSequentialJob(settings)
    job.start()
    job.waitForFinished()
    image = job.renderedImage()
    drawn: dict[str, int] = {}
    for x in range(image.width()):
        for y in range(image.height()):
            name = image.pixelColor(x, y).name()
            drawn[name] = drawn.get(name, 0) + 1
    size = image.width() * image.height()
    return {
        "valid": layer.isValid(),
        "crs": layer.crs().authid(),
        "renderer": layer.renderer().type(),
        "classes": [[label, color.name()] for label, color in classes],
        "drawn": {name: count / size for name, count in drawn.items()},
    }


def main() -> None:
    app = QgsApplication([], False)
    app.initQgis()
    raster = QgsRasterLayer(sys.argv[1], "map")
    polygons = QgsVectorLayer(f"{sys.argv[2]}|layername=landcover", "polygons")
    found = {
        "raster": describe(raster, [(c.label, c.color) for c in raster.renderer().classes()]),
        "polygons": describe(polygons, [(c.label(), c.symbol().color()) for c in polygons.renderer().categories()]),
    }
    sys.stdout.write(json.dumps(found))
    sys.stdout.flush()
    os._exit(0)  # QGIS 3.22 may crash when it is taken down


main()
