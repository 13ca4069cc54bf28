"""The file of a raster layer: its own, or a virtual raster with what the user set in QGIS."""

from __future__ import annotations

import os
import re
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING, Any

from osgeo import gdal
from qgis.core import QgsCoordinateReferenceSystem, QgsProcessingException

from .layer_state import EXPORT, called, check_valid, crs_name, has_other_crs, own_crs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qgis.core import QgsProcessingFeedback, QgsRasterLayer

    from .made_files import MadeFiles

#: Metadata of a raster that GDAL makes itself.
_DERIVED_DOMAINS = ("", "IMAGE_STRUCTURE", "DERIVED_SUBDATASETS", "SUBDATASETS", "COLOR_PROFILE")


def raster_file(layer: QgsRasterLayer, made: MadeFiles, feedback: QgsProcessingFeedback) -> str:
    """The path, URL or GDAL name by which s2fin reads what QGIS shows of a raster layer.

    Args:
        layer: the layer.
        made: gives names to files that have to be made.
        feedback: hears what is not as the file has it.

    Raises:
        QgsProcessingException: it is not a raster of GDAL's, or is set up in QGIS in a way that no file can have.
    """
    _check_kind(layer)
    check_valid(layer)
    name, *options = layer.source().split("|option:")
    nodata = _Nodata(layer)
    in_memory = name.startswith("/vsimem/")
    if not (options or in_memory or nodata.is_changed or has_other_crs(layer)):
        return os.path.abspath(name) if os.path.exists(name) else name
    if in_memory:
        copy = made.new(layer.name(), ".tif")
        with _Opened(layer, name, options) as src:
            _translate(layer, copy, src, format="GTiff", creationOptions=["COMPRESS=DEFLATE", "BIGTIFF=IF_SAFER"])
        name, options = copy, []
    path = made.new(layer.name(), ".vrt")
    with _Opened(layer, name, options) as src:
        _describe(layer, src, path, nodata)
    changes = {
        f"is in {crs_name(layer.crs())} in QGIS, and in {crs_name(own_crs(layer))} in its file": has_other_crs(layer),
        "has other nodata values in QGIS than in its file": nodata.is_changed,
    }
    for what in (text for text, is_so in changes.items() if is_so):
        feedback.pushInfo(f"{called(layer)} {what}; s2fin takes it as QGIS shows it")
    return path


def _check_kind(layer: QgsRasterLayer) -> None:
    if layer.providerType() != "gdal":
        raise QgsProcessingException(
            f"{called(layer)} comes from a service or a database ({layer.providerType()!r}) and has no raster "
            f"file; {EXPORT}"
        )
    if re.search(r"authcfg=|\|credential:", layer.source()):
        raise QgsProcessingException(f"{called(layer)} needs a login that QGIS keeps and s2fin does not have; {EXPORT}")


def _describe(layer: QgsRasterLayer, src: gdal.Dataset, path: str, nodata: _Nodata) -> None:
    """Write a virtual raster of what QGIS shows."""
    # NOTE: without any of these options GDAL would write a virtual raster again, instead of describing it.
    dst = _translate(layer, path, src, format="VRT", noData="none")
    _copy_domains(src, dst)
    if has_other_crs(layer):
        dst.SetProjection(_wkt(layer.crs()))
    for number in range(1, src.RasterCount + 1):
        band = dst.GetRasterBand(number)
        _copy_domains(src.GetRasterBand(number), band)
        if (value := nodata.of(number)) is not None:
            band.SetNoDataValue(value)
    band = None
    dst.FlushCache()
    dst = None
    nodata.add_to(path)


def _wkt(crs: QgsCoordinateReferenceSystem) -> str:
    return crs.toWkt(QgsCoordinateReferenceSystem.WKT_PREFERRED_GDAL) if crs.isValid() else ""


