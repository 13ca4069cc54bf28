"""The benchmark of uncertainty, on the smallest real scene."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from uncertainty import COLUMNS, figures

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.slow
def test_the_figures_of_a_draw(real_scenes: Path) -> None:
    assert (real_scenes / "wetland_bc_s2_dem").is_dir()
    found = figures("wetland_bc_s2_dem", 20, 100)
    assert tuple(found) == COLUMNS
    assert all(0 <= found[name] <= 1 for name in COLUMNS[:3])
    assert found["AUC"] > 0.5, "water, bogs and the like look different"
    assert 0 < found["disagreement"] <= 1
