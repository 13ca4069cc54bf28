"""Two maps compared: figures, change map, polygons, and estimates from interpreted points."""

from __future__ import annotations

import csv
import json
import re
import sqlite3
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from click.testing import CliRunner
from rasterio.crs import CRS
from rasterio.rio.main import main_group

import s2fin_cli
from s2fin_cli.core.classes import LandCoverClass, make_classes
from s2fin_cli.core.errors import UsageError
from s2fin_cli.geo.grid import Grid
from s2fin_cli.raster.class_map import create_class_map
from s2fin_cli.raster.class_names import CLASSES_TAG
from tests.files import CRS_CODE, TRANSFORM, read_raster, write_raster

if TYPE_CHECKING:
    from pathlib import Path

    from affine import Affine
    from numpy.typing import NDArray

    from tests.scenes import Run

NAMES = {1: "forest", 2: "bare soil", 3: "water"}


def write_map(
    path: Path, values: NDArray[Any], names: dict[int, str], *, crs: str | None = CRS_CODE, at: Affine = TRANSFORM
) -> Path:
    grid = Grid(None if crs is None else CRS.from_user_input(crs), at, values.shape)
    with create_class_map(path, grid, make_classes(names)) as writer:
        writer.write(values.astype("uint8")[None], grid.window)
    return path


def write_named(path: Path, values: NDArray[Any], names: dict[int, str], *, nodata: int) -> None:
    """A map as other software may write it, with a name for each of its numbers."""
    write_raster(path, values, nodata=nodata)
    with rasterio.open(path, "r+") as dst:
        dst.update_tags(**{CLASSES_TAG: json.dumps(names)})


@dataclass(frozen=True)
class Dates:
    """Class numbers (height, width) of two dates, under the numbering of the first one; 0 for nodata."""

    before: NDArray[np.int64]
    after: NDArray[np.int64]

    def count(self, before: int, after: int) -> int:
        return int(((self.before == before) & (self.after == after)).sum())


@pytest.fixture
def dates(run: Run, in_folder: Path) -> Dates:
    """Maps `a.tif` and `b.tif` over several strips; in the second one the classes have other numbers."""
    generator = np.random.default_rng(0)
    before = np.kron(generator.integers(1, 4, (30, 6)), np.ones((20, 10), dtype=np.int64))
    after = np.where(np.kron(generator.random((30, 6)) < 0.3, np.ones((20, 10))) > 0, before % 3 + 1, before)
    before[:5], after[:, :3] = 0, 0
    write_map(in_folder / "a.tif", before, NAMES)
    write_map(in_folder / "b.tif", np.array([0, 7, 2, 1])[after], {1: "water", 2: "bare soil", 7: "forest"})
    return Dates(before, after)


