"""Progress, and requests to end early."""

from __future__ import annotations

import pytest

from s2fin_cli.core.progress import Stop, Stopped, silent, stoppable


def test_a_job_goes_on_until_it_is_asked_to_end() -> None:
    stop = Stop()
    stop.check()
    assert not stop.is_set
    stop.set()
    assert stop.is_set
    with pytest.raises(Stopped, match="stopped before the end"):
        stop.check()


def test_a_stoppable_listener_passes_on_what_it_hears_and_then_ends_the_job() -> None:
    heard: list[tuple[object, ...]] = []
    stop = Stop()
    progress = stoppable(lambda *step, **figures: heard.append((*step, figures)), stop)
    progress("training", 1, 3, loss=0.5)
    stop.set()
    with pytest.raises(Stopped):
        progress("training", 2, 3)
    assert heard == [("training", 1, 3, {"loss": 0.5}), ("training", 2, 3, {})]


def test_the_silent_listener_takes_any_step() -> None:
    silent("training", 1, 3, loss=0.5)
