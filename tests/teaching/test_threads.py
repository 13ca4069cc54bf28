"""Calls in threads: their results in order, and none begins once they are to end."""

from __future__ import annotations

import pytest
import torch

from s2fin_cli.core.progress import Stop, Stopped
from s2fin_cli.teaching.threads import in_threads


def test_results_come_in_the_order_of_the_calls() -> None:
    assert in_threads(lambda a, b: a - b, [(number, 1) for number in range(20)]) == list(range(-1, 19))
    assert in_threads(lambda a: a, []) == []


def test_no_call_begins_once_they_are_to_end() -> None:
    stop, called = Stop(), []

    def call(number: int) -> int:
        called.append(number)
        stop.set()
        return number

    with pytest.raises(Stopped):
        in_threads(call, [(number,) for number in range(50)], stop=stop)
    assert 1 <= len(called) <= torch.get_num_threads()
