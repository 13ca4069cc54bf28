"""The device that computes, and its threads and memory."""

from __future__ import annotations

import ctypes
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
import torch

from s2fin_cli.core.device import M_ARENA_MAX, keep_freed_memory, one_thread_an_operation, pick_device, take_device
from s2fin_cli.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(("there", "auto"), [(True, "cuda"), (False, "cpu")])
def test_auto_is_cuda_if_there_is_one(monkeypatch: pytest.MonkeyPatch, auto: str, *, there: bool) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    assert pick_device("auto").type == auto
    assert pick_device("cpu").type == "cpu"


def test_cuda_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UsageError, match=r"no usable CUDA device .*; use `device=\"cpu\"`"):
        pick_device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert pick_device("cuda").type == "cuda"


@pytest.mark.parametrize(
    ("name", "there", "taken"),
    [("auto", True, [0, 1, 2, 0]), ("cuda", True, [0, 1, 2, 0]), ("cpu", True, []), ("auto", False, [])],
)
def test_each_worker_takes_a_device_of_its_own(
    monkeypatch: pytest.MonkeyPatch, name: str, taken: list[int], *, there: bool
) -> None:
    found: list[int] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setattr(torch.cuda, "set_device", found.append)
    for position in range(4):
        take_device(name, position)
    assert found == taken


@pytest.mark.usefixtures("threads")
def test_operations_have_one_thread_for_a_time() -> None:
    with one_thread_an_operation() as count:
        assert (count, torch.get_num_threads()) == (3, 1)
    assert torch.get_num_threads() == 3


@pytest.mark.usefixtures("threads")
def test_operations_have_their_threads_again_after_an_error() -> None:
    with pytest.raises(ZeroDivisionError), one_thread_an_operation():
        raise ZeroDivisionError
    assert torch.get_num_threads() == 3


@pytest.mark.parametrize(("platform", "limits"), [("linux", 3), ("darwin", 0)])
def test_freed_memory_is_kept_where_the_c_library_can(
    monkeypatch: pytest.MonkeyPatch, platform: str, limits: int
) -> None:
    asked: list[tuple[int, int]] = []
    libc = SimpleNamespace(malloc_trim=lambda _: 1, mallopt=lambda name, value: asked.append((name, value)))
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(ctypes, "CDLL", lambda _: libc)
    keep_freed_memory()
    assert len(dict(asked)) == limits
    assert dict(asked).get(M_ARENA_MAX) == (1 if limits else None)


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(ctypes, "CDLL", lambda _: SimpleNamespace())
    keep_freed_memory()
