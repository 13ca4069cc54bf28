"""The page of a report: that it says what the JSON says, and that nothing in it can break it."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from s2fin_cli.assess.metrics import Accuracy
from s2fin_cli.core.errors import quoted
from s2fin_cli.geo.grid import Grid
from s2fin_cli.reporting.classes import make_classes
from s2fin_cli.reporting.files import write_report
from s2fin_cli.reporting.map_report import MapReport
from s2fin_cli.reporting.markdown_form import to_markdown
from s2fin_cli.reporting.page import MOST_BYTES, UNDEFINED, to_html
from s2fin_cli.reporting.pictures import Pictures, draw_classes
from tests.reporting.grids import GRID
from tests.reporting.pages import AWKWARD, Element, Page, make_report

#: Factors of what follows a number.
UNITS = {"%": 0.01, "ha": 1e4, "B": 1, "kB": 1e3, "MB": 1e6}


def at(values: Any, path: str) -> Any:
    """The value at a JSON pointer, read by other code than the page's."""
    for key in path.removeprefix("/").split("/"):
        values = values[int(key) if isinstance(values, list) else key]
    return values


def shown(text: str) -> tuple[float, float]:
    """The number that a text shows, and half a unit of its last digit."""
    found = re.fullmatch(r"([\u2212-]?[\d,]+)(?:\.(\d+))?(?:e([+-]\d+))?(?:\u00a0(\S+))?", text)
    assert found, text
    digits, power, unit = found.groups("")[1:]
    whole = found[1].replace(",", "").replace("\u2212", "-")
    factor = (UNITS[unit] if unit else 1.0) * 10.0 ** int(power or 0)
    return float(f"{whole}.{digits}0") * factor, 0.5 * 10.0 ** -len(digits) * factor


def check_numbers(page: Page, values: dict[str, Any]) -> list[Element]:
    """Every number of a page is that of the JSON; gives the elements that show numbers."""
    elements = [element for element in page.elements if "data-at" in element.attributes]
    for element in elements:
        expected, attributes = at(values, element.attributes["data-at"]), element.attributes
        if element.name == "span":
            assert (expected, element.text) == (None, UNDEFINED)
        elif element.name == "data":
            assert float(attributes["value"]) == expected
            number, half = shown(element.text)
            is_bare_percent = abs(number - expected) > 1.001 * half
            assert number * (0.01 if is_bare_percent else 1) == pytest.approx(
                expected, abs=1.001 * half * (0.01 if is_bare_percent else 1)
            )
        else:
            assert float(attributes["data-value"]) == expected
    return elements


@pytest.mark.parametrize("stratified", [False, True])
def test_every_number_is_that_of_the_json(tmp_path: Path, *, stratified: bool) -> None:
    report = make_report(stratified=stratified)
    write_report(report, tmp_path / "report.html")
    write_report(report, tmp_path / "report.json")
    page = Page.of((tmp_path / "report.html").read_text(encoding="utf-8"))
    values = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert page.data == values == report.to_dict()
    elements = check_numbers(page, values)
    shown_at = {element.attributes["data-at"] for element in elements}
    wanted = {
        "/classes/0/pixels", "/classes/1/share", "/classes/2/area_m2", "/classes/0/mean_confidence",
        "/confusion_matrix/counts/0/1", "/confusion_matrix/row_shares/0/1", "/confusion_matrix/column_shares/0/1",
        "/reliability/bias", "/reliability/intervals/5/accuracy", "/training/epochs", "/training/losses/1/1",
        "/training/members/0/weight", "/training/values/1/classes/2/mean/0", "/runs/0/files/0/size", "/map/width",
        "/classes/0/support",
    }  # fmt: skip
    own = (
        {"/area_adjusted/overall_accuracy/margin_95", "/area_adjusted/classes/1/area/margin_95"}
        if stratified
        else {"/overall_accuracy", "/classes/1/f1", "/classes/0/users_interval_95/1"}
    )
    assert wanted | own <= shown_at


