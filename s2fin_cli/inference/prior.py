"""The prior: how much of the area each class covers, according to the user.

Training draws all classes equally often, so that rare ones are learnt too, and labels do not show how frequent each
class is. On the map the classes are not equally frequent, and a user who knows their rough shares can get a better map.
It is ours, not part of the network.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from s2fin_cli.core.checks import nearest_name, parse_share
from s2fin_cli.core.classes import find_name
from s2fin_cli.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from s2fin import S2Fin
    from s2fin_cli.core.classes import LandCoverClass

#: Power of the prior. At full strength rare classes all but vanish, because a network is overconfident away from its
#: labels and the shares are guesses; see docs/experiments.md.
STRENGTH = 0.5
#: By how much the sum of the shares may differ from 1, because percentages are rounded.
ROUNDING = 0.05


def read_prior(given: Sequence[str], classes: Sequence[LandCoverClass]) -> NDArray[np.float64]:
    """The share of each class; the shares sum to 1.

    Args:
        given: each "CLASS=PERCENT", a class by its name or else its number; unnamed classes share the rest equally.
        classes: the model's classes.

    Returns:
        float64 (classes,).

    Raises:
        UsageError: a class is unknown or named twice, or the percentages do not add up.
    """
    shares = np.full(len(classes), np.nan)
    for text in given:
        name, share = parse_share(text)
        position = _position(name, classes)
        if not np.isnan(shares[position]):
            raise UsageError(f"`prior` names {classes[position].name!r} twice; once is enough")
        shares[position] = share
    unnamed, total = np.flatnonzero(np.isnan(shares)), float(np.nansum(shares))
    if total > 1 + ROUNDING:
        raise UsageError(f"the shares of `prior` add up to {100 * total:g} %; lower them to 100 % or less")
    if not len(unnamed) and abs(total - 1) > ROUNDING:
        raise UsageError(f"`prior` gives {100 * total:g} % in all; it must be 100, as every class is named")
    if len(unnamed) and total >= 1:
        left = ", ".join(repr(classes[position].name) for position in unnamed.tolist())
        raise UsageError(
            f"`prior` gives {100 * total:g} % in all, which leaves nothing for {left}; "
            "give them a share too, or 0 to exclude them"
        )
    shares[unnamed] = (1 - total) / max(len(unnamed), 1)
    return np.asarray(shares / shares.sum())


def _position(name: str, classes: Sequence[LandCoverClass]) -> int:
    """The position of the class that a text names."""
    ids, names = [c.id for c in classes], [c.name for c in classes]
    class_id = find_name(name, dict(zip(ids, names, strict=True)))
    if class_id is None and name.isdecimal() and int(name) in ids:
        class_id = int(name)
    if class_id is None:
        raise UsageError(f"`prior` names {name!r}, which is no class of the model; {nearest_name(name, names)}")
    return ids.index(class_id)


def apply_prior(network: S2Fin, prior: NDArray[np.float64]) -> None:
    """Weight a network's probabilities by a prior.

    Equation (ours): p_c <- p_c (K pi_c)^`STRENGTH`, scaled to sum 1, with pi the prior (classes,) and K the number of
    classes. Full strength is Bayes' rule for a network that was trained on equally frequent classes. A class of prior 0
    is never predicted.
    """
    factors = torch.from_numpy(len(prior) * prior) ** STRENGTH
    network.shift_logits(factors.log())
