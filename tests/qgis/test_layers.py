"""What s2fin gets of the layers of a real QGIS: what QGIS shows, or a refusal in one sentence."""

from __future__ import annotations

import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from rasterio.enums import Resampling

from s2fin_cli.core.errors import InputError
from s2fin_cli.raster.opening import open_raster
from s2fin_cli.raster.spectra import read_wavelengths
from s2fin_cli.vector.read import read_features
from tests.files import TRANSFORM, read_raster, write_raster, write_vector
from tests.object_store import object_store
from tests.scenes import make_heights, make_image, make_truth, write_labels

if TYPE_CHECKING:
    from tests.qgis.conftest import Once
    from tests.qgis.qgis_of_debian import Qgis

POINTS = [shapely.Point(TRANSFORM * (5, 5)), shapely.Point(TRANSFORM * (20, 20))]


@dataclass(frozen=True)
class Handed:
    """What became of each layer."""

    folder: Path
    cases: dict[str, dict[str, Any]]

    def path(self, case: str) -> str:
        assert "error" not in self.cases[case], self.cases[case]
        given: str = self.cases[case]["given"]
        return given

    def error(self, case: str) -> str:
        assert "given" not in self.cases[case], self.cases[case]
        message: str = self.cases[case]["error"]
        assert "\n" not in message
        return message

    def features(self, case: str) -> gpd.GeoDataFrame:
        """What s2fin reads of a layer; its file holds no other layer."""
        return read_features(self.path(case), error=InputError)


