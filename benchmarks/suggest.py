"""Where labels are worth most: places that s2fin suggests, against random ones and simpler ways to choose them.

python benchmarks/suggest.py [--scenes A,B] [--draws 0,1,2] [--ways random,s2fin] [--csv benchmarks/results/suggest.csv]

The labels of a scene answer for the user. It begins with 5 labels of each class, and in each of 5 rounds 20 places are
chosen and labelled. Places are chosen in half of the blocks of 25 x 25 pixels and accuracy is measured in the other
half, as `accuracy.py` draws them. The classifier of each round are forests of the teacher, of 20 trees each, without
boosting and without weights: the whole teacher would take hours. It takes some minutes.
"""

from __future__ import annotations

import argparse
import csv
import logging
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from s2fin_cli.suggesting.judges import Known, Panel, judge
from s2fin_cli.teaching.recipe import EnsembleRecipe
from scenes import SCENES, read_scene
from suggest_ways import WAYS, Round
from suggestible import Draw, Suggestible
from summary import table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from s2fin_cli.suggesting.judges import Judgement

#: Places that are chosen at a time, and how often.
PLACES, ROUNDS = 20, 5
#: Numbers of labels after the start at which tables show accuracy; between rounds it is interpolated.
SHOWN = (0, 20, 35, 40, 60, 80, 100)
#: The way that labels every candidate, which shows how much there is to gain.
ALL = "all candidates"
#: Who judges and is measured.
PANEL = Panel(EnsembleRecipe(trees=20), boosting=False)
#: Overall and average accuracy in per cent, by scene, draw and way: (rounds, 2).
Curves = dict[tuple[str, int, str], "NDArray[np.float64]"]


def simulate(draw: Draw, way: str, seed: int) -> NDArray[np.float64]:
    """OA and AA (rounds + 1, 2) of a draw while places are chosen in a way, see `WAYS`."""
    choose, generator, found = WAYS[way], np.random.default_rng([seed, 1]), []
    labelled = draw.start
    for number in range(ROUNDS + 1):
        judgement = _judge(draw, labelled, seed)
        found.append(_accuracy(draw, judgement))
        free = np.setdiff1d(draw.candidates, labelled)
        if number == ROUNDS or len(free) <= PLACES:
            break
        rows, cols = draw.scene.labels.rows[free], draw.scene.labels.cols[free]
        places = np.searchsorted(draw.pixels, free)
        chosen = choose(Round(judgement.select(places), rows, cols, PLACES, generator))
        labelled = np.append(labelled, free[chosen])
    return np.array(found + found[-1:] * (ROUNDS + 1 - len(found)))


def _judge(draw: Draw, labelled: NDArray[np.int64], seed: int) -> Judgement:
    """What forests that learnt from some pixels think of all pixels of a draw."""
    features, asked = draw.scene.features, draw.pixels
    known = Known({n: v[labelled] for n, v in features.items()}, draw.targets[labelled], np.arange(len(labelled)))
    found = {n: v[asked] for n, v in features.items()}
    return judge(found, None, known, num_classes=draw.num_classes, seed=seed, panel=PANEL)


def _accuracy(draw: Draw, judgement: Judgement) -> tuple[float, float]:
    """OA and AA in per cent on the tested pixels."""
    truth = draw.targets[draw.tested]
    right = judgement.probs[np.searchsorted(draw.pixels, draw.tested)].argmax(axis=1) == truth
    return 100 * float(right.mean()), 100 * float(np.mean([right[truth == c].mean() for c in np.unique(truth)]))


