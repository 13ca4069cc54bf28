from __future__ import annotations

import csv
import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from numpy.typing import NDArray
from sklearn import metrics as oracle

from s2fin_cli.core.classes import make_classes
from s2fin_cli.core.errors import LabelError, RasterError
from s2fin_cli.geo.grid import Grid
from s2fin_cli.labels.limits import Limits
from s2fin_cli.labels.pixels import LabelledPixels
from s2fin_cli.labels.sketch import LABELS_TAG, LabelSketch
from s2fin_cli.raster.class_map import create_class_map
from s2fin_cli.workflows.evaluate import run
from s2fin_cli.workflows.options.evaluate import EvaluateOptions
from tests.assessment import assess
from tests.files import CRS_CODE, TRANSFORM, write_raster
from tests.maps import run_classify
from tests.scenes import Run, Scene

NAMES = {1: "Bare soil", 4: "Forest", 7: "Water"}
REFERENCE = np.array([[1, 1, 1, 4, 4], [4, 4, 4, 7, 7], [7, 7, 7, 7, 1]])
MAPPED = np.array([[1, 1, 4, 4, 4], [4, 7, 4, 7, 7], [7, 1, 7, 0, 1]])


def write_map(path: Path, values: NDArray[Any] = MAPPED, names: dict[int, str] = NAMES) -> Path:
    """A map as classification writes it, nodata 0."""
    grid = Grid(rasterio.crs.CRS.from_string(CRS_CODE), TRANSFORM, (values.shape[0], values.shape[1]))
    with create_class_map(path, grid, make_classes(names)) as writer:
        writer.write(values.astype(np.uint8)[None], grid.window)
    return path


def write_points(path: Path, **fields: Any) -> Path:
    """A point in each pixel, by default with its class's name."""
    rows, cols = np.indices(REFERENCE.shape).reshape(2, -1)
    points = [shapely.Point(TRANSFORM * (col + 0.5, row + 0.5)) for row, col in zip(rows, cols, strict=True)]
    fields = fields or {"class": [NAMES[i] for i in REFERENCE.ravel().tolist()]}
    gpd.GeoDataFrame(fields, geometry=points, crs=CRS_CODE).to_file(path)
    return path


def test_known_confusion(tmp_path: Path) -> None:
    accuracy = assess(write_map(tmp_path / "map.tif"), write_points(tmp_path / "points.gpkg"))
    assert accuracy.class_ids == (1, 4, 7)
    assert accuracy.class_names == ("Bare soil", "Forest", "Water")
    assert accuracy.matrix.tolist() == [[3, 1, 0], [0, 4, 1], [1, 0, 4]]
    assert accuracy.unmapped.tolist() == [0, 0, 1], "a pixel that the map leaves out counts for no class"
    seen = MAPPED > 0
    truth, predicted = REFERENCE[seen], MAPPED[seen]
    assert accuracy.overall_accuracy == pytest.approx(oracle.accuracy_score(truth, predicted))
    assert accuracy.kappa == pytest.approx(oracle.cohen_kappa_score(truth, predicted))
    assert accuracy.average_accuracy == pytest.approx(oracle.balanced_accuracy_score(truth, predicted))
    assert accuracy.f1.tolist() == pytest.approx(oracle.f1_score(truth, predicted, average=None).tolist())


@pytest.mark.parametrize("spelling", [str.upper, str.lower, lambda name: f" {name} "])
def test_classes_are_matched_by_name_whatever_its_case(tmp_path: Path, spelling: Any) -> None:
    names = [spelling(NAMES[i]) for i in REFERENCE.ravel().tolist()]
    accuracy = assess(write_map(tmp_path / "map.tif"), write_points(tmp_path / "p.gpkg", **{"class": names}))
    assert accuracy.matrix.tolist() == [[3, 1, 0], [0, 4, 1], [1, 0, 4]]