def succeeded(run: Run, *arguments: object) -> Any:
    """The JSON that comparing the two maps prints."""
    result = run("compare", "--before", "a.tif", "--after", "b.tif", *arguments, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def test_a_small_matrix(run: Run, in_folder: Path) -> None:
    """Counted by hand: forest, soil, water; one pixel is not mapped before, another one not after."""
    write_map(in_folder / "a.tif", np.array([[1, 1, 1, 2], [2, 2, 3, 3], [1, 1, 0, 3]]), NAMES)
    write_map(in_folder / "b.tif", np.array([[1, 2, 2, 2], [2, 3, 3, 3], [1, 0, 1, 1]]), NAMES)
    found = succeeded(run, "-o", "change.tif")
    assert found["matrix"]["class_ids"] == [1, 2, 3]
    assert found["matrix"]["pixels"] == [[2, 2, 0], [0, 2, 1], [1, 0, 2]]
    assert found["changed"]["pixels"] == 4
    assert found["changed"]["share"] == 0.4
    assert found["nodata_pixels"] == {"before": 1, "after": 1, "both": 0}
    forest = {key: part["pixels"] for key, part in found["classes"][0].items() if isinstance(part, dict)}
    assert forest == {"before": 4, "after": 3, "unchanged": 2, "lost": 2, "gained": 1}
    assert read_raster(in_folder / "change.tif").tolist() == [[[11, 12, 12, 22], [22, 23, 33, 33], [11, 0, 0, 31]]]
    assert [(t["id"], t["name"], t["pixels"]) for t in found["transitions"] if t["changed"]] == [
        (12, "forest -> bare soil", 2), (23, "bare soil -> water", 1), (31, "water -> forest", 1),
    ]  # fmt: skip
    grid = Grid(CRS.from_user_input(CRS_CODE), TRANSFORM, (3, 4))
    areas = np.broadcast_to(grid.pixel_areas(grid.window), grid.shape)
    assert areas == pytest.approx(100, rel=1e-3)
    assert found["changed"]["area_m2"] == pytest.approx(areas[[0, 0, 1, 2], [1, 2, 1, 3]].sum(), rel=1e-9)
    shown = run("compare", "--before", "a.tif", "--after", "b.tif")
    assert "Changed: 40.00 % of the pixels that have a class in both maps, 0.04 ha." in shown.stdout
    assert "Largest change: forest -> bare soil (0.02 ha)." in shown.stdout
    assert "Pixels without a class: 1 only before, 1 only after." in shown.stdout


@pytest.mark.parametrize(("dtype", "nodata"), [("int16", -9999), ("uint8", 255)])
def test_the_name_of_nodata_is_that_of_no_class(run: Run, in_folder: Path, dtype: str, nodata: int) -> None:
    values = np.array([[1, 1, 2, nodata], [1, 2, 2, 2]])
    for name in ("a.tif", "b.tif"):
        write_named(in_folder / name, values.astype(dtype), {nodata: "No data", 1: "forest", 2: "water"}, nodata=nodata)
        values = values[::-1]
    found = succeeded(run, "-o", "change.tif", "--no-vector")
    assert found["matrix"]["class_ids"] == [1, 2]
    assert {t["id"]: t["name"] for t in found["transitions"] if t["changed"]} == {
        12: "forest -> water", 21: "water -> forest",
    }  # fmt: skip
    report = run("report", "--map", "a.tif", "-o", "r.json")
    assert report.exit_code == 0, report.stderr
    assert [c["name"] for c in json.loads((in_folder / "r.json").read_text())["classes"]] == ["forest", "water"]


def test_maps_with_no_more_than_the_name_of_nodata_in_common(run: Run, in_folder: Path) -> None:
    values = np.array([[0, 1, 2]], np.uint8)
    write_named(in_folder / "a.tif", values, {0: "unclassified", 1: "forest", 2: "water"}, nodata=0)
    write_named(in_folder / "b.tif", values, {0: "unclassified", 1: "town", 2: "road"}, nodata=0)
    result = run("compare", "--before", "a.tif", "--after", "b.tif")
    assert result.exit_code == 1
    assert "have no class name in common" in result.stderr
    assert "unclassified" not in result.stderr


def test_the_files_of_a_comparison(run: Run, dates: Dates, in_folder: Path) -> None:
    found = succeeded(run, "-o", "change.tif", "--report", "r.csv")
    assert found["matrix"]["pixels"] == [[dates.count(i, j) for j in NAMES] for i in NAMES]
    expected = np.where((dates.before == 0) | (dates.after == 0), 0, 10 * dates.before + dates.after)
    with rasterio.open(in_folder / "change.tif") as src:
        assert np.array_equal(src.read(1), expected)
        assert (src.nodata, src.dtypes) == (0, ("uint8",))
        colors = src.colormap(1)
    names = {t["id"]: t["name"] for t in found["transitions"]}
    assert names[11] == "forest (unchanged)"
    assert names[12] == "forest -> bare soil"
    assert found["transitions"] == [{**t, "pixels": dates.count(t["before"], t["after"])} for t in found["transitions"]]
    style = ET.parse(in_folder / "change.qml").getroot()  # noqa: S314  it was written just now
    entries = {int(e.get("value", "")): (e.get("label"), e.get("color")) for e in style.iter("paletteEntry")}
    assert entries == {i: (name, "#{:02x}{:02x}{:02x}".format(*colors[i])) for i, name in names.items()}
    polygons = gpd.read_file(in_folder / "change.gpkg", layer="change")
    for name, rows in polygons.groupby("class_name"):
        pixels = next(t["pixels"] for t in found["transitions"] if t["name"] == name)
        assert rows.area.sum() == pytest.approx(100 * pixels)
    assert set(polygons["class_name"]) == {t["name"] for t in found["transitions"] if t["changed"]}
    assert (polygons["before"] + " -> " + polygons["after"] == polygons["class_name"]).all()
    assert polygons["area_m2"].sum() == pytest.approx(found["changed"]["area_m2"])
    with (in_folder / "r.csv").open() as file:
        rows = {int(row["id"]): row for row in csv.DictReader(file)}
    assert {i: (row["before_name"], row["after_name"]) for i, row in rows.items()}[12] == ("forest", "bare soil")
    assert {i: int(row["pixels"]) for i, row in rows.items()} == {t["id"]: t["pixels"] for t in found["transitions"]}
    assert sorted(path.name for path in in_folder.iterdir()) == [
        "a.tif", "a.tif.aux.xml", "b.tif", "b.tif.aux.xml", "change.gpkg", "change.qml", "change.tif",
        "change.tif.aux.xml", "r.csv",
    ]  # fmt: skip


def test_polygons_of_an_earlier_change_map_are_named(run: Run, dates: Dates, in_folder: Path) -> None:
    succeeded(run, "-o", "change.tif")
    again = ("compare", "--before", "a.tif", "--after", "b.tif", "-o", "change.tif", "--overwrite")
    old = "change.gpkg was left by an earlier map and does not belong to the new one"
    assert old not in run(*again).stderr
    assert old in run(*again, "--no-vector").stderr
    (in_folder / "change.gpkg").unlink()
    assert old not in run(*again, "--no-vector").stderr


def test_figures_alone_and_other_files(run: Run, dates: Dates, in_folder: Path) -> None:
    before = set(in_folder.iterdir())
    whole = succeeded(run)
    assert set(in_folder.iterdir()) == before
    small = succeeded(run, "-o", "c.tif", "-f", "COG", "--polygons", "p.geojson", "--mmu", 250)
    assert {**small, "output": None, "polygons": None} == {**whole, "output": None, "polygons": None}
    polygons = gpd.read_file(in_folder / "p.geojson").to_crs(CRS_CODE)
    assert polygons.area.min() > 249 * 100
    assert len(succeeded(run, "-o", "d.tif", "--no-vector")) == len(whole) + 1
    assert not (in_folder / "d.gpkg").exists()
    result = s2fin_cli.compare(before="a.tif", after="b.tif", output="e.tif", vector=False)
    assert result.output is not None
    assert result.to_dict()["matrix"] == whole["matrix"]
    assert np.array_equal(read_raster(in_folder / "e.tif"), read_raster(in_folder / "c.tif"))


def test_areas_of_maps_in_degrees(run: Run, in_folder: Path) -> None:
    """Pixels shrink towards the pole."""
    at = rasterio.transform.from_origin(10, 80, 0.5, 0.5)
    before, after = np.ones((120, 4)), np.ones((120, 4))
    after[0, :2], after[119, :2] = 2, 3
    for name, values in (("a.tif", before), ("b.tif", after)):
        write_map(in_folder / name, values, NAMES, crs="EPSG:4326", at=at)
    grid = Grid(CRS.from_epsg(4326), at, before.shape)
    areas = np.broadcast_to(grid.pixel_areas(grid.window), before.shape)
    found = {t["name"]: t["area_m2"] for t in succeeded(run)["transitions"]}
    assert found["forest -> bare soil"] == pytest.approx(2 * areas[0, 0])
    assert found["forest -> water"] == pytest.approx(2 * areas[119, 0])
    assert areas[119, 0] > 4 * areas[0, 0]


def test_maps_without_crs_have_pixels_only(run: Run, in_folder: Path) -> None:
    for name, values in (("a.tif", [[1, 2]]), ("b.tif", [[2, 2]])):
        write_map(in_folder / name, np.array(values), NAMES, crs=None)
    found = succeeded(run, "-o", "change.tif")
    assert found["changed"] == {"pixels": 1, "share": 0.5}
    assert "area_m2" not in found["matrix"]


@pytest.mark.parametrize(
    ("ids", "values", "nodata"),
    [((0, 3), [[0, 3, 30, 33]], 255), ((2, 40), [[202, 240, 4002, 4040]], 0), ((5, 500), [[1, 2, 3, 4]], 0)],
)
def test_numbers_of_transitions(
    run: Run, in_folder: Path, ids: tuple[int, int], values: list[list[int]], nodata: int
) -> None:
    one, other = ids
    write_raster(in_folder / "a.tif", np.array([[one, one, other, other]], "int16"), nodata=-1)
    write_raster(in_folder / "b.tif", np.array([[one, other, one, other]], "float32"))
    succeeded(run, "-o", "change.tif")
    with rasterio.open(in_folder / "change.tif") as src:
        assert src.read(1).tolist() == values
        assert src.nodata == nodata


# ---- a sample of the transitions -------------------------------------------------------------------------------------


def interpret(path: Path, before: NDArray[Any], after: NDArray[Any]) -> None:
    """Fill in the true classes at the points of a sample."""
    points = gpd.read_file(path, layer="sample")
    assert list(points.columns) == ["id", "before", "after", "geometry"]
    assert points[["before", "after"]].isna().all(axis=None)
    a, b, c, d, e, f = (~TRANSFORM)[:6]
    cols = np.floor(a * points.geometry.x + b * points.geometry.y + c).astype(int)
    rows = np.floor(d * points.geometry.x + e * points.geometry.y + f).astype(int)
    points["before"] = [NAMES[i] for i in before[rows, cols].tolist()]
    points["after"] = [NAMES[i] for i in after[rows, cols].tolist()]
    points.to_file(path, layer="sample")


def test_a_sample_of_the_transitions(run: Run, dates: Dates, in_folder: Path) -> None:
    """A whole turn; what an interpreter finds is known for every pixel."""
    succeeded(run, "-o", "change.tif")
    result = run("sample", "--map", "change.tif", "-o", "p.gpkg", "--size", 400, "--least", 30, "--json")
    assert result.exit_code == 0, result.stderr
    assert "fill in the fields 'before' and 'after' with: forest, bare soil, water" in result.stderr
    assert set(json.loads(result.stdout)["points"]) == {
        str(i) for i in np.unique(read_raster(in_folder / "change.tif")) if i
    }
    with sqlite3.connect(in_folder / "p.gpkg") as database:
        (style,) = database.execute("SELECT styleQML FROM layer_styles").fetchone()
    offered = {
        field.get("name"): [option.get("value") for option in field.iter("Option") if option.get("value")]
        for field in ET.fromstring(style.split("\n", 1)[1]).iter("field")  # noqa: S314  it was written just now
    }
    assert offered == {side: ["forest", "bare soil", "water"] for side in ("before", "after")}
    before = dates.before.copy()
    before[300:400][before[300:400] == 1] = 2  # what the map took for forest there was bare soil
    interpret(in_folder / "p.gpkg", before, dates.after)
    found = succeeded(run, "--reference", "p.gpkg", "--report", "r.md")
    adjusted = {entry["name"]: entry for entry in found["area_adjusted"]["classes"]}
    assert found["sample"]["n"] == len(gpd.read_file(in_folder / "p.gpkg", layer="sample"))
    assert adjusted["water -> forest"]["users_accuracy"]["estimate"] == 1
    assert adjusted["forest (unchanged)"]["users_accuracy"]["estimate"] < 1
    assert adjusted["forest (unchanged)"]["area"]["estimate"] < adjusted["forest (unchanged)"]["map_area"]
    again = s2fin_cli.compare(
        before="a.tif", after="b.tif", reference=in_folder / "p.gpkg", output="again.tif", vector=False
    )
    assert again.to_dict()["area_adjusted"] == found["area_adjusted"]
    assert (in_folder / "again.tif").read_bytes() == (in_folder / "change.tif").read_bytes()  # whatever the reference
    changed = found["area_adjusted"]["changed"]
    assert changed["area"]["estimate"] > changed["map_area"] == pytest.approx(found["changed"]["area_m2"])
    assert changed["users_accuracy"]["estimate"] <= 1
    assert changed["producers_accuracy"]["estimate"] < 1
    text = (in_folder / "r.md").read_text()
    assert f"of the real changes {100 * changed['producers_accuracy']['estimate']:.1f} ±" in text
    assert "## Estimates for the whole map" in text


def test_the_example_of_olofsson_and_others(run: Run, in_folder: Path) -> None:
    """Olofsson et al. 2014, section 5, whose map of 10 million pixels is a thousand times smaller here.

    Their sample of deforestation, forest gain, stable forest and stable non-forest, in rows by map class.
    """
    counts = [[66, 0, 5, 4], [0, 55, 8, 12], [1, 0, 153, 11], [2, 1, 9, 313]]
    sizes, pairs = [200, 150, 3_200, 6_450], [(1, 2), (2, 1), (1, 1), (2, 2)]
    strata = np.repeat(np.arange(4), sizes).reshape(100, 100)
    names = {1: "forest", 2: "non-forest"}
    for side, name in enumerate(("a.tif", "b.tif")):
        write_map(in_folder / name, np.array([pair[side] for pair in pairs])[strata], names)
    points, truth = [], []
    for stratum, row in enumerate(counts):
        found = np.repeat(np.arange(4), row)
        places = np.argwhere(strata == stratum)[: len(found)]
        points += [TRANSFORM * (col + 0.5, row + 0.5) for row, col in places.tolist()]
        truth += [pairs[i] for i in found]
    frame = gpd.GeoDataFrame(
        {"before": [names[pair[0]] for pair in truth], "after": [names[pair[1]] for pair in truth]},
        geometry=gpd.points_from_xy(*zip(*points, strict=True)), crs=CRS_CODE,
    )  # fmt: skip
    frame.to_file(in_folder / "p.gpkg")
    found = succeeded(run, "--reference", "p.gpkg")["area_adjusted"]
    estimates = {entry["name"]: entry for entry in found["classes"]}
    whole = sum(entry["map_area"] for entry in estimates.values())
    published = {
        "forest -> non-forest": (21_158, 6_158, 0.88, 0.07, 0.75, 0.21),
        "non-forest -> forest": (11_686, 3_756, 0.73, 0.10, 0.85, 0.25),
        "forest (unchanged)": (285_770, 15_510, 0.93, 0.04, 0.93, 0.03),
        "non-forest (unchanged)": (581_386, 16_282, 0.96, 0.02, 0.96, 0.02),
    }
    for name, (hectares, margin, users, users_margin, producers, producers_margin) in published.items():
        entry = estimates[name]
        assert entry["area"]["estimate"] / whole == pytest.approx(hectares / 900_000, rel=1e-3)
        assert entry["area"]["margin_95"] / whole == pytest.approx(margin / 900_000, rel=1e-3)
        for key, value, expected in (
            ("users_accuracy", users, users_margin),
            ("producers_accuracy", producers, producers_margin),
        ):
            assert entry[key]["estimate"] == pytest.approx(value, abs=0.005)
            assert entry[key]["margin_95"] == pytest.approx(expected, abs=0.005)
    assert found["overall_accuracy"]["estimate"] == pytest.approx(0.95, abs=0.005)
    assert found["changed"]["area"]["estimate"] / whole == pytest.approx((21_158 + 11_686) / 900_000, rel=1e-3)


def points_with(path: Path, **fields: list[Any]) -> None:
    """Points in the pixels of the first row, with fields."""
    size = len(next(iter(fields.values())))
    places = [shapely.Point(*(TRANSFORM * (col + 0.5, 0.5))) for col in range(size)]
    gpd.GeoDataFrame(fields, geometry=places, crs=CRS_CODE).to_file(path)


@pytest.fixture
def tiny(run: Run, in_folder: Path) -> None:
    write_map(in_folder / "a.tif", np.array([[1, 1, 2, 2, 0]]), NAMES)
    write_map(in_folder / "b.tif", np.array([[1, 2, 2, 2, 1]]), NAMES)


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize(
    "fields",
    [
        {"before": ["forest", "Forest", "bare soil"], "after": ["forest", "water", "bare soil"]},
        {"before": [1, 1, 2], "after": [1, 3, 2]},
        {"BEFORE": ["1", "1", "2"], "After": ["1", "3", "2"], "who": ["me", "me", "you"]},
        {"class": ["forest (unchanged)", "forest -> water", "bare soil -> bare soil"]},
    ],
)
def test_how_transitions_may_be_recorded(run: Run, in_folder: Path, fields: dict[str, list[Any]]) -> None:
    points_with(in_folder / "p.gpkg", **fields)
    sample = succeeded(run, "--reference", "p.gpkg")["sample"]
    names = [entry["name"] for entry in sample["classes"]]
    assert names == ["forest (unchanged)", "forest -> bare soil", "forest -> water", "bare soil (unchanged)"]
    assert sample["confusion_matrix"]["counts"] == [[1, 0, 0, 0], [0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]]


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"before": ["forest"], "after": ["swamp"]}, "p.gpkg: field 'after' holds swamp, which the maps do not have"),
        ({"before": [9], "after": [1]}, "p.gpkg: field 'before' holds 9, which the maps do not have"),
        ({"before": ["forest", None], "after": [None, "water"]}, "'before' or 'after' is empty in every feature"),
        ({"class": ["forest", "water"]}, "p.gpkg: field 'class' holds forest, water, which the maps do not have"),
        ({"before": ["forest"], "after": ["forest"]}, "p.gpkg has no pixel where the map has forest -> bare soil, "),
    ],
)  # fmt: skip
def test_points_that_cannot_be_used(run: Run, in_folder: Path, fields: dict[str, list[Any]], message: str) -> None:
    points_with(in_folder / "p.gpkg", **fields)
    before = set(in_folder.iterdir())
    result = run("compare", "--before", "a.tif", "--after", "b.tif", "-o", "c.tif", "--reference", "p.gpkg")
    assert result.exit_code == 1
    assert message in result.stderr
    assert set(in_folder.iterdir()) == before


