"""Whether a model of another scene helps to start from: `s2fin train --init`, against training without it.

python benchmarks/init.py [--pairs A;B] [--counts 1,5,20] [--draws 0,1,2] [--csv benchmarks/results/init.csv]
python benchmarks/init.py --tables --csv benchmarks/results/init.csv

A pair is two halves of a scene, see `scene_pairs.py`. A model of the first half is trained with 30 labels of each
class. The second half has few labels, in half of its blocks of 25 x 25 pixels; accuracy is measured in the other half,
as `accuracy.py` does. Ways are compared on the same labels. Figures that are in the CSV file already are not measured
again. It takes some hours.
"""

from __future__ import annotations

import argparse
import csv
import logging
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from s2fin_cli.core.options import InputOptions
from s2fin_cli.inference.engine import Engine
from s2fin_cli.inference.pixels import predict_pixels
from s2fin_cli.model.file import read_model
from s2fin_cli.model.fit import fit_stack
from s2fin_cli.stack.assembly import stack_of
from s2fin_cli.workflows.options.train import TrainOptions
from s2fin_cli.workflows.train import run as train
from scene_pairs import PAIRS, draw_source, draw_target, make_pair
from summary import table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from s2fin_cli.labels.pixels import LabelledPixels
    from scene_pairs import Draw, Half, Pair

#: Ways to get a map of the second scene: the model of the first one as it is, training on the labels of the second, and
#: training on these with the model to start from.
ALONE, WITHOUT, WITH = "model alone", "train", "train --init"
WAYS = (ALONE, WITHOUT, WITH)
COLUMNS = ("pair", "labels", "draw", "way", "oa", "aa", "seconds")


@dataclass(frozen=True)
class Result:
    """What one way gave on one draw.

    Attributes:
        pair, labels, draw, way: what was measured: labels of each class, and the seed of the draw.
        oa, aa: overall and average accuracy in per cent.
        seconds: processor time of the training.
    """

    pair: str
    labels: int
    draw: int
    way: str
    oa: float
    aa: float
    seconds: float

    @property
    def key(self) -> tuple[str, int, int, str]:
        """What was measured."""
        return self.pair, self.labels, self.draw, self.way


class Scenes:
    """The scenes of pairs, and the models of the first ones, made when they are needed.

    Args:
        folder: where they are kept.
        swapped: whether the second half of a scene is the first of its pair.
    """

    def __init__(self, folder: Path, *, swapped: bool) -> None:
        self._folder, self._swapped = folder, swapped
        self._made: dict[str, Half] = {}

    def second(self, pair: Pair) -> tuple[Half, Path]:
        """The second scene of a pair, and the model of the first one."""
        folder = self._folder / pair.name
        model = folder / "first.s2fin"
        if pair.name not in self._made:
            folder.mkdir(parents=True, exist_ok=True)
            first, self._made[pair.name] = make_pair(pair, folder, swapped=self._swapped)
            if not model.exists():
                train_on(first, draw_source(first, 0), folder, output=model, seed=0)
        return self._made[pair.name], model


def measure(
    pairs: Sequence[Pair], counts: Sequence[int], draws: Sequence[int], scenes: Scenes, done: set[tuple[Any, ...]]
) -> Iterator[Result]:
    """Measure all ways on draws of pairs, but not those that are done."""
    for seed, count, pair in ((seed, count, pair) for seed in draws for count in counts for pair in pairs):
        wanted = [way for way in WAYS if (pair.name, count, seed, way) not in done]
        if wanted:
            half, model = scenes.second(pair)
            draw = draw_target(half, count, seed)
            for way in wanted:
                yield Result(pair.name, count, seed, way, *_measured(way, half, draw, model, seed=seed))


def _measured(way: str, half: Half, draw: Draw, model: Path, *, seed: int) -> tuple[float, float, float]:
    """OA, AA and processor time of a way."""
    if way == ALONE:
        return *_accuracy(model, half, draw), 0.0
    given, output = {"init": str(model)} if way == WITH else {}, model.with_name("second.s2fin")
    began = time.process_time()
    train_on(half, draw.train, model.parent, output=output, seed=seed, overwrite=True, **given)
    seconds = time.process_time() - began
    return *_accuracy(output, half, draw), seconds


def train_on(half: Half, pixels: LabelledPixels, folder: Path, **options: Any) -> None:
    """Train on labelled pixels of a scene, as a user does."""
    labels = folder / "labels.tif"
    half.write_labels(labels, pixels)
    given = {name: str(value) if isinstance(value, Path) else value for name, value in options.items()}
    train(TrainOptions.from_kwargs({**half.paths, "labels": str(labels), **given}))


