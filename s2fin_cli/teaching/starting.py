"""How far a model of another scene is trusted beside an ensemble that learnt from labels of this one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from s2fin_cli.teaching.calibration import balanced_accuracy

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from s2fin_cli.teaching.recipe import EnsembleRecipe


def share_of_start(
    start: NDArray[np.floating],
    own: NDArray[np.floating],
    targets: NDArray[np.int64],
    *,
    known: NDArray[np.bool_],
    recipe: EnsembleRecipe,
) -> float:
    """The share of a model to start from in the answers, 0 to 1.

    The labels tell directly how often it is right, as it has not learnt from them, and cross-validation how often the
    ensemble is. At the same error, the model is nearly the equal of the ensemble if there are very few labels; the more
    there are the less it is needed, see `EnsembleRecipe.start_labels`.

    Args:
        start: (n, classes), the model's probabilities at the labels.
        own: (m, classes), the ensemble's at those that could be held out.
        targets: (n,), the classes.
        known: (n,), which of them could be held out; none, for example, with one label of each class.
        recipe: the numbers.
    """
    error = 1 - balanced_accuracy(start, targets)
    own_error = 1 - balanced_accuracy(own, targets[known]) if known.any() else recipe.unknown_error
    of_class = len(targets) / len(np.unique(targets))
    worth = ((own_error + recipe.error_floor) / (error + recipe.error_floor)) ** recipe.start_power
    worth *= recipe.start_labels / (recipe.start_labels + of_class)
    return float(worth / (1 + worth))