def measure(names: Sequence[str], draws: Sequence[int], ways: Sequence[str]) -> Curves:
    """Measure ways on draws of scenes."""
    known, curves = {scene.name: scene for scene in SCENES}, Curves()
    for name in names:
        began = time.perf_counter()
        scene = Suggestible.of(read_scene(Path(name)) if Path(name).is_dir() else known[name])
        for seed in draws:
            draw = scene.draw(seed)
            for way in ways:
                curves[scene.name, seed, way] = simulate(draw, way, seed)
            everything = _accuracy(draw, _judge(draw, draw.candidates, seed))
            curves[scene.name, seed, ALL] = np.array([everything] * (ROUNDS + 1))
        print(f"{scene.name}: {time.perf_counter() - began:.0f} s", flush=True)
    return curves


def at_labels(curve: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """OA and AA after a number of labels."""
    places = np.arange(ROUNDS + 1) * PLACES
    return np.array([np.interp(count, places, curve[:, column]) for column in (0, 1)])


def means(curves: Curves, column: int) -> str:
    """A table of the mean over scenes, by way and number of labels."""
    by_way: dict[str, list[NDArray[np.float64]]] = defaultdict(list)
    for (_, _, way), curve in curves.items():
        by_way[way].append(np.array([at_labels(curve, count)[column] for count in SHOWN]))
    rows = [[way, *(f"{value:.1f}" for value in np.mean(found, axis=0))] for way, found in by_way.items()]
    return table([("OA", "AA")[column], *map(str, SHOWN)], rows)


def by_scene(curves: Curves) -> str:
    """A table of the OA after the last round, by scene and way."""
    ways = list(dict.fromkeys(way for _, _, way in curves))
    rows = []
    for scene in dict.fromkeys(scene for scene, _, _ in curves):
        ends = [
            [curve[-1, 0] for (own, _, other), curve in curves.items() if (own, other) == (scene, way)] for way in ways
        ]
        rows.append([scene, *(f"{np.mean(found):.1f}" for found in ends)])
    return table([f"OA, {SHOWN[-1]} labels", *ways], rows)


def gain(curves: Curves, way: str) -> str:
    """By how much a way is better than random places after the last round, with the standard error over the draws."""
    by_draw: dict[int, list[float]] = defaultdict(list)
    for (scene, seed, other), curve in curves.items():
        if other == way:
            by_draw[seed].append(curve[-1, 0] - curves[scene, seed, "random"][-1, 0])
    found = [float(np.mean(values)) for values in by_draw.values()]
    error = np.std(found, ddof=1) / len(found) ** 0.5 if len(found) > 1 else float("nan")
    return f"{way}: {np.mean(found):+.1f} ± {error:.1f} points of OA above random places with {SHOWN[-1]} labels"


def write_csv(path: Path, curves: Curves) -> None:
    """Write all accuracies, one a line."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["scene", "draw", "way", "labels", "oa", "aa"])
        for (scene, seed, way), curve in curves.items():
            for number, (oa, aa) in enumerate(curve.tolist()):
                writer.writerow([scene, seed, way, number * PLACES, f"{oa:.2f}", f"{aa:.2f}"])


def main(arguments: Iterable[str] | None = None) -> None:
    """Measure, print tables and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", default=",".join(scene.name for scene in SCENES), help="names, or folders")
    parser.add_argument("--draws", default="0,1,2", help="seeds; those of the log of experiments are 10 to 12")
    parser.add_argument("--ways", default=",".join(WAYS), help=f"of {', '.join(WAYS)}")
    parser.add_argument("--csv", type=Path, help="file for all figures")
    given = parser.parse_args(None if arguments is None else list(arguments))
    logging.getLogger("s2fin_cli").setLevel(logging.ERROR)
    torch.set_num_threads(1)
    ways = given.ways.split(",")
    curves = measure(given.scenes.split(","), [int(seed) for seed in given.draws.split(",")], ways)
    if given.csv is not None:
        write_csv(given.csv, curves)
    print(means(curves, 0), means(curves, 1), by_scene(curves), sep="\n")
    if "random" in ways:
        print(*(gain(curves, way) for way in ways if way != "random"), sep="\n")


if __name__ == "__main__":
    main()
