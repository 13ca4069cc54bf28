"""What tests of stacks share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.files import write_raster
from tests.stack.images import random_values

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return write_raster(tmp_path / "image.tif", random_values(3))
