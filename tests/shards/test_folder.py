"""The work folder: which shards are finished, and what is refused."""

from __future__ import annotations

import json
import logging
import os
import shutil
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import torch

from s2fin_cli.core.errors import InputError, OutputError
from s2fin_cli.core.leftovers import mark
from s2fin_cli.shards.folder import WorkFolder, check_makers
from s2fin_cli.shards.maker import Maker
from s2fin_cli.shards.plan import Plan, read_plan
from s2fin_cli.shards.receipt import Receipt

if TYPE_CHECKING:
    from pathlib import Path

PLAN = Plan(
    facts={"`stride`": 3, "`prior`": ("forest=20",), "the size of a.tif": 10},
    versions={"torch": "2.6"},
    options={"hsi": ["/a.tif"]},
    size=48,
    windows=((0, 0, 48, 48), (48, 0, 12, 48)),
    has_probabilities=False,
    threads=1,
)
NORMAL = PLAN.normalised()
MAKER = Maker("cpu", "x86_64 with AVX2", None, {"torch": "2.6"})


def with_shard(folder: WorkFolder, number: int, content: bytes = b"shard", maker: Maker = MAKER) -> None:
    with folder.new_shard() as path:
        path.write_bytes(content)
        folder.keep(path, number, NORMAL, pixels={1: 2, 7: 0}, maker=maker)


def fail_midway(folder: WorkFolder) -> None:
    with folder.new_shard() as path:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")


def test_a_plan_is_kept_as_it_was_made_first(tmp_path: Path) -> None:
    folder = WorkFolder(tmp_path / "deep" / "run")
    assert folder.size_begun_with() is None
    kept = folder.begin(PLAN)
    assert kept == read_plan(folder.plan_path) == PLAN.normalised()
    assert folder.begin(replace(PLAN, threads=8)).threads == 1
    assert folder.size_begun_with() == 48
    assert [path.name for path in folder.path.iterdir()] == ["plan.json"]
    assert [kept.window(number).col_off for number in kept.numbers] == [0, 48]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"facts": {**PLAN.facts, "`stride`": 5}}, r"`stride` was 3 and is 5 now"),
        ({"facts": {**PLAN.facts, "the size of a.tif": 11}}, "the size of a.tif was 10 and is 11 now"),
        ({"facts": {"`stride`": 3, "`prior`": ["forest=20"]}}, "the size of a.tif was 10 and is nothing now"),
        ({"facts": {**PLAN.facts, "x": "y"}}, "x was nothing and is y now"),
        ({"versions": {"torch": "2.7"}}, "the version of torch was 2.6 and is 2.7 now.*`mixed=True`"),
        ({"has_probabilities": True}, "hold no probabilities"),
    ],
)
def test_another_map_is_refused_and_the_difference_named(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    folder = WorkFolder(tmp_path)
    folder.begin(PLAN)
    before = folder.plan_path.read_bytes()
    with pytest.raises(InputError, match=message):
        folder.begin(replace(PLAN, **changes))
    assert folder.plan_path.read_bytes() == before
    if "versions" in changes:
        assert folder.begin(replace(PLAN, **changes), mixed=True) == PLAN.normalised()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 99}', '{"format": 1, "facts": {}}', "\xff"])
def test_a_damaged_plan_is_refused(tmp_path: Path, text: str) -> None:
    folder = WorkFolder(tmp_path)
    folder.plan_path.write_bytes(text.encode("latin-1"))
    with pytest.raises(
        InputError, match=r"plan\.json cannot be used .* if no shard is finished, remove the folder and begin again"
    ):
        folder.begin(PLAN)
    with pytest.raises(InputError, match="holds no plan of a map"):
        read_plan(tmp_path / "none" / "plan.json")


def test_a_folder_of_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "00001.tif").write_bytes(b"a user's")
    (tmp_path / ".hidden").touch()
    with pytest.raises(InputError, match=r"holds other files \(00001\.tif\); use a new folder for `work`"):
        WorkFolder(tmp_path).begin(PLAN)
    assert sorted(os.listdir(tmp_path)) == [".hidden", "00001.tif"]


