"""The prior: how much of the area each class covers, as far as the user knows.

Training draws all classes alike, so that rare ones are learnt, and its labels tell nothing of how frequent they are. On
the map they are not alike; who knows by about how much gets a better one. It is ours, and no part of the network.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from s2fin_cli.config import nearest_name
from s2fin_cli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from s2fin import S2Fin
    from s2fin_cli.geo.classes import LandCoverClass

#: Power of the prior. With the whole of it rare classes all but vanish, as a network is too sure of itself at other
#: places than its labels, and shares are known by guess; see docs/benchmarks.md.
STRENGTH = 0.5
#: By how much shares may miss a sum of 1, as percentages are rounded.
ROUNDING = 0.01


def read_prior(given: Sequence[str], classes: Sequence[LandCoverClass]) -> NDArray[np.float64]:
    """The share of each class, of sum 1.

    Args:
        given: each "CLASS=PERCENT", of a class's name or id; classes that are not named share the rest alike.
        classes: the model's classes.

    Returns:
        float64 (classes,).

    Raises:
        UsageError: a class is unknown or named twice, or the percentages cannot be.
    """
    shares = np.full(len(classes), np.nan)
    for text in given:
        name, _, percent = text.rpartition("=")
        position = _position(name.strip(), classes)
        if not np.isnan(shares[position]):
            raise UsageError(f"--prior names {classes[position].name!r} twice; once is enough")
        shares[position] = float(percent) / 100
    is_unnamed = np.isnan(shares)
    total = np.nansum(shares)
    if total > 1 + ROUNDING or (total < 1 - ROUNDING and not is_unnamed.any()):
        wanted = "at most 100" if is_unnamed.any() else "100, as every class is named"
        raise UsageError(f"--prior gives {100 * total:g} % in all; it must be {wanted}")
    shares[is_unnamed] = max(1 - total, 0) / max(np.count_nonzero(is_unnamed), 1)
    return np.asarray(shares / shares.sum())


def _position(name: str, classes: Sequence[LandCoverClass]) -> int:
    """Which class is named."""
    names = [land_cover.name for land_cover in classes]
    known = [*names, *(str(land_cover.id) for land_cover in classes)]
    if name not in known:
        raise UsageError(f"--prior names {name!r}, which is no class of the model; {nearest_name(name, names)}")
    return known.index(name) % len(classes)


@torch.no_grad()
def apply_prior(network: S2Fin, prior: NDArray[np.float64]) -> None:
    """Let a network's probabilities lean to a prior.

    Equation (ours): p_c <- p_c (K pi_c)^`STRENGTH`, scaled to sum 1, pi the prior (classes,) and K classes: full
    strength is Bayes' rule for a network that was trained on all classes alike. A class of prior 0 is never told.
    """
    factors = torch.from_numpy(len(prior) * prior) ** STRENGTH
    network.head.classify.bias.add_(factors.log())
