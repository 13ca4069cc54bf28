"""Findings about the machine: threads, memory, devices and disks."""

from __future__ import annotations

from pathlib import Path

import pytest

from s2fin_cli.installation.finding import GOOD, HINT, PROBLEM
from s2fin_cli.installation.machine import (
    GIB,
    CudaDevice,
    available_memory,
    cores,
    devices,
    examine_machine,
    memory,
    processor,
    space,
)


def test_this_machine() -> None:
    assert cores() >= 1
    assert (available_memory() or GIB) > 0
    parts = [finding.part for finding in examine_machine()]
    assert parts[:2] == ["processor", "memory"]
    assert parts[-2:] == ["disk of this folder", "disk of temporary files"]
    assert "device" in parts


def test_idle_cores_are_a_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    assert processor(16, 16).status == processor(16, 9).status == processor(1, 1).status == GOOD
    assert processor(16, 2).remedy == "to use all cores: set OMP_NUM_THREADS=16"
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    found = processor(16, 2)
    assert (found.status, found.found) == (HINT, "2 threads on 16 usable cores, OMP_NUM_THREADS=2")
    assert found.remedy == "to use all cores: unset OMP_NUM_THREADS"


def test_little_memory_is_a_hint() -> None:
    assert memory(None).status == memory(8 * GIB).status == GOOD
    found = memory(GIB)
    assert (found.status, found.found) == (HINT, "1.0 GiB available")
    assert "`tile_size`" in str(found.remedy)


def test_devices() -> None:
    two = [CudaDevice("A", 3 * GIB, 8 * GIB), CudaDevice("B", GIB, GIB)]
    found = devices(two, build="12.8", has_driver=True)
    assert [(f.status, f.found) for f in found] == [
        (GOOD, "CUDA 12.8: A, 3.0 of 8.0 GiB free"),
        (GOOD, "CUDA 12.8: B, 1.0 of 1.0 GiB free"),
    ]
    assert devices([], build=None, has_driver=False)[0].status == GOOD
    for build, words in ((None, "a build of torch for CUDA"), ("12.8", "update the driver")):
        (found_none,) = devices([], build=build, has_driver=True)
        assert found_none.status == HINT
        assert words in str(found_none.remedy)


def test_folders_that_cannot_be_written_to(tmp_path: Path) -> None:
    assert space("this folder", tmp_path).status in (GOOD, HINT)
    missing = tmp_path / "none"
    assert space("this folder", missing).status == HINT
    found = space("temporary files", missing)
    assert (found.part, found.status) == ("disk of temporary files", PROBLEM)
    assert f"{missing} cannot be written to" in found.found
    assert "TMPDIR" in str(found.remedy)
