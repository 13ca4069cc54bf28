"""Recipes and a network for tests that need a model of any quality."""

from __future__ import annotations

from dataclasses import replace

from s2fin_cli.teaching.recipe import EnsembleRecipe
from s2fin_cli.training.recipe import ContextSteps, Recipe, Steps

#: Small forests and few rounds of boosting: whole ones take seconds, and the tests' classes are easy to separate.
SMALL_ENSEMBLE = EnsembleRecipe(trees=8, trees_to_validate=4, rounds=8)
SMALL = Recipe(ensemble=SMALL_ENSEMBLE)
#: Hardly any steps as well: three a round, and ten for AFCM alone.
QUICK = replace(SMALL, context=ContextSteps(steps=10), steps=Steps(fewest=3, most=3))
#: Fields of `S2FinConfig` of a network with few weights.
TINY_NETWORK = {
    "width": 8, "map_width": 8, "deep_width": 8, "context_width": 16, "max_tokens": 3, "heads": 2, "state_size": 4,
}  # fmt: skip
