"""The figures of shards, of their simulation and of the costs in Markdown."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

from cost_model import CORE, GPU, SCENE_MPX, SHARD_MPX, Costs, predicted
from summary import table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cluster import Outcome

#: Square metres of a pixel, at 10 m.
PIXEL_M2 = 100
#: Square kilometres of what is mapped.
REGION, GERMANY, LAND = "a region", "Germany", "the land surface"
PLACES = {REGION: 20_000, GERMANY: 357_000, LAND: 149_000_000}
WORKERS = (1, 2, 10, 30, 100, 300, 1000)
#: Workers of each kind in the table of costs.
TOGETHER = {CORE: 100, GPU: 8}
#: Pixels that a measurement needs at least to be quoted, in millions.
ENOUGH_MPX = 25
#: Losses of a worker in an hour that the text tells the cost of, and the workers.
LOSSES, AMONG = 0.1, 100


def blocks_of(results: Mapping[str, Any], costs: Costs) -> dict[str, str]:
    """The tables by the name of their place in the documentation."""
    caveat = _caveat(results)
    return {
        "runs": caveat + _runs(results),
        "steps": caveat + _steps(costs),
        "validation": caveat + _validation(results),
        "places": caveat + _places(costs),
        "one map": caveat + _one_map(costs),
        "scenes": caveat + _scenes(costs),
    }


def mpx_of(place: str) -> float:
    """Pixels of a place, in millions."""
    return PLACES[place] * 1e6 / PIXEL_M2 / 1e6


def _caveat(results: Mapping[str, Any]) -> str:
    """That the figures are of a trial, if they are."""
    side = results["scene"]["side"]
    if side**2 / 1e6 >= ENOUGH_MPX:
        return ""
    return f"*Figures of a trial with {side} x {side} pixels on a busy machine, which do not count.*\n\n"


def _runs(results: Mapping[str, Any]) -> str:
    runs, scene, machine = results["runs"], results["scene"], results["machine"]
    pixels, plain = scene["side"] ** 2, runs["plain"]
    rows = [
        [
            name, f"{run['seconds']:.1f}", f"{run['cpu_seconds']:.1f}", f"{pixels / run['seconds'] / 1000:.1f}",
            f"{run['seconds'] / plain['seconds']:.3f}", f"{run['cpu_seconds'] / plain['cpu_seconds']:.3f}",
            ", ".join(f"{process['rss_mb']:.0f}" for process in run["processes"]),
        ]
        for name, run in runs.items()
    ]  # fmt: skip
    head = ["Way", "s", "CPU s", "1000 px/s", "times plain", "CPU s, times plain", "peak memory of each process, MiB"]
    several = [f"{name}: {value:.3f}" for name, value in results["ratios"].items() if "plain" not in name]
    text = (
        f"{scene['side']} x {scene['side']} pixels, {scene['bands']} + 1 bands, {scene['shards']} shards; "
        f"{machine['processor']}, {machine['cores']} cores, load {machine['load before']:.1f} before, torch "
        f"{machine['torch']}. Map, confidence and polygon table of all {results['identical']} runs were "
        f"identical. {'; '.join(several)}."
    )
    return _wrapped(text) + "\n" + table(head, rows)


def _steps(costs: Costs) -> str:
    rates = costs.rates
    seconds = {
        "decoding and warping, in a thread beside": rates.decode_s,
        "computing": rates.compute_s,
        "a shard from start to end": rates.shard_s,
        "the same, CPU time of all threads": rates.shard_cpu_s,
        "checksums of shards": rates.checksum_s,
        "assembling, with checksums and overviews": rates.assemble_s,
        "polygons": rates.polygons_s,
    }
    rows = [[name, f"{value:.3f}", f"{1 / value:.3g}"] for name, value in seconds.items()]
    text = (
        f"A process imports its modules in {rates.import_s:.1f} s, and reads the model and looks at the scene in "
        f"{rates.prepare_s:.1f} s. Checking the plan takes {1000 * rates.plan_s:.0f} ms"
        + ("" if rates.schedule_s is None else f", a task of Dask's scheduler {1000 * rates.schedule_s:.1f} ms")
        + f". A million pixels are {rates.read_mb:.1f} MB of images, {rates.shard_mb:.1f} MB of shards, "
        f"{rates.map_mb:.1f} MB of map and confidence, and {rates.polygons:,.0f} polygons in {rates.polygons_mb:.1f} "
        "MB."
    )
    return table(["Step", "s per Mpx", "Mpx/s"], rows) + "\n" + _wrapped(text)


def _validation(results: Mapping[str, Any]) -> str:
    rows = []
    for name, run in results["runs"].items():
        count, _, what = name.partition(" ")
        if what in {"worker", "workers"}:
            seconds = predicted(results, int(count))
            rows.append([count, f"{run['seconds']:.1f}", f"{seconds:.1f}", f"{seconds / run['seconds']:.2f}"])
    return table(["Workers", "measured, s", "simulated, s", "simulated / measured"], rows)


def _places(costs: Costs) -> str:
    """Hours and storage of each place."""
    rates, rows = costs.rates, []
    for place, km2 in PLACES.items():
        mpx, of = mpx_of(place), costs.of_scenes if place == LAND else costs.of_map
        row = [f"{place}, {km2:,} km²", f"{mpx / 1000:,.3g}" if place != LAND else f"{mpx / 1000:,.0f}"]
        for kind, workers in TOGETHER.items():
            hours = mpx * costs.compute_s(kind) / 3600
            row += [_short(hours), _duration(of(kind, mpx, workers).seconds)]
            row += [_short(hours * costs.prices[kind])] if kind in costs.prices else []
        row += [_size(mpx * size) for size in (rates.read_mb, rates.shard_mb, rates.map_mb)]
        rows.append(row)
    head = ["Place", "billion px"]
    for kind, workers in TOGETHER.items():
        head += [f"{kind} hours", f"time on {workers}"] + ([f"price of the {kind} hours"] * (kind in costs.prices))
    return table([*head, "images", "shards", "map and confidence"], rows)


def _one_map(costs: Costs) -> str:
    mpx = mpx_of(GERMANY)
    calm, stormy = (Costs(costs.rates, costs.disk_mb_s, losses).of_map(CORE, mpx, AMONG) for losses in (0.0, LOSSES))
    more = 100 * (stormy.seconds / calm.seconds - 1)
    both, alone = (
        " or ".join(f"{_short(costs.balance(kind, polygons=polygons))} {kind}s" for kind in TOGETHER)
        for polygons in (True, False)
    )
    text = (
        f"One process assembles a map and makes its polygons about as fast as {both} make its shards, and without "
        f"polygons as fast as {alone}. If each worker is lost once in {1 / LOSSES:.0f} hours, {AMONG} cores lose "
        f"{stormy.lost} worker{'s' * (stormy.lost != 1)} on the way and take {more:.1f} % longer."
    )
    return _by_workers(costs, costs.of_map, mpx) + "\n" + _wrapped(text)


def _scenes(costs: Costs) -> str:
    rates, mpx = costs.rates, mpx_of(LAND)
    assembling, polygons = (_short(mpx * seconds / 3600) for seconds in (rates.assemble_s, rates.polygons_s))
    text = (
        f"As one map, the land surface would have {mpx / SHARD_MPX:,.0f} shards and "
        f"{mpx * rates.polygons / 1e9:.1f} billion polygons. One process would assemble it in {assembling} hours and "
        f"make its polygons in {polygons} hours. The table is for {mpx / SCENE_MPX:,.0f} scenes of 10,980 x 10,980 "
        "pixels."
    )
    rows = []
    for workers in WORKERS:
        row = [f"{workers:,}"]
        for kind in TOGETHER:
            outcomes = (of(kind, mpx, workers) for of in (costs.of_list, costs.of_scenes))
            row += [part for outcome in outcomes for part in (_duration(outcome.seconds), outcome.bottleneck)]
        rows.append(row)
    ways = ("one command", "a command each")
    head = [part for kind in TOGETHER for way in ways for part in (f"{kind}s, {way}", "what takes longest")]
    return _wrapped(text) + "\n" + table(["Workers", *head], rows)


def _by_workers(costs: Costs, of: Callable[[str, float, int], Outcome], mpx: float) -> str:
    """Hours, efficiency and bottleneck by number of workers."""
    alone = {kind: of(kind, mpx, 1).seconds for kind in TOGETHER}
    rows = []
    for workers in WORKERS:
        row = [f"{workers:,}"]
        for kind in TOGETHER:
            outcome = of(kind, mpx, workers)
            efficiency = 100 * alone[kind] / workers / outcome.seconds
            row += [_duration(outcome.seconds), f"{efficiency:.0f} %", outcome.bottleneck]
        rows.append(row)
    head = [part for kind in TOGETHER for part in (f"{kind}s", "efficiency", "what takes longest")]
    return table(["Workers", *head], rows)


def _short(value: float) -> str:
    """A number with two or three digits that tell."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}"


def _duration(seconds: float) -> str:
    """A time in minutes or hours."""
    return f"{_short(seconds / 60)} min" if seconds < 3600 else f"{_short(seconds / 3600)} h"


def _size(megabytes: float) -> str:
    """An amount of bytes."""
    unit, factor = next((unit, factor) for unit, factor in (("TB", 1e6), ("GB", 1e3), ("MB", 1)) if megabytes >= factor)
    return f"{_short(megabytes / factor)} {unit}"


def _wrapped(text: str) -> str:
    """A paragraph in lines."""
    return textwrap.fill(text, 120, break_long_words=False, break_on_hyphens=False) + "\n"
