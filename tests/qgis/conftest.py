"""A real QGIS for the tests of the plugin."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from tests.qgis.qgis_of_debian import IS_NEEDED, Qgis, is_there


@pytest.fixture(scope="session")
def qgis(tmp_path_factory: pytest.TempPathFactory) -> Qgis:
    """QGIS with an empty profile."""
    if not IS_NEEDED and not is_there():
        pytest.skip("needs Debian's qgis and python3-qgis")
    return Qgis(tmp_path_factory.mktemp("home"))


#: Makes files in a folder once, whichever processes test side by side; gives the folder and what making them answered.
Once = Callable[[str, Callable[[Path], Any]], tuple[Path, Any]]


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Once:
    """What takes long is made by the first process that needs it, in the folder of this name."""
    own = tmp_path_factory.getbasetemp()
    base = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own

    def made(name: str, make: Callable[[Path], Any]) -> tuple[Path, Any]:
        folder, answer = base / f"qgis_{name}", base / f"qgis_{name}.json"
        with FileLock(base / f"qgis_{name}.lock"):
            if not answer.exists():
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                answer.write_text(json.dumps(make(folder)))
        return folder, json.loads(answer.read_text())

    return made
