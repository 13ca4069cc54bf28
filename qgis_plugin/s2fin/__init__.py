"""The QGIS plugin of s2fin: a Processing provider that runs an installed s2fin."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qgis.gui import QgisInterface

    from .plugin import Plugin


def classFactory(iface: QgisInterface | None) -> Plugin:  # noqa: N802  QGIS calls it by this name
    """The plugin; QGIS calls this when it loads it, without an interface where there is no window."""
    from .plugin import Plugin  # noqa: PLC0415  so that modules that need no QGIS can be tested without one

    return Plugin(iface)