def test_no_cell_of_a_table_shows_a_number_that_is_not_from_the_json() -> None:
    page = Page.of(to_html(make_report(("one", "two", "three"))))
    cells = [e for e in page.all("td") if e.attributes.get("class") not in ("path", "text")]
    assert len(cells) > 60
    data = {id(e) for e in page.all("data")}
    texts = [e.text.strip() for e in page.elements if id(e) in data]
    for cell in cells:
        rest = cell.text
        for text in sorted(texts, key=len, reverse=True):
            rest = rest.replace(text, "")
        assert not re.search(r"\d", rest), cell.text


def test_sentences_are_those_of_the_json() -> None:
    page = Page.of(to_html(make_report(("one", "two", "three"))))
    text, findings = " ".join(page.all("main")[0].text.split()), page.data["findings"]
    for sentence in (findings["summary"], findings["worst"], *findings["label_next"]):
        assert sentence in text
    for pair in findings["confused"]:
        assert pair["text"] in text


def test_text_from_files_is_shown_as_it_is_and_never_becomes_markup() -> None:
    html = to_html(make_report())
    page = Page.of(html)
    assert not page.all("b")
    scripts = page.all("script")
    assert [script.attributes.get("type") for script in scripts] == ["application/json", None]
    heads = [element.text for element in page.all("th")]
    for name in AWKWARD:
        assert any(name in text for text in heads)
        assert any(element.attributes.get("title") == name for element in page.all("th"))
    assert any("maps/<map>.tif" in element.text for element in page.all("h1"))
    assert "one <more>" in [element.text for element in page.all("li")]
    assert any(e.text == "--no-vector" for e in page.all("code"))
    assert any(e.text == "--label-field" for e in page.all("code"))


def test_options_in_warnings_are_shown_as_they_are_typed() -> None:
    """A name of a file that holds backticks is none."""
    warning = 'name it with `label_field="my class"`; `/data/a_b.tif` and x` are missing: `overwrite=True`'
    report = replace(make_report(("one", "two", "three")), runs=(), warnings=(warning,))
    page, flag = Page.of(to_html(report)), f"--label-field {quoted('my class')}"
    (text,) = [e.text for e in page.all("li") if "are missing" in e.text]
    assert text == f"name it with {flag}; `/data/a_b.tif` and x` are missing: --overwrite"
    assert {flag, "--overwrite"} <= {e.text for e in page.all("code")}
    (line,) = [line for line in to_markdown(report).splitlines() if "are missing" in line]
    assert line == f"- name it with `{flag}`; \\`/data/a\\_b.tif\\` and x\\` are missing: `--overwrite`"


def test_the_footer_names_no_command() -> None:
    (footer,) = Page.of(to_html(make_report())).all("footer")
    assert "s2fin report" not in footer.text
    assert "a report whose name ends in .json holds only them" in footer.text


def test_nothing_is_loaded_from_anywhere_and_only_our_script_may_run() -> None:
    page = Page.of(to_html(make_report()))
    for element in page.elements:
        for name, value in element.attributes.items():
            if name in ("href", "src", "srcset", "action", "xlink:href"):
                assert value.startswith(("#", "data:image/"))
            assert not name.startswith("on")
            assert name != "style"
    (policy,) = [e.attributes["content"] for e in page.all("meta") if "http-equiv" in e.attributes]
    assert policy.startswith("default-src 'none'; img-src data:;")
    for name, text in (("style", page.all("style")[0].text), ("script", page.all("script")[-1].text)):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{name}-src 'sha256-{digest}'" in policy
    assert "unsafe" not in policy
    assert "url(" not in page.all("style")[0].text
    assert "@import" not in page.all("style")[0].text


def test_links_lead_somewhere_and_identifiers_are_unique() -> None:
    page = Page.of(to_html(make_report()))
    identifiers = [e.attributes["id"] for e in page.elements if "id" in e.attributes]
    assert len(set(identifiers)) == len(identifiers)
    for element in page.elements:
        if element.attributes.get("href", "").startswith("#"):
            assert element.attributes["href"][1:] in identifiers


