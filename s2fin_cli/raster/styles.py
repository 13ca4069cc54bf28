"""QGIS's styles of a class map and of its polygons: each class with its name and colour."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from s2fin_cli.core.classes import LandCoverClass

# control characters, which odd DBF files hold, and which no XML file can
_NOT_IN_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def xml_text(text: str) -> str:
    """The text without what XML cannot hold."""
    return _NOT_IN_XML.sub("\N{REPLACEMENT CHARACTER}", text)


def raster_style(classes: Sequence[LandCoverClass]) -> bytes:
    """The content of a `.qml` file beside a class map."""
    root = ET.Element("qgis", styleCategories="Symbology")
    pipe = ET.SubElement(root, "pipe")
    renderer = ET.SubElement(pipe, "rasterrenderer", type="paletted", band="1", opacity="1", alphaBand="-1")
    palette = ET.SubElement(renderer, "colorPalette")
    for land_cover in classes:
        ET.SubElement(
            palette, "paletteEntry", value=str(land_cover.id), label=xml_text(land_cover.name),
            color=_hex(land_cover), alpha="255",
        )  # fmt: skip
    return _document(root)


def polygon_style(classes: Sequence[LandCoverClass], field: str) -> bytes:
    """A style of a layer of polygons whose class ids stand in a field."""
    root = ET.Element("qgis", styleCategories="Symbology")
    renderer = ET.SubElement(root, "renderer-v2", type="categorizedSymbol", attr=field, enableorderby="0")
    categories, symbols = ET.SubElement(renderer, "categories"), ET.SubElement(renderer, "symbols")
    for number, land_cover in enumerate(classes):
        ET.SubElement(
            categories, "category", value=str(land_cover.id), type="long", symbol=str(number),
            label=xml_text(land_cover.name), render="true",
        )  # fmt: skip
        symbol = ET.SubElement(symbols, "symbol", name=str(number), type="fill", alpha="1")
        layer = ET.SubElement(symbol, "layer", {"class": "SimpleFill"}, enabled="1", locked="0")
        red, green, blue = land_cover.color
        # without outlines, which would hide small polygons
        for key, value in {"color": f"{red},{green},{blue},255", "style": "solid", "outline_style": "no"}.items():
            ET.SubElement(layer, "prop", k=key, v=value)
    return _document(root)


def _hex(land_cover: LandCoverClass) -> str:
    return "#{:02x}{:02x}{:02x}".format(*land_cover.color)


def _document(root: ET.Element) -> bytes:
    ET.indent(root)
    content: bytes = ET.tostring(root, encoding="utf-8")
    return b"<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n" + content
