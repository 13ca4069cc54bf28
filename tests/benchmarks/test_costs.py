"""Costs of maps: the tables in the documentation, and what they are made from."""

from __future__ import annotations

import functools
import json
from dataclasses import replace
from typing import Any

import pytest

from cost_model import CORE, GPU, SCENE_MPX, SHARD_MPX, Costs, predicted
from cost_tables import blocks_of
from costs import DOCUMENTS, RESULTS, ROOT, fill_in
from shard_rates import Rates

RATES = Rates(
    bands=13, import_s=2, prepare_s=1, plan_s=0.5, decode_s=0.1, compute_s=10, shard_s=10, shard_cpu_s=11,
    checksum_s=0.01, assemble_s=0.2, polygons_s=0.3, read_mb=18, shard_mb=3, map_mb=4, polygons_mb=3, polygons=5000,
    schedule_s=None,
)  # fmt: skip


def results() -> dict[str, Any]:
    return dict(json.loads(RESULTS.read_text(encoding="utf-8")))


@functools.cache
def blocks() -> dict[str, str]:
    """The tables of the results that are kept."""
    found = results()
    return blocks_of(found, Costs(Rates(**found["rates"])))


@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_documentation_has_the_figures_of_the_results(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    assert "<!-- costs: " in text
    assert fill_in(text, blocks()) == text


def test_all_tables_have_their_place() -> None:
    texts = "".join((ROOT / document).read_text(encoding="utf-8") for document in DOCUMENTS)
    assert all(f"<!-- costs: {name} -->" in texts for name in blocks())


def test_only_text_between_markers_is_replaced() -> None:
    text = "a\n<!-- costs: one -->\nold\n<!-- end -->\nb\n<!-- costs: two -->\nkept\n<!-- end -->\n"
    assert fill_in(text, {"one": "new\n", "three": "x\n"}) == text.replace("old\n", "\nnew\n\n")


def test_one_worker_takes_the_sum_of_its_steps() -> None:
    seconds = Costs(RATES).of_map(CORE, 10 * SHARD_MPX, 1).seconds
    disk = 10 * SHARD_MPX * RATES.shard_mb / Costs.disk_mb_s
    assert seconds == pytest.approx(3.5 + 3 + disk + 10 * SHARD_MPX * (11 + 0.2 + 0.3), rel=1e-6)


def test_scenes_share_assembling_and_polygons() -> None:
    costs = Costs(RATES, disk_mb_s=1e6)
    one, many = (costs.of_scenes(CORE, 100 * SCENE_MPX, workers).seconds for workers in (1, 100))
    assert one == pytest.approx(100 * many, rel=0.01)
    whole = costs.of_map(CORE, 100 * SCENE_MPX, 100)
    assert whole.bottleneck == "polygons"
    assert whole.seconds > 5 * many


def test_prices_are_shown_where_they_are_given() -> None:
    found = results()
    costs = Costs(RATES, prices={GPU: 2.0})
    with_prices, without = (blocks_of(found, each)["places"] for each in (costs, replace(costs, prices={})))
    assert "price of the H200 hours" in with_prices
    assert "price of the CPU core hours" not in with_prices
    assert "price" not in without


def test_a_prediction_uses_the_cores_of_the_machine() -> None:
    found = results() | {
        "rates": vars(RATES), "scene": {"side": 2000, "bands": 12, "shards": 4}, "machine": {"cores": 2},
    }  # fmt: skip
    after = 4 * (0.2 + 0.3)
    assert predicted(found, 1) == pytest.approx(3.5 + 3 + 4 * 10 + after)
    assert predicted(found, 2) == pytest.approx(3.5 + 3 + 2 * 11 + after)
