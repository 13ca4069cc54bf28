"""The network that a scene and its classes need."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from s2fin import S2Fin, S2FinConfig

if TYPE_CHECKING:
    from collections.abc import Mapping

    from s2fin_cli.stack.stack import Stack
    from s2fin_cli.training.scene import Scene


def network_config(
    stack: Stack, *, num_classes: int, patch_size: int, changes: Mapping[str, Any] | None = None
) -> S2FinConfig:
    """The configuration for a stack's images.

    Args:
        stack: the stack, without the bands that are of no use.
        num_classes: how many classes there are.
        patch_size: pixels a side of a window.
        changes: fields that differ from the defaults of `S2FinConfig`.
    """
    given = dict(changes or {})
    bands, second = len(stack.image.numbers), sum(len(layer.numbers) for layer in stack.aux)
    components = min(given.pop("components", S2FinConfig.components), bands)
    return S2FinConfig(
        in_channels=bands,
        aux_channels=second or components,
        num_classes=num_classes,
        patch_size=patch_size,
        components=components,
        aux_from_image=not stack.aux,
        **given,
    )


def make_network(config: S2FinConfig, scene: Scene, *, seed: int) -> S2Fin:
    """An untrained network with the scene's statistics."""
    torch.manual_seed(seed)
    network, known = S2Fin(config), scene.standardizer
    network.set_statistics(
        known.image_mean, known.image_std, known.aux_mean, known.aux_std, components=known.components
    )
    return network.to(known.device)
