"""The plugin as QGIS loads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qgis.core import QgsApplication

from .provider import Provider

if TYPE_CHECKING:
    from qgis.gui import QgisInterface


class Plugin:
    """Adds the provider to the toolbox, and takes it out again.

    Args:
        iface: the interface of QGIS, None where there is no window; nothing here needs it.
    """

    def __init__(self, iface: QgisInterface | None) -> None:
        self._provider: Provider | None = None

    def initProcessing(self) -> None:  # noqa: N802  QGIS calls it by this name
        """Add the provider; QGIS calls this alone where there is no window."""
        self._provider = Provider()
        QgsApplication.processingRegistry().addProvider(self._provider)

    def initGui(self) -> None:  # noqa: N802
        """Add the provider where there is a window."""
        self.initProcessing()

    def unload(self) -> None:
        """Take the provider out of the toolbox."""
        if self._provider is not None:
            QgsApplication.processingRegistry().removeProvider(self._provider)
            self._provider = None