def test_a_report_of_an_accuracy_alone_is_a_page_too(tmp_path: Path) -> None:
    accuracy = Accuracy.from_matrix([[3, 1], [0, 0]], class_ids=[4, 9], class_names=["for\udceat", "9"])
    write_report(MapReport.of(accuracy), tmp_path / "report.html")
    page = Page.of((tmp_path / "report.html").read_text(encoding="utf-8"))
    check_numbers(page, page.data)
    assert not page.all("image")
    ids = {e.attributes["id"] for e in page.all("section")}
    assert ids == {"in-short", "accuracy", "confusion"}


def test_a_report_without_any_accuracy_is_a_page_too() -> None:
    classes = make_report().classes
    page = Page.of(to_html(MapReport(classes)))
    assert classes[0].name in page.all("main")[0].text
    assert "not known" in page.data["findings"]["summary"]
    assert {e.attributes["id"] for e in page.all("section")} == {"in-short", "areas"}


@pytest.mark.parametrize("count", [60, 400])
def test_many_classes_stay_small(count: int) -> None:
    """The matrix has no zeros, and is shown as far as it would be read."""
    matrix = np.random.default_rng(1).integers(1, 99, (count, count))
    accuracy = Accuracy.from_matrix(
        matrix, class_ids=range(1, count + 1), class_names=[f"class of number {i}" for i in range(count)]
    )
    html = to_html(MapReport.of(accuracy))
    assert len(html.encode()) < 2_000_000
    page = Page.of(html)
    assert any(e.attributes.get("class") == "matrix" for e in page.all("table")) == (count == 60)
    assert len([e for e in page.all("th") if e.attributes.get("scope") == "col"]) == (60 if count == 60 else 0)


def test_pictures_shrink_where_a_page_would_be_too_large() -> None:
    """Noise of 255 classes does not compress."""
    rng = np.random.default_rng(1)
    view = Grid(GRID.crs, GRID.transform, (1000, 1000))
    classes = make_classes({i: f"class {i}" for i in range(1, 256)}, colors={i: (i, i, i) for i in range(1, 256)})
    noise = draw_classes(rng.integers(1, 256, view.shape), classes, caption="noise")
    layers = [replace(noise, key=key) for key in ("map", "labels", "more")]
    report = replace(make_report(), classes=classes, suggestions=(), pictures=Pictures.on(view, layers))
    html = to_html(report)
    assert MOST_BYTES / 2 < len(html.encode()) <= MOST_BYTES
    sides = [Image.open(io.BytesIO(base64.b64decode(e.attributes["href"].partition(",")[2]))).size
             for e in Page.of(html).all("image")]  # fmt: skip
    assert len(sides) == 3
    assert all(500 <= side < 1000 for size in sides for side in size)


def test_the_place_is_in_the_middle_of_its_picture() -> None:
    report = make_report()
    place = replace(report.suggestions[0], picture=np.zeros((3, 21, 21), np.uint8))
    page = Page.of(to_html(replace(report, suggestions=(place,))))
    (mark,) = [e.attributes for e in page.all("rect") if e.attributes.get("class") == "place"]
    assert (mark["x"], mark["y"], mark["width"], mark["height"]) == ("8", "8", "5", "5")
    (drawing,) = [e for e in page.all("svg") if e.attributes.get("aria-label", "").startswith("Surroundings")]
    assert drawing.attributes["viewbox"] == "0 0 21 21"
    assert place.uri is place.uri, "a picture is encoded once"


def test_a_page_of_many_epochs_is_small() -> None:
    report = make_report()
    assert report.training is not None
    few = len(to_html(report))
    losses = tuple(tuple(0.5 + (epoch * 7919 % 10_000) / 1e5 for epoch in range(10_000)) for _ in range(2))
    many = to_html(replace(report, training=replace(report.training, losses=losses)))
    assert len(many) - few < 500_000
    assert "mean loss of some epochs" in many
