from __future__ import annotations

import io
import json
import re
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import pytest
import rasterio
import shapely
from affine import Affine
from rich.console import Console

from s2fin_cli.cli.rendering.descriptions import print_description
from s2fin_cli.core.errors import InputError, ModelFileError, RasterError
from s2fin_cli.workflows.inspect import describe
from tests.files import CRS_CODE, TRANSFORM, write_raster
from tests.scenes import Run, Scene


def test_a_raster(run: Run, scene: Scene) -> None:
    answer = json.loads(run("inspect", scene.hsi, "--json").stdout)
    assert (answer["kind"], answer["width"], answer["height"], answer["crs"]) == ("raster", 70, 60, "EPSG:32632")
    assert (answer["dtype"], answer["nodata"], len(answer["bands"])) == ("uint16", None, 5)
    assert answer["transform"] == list(TRANSFORM[:6])
    band = answer["bands"][0]
    assert (band["index"], band["valid"]) == (1, 1.0)
    assert band["low"] < band["mean"] < band["high"]
    text = run("inspect", scene.hsi)
    assert text.exit_code == 0
    assert "70 x 60 px, 5 bands of uint16" in text.stdout
    assert "band  name  valid %" in text.stdout  # and no column of wavelengths, as none are known
    assert text.stderr == ""


def test_missing_values_and_odd_nodata_are_valid_json(run: Run, tmp_path: Path) -> None:
    values = np.ones((3, 8, 8), np.float32)
    values[0, :4], values[1] = np.nan, np.nan
    for nodata in (np.nan, np.inf, -np.inf, -9999.0):
        path = write_raster(tmp_path / "gaps.tif", values, nodata=nodata)
        answer = json.loads(run("inspect", path, "--json").stdout, parse_constant=pytest.fail)
        assert [band["valid"] for band in answer["bands"]] == [0.5, 0.0, 1.0]
        assert [band["mean"] for band in answer["bands"]] == [1.0, None, 1.0]
        assert answer["nodata"] == (nodata if np.isfinite(nodata) else str(nodata))
        assert run("inspect", path).exit_code == 0