class _Opened:
    """A raster that GDAL has open while the block runs."""

    def __init__(self, layer: QgsRasterLayer, name: str, options: Sequence[str]) -> None:
        self._layer, self._name, self._options = layer, name, options

    def __enter__(self) -> gdal.Dataset:
        try:
            self._src = gdal.OpenEx(self._name, gdal.OF_RASTER, open_options=list(self._options))
        except RuntimeError:  # where a plugin switched GDAL's exceptions on
            self._src = None
        if self._src is None:
            raise QgsProcessingException(f"{called(self._layer)} cannot be opened by GDAL ({self._name}); {EXPORT}")
        return self._src

    def __exit__(self, *_: object) -> None:
        self._src = None


def _translate(layer: QgsRasterLayer, path: str, src: gdal.Dataset, **options: Any) -> gdal.Dataset:
    try:
        dst = gdal.Translate(path, src, **options)
    except RuntimeError:
        dst = None
    if dst is None:
        raise QgsProcessingException(f"{called(layer)} cannot be written to {path}; {EXPORT}")
    return dst


def _copy_domains(src: Any, dst: Any) -> None:
    """Copy the metadata that GDAL leaves out, such as wavelengths in the domains ENVI and IMAGERY."""
    for domain in src.GetMetadataDomainList() or []:
        if domain not in _DERIVED_DOMAINS and not domain.startswith("xml:"):
            dst.SetMetadata(src.GetMetadata(domain), domain)


def _check_unscaled(layer: QgsRasterLayer, band: int) -> None:
    """Refuse a nodata value that the user added to a scaled band: QGIS compares it with scaled values."""
    scale, offset = layer.dataProvider().bandScale(band), layer.dataProvider().bandOffset(band)
    if (scale, offset) != (1, 0):
        raise QgsProcessingException(
            f"{called(layer)} has an additional nodata value in QGIS, which stands for a scaled value (scale "
            f"{scale:g}, offset {offset:g}), and s2fin compares stored values; remove it in the layer's properties, "
            "and give the stored value in “Values without data”"
        )


class _Nodata:
    """What the user set about the nodata values of a raster layer in QGIS.

    Attributes:
        is_changed: whether that differs from what the file declares.
    """

    def __init__(self, layer: QgsRasterLayer) -> None:
        """Read it.

        Raises:
            QgsProcessingException: it is more than one value for a band, or not one that the file stores.
        """
        provider = layer.dataProvider()
        bands = range(1, layer.bandCount() + 1)
        self._declared = {n: provider.sourceNoDataValue(n) for n in bands if provider.sourceHasNoDataValue(n)}
        self._used = {n: value for n, value in self._declared.items() if provider.useSourceNoDataValue(n)}
        self._added: dict[int, float] = {}
        for number in bands:
            ranges = provider.userNoDataValues(number)
            if len(ranges) > 1 or any(each.min() < each.max() for each in ranges):
                raise QgsProcessingException(
                    f"{called(layer)} has several additional nodata values in QGIS, and s2fin takes one; {EXPORT}"
                )
            if ranges and ranges[0].min() != self._used.get(number):
                _check_unscaled(layer, number)
                self._added[number] = ranges[0].min()
        self.is_changed = bool(self._added) or self._used.keys() != self._declared.keys()

    def of(self, band: int) -> float | None:
        """The value that a band of the virtual raster declares, or None."""
        return self._used.get(band, self._added.get(band))

    def add_to(self, path: str) -> None:
        """Let the values that the user added become those that the bands of a virtual raster declare."""
        tree = ET.parse(path)  # noqa: S314  written just before
        for band in tree.getroot().findall("VRTRasterBand"):
            number = int(band.get("band", "0"))
            if number not in self._added or number not in self._used:
                continue
            for source in band.findall("SimpleSource"):
                source.tag = "ComplexSource"
                # NOTE: pixels with this value are not written over what the band declares.
                ET.SubElement(source, "NODATA").text = repr(self._added[number])
        tree.write(path, encoding="utf-8")
