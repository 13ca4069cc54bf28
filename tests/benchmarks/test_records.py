"""Records: their figures, and the file that several processes keep them in."""

from __future__ import annotations

import argparse
import csv
import functools
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from rich.console import Console

import accuracy
import records
from peers import PEERS, PEERS_VERSION
from records import (
    RESULTS,
    Record,
    Run,
    calibration_error,
    claim_of,
    claimed,
    keep_record,
    make_record,
    read_records,
    results_file,
)
from s2fin_cli.training import METHOD_VERSION

if TYPE_CHECKING:
    from collections.abc import Iterable

IDS = np.array([3, 70, 22531])
#: Files of records that are kept; two others have a form of their own, see test_suggest.py and test_init.py.
KEPT = sorted(path for path in RESULTS.parent.glob("*.csv") if path.stem not in ("init", "suggest"))
RUN = Run("beaufort_s2", "random", 5, 1, "s2fin hard masks")


def record(run: Run = RUN, version: int = METHOD_VERSION) -> Record:
    return Record(run, version, 0.75, 0.8, 0.6, 0.012345, 4, 4, 1.23, "cpu, 1 threads")


def keep_all(results: Path, kept: Iterable[Record]) -> None:
    """What each does that shares the work."""
    for each in kept:
        keep_record(results, each)


# ---- figures ---------------------------------------------------------------------------------------------------------


def test_calibration_error_by_hand() -> None:
    # Bins of 1/15: 0.95 and 0.99 share the last one, 0.5 and 0.52 the eighth, whose edges are 7/15 and 8/15.
    confidence = np.array([0.95, 0.99, 0.5, 0.52])
    is_right = np.array([True, False, True, True])
    expected = (abs(1 - (0.95 + 0.99)) + abs(2 - (0.5 + 0.52))) / 4
    assert calibration_error(confidence, is_right) == pytest.approx(expected)


@pytest.mark.parametrize(("confidence", "is_right", "expected"), [(1.0, True, 0), (1.0, False, 1), (0.0, False, 0)])
def test_calibration_error_at_the_ends(confidence: float, is_right: bool, expected: float) -> None:
    assert calibration_error(np.full(4, confidence), np.full(4, is_right)) == pytest.approx(expected)


def test_a_run_is_assessed() -> None:
    probabilities = np.array([[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.6, 0.3, 0.1], [0.1, 0.1, 0.8]])
    train, test = np.array([3, 3, 70, 22531]), np.array([3, 70, 70, 22531])
    made = make_record(RUN, IDS, probabilities, train=train, test=test, seconds=1.234, machine="cpu, 1 threads")
    assert made.oa == pytest.approx(3 / 4)
    assert made.aa == pytest.approx(2.5 / 3)
    assert (made.n_train, made.n_test, made.seconds) == (4, 4, 1.23)
    assert made.version == METHOD_VERSION
    assert not made.is_stale


@pytest.mark.parametrize(("method", "version"), [("s2fin", METHOD_VERSION), ("s2fin -scan", METHOD_VERSION)])
def test_a_variant_has_the_version_of_the_method(method: str, version: int) -> None:
    assert records.version_of(method) == version


def test_results_of_a_method_are_stale_without_those_of_its_peers() -> None:
    of_before = record(version=METHOD_VERSION - 1)
    kept = [record(), of_before, record(replace(RUN, method="RF"), PEERS_VERSION)]
    assert [each.is_stale for each in kept] == [False, True, False]


# ---- files -----------------------------------------------------------------------------------------------------------


def test_records_are_read_back_in_order(tmp_path: Path) -> None:
    results = tmp_path / "new" / "results.csv"
    assert read_records(results) == []
    runs = [replace(RUN, count=count, seed=seed) for count in (20, 5) for seed in (10, 9)]
    keep_all(results, map(record, runs))
    assert read_records(results) == [record(run) for run in sorted(runs)]
    assert [path.name for path in results.parent.iterdir()] == ["results.csv"], "nothing is left beside it"


def test_a_record_takes_the_place_of_an_older_one(tmp_path: Path) -> None:
    results = tmp_path / "results.csv"
    other = record(replace(RUN, seed=2))
    keep_all(results, [record(version=0), other, replace(record(), oa=2 / 3)])
    assert read_records(results) == [replace(record(), oa=0.666667), other]


def test_several_share_a_file(tmp_path: Path) -> None:
    results = tmp_path / "results.csv"
    parts = [[record(replace(RUN, seed=seed)) for seed in range(first, 60, 3)] for first in range(3)]
    with ThreadPoolExecutor(3) as pool:  # the lock is one between open files, so threads take turns as processes do
        list(pool.map(functools.partial(keep_all, results), parts))
    assert [kept.run.seed for kept in read_records(results)] == list(range(60))


def test_a_run_that_another_process_is_at_is_left_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    results = tmp_path / "results.csv"
    claims, number = claim_of(results, RUN)
    hold = "import fcntl, sys; f = open(sys.argv[1], 'a'); fcntl.lockf(f, fcntl.LOCK_EX, 1, int(sys.argv[2]))"
    command = [sys.executable, "-c", f"{hold}; print('held', flush=True); input()", str(claims), str(number)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with claimed(results, RUN) as same, claimed(results, replace(RUN, seed=9)) as another:
            assert (same, another) == (False, True)
        other.kill()
    with claimed(results, RUN) as freed:
        assert freed


def test_a_stopped_run_goes_on_where_it_was(tmp_path: Path) -> None:
    results, runs = tmp_path / "results.csv", [replace(RUN, seed=seed) for seed in range(3)]
    keep_all(results, [record(runs[0]), record(runs[1], version=0)])
    assert accuracy.pending(runs, results, refresh=False) == [runs[2]]
    assert accuracy.pending(runs, results, refresh=True) == runs[1:]
    with Console(record=True, quiet=False, stderr=True) as console:
        accuracy.report_stale(runs, results, console)
    assert "results of other versions: 1; they are kept" in console.export_text()


def test_a_folder_or_another_table_holds_no_results(tmp_path: Path) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="no CSV file"):
        results_file(str(tmp_path))
    table = results_file(str(tmp_path / "table.csv"))
    table.write_text("x,y\n1,2\n")
    with pytest.raises(ValueError, match="no file of results"):
        read_records(table)


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_kept_results_are_as_a_run_would_write_them(path: Path, tmp_path: Path) -> None:
    kept = read_records(path)
    assert kept
    assert len({each.run for each in kept}) == len(kept)
    records.write_records(tmp_path / path.name, kept)
    assert (tmp_path / path.name).read_bytes() == path.read_bytes()
    with path.open(newline="", encoding="utf-8") as file:
        methods = {row["method"] for row in csv.DictReader(file)}
    assert {method for method in methods if not records.is_subject(method)} <= PEERS.keys()
