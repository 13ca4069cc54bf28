"""How far a model of another scene is trusted beside an ensemble that learnt from labels of this one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from s2fin_cli.teaching.calibration import balanced_accuracy

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from s2fin_cli.teaching.recipe import EnsembleRecipe


def worth_by_error(errors: NDArray[np.float64], count: int, recipe: EnsembleRecipe) -> NDArray[np.float64]:
    """What answers of several origins are worth, by their errors at a number of labels: unequal the more there are."""
    power = recipe.power * count / (count + recipe.labels_to_trust)
    return np.asarray((errors + recipe.error_floor) ** -power)


def share_of_start(
    start: NDArray[np.floating],
    own: NDArray[np.floating],
    targets: NDArray[np.int64],
    *,
    known: NDArray[np.bool_],
    recipe: EnsembleRecipe,
) -> float:
    """The share of a model to start from in the answers, 0 to 1.

    By their errors, it counts as members of the ensemble do; the labels tell directly how often it is right, as it has
    not learnt from them, and cross-validation how often the ensemble is. But errors at few labels tell little, so that
    the number of labels counts as well: with very few of them the model is the equal of the ensemble at the same error,
    and the more there are the less it is needed, see `EnsembleRecipe.start_labels`.

    Args:
        start: (n, classes), the model's probabilities at the labels.
        own: (m, classes), the ensemble's at those that could be held out.
        targets: (n,), the classes.
        known: (n,), which of them could be held out.
        recipe: the numbers.
    """
    worth = np.ones(2)
    if known.any():
        errors = 1 - np.array([balanced_accuracy(start, targets), balanced_accuracy(own, targets[known])])
        worth = worth_by_error(errors, len(targets), recipe)
    of_class = len(targets) / len(np.unique(targets))
    worth[0] *= recipe.start_labels / (recipe.start_labels + of_class)
    return float(worth[0] / worth.sum())
