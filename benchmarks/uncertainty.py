"""How well `classify --uncertainty` knows what was not learnt, and what the teacher's members disagree about.

python benchmarks/uncertainty.py [--scenes A,B] [--seeds 100,101] [--counts 20] [--jobs N]

On blocks of pixels, as `accuracy.py` draws them, with the features, labels and members that training uses. No network
is trained. Columns: the area under the ROC curve of the dissimilarity, between test pixels of a class whose labels were
left out and those of the others, the mean of all classes; the share of such a class that is outside of the area of
applicability; the share of test pixels that is outside with all classes learnt; and Spearman's rank correlation of the
estimated disagreement with that of the members themselves, at test pixels.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from lessons import draw_lesson
from repeated import arguments_of, results_of
from s2fin_cli.stack.cells import Places
from s2fin_cli.teaching.ensemble import ask_members
from s2fin_cli.teaching.features import compared_features, features_at
from s2fin_cli.teaching.members import choose_members
from s2fin_cli.teaching.recipe import EnsembleRecipe
from s2fin_cli.teaching.teacher import Answers, Questions
from s2fin_cli.teaching.validation import cross_validate
from s2fin_cli.training.reference import reference_pixels
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
    drawn = draw_lesson(name, count, seed, validation=0, most_tested=MOST_TESTED)
    lesson, test, scene, ids = drawn.lesson, drawn.test, drawn.job.scene, drawn.class_ids
    asked, elsewhere = (
        features_at(scene.standardizer, scene.stack, rows, cols)
        for rows, cols in ((test.rows, test.cols), (scene.rows, scene.cols))
    )
    known = _outside(_reference(lesson), asked)[1]
    found = [_left_out(lesson, asked, number, test.class_ids == ids[number]) for number in range(len(ids))]
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


def main() -> None:
    """Measure and print a table for each number of labels."""
    for count, by_scene in results_of(figures, arguments_of(__doc__, seeds="100,101")):
        means = {
            scene: [float(np.nanmean([one[column] for one in found])) for column in COLUMNS]
            for scene, found in by_scene.items()
        }
        rows = [[scene, *(f"{value:.2f}" for value in found)] for scene, found in means.items()]
        last = [f"{value:.2f}" for value in np.nanmean(list(means.values()), axis=0)]
        print(table([f"{count} labels", *COLUMNS], [*rows, ["**mean**", *last]]))


if __name__ == "__main__":
    main()
