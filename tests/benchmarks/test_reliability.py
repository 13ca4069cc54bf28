"""The page on reliability is made of kept results."""

from __future__ import annotations

import json

from reliability import COUNTS, FILES_COUNTS, PAGE, RESULTS, page_with
from tests.faults.table import FAULTS

TEXT = """before
<!-- faults begin -->
old
<!-- faults end -->
between
<!-- files begin -->
<!-- files end -->
after
"""


def test_tables_are_put_between_their_markers() -> None:
    results = {
        FAULTS[1].name: {**dict.fromkeys(COUNTS, 3), "made": "today"},
        FAULTS[0].name: {**dict.fromkeys(COUNTS, 2), "made": "yesterday"},
        "raster": {**dict.fromkeys(FILES_COUNTS, 7), "seconds": 1.5, "memory": 20, "made": "today"},
        "a fault that is no more": {**dict.fromkeys(COUNTS, 100), "made": "long ago"},
    }
    text = page_with(TEXT, results)
    lines = text.splitlines()
    assert lines.index(f"| {FAULTS[0].name} | 2 | 2 | 2 | 2 |") < lines.index(f"| {FAULTS[1].name} | 3 | 3 | 3 | 3 |")
    assert "| **all** | **5** | **5** | **5** | **5** |" in lines
    assert "| raster | 7 | 7 | 7 | 7 | 1.5 | 20 |" in lines
    assert "Made by `python -m benchmarks.reliability`: yesterday; today." in lines
    assert "old" not in lines
    assert "long ago" not in text
    assert [line for line in lines if line in ("before", "between", "after")] == ["before", "between", "after"]
    assert page_with(text, results) == text


def test_the_page_shows_the_kept_results() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert page_with(text, json.loads(RESULTS.read_text(encoding="utf-8"))) == text
