"""The figures of `throughput.py` in Markdown."""

from __future__ import annotations

from typing import Any

from commands import shape_name
from summary import table

#: The ways to classify that are compared, and how their figures' names begin.
WAYS = {
    "patch by patch": "naive",
    "engine, stride 1": "stride1",
    "engine, stride 3": "stride3",
    "engine, default stride": "default",
}


def tables(results: dict[str, Any]) -> str:
    """All figures."""
    parts = [_heading(results), _rates(results), _stages(results), _by_bands(results), _commands(results)]
    last = (
        f"Ten times the rows take {results['rss_ratio']:.2f} times the memory; `s2fin --help` takes "
        f"{results['help_seconds']:.2f} s.\n"
    )
    return "\n".join([*parts, _scenes(results), last])


def _rates(results: dict[str, Any]) -> str:
    rows = [
        [
            label,
            f"{results[f'{name}_px_s']:,.0f}",
            f"{results[f'{name}_px_s'] / results['naive_px_s']:.1f}",
            f"{results[f'{name}_mflop_px']:.2f}",
            _percent(results[f"{name}_gemm_share"]),
        ]
        for label, name in WAYS.items()
        if f"{name}_px_s" in results
    ]
    return table(["Way", "px/s", "times patch by patch", "MFLOP/px", "share of the matrix product"], rows)


def _stages(results: dict[str, Any]) -> str:
    stages, alone = results["stages"] | {"waiting": results["waiting"]}, results["stages_alone"]
    return table(
        ["Stage", *stages],
        [
            ["share of the time", *(_percent(share) for share in stages.values())],
            ["without the computing", *(_percent(alone[stage]) if stage in alone else "" for stage in stages)],
        ],
    )


def _by_bands(results: dict[str, Any]) -> str:
    rates = results["px_s_by_bands"]
    return table(["Bands", *rates], [["px/s", *(f"{rate:,.0f}" for rate in rates.values())]])


def _commands(results: dict[str, Any]) -> str:
    rows = [_cost(name, cost, cost["px_s"]) for name, cost in results["commands"].items()]
    return table(["Whole command", "s", "px/s", "peak memory, MB"], rows)


def _scenes(results: dict[str, Any]) -> str:
    rows = [_cost(shape, cost, _pixels(shape) / cost["seconds"]) for shape, cost in results["scenes"].items()]
    return table(["s2fin classify, pixels", "s", "px/s", "peak memory, MB"], rows)


def _cost(name: str, cost: dict[str, float], rate: float) -> list[str]:
    """A row: what ran, its seconds, pixels a second and megabytes."""
    return [name, f"{cost['seconds']:.1f}", f"{rate:,.0f}", f"{cost['rss_mb']:.0f}"]


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _heading(results: dict[str, Any]) -> str:
    gemm, same, pipeline_side = (results[name] for name in ("gemm_side", "stride1_same_classes", "pipeline_side"))
    sentences = [
        f"{results['device']}, {results['threads']} threads, {results['bands']} + 1 bands.",
        f"A matrix product of {shape_name((gemm, gemm))} runs at {results['gemm_gflop_s']:,.0f} GFLOP/s.",
        f"At stride 1 the engine gives the class of the patches on {100 * same:.3f} % of {results['compared_pixels']}.",
        f"A scene of {shape_name((pipeline_side, pipeline_side))} goes from files to map and polygons at "
        f"{results['pipeline_px_s']:,.0f} px/s in a process that runs already.",
    ]
    if "cpu_same_classes" in results:
        sentences.append(f"A CPU gives the same class on {100 * results['cpu_same_classes']:.4f} % of the pixels.")
    return " ".join(sentences) + "\n"


def _pixels(shape: str) -> int:
    height, width = map(int, shape.split(" x "))
    return height * width
