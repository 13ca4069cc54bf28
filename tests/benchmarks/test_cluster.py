"""The simulation of many workers: cases whose times are known."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cluster import MOST_SHARDS, Setup, Steps, simulate

STEPS = Steps(first_s=3, start_s=2, shard_s=10, assemble_s=0.5, polygons_s=0.25)


def test_one_worker_does_one_thing_after_the_other() -> None:
    outcome = simulate(STEPS, Setup(shards=8, workers=1))
    assert outcome.seconds == 3 + 2 + 8 * (10 + 0.5 + 0.25)
    assert outcome.bottleneck == "computing"
    assert outcome.lost == 0


@pytest.mark.parametrize(("workers", "rounds"), [(2, 4), (3, 3), (8, 1), (100, 1)])
def test_workers_share_whole_shards(workers: int, rounds: int) -> None:
    assert simulate(STEPS, Setup(shards=8, workers=workers)).making_s == rounds * 10


def test_a_slow_disk_holds_the_workers_up() -> None:
    steps = replace(STEPS, read_mb=80, write_mb=20)
    fast, slow = (simulate(steps, Setup(shards=1000, workers=50, disk_mb_s=mb_s)) for mb_s in (1e6, 100))
    assert fast.making_s == pytest.approx(1000 / 50 * 10, rel=0.01)
    assert slow.making_s == pytest.approx(1000 * 100 / 100, rel=0.02)
    assert (fast.bottleneck, slow.bottleneck) == ("assembling", "the shared disk")


def test_a_slow_scheduler_holds_the_workers_up() -> None:
    outcome = simulate(replace(STEPS, schedule_s=1), Setup(shards=1000, workers=100))
    assert outcome.making_s == pytest.approx(1000 * 1 + 10, rel=0.01)
    assert outcome.bottleneck == "the scheduler"


def test_many_workers_end_with_what_one_process_does() -> None:
    assert simulate(STEPS, Setup(shards=100, workers=100)).bottleneck == "assembling"
    assert simulate(replace(STEPS, polygons_s=1), Setup(shards=100, workers=100)).bottleneck == "polygons"


def test_maps_are_assembled_beside_the_workers_where_there_are_many() -> None:
    steps, few, many = replace(STEPS, polygons_s=1), Setup(shards=100, workers=2), Setup(shards=100, workers=100)
    few_beside, many_beside = (simulate(steps, setup, is_beside=True) for setup in (few, many))
    assert (few_beside.seconds, few_beside.bottleneck) == (3 + 2 + 50 * 10, "computing")
    assert (many_beside.seconds, many_beside.bottleneck) == (3 + 2 + 100 * 1.5, "polygons")


def test_lost_workers_cost_their_shard_and_a_start() -> None:
    setup = Setup(shards=400, workers=4, losses_per_hour=30, seed=1)
    undisturbed, disturbed = simulate(STEPS, replace(setup, losses_per_hour=0)), simulate(STEPS, setup)
    assert disturbed.lost > 0
    longest = disturbed.lost * (STEPS.shard_s + STEPS.start_s)
    assert undisturbed.making_s < disturbed.making_s <= undisturbed.making_s + longest
    assert disturbed == simulate(STEPS, setup)
    assert disturbed != simulate(STEPS, replace(setup, seed=2))


def test_a_lost_shard_at_the_end_is_made_by_a_worker_that_is_free() -> None:
    outcomes = [simulate(STEPS, Setup(shards=2, workers=2, losses_per_hour=120, seed=seed)) for seed in range(50)]
    assert any(outcome.lost for outcome in outcomes)
    assert all(outcome.making_s >= STEPS.shard_s for outcome in outcomes)


def test_a_large_map_takes_time_in_proportion() -> None:
    small, large = (simulate(STEPS, Setup(shards=MOST_SHARDS * times, workers=100)) for times in (1, 7))
    assert large.making_s == pytest.approx(7 * small.making_s)
    assert large.assemble_s == 7 * small.assemble_s
