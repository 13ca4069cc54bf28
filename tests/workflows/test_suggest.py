"""Suggested places: on a scene whose answer is known, from files to files."""

from __future__ import annotations

import json
import sqlite3
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely

from s2fin_cli.core.progress import Stop, silent
from s2fin_cli.geo.pixels import transformed
from s2fin_cli.suggesting.candidates import Drawing
from s2fin_cli.workflows.options.suggest import SuggestOptions
from s2fin_cli.workflows.suggest_search import Search
from tests.files import TRANSFORM, write_raster
from tests.reporting.pages import Page
from tests.scenes import SHAPE, Run, Scene, write_labels

#: Where a class is that has no label, in rows and columns: a patch of the scene's layout.
STRANGE = (slice(0, 20), slice(56, 70))


def pixels_of(points: gpd.GeoDataFrame) -> np.ndarray:
    cols, rows = ~TRANSFORM * (points.geometry.x.to_numpy(), points.geometry.y.to_numpy())
    return np.stack([rows, cols], axis=1).astype(int)


def distances(places: np.ndarray, others: np.ndarray) -> np.ndarray:
    return np.asarray(np.abs(places[:, None] - others).max(axis=2))


def read(path: Path) -> gpd.GeoDataFrame:
    return gpd.read_file(path, layer="suggestions")


def labelled_pixels(path: Path) -> np.ndarray:
    boxes = gpd.read_file(path).geometry
    rows, cols = np.indices(SHAPE)
    x, y = transformed(TRANSFORM, cols + 0.5, rows + 0.5)
    inside = shapely.contains_xy(shapely.union_all(boxes), x, y)
    return np.stack(np.nonzero(inside), axis=1)


def test_places_are_apart_from_labels_and_each_other(run: Run, scene: Scene, model: Path, tmp_path: Path) -> None:
    labels = write_labels(tmp_path / "labels.gpkg", rows=range(2))
    arguments = [*scene.arguments, "-m", model, "--labels", labels, "-n", 12]
    result = run("suggest", *arguments, "-o", "next.gpkg", "--json")
    assert result.exit_code == 0, result.stderr
    assert "fill in the field 'class' with: forest, meadow, water" in result.stderr
    answer, points = json.loads(result.stdout), read(tmp_path / "next.gpkg")
    assert points["class"].isna().all()
    assert points["rank"].tolist() == list(range(1, 13))
    places = pixels_of(points)
    assert [[place["row"], place["col"]] for place in answer["places"]] == places.tolist()
    assert distances(places, places)[np.triu_indices(12, 1)].min() >= 8
    assert distances(places, labelled_pixels(labels)).min() >= 8
    assert set(points["likeliest"]) | set(points["second"]) <= {"forest", "meadow", "water"}
    assert (points["likeliest"] != points["second"]).all()
    assert (points["prob"] >= points["prob_2nd"]).all()
    again = run("suggest", *arguments, "-o", "again.gpkg")
    assert again.exit_code == 0, again.stderr
    assert read(tmp_path / "again.gpkg").equals(points)
    assert not read_places(run, arguments, tmp_path, "--seed", 5).equals(points.geometry)


def read_places(run: Run, arguments: list[Any], folder: Path, *more: Any) -> gpd.GeoSeries:
    result = run("suggest", *arguments, "-o", "more.gpkg", "--overwrite", *more)
    assert result.exit_code == 0, result.stderr
    return read(folder / "more.gpkg").geometry


def test_qgis_offers_the_classes(run: Run, scene: Scene, model: Path, tmp_path: Path) -> None:
    result = run("suggest", *scene.arguments, "-m", model, "-n", 3, "-o", "next.gpkg")
    assert result.exit_code == 0, result.stderr
    assert "without labels the model alone decides" in result.stderr
    with sqlite3.connect(tmp_path / "next.gpkg") as database:
        rows = database.execute("SELECT f_table_name, useAsDefault, styleQML FROM layer_styles").fetchall()
    assert [row[:2] for row in rows] == [("suggestions", 1)]
    for text in (rows[0][2], (tmp_path / "next.qml").read_text()):
        field = ET.fromstring(text).find("fieldConfiguration/field")  # noqa: S314  our own
        assert field is not None
        assert field.attrib["name"] == "class"
        values = field.findall("editWidget[@type='ValueMap']/config/Option/Option[@name='map']/Option/Option")
        assert [value.attrib["value"] for value in values] == ["forest", "meadow", "water"]


