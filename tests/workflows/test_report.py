"""`s2fin report`, and the reports of `train` and `classify`: what they gather, and what they do without."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.transform import rowcol

import s2fin_cli
from s2fin_cli.core.errors import ModelFileError, OutputError, RasterError, UsageError
from s2fin_cli.inference.uncertainty import BANDS
from s2fin_cli.model.file import read_info, read_model, write_model
from s2fin_cli.raster.class_names import read_run
from s2fin_cli.workflows.assemble import run as run_assemble
from s2fin_cli.workflows.classify import ClassifyResult
from s2fin_cli.workflows.classify import run as classify
from s2fin_cli.workflows.options.assemble import AssembleOptions
from s2fin_cli.workflows.options.classify import ClassifyOptions
from s2fin_cli.workflows.options.report import ReportOptions
from s2fin_cli.workflows.report import run as run_report
from s2fin_cli.workflows.train import run as run_train
from tests.files import write_raster
from tests.maps import run_classify
from tests.recipes import QUICK
from tests.reporting.pages import Page
from tests.scenes import NAMES, Run, Scene, tiny_options


def read_page(path: Path) -> Page:
    return Page.of(path.read_text(encoding="utf-8"))


def layers_of(page: Page) -> list[str]:
    return [layer["key"] for layer in page.data["pictures"]["layers"]]


def copied(result: ClassifyResult, folder: Path) -> Path:
    """A map alone in another folder."""
    for path in result.outputs.map.parent.glob("map.tif*"):
        shutil.copy(path, folder)
    return folder / "map.tif"


def test_a_map_tells_what_its_report_shows(result: ClassifyResult, scene: Scene, model: Path, tmp_path: Path) -> None:
    outputs = result.outputs
    path = tmp_path / "report.html"
    options = ReportOptions(map=outputs.map, confidence=outputs.confidence, reference=scene.labels, output=path)
    found = run_report(options)
    page = read_page(path)
    assert page.data == found.report.to_dict()
    assert layers_of(page) == ["hsi", "lidar", "map", "confidence"]
    assert {c["name"]: c["pixels"] for c in page.data["classes"]} == {
        name: result.pixels[class_id] for class_id, name in NAMES.items()
    }
    with rasterio.open(outputs.map) as src:
        ids = src.read(1)
    with rasterio.open(str(outputs.confidence)) as src:
        confidence = src.read(1)
    for entry in page.data["classes"]:
        assert entry["area_m2"] == pytest.approx(100 * entry["pixels"], rel=1e-3)
        assert entry["mean_confidence"] == pytest.approx(float(confidence[ids == entry["id"]].mean()), abs=1e-4)
    info = read_info(model)
    training = page.data["training"]
    assert training["validation"]["overall_accuracy"] == info.training["validation"]["overall_accuracy"]
    labelled = info.training["labelled_pixels"].items()
    assert training["labelled_pixels"] == [{"name": name, "pixels": count} for name, count in labelled]
    assert [run["command"] for run in page.data["runs"]] == ["train", "classify", "report"]
    assert page.data["runs"][2]["again"] == (
        f"s2fin report --map {outputs.map} --confidence {outputs.confidence} --reference {scene.labels} --output {path}"
    )
    assert all(len(file["sha256"]) == 64 for run in page.data["runs"] for file in run["files"])
    assert page.data["runs"][1]["again"] == (
        f"s2fin classify --hsi {scene.hsi} --lidar {scene.lidar} --model {model} --output {outputs.map}"
    )
    assert page.data["reliability"]["n"] == page.data["n"] == found.report.accuracy.n  # type: ignore[union-attr]
    assert "was trained on about 80.0 % of them" in page.data["findings"]["summary"]
    assert any("the model of" in text for text in page.data["warnings"])


def test_the_values_of_the_classes_are_those_of_the_images(scene: Scene, model: Path) -> None:
    findings = read_info(model).findings
    assert findings is not None
    with rasterio.open(scene.hsi) as src:
        image = src.read().astype(float)
    hsi, lidar = findings["values"]
    assert (hsi["modality"], hsi["indexes"], lidar["modality"], lidar["indexes"]) == (
        "hsi",
        [1, 2, 3, 4, 5],
        "lidar",
        [1],
    )
    for class_id, entry in zip(NAMES, hsi["classes"], strict=True):
        inside = image[:, scene.truth == class_id]
        assert 0 < entry["pixels"] <= 200
        assert entry["mean"] == pytest.approx(inside.mean(axis=1), abs=2.5)
        assert entry["std"] == pytest.approx(inside.std(axis=1), abs=2.5)
    assert [round(entry["mean"][0]) for entry in lidar["classes"]] == [18, 1, -2]
    weights = [member["weight"] for member in findings["members"]]
    assert sum(weights) == pytest.approx(1, abs=1e-3)
    assert [len(part) for part in findings["losses"]] == [4]
    assert findings["reliability"]["n"] == read_info(model).training["validation_pixels"]
    assert len(json.dumps(findings)) < 8_000


def test_the_command_line_writes_prints_and_keeps(run: Run, result: ClassifyResult, tmp_path: Path) -> None:
    done = run("report", "--map", result.outputs.map)
    assert done.exit_code == 0
    assert "report: report.html" in done.stderr
    for text in ("labelled pixels", *NAMES.values(), "share %"):
        assert text in done.stdout
    again = run("report", "--map", result.outputs.map)
    assert again.exit_code == 1
    assert "report.html already exists; give --overwrite" in again.stderr
    printed = run("report", "--map", result.outputs.map, "-o", "report.json", "--json", "-q")
    assert printed.exit_code == 0
    values = json.loads(printed.stdout)
    assert values.pop("output") == "report.json"
    assert values == json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    for name in ("report.csv", "report.md"):
        assert run("report", "--map", result.outputs.map, "-o", name, "-q").exit_code == 0
    rows = (tmp_path / "report.csv").read_text(encoding="utf-8").splitlines()
    assert rows[0] == "class_id,class_name,pixels,share,area_m2"
    assert len(rows) == 1 + len(NAMES)
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "## Areas" in text
    assert "    s2fin train --hsi" in text


def test_a_stratified_reference_gives_margins(run: Run, result: ClassifyResult, scene: Scene, tmp_path: Path) -> None:
    drawn = run("sample", "--map", result.outputs.map, "-o", "points.gpkg", "--size", 90, "--least", 20)
    assert drawn.exit_code == 0, drawn.stderr
    points = gpd.read_file("points.gpkg", layer="sample")
    with rasterio.open(result.outputs.map) as src:
        rows, cols = rowcol(src.transform, points.geometry.x.tolist(), points.geometry.y.tolist())
    points["class"] = [NAMES[int(scene.truth[int(r), int(c)])] for r, c in zip(rows, cols, strict=True)]
    points.to_file("points.gpkg", layer="sample")
    done = run("report", "--map", result.outputs.map, "--reference", "points.gpkg", "--stratified")
    assert done.exit_code == 0, done.stderr
    page = read_page(tmp_path / "report.html")
    adjusted = page.data["area_adjusted"]
    assert adjusted["overall_accuracy"]["margin_95"] is not None
    shown = [e.attributes.get("data-at") for e in page.elements]
    assert "/area_adjusted/classes/0/area/margin_95" in shown
    assert "of its area" in page.data["findings"]["summary"]
    evaluated = json.loads(
        run("evaluate", "--map", result.outputs.map, "--reference", "points.gpkg", "--stratified", "--json").stdout
    )
    assert adjusted == evaluated["area_adjusted"]
    several = ("--reference", scene.labels, "--reference", "points.gpkg")
    assert run("report", "--map", result.outputs.map, *several, "-o", "both.json", "-q").exit_code == 0
    both = json.loads((tmp_path / "both.json").read_text(encoding="utf-8"))
    assert both["reference"] == f"{scene.labels}, points.gpkg"
    assert [file["option"] for file in both["runs"][-1]["files"]] == ["map", "reference", "reference"]


def test_training_and_classification_write_their_own_reports(scene: Scene, tmp_path: Path) -> None:
    options = tiny_options(scene, tmp_path / "m.s2fin", epochs=1, report=tmp_path / "training.html", refit=True)
    trained = run_train(options, recipe=QUICK)
    assert trained.report == tmp_path / "training.html"
    page = read_page(tmp_path / "training.html")
    assert layers_of(page) == ["hsi", "lidar", "labels"]
    assert [len(part) for part in page.data["training"]["losses"]] == [1, 1]
    assert "labelled pixels held out of training" in page.data["findings"]["summary"]
    found = run_classify(scene, trained.model, tmp_path / "map.tif", report=tmp_path / "map.html", vector=False)
    assert found.outputs.report == tmp_path / "map.html"
    assert {p.name for p in tmp_path.iterdir()} == {
        "m.s2fin", "training.html", "map.tif", "map.tif.aux.xml", "map.qml", "map.html",
    }  # fmt: skip
    page = read_page(tmp_path / "map.html")
    assert layers_of(page) == ["hsi", "lidar", "map", "confidence"]
    assert all(0 < entry["mean_confidence"] <= 1 for entry in page.data["classes"])
    with pytest.raises(OutputError, match=r"map.html already exists"):
        run_classify(scene, trained.model, tmp_path / "other.tif", report=tmp_path / "map.html")
    with pytest.raises(UsageError, match=r"the name of a report ends in"):
        run_classify(scene, trained.model, tmp_path / "other.tif", report=tmp_path / "map.txt")
    with pytest.raises(UsageError, match=r"the name of a report ends in"):
        run_train(replace(options, output=tmp_path / "n.s2fin", report=tmp_path / "training.pdf"), recipe=QUICK)


def test_what_a_map_was_made_with_is_not_read_again_for_its_report(scene: Scene, model: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copy(model, tmp_path / "copy.s2fin"))
    output, report = tmp_path / "map.tif", tmp_path / "map.json"
    options = ClassifyOptions(**scene.images, model=copy, output=output, report=report, device="cpu", vector=False)

    def remove(stage: str, done: int, total: int, **figures: float) -> None:
        copy.unlink(missing_ok=True)

    classify(options, progress=remove)
    assert not copy.exists()
    own = json.loads(report.read_text(encoding="utf-8"))
    again = run_report(ReportOptions(map=output, model=model, output=tmp_path / "again.json")).report.to_dict()
    assert own["training"] == again["training"]
    for one, other in zip(own["classes"], again["classes"], strict=True):
        assert (one["id"], one["pixels"]) == (other["id"], other["pixels"])
        assert one["area_m2"] == pytest.approx(other["area_m2"], rel=1e-6)


def test_where_a_map_looks_unlike_the_training_data(
    scene: Scene, model: Path, result: ClassifyResult, tmp_path: Path
) -> None:
    other, made, found = write_raster(tmp_path / "other.tif", changed(scene.hsi)), "made.html", "report.html"
    paths = {"uncertainty": tmp_path / "u.tif", "confidence": tmp_path / "c.tif", "report": tmp_path / made}
    map_path = run_classify(replace(scene, hsi=other), model, tmp_path / "map.tif", vector=False, **paths).outputs.map
    run_report(
        ReportOptions(
            map=map_path, uncertainty=paths["uncertainty"], confidence=paths["confidence"], output=tmp_path / found
        )
    )
    with rasterio.open(map_path) as src, rasterio.open(paths["uncertainty"]) as measured:
        ids, dissimilarity = src.read(1), measured.read(4)
    shares = {int(i): float((dissimilarity[ids == i] > 1).mean()) for i in np.unique(ids)}
    assert max(shares.values()) > 0.5
    for name in (made, found):
        page = read_page(tmp_path / name)
        assert layers_of(page) == ["hsi", "lidar", "map", "confidence", "dissimilarity"]
        for entry in page.data["classes"]:
            if entry["id"] in shares:
                assert entry["outside_share"] == pytest.approx(shares[entry["id"]], abs=1e-3)
        assert any("look unlike all training data" in text for text in page.data["findings"]["label_next"])
    with pytest.raises(
        RasterError, match=r"c.tif does not have the bands entropy, margin, disagreement, dissimilarity"
    ):
        run_report(ReportOptions(map=result.outputs.map, uncertainty=paths["confidence"], output=tmp_path / "x.html"))


def test_figures_of_classes_are_of_all_pixels_of_a_map_larger_than_its_picture(tmp_path: Path) -> None:
    ids = np.ones((2, 3000), np.uint8)
    ids[:, 1500:] = 2
    ids[:, 2999] = 0
    measured = np.zeros((4, *ids.shape), np.float32)
    measured[3, :, 0:1500:3] = 5  # whose average with its neighbours, which a picture shows, is above 1
    measured[3, :, 1500:1530] = np.inf
    measured[3, :, 2999] = 9
    confidence = np.full(ids.shape, 0.5, np.float32)
    confidence[:, 1498:1502] = 1
    confidence[:, 2999] = np.nan
    map_path = write_raster(tmp_path / "map.tif", ids, nodata=0)
    unlike = write_raster(tmp_path / "u.tif", measured, nodata=np.nan)
    sure = write_raster(tmp_path / "c.tif", confidence, nodata=np.nan)
    with rasterio.open(unlike, "r+") as dst:
        dst.descriptions = BANDS
        dst.build_overviews([2, 4], Resampling.average)
    run_report(ReportOptions(map=map_path, uncertainty=unlike, confidence=sure, output=tmp_path / "r.json"))
    one, two = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))["classes"]
    assert (one["outside_share"], two["outside_share"]) == (0.3333, round(30 / 1499, 4))
    means = (1502 / 3000, (0.5 * 1497 + 2) / 1499)
    assert (one["mean_confidence"], two["mean_confidence"]) == pytest.approx(means, abs=1e-4)


def changed(image: Path) -> NDArray[np.float32]:
    """An image whose right half looks like nothing in the labels."""
    with rasterio.open(image) as src:
        values: NDArray[np.float32] = src.read()
    values[:, :, 40:] = values[:, :, 40:].max() * 2 - values[:, :, 40:]
    return values


def test_a_map_in_shards_records_the_same_run(
    result: ClassifyResult, scene: Scene, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = run_classify(scene, model, tmp_path / "map.tif", work=tmp_path / "work", vector=False)
    own = read_run(found.outputs.map)
    assert own is not None
    assert own == read_run(result.outputs.map)
    assert {file.option for file in own.files} == {"hsi", "lidar", "model"}
    assert all(file.size and file.sha256 for file in own.files)
    monkeypatch.chdir(scene.folder)
    near = replace(scene, hsi=Path(scene.hsi.name), lidar=Path(scene.lidar.name))
    run_classify(near, model, tmp_path / "near.tif", work=tmp_path / "near", vector=False, on_read_error="skip")
    assert read_run(tmp_path / "near.tif") == own, "paths are absolute"
    run_assemble(AssembleOptions(work=tmp_path / "near", output=tmp_path / "again.tif", vector=False))
    assert (tmp_path / "again.tif").read_bytes() == (tmp_path / "near.tif").read_bytes()
    optimised = run_classify(scene, model, tmp_path / "cog.tif", format="COG", vector=False)
    assert read_run(optimised.outputs.map) == own


def test_files_that_are_gone_are_done_without(result: ClassifyResult, tmp_path: Path) -> None:
    map_path = copied(result, tmp_path)
    with rasterio.open(map_path, "r+") as dst:
        run = json.loads(dst.tags()["S2FIN_RUN"])
        for file in run["files"]:
            file["path"] = f"gone/{file['path'].rpartition('/')[2]}"
        dst.update_tags(S2FIN_RUN=json.dumps(run))
    run_report(ReportOptions(map=map_path, output=tmp_path / "report.html"))
    page = read_page(tmp_path / "report.html")
    assert layers_of(page) == ["map"]
    assert "training" not in page.data
    assert sum("is not shown" in element.text for element in page.all("p")) == 2


def test_files_in_the_folder_of_the_map_are_found(result: ClassifyResult, scene: Scene, tmp_path: Path) -> None:
    map_path = copied(result, tmp_path)
    shutil.copy(scene.hsi, tmp_path / "hsi.tif")
    shutil.copy(result.model, tmp_path / "moved.s2fin")
    (tmp_path / "lidar.tif").write_bytes(b"other")
    with rasterio.open(map_path, "r+") as dst:
        run = json.loads(dst.tags()["S2FIN_RUN"])
        for file, name in zip(run["files"], ("hsi.tif", "lidar.tif", "moved.s2fin"), strict=True):
            file["path"] = f"gone/{name}"
        dst.update_tags(S2FIN_RUN=json.dumps(run))
    run_report(ReportOptions(map=map_path, output=tmp_path / "report.html"))
    page = read_page(tmp_path / "report.html")
    assert layers_of(page) == ["hsi", "map"]
    assert page.data["training"]["epochs"] == 4


def test_maps_and_models_of_other_software_or_earlier_versions(scene: Scene, model: Path, tmp_path: Path) -> None:
    plain = write_raster(tmp_path / "plain.tif", scene.truth.astype(np.uint8), nodata=0)
    run_report(ReportOptions(map=plain, msi=scene.hsi, output=tmp_path / "report.html"))
    page = read_page(tmp_path / "report.html")
    assert layers_of(page) == ["msi", "map"]
    assert [c["name"] for c in page.data["classes"]] == ["1", "2", "3"]
    assert len({c["color"] for c in page.data["classes"]}) == 3, "a map without a colour table gets colours"
    assert page.data["pictures"]["layers"][0]["title"] == "Multispectral image"
    network, info = read_model(model)
    earlier = tmp_path / "earlier.s2fin"
    write_model(earlier, network, info=replace(info, findings=None))
    assert read_info(earlier).findings is None
    result = run_classify(scene, earlier, tmp_path / "map.tif", vector=False)
    run_report(ReportOptions(map=result.outputs.map, output=tmp_path / "earlier.html"))
    page = read_page(tmp_path / "earlier.html")
    assert page.data["training"]["validation"]["n"] == info.training["validation_pixels"]
    assert page.data["training"]["losses"] == []
    assert [run["command"] for run in page.data["runs"]] == ["classify", "report"]


def test_an_image_of_another_place_is_not_shown(result: ClassifyResult, tmp_path: Path) -> None:
    far = write_raster(tmp_path / "far.tif", np.ones((3, 4, 5), np.float32), transform=Affine(10, 0, 9e5, 0, -10, 9e5))
    report = run_report(ReportOptions(map=result.outputs.map, hsi=far, output=tmp_path / "r.html")).report
    assert any("far.tif: it has no data where the map is" in text for text in report.all_warnings)
    assert layers_of(read_page(tmp_path / "r.html")) == ["lidar", "map"]


def test_another_model_is_told_from_the_one_that_made_the_map(
    result: ClassifyResult, wide_model: Path, tmp_path: Path
) -> None:
    report = run_report(ReportOptions(map=result.outputs.map, model=wide_model, output=tmp_path / "r.html")).report
    (text,) = [text for text in report.all_warnings if "its checksum differs" in text]
    assert text.startswith(f"{wide_model} is not the model that made {result.outputs.map}")


def test_what_cannot_be_reported(result: ClassifyResult, scene: Scene, tmp_path: Path) -> None:
    map_path, output = result.outputs.map, tmp_path / "report.html"
    small = write_raster(tmp_path / "small.tif", np.ones((3, 4), np.float32))
    for name in ("confidence", "uncertainty"):
        with pytest.raises(RasterError, match=rf"small.tif is not on the grid of .*; give the {name} that was written"):
            run_report(replace(ReportOptions(map=map_path, output=output), **{name: small}))  # type: ignore[arg-type]
    with rasterio.open(result.outputs.confidence) as src:
        percent, where = 100 * src.read(), src.transform
    wrong = {
        r"percent.tif holds \S+ at row 0, column 0, and a confidence is from 0 to 1": percent,
        r"percent.tif has 3 bands, and a confidence has one": np.repeat(percent / 100, 3, axis=0),
        r"percent.tif holds -1 at row 0, column 0": np.full_like(percent, -1),
    }
    for message, values in wrong.items():
        path = write_raster(tmp_path / "percent.tif", values, transform=where)
        with pytest.raises(RasterError, match=message):
            run_report(ReportOptions(map=map_path, confidence=path, output=output))
    with pytest.raises(RasterError, match=r"map.tif holds 2 at .*, and a confidence is from 0 to 1; give the raster"):
        run_report(ReportOptions(map=map_path, confidence=map_path, output=output))
    empty = write_raster(tmp_path / "empty.tif", np.zeros((3, 4), np.uint8), nodata=0)
    with pytest.raises(RasterError, match=r"holds no class, so there is nothing to report"):
        run_report(ReportOptions(map=empty, output=output))
    with pytest.raises(RasterError, match=r"none.tif does not exist"):
        run_report(ReportOptions(map=map_path, lidar=tmp_path / "none.tif", output=output))
    with pytest.raises(UsageError, match=r"give one with `reference`"):
        ReportOptions(map=map_path, stratified=True)
    table = shutil.copy(scene.labels, tmp_path / "labels.json")
    with pytest.raises(UsageError, match=r"is an input, which would be lost"):
        run_report(ReportOptions(map=map_path, reference=table, output=table, overwrite=True))
    assert not output.exists()


def test_a_maps_record_makes_no_machine_ask_another_one(result: ClassifyResult, tmp_path: Path) -> None:
    map_path = copied(result, tmp_path)
    with rasterio.open(map_path, "r+") as dst:
        run = json.loads(dst.tags()["S2FIN_RUN"])
        run["files"][0]["path"] = "/vsicurl/http://192.0.2.1/image.tif"
        dst.update_tags(S2FIN_RUN=json.dumps(run))
    run_report(ReportOptions(map=map_path, output=tmp_path / "report.html"))
    page = read_page(tmp_path / "report.html")
    assert layers_of(page) == ["lidar", "map"]
    assert any("image.tif is no file of this machine; give it as --hsi" in element.text for element in page.all("p"))


def test_a_model_that_a_map_names_and_that_is_damaged_is_done_without(result: ClassifyResult, tmp_path: Path) -> None:
    map_path = copied(result, tmp_path)
    (tmp_path / "bad.s2fin").write_bytes(b"no model")
    with rasterio.open(map_path, "r+") as dst:
        run = json.loads(dst.tags()["S2FIN_RUN"])
        run["files"][-1] = {"option": "model", "path": "bad.s2fin", "size": 8, "sha256": None}
        dst.update_tags(S2FIN_RUN=json.dumps(run))
    report = run_report(ReportOptions(map=map_path, output=tmp_path / "report.html")).report
    assert report.training is None
    (text,) = report.all_warnings
    assert text.startswith("the report does not show how the model was trained: ")
    assert "bad.s2fin is not a model file" in text
    with pytest.raises(ModelFileError, match=r"bad\.s2fin is not a model file"):
        run_report(ReportOptions(map=map_path, model=tmp_path / "bad.s2fin", output=tmp_path / "other.html"))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_maps_record_makes_no_report_wait_for_a_pipe(result: ClassifyResult, tmp_path: Path) -> None:
    map_path = copied(result, tmp_path)
    os.mkfifo(tmp_path / "pipe.tif")
    with rasterio.open(map_path, "r+") as dst:
        run = json.loads(dst.tags()["S2FIN_RUN"])
        for file in run["files"]:
            file |= {"path": str(tmp_path / "pipe.tif"), "size": None}
        dst.update_tags(S2FIN_RUN=json.dumps(run))
    run_report(ReportOptions(map=map_path, output=tmp_path / "report.html"))
    assert layers_of(read_page(tmp_path / "report.html")) == ["map"]


@pytest.mark.parametrize("text", ["", "[]", "{", '{"command": 1}', '{"command": "x", "files": [1], "options": 2}'])
def test_a_record_that_cannot_be_read_is_none(result: ClassifyResult, tmp_path: Path, text: str) -> None:
    map_path = copied(result, tmp_path)
    with rasterio.open(map_path, "r+") as dst:
        dst.update_tags(S2FIN_RUN=text)
    assert read_run(map_path) is None
    run_report(ReportOptions(map=map_path, output=tmp_path / "report.json"))


def test_what_is_written_of_a_run_is_without_the_signatures_of_its_urls(scene: Scene, tmp_path: Path) -> None:
    # GDAL takes a name like this one for one of its own, as it does with URLs, and needs no server for it
    inputs, outputs = tmp_path / "inputs", tmp_path / "outputs"
    signed = {}
    for folder in (inputs, outputs):
        folder.mkdir()
    for name, path in {**scene.images, "map": None}.items():
        signed[name] = f"/vsisubfile/0,{inputs}/{name}.tif?sig=SECRET"
        if path is not None:
            shutil.copy(path, inputs / f"{name}.tif?sig=SECRET")
    images: dict[str, Any] = {name: signed[name] for name in scene.images}
    model = outputs / "model.s2fin"
    run_train(tiny_options(scene, model, **images, epochs=1, report=outputs / "train.html"), recipe=QUICK)
    made = run_classify(scene, model, outputs / "map.tif", **images, stac=True, report=outputs / "map.html")
    shutil.copy(made.outputs.map, inputs / "map.tif?sig=SECRET")
    again = outputs / "again.html"
    run_report(ReportOptions(map=signed["map"], reference=scene.labels, output=again, **images))
    assessed = outputs / "assessed.html"
    s2fin_cli.evaluate(map=made.outputs.map, reference=signed["map"], output=assessed)
    assert len(os.listdir(outputs)) >= 7
    for path in outputs.iterdir():
        assert b"SECRET" not in path.read_bytes(), path.name
    assert f"/vsisubfile/0,{inputs}/hsi.tif" in again.read_text(encoding="utf-8")