def write_files(folder: Path) -> None:
    """The files of the layers that `inside/hand_over.py` makes."""
    image, heights = make_image(make_truth()), make_heights(make_truth())
    write_labels(folder / "labels.shp")
    write_raster(folder / "hsi.tif", image)
    write_raster(folder / "lidar.tif", heights)
    write_raster(folder / "a|b.tif", heights)
    write_raster(folder / "declared.tif", image, nodata=152)
    write_raster(folder / "scaled.tif", image)
    with rasterio.open(folder / "scaled.tif", "r+") as dst:
        dst.scales, dst.offsets = [0.01] * dst.count, [-1.0] * dst.count
    write_raster(folder / "nowhere.tif", image, crs=None)
    write_raster(folder / "waves.img", image, driver="ENVI")
    with (folder / "waves.hdr").open("a") as header:
        header.write("wavelength = {450, 550, 650, 850, 1600}\nwavelength units = Nanometers\n")
    frame = gpd.GeoDataFrame({"class": ["wässer", "forest"]}, geometry=POINTS, crs="EPSG:32632")
    frame.to_file(folder / "latin.shp", encoding="ISO-8859-1")
    (folder / "latin.cpg").write_text("CP437")  # which is wrong
    (folder / "names.csv").write_text("class,kind\nforest,green\nmeadow,green\nwater,blue\n")
    rows = "".join(f"{kind};{point.x};{point.y}\n" for kind, point in zip(("forest", "water"), POINTS, strict=True))
    (folder / "points.csv").write_text(f"class;east;north\n{rows}")
    frame.to_file(folder / "one.gpkg", layer="one")
    for name, kind in (("first", "forest"), ("second", "meadow"), ("with:colon", "water")):
        gpd.GeoDataFrame({"class": [kind]}, geometry=POINTS[:1], crs="EPSG:32632").to_file(
            folder / "several.gpkg", layer=name
        )
    shapes = [POINTS[0], POINTS[1].buffer(20)]
    write_vector(folder / "mixed.geojson", shapes, **{"class": ["forest", "water"]})
    for name, values in (("first", image[0]), ("second", image[1])):
        with rasterio.open(
            folder / "rasters.gpkg", "w", driver="GPKG", width=70, height=60, count=1, dtype="uint8", crs="EPSG:32632",
            transform=TRANSFORM, RASTER_TABLE=name, APPEND_SUBDATASET="YES", TILE_FORMAT="PNG",
        ) as dst:  # fmt: skip
            dst.write((values // 2).astype(np.uint8), 1)
    with zipfile.ZipFile(folder / "hsi.zip", "w") as archive:
        archive.write(folder / "hsi.tif", "hsi.tif")
    write_raster(folder / "pyramid.tif", image)
    with rasterio.open(folder / "pyramid.tif", "r+") as dst:
        dst.build_overviews([2], Resampling.average)


@pytest.fixture(scope="module")
def handed(qgis: Qgis, once: Once) -> Handed:
    """All cases, in one process of QGIS."""

    def make(folder: Path) -> Any:
        write_files(folder)
        with object_store(folder) as store:
            found = qgis.script("hand_over", folder, store.url)
            assert [method for method, path, _ in store.requests() if path == "/hsi.tif"]
        return found

    return Handed(*once("layers", make))


# ---- vectors ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", ["file", "selection_that_is_not_asked_for", "editing_without_edits"])
def test_a_file_that_says_what_qgis_shows_is_used(handed: Handed, case: str) -> None:
    assert handed.path(case) == str(handed.folder / "labels.shp")
    assert handed.cases[case]["said"] == []


def test_selected_features_keep_their_numbers(handed: Handed) -> None:
    features = handed.features("selected")
    whole = read_features(handed.folder / "labels.shp", error=InputError)
    assert features.index.tolist() == [3, 5]
    assert features["class"].tolist() == whole["class"].loc[[3, 5]].tolist()
    assert features.geometry.geom_equals(whole.geometry.loc[[3, 5]]).all()
    assert features.crs == whole.crs
    assert Path(handed.path("selected")).name == "labels.gpkg"
    assert handed.cases["selected"]["said"] == ["s2fin gets 2 features of the layer 'labels' as QGIS shows them"]
    assert "no feature of the layer 'labels' is selected" in handed.error("nothing_selected")


@pytest.mark.parametrize(("case", "classes"), [("subset", {"water"}), ("filtered", {"forest", "meadow"})])
def test_a_filter_holds(handed: Handed, case: str, classes: set[str]) -> None:
    assert set(handed.features(case)["class"]) == classes


def test_unsaved_edits_count(handed: Handed) -> None:
    features = handed.features("unsaved_edits")
    before = read_features(handed.folder / "labels.shp", error=InputError)
    assert features["class"].loc[0] == "über"
    assert 1 not in features.index
    assert features["class"].tolist().count("drawn") == 1
    assert len(features) == len(before)


def test_the_crs_is_that_of_qgis(handed: Handed) -> None:
    assert handed.features("other_crs").crs.to_epsg() == 32633
    assert handed.features("no_crs").crs is None
    assert handed.features("file").crs.to_epsg() == 32632


def test_texts_are_those_that_qgis_shows(handed: Handed) -> None:
    assert handed.features("other_encoding")["class"].tolist() == ["wässer", "forest"]


def test_virtual_and_joined_fields_can_hold_the_class(handed: Handed) -> None:
    features = handed.features("virtual_field")
    assert features["loud"].tolist() == features["class"].str.upper().tolist()
    joined = handed.features("joined_field")
    kinds = {"forest": "green", "meadow": "green", "water": "blue"}
    assert joined["names_kind"].tolist() == joined["class"].map(kinds).tolist()


def test_a_layer_in_memory_becomes_a_file(handed: Handed) -> None:
    features = handed.features("memory")
    assert features["class"].tolist() == ["forest", "wässer"]
    assert features["fid"].tolist() == [7, 7]
    assert features["tags"].tolist() == ['["a", "b"]'] * 2
    assert features["sure"].tolist() == [True, True]
    assert features.geometry.x.tolist() == [9.0, 9.001]
    assert features.crs.to_epsg() == 4326
    assert Path(handed.path("memory")).name == "drawn_just_now.gpkg"
    assert "'Class' and 'class' differ only in case" in handed.error("fields_that_differ_in_case")


def test_names_that_a_geopackage_has_for_itself_are_no_obstacle(handed: Handed) -> None:
    features = handed.features("awkward_names")
    assert features[["geom", "class"]].to_numpy().tolist() == [["a text", "forest"]]
    assert features.geometry.x.tolist() == [500_100]
    assert handed.cases["awkward_names"]["said"] == [
        "s2fin gets 1 feature of the layer 'gpkg_labels' as QGIS shows them"
    ]


def test_layers_of_other_providers_become_files(handed: Handed) -> None:
    text = handed.features("delimited_text")
    assert text["class"].tolist() == ["forest", "water"]
    assert text.geometry.geom_equals(gpd.GeoSeries(POINTS, index=text.index, crs=32632)).all()
    assert set(handed.features("virtual")["class"]) == {"forest"}
    assert len(handed.features("source_of_features")) == 15


def test_tables_of_containers(handed: Handed) -> None:
    assert handed.path("only_table") == str(handed.folder / "one.gpkg")
    assert handed.path("table_of_several") == f"GPKG:{handed.folder / 'several.gpkg'}:second"
    for case, expected in (("table_of_several", "meadow"), ("numbered_table", "meadow"), ("table_with_colon", "water")):
        assert handed.features(case)["class"].tolist() == [expected]
    points = handed.features("one_type_of_geometry")
    assert points["class"].tolist() == ["forest"]


def test_files_have_names_that_differ_on_every_system(handed: Handed) -> None:
    names = [Path(path).stem.casefold() for path in handed.path("layers_that_differ_in_case").split("\n")]
    assert len({*names}) == 3
    assert "aux" not in names  # a device of Windows


# ---- rasters ---------------------------------------------------------------------------------------------------------


def stored(handed: Handed, name: str = "hsi.tif") -> np.ndarray:
    return read_raster(handed.folder / name)


def test_a_raster_that_says_what_qgis_shows_is_used(handed: Handed) -> None:
    assert handed.path("raster") == str(handed.folder / "hsi.tif")
    assert handed.path("raster_with_bar_in_its_name") == str(handed.folder / "a|b.tif")
    assert handed.path("raster_in_archive") == f"/vsizip/{handed.folder / 'hsi.zip'}/hsi.tif"
    assert handed.path("raster_of_container") == f"GPKG:{handed.folder / 'rasters.gpkg'}:second"
    assert handed.path("group").split("\n") == [str(handed.folder / name) for name in ("lidar.tif", "hsi.tif")]
    assert re.fullmatch(r"/vsicurl/http://127\.0\.0\.1:\d+/hsi\.tif", handed.path("remote_raster"))
    for case in ("raster_in_archive", "raster_of_container"):
        with open_raster(handed.path(case)) as src:
            assert (src.width, src.height) == (70, 60)


@pytest.mark.parametrize(
    ("case", "name", "before"),
    [("raster_with_other_crs", "hsi.tif", "EPSG:32632"), ("raster_without_crs", "nowhere.tif", "no CRS")],
)
def test_a_crs_set_in_qgis_is_used(handed: Handed, case: str, name: str, before: str) -> None:
    with open_raster(handed.path(case)) as src:
        assert src.crs.to_epsg() == 32633
        assert src.transform.almost_equals(TRANSFORM)
        assert (src.read() == stored(handed, name)).all()
    with open_raster(handed.path("raster_with_crs_taken_away")) as src:
        assert src.crs is None
    (said,) = handed.cases[case]["said"]
    assert said == (
        f"the layer 'image' is in EPSG:32633 in QGIS, and in {before} in its file; s2fin takes it as QGIS shows it"
    )


@pytest.mark.parametrize(
    ("case", "name", "missing"),
    [
        ("raster_with_nodata", "hsi.tif", {148}),
        ("raster_with_two_nodata_values", "declared.tif", {148, 152}),
        ("raster_with_nodata_switched_off", "declared.tif", set()),
    ],
)
def test_nodata_set_in_qgis_is_honoured(handed: Handed, case: str, name: str, missing: set[int]) -> None:
    expected = ~np.isin(stored(handed, name), list(missing))
    assert expected.all() != bool(missing)
    with open_raster(handed.path(case)) as src:
        assert (src.read_masks().astype(bool) == expected).all()
        assert (src.read()[expected] == stored(handed, name)[expected]).all()
    (said,) = handed.cases[case]["said"]
    assert said.endswith(" has other nodata values in QGIS than in its file; s2fin takes it as QGIS shows it")


def test_a_range_of_nodata_is_refused(handed: Handed) -> None:
    assert "several additional nodata values" in handed.error("raster_with_nodata_range")


def test_nodata_of_scaled_values_is_refused(handed: Handed) -> None:
    """QGIS takes 0 for a scaled value; s2fin would take it for a stored one, which stands for -1."""
    assert "stands for a scaled value (scale 0.01, offset -1)" in handed.error("scaled_raster_with_nodata")
    assert handed.path("scaled_raster") == str(handed.folder / "scaled.tif")


def test_wavelengths_are_kept(handed: Handed) -> None:
    with open_raster(handed.path("header_with_wavelengths")) as src:
        assert src.crs.to_epsg() == 32633
        assert read_wavelengths(src, src.indexes) == (450, 550, 650, 850, 1600)


def test_rasters_without_a_file_of_their_own(handed: Handed) -> None:
    with open_raster(handed.path("raster_in_memory")) as src:
        assert (src.read() == stored(handed)).all()
        assert src.crs.to_epsg() == 32632
    with open_raster(handed.path("raster_with_option")) as src:
        assert (src.width, src.height) == (35, 30)


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ("service", "comes from a service or a database ('wms') and has no raster file"),
        ("login", "needs a login that QGIS keeps"),
        ("cloud_login", "needs a login that QGIS keeps"),
        ("missing_raster", "cannot be read"),
        ("missing_file", "cannot be read"),
    ],
)
def test_what_s2fin_cannot_read_is_refused(handed: Handed, case: str, expected: str) -> None:
    assert expected in handed.error(case)


def test_messages_keep_passwords_to_themselves(handed: Handed) -> None:
    message = handed.error("unreachable_database")
    assert "the layer 'far away' cannot be read" in message
    assert "secret-word" not in message


# ---- areas -----------------------------------------------------------------------------------------------------------


def test_extents_are_in_the_crs_of_the_image(handed: Handed) -> None:
    assert [float(value) for value in handed.path("extent").split()] == [500_100, 4_999_600, 500_200, 4_999_700]
    left, bottom, right, top = (float(value) for value in handed.path("extent_in_degrees").split())
    assert left <= 500_000
    assert 500_314 < right < 500_316
    assert bottom <= 4_999_400
    assert top >= 5_000_000
    whole = [float(value) for value in handed.path("extent_of_the_world").split()]
    assert whole[0] <= 500_000
    assert whole[1] <= 4_999_400
    assert whole[2] >= 500_700
    assert whole[3] >= 5_000_000
    assert "is not where the layer 'image' is" in handed.error("extent_elsewhere")