def with_strange_patch(scene: Scene, folder: Path) -> list[str]:
    """Arguments of the scene with a patch that looks like no class."""
    with rasterio.open(scene.hsi) as src:
        values = src.read()
    noise = np.random.default_rng(3).normal(0, 6, (5, 20, 14))
    values[:, *STRANGE] = np.array([400, 100, 500, 100, 400])[:, None, None] + noise
    return ["--hsi", str(write_raster(folder / "strange.tif", values)), "--lidar", str(scene.lidar)]


def test_a_class_without_labels_is_found(run: Run, scene: Scene, model: Path, tmp_path: Path) -> None:
    labels = write_labels(tmp_path / "labels.gpkg", rows=range(1, 3))
    images = with_strange_patch(scene, tmp_path)
    result = run("suggest", *images, "-m", model, "--labels", labels, "-n", 6, "-o", "next.gpkg")
    assert result.exit_code == 0, result.stderr
    points = read(tmp_path / "next.gpkg")
    rows, cols = pixels_of(points).T
    inside = (rows < 20) & (cols >= 56)
    assert inside[:3].any()
    assert "unlike anything labelled" in set(points["why"][inside])
    assert inside.sum() < 6  # it is not all that is suggested


def test_places_are_inside_the_area_of_interest(run: Run, scene: Scene, model: Path, tmp_path: Path) -> None:
    corners = [TRANSFORM * corner for corner in ((5, 30), (40, 30), (40, 55))]
    gpd.GeoDataFrame(geometry=[shapely.Polygon(corners)], crs=32632).to_file(tmp_path / "aoi.gpkg")
    result = run("suggest", *scene.arguments, "-m", model, "--aoi", "aoi.gpkg", "-n", 5, "-o", "next.geojson")
    assert result.exit_code == 0, result.stderr
    points = gpd.read_file(tmp_path / "next.geojson").to_crs(32632)
    assert len(points) == 5
    assert shapely.covers(shapely.Polygon(corners), points.geometry).all()
    assert (tmp_path / "next.qml").exists()


def test_labels_outside_the_area_of_interest_are_learnt_from(scene: Scene, model: Path, tmp_path: Path) -> None:
    (left, top), (right, bottom) = (TRANSFORM * corner for corner in ((0, 40), (70, 60)))
    labels = write_labels(tmp_path / "labels.gpkg", rows=range(2))
    options = SuggestOptions(
        **scene.images, bounds=(left, bottom, right, top), labels=labels, model=model, output=tmp_path / "next.gpkg"
    )
    search = Search.of(options, model, drawing=Drawing(), stop=Stop())
    assert search.labels is not None
    known = search.labels.known(search.engine.network.standardizer, search.stack)
    assert known is not None
    assert len(known.targets) == len(labelled_pixels(labels))
    assert (np.array([place.row for place in search.places(silent)]) >= 40).all()


@pytest.mark.slow
def test_probabilities_of_a_map_serve_as_well_as_computing_them(
    run: Run, scene: Scene, model: Path, tmp_path: Path
) -> None:
    written = run("classify", *scene.arguments, "-m", model, "-o", "map.tif", "--probabilities", "p.tif", "--no-vector")
    assert written.exit_code == 0, written.stderr
    arguments = [*scene.arguments, "-m", model, "-n", 5]
    assert read_places(run, arguments, tmp_path).equals(
        read_places(run, arguments, tmp_path, "--probabilities", "p.tif")
    )
    write_raster(tmp_path / "two.tif", np.zeros((2, *SHAPE), "float32"))
    result = run("suggest", *arguments, "--probabilities", "two.tif", "-o", "x.gpkg")
    assert result.exit_code == 1
    assert "two.tif holds 2 bands without names, and the model has forest, meadow, water" in result.stderr
    assert not list(tmp_path.glob("x.*"))


