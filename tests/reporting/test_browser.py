"""The page of a report in a real browser: it draws, its switches work, it fits a phone, and it loads nothing."""

from __future__ import annotations

import importlib
import io
import json
import math
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from s2fin_cli.reporting.files import write_report
from s2fin_cli.workflows.classify import ClassifyResult
from s2fin_cli.workflows.options.report import ReportOptions
from s2fin_cli.workflows.report import run as run_report
from tests.reporting.pages import make_report
from tests.scenes import NAMES, Scene

BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
#: Whether a missing browser is a failure, which `.ci/run` says where it found one.
IS_NEEDED = "S2FIN_NEEDS_BROWSER" in os.environ
_import = importlib.import_module if IS_NEEDED else pytest.importorskip
webdriver: Any = _import("selenium.webdriver")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not IS_NEEDED and (BROWSER is None or DRIVER is None), reason="needs Debian's chromium and chromium-driver"
    ),
]
ARGUMENTS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--force-color-profile=srgb",
)  # fmt: skip
WIDTHS = (380, 768, 1280)
#: Contrast that text needs by WCAG 2.1 AA: normal text, and text of at least 24 pixels, or 18.66 in bold.
NORMAL, LARGE = 4.5, 3.0
#: Gives each text's contrast with its background, size and weight.
CONTRASTS = """
const parse = (text) => {
  const numbers = text.match(/[\\d.]+(?:e-?\\d+)?/g).map(Number);
  const scale = text.startsWith("color(") ? 255 : 1;
  return [...numbers.slice(0, 3).map((value) => value * scale), numbers[3] ?? 1];
};
const over = (upper, lower) => upper.slice(0, 3).map((value, i) => value * upper[3] + lower[i] * (1 - upper[3]));
const background = (element) => {
  const layers = [];
  for (let node = element; node; node = node.parentElement) {
    const color = parse(getComputedStyle(node).backgroundColor);
    layers.push(color);
    if (color[3] === 1) break;
  }
  return layers.reverse().reduce((below, color) => over(color, below), [255, 255, 255]);
};
const luminance = (color) => {
  const linear = (v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  const [r, g, b] = color.map((value) => linear(value / 255));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const found = [];
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const element = walker.currentNode.parentElement;
  const text = walker.currentNode.textContent.trim();
  if (!text || ["SCRIPT", "STYLE"].includes(element.tagName) || !element.getClientRects().length) continue;
  const style = getComputedStyle(element);
  const behind = background(element);
  const ink = over(parse(element.closest("svg") ? style.fill : style.color), behind);
  const [high, low] = [luminance(ink), luminance(behind)].sort((a, b) => b - a);
  found.push([text.slice(0, 40), (high + 0.05) / (low + 0.05), parseFloat(style.fontSize), Number(style.fontWeight)]);
}
return found;
"""


