"""Measurements that are repeated for scenes, numbers of labels and seeds, some at a time, each in one thread."""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from joblib import Parallel, delayed  # type: ignore[import-untyped]

from scenes import SCENES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    #: Measures a scene, by its name or folder, with some labels of each class and a seed; gives figures by name.
    Measure = Callable[[str, int, int], dict[str, float]]


def arguments_of(description: str | None, *, seeds: str) -> argparse.Namespace:
    """What is to be measured, by the command line.

    Args:
        description: what the script is for.
        seeds: the seeds if none are given, separated by commas.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", default=",".join(scene.name for scene in SCENES), help="names, or folders")
    parser.add_argument("--seeds", default=seeds)
    parser.add_argument("--counts", default="20")
    parser.add_argument("--jobs", type=int, default=2, help="draws at once")
    return parser.parse_args()


def results_of(
    measure: Measure, arguments: argparse.Namespace
) -> Iterator[tuple[int, dict[str, list[dict[str, float]]]]]:
    """Measure scenes.

    Args:
        measure: what is measured, a function of a module.
        arguments: see `arguments_of`.

    Yields:
        a number of labels, and the figures of each seed by the scene's name.
    """
    scenes, seeds = arguments.scenes.split(","), [int(seed) for seed in arguments.seeds.split(",")]
    for count in map(int, arguments.counts.split(",")):
        draws = [(scene, count, seed) for scene in scenes for seed in seeds]
        found: dict[str, list[dict[str, float]]] = defaultdict(list)
        results = Parallel(arguments.jobs)(delayed(_in_one_thread)(measure, *one) for one in draws)
        for (scene, *_), result in zip(draws, results, strict=True):
            found[Path(scene).name].append(result)
        yield count, found


def _in_one_thread(measure: Measure, name: str, count: int, seed: int) -> dict[str, float]:
    torch.set_num_threads(1)
    return measure(name, count, seed)
