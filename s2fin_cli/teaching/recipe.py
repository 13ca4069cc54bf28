"""The numbers of the ensemble that a test or a measurement may want to change."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class EnsembleRecipe:
    """How large the ensemble's members are, and how much each of them counts.

    Attributes:
        trees: trees of a forest.
        trees_to_validate: trees of a forest that is fitted for cross-validation only.
        fewest_trees: trees of a forest at least, however many classes there are.
        forest_values: values that a forest may hold: a tree keeps one for each class in each of its nodes, so with many
            classes there are fewer trees.
        rounds: rounds of boosting, each of which grows a tree for each class.
        fewest_rounds: rounds of boosting at least.
        boosted_trees: trees that boosting may grow in all.
        folds: parts of the labels that are held out in turn.
        least_learnt: share of a class's labels outside a fold that is learnt from at least, however near they are to
            the fold.
        power: a member's weight falls with its cross-validated error by a power of it, (error + `error_floor`) **
            -power. The more labels n there are, the more certain the error is, and the higher the power: `power` n /
            (n + `labels_to_trust`).
        labels_to_trust: see `power`.
        error_floor: see `power`.
        least_weight: a member whose weight is less than this share of the best one's is not fitted.
        vote: the share of a member's answer that is its vote for its most likely class; the rest are its probabilities.
            Forests with few labels spread theirs widely and boosting does not: without votes an overconfident member
            outvotes several underconfident ones.
        start_power: a model to start from counts by a power of its error, as a member does, and all members together
            by the same power of theirs.
        start_labels: with this many labels of each class on the mean, it counts half as much as they do at the same
            error, and with more labels less.
        unknown_error: what their error is taken for if no label can be held out.
        pixels_at_once: pixels whose features are put side by side at a time: bounds memory.
    """

    trees: int = 200
    trees_to_validate: int = 50
    fewest_trees: int = 32
    forest_values: int = 40_000_000
    rounds: int = 100
    fewest_rounds: int = 20
    boosted_trees: int = 1500
    folds: int = 4
    least_learnt: float = 0.5
    power: float = 16.0
    labels_to_trust: int = 700
    error_floor: float = 0.1
    least_weight: float = 0.05
    vote: float = 0.5
    start_power: float = 3.0
    start_labels: float = 10.0
    unknown_error: float = 0.4
    pixels_at_once: int = 1 << 15