class Browser:
    """A browser with one page at a time.

    Args:
        folder: an empty folder for its profile.
    """

    def __init__(self, folder: Path) -> None:
        options = webdriver.ChromeOptions()
        options.binary_location = BROWSER
        for argument in (*ARGUMENTS, f"--user-data-dir={folder}"):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
        self.driver.set_page_load_timeout(60)

    def tell(self, command: str, **values: Any) -> None:
        self.driver.execute_cdp_cmd(command, values)

    def show(self, path: Path, *, width: int = 1280, scheme: str = "light", scripts: bool = True) -> None:
        """Open a page."""
        self.tell("Emulation.setScriptExecutionDisabled", value=not scripts)
        self.tell("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        self.tell("Emulation.setEmulatedMedia", media="", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.driver.get(path.as_uri())

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def click(self, selector: str) -> None:
        self.run("document.querySelector(arguments[0]).click()", selector)

    def move(self, selector: str, value: int) -> None:
        """Move a slider."""
        self.run(
            "const slider = document.querySelector(arguments[0]); slider.value = arguments[1];"
            "slider.dispatchEvent(new Event('input'))",
            selector, value,
        )  # fmt: skip

    def drawing(self) -> NDArray[np.uint8]:
        """What the drawing shows, (height, width, 3)."""
        element = self.driver.find_element("id", "drawing")
        return np.asarray(Image.open(io.BytesIO(element.screenshot_as_png)).convert("RGB"))

    def messages(self) -> list[str]:
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        events = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        return [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    found = Browser(tmp_path_factory.mktemp("profile"))
    yield found
    found.driver.quit()


@pytest.fixture(scope="module")
def page(scene: Scene, result: ClassifyResult, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report on the map of the small scene, with all there is."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    outputs = result.outputs
    run_report(ReportOptions(map=outputs.map, confidence=outputs.confidence, reference=scene.labels, output=path))
    return path


@pytest.fixture(scope="module")
def awkward(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report with long and hostile names."""
    path = tmp_path_factory.mktemp("awkward") / "report.html"
    names = ("<script>alert(1)</script>", "a" * 90, "Wald und Gebüsch, 森林 " * 4)
    write_report(make_report((*names, *(f"class {i}" for i in range(17)))), path)
    return path


def settled(look: Callable[[], NDArray[np.uint8]], is_so: Callable[[NDArray[np.uint8]], bool]) -> NDArray[np.uint8]:
    """What is seen once it is so, within seconds: pictures are decoded a little later than they are set."""
    end = time.monotonic() + 10
    while not is_so(seen := look()):
        assert time.monotonic() < end, "the drawing does not become what it should"
        time.sleep(0.05)
    return seen


def share_of(seen: NDArray[np.uint8], color: tuple[int, int, int]) -> float:
    return float((np.abs(seen.astype(int) - color).max(axis=2) <= 3).mean())


def colors_of(page: Path, browser: Browser) -> dict[str, tuple[int, int, int]]:
    data = json.loads(browser.run("return document.getElementById('report-data').textContent"))
    texts = {c["name"]: c["color"] for c in data["classes"]}
    return {name: tuple(int(text[i : i + 2], 16) for i in (1, 3, 5)) for name, text in texts.items()}  # type: ignore[misc]


def test_nothing_is_requested_and_nothing_goes_wrong(browser: Browser, page: Path, awkward: Path) -> None:
    browser.requests(), browser.messages()
    for path in (page, awkward):
        browser.show(path)
        urls = browser.requests()
        assert path.as_uri() in urls
        assert [url for url in urls if not url.startswith("data:image/")] == [path.as_uri()]
        assert browser.messages() == []
    assert browser.run("return document.querySelectorAll('script').length") == 2


def test_layers_draw_and_their_controls_work(browser: Browser, page: Path) -> None:
    browser.show(page)
    colors = colors_of(page, browser)
    assert set(colors) == set(NAMES.values())
    whole = settled(browser.drawing, lambda seen: sum(share_of(seen, c) for c in colors.values()) > 0.9)
    shares = {name: share_of(whole, color) for name, color in colors.items()}
    assert min(shares.values()) > 0.1
    # the image below shows where the upper layer is swiped away, or transparent
    browser.move("#wipe", 50)
    half = settled(browser.drawing, lambda seen: sum(share_of(seen, c) for c in colors.values()) < 0.6)
    middle = half.shape[1] // 2
    assert np.array_equal(half[:, : middle - 4], whole[:, : middle - 4])
    assert sum(share_of(half[:, middle + 4 :], c) for c in colors.values()) < 0.1
    browser.move("#wipe", 100)
    browser.move("#opacity", 0)
    below = settled(browser.drawing, lambda seen: sum(share_of(seen, c) for c in colors.values()) < 0.1)
    assert len(np.unique(below.reshape(-1, 3), axis=0)) > 100
    browser.move("#opacity", 100)
    # another upper layer, and another lower one
    browser.click(".thumbs input[value=confidence]")
    settled(browser.drawing, lambda seen: sum(share_of(seen, c) for c in colors.values()) < 0.1)
    browser.click(".thumbs input[value=map]")
    browser.click(".thumbs input[value=lidar]")
    browser.move("#opacity", 0)
    grey = settled(browser.drawing, lambda seen: not np.array_equal(seen, below))
    assert np.abs(grey[:, :, 0].astype(int) - grey[:, :, 1]).max() <= 4


def test_the_edge_is_dragged(browser: Browser, page: Path) -> None:
    browser.show(page)
    value = "return Number(document.querySelector('#wipe').value)"
    assert browser.run(value) == 100
    width = browser.run("return document.querySelector('#drawing').getBoundingClientRect().width")
    actions = webdriver.ActionChains(browser.driver)
    handle = browser.driver.find_element("id", "handle")
    actions.drag_and_drop_by_offset(handle, -round(width / 2), 0).perform()
    assert browser.run(value) == pytest.approx(50, abs=1)
    place = browser.run(
        "const [a, b] = ['#handle', '#drawing'].map((s) => document.querySelector(s).getBoundingClientRect());"
        "return (a.left + a.width / 2 - b.left) / b.width"
    )
    assert place == pytest.approx(0.5, abs=0.01)


def test_a_map_that_is_enlarged_is_moved_by_pointer_and_keys(browser: Browser, page: Path) -> None:
    browser.show(page)
    left = "return Number(document.querySelector('#drawing').getAttribute('viewBox').split(' ')[0])"
    drawing = browser.driver.find_element("id", "drawing")
    drawing.send_keys("+")
    begin = browser.run(left)
    assert begin > 0
    webdriver.ActionChains(browser.driver).drag_and_drop_by_offset(drawing, 50, 0).perform()
    moved = browser.run(left)
    assert moved < begin
    drawing.send_keys("\ue014")  # the right arrow
    assert browser.run(left) > moved
    drawing.send_keys("-")
    assert browser.run(left) == 0


def test_classes_are_switched_off_and_on(browser: Browser, page: Path) -> None:
    browser.show(page)
    colors = colors_of(page, browser)
    whole = settled(browser.drawing, lambda seen: sum(share_of(seen, c) for c in colors.values()) > 0.9)
    browser.click(".legend input")
    first = next(iter(colors))
    without = settled(browser.drawing, lambda seen: share_of(seen, colors[first]) < 0.01)
    for color in list(colors.values())[1:]:
        assert share_of(without, color) == pytest.approx(share_of(whole, color), abs=0.02)
    browser.click(".legend .both button[value=none]")
    settled(browser.drawing, lambda seen: sum(share_of(seen, c) for c in colors.values()) < 0.1)
    browser.click(".legend .both button[value=all]")
    settled(browser.drawing, lambda seen: seen.shape == whole.shape and bool((seen == whole).mean() > 0.99))
    assert browser.messages() == []


def test_zoom_enlarges_and_the_scale_bar_follows(browser: Browser, page: Path) -> None:
    browser.show(page)
    size = "return document.querySelector('#drawing').getAttribute('viewBox').split(' ').map(Number)"
    length = "return document.querySelector('#length').textContent"
    whole, metres = browser.run(size), browser.run(length)
    browser.click("#nearer")
    nearer = browser.run(size)
    assert nearer[2:] == pytest.approx([whole[2] / 2, whole[3] / 2])
    assert nearer[:2] == pytest.approx([whole[2] / 4, whole[3] / 4])
    shown = [float(text.split()[0]) * (1000 if text.endswith("km") else 1) for text in (metres, browser.run(length))]
    assert shown[1] < shown[0]
    browser.click("#whole")
    assert browser.run(size) == pytest.approx(whole)
    assert browser.run(length) == metres


def test_a_scale_bar_where_the_room_is_a_hair_below_a_power_of_ten(
    browser: Browser, page: Path, tmp_path: Path
) -> None:
    text, number = re.subn(
        r'data-metres="[^"]+"', f'data-metres="{math.nextafter(2500, 0)!r}"', page.read_text("utf-8")
    )
    assert number == 1
    (tmp_path / "report.html").write_text(text, "utf-8")
    browser.show(tmp_path / "report.html")
    assert browser.run("return document.querySelector('#length').textContent") == "500 m"


def test_tables_are_sorted_by_their_columns(browser: Browser, page: Path) -> None:
    browser.show(page)
    values = (
        "return [...document.querySelectorAll('#areas tbody td:nth-child(2) data')].map((data) => Number(data.value))"
    )
    before = browser.run(values)
    browser.click("#areas th:nth-child(2) button")
    assert browser.run(values) == sorted(before, reverse=True)
    browser.click("#areas th:nth-child(2) button")
    assert browser.run(values) == sorted(before)
    names = "return [...document.querySelectorAll('#areas tbody th')].map((h) => h.textContent.trim())"
    browser.click("#areas th:nth-child(1) button")
    assert browser.run(names) == sorted(NAMES.values(), reverse=True)


def test_shares_of_the_matrix_replace_counts(browser: Browser, page: Path) -> None:
    browser.show(page)
    cell = "return document.querySelector('.matrix tbody td').innerText.trim()"
    count = browser.run(cell)
    assert count.isdigit()
    browser.click("#by-row")
    assert browser.run(cell) != count
    assert 0 < float(browser.run(cell)) <= 100


@pytest.mark.parametrize("width", WIDTHS)
def test_no_page_is_wider_than_its_screen(browser: Browser, page: Path, awkward: Path, width: int) -> None:
    for path in (page, awkward):
        browser.show(path, width=width)
        assert browser.run("return document.documentElement.scrollWidth") <= width
        outside = browser.run(
            "return [...document.querySelectorAll('body *')].filter((e) => !e.closest('.scroll, svg') && "
            "e.getBoundingClientRect().right > innerWidth + 1).map((e) => e.outerHTML.slice(0, 80))"
        )
        assert outside == []
        wider = "(e) => e.scrollWidth > e.clientWidth + 1"
        assert browser.run(f"return [...document.querySelectorAll('.thumbs li')].filter({wider}).length") == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [380, 1280])
def test_text_has_the_contrast_of_wcag_aa(browser: Browser, page: Path, awkward: Path, scheme: str, width: int) -> None:
    for path in (page, awkward):
        browser.show(path, width=width, scheme=scheme)
        for choice in ("#by-count", "#by-row"):
            browser.click(choice)
            found = browser.run(CONTRASTS)
            assert len(found) > 100
            weak = [
                entry for entry in found
                if entry[1] < (LARGE if entry[2] >= 24 or (entry[2] >= 18.66 and entry[3] >= 700) else NORMAL)
            ]  # fmt: skip
            assert weak == []


def test_all_can_be_read_without_scripts(browser: Browser, page: Path) -> None:
    browser.show(page, scripts=False)
    try:
        source = browser.driver.find_element("tag name", "main").text
    finally:
        browser.tell("Emulation.setScriptExecutionDisabled", value=False)
    for text in ("In short", "Areas", "Accuracy by class", "Confusion", "Training", "Provenance", *NAMES.values()):
        assert text in source
    browser.show(page, scripts=False)
    try:
        controls = browser.driver.find_elements("css selector", ".tools, .legend input, .both")
        assert controls
        assert not any(control.is_displayed() for control in controls)
        seen = browser.drawing()
    finally:
        browser.tell("Emulation.setScriptExecutionDisabled", value=False)
    assert len(np.unique(seen.reshape(-1, 3), axis=0)) >= len(NAMES)


def test_it_is_printed_in_light_colours_and_without_controls(browser: Browser, page: Path) -> None:
    browser.show(page, scheme="dark")
    dark = {"name": "prefers-color-scheme", "value": "dark"}
    browser.tell("Emulation.setEmulatedMedia", media="print", features=[dark])
    assert browser.run("return getComputedStyle(document.documentElement).backgroundColor") == "rgb(255, 255, 255)"
    for selector in ("nav", ".tools", ".tabs"):
        assert browser.run("return getComputedStyle(document.querySelector(arguments[0])).display", selector) == "none"
    assert [entry for entry in browser.run(CONTRASTS) if entry[1] < LARGE] == []