def test_a_border_that_is_not_declared_is_shown(run: Run, tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(10, 200, (2, 40, 40)).astype("uint8")
    values[:, :, :8] = 0
    path = write_raster(tmp_path / "a.tif", values)
    assert json.loads(run("inspect", path, "--json").stdout)["border_fill"] == 0
    assert "none declared; 0 fills the border in all bands" in run("inspect", path).stdout
    declared = write_raster(tmp_path / "b.tif", values, nodata=0)
    assert json.loads(run("inspect", declared, "--json").stdout)["border_fill"] is None


def test_voids_scales_and_masks_are_shown(run: Run, tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(500, 900, (2, 30, 40)).astype("int16")
    values[0, :9] = -9999
    values[1] = np.where(values[1] > 600, 255, 0)
    write_raster(tmp_path / "a.tif", values[:1], alpha=values[1])
    with rasterio.open(tmp_path / "a.tif", "r+") as dst:
        dst.scales, dst.offsets = (0.1, 1), (-5, 0)
    shown = " ".join(run("inspect", tmp_path / "a.tif").stdout.split())
    assert "-9999, far from all other values, fills" in shown
    assert "scale 0.1 and offset -5; the figures below are stored * scale + offset" in shown
    assert "band 2 (alpha)" in shown
    answer = json.loads(run("inspect", "--json", tmp_path / "a.tif").stdout)
    assert [void["value"] for void in answer["voids"]] == [-9999]
    assert answer["mask_bands"] == [2]
    assert (answer["bands"][0]["scale"], answer["bands"][0]["offset"]) == (0.1, -5)
    assert 40 < answer["bands"][0]["high"] < 85


def test_what_training_refuses_or_skips_is_shown(run: Run, tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(500, 900, (3, 30, 40)).astype("int16")
    values[1] = 7
    turned = TRANSFORM * Affine.rotation(20)
    path = write_raster(tmp_path / "a.tif", values, transform=turned, alpha=values[0] > 600)
    shown = " ".join(run("inspect", path).stdout.split())
    for doubt in (
        "doubtful has band 4 marked as alpha, which is used as a mask; if it is data: rio edit-info",
        "doubtful has a rotated grid",
        "doubtful has bands with one value throughout: 2",
    ):
        assert doubt in shown
    assert len(json.loads(run("inspect", path, "--json").stdout)["doubts"]) == 3
    plain = write_raster(tmp_path / "b.tif", values[:1])
    assert json.loads(run("inspect", plain, "--json").stdout)["doubts"] == []


def test_a_class_map_shows_its_classes(run: Run, scene: Scene, model: Path) -> None:
    run("classify", *scene.arguments, "-m", model, "-o", "map.tif", "--no-vector")
    answer = json.loads(run("inspect", "map.tif", "--json").stdout)
    assert answer["classes"] == {"1": "forest", "2": "meadow", "3": "water"}
    assert "1 forest, 2 meadow, 3 water" in run("inspect", "map.tif").stdout


def test_a_model(run: Run, model: Path, tmp_path: Path) -> None:
    answer = json.loads(run("inspect", model, "--json").stdout)
    assert (answer["kind"], answer["architecture"]["patch_size"]) == ("model", 5)
    assert answer["training"]["labelled_pixels"] == {"forest": 80, "meadow": 80, "water": 80}
    assert answer["training"]["cross_validation"]["n"] == answer["training"]["train_pixels"]
    kept = answer["reference"]
    assert (kept["pixels"] > 0, kept["prototypes"] > 0, kept["threshold"] > 0) == (True, True, True)
    text = run("inspect", model).stdout
    assert f"{kept['pixels']} reference pixels, dissimilarity index up to {kept['threshold']:.3g} is inside" in text
    for part in ("--hsi (5 of 5 bands, uint16)", "5 x 5 px of 10 x 10", "seed 0", "polygons", "OA ", "forest", "80"):
        assert part in text
    renamed = tmp_path / "weights.bin"
    renamed.write_bytes(model.read_bytes())
    assert describe(renamed)["kind"] == "model"


@pytest.mark.parametrize("refitted", [True, False])
def test_the_figures_of_a_refitted_model_belong_to_the_run_before(model: Path, refitted: bool) -> None:
    description = describe(model)
    description["training"].update(refitted=refitted, refit_epochs=3 if refitted else None)
    stream = io.StringIO()
    print_description(description, Console(file=stream, width=160))
    assert "OA " in stream.getvalue()
    assert (", before the final training on all labels" in stream.getvalue()) is refitted
    assert ("epochs on" in stream.getvalue()) is refitted
    assert (" pixels, then trained on all labels for 3 more, seed 0" in stream.getvalue()) is refitted


def test_without_validation_the_figures_of_a_model_are_the_ensembles(model: Path) -> None:
    description = describe(model)
    validated = io.StringIO()
    print_description(description, Console(file=validated, width=160))
    assert "cross-validation" not in validated.getvalue()
    description["training"]["validation"] = None
    few_labels = io.StringIO()
    print_description(description, Console(file=few_labels, width=160))
    accuracy = description["training"]["cross_validation"]["overall_accuracy"]
    assert f"cross-validation  OA {accuracy:.3f}, " in few_labels.getvalue()
    assert "of the ensemble that taught the network" in few_labels.getvalue()
    description["training"]["cross_validation"] = None
    print_description(description, Console(file=io.StringIO()))


def test_a_model_of_few_labels_shows_its_teachers_figures(model: Path) -> None:
    description = describe(model)
    description["training"]["validation"] = None
    stream = io.StringIO()
    print_description(description, Console(file=stream, width=160))
    assert re.search(r"cross-validation +OA \d\.\d+, .*, of the ensemble that taught the network", stream.getvalue())


def test_doubts_name_options_by_their_flags(scene: Scene) -> None:
    description = {**describe(scene.hsi), "doubts": ["a.nc declares too little; name it with `nodata`"]}
    stream = io.StringIO()
    print_description(description, Console(file=stream, width=160))
    assert "name it with --nodata" in stream.getvalue()


def test_a_name_of_gdals_own_keeps_its_slashes(scene: Scene) -> None:
    assert describe(f"vrt://{scene.hsi}")["path"] == f"vrt://{scene.hsi}"


def test_a_vector_file(run: Run, scene: Scene) -> None:
    answer = json.loads(run("inspect", scene.labels, "--json").stdout)
    assert (answer["kind"], answer["driver"]) == ("vector", "GPKG")
    (layer,) = answer["layers"]
    assert (layer["name"], layer["features"], layer["geometry"], layer["crs"]) == ("labels", 15, "Polygon", CRS_CODE)
    assert layer["fields"] == [{"name": "class", "type": "object"}]
    left, bottom, right, top = layer["bounds"]
    assert left < right
    assert bottom < top
    shown = " ".join(run("inspect", scene.labels).stdout.split())
    for part in ("labels.gpkg (GPKG)", "features 15, Polygon", f"CRS {CRS_CODE}", "fields class (text)"):
        assert part in shown


def test_layers_and_tables(tmp_path: Path) -> None:
    points = gpd.GeoDataFrame({"id": [1, 2]}, geometry=[shapely.Point(1, 2), shapely.Point(3, 5)], crs=CRS_CODE)
    points.to_file(tmp_path / "two.gpkg", layer="a")
    points.iloc[:1].to_crs("EPSG:4326").to_file(tmp_path / "two.gpkg", layer="b")
    layers = describe(tmp_path / "two.gpkg")["layers"]
    assert [(layer["name"], layer["features"], layer["crs"]) for layer in layers] == [
        ("a", 2, CRS_CODE),
        ("b", 1, "EPSG:4326"),
    ]
    points.to_parquet(tmp_path / "points.parquet")
    (layer,) = describe(tmp_path / "points.parquet")["layers"]
    assert (layer["features"], layer["geometry"], layer["crs"]) == (2, "Point", CRS_CODE)
    assert layer["bounds"] == [1, 2, 3, 5]
    assert layer["fields"] == [{"name": "id", "type": "int64"}]
    (tmp_path / "points.csv").write_text("x,y,class\n1,2,a\n3,5,b\n", encoding="utf-8")
    description = describe(tmp_path / "points.csv")
    (layer,) = description["layers"]
    assert (description["driver"], layer["features"], layer["geometry"]) == ("CSV", 2, "Point")
    assert [field["name"] for field in layer["fields"]] == ["x", "y", "class"]
    stream = io.StringIO()
    print_description(description, Console(file=stream, width=100))
    assert "extent    unknown" in stream.getvalue()


def test_what_cannot_be_described(tmp_path: Path) -> None:
    with pytest.raises(RasterError, match="does not exist"):
        describe(tmp_path / "none.tif")
    with pytest.raises(RasterError, match="is a folder"):
        describe(tmp_path)
    with pytest.raises(ModelFileError, match="there is no model file"):
        describe(tmp_path / "none.s2fin")
    (tmp_path / "noise.gpkg").write_bytes(b"noise")
    with pytest.raises(InputError, match=r"noise\.gpkg cannot be read as a vector file"):
        describe(tmp_path / "noise.gpkg")
    (tmp_path / "noise.s2fin").write_bytes(b"noise")
    with pytest.raises(ModelFileError, match="damaged"):
        describe(tmp_path / "noise.s2fin")


def test_words_on_the_terminal(run: Run, tmp_path: Path) -> None:
    path = write_raster(tmp_path / "one.tif", np.ones((1, 8, 8), np.uint8), nodata=0)
    shown = " ".join(run("inspect", path).stdout.split())
    assert "1 band of uint8" in shown
    assert "nodata 0 " in shown
    values = {"a": [1], "b": [0.5], "c": ["x"], "d": pd.to_datetime(["2024-01-01"]), "e": [True]}
    frame = gpd.GeoDataFrame(values, geometry=[shapely.Point(1, 2)], crs=CRS_CODE)
    frame.to_file(tmp_path / "a.gpkg", layer="a")
    pyogrio.write_dataframe(pd.DataFrame({"style": ["x"]}), tmp_path / "a.gpkg", layer="layer_styles")
    shown = " ".join(run("inspect", tmp_path / "a.gpkg").stdout.split())
    assert "a (whole number), b (number), c (text), d (date), e (true or false)" in shown
    assert "layer_styles" not in shown