def test_of_many_plans_at_once_one_holds(tmp_path: Path) -> None:
    plans = [replace(PLAN, threads=number) for number in range(1, 9)]
    found: list[Plan] = []
    threads = [
        threading.Thread(target=lambda plan=plan: found.append(WorkFolder(tmp_path).begin(plan))) for plan in plans
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len({plan.threads for plan in found}) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["plan.json"]


def test_a_shard_is_finished_with_its_receipt_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = WorkFolder(tmp_path)
    folder.begin(PLAN)
    assert folder.unfinished([1, 2], NORMAL) == [1, 2]
    with_shard(folder, 1)
    receipt = folder.receipt(1, NORMAL)
    assert receipt is not None
    assert (receipt.pixels, receipt.maker, receipt.size) == ({1: 2, 7: 0}, MAKER, 5)
    with pytest.raises(OutputError, match="No space left on device; finished shards are kept"):
        fail_midway(folder)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["00001.json", "00001.tif", "plan.json"]
    folder.shard_path(2).write_bytes(b"without a receipt")
    assert folder.unfinished([1, 2], NORMAL) == [2]
    assert not caplog.records
    with pytest.raises(InputError, match=r"1 of 2 shards are missing or damaged in .*: 2; make them"):
        folder.receipts(NORMAL, mixed=False)


@pytest.mark.parametrize("content", [b"", b"shar", b"shart", b"shards"])
def test_a_shard_that_is_not_what_its_receipt_says_is_made_again(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    folder = WorkFolder(tmp_path)
    folder.begin(PLAN)
    for number in (1, 2):
        with_shard(folder, number)
    folder.shard_path(2).write_bytes(content)
    with pytest.raises(InputError, match=r"1 of 2 shards are missing or damaged .*: 2 \(damaged: 2\)"):
        folder.receipts(NORMAL, mixed=False)
    assert folder.unfinished([1, 2], NORMAL) == [2]
    assert "shard 2 in" in caplog.text
    assert "is damaged and is made again" in caplog.text
    with_shard(folder, 2)
    assert [receipt.number for receipt in folder.receipts(NORMAL, mixed=False)] == [1, 2]


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"number": 1}'])
def test_a_damaged_receipt_is_none(tmp_path: Path, text: str) -> None:
    folder = WorkFolder(tmp_path)
    with_shard(folder, 1)
    folder.receipt_path(1).write_text(text)
    assert folder.unfinished([1], NORMAL) == [1]


def test_a_receipt_of_another_shard_is_none(tmp_path: Path) -> None:
    folder = WorkFolder(tmp_path)
    with_shard(folder, 1)
    for path in (folder.shard_path, folder.receipt_path):
        path(1).rename(path(2))
    assert folder.unfinished([1, 2], NORMAL) == [1, 2]


def test_a_shard_that_another_process_finished_first_stays(tmp_path: Path) -> None:
    folder = WorkFolder(tmp_path)
    with folder.new_shard() as path:
        path.write_bytes(b"second")
        with_shard(folder, 1, b"first")
        folder.keep(path, 1, NORMAL, pixels={1: 2}, maker=MAKER)
    assert folder.shard_path(1).read_bytes() == b"first"
    assert folder.receipt(1, NORMAL) is not None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"device": "NVIDIA H200"}, r"the device is cpu for shard 1 \(a\) and NVIDIA H200 for shard 2 \(a\)"),
        ({"processor": "x86_64 with AVX512"}, "the processor is x86_64 with AVX2 .* and x86_64 with AVX512"),
        ({"versions": {"torch": "2.7"}}, "the version of torch is 2.6 .* and 2.7"),
        ({"batches": 8}, "the number of batches computed together is one .* and 8"),
    ],
)
def test_shards_of_machines_that_differ_are_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    other = replace(MAKER, **changes)
    first, second = (Receipt(number, {}, 0, "", maker, "a", "") for number, maker in ((1, MAKER), (2, other)))
    with pytest.raises(InputError, match=message):
        check_makers([first, second], tmp_path)
    with pytest.raises(InputError, match=r" \(a\) and .* here, so the last bits"):
        check_makers([first], tmp_path, own=other)
    check_makers([first, first], tmp_path, own=MAKER)
    folder = WorkFolder(tmp_path)
    folder.begin(PLAN)
    with_shard(folder, 1)
    with_shard(folder, 2, maker=other)
    with pytest.raises(InputError, match="would not fit together"):
        folder.receipts(NORMAL, mixed=False)
    assert len(folder.receipts(NORMAL, mixed=True)) == 2


def test_a_maker_is_what_this_machine_is() -> None:
    here = Maker.here(torch.device("cpu"), None)
    assert here == Maker.here(torch.device("cpu"), None)
    assert here.difference(here) is None
    assert here.device == "cpu"
    assert here.versions["torch"] == str(torch.__version__)
    json.dumps(dict(here.versions))


def test_a_file_that_merely_has_another_inode_is_unchanged(tmp_path: Path) -> None:
    """As a network file system may number it anew."""
    folder = WorkFolder(tmp_path)
    folder.begin(PLAN)
    for number in (1, 2):
        with_shard(folder, number)
    stamps, path = folder.stamps(NORMAL), folder.shard_path(1)
    os.replace(shutil.copy2(path, tmp_path / "copy"), path)
    folder.check_unchanged(NORMAL, stamps)
    os.utime(path, ns=(0, 0))
    with pytest.raises(InputError, match="changed by another program while the map was assembled: 1;"):
        folder.check_unchanged(NORMAL, stamps)


def test_leftovers_are_swept_when_the_folder_is_used_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    left = tmp_path / f".s2fin.{mark().split('-')[0]}-4194304.abc"  # no system gives a process this number
    left.mkdir()
    (left / "shard.tif").write_bytes(b"half")
    with caplog.at_level(logging.WARNING):
        WorkFolder(tmp_path).begin(PLAN)
    assert str(left) in caplog.text
    assert os.listdir(tmp_path) == ["plan.json"]


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"the work folder .* cannot be used"):
        WorkFolder(tmp_path / "file").begin(PLAN)
