"""Reading ahead and writing behind."""

from __future__ import annotations

import contextlib
import threading

import pytest

from s2fin_cli.inference.background import ahead, behind


def test_results_come_in_order() -> None:
    assert list(ahead(lambda number: number**2, range(5))) == [0, 1, 4, 9, 16]
    assert list(ahead(lambda number: number, [])) == []


def test_the_next_one_is_under_way_while_one_is_used_and_no_further_one() -> None:
    begun: list[int] = []
    second = threading.Event()

    def read(number: int) -> int:
        begun.append(number)
        if number == 1:
            second.set()
        return number

    with contextlib.closing(ahead(read, range(9))) as results:
        assert next(results) == 0
        assert second.wait(10)
        assert begun == [0, 1]
        assert next(results) == 1


def test_an_error_comes_where_its_result_would_have() -> None:
    def read(number: int) -> float:
        return 1 / (2 - number)

    results = ahead(read, range(9))
    assert [next(results), next(results)] == [0.5, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_leaving_early_waits_for_what_is_under_way() -> None:
    under_way, finished = threading.Event(), threading.Event()

    def read(number: int) -> int:
        if number == 1:
            under_way.set()
            release.wait(10)
            finished.set()
        return number

    release = threading.Event()
    results = ahead(read, range(9))
    assert next(results) == 0
    assert under_way.wait(10)
    release.set()
    results.close()
    assert finished.is_set()


def test_calls_behind_are_done_in_order_and_all_before_it_ends() -> None:
    done: list[int] = []
    with behind() as calls:
        for number in range(20):
            calls.call(lambda number=number: done.append(number))  # type: ignore[misc]
    assert done == list(range(20))


def test_one_call_at_a_time() -> None:
    free = threading.Lock()

    def alone() -> None:
        assert free.acquire(blocking=False)
        free.release()

    with behind() as calls:
        for _ in range(50):
            calls.call(alone)


@pytest.mark.parametrize("others", [0, 3])
def test_an_error_behind_is_not_lost(others: int) -> None:
    def fail() -> None:
        raise OSError("no space")

    def run() -> None:
        with behind() as calls:
            calls.call(fail)
            for _ in range(others):
                calls.call(lambda: None)

    with pytest.raises(OSError, match="no space"):
        run()


def test_an_error_of_the_caller_is_what_is_raised() -> None:
    def run() -> None:
        with behind() as calls:
            calls.call(lambda: None)
            raise KeyError

    with pytest.raises(KeyError):
        run()
