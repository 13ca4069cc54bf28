"""A real QGIS for the tests of the plugin."""

from __future__ import annotations

import pytest

from tests.qgis.qgis_of_debian import IS_NEEDED, Qgis, is_there


@pytest.fixture(scope="session")
def qgis(tmp_path_factory: pytest.TempPathFactory) -> Qgis:
    """QGIS with an empty profile."""
    if not IS_NEEDED and not is_there():
        pytest.skip("needs Debian's qgis and python3-qgis")
    return Qgis(tmp_path_factory.mktemp("home"))
