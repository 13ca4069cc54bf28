"""Findings about the machine: threads, memory, devices and disks."""

from __future__ import annotations

import errno
import tempfile
from pathlib import Path

import pytest
import torch

from s2fin_cli.installation.finding import GOOD, HINT, PROBLEM
from s2fin_cli.installation.machine import (
    GIB,
    CudaDevice,
    available_memory,
    cores,
    cuda_devices,
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


def write_system(root: Path, **files: object) -> None:
    """Write files of a Linux system, which have short names here."""
    names = {
        "meminfo": "proc/meminfo",
        "max": "sys/fs/cgroup/memory.max", "current": "sys/fs/cgroup/memory.current",
        "stat": "sys/fs/cgroup/memory.stat", "old_max": "sys/fs/cgroup/memory/memory.limit_in_bytes",
        "old_current": "sys/fs/cgroup/memory/memory.usage_in_bytes",
    }  # fmt: skip
    for name, content in files.items():
        (root / names[name]).parent.mkdir(parents=True, exist_ok=True)
        (root / names[name]).write_text(f"{content}\n", encoding="ascii")


def test_memory_of_a_control_group_is_what_it_does_not_use_yet(tmp_path: Path) -> None:
    assert available_memory(tmp_path) is None
    write_system(tmp_path, meminfo=f"MemTotal: 1 kB\nMemAvailable: {16 << 20} kB", max="max", current=GIB)
    assert available_memory(tmp_path) == 16 * GIB
    write_system(tmp_path, max=8 * GIB, current=5 * GIB)
    assert available_memory(tmp_path) == 3 * GIB
    write_system(tmp_path, stat=f"anon 5\ninactive_file {2 * GIB}")
    assert available_memory(tmp_path) == 5 * GIB, "a cache of files makes room"
    write_system(tmp_path, current=9 * GIB, stat="inactive_file 0")
    assert available_memory(tmp_path) == 0
    write_system(tmp_path, max="max", old_max=4 * GIB, old_current=3 * GIB)
    assert available_memory(tmp_path) == GIB


def test_a_device_that_does_not_answer_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(number: int) -> tuple[int, int]:
        if number == 1:
            raise RuntimeError("CUDA error: out of memory\nCompile with TORCH_USE_CUDA_DSA")
        return GIB, 2 * GIB

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda number: f"GPU {number}")
    monkeypatch.setattr(torch.cuda, "mem_get_info", fail)
    first, second = devices(cuda_devices(), build="12.8", has_driver=True)
    assert (first.status, first.found) == (GOOD, "CUDA 12.8: GPU 0, 1.0 of 2.0 GiB free")
    expected = "CUDA 12.8: GPU 1 does not answer: CUDA error: out of memory"
    assert (second.status, second.found) == (PROBLEM, expected)


def test_no_folder_for_temporary_files_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> str:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']")

    monkeypatch.setattr(tempfile, "gettempdir", fail)
    found = examine_machine()[-1]
    assert (found.part, found.status) == ("disk of temporary files", PROBLEM)
    assert "No usable temporary directory found" in found.found
    assert "TMPDIR" in str(found.remedy)


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
    assert space("maps", tmp_path, otherwise=PROBLEM, remedy="take another one").status in (GOOD, HINT)
    missing = tmp_path / "none"
    for status in (HINT, PROBLEM):
        found = space("maps", missing, otherwise=status, remedy="take another one")
        assert (found.part, found.status, found.remedy) == ("disk of maps", status, "take another one")
        assert f"{missing} cannot be written to" in found.found


def test_only_the_folder_of_temporary_files_has_to_be_writable(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(tempfile, "TemporaryFile", fail)
    here, temporary = examine_machine()[-2:]
    assert (here.part, here.status) == ("disk of this folder", HINT)
    assert "another folder" in str(here.remedy)
    assert (temporary.part, temporary.status) == ("disk of temporary files", PROBLEM)
    assert "TMPDIR" in str(temporary.remedy)
