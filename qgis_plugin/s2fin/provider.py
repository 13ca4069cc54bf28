"""The provider: the group "s2fin" of the Processing toolbox, and its setting."""

from __future__ import annotations

from qgis.core import QgsProcessingProvider
from qgis.PyQt.QtGui import QIcon

from .algorithm import ICON, Algorithm
from .commands import Description
from .settings import add_settings, remove_settings


class Provider(QgsProcessingProvider):
    """One algorithm for each command of s2fin that the description has."""

    def __init__(self) -> None:
        super().__init__()
        self._description = Description.read()

    def id(self) -> str:
        """The name in identifiers such as "s2fin:train"."""
        return "s2fin"

    def name(self) -> str:
        """The name in the toolbox."""
        return "s2fin"

    def longName(self) -> str:  # noqa: N802  QGIS calls these by their names
        """The name, with what it does."""
        return "s2fin: land-cover maps from two images and a few labels"

    def icon(self) -> QIcon:
        """The icon in the toolbox."""
        return QIcon(ICON)

    def svgIconPath(self) -> str:  # noqa: N802
        """The icon where QGIS draws it by itself."""
        return ICON

    def versionInfo(self) -> str:  # noqa: N802
        """The version of s2fin that the plugin was made for."""
        return self._description.version

    def load(self) -> bool:
        """Add the setting and the algorithms."""
        add_settings(self.name(), self.icon())
        self.refreshAlgorithms()
        return True

    def unload(self) -> None:
        """Take the setting out."""
        remove_settings()

    def loadAlgorithms(self) -> None:  # noqa: N802
        """One algorithm a command."""
        for command in self._description.commands:
            self.addAlgorithm(Algorithm(command, self._description))

    def supportsNonFileBasedOutput(self) -> bool:  # noqa: N802
        """S2fin writes files, and nothing into memory or databases."""
        return False

    def supportedOutputRasterLayerExtensions(self) -> list[str]:  # noqa: N802
        """Suffixes of the rasters that s2fin writes."""
        return list(self._description.raster_suffixes)

    def supportedOutputVectorLayerExtensions(self) -> list[str]:  # noqa: N802
        """Suffixes of the vector files that s2fin writes."""
        return list(self._description.vector_suffixes)

    def defaultRasterFileExtension(self) -> str:  # noqa: N802
        """The suffix of a raster whose name nobody chose, whatever QGIS has for other providers."""
        return self._description.raster_suffixes[0]

    def defaultVectorFileExtension(self, hasGeometry: bool = True) -> str:  # noqa: N802, N803
        """The suffix of a vector file whose name nobody chose."""
        return self._description.vector_suffixes[0]