@pytest.mark.usefixtures("tiny")
def test_points_that_are_skipped(run: Run, in_folder: Path) -> None:
    before = ["forest", "forest", "bare soil", None, "forest", "forest"]
    points_with(in_folder / "p.gpkg", before=before, after=["forest"] * 6)
    result = run("compare", "--before", "a.tif", "--after", "b.tif", "--reference", "p.gpkg", "--json")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["sample"]["n"] == 3
    assert found["warnings"] == [
        "p.gpkg: skipped 1 point whose 'before' or 'after' is empty", "p.gpkg: skipped 1 point outside the maps",
        "1 sampled pixels are where the map has no class, and are skipped",
    ]  # fmt: skip


@pytest.mark.usefixtures("tiny")
def test_a_point_outside_the_maps_adds_no_transition(run: Run, in_folder: Path) -> None:
    before = ["forest", "forest", "bare soil", "bare soil", "forest", "water"]
    points_with(in_folder / "p.gpkg", before=before, after=["forest", *["bare soil"] * 3, "forest", "water"])
    found = succeeded(run, "--reference", "p.gpkg", "--report", "r.csv")
    names = ["forest (unchanged)", "forest -> bare soil", "bare soil (unchanged)"]
    assert [entry["name"] for entry in found["sample"]["classes"]] == names
    with (in_folder / "r.csv").open() as file:
        assert [row["name"] for row in csv.DictReader(file)] == names


