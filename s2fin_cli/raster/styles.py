"""QGIS's styles: of a class map and its polygons, each class with its name and colour; of points to label."""

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


def points_to_label_style(names: Sequence[str], fields: Sequence[str], label: str) -> bytes:
    """A style of points whose class is to be filled in: QGIS offers the names of the classes as a list.

    Args:
        names: names of the classes.
        fields: the fields that take one of them each.
        label: the field that is written beside each point.
    """
    root = ET.Element("qgis", styleCategories="Symbology|Labeling|Fields|Forms", labelsEnabled="1")
    _add_circles(root)
    settings = ET.SubElement(ET.SubElement(root, "labeling", type="simple"), "settings", calloutType="simple")
    text = ET.SubElement(settings, "text-style", fieldName=label, isExpression="0", fontSize="9", textColor="0,0,0,255")
    ET.SubElement(
        text, "text-buffer", bufferDraw="1", bufferSize="0.8", bufferSizeUnits="MM", bufferColor="255,255,255,255"
    )
    ET.SubElement(settings, "placement", placement="0", dist="1.5", distUnits="MM")
    configuration = ET.SubElement(root, "fieldConfiguration")
    for field in fields:
        editing = ET.SubElement(configuration, "field", name=field)
        config = ET.SubElement(ET.SubElement(editing, "editWidget", type="ValueMap"), "config")
        values = ET.SubElement(ET.SubElement(config, "Option", type="Map"), "Option", name="map", type="List")
        for name in names:
            entry = ET.SubElement(values, "Option", type="Map")
            ET.SubElement(entry, "Option", name=xml_text(name), value=xml_text(name), type="QString")
    return _document(root)


def _add_circles(root: ET.Element) -> None:
    """Draw points as circles that are seen on any image."""
    renderer = ET.SubElement(root, "renderer-v2", type="singleSymbol", symbollevels="0", enableorderby="0")
    symbol = ET.SubElement(ET.SubElement(renderer, "symbols"), "symbol", name="0", type="marker", alpha="1")
    layer = ET.SubElement(symbol, "layer", {"class": "SimpleMarker"}, enabled="1", locked="0")
    drawn = {
        "name": "circle", "color": "255,255,255,0", "outline_color": "255,30,140,255", "outline_width": "0.6",
        "outline_width_unit": "MM", "size": "4", "size_unit": "MM",
    }  # fmt: skip
    for key, value in drawn.items():
        ET.SubElement(layer, "prop", k=key, v=value)


def _hex(land_cover: LandCoverClass) -> str:
    return "#{:02x}{:02x}{:02x}".format(*land_cover.color)


def _document(root: ET.Element) -> bytes:
    ET.indent(root)
    content: bytes = ET.tostring(root, encoding="utf-8")
    return b"<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n" + content