def _accuracy(model: Path, half: Half, draw: Draw) -> tuple[float, float]:
    """OA and AA in per cent on the tested pixels, classified as in a map."""
    network, info = read_model(model)
    stack = fit_stack(info, stack_of(InputOptions.from_kwargs(half.paths)))
    truth, ids = draw.test.class_ids, np.array([int(c.name) for c in info.classes])
    probs = predict_pixels(Engine(network, torch.device("cpu")), stack, draw.test.rows, draw.test.cols)
    right = ids[probs.argmax(axis=1)] == truth
    return 100 * float(right.mean()), 100 * float(np.mean([right[truth == c].mean() for c in np.unique(truth)]))


# ---- results ---------------------------------------------------------------------------------------------------------


def read_results(path: Path) -> list[Result]:
    """Results of a file, none if there is no such file."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [
            Result(r["pair"], int(r["labels"]), int(r["draw"]), r["way"], *(float(r[name]) for name in COLUMNS[4:]))
            for r in csv.DictReader(file)
        ]


def write_results(path: Path, results: Iterable[Result]) -> None:
    """Write results, one a line."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for result in results:
            writer.writerow([*result.key, f"{result.oa:.2f}", f"{result.aa:.2f}", f"{result.seconds:.1f}"])


def by_pair(results: Sequence[Result], labels: int, figure: str = "oa") -> str:
    """A table of a mean figure of each pair and way with a number of labels, and of what starting from a model adds.

    Only draws of which all ways were measured count. The mean is over pairs, and its error that between them.
    """
    found = {result.key: float(getattr(result, figure)) for result in results if result.labels == labels}
    draws: dict[str, list[list[float]]] = defaultdict(list)
    for pair, _, draw in dict.fromkeys(key[:3] for key in found):
        own = [found.get((pair, labels, draw, way)) for way in WAYS]
        if None not in own:
            draws[pair].append([value for value in own if value is not None])
    rows = [[pair, *_means(own), _with_error(_gains(own))] for pair, own in draws.items()]
    pairs = [np.mean(own, axis=0).tolist() for own in draws.values()]
    head = [f"{figure.upper()}, {labels} a class", *WAYS, "gain"]
    return table(head, [*rows, ["**mean**", *_means(pairs), _with_error(_gains(pairs))]] if pairs else [])


def _means(figures: Sequence[Sequence[float]]) -> list[str]:
    """Means of figures by way, of draws or pairs."""
    return [f"{value:.1f}" for value in np.mean(figures, axis=0).tolist()]


def _gains(figures: Sequence[Sequence[float]]) -> NDArray[np.float64]:
    """What starting from a model adds, of draws or pairs."""
    by_way = np.array(figures)
    return np.asarray(by_way[:, WAYS.index(WITH)] - by_way[:, WAYS.index(WITHOUT)])


def _with_error(values: NDArray[np.float64]) -> str:
    """Mean and standard error."""
    error = f" ± {values.std(ddof=1) / len(values) ** 0.5:.1f}" if len(values) > 1 else ""
    return f"{values.mean():+.1f}{error}"


def times(results: Sequence[Result]) -> str:
    """How long training takes with a model to start from, over the time without."""
    taken: dict[str, dict[tuple[Any, ...], float]] = defaultdict(dict)
    for result in results:
        taken[result.way][result.key[:3]] = result.seconds
    ratios = [taken[WITH][key] / without for key, without in taken[WITHOUT].items() if key in taken[WITH]]
    return f"processor time with a model to start from, over that without: {np.median(ratios):.2f} (median)"


def main(arguments: Iterable[str] | None = None) -> None:
    """Measure, print tables and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    reported = ";".join(pair.name for pair in PAIRS if pair.reported)
    parser.add_argument("--pairs", default=reported, help="names, separated by semicolons")
    parser.add_argument("--counts", default="1,5,20", help="labels of each class")
    parser.add_argument("--draws", default="0,1,2", help="seeds")
    parser.add_argument("--tables", action="store_true", help="only print tables of the file's figures")
    parser.add_argument("--swapped", action="store_true", help="start from the second half, as choices were made")
    parser.add_argument("--folder", type=Path, help="where scenes and models are kept; else they are made again")
    parser.add_argument("--csv", type=Path, help="file for all figures")
    given = parser.parse_args(None if arguments is None else list(arguments))
    logging.getLogger("s2fin_cli").setLevel(logging.ERROR)
    torch.set_num_threads(1)
    counts, draws = ([int(number) for number in text.split(",")] for text in (given.counts, given.draws))
    results = [] if given.csv is None else read_results(given.csv)
    pairs = [] if given.tables else [pair for pair in PAIRS if pair.name in given.pairs.split(";")]
    with tempfile.TemporaryDirectory() as folder:
        scenes = Scenes(given.folder or Path(folder), swapped=given.swapped)
        for result in measure(pairs, counts, draws, scenes, {result.key for result in results}):
            print(*result.key, f"OA {result.oa:.1f} AA {result.aa:.1f}, {result.seconds:.0f} s", flush=True)
            results.append(result)
            if given.csv is not None:
                write_results(given.csv, results)
    tables = [by_pair(results, count, figure) for count in counts for figure in ("oa", "aa")]
    print(*tables, times(results), sep="\n")


if __name__ == "__main__":
    main()