def test_names_decide_although_their_alphabetical_numbers_are_others(tmp_path: Path) -> None:
    names = {1: "water", 2: "forest", 3: "bare soil"}
    turned = np.choose(MAPPED // 3, [MAPPED, 2, 1])  # 1 is bare soil, 4 forest and 7 water in MAPPED
    turned[MAPPED == 1] = 3
    accuracy = assess(write_map(tmp_path / "map.tif", turned, names), write_points(tmp_path / "p.gpkg"))
    assert accuracy.class_names == ("water", "forest", "bare soil")
    assert accuracy.matrix.tolist() == [[4, 0, 1], [1, 4, 0], [0, 1, 3]]


def test_a_reference_of_some_classes(tmp_path: Path) -> None:
    values = np.where(REFERENCE == 4, 0, REFERENCE)
    raster = write_raster(tmp_path / "reference.tif", values.astype(np.uint8), nodata=0)
    accuracy = assess(write_map(tmp_path / "map.tif"), raster)
    assert accuracy.class_ids == (1, 4, 7), "forest occurs in the map there"
    assert accuracy.matrix.tolist() == [[3, 1, 0], [0, 0, 0], [1, 0, 4]]


def test_an_integer_reference(tmp_path: Path) -> None:
    points = write_points(tmp_path / "points.gpkg", code=REFERENCE.ravel().tolist())
    accuracy = assess(write_map(tmp_path / "map.tif"), points)
    assert accuracy.matrix.tolist() == [[3, 1, 0], [0, 4, 1], [1, 0, 4]]
    assert accuracy.class_names == ("Bare soil", "Forest", "Water")


def test_a_foreign_map_without_names(tmp_path: Path) -> None:
    foreign = write_raster(tmp_path / "foreign.tif", MAPPED.astype(np.int16), nodata=0)
    accuracy = assess(foreign, write_raster(tmp_path / "reference.tif", REFERENCE.astype(np.uint8)))
    assert accuracy.class_names == ("1", "4", "7")
    assert accuracy.matrix.tolist() == [[3, 1, 0], [0, 4, 1], [1, 0, 4]]
    with pytest.raises(LabelError, match=r"holds classes that the map does not know: .*numbers without names only"):
        assess(foreign, write_points(tmp_path / "points.gpkg"))


def test_a_map_that_has_none_of_the_classes_is_refused(tmp_path: Path) -> None:
    reference = write_raster(tmp_path / "reference.tif", np.where(REFERENCE == 7, 7, 0).astype(np.uint8), nodata=0)
    wrong = np.where(REFERENCE == 7, 4, MAPPED)
    heights = write_raster(tmp_path / "heights.tif", (wrong + 100).astype(np.int16))
    with pytest.raises(LabelError, match=r"has none of the classes of .*values such as 104 where its labels"):
        assess(heights, reference)
    row = np.where([[0], [1], [0]], REFERENCE * (REFERENCE == 7), 0)
    only = write_raster(tmp_path / "only.tif", row.astype(np.uint8), nodata=0)
    for all_wrong in (
        write_raster(tmp_path / "elsewhere.tif", np.where(np.indices(wrong.shape)[0] == 1, wrong, 7).astype(np.int16)),
        write_map(tmp_path / "named.tif", np.where(wrong == 7, 1, wrong)),
    ):
        only = write_raster(
            tmp_path / "only.tif", np.where([[0], [1], [0]], REFERENCE * (REFERENCE == 7), 0).astype(np.uint8), nodata=0
        )
        assert assess(all_wrong, only).overall_accuracy == 0, "wrong wherever it is compared, yet a map of the classes"


def test_a_foreign_map_with_category_names(tmp_path: Path) -> None:
    foreign = write_raster(tmp_path / "foreign.tif", MAPPED.astype(np.uint8), nodata=0)
    root = ET.Element("PAMDataset")
    categories = ET.SubElement(ET.SubElement(root, "PAMRasterBand", band="1"), "CategoryNames")
    for class_id in range(8):
        ET.SubElement(categories, "Category").text = NAMES.get(class_id, "")
    foreign.with_name("foreign.tif.aux.xml").write_bytes(ET.tostring(root))
    accuracy = assess(foreign, write_points(tmp_path / "points.gpkg"))
    assert accuracy.matrix.tolist() == [[3, 1, 0], [0, 4, 1], [1, 0, 4]]


def test_unknown_classes_are_named(tmp_path: Path) -> None:
    names = ["marsh" if i == 4 else NAMES[i] for i in REFERENCE.ravel().tolist()]
    points = write_points(tmp_path / "points.gpkg", **{"class": names})
    with pytest.raises(LabelError) as caught:
        assess(write_map(tmp_path / "map.tif"), points)
    assert "the map does not know: marsh; the map has Bare soil (1), Forest (4), Water (7)" in str(caught.value)
    raster = write_raster(tmp_path / "reference.tif", np.where(REFERENCE == 4, 9, REFERENCE).astype(np.uint8))
    with pytest.raises(LabelError, match="does not know: 9;"):
        assess(write_map(tmp_path / "map.tif"), raster)


def test_names_that_differ_in_their_case_alone(tmp_path: Path) -> None:
    names = {1: "Road", 4: "road", 7: "Water"}
    map_path = write_map(tmp_path / "map.tif", names=names)
    points = write_points(tmp_path / "p.gpkg", **{"class": [names[i].rjust(6) for i in REFERENCE.ravel().tolist()]})
    assert assess(map_path, points).matrix.tolist() == [[3, 1, 0], [0, 4, 1], [1, 0, 4]]
    points = write_points(tmp_path / "q.gpkg", **{"class": ["ROAD" if i == 4 else "WATER" for i in REFERENCE.ravel()]})
    with pytest.raises(LabelError, match="does not know: ROAD;"):
        assess(map_path, points)


def test_a_match_by_number_against_the_names_is_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    map_path = write_map(tmp_path / "map.tif")
    numbers = REFERENCE.ravel().tolist()
    names = [{1: "Bare soil", 4: "Marsh", 7: "Lake"}[i] for i in numbers]
    reference = write_points(tmp_path / "reference.gpkg", code=numbers, name=names)
    accuracy = assess(map_path, reference)
    assert accuracy.matrix.tolist() == [[3, 1, 0], [0, 4, 1], [1, 0, 4]]
    warning = f"{reference}: the map has no class Marsh, Lake; all are matched by number"
    assert caplog.messages == [warning]
    caplog.clear()
    assess(map_path, write_raster(tmp_path / "numbers.tif", REFERENCE.astype(np.uint8)))
    assert not caplog.messages, "numbers alone contradict no name"


def test_a_name_of_gdals_own_keeps_its_slashes(tmp_path: Path) -> None:
    write_map(tmp_path / "map.tif")
    reference = write_raster(tmp_path / "reference.tif", REFERENCE.astype(np.uint8))
    assert assess(f"vrt://{tmp_path / 'map.tif'}", reference).matrix.tolist() == [[3, 1, 0], [0, 4, 1], [1, 0, 4]]


def test_what_is_no_class_map(tmp_path: Path) -> None:
    points = write_points(tmp_path / "points.gpkg")
    fractions = MAPPED + np.where(np.arange(15).reshape(3, 5) == 7, 0.25, 0)
    with pytest.raises(
        RasterError, match=r"floats\.tif holds 4\.25 at row 1, column 2; class numbers must be whole .*rint"
    ):
        assess(write_raster(tmp_path / "floats.tif", fractions.astype(np.float32)), points)
    with pytest.raises(RasterError, match="holds 2 bands of uint8"):
        assess(write_raster(tmp_path / "two.tif", np.stack([MAPPED, MAPPED]).astype(np.uint8)), points)


def test_large_rasters_are_read_block_by_block(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    truth, mapped = (generator.integers(1, 4, size=(600, 530)) for _ in range(2))
    names = {1: "a", 2: "b", 3: "c"}
    accuracy = assess(
        write_map(tmp_path / "map.tif", mapped, names), write_raster(tmp_path / "truth.tif", truth.astype(np.uint8))
    )
    assert np.array_equal(accuracy.matrix, oracle.confusion_matrix(truth.ravel(), mapped.ravel()))


@pytest.mark.parametrize("kind", ["polygons", "raster"])
def test_a_reference_of_many_pixels_is_compared_strip_by_strip(tmp_path: Path, kind: str) -> None:
    generator = np.random.default_rng(2)
    truth, mapped = (
        np.repeat(np.repeat(generator.integers(1, 4, (10, 12)), 4, 0), 4, 1),
        generator.integers(1, 4, (40, 48)),
    )
    map_path = write_map(tmp_path / "map.tif", mapped, {1: "a", 2: "b", 3: "c"})
    if kind == "raster":
        reference = write_raster(tmp_path / "truth.tif", truth.astype(np.uint8))
    else:
        cells = [(row, col) for row in range(0, 40, 4) for col in range(0, 48, 4)]
        boxes = [shapely.box(*(TRANSFORM * (col, row + 4)), *(TRANSFORM * (col + 4, row))) for row, col in cells]
        reference = tmp_path / "truth.gpkg"
        names = ["abc"[truth[cell] - 1] for cell in cells]
        gpd.GeoDataFrame({"class": names}, geometry=boxes, crs=CRS_CODE).to_file(reference)
    accuracy = assess(map_path, reference, limits=Limits(held_pixels=10, strip_pixels=300))
    assert np.array_equal(accuracy.matrix, oracle.confusion_matrix(truth.ravel(), mapped.ravel()))
    assert accuracy.class_names == ("a", "b", "c")


@pytest.mark.parametrize("with_names", [True, False])
def test_a_value_without_a_name_is_a_class_and_an_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, with_names: bool
) -> None:
    values = np.where((MAPPED == 4) & (np.arange(5) < 3), 9, MAPPED).astype(np.uint8)
    map_path = write_raster(tmp_path / "map.tif", values, nodata=0)
    if with_names:
        root = ET.Element("PAMDataset")
        categories = ET.SubElement(ET.SubElement(root, "PAMRasterBand", band="1"), "CategoryNames")
        for class_id in range(8):
            ET.SubElement(categories, "Category").text = NAMES.get(class_id, "")
        map_path.with_name("map.tif.aux.xml").write_bytes(ET.tostring(root))
    accuracy = assess(map_path, write_points(tmp_path / "p.gpkg", code=REFERENCE.ravel().tolist()))
    seen = values > 0
    assert accuracy.class_ids == (1, 4, 7, 9)
    assert accuracy.class_names == (*(NAMES.values() if with_names else "147"), "9")
    assert np.array_equal(accuracy.matrix, oracle.confusion_matrix(REFERENCE[seen], values[seen]))
    assert accuracy.overall_accuracy == oracle.accuracy_score(REFERENCE[seen], values[seen])
    assert accuracy.unmapped.sum() == 1, "nodata alone is unmapped"
    assert ("map.tif has no name for 9, which counts as a class by its number" in caplog.text) == with_names


def test_a_number_without_a_name_is_matched_where_the_map_holds_it(tmp_path: Path) -> None:
    named = {1: NAMES[1], 7: NAMES[7]}
    map_path = write_map(tmp_path / "map.tif", np.where(MAPPED == 4, 1, MAPPED), named)
    with rasterio.open(map_path, "r+") as dst:
        dst.write(MAPPED.astype(np.uint8), 1)
    accuracy = assess(map_path, write_points(tmp_path / "p.gpkg", code=REFERENCE.ravel().tolist()))
    assert accuracy.matrix.tolist() == [[3, 1, 0], [0, 4, 1], [1, 0, 4]]
    assert accuracy.class_names == ("Bare soil", "4", "Water")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("nodata", [0, np.nan, None])
def test_a_map_of_whole_numbers_in_floating_point(tmp_path: Path, dtype: Any, nodata: float | None) -> None:
    values = np.where(MAPPED == 0, np.nan if nodata is None else nodata, MAPPED)
    map_path = write_raster(tmp_path / "map.tif", values.astype(dtype), nodata=nodata)
    reference = write_raster(tmp_path / "reference.tif", REFERENCE.astype(dtype))
    accuracy = assess(map_path, reference)
    assert accuracy.class_ids == (1, 4, 7)
    assert accuracy.matrix.tolist() == [[3, 1, 0], [0, 4, 1], [1, 0, 4]]
    assert accuracy.unmapped.tolist() == [0, 0, 1]
    report = run(EvaluateOptions(map=map_path, reference=reference, stratified=True)).report
    assert report.estimates is not None
    assert report.estimates.map_areas.tolist() == pytest.approx([400, 500, 500], rel=1e-3)  # UTM, on the ellipsoid


def test_masked_pixels_of_a_map_have_no_class(tmp_path: Path) -> None:
    map_path = write_raster(tmp_path / "map.tif", np.where(MAPPED == 0, 4, MAPPED).astype(np.uint8))
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(map_path, "r+") as dst:
        dst.write_mask(MAPPED != 0)
    accuracy = assess(map_path, write_raster(tmp_path / "reference.tif", REFERENCE.astype(np.uint8)))
    assert accuracy.class_ids == (1, 4, 7)
    assert accuracy.matrix.tolist() == [[3, 1, 0], [0, 4, 1], [1, 0, 4]]
    assert accuracy.unmapped.tolist() == [0, 0, 1]


def test_a_map_with_a_huge_number_names_the_remedy(tmp_path: Path) -> None:
    values = np.where(MAPPED == 0, -3.4e38, MAPPED).astype(np.float32)
    points = write_points(tmp_path / "p.gpkg", code=REFERENCE.ravel().tolist())
    with pytest.raises(
        RasterError, match=r"at row 2, column 3, which is no class number; .*--nodata -3\.39999\d+e\+38"
    ):
        assess(write_raster(tmp_path / "map.tif", values), points)


def test_a_reference_class_that_means_no_data_in_the_map_is_refused(tmp_path: Path) -> None:
    codes = np.where(REFERENCE == 1, 0, REFERENCE).ravel().tolist()
    with pytest.raises(LabelError, match=r"holds class 0, which means no data in .*map\.tif; .*--unset-nodata"):
        assess(
            write_raster(tmp_path / "map.tif", MAPPED.astype(np.uint8), nodata=0),
            write_points(tmp_path / "p.gpkg", code=codes),
        )


# ---- the command -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["json", "csv", "md"])
def test_reports(run: Run, tmp_path: Path, suffix: str) -> None:
    arguments = ("--map", write_map(tmp_path / "map.tif"), "--reference", write_points(tmp_path / "p.gpkg"))
    report = tmp_path / f"report.{suffix}"
    result = run("evaluate", *arguments, "-o", report)
    assert result.exit_code == 0, result.output
    assert "OA 78.57 %" in result.stdout
    text = report.read_text(encoding="utf-8")
    if suffix == "json":
        assert json.loads(text)["confusion_matrix"]["counts"] == [[3, 1, 0], [0, 4, 1], [1, 0, 4]]
    elif suffix == "csv":
        assert [row["class_name"] for row in csv.DictReader(text.splitlines())] == list(NAMES.values())
    else:
        assert "| Bare soil |" in text
    again = run("evaluate", *arguments, "-o", report)
    assert again.exit_code == 1
    assert "already exists" in again.stderr
    assert run("evaluate", *arguments, "-o", report, "--overwrite", "-q").exit_code == 0


def test_a_report_that_cannot_be_written(run: Run, tmp_path: Path) -> None:
    map_path, reference = write_map(tmp_path / "map.tif"), write_points(tmp_path / "points.json")
    arguments = ("evaluate", "--map", map_path, "--reference", reference)
    misnamed = run("evaluate", "--map", "none.tif", "--reference", "none.gpkg", "-o", "report.txt")
    assert misnamed.exit_code == 2, "refused before the map is read"
    assert "ends in .html, .json, .csv or .md" in misnamed.stderr
    before = reference.read_bytes()
    refused = run(*arguments, "-o", reference, "--overwrite")
    assert refused.exit_code == 2
    assert "is an input, which would be lost" in refused.stderr
    assert reference.read_bytes() == before


# ---- labels that the model was trained on ----------------------------------------------------------------------------

KNOWN = "was trained on about"


def test_a_reference_of_training_labels_is_warned_of(
    scene: Scene, model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    part = (500_100.0, 4_999_500.0, 500_500.0, 4_999_950.0)
    for name, changes in (("map", {}), ("part", {"bounds": part})):
        path = run_classify(scene, model, tmp_path / f"{name}.tif", vector=False, **changes).outputs.map
        assess(path, scene.labels)
        assert f"the model of {path} {KNOWN} " in caplog.text
        caplog.clear()
    beside = gpd.read_file(scene.labels)
    beside.geometry = beside.translate(60, 0)
    beside.to_file(tmp_path / "beside.gpkg")
    assess(tmp_path / "map.tif", tmp_path / "beside.gpkg")
    assert KNOWN not in caplog.text


def test_a_map_of_another_place_says_nothing_of_the_training_labels(
    scene: Scene, model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name, path in scene.images.items():
        with rasterio.open(path) as src:
            write_raster(tmp_path / f"{name}.tif", src.read(), transform=src.transform, crs="EPSG:32634")
    elsewhere = {name: tmp_path / f"{name}.tif" for name in scene.images}
    path = run_classify(scene, model, tmp_path / "map.tif", vector=False, **elsewhere).outputs.map
    labels = gpd.read_file(scene.labels).set_crs("EPSG:32634", allow_override=True)
    labels.to_file(tmp_path / "labels.gpkg")
    assess(path, tmp_path / "labels.gpkg")
    assert KNOWN not in caplog.text


def test_a_random_sample_holds_training_labels_by_chance(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Half of the map is labelled, so half of a sample is."""
    rng, values = np.random.default_rng(3), np.ones((60, 50), np.uint8)
    path = write_map(tmp_path / "map.tif", values, {1: "Bare soil"})
    labelled = rng.permutation(3000)[:1500]
    rows, cols = np.divmod(np.sort(labelled), 50)
    known = LabelledPixels(
        rows, cols, np.ones_like(rows), np.zeros_like(rows), make_classes({1: "Bare soil"}), "points"
    )
    with rasterio.open(path, "r+") as dst:
        grid = Grid(dst.crs, dst.transform, dst.shape)
        dst.update_tags(**{LABELS_TAG: json.dumps(LabelSketch.of(known, grid).to_dict())})
    for chosen, is_warned in ((rng.permutation(3000)[:600], False), (labelled, True)):
        reference = np.zeros(values.size, np.uint8)
        reference[chosen] = 1
        assess(path, write_raster(tmp_path / "reference.tif", reference.reshape(values.shape), nodata=0))
        assert (KNOWN in caplog.text) is is_warned


def test_a_tag_that_is_damaged_is_ignored(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    path = write_map(tmp_path / "map.tif")
    with rasterio.open(path, "r+") as dst:
        dst.update_tags(**{LABELS_TAG: "{}"})
    assert assess(path, write_points(tmp_path / "points.gpkg")).n == 14
    assert f"its tag {LABELS_TAG} cannot be read and is ignored" in caplog.text