@pytest.mark.slow
def test_the_loop_is_two_commands_long(run: Run, scene: Scene, model: Path, tmp_path: Path) -> None:
    labels = write_labels(tmp_path / "labels.gpkg", rows=range(1, 3))
    result = run("suggest", *scene.arguments, "-m", model, "--labels", labels, "-n", 6, "-o", "next.gpkg")
    assert result.exit_code == 0, result.stderr
    points = read(tmp_path / "next.gpkg")
    names = {1: "forest", 2: "meadow", 3: "water"}
    rows, cols = pixels_of(points)[:4].T
    points.loc[:3, "class"] = [names[number] for number in scene.truth[rows, cols].tolist()]
    points.to_file(tmp_path / "next.gpkg", layer="suggestions")
    small = ["--patch-size", 5, "--epochs", 1, "--batch-size", 16, "--validation", 0]
    result = run("train", *scene.arguments, "--labels", labels, "--labels", "next.gpkg", "-o", "new.s2fin", *small)
    assert result.exit_code == 0, result.stderr
    assert "2 features" in result.stderr
    result = run(
        "suggest", *scene.arguments, "-m", "new.s2fin", "--labels", labels, "--labels", "next.gpkg", "-n", 6,
        "-o", "third.gpkg",
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    assert distances(pixels_of(read(tmp_path / "third.gpkg")), np.stack([rows, cols], axis=1)).min() >= 8


def pictures_of(page: Page) -> list[str]:
    """The pictures of places on a page."""
    images = [e.attributes for e in page.elements if e.name == "image"]
    return [e["href"] for e in images if e["href"].startswith("data:image/jpeg") and e["width"] == "49"]


def left_half() -> list[Any]:
    """The bounds of the scene's left half, as they are typed."""
    (left, top), (right, bottom) = TRANSFORM * (0, 0), TRANSFORM * (SHAPE[1] // 2, SHAPE[0])
    return ["--bounds", left, bottom, right, top]


def test_a_report_shows_the_places(run: Run, scene: Scene, model: Path, tmp_path: Path) -> None:
    written = run("classify", *scene.arguments, "-m", model, "-o", "map.tif", "--no-vector")
    assert written.exit_code == 0, written.stderr
    result = run("suggest", *scene.arguments, "-m", model, "-n", 4, "-o", "next.geojson", "--json")
    assert result.exit_code == 0, result.stderr
    places = json.loads(result.stdout)["places"]
    result = run("report", "--map", "map.tif", "--suggestions", "next.geojson", "-o", "report.html")
    assert result.exit_code == 0, result.stderr
    page = Page.of((tmp_path / "report.html").read_text(encoding="utf-8"))
    shown = page.data["suggestions"]
    assert [(place["rank"], place["why"]) for place in shown] == [(place["rank"], place["why"]) for place in places]
    assert [place["probability"] for place in shown] == pytest.approx([p["probability"] for p in places], abs=1e-3)
    whole = page
    assert len(pictures_of(whole)) == 4
    # a map of the left half only: places outside of it still have pictures, as the image shows them
    written = run("classify", *scene.arguments, "-m", model, "-o", "part.tif", "--no-vector", *left_half())
    assert written.exit_code == 0, written.stderr
    result = run("report", "--map", "part.tif", "--suggestions", "next.geojson", "-o", "part.html")
    assert result.exit_code == 0, result.stderr
    outside = sum(place["col"] >= 35 for place in places)
    assert 0 < outside < 4
    assert (
        f"next.geojson: {outside} of 4 suggested places that the report shows lie outside of the map" in result.stderr
    )
    page = Page.of((tmp_path / "part.html").read_text(encoding="utf-8"))
    assert pictures_of(page) == pictures_of(whole)
    result = run("report", "--map", "map.tif", "--suggestions", scene.labels, "-o", "x.html")
    assert result.exit_code == 1
    assert "labels.gpkg has no field 'rank'; give points that s2fin suggest wrote" in result.stderr
    assert not (tmp_path / "x.html").exists()


def edited(path: Path, **values: list[Any]) -> Path:
    """Points as `suggest` writes them, ten pixels apart, after some edits."""
    count = len(values["rank"])
    fields = {"prob": 0.5, "prob_2nd": 0.25, "likeliest": "forest", "second": "water", "why": "rare", "class": None}
    x, y = transformed(TRANSFORM, 10.5 + 10 * np.arange(count) % 60, np.full(count, 9.5))
    columns = {name: values.get(name, [value] * count) for name, value in fields.items()}
    frame = gpd.GeoDataFrame({"rank": values["rank"], **columns}, geometry=shapely.points(x, y), crs="EPSG:32632")
    frame.to_file(path)
    return path


def report_on(run: Run, scene: Scene, folder: Path, places: Path) -> tuple[list[dict[str, Any]], str]:
    """The places that a report lists, in valid JSON, and what it said."""
    write_raster(folder / "map.tif", scene.truth.astype("uint8"), nodata=0)
    result = run("report", "--map", "map.tif", "--suggestions", places, "-o", "r.json", "--overwrite")
    assert result.exit_code == 0, result.stderr

    def refuse(word: str) -> None:
        raise AssertionError(word)

    text = (folder / "r.json").read_text(encoding="utf-8")
    return json.loads(text, parse_constant=refuse).get("suggestions", []), result.stderr


def test_points_that_a_user_added_are_left_out_of_a_report(run: Run, scene: Scene, tmp_path: Path) -> None:
    path = edited(
        tmp_path / "p.gpkg", rank=[3, None, 1, 2, 4], prob=[0.5, 0.5, None, 0.5, np.inf], why=["rare"] * 3 + [None, "x"]
    )
    shown, said = report_on(run, scene, tmp_path, path)
    assert [place["rank"] for place in shown] == [3]
    assert "p.gpkg: the report leaves out 4 features without a rank, probabilities or another field" in said
    shown, said = report_on(run, scene, tmp_path, edited(tmp_path / "none.gpkg", rank=[None, None]))
    assert shown == []
    assert "leaves out 2 features" in said


def test_places_that_are_filled_in_are_left_out_of_a_report(run: Run, scene: Scene, tmp_path: Path) -> None:
    path = edited(tmp_path / "p.gpkg", rank=[1, 2, 3, 4], **{"class": ["forest", None, "", "NULL"]})
    shown, said = report_on(run, scene, tmp_path, path)
    assert [place["rank"] for place in shown] == [2, 3, 4]
    assert "p.gpkg: the report leaves out 1 suggested place whose class is filled in" in said
    assert "outside" not in said


@pytest.mark.parametrize("name", ["rank", "prob", "prob_2nd"])
def test_fields_without_numbers_are_refused_by_a_report(run: Run, scene: Scene, tmp_path: Path, name: str) -> None:
    values: dict[str, list[Any]] = {"rank": [1, 2], name: ["1", "first"]}
    edited(tmp_path / "p.gpkg", **values)
    write_raster(tmp_path / "map.tif", scene.truth.astype("uint8"), nodata=0)
    result = run("report", "--map", "map.tif", "--suggestions", "p.gpkg", "-o", "r.html")
    assert result.exit_code == 1
    assert f"p.gpkg holds 'first' in the field '{name}', which is to hold numbers" in result.stderr
    assert not (tmp_path / "r.html").exists()


def test_places_elsewhere_are_warned_of_by_a_report(run: Run, scene: Scene, tmp_path: Path) -> None:
    edited(tmp_path / "p.gpkg", rank=[1, 2])
    far = gpd.read_file(tmp_path / "p.gpkg").translate(1e5, 0)
    gpd.read_file(tmp_path / "p.gpkg").set_geometry(far).to_file(tmp_path / "far.gpkg")
    write_raster(tmp_path / "map.tif", scene.truth.astype("uint8"), nodata=0)
    command = ["report", "--map", "map.tif", "--hsi", scene.hsi, "--suggestions", "far.gpkg", "-o", "r.html"]
    result = run(*command)
    assert result.exit_code == 0, result.stderr
    assert "far.gpkg: 2 of 2 suggested places that the report shows lie outside of the map" in result.stderr
    assert "the report shows no picture of 2 suggested places outside of " in result.stderr
    page = Page.of((tmp_path / "r.html").read_text(encoding="utf-8"))
    assert (len(page.data["suggestions"]), pictures_of(page)) == (2, [])


@pytest.mark.parametrize(
    ("more", "code", "message"),
    [
        (["--distance", 0], 2, "--distance is 0.0; it must be 1 to 1000000 pixels"),
        (["-n", 0], 2, "--number is 0; it must be a whole number, at least 1"),
        (["--label-field", "class"], 2, "--label-field applies to --labels, and none are given"),
        (["-o", "x.tif"], 2, "give features a name that ends in"),
        (["--labels", "everywhere.tif"], 1, "within 8 pixels of a label; lower --distance"),
        (["--probabilities", "missing.tif"], 1, "missing.tif does not exist"),
        (["--labels", "missing.gpkg"], 1, "missing.gpkg does not exist"),
    ],
)
def test_what_cannot_be_done_is_said(
    run: Run, scene: Scene, model: Path, tmp_path: Path, more: list[Any], code: int, message: str
) -> None:
    write_raster(tmp_path / "everywhere.tif", scene.truth.astype("uint8"))
    result = run("suggest", *scene.arguments, "-m", model, "-o", "x.gpkg", *more)
    assert (result.exit_code, message in result.stderr) == (code, True), result.stderr
    assert not list(tmp_path.glob("x.*"))


def test_fewer_places_than_asked_for_are_warned_of(run: Run, scene: Scene, model: Path) -> None:
    result = run("suggest", *scene.arguments, "-m", model, "-n", 20, "--distance", 30, "-o", "next.gpkg")
    assert result.exit_code == 0, result.stderr
    assert "places instead of 20: there are no more that are 30 pixels apart" in result.stderr
