"""What makes the shards of a work folder: the first process decides."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import pytest

from s2fin_cli.core.errors import InputError
from s2fin_cli.shards.agreement import agree, agreed_maker, check_agreed
from s2fin_cli.shards.folder import WorkFolder
from s2fin_cli.shards.maker import Maker

if TYPE_CHECKING:
    from pathlib import Path

MAKER = Maker("NVIDIA H200", "x86_64 with AVX512", 16, {"torch": "2.6"})


def test_the_first_process_decides(tmp_path: Path) -> None:
    folder = WorkFolder(tmp_path)
    assert agreed_maker(folder) is None
    check_agreed(folder, MAKER)
    assert agree(folder, MAKER) == MAKER
    assert agree(folder, replace(MAKER, batches=8)) == MAKER == agreed_maker(folder)
    with pytest.raises(InputError, match=r"the device is NVIDIA H200 for those that are finished and cpu here, so"):
        check_agreed(folder, replace(MAKER, device="cpu"))
    assert [path.name for path in tmp_path.iterdir()] == ["maker.json"]


def test_processes_that_propose_at_once_agree(tmp_path: Path) -> None:
    makers = [replace(MAKER, batches=batches) for batches in range(1, 9)]
    with ThreadPoolExecutor(len(makers)) as pool:
        for number in range(10):
            folder, start = WorkFolder(tmp_path / str(number)), threading.Barrier(len(makers))
            folder.path.mkdir()
            found = list(pool.map(partial(propose, folder, start), makers))
            assert found == [agreed_maker(folder)] * len(makers)


def propose(folder: WorkFolder, start: threading.Barrier, maker: Maker) -> Maker:
    start.wait()
    return agree(folder, maker)


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"device": "cpu"}'])
def test_a_damaged_file_counts_for_nothing(tmp_path: Path, content: str) -> None:
    folder = WorkFolder(tmp_path)
    folder.maker_path.write_text(content)
    assert agreed_maker(folder) is None
    assert agree(folder, MAKER) == MAKER == agreed_maker(folder)
