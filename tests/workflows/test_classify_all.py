"""Many scenes with one model: each gets its map, a bad one does not stop the others, and runs are continued."""

from __future__ import annotations

import csv
import json
import logging
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import s2fin_cli
from s2fin_cli.core.errors import InputError, OutputError, UsageError
from s2fin_cli.core.progress import Stop, Stopped
from s2fin_cli.scenes.records import Records
from s2fin_cli.shards.sealing import sealed, unsealed
from s2fin_cli.workflows.classify import ClassifyResult
from s2fin_cli.workflows.classify_all import ClassifyAllResult
from tests.files import write_raster
from tests.reporting.pages import Page
from tests.scenes import Scene, make_image
from tests.workflows.sharding import check_same_map, names, options_of, running, wait_until
from tests.workflows.test_area_of_interest import SHAPES, write_area

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.scenes import Run


def write_table(path: Path, *rows: dict[str, Any]) -> Path:
    """A table of scenes, with all columns that any of them has."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.fixture(scope="module")
def rows(scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Scenes by name: four good ones, and one for each thing that can be wrong with one."""
    folder = tmp_path_factory.mktemp("images")
    image = make_image(scene.truth, seed=7)
    other, bands = write_raster(folder / "other.tif", image), write_raster(folder / "bands.tif", image[:3])
    empty = write_raster(folder / "empty.tif", np.zeros_like(image), nodata=0)
    area = write_area(folder / "area.gpkg", *SHAPES)
    good = {"hsi": scene.hsi, "lidar": scene.lidar}
    return {
        "north": {"name": "north", **good},
        "other side": {"name": "other side", **good, "hsi": other},
        "part": {"name": "part", **good, "aoi": area},
        "again": {"name": "again", **good},
        "gone": {"name": "gone", **good, "lidar": folder / "gone.tif"},
        "bands": {"name": "bands", **good, "hsi": bands},
        "empty": {"name": "empty", **good, "hsi": empty},
        "alone": {"name": "alone", "hsi": scene.hsi},
        "no image": {"name": "no image", "lidar": scene.lidar},
    }


GOOD = ("north", "other side", "part")
BAD = {
    "gone": "gone.tif does not exist",
    "bands": "the model was trained on 5 bands of `hsi`",
    "empty": "no pixel has data in all images",
    "alone": "the model needs `hsi` and `lidar`; `lidar` is missing",
    "no image": "no passive image was given",
}


