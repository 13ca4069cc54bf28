"""Reports for tests, and how tests read a page."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

import numpy as np

from s2fin_cli.assess.area_adjusted import AreaAdjusted
from s2fin_cli.assess.metrics import Accuracy
from s2fin_cli.assess.reliability import Reliability
from s2fin_cli.core.run_record import RunRecord, UsedFile
from s2fin_cli.reporting.classes import make_classes
from s2fin_cli.reporting.commands import command_of
from s2fin_cli.reporting.map_report import MapFacts, MapReport, ReportedRun
from s2fin_cli.reporting.pictures import Pictures, draw_classes, draw_confidence
from s2fin_cli.reporting.suggestions import SuggestedPlace
from s2fin_cli.reporting.training_report import ClassValues, TrainingReport
from tests.reporting.grids import GRID

#: Names that would break a page, or its script, if they were not escaped.
AWKWARD = ("<script>alert(1)</script>", "\"quoted\" & 'it'", "</script><b>bold</b>")
MATRIX = ((90, 8, 2), (4, 50, 0), (1, 3, 0))
COLORS = ((200, 30, 30), (30, 120, 40), (240, 240, 200))
#: Elements without an end.
_VOID = {"meta", "input", "br", "rect", "line", "circle", "image", "use", "path", "polyline", "polygon"}


def make_report(names: tuple[str, ...] = AWKWARD, *, stratified: bool = False) -> MapReport:
    """A report of three classes in which everything is known."""
    ids = tuple(range(1, len(names) + 1))
    counts = np.zeros((len(ids), len(ids)), np.int64)
    counts[:3, :3] = MATRIX
    accuracy = Accuracy.from_matrix(counts, class_ids=ids, class_names=names)
    rng = np.random.default_rng(0)
    reliability = Reliability.of(rng.uniform(0.3, 1, 400), rng.random(400) < 0.8)
    colors = {i: COLORS[i % 3] for i in ids}
    pixels = {i: 1000 * i for i in ids}
    areas = {i: 1e5 * i for i in ids}
    confidence = {i: 0.9 - 0.1 * (i % 3) for i in ids}
    classes = make_classes(
        dict(zip(ids, names, strict=True)), colors=colors, pixels=pixels, areas=areas, confidence=confidence
    )
    estimates = AreaAdjusted(accuracy, np.array([areas[i] for i in ids]), "m2") if stratified else None
    class_ids = rng.integers(1, len(ids) + 1, GRID.shape)
    layers = [
        draw_classes(class_ids, classes, caption="the classes of a_name_without_any_blanks_2026"),
        draw_confidence(rng.uniform(0.2, 1, GRID.shape).astype(np.float32)),
    ]
    run = RunRecord(
        "train", (UsedFile("msi", "a <b>.tif", 1234567, "ab" * 32), UsedFile("labels", "l.gpkg")),
        {"seed": 3, "bidx": ["1..3"], "refit": False}, {"torch": "2"}, ("use `label_field`, or `vector=False`",),
    )  # fmt: skip
    training = TrainingReport(
        {"epochs": 3, "seed": 3, "split": "polygons", "refitted": True, "train_pixels": 50, "validation_pixels": 20,
         "use_of_second_image": 0.25, "labelled_pixels": dict(zip(names, (30, 20, 3), strict=False))},
        validation=accuracy,
        reliability=reliability,
        losses=((0.9, 0.5, 0.4), (0.41, 0.39)),
        members=({"name": "forest", "weight": 0.75, "use_of_second_image": 0.3},
                 {"name": "boosting", "weight": 0.25, "use_of_second_image": None}),
        values=(_values("hsi", ids, bands=5), _values("dsm", ids, bands=1)),
        run=run,
    )  # fmt: skip
    facts = MapFacts("maps/<map>.tif", GRID.shape, "EPSG:32632", (10.0, 10.0), 10.0, (0, 0, 400, 300), 17)
    picture = rng.integers(0, 255, (3, 49, 49), np.uint8)
    suggestions = (
        SuggestedPlace(1, names[0], 0.48, names[1], 0.41, f"between {names[0]} and {names[1]}", picture),
        SuggestedPlace(2, names[1], 0.9, names[2], 0.05, "unlike anything labelled"),
    )
    return MapReport(
        classes, accuracy, estimates, reference="truth & more.gpkg", reliability=reliability, facts=facts,
        training=training, suggestions=suggestions,
        runs=(ReportedRun(run, "m.s2fin", command_of(run, "m.s2fin")),), warnings=("one <more>",),
        pictures=Pictures.on(GRID, layers, ("The `image` is not shown.",)),
    )  # fmt: skip


def _values(modality: str, ids: tuple[int, ...], *, bands: int) -> ClassValues:
    means = {i: tuple(100.0 * i + 7 * band for band in range(bands)) for i in ids}
    return ClassValues(
        modality, tuple(range(1, bands + 1)), ("",) * bands, tuple(450.0 + 50 * b for b in range(bands)),
        {i: f"class {i}" for i in ids}, dict.fromkeys(ids, 20), means, {i: (5.0 + i,) * bands for i in ids},
    )  # fmt: skip


@dataclass
class Element:
    """An element of a page: its name, attributes, and the text in it."""

    name: str
    attributes: dict[str, str]
    text: str = ""
    inside: tuple[str, ...] = ()


@dataclass
class Page(HTMLParser):
    """The elements of a page.

    Attributes:
        elements: in the order in which they begin.
    """

    elements: list[Element] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._open: list[Element] = []

    @classmethod
    def of(cls, html: str) -> Page:
        page = cls()
        page.feed(html)
        page.close()
        assert not page._open, [element.name for element in page._open]
        return page

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {k: v or "" for k, v in attrs}, inside=tuple(e.name for e in self._open))
        self.elements.append(element)
        if tag not in _VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(Element(tag, {k: v or "" for k, v in attrs}, inside=tuple(e.name for e in self._open)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in _VOID:
            assert self._open.pop().name == tag

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.text += data

    def all(self, name: str) -> list[Element]:
        return [element for element in self.elements if element.name == name]

    @property
    def data(self) -> dict[str, Any]:
        """The JSON inside the page."""
        (element,) = [e for e in self.all("script") if e.attributes.get("id") == "report-data"]
        values: dict[str, Any] = json.loads(element.text)
        return values
