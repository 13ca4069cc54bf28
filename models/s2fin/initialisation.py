"""Linear layers that start small, so that the network starts near the identity, with nearly equal logits.

NOTE: small and not zero, so that every parameter has a gradient from the first step. All other layers keep torch's own
initialisation, whose biases spread the responses to a single band (LiDAR height) over its range. This is ours.
"""

from __future__ import annotations

import torch
from torch import nn

from s2fin.pointwise import Linear

#: Standard deviation that learned positions and the classifier's weights start with.
INITIAL_STD = 0.02
#: Share of torch's own initial values that the last layer of a residual branch starts with.
RESIDUAL_SHARE = 0.3


class ResidualLinear(Linear):
    """The last layer of a residual branch."""

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draw weights and biases as torch does, and make them smaller."""
        super().reset_parameters()
        for parameter in self.parameters():
            parameter.mul_(RESIDUAL_SHARE)


class Classifier(Linear):
    """The last layer of all, which computes the logits."""

    def reset_parameters(self) -> None:
        """Draw small weights, and set the biases to 0."""
        # NOTE: torch's own draws are replaced, but still made: a seed's results depend on all draws before.
        super().reset_parameters()
        nn.init.normal_(self.weight, std=INITIAL_STD)
        nn.init.zeros_(self.bias)
