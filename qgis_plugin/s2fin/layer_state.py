"""What QGIS knows of a layer besides its file: whether it is valid, and which CRS the user gave it."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsCoordinateReferenceSystem, QgsProcessingException

#: The remedy for a layer that has no file that s2fin could read.
EXPORT = "save it as a file (Export in the layer's menu) and choose that file"


def called(layer: Any) -> str:
    """What messages call a layer."""
    return f"the layer {layer.name()!r}"


def check_valid(layer: Any) -> None:
    """Refuse a layer that QGIS cannot read.

    Raises:
        QgsProcessingException: it is one.
    """
    if not layer.isValid():
        raise QgsProcessingException(
            f"{called(layer)} cannot be read ({layer.publicSource()}); is its file still there?"
        )


def own_crs(layer: Any) -> QgsCoordinateReferenceSystem:
    """The CRS that the file of a layer declares."""
    return layer.dataProvider().crs()


def has_other_crs(layer: Any) -> bool:
    """Whether the user, or QGIS's settings, gave a layer another CRS than its file has."""
    shown, own = layer.crs(), own_crs(layer)
    return shown.isValid() != own.isValid() or (shown.isValid() and shown != own)


def crs_name(crs: QgsCoordinateReferenceSystem) -> str:
    """What messages call a CRS."""
    return (crs.authid() or crs.description() or "a CRS without a name") if crs.isValid() else "no CRS"
