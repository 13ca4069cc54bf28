"""From a map to a stratified sample to figures for the whole map."""

from __future__ import annotations

import csv
import json
import sqlite3
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import geopandas as gpd
import numpy as np
import pytest
from rasterio.crs import CRS

from s2fin_cli.core.classes import make_classes
from s2fin_cli.geo.grid import Grid
from s2fin_cli.raster.class_map import create_class_map
from s2fin_cli.raster.info import read_info
from s2fin_cli.workflows.evaluate import run as evaluate
from s2fin_cli.workflows.options.evaluate import EvaluateOptions
from tests.files import CRS_CODE, TRANSFORM, write_raster

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from tests.scenes import Run

SHAPE = (600, 90)
NAMES = {1: "forest", 2: "meadow", 7: "water"}


def make_map(path: Path, *, crs: str | None = CRS_CODE) -> NDArray[np.uint8]:
    """A map over several strips, with nodata and a rare class."""
    generator = np.random.default_rng(0)
    values = generator.choice([1, 2], SHAPE, p=[0.7, 0.3]).astype("uint8")
    values.ravel()[generator.choice(values.size, 40, replace=False)] = 7
    values[:5] = 0
    grid = Grid(None if crs is None else CRS.from_user_input(crs), TRANSFORM, SHAPE)
    with create_class_map(path, grid, make_classes(NAMES)) as writer:
        writer.write(values[None], grid.window)
    return values


def at(values: NDArray[np.uint8], points: gpd.GeoDataFrame) -> NDArray[np.uint8]:
    x, y = points.geometry.x.to_numpy(), points.geometry.y.to_numpy()
    a, b, c, d, e, f = (~TRANSFORM)[:6]
    cols, rows = a * x + b * y + c, d * x + e * y + f
    assert (cols % 1 == 0.5).all()
    assert len(set(zip(rows.tolist(), cols.tolist(), strict=True))) == len(points)
    return np.asarray(values[np.floor(rows).astype(int), np.floor(cols).astype(int)])


