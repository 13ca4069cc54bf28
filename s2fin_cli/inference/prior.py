"""The prior: how much of the area each class covers, as far as the user knows.

Training draws all classes alike, so that rare ones are learnt, and its labels tell nothing of how frequent they are. On
the map they are not alike, and who knows by about how much can get a better one. It is ours, and no part of the
network.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from s2fin_cli.core.checks import nearest_name, parse_share
from s2fin_cli.core.errors import UsageError
from s2fin_cli.labels.classfield import find_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from s2fin import S2Fin
    from s2fin_cli.core.classes import LandCoverClass

#: Power of the prior. With the whole of it rare classes all but vanish, as a network is too sure of itself at other
#: places than its labels, and shares are known by guess; see docs/benchmarks.md.
STRENGTH = 0.5
#: By how much shares may miss a sum of 1: percentages are rounded, and of many classes the more.
ROUNDING = 0.05


def read_prior(given: Sequence[str], classes: Sequence[LandCoverClass]) -> NDArray[np.float64]:
    """The share of each class, of sum 1.

    Args:
        given: each "CLASS=PERCENT", of a class's name, else its number; those not named share the rest alike.
        classes: the model's classes.

    Returns:
        float64 (classes,).

    Raises:
        UsageError: a class is unknown or named twice, or the percentages cannot be.
    """
    shares = np.full(len(classes), np.nan)
    for text in given:
        name, share = parse_share(text)
        position = _position(name, classes)
        if not np.isnan(shares[position]):
            raise UsageError(f"--prior names {classes[position].name!r} twice; once is enough")
        shares[position] = share
    unnamed, total = np.flatnonzero(np.isnan(shares)), float(np.nansum(shares))
    if not len(unnamed) and abs(total - 1) > ROUNDING:
        raise UsageError(f"--prior gives {100 * total:g} % in all; it must be 100, as every class is named")
    if len(unnamed) and total >= 1:
        left = ", ".join(repr(classes[position].name) for position in unnamed.tolist())
        raise UsageError(
            f"--prior gives {100 * total:g} % in all, which leaves nothing for {left}; "
            "give them a share too, or 0 to exclude them"
        )
    shares[unnamed] = (1 - total) / max(len(unnamed), 1)
    return np.asarray(shares / shares.sum())


def _position(name: str, classes: Sequence[LandCoverClass]) -> int:
    """Which class is named."""
    ids, names = [c.id for c in classes], [c.name for c in classes]
    class_id = find_name(name, dict(zip(ids, names, strict=True)))
    if class_id is None and name.isdecimal() and int(name) in ids:
        class_id = int(name)
    if class_id is None:
        raise UsageError(f"--prior names {name!r}, which is no class of the model; {nearest_name(name, names)}")
    return ids.index(class_id)


def apply_prior(network: S2Fin, prior: NDArray[np.float64]) -> None:
    """Let a network's probabilities lean to a prior.

    Equation (ours): p_c <- p_c (K pi_c)^`STRENGTH`, scaled to sum 1, pi the prior (classes,) and K classes: full
    strength is Bayes' rule for a network that was trained on all classes alike. A class of prior 0 is never told.
    """
    factors = torch.from_numpy(len(prior) * prior) ** STRENGTH
    network.shift_logits(factors.log())
