"""The server that runs commands, and the sound files that are spoilt."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.hostile.server import Server
from tests.hostile.world import World, make_world

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.scenes import Scene

if not sys.platform.startswith("linux"):
    pytest.skip("limits and memory of processes are Linux's", allow_module_level=True)


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    with Server() as running:
        yield running


@pytest.fixture(scope="session")
def world(scene: Scene, model: Path, tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("world"), scene=scene, model=model)
