"""Linear layers that start small, so that the network starts near the identity, with nearly equal logits.

NOTE: small but not zero, so that every parameter has a gradient from the first step. All other layers keep torch's own
initialisation, whose biases spread the responses to a single band (LiDAR height) over its range. This is ours.
"""

from __future__ import annotations

import torch
from torch import nn

from s2fin.pointwise import Linear

#: Initial standard deviation of learned positions and of the classifier's weights.
INITIAL_STD = 0.02
#: Factor on torch's own initial values in the last layer of a residual branch.
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
    """The last layer of the network, which computes the logits."""

    def reset_parameters(self) -> None:
        """Draw small weights, and set the biases to 0."""
        # NOTE: torch's own draws are replaced but still made, because a seed's results depend on all earlier draws.
        super().reset_parameters()
        nn.init.normal_(self.weight, std=INITIAL_STD)
        nn.init.zeros_(self.bias)