@pytest.fixture(scope="module")
def expected(
    scene: Scene, model: Path, rows: dict[str, dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, ClassifyResult]:
    """The maps of the good scenes as `classify` makes them one by one."""
    folder, found = tmp_path_factory.mktemp("single"), {}
    for name in GOOD:
        images = {key: value for key, value in rows[name].items() if key != "name"}
        given = options_of(scene, model, folder / f"{name}.tif", confidence=folder / f"{name}_c.tif", **images)
        found[name] = s2fin_cli.classify(**given)
    return found


def given(folder: Path, model: Path, *rows: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Keywords of a run whose maps have their confidence."""
    table = write_table(folder / "list.csv", *rows)
    how = {"with_confidence": True, "device": "cpu", **changes}
    return {"scenes": table, "output": folder / "maps", "model": model, **how}


def check_maps(folder: Path, result: ClassifyAllResult, expected: dict[str, ClassifyResult]) -> None:
    """The maps of a folder are those of single runs, and the result and the report say what they hold."""
    by_name = {scene.name: scene for scene in result.scenes}
    for name, single in expected.items():
        outputs = single.outputs.at(
            [folder / f"{name}{suffix}" for suffix in (".tif", ".qml", ".gpkg", "_confidence.tif")]
        )
        assert by_name[name].outputs == {
            key: None if path is None else str(path) for key, path in vars(outputs).items()
        }
        assert by_name[name].classes == single.to_dict()["classes"]
        found = replace(single, outputs=outputs, nodata_pixels=by_name[name].nodata_pixels or 0)
        check_same_map(found, single)
    assert json.loads((folder / "scenes.json").read_text()) == result.to_dict()
    assert not [path for path in folder.rglob(".*") if path.name != ".scenes"]


def statuses(result: ClassifyAllResult) -> dict[str, str]:
    return {scene.name: scene.status for scene in result.scenes}


@pytest.mark.parametrize(
    "how",
    ["alone", *(pytest.param(how, marks=pytest.mark.slow) for how in ("work", "workers", "both"))],
)
def test_bad_scenes_do_not_stop_the_others(
    model: Path, rows: dict[str, dict[str, Any]], expected: dict[str, ClassifyResult], tmp_path: Path, how: str
) -> None:
    chosen = [rows[name] for name in ("gone", "north", "bands", "empty", "other side", "alone", "part", "no image")]
    keywords = given(tmp_path, model, *chosen)
    keywords |= {} if how in ("alone", "workers") else {"work": tmp_path / "run"}
    keywords |= {} if how == "alone" else {"shard_size": 48}
    keywords |= {"workers": 2} if how in ("workers", "both") else {}
    result = s2fin_cli.classify_all(**keywords)
    assert statuses(result) == {row["name"]: "failed" if row["name"] in BAD else "done" for row in chosen}
    for scene in result.failed:
        assert BAD[scene.name] in str(scene.error)
    check_maps(tmp_path / "maps", result, expected)
    files = {f"{name}{end}" for name in GOOD for end in (".tif", ".tif.aux.xml", ".qml", ".gpkg", "_confidence.tif")}
    assert names(tmp_path / "maps") == {*files, ".scenes", "scenes.json"}
    if "work" in keywords:
        assert names(tmp_path / "run") <= {"empty"}, "shards of finished maps are removed"


def test_reports_have_no_signatures(model: Path, rows: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    url = "https://127.0.0.1:9/a.tif"
    rows = {name: rows["north"] | {"name": name, "hsi": f"{url}?sig=SECRET"} for name in ("signed", "also signed")}
    result = s2fin_cli.classify_all(**given(tmp_path, model, *rows.values()))
    assert [url in str(scene.error) for scene in result.failed] == [True, True]
    assert "SECRET" not in (tmp_path / "maps/scenes.json").read_text()


def test_each_map_gets_its_report(model: Path, rows: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    keywords = given(tmp_path, model, rows["north"], with_report=True, with_confidence=False, vector=False)
    (scene,) = s2fin_cli.classify_all(**keywords).scenes
    assert names(tmp_path / "maps") == {
        "north.tif", "north.tif.aux.xml", "north.qml", "north.html", ".scenes", "scenes.json",
    }  # fmt: skip
    assert scene.outputs["report"] == str(tmp_path / "maps" / "north.html")
    page = Page.of((tmp_path / "maps" / "north.html").read_text(encoding="utf-8"))
    assert page.data["map"]["path"] == str(tmp_path / "maps" / "north.tif")
    assert statuses(s2fin_cli.classify_all(**keywords)) == {"north": "skipped"}
    with pytest.raises(InputError, match="`with_report` was True and is False now"):
        s2fin_cli.classify_all(**{**keywords, "with_report": False})


def times(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("*.[tgq]*")}


def test_the_same_command_makes_what_is_missing(
    model: Path, scene: Scene, rows: dict[str, dict[str, Any]], expected: dict[str, ClassifyResult], tmp_path: Path
) -> None:
    late = tmp_path / "late.tif"
    keywords = given(tmp_path, model, rows["north"], {**rows["other side"], "hsi": late})
    first = s2fin_cli.classify_all(**keywords)
    assert statuses(first) == {"north": "done", "other side": "failed"}
    before = times(tmp_path / "maps")
    shutil.copy(rows["other side"]["hsi"], late)
    second = s2fin_cli.classify_all(**keywords)
    assert statuses(second) == {"north": "skipped", "other side": "done"}
    assert second.scenes[0].classes == first.scenes[0].classes
    assert before.items() <= times(tmp_path / "maps").items()
    check_maps(tmp_path / "maps", second, {name: expected[name] for name in ("north", "other side")})
    for path in (tmp_path / "maps").glob("north*"):
        path.unlink()
    os.utime(late)  # the same contents
    third = s2fin_cli.classify_all(**{**keywords, "overwrite": True})
    assert statuses(third) == {"north": "done", "other side": "skipped"}
    check_maps(tmp_path / "maps", third, {name: expected[name] for name in ("north", "other side")})


def test_a_map_of_something_else_is_never_kept_silently(
    model: Path, wide_model: Path, scene: Scene, rows: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    hsi = tmp_path / "hsi.tif"
    shutil.copy(scene.hsi, hsi)
    keywords = given(tmp_path, model, {**rows["north"], "hsi": hsi}, rows["again"])
    s2fin_cli.classify_all(**keywords)
    before = times(tmp_path / "maps")
    for changes, message in (
        ({"model": wide_model}, "the checksum of the model was"),
        ({"smooth": True}, "`smooth` was False and is True now"),
        ({"stride": 1}, "`stride` was 3 and is 1 now"),
        ({"with_confidence": False}, "`with_confidence` was True and is False now"),
        ({"mmu": 4}, "`mmu` was 1 and is 4 now"),
    ):
        with pytest.raises(InputError, match=message):
            s2fin_cli.classify_all(**{**keywords, **changes})
    shutil.copy(rows["other side"]["hsi"], hsi)
    result = s2fin_cli.classify_all(**keywords)
    assert statuses(result) == {"north": "failed", "again": "skipped"}
    assert "was made of other images: the checksum of `hsi` hsi.tif was" in str(result.scenes[0].error)
    assert times(tmp_path / "maps") == before
    assert statuses(s2fin_cli.classify_all(**keywords, overwrite=True)) == {"north": "done", "again": "skipped"}
    assert statuses(s2fin_cli.classify_all(**keywords)) == {"north": "skipped", "again": "skipped"}
    for path in (tmp_path / "maps").glob("*.[tgq]*"):
        path.unlink()
    result = s2fin_cli.classify_all(**keywords, mmu=4)
    assert statuses(result) == {"north": "done", "again": "done"}, "where no map is, nothing is refused"


def test_a_finished_map_whose_images_are_gone_is_kept(
    model: Path, scene: Scene, rows: dict[str, dict[str, Any]], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    images = {name: shutil.copy(path, tmp_path) for name, path in scene.images.items()}
    keywords = given(tmp_path, model, {"name": "north", **images})
    s2fin_cli.classify_all(**keywords)
    os.unlink(images["lidar"])
    with caplog.at_level(logging.WARNING):
        assert statuses(s2fin_cli.classify_all(**keywords)) == {"north": "skipped"}
    assert "north.tif is kept, although what it was made of is missing" in caplog.text
    shutil.copy(rows["other side"]["hsi"], images["hsi"])
    result = s2fin_cli.classify_all(**keywords)
    assert statuses(result) == {"north": "failed"}
    assert "was made of other images" in str(result.scenes[0].error)


def test_shards_that_a_killed_run_left_of_a_finished_map_are_removed(
    model: Path, rows: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    keywords = given(tmp_path, model, rows["north"], work=tmp_path / "run", shard_size=48)

    def progress(stage: str, done: int, total: int, **figures: float) -> None:
        if stage == "assembling" and not (tmp_path / "copy").exists():
            shutil.copytree(tmp_path / "run" / "north", tmp_path / "copy")

    assert statuses(s2fin_cli.classify_all(**keywords, progress=progress)) == {"north": "done"}
    left = tmp_path / "run" / "north"
    shutil.copytree(tmp_path / "copy", left)
    (left / "notes.txt").touch()
    assert statuses(s2fin_cli.classify_all(**keywords)) == {"north": "skipped"}
    assert names(left) == names(tmp_path / "copy") | {"notes.txt"}
    (left / "notes.txt").unlink()
    plan = left / "plan.json"
    text = plan.read_text()
    values = unsealed(text)
    plan.write_text(sealed({**values, "facts": {**values["facts"], "`smooth`": True}}))
    assert statuses(s2fin_cli.classify_all(**keywords)) == {"north": "skipped"}
    assert names(left) == names(tmp_path / "copy"), "it belongs to another map"
    plan.write_text(text)
    assert statuses(s2fin_cli.classify_all(**keywords)) == {"north": "skipped"}
    assert not left.exists()


def test_a_map_that_another_run_finishes_meanwhile_has_not_failed(
    model: Path, rows: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    keywords = given(tmp_path, model, rows["north"], work=tmp_path / "run", shard_size=48)
    others: list[ClassifyAllResult] = []

    def progress(stage: str, done: int, total: int, **figures: float) -> None:
        if not others and (tmp_path / "run" / "north" / "00001.json").exists():
            others.append(s2fin_cli.classify_all(**keywords))

    result = s2fin_cli.classify_all(**keywords, progress=progress)
    assert [statuses(other) for other in others] == [{"north": "done"}]
    assert statuses(result) == {"north": "skipped"}
    assert result.scenes[0].classes == others[0].scenes[0].classes
    assert not (tmp_path / "run" / "north").exists()


def test_a_report_that_cannot_be_written_does_not_hide_why_the_run_ended(
    model: Path, rows: dict[str, dict[str, Any]], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stop = Stop()

    def progress(stage: str, done: int, total: int, **figures: float) -> None:
        if not stop.is_set:
            (tmp_path / "maps" / "scenes.json").mkdir()
            stop.set()

    with pytest.raises(Stopped), caplog.at_level(logging.WARNING):
        s2fin_cli.classify_all(**given(tmp_path, model, rows["north"]), progress=progress, stop=stop)
    assert "scenes.json cannot be written" in caplog.text


def test_foreign_files_stay(model: Path, rows: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    (tmp_path / "maps").mkdir()
    (tmp_path / "maps" / "north.gpkg").write_bytes(b"mine")
    keywords = given(tmp_path, model, rows["north"], rows["again"])
    result = s2fin_cli.classify_all(**keywords)
    assert statuses(result) == {"north": "failed", "again": "done"}
    assert "north.gpkg already exists" in str(result.scenes[0].error)
    assert (tmp_path / "maps" / "north.gpkg").read_bytes() == b"mine"


def test_a_report_of_something_else_stays(model: Path, rows: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    report = tmp_path / "maps" / "scenes.json"
    report.parent.mkdir()
    report.write_bytes(b"mine")
    keywords = given(tmp_path, model, rows["gone"])
    with pytest.raises(OutputError, match=r"scenes.json exists and is not the report of an earlier run"):
        s2fin_cli.classify_all(**keywords)
    assert report.read_bytes() == b"mine"
    assert names(tmp_path / "maps") == {"scenes.json"}
    for overwrite in (True, False):
        assert statuses(s2fin_cli.classify_all(**keywords, overwrite=overwrite)) == {"gone": "failed"}


def test_a_run_may_go_on_by_skipping_what_cannot_be_read(
    model: Path, rows: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    keywords = given(tmp_path, model, rows["north"])
    s2fin_cli.classify_all(**keywords)
    assert statuses(s2fin_cli.classify_all(**keywords, on_read_error="skip")) == {"north": "skipped"}
    records = Records.beside(tmp_path / "maps")
    record = records.read("north")
    assert record is not None
    records.keep("north", replace(record, values={**record.values, "unreadable": [{"bands": [1]}]}))
    assert statuses(s2fin_cli.classify_all(**keywords, on_read_error="skip")) == {"north": "skipped"}
    with pytest.raises(InputError, match=r"north.tif was made otherwise: `on_read_error` was skip and is fail now"):
        s2fin_cli.classify_all(**keywords)


def test_a_damaged_record_or_a_changed_map_is_noticed(
    model: Path, rows: dict[str, dict[str, Any]], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    keywords = given(tmp_path, model, rows["north"], rows["again"])
    s2fin_cli.classify_all(**keywords)
    record = tmp_path / "maps" / ".scenes" / "again.json"
    record.write_text(record.read_text().replace('"is_finished": true', '"is_finished": false'))
    with (tmp_path / "maps" / "north.tif").open("ab") as file:
        file.write(b"x")
    with caplog.at_level(logging.WARNING):
        result = s2fin_cli.classify_all(**keywords)
    assert statuses(result) == {"north": "skipped", "again": "failed"}
    assert f"north: {tmp_path / 'maps' / 'north.tif'} was changed since it was made, and is kept" in caplog.text
    assert "was changed since" in result.scenes[0].warnings[0]
    assert "again.tif already exists" in str(result.scenes[1].error)


def test_maps_of_other_versions_are_kept_on_request(
    model: Path, rows: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    keywords = given(tmp_path, model, rows["north"])
    first = s2fin_cli.classify_all(**keywords)
    records = Records.beside(tmp_path / "maps")
    record = records.read("north")
    assert record is not None
    records.keep("north", replace(record, settings={**record.settings, "the version of torch": "1.0"}))
    with pytest.raises(InputError, match=r"the version of torch was 1.0 and is .*, or keep them with `mixed=True`"):
        s2fin_cli.classify_all(**keywords)
    result = s2fin_cli.classify_all(**keywords, mixed=True)
    assert statuses(result) == {"north": "skipped"}
    assert result.scenes[0].seconds == round(first.scenes[0].seconds, 3) > 0
    assert statuses(s2fin_cli.classify_all(**keywords, overwrite=True)) == {"north": "done"}


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"name": "North"}, InputError, "have the same name, 'North'"),
        ({"name": "north_confidence"}, UsageError, "scene 'north_confidence' and scene 'north' would both be written"),
        ({"name": "scenes"}, UsageError, "scene 'scenes' and the report would both be written"),
        ({"name": "a/b"}, InputError, "it has the character '/'"),
        (
            {"name": "again", "lidar": "maps/north.tif"},
            UsageError,
            "would replace .*, which is an input of scene 'again'",
        ),
    ],
)
def test_names_that_collide_are_refused_before_any_work(
    model: Path,
    rows: dict[str, dict[str, Any]],
    tmp_path: Path,
    change: dict[str, Any],
    error: type[Exception],
    message: str,
) -> None:
    keywords = given(tmp_path, model, rows["north"], {**rows["again"], **change}, stac=True)
    with pytest.raises(error, match=message):
        s2fin_cli.classify_all(**keywords)
    assert names(tmp_path) == {"list.csv"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"vector_format": "dxf"}, "`vector_format` is 'dxf'"),
        ({"images": "hsi"}, "it must be MODALITY=FILES"),
        ({"with_confidence": False, "scaled": True}, "`scaled` applies to"),
        ({"shard_size": 48}, "apply to maps that are made with"),
        ({"stride": 2}, "`stride` is 2"),
        ({"output": "/vsimem/maps"}, "must be a folder on this machine"),
    ],
)
def test_options_that_make_no_sense(
    model: Path, rows: dict[str, dict[str, Any]], tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        s2fin_cli.classify_all(**{**given(tmp_path, model, rows["north"]), **changes})
    assert names(tmp_path) <= {"list.csv"}


def test_a_folder_that_cannot_be_made(model: Path, rows: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match=r"the folder .* cannot be used"):
        s2fin_cli.classify_all(**given(tmp_path, model, rows["north"], output=tmp_path / "file" / "maps"))


def test_a_folder_of_scenes_and_a_collection_of_items(
    model: Path, scene: Scene, expected: dict[str, ClassifyResult], tmp_path: Path
) -> None:
    for name in ("north", "b"):
        (tmp_path / "in" / name).mkdir(parents=True)
        shutil.copy(scene.hsi, tmp_path / "in" / name / "hsi.tif")
        shutil.copy(scene.lidar, tmp_path / "in" / name / "lidar.tif")
    keywords = given(tmp_path, model, {"hsi": ""})
    maps = tmp_path / "in" / "maps"  # it is no scene
    result = s2fin_cli.classify_all(**{**keywords, "scenes": tmp_path / "in", "output": maps})
    assert statuses(result) == {"b": "done", "north": "done"}
    check_maps(maps, result, {"north": expected["north"]})
    assets = {"H": {"href": "in/b/hsi.tif"}, "L": {"href": "in/b/lidar.tif"}}
    items = {"type": "FeatureCollection", "features": [{"type": "Feature", "id": "north", "assets": assets}]}
    (tmp_path / "items.json").write_text(json.dumps(items))
    result = s2fin_cli.classify_all(**{**keywords, "scenes": tmp_path / "items.json", "images": ["hsi=H", "lidar=L"]})
    check_maps(tmp_path / "maps", result, {"north": expected["north"]})
    assert statuses(result) == {"north": "done"}


@pytest.mark.parametrize("workers", [None, pytest.param(2, marks=pytest.mark.slow)])
def test_a_run_that_is_asked_to_end_is_continued(
    model: Path,
    rows: dict[str, dict[str, Any]],
    expected: dict[str, ClassifyResult],
    tmp_path: Path,
    workers: int | None,
) -> None:
    keywords, stop = given(tmp_path, model, *(rows[name] for name in GOOD)), Stop()

    def progress(stage: str, done: int, total: int, **figures: float) -> None:
        if (stage, done) == ("scenes", 1):
            stop.set()

    with pytest.raises(Stopped):
        s2fin_cli.classify_all(**keywords, workers=workers, progress=progress, stop=stop)
    assert not multiprocessing.active_children()
    assert not [name for name in names(tmp_path / "maps") if name.startswith(".") and name != ".scenes"]
    report = json.loads((tmp_path / "maps" / "scenes.json").read_text())
    found = [scene["status"] for scene in report["scenes"]]
    assert found == ["done", "waiting", "waiting"] or (found[0], workers) == ("done", 2), "others may be assembled too"
    result = s2fin_cli.classify_all(**keywords)
    assert list(statuses(result).values()) == ["skipped" if status == "done" else "done" for status in found]
    check_maps(tmp_path / "maps", result, expected)


def test_warnings_bear_the_name_of_their_scene(
    model: Path, scene: Scene, rows: dict[str, dict[str, Any]], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    image = make_image(scene.truth)
    image[:, :20] = 0
    hsi = write_raster(tmp_path / "hsi.tif", image)
    factory = logging.getLogRecordFactory()
    with caplog.at_level(logging.WARNING):
        result = s2fin_cli.classify_all(**given(tmp_path, model, {**rows["north"], "hsi": hsi}, rows["again"]))
    assert logging.getLogRecordFactory() is factory
    logged = [record.getMessage() for record in caplog.records]
    messages = [message for message in logged if "no nodata value is declared" in message]
    assert len(messages) == 1
    assert messages[0].startswith(f"north: `hsi` {hsi}")
    assert [f"north: {warning}" for warning in result.scenes[0].warnings] == messages
    assert result.scenes[1].warnings == []
    assert result.scenes[0].nodata_pixels == 20 * 70


def test_the_command_line(run: Run, model: Path, rows: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    write_table(tmp_path / "list.csv", rows["north"], rows["bands"])
    result = run("classify-all", "list.csv", "-o", "maps", "-m", model, "--device", "cpu", "--json")
    assert result.exit_code == 1
    answer = json.loads(result.stdout)
    assert answer == json.loads((tmp_path / "maps" / "scenes.json").read_text())
    assert (answer["done"], answer["skipped"], answer["failed"]) == (1, 0, 1)
    lines = result.stderr.splitlines()
    assert [line for line in lines if line.startswith("error: ")] == lines[-1:]
    assert lines[-1] == "error: 1 of 2 scenes failed (bands); see maps/scenes.json"
    assert any("of 2: bands failed: the model was trained on 5 bands of hsi" in line for line in lines)
    write_table(tmp_path / "list.csv", rows["north"])
    result = run("classify-all", "list.csv", "-o", "maps", "-m", model, "--device", "cpu")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "0 of 1 scenes were classified, 1 had been finished before" in result.stderr
    result = run("classify-all", "list.csv", "-o", "maps", "-m", model, "--device", "cpu", "--stride", 1)
    assert result.exit_code == 1
    assert "--stride was 3 and is 1 now; restore it, give --overwrite to make such maps again" in result.stderr
    result = run("classify-all", "none.csv", "-o", "maps", "-m", model)
    assert (result.exit_code, "error: none.csv does not exist" in result.stderr) == (1, True)


#: When a run is killed: what has to be there.
MOMENTS: dict[str, Callable[[Path], bool]] = {
    "a record": lambda folder: (folder / "maps" / ".scenes" / "north.json").exists(),
    "a map in progress": lambda folder: any((folder / "maps").glob(".*.part.tif")),
    "a first map": lambda folder: (folder / "maps" / "north.tif").exists(),
    "a second map": lambda folder: (folder / "maps" / "other side.tif").exists(),
}


@pytest.mark.slow
@pytest.mark.parametrize("workers", [None, 2])
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_run_is_continued(
    model: Path,
    rows: dict[str, dict[str, Any]],
    expected: dict[str, ClassifyResult],
    tmp_path: Path,
    moment: str,
    workers: int | None,
) -> None:
    keywords = given(tmp_path, model, *(rows[name] for name in GOOD))
    arguments = ["list.csv", "-o", "maps", "-m", model, "--device", "cpu", "--with-confidence"]
    if workers is not None:
        arguments += ["--workers", workers, "--work", "run", "--shard-size", 16]
        keywords |= {"work": tmp_path / "run", "shard_size": 16}
    with running(tmp_path, "classify-all", *arguments) as process:
        wait_until(lambda: MOMENTS[moment](tmp_path), process)
        os.kill(process.pid, signal.SIGKILL)
        process.wait(60)
    before = {name: time for name, time in times(tmp_path / "maps").items() if not name.startswith(".")}
    result = s2fin_cli.classify_all(**keywords)
    assert set(statuses(result).values()) <= {"done", "skipped"}
    check_maps(tmp_path / "maps", result, expected)
    after = times(tmp_path / "maps")
    for name, status in statuses(result).items():
        if status == "skipped":
            assert before[f"{name}.tif"] == after[f"{name}.tif"]


@pytest.mark.slow
def test_two_runs_share_a_folder(
    model: Path, rows: dict[str, dict[str, Any]], expected: dict[str, ClassifyResult], tmp_path: Path
) -> None:
    keywords = given(tmp_path, model, *(rows[name] for name in GOOD))
    arguments = ["list.csv", "-o", "maps", "-m", model, "--device", "cpu", "--with-confidence"]
    with (
        running(tmp_path, "classify-all", *arguments) as one,
        running(tmp_path, "classify-all", *arguments, "--workers", 2) as other,
    ):
        for process in (one, other):
            _, errors = process.communicate(timeout=120)
            assert process.returncode == 0, errors
    result = s2fin_cli.classify_all(**keywords)
    assert set(statuses(result).values()) == {"skipped"}
    check_maps(tmp_path / "maps", result, expected)


#: Maps on a small disk that is enlarged after the first run; what both runs say, and what they leave, is copied.
SMALL_DISK = """
mkdir maps && mount -t tmpfs -o size=$1 none maps || exit 77
shift
"$@" > first.out 2> first.err; echo $? > first.rc
cp maps/scenes.json first.json; ls -A maps > first.ls
mount -o remount,size=20m maps
"$@" > second.out 2> second.err; echo $? > second.rc
cp -a maps kept
"""


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("unshare") is None, reason="it mounts a disk of its own")
@pytest.mark.parametrize("workers", [None, 2])
def test_a_full_disk_ends_the_run_which_is_continued(
    model: Path,
    rows: dict[str, dict[str, Any]],
    expected: dict[str, ClassifyResult],
    tmp_path: Path,
    environment: dict[str, str],
    workers: int | None,
) -> None:
    keywords = given(tmp_path, model, *(rows[name] for name in (*GOOD, "again")))
    command = [
        "s2fin_cli",
        "classify-all",
        "list.csv",
        "-o",
        "maps",
        "-m",
        model,
        "--device",
        "cpu",
        "--with-confidence",
    ]
    command += [] if workers is None else ["--workers", workers, "--work", "run"]
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", SMALL_DISK, "sh", "300k", sys.executable, "-m", *map(str, command)],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip("this machine lets no user mount a disk")
    assert (tmp_path / "first.rc").read_text() == "1\n"
    error = (tmp_path / "first.err").read_text().splitlines()[-1]
    assert error.startswith("error: ")
    assert "no space is left" in error
    report = json.loads((tmp_path / "first.json").read_text())
    found = {scene["name"]: scene["status"] for scene in report["scenes"]}
    if workers is None:
        assert list(found.values()) == ["done", "done", "failed", "waiting"]
    finished = [name for name, status in found.items() if status == "done"]
    assert len(finished) == 2  # with workers, which two of them, and more than one may have begun and failed
    assert "failed" in set(found.values()) <= {"done", "failed", "waiting"}
    stems = {line.partition(".")[0] for line in (tmp_path / "first.ls").read_text().splitlines()}
    assert stems == {"", "scenes", *(f"{name}{end}" for name in finished for end in ("", "_confidence"))}
    assert (tmp_path / "second.rc").read_text() == "0\n"
    (tmp_path / "kept").rename(tmp_path / "maps-of-both")
    result = s2fin_cli.classify_all(**{**keywords, "output": tmp_path / "maps-of-both"})
    assert set(statuses(result).values()) == {"skipped"}
    check_maps(tmp_path / "maps-of-both", result, expected)
