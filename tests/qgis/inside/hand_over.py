"""Hands over layers in many states, as JSON: the path that s2fin would get of each, or why it is refused.

python3 -m tests.qgis.inside.hand_over FOLDER URL

FOLDER holds the files that `tests/qgis/test_layers.py` writes; URL is where a server gives them.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from osgeo import gdal
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsExpressionContext,
    QgsFeature,
    QgsField,
    QgsGeometry,
    QgsProcessingException,
    QgsProcessingFeatureSource,
    QgsRasterLayer,
    QgsRasterRange,
    QgsRectangle,
    QgsReferencedRectangle,
    QgsVectorLayer,
    QgsVectorLayerJoinInfo,
)
from qgis.PyQt.QtCore import QVariant

from tests.qgis.inside.started import answer, in_project, plugin, start

OTHER_CRS = "EPSG:32633"


class Cases:
    """One method for each state of a layer; its name is the name of the case."""

    def __init__(self, folder: Path, files: Any, context: Any) -> None:
        self._folder, self._files, self._context = folder, files, context

    def _labels(self, options: str = "", name: str = "labels") -> Any:
        return QgsVectorLayer(f"{self._folder / 'labels.shp'}{options}", name)

    def _table(self, options: str) -> Any:
        return QgsVectorLayer(f"{self._folder / 'several.gpkg'}{options}", "table")

    def _image(self, name: str = "hsi.tif") -> Any:
        return QgsRasterLayer(str(self._folder / name), "image")

    def _vector(self, layer: Any, *, selected_only: bool = False) -> str:
        return str(self._files.vector(layer, selected_only=selected_only))

    def _raster(self, layer: Any) -> str:
        return str(self._files.raster(layer))

    # ---- vectors

    def file(self) -> str:
        return self._vector(self._labels())

    def selected(self) -> str:
        layer = self._labels()
        layer.selectByIds([3, 5])
        return self._vector(layer, selected_only=True)

    def selection_that_is_not_asked_for(self) -> str:
        layer = self._labels()
        layer.selectByIds([3, 5])
        return self._vector(layer)

    def nothing_selected(self) -> str:
        return self._vector(self._labels(), selected_only=True)

    def subset(self) -> str:
        return self._vector(self._labels("|subset=\"class\" = 'water'"))

    def filtered(self) -> str:
        layer = self._labels()
        layer.setSubsetString("\"class\" <> 'water'")
        return self._vector(layer)

    def unsaved_edits(self) -> str:
        layer = self._labels()
        layer.startEditing()
        layer.changeAttributeValue(0, 0, "über")
        layer.deleteFeature(1)
        added = QgsFeature(layer.fields())
        added.setAttributes(["drawn"])
        added.setGeometry(QgsGeometry.fromRect(QgsRectangle(500_000, 4_999_900, 500_050, 4_999_950)))
        layer.addFeature(added)
        return self._vector(layer)

    def editing_without_edits(self) -> str:
        layer = self._labels()
        layer.startEditing()
        return self._vector(layer)

    def other_crs(self) -> str:
        layer = self._labels()
        layer.setCrs(QgsCoordinateReferenceSystem(OTHER_CRS))
        return self._vector(layer)

    def no_crs(self) -> str:
        layer = self._labels()
        layer.setCrs(QgsCoordinateReferenceSystem())
        return self._vector(layer)

    def other_encoding(self) -> str:
        layer = QgsVectorLayer(str(self._folder / "latin.shp"), "latin")
        layer.setProviderEncoding("ISO-8859-1")
        return self._vector(layer)

    def virtual_field(self) -> str:
        layer = self._labels()
        layer.addExpressionField('upper("class")', QgsField("loud", QVariant.String))
        return self._vector(layer)

    def joined_field(self) -> str:
        layer, names = self._labels(), QgsVectorLayer(str(self._folder / "names.csv"), "names")
        join = QgsVectorLayerJoinInfo()
        join.setJoinLayer(names)
        join.setJoinFieldName("class")
        join.setTargetFieldName("class")
        join.setUsingMemoryCache(True)
        layer.addJoin(join)
        return self._vector(layer)

    def memory(self) -> str:
        fields = "field=class:string&field=fid:integer&field=tags:string[]&field=sure:bool"
        layer = QgsVectorLayer(f"Point?crs=EPSG:4326&{fields}", "drawn just now", "memory")
        features = []
        for name, x in (("forest", 9.0), ("wässer", 9.001)):
            feature = QgsFeature(layer.fields())
            feature.setAttributes([name, 7, ["a", "b"], True])
            feature.setGeometry(QgsGeometry.fromWkt(f"Point({x} 45.15)"))
            features.append(feature)
        layer.dataProvider().addFeatures(features)
        return self._vector(layer)

    def awkward_names(self) -> str:
        layer = QgsVectorLayer("Point?crs=EPSG:32632&field=geom:string&field=class:string", "gpkg_labels", "memory")
        feature = QgsFeature(layer.fields())
        feature.setAttributes(["a text", "forest"])
        feature.setGeometry(QgsGeometry.fromWkt("Point(500100 4999900)"))
        layer.dataProvider().addFeatures([feature])
        return self._vector(layer)

    def fields_that_differ_in_case(self) -> str:
        return self._vector(QgsVectorLayer("Point?field=Class:string&field=class:string", "twice", "memory"))

    def delimited_text(self) -> str:
        path = self._folder / "points.csv"
        uri = f"{path.as_uri()}?delimiter=;&xField=east&yField=north&crs=EPSG:32632"
        return self._vector(QgsVectorLayer(uri, "points", "delimitedtext"))

    def virtual(self) -> str:
        path = self._folder / "labels.shp"
        query = "select class, geometry from l where class = 'forest'"
        return self._vector(QgsVectorLayer(f"?layer=ogr:{path}:l&query={query}", "asked", "virtual"))

    def only_table(self) -> str:
        return self._vector(QgsVectorLayer(f"{self._folder / 'one.gpkg'}|layername=one", "one"))

    def table_of_several(self) -> str:
        return self._vector(self._table("|layername=second"))

    def numbered_table(self) -> str:
        return self._vector(self._table("|layerid=1"))

    def table_with_colon(self) -> str:
        return self._vector(self._table("|layername=with:colon"))

    def one_type_of_geometry(self) -> str:
        return self._vector(QgsVectorLayer(f"{self._folder / 'mixed.geojson'}|geometrytype=Point", "mixed"))

    def source_of_features(self) -> str:
        layer = self._labels()  # which the source does not keep
        return self._vector(QgsProcessingFeatureSource(layer, self._context))

    def missing_file(self) -> str:
        return self._vector(QgsVectorLayer(str(self._folder / "gone.shp"), "gone"))

    def unreachable_database(self) -> str:
        where = "dbname='maps' host=127.0.0.1 port=9 user='me' password='secret-word' table=\"a\".\"b\" (geom)"
        return self._vector(QgsVectorLayer(where, "far away", "postgres"))

    # ---- rasters

    def raster(self) -> str:
        return self._raster(self._image())

    def raster_with_other_crs(self) -> str:
        layer = self._image()
        layer.setCrs(QgsCoordinateReferenceSystem(OTHER_CRS))
        return self._raster(layer)

    def raster_without_crs(self) -> str:
        layer = self._image("nowhere.tif")
        layer.setCrs(QgsCoordinateReferenceSystem(OTHER_CRS))
        return self._raster(layer)

    def raster_with_crs_taken_away(self) -> str:
        layer = self._image()
        layer.setCrs(QgsCoordinateReferenceSystem())
        return self._raster(layer)

    def raster_with_nodata(self) -> str:
        return self._with_nodata(self._image(), 148)

    def raster_with_two_nodata_values(self) -> str:
        return self._with_nodata(self._image("declared.tif"), 148)

    def raster_with_nodata_switched_off(self) -> str:
        layer = self._image("declared.tif")
        for band in range(1, layer.bandCount() + 1):
            layer.dataProvider().setUseSourceNoDataValue(band, False)
        return self._raster(layer)

    def raster_with_nodata_range(self) -> str:
        return self._with_nodata(self._image(), 148, 150)

    def scaled_raster_with_nodata(self) -> str:
        return self._with_nodata(self._image("scaled.tif"), 0)

    def scaled_raster(self) -> str:
        return self._raster(self._image("scaled.tif"))

    def layers_that_differ_in_case(self) -> str:
        layers = [self._labels("|subset=\"class\" = 'water'", name) for name in ("Labels", "LABELS", "aux")]
        return "\n".join(self._vector(layer) for layer in layers)

    def _with_nodata(self, layer: Any, least: float, most: float | None = None) -> str:
        for band in range(1, layer.bandCount() + 1):
            found = QgsRasterRange(least, least if most is None else most)
            layer.dataProvider().setUserNoDataValue(band, [found])
        return self._raster(layer)

    def header_with_wavelengths(self) -> str:
        layer = self._image("waves.img")
        layer.setCrs(QgsCoordinateReferenceSystem(OTHER_CRS))
        return self._raster(layer)

    def raster_of_container(self) -> str:
        return self._raster(QgsRasterLayer(f"GPKG:{self._folder / 'rasters.gpkg'}:second", "second"))

    def raster_in_archive(self) -> str:
        return self._raster(QgsRasterLayer(f"/vsizip/{self._folder / 'hsi.zip'}/hsi.tif", "zipped"))

    def remote_raster(self) -> str:
        return self._raster(QgsRasterLayer(f"/vsicurl/{sys.argv[2]}/hsi.tif", "remote"))

    def raster_in_memory(self) -> str:
        gdal.Translate("/vsimem/hsi.tif", str(self._folder / "hsi.tif"))
        return self._raster(QgsRasterLayer("/vsimem/hsi.tif", "in memory"))

    def raster_with_bar_in_its_name(self) -> str:
        return self._raster(self._image("a|b.tif"))

    def raster_with_option(self) -> str:
        return self._raster(QgsRasterLayer(f"{self._folder / 'pyramid.tif'}|option:OVERVIEW_LEVEL=0", "coarse"))

    def group(self) -> str:
        layers = [QgsRasterLayer(str(self._folder / f"{name}.tif"), name) for name in ("lidar", "hsi")]
        return "\n".join(self._files.rasters(layers))

    def service(self) -> str:
        return self._raster(
            QgsRasterLayer("url=http://127.0.0.1:9/&crs=EPSG:3857&layers=a&format=image/png", "map", "wms")
        )

    def login(self) -> str:
        layer = self._image()
        layer.setDataSource(f"{self._folder / 'hsi.tif'} authcfg='abc1234'", "secret", "gdal")
        return self._raster(layer)

    def cloud_login(self) -> str:
        layer = self._image()
        layer.setDataSource(f"{self._folder / 'hsi.tif'}|credential:AWS_PROFILE=maps", "cloud", "gdal")
        return self._raster(layer)

    def missing_raster(self) -> str:
        return self._raster(self._image("gone.tif"))

    # ---- areas

    def extent(self) -> str:
        return self._bounds(500_100, 4_999_600, 500_200, 4_999_700, crs="EPSG:32632")

    def extent_in_degrees(self) -> str:
        return self._bounds(9.0, 45.1, 9.004, 45.2, crs="EPSG:4326")

    def extent_of_the_world(self) -> str:
        return self._bounds(-180, -90, 180, 90, crs="EPSG:4326")

    def extent_elsewhere(self) -> str:
        return self._bounds(20, 45, 21, 46, crs="EPSG:4326")

    def _bounds(self, *sides: float, crs: str) -> str:
        left, bottom, right, top = sides
        extent = QgsReferencedRectangle(QgsRectangle(left, bottom, right, top), QgsCoordinateReferenceSystem(crs))
        return " ".join(self._files.bounds(extent, self._image()))


def main() -> None:
    folder = Path(sys.argv[1])
    start()
    context, feedback = in_project()
    context.setExpressionContext(QgsExpressionContext())
    files = plugin("layers").InputFiles(context, feedback, folder / "handed")
    found: dict[str, Any] = {}
    cases = Cases(folder, files, context)
    for name in [name for name in vars(Cases) if not name.startswith("_")]:
        before = len(feedback.lines)
        try:
            found[name] = {"given": getattr(cases, name)()}
        except QgsProcessingException as error:
            found[name] = {"error": str(error)}
        found[name]["said"] = feedback.lines[before:]
    answer(found)


main()
