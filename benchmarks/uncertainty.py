"""How well `classify --uncertainty` knows what was not learnt, and what the teacher's members disagree about.

python benchmarks/uncertainty.py [--scenes A,B] [--seeds 100,101] [--counts 20] [--jobs N]

On blocks of pixels, as `accuracy.py` draws them, with the features, labels and members that training uses. No network
is trained. Columns: the area under the ROC curve of the dissimilarity, between test pixels of a class whose labels were
left out and those of the others, the mean of all classes; the share of such a class that is outside of the area of
applicability; the share of test pixels that is outside with all classes learnt; and Spearman's rank correlation of the
estimated disagreement with that of the members themselves, at test pixels.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from joblib import Parallel, delayed  # type: ignore[import-untyped]
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from protocols import draw
from s2fin_cli.stack.cells import Places
from s2fin_cli.teaching.ensemble import ask_members
from s2fin_cli.teaching.features import compared_features, features_at
from s2fin_cli.teaching.members import choose_members
from s2fin_cli.teaching.recipe import EnsembleRecipe
from s2fin_cli.teaching.teacher import Answers, Questions
from s2fin_cli.teaching.validation import cross_validate
from s2fin_cli.training.learning import labels_of
from s2fin_cli.training.reference import reference_pixels
from s2fin_cli.training.targets import make_lesson
from s2fin_cli.workflows.options.train import TrainOptions
from s2fin_cli.workflows.train import prepare
from scenes import SCENES, load, read_scene
from subject import write_labels
from summary import table

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from s2fin_cli.model.reference import ReferencePixels
    from s2fin_cli.teaching.features import Features
    from s2fin_cli.teaching.teacher import Lesson

#: A class is left out if this many of its test pixels, and of the others', are there; test pixels of a draw at most.
FEWEST, MOST_TESTED = 20, 4000
COLUMNS = ("AUC", "unknown outside", "known outside", "disagreement")
RECIPE = EnsembleRecipe()


def figures(name: str, count: int, seed: int) -> dict[str, float]:
    """The figures of one draw by the names in `COLUMNS`, NaN where there are none."""
    logging.getLogger("s2fin_cli").setLevel(logging.ERROR)
    loaded = load(read_scene(Path(name)) if Path(name).is_dir() else {scene.name: scene for scene in SCENES}[name])
    case = draw(loaded, "blocks", count, seed, most_tested=MOST_TESTED)
    with tempfile.TemporaryDirectory() as folder:
        labels = Path(folder, "labels.tif")
        class_ids = write_labels(labels, loaded, case.train)
        given = {**loaded.paths, "labels": str(labels), "seed": seed, "validation": 0}
        job = prepare(TrainOptions.from_kwargs(given))
    learnt, _ = labels_of(job, job.split)
    lesson = make_lesson(job, learnt, np.arange(len(learnt)), dense=False)
    asked, elsewhere = (
        features_at(job.scene.standardizer, job.scene.stack, rows, cols)
        for rows, cols in ((case.test.rows, case.test.cols), (job.scene.rows, job.scene.cols))
    )
    ids = class_ids[[c.id - 1 for c in learnt.classes]]
    known = _outside(_reference(lesson), asked)[1]
    found = [_left_out(lesson, asked, number, case.test.class_ids == ids[number]) for number in range(len(ids))]
    auc, unknown = np.nanmean([[np.nan, np.nan], *found], axis=0)
    return dict(zip(COLUMNS, (auc, unknown, known, _correlation(lesson, asked, elsewhere)), strict=True))


def _left_out(lesson: Lesson, asked: Features, number: int, is_new: NDArray[np.bool_]) -> tuple[float, float]:
    """AUC of the dissimilarity without the labels of a class, and the share of its test pixels that is outside."""
    if min(is_new.sum(), (~is_new).sum()) < FEWEST:
        return np.nan, np.nan
    kept = lesson.targets != number
    features = {name: values[kept] for name, values in lesson.features.items()}
    targets = np.unique(lesson.targets[kept], return_inverse=True)[1]
    reference = _reference(replace(lesson, features=features, targets=targets, units=lesson.units[kept]))
    index = _outside(reference, asked)[0]
    return float(roc_auc_score(is_new, index)), float((index[is_new] > reference.threshold).mean())


def _outside(reference: ReferencePixels, asked: Features) -> tuple[NDArray[np.float32], float]:
    """The dissimilarity of pixels, and the share of them that is outside."""
    index: NDArray[np.float32] = reference.dissimilarity(torch.from_numpy(compared_features(asked))).numpy()
    return index, float((index > reference.threshold).mean())


def _reference(lesson: Lesson, elsewhere: Features | None = None, answers: Answers | None = None) -> ReferencePixels:
    """The reference pixels of a lesson, with prototypes of the pixels elsewhere if there are answers about them."""
    features = lesson.features if elsewhere is None else elsewhere
    none = np.full(len(features["position"]), -1)
    unanswered = Answers(np.empty((0, lesson.num_classes), np.float32))
    questions = Questions(features, none, Places(none, none, none))
    return reference_pixels(lesson, questions, answers or unanswered, folds=RECIPE.folds)


def _correlation(lesson: Lesson, asked: Features, elsewhere: Features) -> float:
    """Rank correlation of the disagreement of the members about pixels, with what prototypes elsewhere say of it."""
    members = choose_members(lesson.features, dense=False)
    trust = cross_validate(members, lesson, RECIPE)
    both = {name: np.concatenate([values, elsewhere[name]]) for name, values in asked.items()}
    answers = ask_members(members, lesson, both, trust=trust, recipe=RECIPE)
    assert answers.disagreement is not None, "there are members"
    real, others = np.split(answers.disagreement, [len(asked["position"])])
    reference = _reference(lesson, elsewhere, replace(answers, disagreement=others))
    estimate = reference.disagreement(torch.from_numpy(compared_features(asked))).numpy()
    return float(spearmanr(estimate, real)[0])


def _in_one_thread(name: str, count: int, seed: int) -> dict[str, float]:
    torch.set_num_threads(1)
    return figures(name, count, seed)


def main() -> None:
    """Measure and print a table for each number of labels."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", default=",".join(scene.name for scene in SCENES), help="names, or folders")
    parser.add_argument("--seeds", default="100,101")
    parser.add_argument("--counts", default="20")
    parser.add_argument("--jobs", type=int, default=2, help="draws at once")
    arguments = parser.parse_args()
    scenes, seeds = arguments.scenes.split(","), [int(seed) for seed in arguments.seeds.split(",")]
    for count in map(int, arguments.counts.split(",")):
        draws = [(scene, count, seed) for scene in scenes for seed in seeds]
        by_scene: dict[str, list[dict[str, float]]] = defaultdict(list)
        results = Parallel(arguments.jobs)(delayed(_in_one_thread)(*one) for one in draws)
        for (scene, *_), result in zip(draws, results, strict=True):
            by_scene[Path(scene).name].append(result)
        means = {
            scene: [float(np.nanmean([one[column] for one in found])) for column in COLUMNS]
            for scene, found in by_scene.items()
        }
        rows = [[scene, *(f"{value:.2f}" for value in found)] for scene, found in means.items()]
        last = [f"{value:.2f}" for value in np.nanmean(list(means.values()), axis=0)]
        print(table([f"{count} labels", *COLUMNS], [*rows, ["**mean**", *last]]))


if __name__ == "__main__":
    main()