def test_nothing_is_said_of_changes_where_there_are_none(run: Run, in_folder: Path) -> None:
    for name in ("a.tif", "b.tif"):
        write_map(in_folder / name, np.array([[1, 1, 2, 2]]), NAMES)
    shown = ("--reference", "p.gpkg", "--report", "r.md", "--overwrite")
    before = ["forest", "forest", "bare soil", "bare soil"]
    points_with(in_folder / "p.gpkg", before=before, after=before)
    result = run("compare", "--before", "a.tif", "--after", "b.tif", *shown)
    for text in (result.stdout, (in_folder / "r.md").read_text()):
        assert "Estimated from the sample: 0 ± 0 ha really changed" in text
        assert "mapped changes" not in text
        assert "real changes" not in text
    points_with(in_folder / "p.gpkg", before=before, after=["forest", "water", "bare soil", "bare soil"])
    result = run("compare", "--before", "a.tif", "--after", "b.tif", *shown)
    assert "Of the real changes 0.0 ± " in result.stdout
    assert "mapped changes" not in result.stdout


def test_other_commands_say_what_a_change_map_is(run: Run, dates: Dates, in_folder: Path) -> None:
    succeeded(run, "-o", "change.tif")
    run("sample", "--map", "change.tif", "-o", "p.gpkg")
    interpret(in_folder / "p.gpkg", dates.before, dates.after)
    what = (
        "change.tif is a change map: its classes are the transitions between two maps; points with the fields 'before'"
    )
    result = run("report", "--map", "change.tif", "-o", "r.json")
    assert result.exit_code == 0, result.stderr
    report = json.loads((in_folder / "r.json").read_text())
    assert report["findings"]["summary"].startswith(
        "This is a change map: its classes are the transitions between two "
    )
    assert "warnings" not in report
    assert "forest -> bare soil" in {c["name"] for c in report["classes"]}
    again = report["runs"][0]["again"]
    assert re.fullmatch(r"s2fin compare --before \S*a\.tif --after \S*b\.tif --output change\.tif", again)
    assert run("report", "--map", "change.tif", "-o", "r.html").exit_code == 0
    result = run("evaluate", "--map", "change.tif", "--reference", "p.gpkg", "--stratified")
    assert result.exit_code == 1
    assert what in result.stderr
    assert "several fields may hold the class (before, after)" in result.stderr


