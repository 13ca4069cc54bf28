"""A report on changes as text."""

from __future__ import annotations

from s2fin_cli.core.transitions import Transitions
from s2fin_cli.reporting.change_forms import summary, to_markdown
from s2fin_cli.reporting.change_report import ChangeReport

PIXELS = {(1, 1): 80, (1, 2): 10, (2, 1): 10}


def make_report(names: dict[int, str]) -> ChangeReport:
    nodata = {"before": 0, "after": 0, "both": 0}
    return ChangeReport("a_*b*.tif", "<b>.tif", Transitions.of(names, PIXELS), PIXELS, None, nodata)


def test_the_largest_change_is_not_called_most_of_it() -> None:
    """Two changes are equally large here."""
    assert summary(make_report({1: "forest", 2: "water"})) == [
        "Changed: 20.00 % of the pixels that have a class in both maps.",
        "Largest change: forest -> water (10 px).",
    ]


def test_names_and_paths_are_no_markup() -> None:
    report = make_report({1: "*forest*\n# heading", 2: "<b>"})
    assert summary(report)[1] == "Largest change: *forest* # heading -> <b> (10 px)."
    text = to_markdown(report)
    assert "From a\\_\\*b\\*.tif to \\<b\\>.tif." in text
    assert "Largest change: \\*forest\\* # heading -\\> \\<b\\> (10 px)." in text
