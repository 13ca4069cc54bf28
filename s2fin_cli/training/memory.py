"""How much memory a cell takes, and how wide a margin around it is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from s2fin_cli.stack.cells import CELL_SIZE
from s2fin_cli.stack.guide import FEW_BANDS
from s2fin_cli.teaching.features import MARGIN

if TYPE_CHECKING:
    from s2fin import S2FinConfig


def cell_bytes(config: S2FinConfig) -> int:
    """Approximate bytes of a cell as the network sees it and of its pixels' features, in float32."""
    image, summarised = config.in_channels, config.context_channels
    near = (image + summarised) * (CELL_SIZE + config.near_size - 1) ** 2
    statistics = 1 + 2 * len(config.context_scales)
    context = summarised * statistics * (CELL_SIZE + config.patch_size - 1) ** 2
    features = (min(image, FEW_BANDS) + summarised) * statistics + 4 * image
    return 4 * (near + context + 2 * CELL_SIZE**2 * features)


def cell_margin(config: S2FinConfig) -> int:
    """Pixels around a cell that the teacher or the network use."""
    return max(config.input_size // 2, MARGIN)