# ---- what cannot be compared -----------------------------------------------------------------------------------------


def test_maps_on_different_grids(run: Run, dates: Dates, in_folder: Path) -> None:
    """The command that the message names brings them together."""
    with rasterio.open(in_folder / "b.tif", "r+") as dst:
        dst.transform = TRANSFORM * TRANSFORM.translation(0, 2)
    result = run("compare", "--before", "a.tif", "--after", "b.tif", "-o", "c.tif")
    assert result.exit_code == 1
    assert "a.tif and b.tif are on different grids (60 x 600 px of 10 x 10, EPSG:32632" in result.stderr
    command = "rio warp b.tif ALIGNED.tif --like a.tif --resampling nearest"
    assert result.stderr.strip().endswith(f"with: {command}")
    assert not list(in_folder.glob("c*"))
    assert CliRunner().invoke(main_group, command.split()[1:]).exit_code == 0
    result = run("compare", "--before", "a.tif", "--after", "ALIGNED.tif", "--json")
    assert result.exit_code == 0, result.stderr
    assert "ALIGNED.tif names none of its classes, so its numbers are taken for those of a.tif" in result.stderr
    moved = np.array([0, 7, 2, 1])[dates.after[:-2]]
    assert json.loads(result.stdout)["changed"]["pixels"] == int(
        ((dates.before[2:] != moved) & (dates.before[2:] > 0) & (moved > 0)).sum()
    )