def test_from_map_to_sample_to_estimates(run: Run, tmp_path: Path) -> None:
    values = make_map(tmp_path / "map.tif")
    result = run("sample", "--map", "map.tif", "-o", "s.gpkg", "--size", 200, "--least", 30, "--json")
    assert result.exit_code == 0, result.stderr
    assert "fill in the field 'class' with: forest, meadow, water" in result.stderr
    answer = json.loads(result.stdout)
    points = gpd.read_file(tmp_path / "s.gpkg", layer="sample")
    assert points.crs == CRS_CODE
    assert points["class"].isna().all()
    assert points["id"].tolist() == list(range(1, 201))
    drawn = at(values, points)
    assert {str(i): int((drawn == i).sum()) for i in NAMES} == answer["points"]
    assert answer["points"]["7"] == 30
    assert (np.diff(drawn.astype(int)) != 0).sum() > 50  # in an order that does not reveal the class

    # an interpreter finds that a tenth of the mapped forest is meadow
    truth = drawn.copy()
    forest = np.flatnonzero(drawn == 1)
    truth[forest[: len(forest) // 10]] = 2
    points["class"] = [NAMES[i].upper() for i in truth.tolist()]
    points.to_file(tmp_path / "s.gpkg", layer="sample")
    for name in ("report.json", "report.csv", "report.md"):
        result = run("evaluate", "--map", "map.tif", "--reference", "s.gpkg", "--stratified", "-o", name)
        assert result.exit_code == 0, result.stderr
    assert "Estimated for the whole map: OA 9" in result.stdout
    assert "Of the sample itself:" in result.stdout
    report = json.loads((tmp_path / "report.json").read_text())
    estimates = {entry["name"]: entry for entry in report["area_adjusted"]["classes"]}
    grid = read_info(tmp_path / "map.tif").grid
    areas = np.broadcast_to(grid.pixel_areas(grid.window), values.shape)
    assert areas == pytest.approx(100, rel=1e-3)
    mapped = {name: areas[values == i].sum() for i, name in NAMES.items()}
    wrong = (len(forest) // 10) / len(forest)
    assert estimates["forest"]["map_area"] == pytest.approx(mapped["forest"])
    assert estimates["forest"]["area"]["estimate"] == pytest.approx(mapped["forest"] * (1 - wrong))
    assert estimates["meadow"]["area"]["estimate"] == pytest.approx(mapped["meadow"] + mapped["forest"] * wrong)
    assert estimates["water"]["area"] == {"estimate": pytest.approx(mapped["water"]), "margin_95": 0}
    share = mapped["forest"] / sum(mapped.values())
    assert report["area_adjusted"]["overall_accuracy"]["estimate"] == pytest.approx(1 - wrong * share)
    with (tmp_path / "report.csv").open() as file:
        row = next(csv.DictReader(file))
    assert float(row["adjusted_area"]) == pytest.approx(mapped["forest"] * (1 - wrong))
    assert row["area_unit"] == "m2"
    assert "## Estimates for the whole map" in (tmp_path / "report.md").read_text()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_map_in_floating_point_gives_the_same_sample(run: Run, tmp_path: Path, dtype: str) -> None:
    values = make_map(tmp_path / "map.tif")
    write_raster(tmp_path / "float.tif", np.where(values == 0, np.nan, values.astype(dtype)))
    for name in ("map", "float"):
        result = run("sample", "--map", f"{name}.tif", "-o", f"{name}.gpkg", "--size", 60, "--least", 5)
        assert result.exit_code == 0, result.stderr
    whole, floating = (gpd.read_file(tmp_path / f"{name}.gpkg", layer="sample") for name in ("map", "float"))
    assert floating.geometry.equals(whole.geometry)
    write_raster(tmp_path / "broken.tif", np.where(values == 7, 7.5, values.astype(dtype)))
    result = run("sample", "--map", "broken.tif", "-o", "broken.gpkg")
    assert result.exit_code == 1
    assert "holds 7.5 at row" in result.stderr


@pytest.mark.parametrize("suffix", [".shp", ".fgb", ".geojson"])
def test_the_draw_is_repeatable_in_every_format(run: Run, tmp_path: Path, suffix: str) -> None:
    values = make_map(tmp_path / "map.tif")
    places = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        result = run("sample", "--map", "map.tif", "-o", name + suffix, "--size", 90, "--seed", seed)
        assert result.exit_code == 0, result.stderr
        points = gpd.read_file(tmp_path / (name + suffix))
        assert len(points) == 100 + (values == 7).sum()  # all of the rare class, and the least number of the others
        places.append(shapely_coordinates(points))
        if suffix != ".geojson":  # which is in degrees
            assert set(at(values, points).tolist()) == set(NAMES)
    assert np.array_equal(places[0], places[1])
    assert not np.array_equal(places[0], places[2])


def shapely_coordinates(points: gpd.GeoDataFrame) -> NDArray[Any]:
    return np.column_stack([points.geometry.x, points.geometry.y])


def test_a_map_without_crs_has_areas_in_pixels(run: Run, tmp_path: Path) -> None:
    values = make_map(tmp_path / "map.tif", crs=None)
    assert run("sample", "--map", "map.tif", "-o", "s.gpkg", "--size", 150).exit_code == 0
    points = gpd.read_file(tmp_path / "s.gpkg", layer="sample")
    points["class"] = at(values, points).astype(int)
    points.to_file(tmp_path / "s.gpkg", layer="sample")
    result = run("evaluate", "--map", "map.tif", "--reference", "s.gpkg", "--stratified", "--json")
    assert result.exit_code == 0, result.stderr
    adjusted = json.loads(result.stdout)["area_adjusted"]
    assert adjusted["area_unit"] == "pixels"
    assert [entry["area"]["estimate"] for entry in adjusted["classes"]] == [
        pytest.approx((values == i).sum()) for i in NAMES
    ]


def test_polygons_that_are_no_sample_are_warned_of(run: Run, tmp_path: Path) -> None:
    values = make_map(tmp_path / "map.tif")
    run("sample", "--map", "map.tif", "-o", "s.gpkg", "--size", 150)
    points = gpd.read_file(tmp_path / "s.gpkg", layer="sample")
    points["class"] = at(values, points).astype(int)
    for name, geometries, is_told in (("points", points.geometry, False), ("plots", points.buffer(6), True)):
        points.set_geometry(geometries).to_file(tmp_path / f"{name}.gpkg", layer="sample")
        result = run("evaluate", "--map", "map.tif", "--reference", f"{name}.gpkg", "--stratified")
        assert result.exit_code == 0, result.stderr
        assert ("whose pixels are not a random sample of each class" in result.stderr) == is_told


def test_what_cannot_be_sampled_or_estimated(run: Run, tmp_path: Path) -> None:
    values = make_map(tmp_path / "map.tif")
    run("sample", "--map", "map.tif", "-o", "s.gpkg", "--size", 150)
    points = gpd.read_file(tmp_path / "s.gpkg", layer="sample")
    points["class"] = at(values, points).astype(int)
    points[points["class"] != 7].to_file(tmp_path / "part.gpkg", layer="sample")
    result = run("evaluate", "--map", "map.tif", "--reference", "part.gpkg", "--stratified", "-o", "r.json")
    assert result.exit_code == 1
    assert "part.gpkg has no pixel where the map has water; a stratified sample has some of each class" in result.stderr
    assert not (tmp_path / "r.json").exists()
    result = run("evaluate", "--map", "map.tif", "--reference", "s.gpkg")  # nothing is filled in
    assert result.exit_code == 1
    assert "s.gpkg: field 'class' is empty in every feature; fill it in" in result.stderr
    result = run("sample", "--map", "map.tif", "-o", "least.gpkg", "--size", 10)
    assert "points instead of 10, because each class gets at least 50" in result.stderr
    with sqlite3.connect(tmp_path / "least.gpkg") as database:
        assert database.execute("pragma user_version").fetchone() == (10300,)  # GeoPackage 1.3
    for arguments, code, message in (
        (("-o", "s.gpkg"), 1, "s.gpkg already exists; give --overwrite"),
        (("-o", "map.tif"), 2, "give features a name that ends in"),
        (("-o", "x.gpkg", "--size", 0), 2, "--size is 0; it must be a whole number, at least 1"),
    ):
        result = run("sample", "--map", "map.tif", *arguments)
        assert (result.exit_code, message in result.stderr) == (code, True), result.stderr
    empty = np.zeros(SHAPE, "uint8")
    grid = Grid(CRS.from_user_input(CRS_CODE), TRANSFORM, SHAPE)
    with create_class_map(tmp_path / "empty.tif", grid, make_classes(NAMES)) as writer:
        writer.write(empty[None], grid.window)
    result = run("sample", "--map", "empty.tif", "-o", "x.gpkg")
    assert (result.exit_code, "empty.tif holds no class" in result.stderr) == (1, True)
    assert not list(tmp_path.glob("x*"))


@pytest.mark.parametrize("kind", ["points", "raster"])
def test_a_stratified_sample_is_compared_in_one_pass_over_the_map(tmp_path: Path, kind: str) -> None:
    values = make_map(tmp_path / "map.tif")  # over several strips
    truth = np.where(values == 2, 1, values)
    truth[np.random.default_rng(3).random(SHAPE) < 0.5] = 0
    truth[100:400] = 0  # strips without labels
    if kind == "raster":
        reference = write_raster(tmp_path / "truth.tif", truth, nodata=0)
    else:
        rows, cols = np.nonzero(truth)
        a, b, c, d, e, f = TRANSFORM[:6]
        x, y = a * (cols + 0.5) + b * (rows + 0.5) + c, d * (cols + 0.5) + e * (rows + 0.5) + f
        reference = tmp_path / "truth.gpkg"
        points = gpd.GeoDataFrame({"class": truth[rows, cols]}, geometry=gpd.points_from_xy(x, y), crs=CRS_CODE)
        points.to_file(reference)
    options = EvaluateOptions(map=tmp_path / "map.tif", reference=reference)
    plain, found = evaluate(options), evaluate(replace(options, stratified=True))
    whole = found.report
    assert np.array_equal(found.accuracy.matrix, plain.accuracy.matrix)
    assert np.array_equal(found.accuracy.unmapped, plain.accuracy.unmapped)
    assert {c.name: c.pixels for c in whole.classes} == {name: int((values == i).sum()) for i, name in NAMES.items()}
    assert [c.area for c in whole.classes] == pytest.approx([100 * int((values == i).sum()) for i in NAMES], rel=1e-3)
    assert whole.classes[0].color == make_classes(NAMES)[0].color
    assert {c.pixels for c in plain.report.classes} == {None}
