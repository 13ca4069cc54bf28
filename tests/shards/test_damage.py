"""Files of a work folder whose bytes were changed: each is noticed, and nothing that is sound is made again."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from s2fin_cli.core.errors import InputError
from s2fin_cli.shards.folder import WorkFolder
from s2fin_cli.shards.plan import Plan, is_sound, read_plan
from s2fin_cli.shards.receipt import read_receipt
from tests.shards.test_folder import MAKER, PLAN, with_shard

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: Bytes flipped, one after the other, in each kind of file.
FLIPS = 400


def damaged(content: bytes, *, seed: int) -> Iterator[bytes]:
    """Contents with a bit flipped, a byte replaced, bytes missing at the end or in the middle, or bytes repeated."""
    generator = np.random.default_rng(seed)
    for number in range(FLIPS):
        place, changed = int(generator.integers(len(content))), bytearray(content)
        match number % 5:
            case 0 | 1:
                changed[place] ^= 1 << int(generator.integers(8))
            case 2:
                changed[place] = int(generator.integers(32, 127))
            case 3:
                del changed[place : place + int(generator.integers(1, 30))]
            case 4:
                changed = changed[:place]
        if changed != content:
            yield bytes(changed)


@pytest.fixture
def folder(tmp_path: Path) -> WorkFolder:
    """A work folder with two finished shards."""
    folder = WorkFolder(tmp_path / "run")
    folder.begin(PLAN)
    for number in (1, 2):
        with_shard(folder, number, b"shard")
    return folder


def test_a_damaged_receipt_is_never_believed(folder: WorkFolder) -> None:
    path, plan = folder.receipt_path(1), PLAN.normalised()
    content, sound = path.read_bytes(), folder.receipt(1, plan)
    found = 0
    for changed in damaged(content, seed=1):
        path.write_bytes(changed)
        receipt = folder.receipt(1, plan)
        assert receipt in (None, sound), "white space may change, nothing else"
        found += receipt is None
    assert found > 0.8 * FLIPS


def test_a_damaged_plan_is_never_believed_and_restored(folder: WorkFolder, caplog: pytest.LogCaptureFixture) -> None:
    content, sound, found = folder.plan_path.read_bytes(), read_plan(folder.plan_path), 0
    shards = [folder.receipt(number, sound) for number in (1, 2)]
    for changed in damaged(content, seed=2):
        folder.plan_path.write_bytes(changed)
        caplog.clear()
        is_whole = is_sound(folder.plan_path)
        if not is_whole:
            with pytest.raises(InputError, match="the classify command that made the shards restores it"):
                read_plan(folder.plan_path)
        assert folder.begin(PLAN) == read_plan(folder.plan_path) == sound
        assert ("was lost or damaged and is restored" in caplog.text) != is_whole
        found += not is_whole
    assert found > 0.8 * FLIPS
    assert [folder.receipt(number, sound) for number in (1, 2)] == shards
    assert folder.unfinished([1, 2], sound) == []


def test_a_lost_plan_is_restored(folder: WorkFolder, caplog: pytest.LogCaptureFixture) -> None:
    folder.plan_path.unlink()
    with caplog.at_level(logging.WARNING):
        plan = folder.begin(replace(PLAN, threads=7))
    assert plan.threads == 7, "which no result depends on"
    assert folder.unfinished([1, 2], plan) == []
    assert "was lost or damaged and is restored" in caplog.text


@pytest.mark.parametrize("content", [None, b"", b"{"])
def test_the_plan_of_another_map_is_not_restored(folder: WorkFolder, content: bytes | None) -> None:
    folder.plan_path.unlink()
    if content is not None:
        folder.plan_path.write_bytes(content)
    before = sorted(path.name for path in folder.path.iterdir())
    for changes in ({"facts": {"`stride`": 5}}, {"has_probabilities": True}, {"windows": PLAN.windows[:1]}):
        with pytest.raises(InputError, match=r"is lost or damaged, and the shards there do not belong to the map that"):
            folder.begin(replace(PLAN, **changes))
    assert sorted(path.name for path in folder.path.iterdir()) == before
    assert folder.begin(PLAN) == PLAN.normalised()


def test_a_foreign_file_named_like_a_plan_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_text('{"my": "own"}')
    with pytest.raises(InputError, match=r"plan\.json cannot be used \(its checksum does not fit\)"):
        WorkFolder(tmp_path).begin(PLAN)
    assert path.read_text() == '{"my": "own"}'


def test_a_plan_nested_without_end_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text("[" * 100_000)
    with pytest.raises(InputError, match="it is nested too deeply"):
        read_plan(tmp_path / "plan.json")
    (tmp_path / "00001.json").write_text('{"a":' * 100_000)
    assert read_receipt(tmp_path / "00001.json") is None


def test_shards_of_another_plan_do_not_count(folder: WorkFolder) -> None:
    """As where two runs begin a folder at once on a disk without links."""
    other: Plan = replace(PLAN, facts={"`stride`": 5}).normalised()
    assert folder.unfinished([1, 2], other) == [1, 2]
    with pytest.raises(InputError, match="2 of 2 shards are missing or damaged"):
        folder.receipts(other, mixed=False)
    with folder.new_shard() as path:
        path.write_bytes(b"of the other plan")
        folder.keep(path, 1, other, pixels={1: 2}, maker=MAKER)
    assert folder.unfinished([1, 2], PLAN.normalised()) == [1]


def test_a_shard_that_changes_after_it_was_checked_is_noticed(folder: WorkFolder) -> None:
    plan = PLAN.normalised()
    stamps = folder.stamps(plan)
    folder.check_unchanged(plan, stamps)
    new = folder.path / "new"
    new.write_bytes(b"shard")
    new.rename(folder.shard_path(2))
    with pytest.raises(InputError, match="changed by another program while the map was assembled: 2;"):
        folder.check_unchanged(plan, stamps)
    folder.shard_path(1).unlink()
    with pytest.raises(InputError, match="changed by another program while the map was assembled: 1, 2;"):
        folder.check_unchanged(plan, stamps)