def test_maps_and_files_that_are_refused(run: Run, dates: Dates, in_folder: Path) -> None:
    write_raster(in_folder / "three.tif", np.ones((3, 600, 60), "uint8"))
    write_raster(in_folder / "half.tif", np.full((600, 60), 1.5, "float32"))
    write_raster(in_folder / "empty.tif", np.zeros((600, 60), "uint8"), nodata=0)
    write_map(in_folder / "wald.tif", np.ones((600, 60)), {1: "Wald"})
    (in_folder / "there.tif").write_bytes(b"")
    before = {path: path.read_bytes() for path in in_folder.iterdir()}
    for arguments, code, message in (
        (("--after", "none.tif"), 1, "none.tif does not exist"),
        (("--after", "three.tif"), 1, "three.tif holds 3 bands of uint8; give a raster with one band of class numbers"),
        (("--after", "half.tif"), 1, "half.tif holds 1.5 at row 0, column 0"),
        (("--after", "empty.tif"), 1, "have no pixel with a class in both; check their nodata values"),
        (("--after", "wald.tif"), 1, "wald.tif (Wald) have no class name in common; give both maps the same names"),
        (("--after", "b.tif", "-o", "there.tif"), 1, "there.tif already exists; give --overwrite to replace it"),
        (("--after", "b.tif", "-o", "b.tif", "--overwrite"), 2, "b.tif is an input"),
        (("--after", "b.tif", "-o", "c.png"), 2, "c.png"),
        (("--after", "b.tif", "-o", "c.tif", "--polygons", "c.doc"), 2, "give features a name that ends in"),
        (("--after", "b.tif", "--report", "c.html"), 2, "the name of a report ends in .json, .csv or .md"),
        (("--after", "b.tif", "--polygons", "c.gpkg"), 2, "polygons are made from the change map; give a name for it"),
        (("--after", "b.tif", "--label-field", "x"), 2, "--label-field is a field of the --reference, and none"),
    ):  # fmt: skip
        result = run("compare", "--before", "a.tif", *arguments)
        assert (result.exit_code, message in result.stderr) == (code, True), (arguments, result.stderr)
        assert {path: path.read_bytes() for path in in_folder.iterdir()} == before
    with pytest.raises(UsageError, match="`after` is missing"):
        s2fin_cli.compare(before="a.tif")  # type: ignore[call-arg]


def test_classes_keep_their_colours(run: Run, in_folder: Path) -> None:
    """Those of the map before, and of the map after for a class that is there alone."""
    grid = Grid(CRS.from_user_input(CRS_CODE), TRANSFORM, (1, 2))
    forest, town = LandCoverClass(1, "forest", (10, 20, 30)), LandCoverClass(4, "town", (200, 0, 0))
    for name, values, classes in (
        ("a.tif", [[1, 1]], [forest]), ("b.tif", [[1, 4]], [LandCoverClass(1, "forest", (1, 1, 1)), town]),
    ):  # fmt: skip
        with create_class_map(in_folder / name, grid, classes) as writer:
            writer.write(np.array(values, "uint8")[None], grid.window)
    succeeded(run, "-o", "change.tif")
    with rasterio.open(in_folder / "change.tif") as src:
        colors = src.colormap(1)
    assert colors[11][:3] == (194, 196, 199)
    assert colors[14][:3] == (152, 5, 8)
