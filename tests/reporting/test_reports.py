from __future__ import annotations

import csv
import io
import json
import os
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from s2fin_cli.assess.metrics import Accuracy
from s2fin_cli.cli.rendering.reports import print_accuracy
from s2fin_cli.core.errors import OutputError, UsageError
from s2fin_cli.reporting.files import write_report
from s2fin_cli.reporting.map_report import MapReport
from s2fin_cli.reporting.markdown_form import to_markdown
from tests.reporting.pages import MATRIX, make_report

AWKWARD_NAMES = ("low|rise", 'say "trees", then', "[red]açaí_palm_ & *co*")


@pytest.fixture
def small() -> Accuracy:
    """Three classes with awkward names; the last is never mapped, and some pixels are unmapped."""
    return Accuracy.from_matrix(
        [[35, 5, 0, 1], [10, 30, 0, 0], [2, 0, 0, 3]], class_ids=[1, 2, 10], class_names=AWKWARD_NAMES
    )


def many(
    classes: int, *, pixels: int = 4000, name: str = "Open low-rise built-up area with scattered trees"
) -> Accuracy:
    rng = np.random.default_rng(classes)
    ids = np.arange(1, classes + 1)
    reference = rng.choice(ids, pixels)
    predicted = np.where(rng.random(pixels) < 0.9, reference, rng.choice([*ids, 255], pixels))
    names = [f"{name} {i}" for i in ids]
    return Accuracy.from_labels(reference, predicted, class_ids=ids.tolist(), class_names=names)


def printed(accuracy: Accuracy, width: int) -> list[str]:
    stream = io.StringIO()
    print_accuracy(accuracy, Console(file=stream, width=width))
    return stream.getvalue().splitlines()


def matrix_rows(lines: list[str]) -> dict[int, list[int]]:
    """The matrix as a reader puts it together: the counts after each row's id, over all blocks of columns."""
    start = next(i for i, line in enumerate(lines) if line.startswith("Confusion matrix"))
    rows: dict[int, list[int]] = {}
    for block in re.split(r"\n\n", "\n".join(lines[start:]))[1:]:
        header, _, *body = block.splitlines()
        columns = len(header.split())
        for line in body:
            cells = line.split()
            rows.setdefault(int(cells[0]), []).extend(map(int, cells[-columns:]))
    return rows


def blocks(lines: list[str]) -> int:
    return "\n".join(lines).split("Confusion matrix")[1].count("\n\n")


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("classes", [1, 2, 10, 17, 40])
def test_printed_matrix_is_whole_at_every_width(classes: int, width: int) -> None:
    accuracy = many(classes)
    lines = printed(accuracy, width)
    assert max(map(len, lines)) <= width
    rows = matrix_rows(lines)
    assert list(rows) == list(accuracy.class_ids)
    assert list(rows.values()) == accuracy.matrix.tolist()


@given(
    classes=st.integers(1, 25), width=st.integers(40, 200), pixels=st.integers(0, 100_000), name=st.text(max_size=40)
)
def test_printed_counts_are_never_cut(classes: int, width: int, pixels: int, name: str) -> None:
    accuracy = many(classes, pixels=pixels, name=name)
    rows = matrix_rows(printed(accuracy, width))
    assert list(rows.values()) == accuracy.matrix.tolist()


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("classes", [3, 17])
def test_printed_class_table_is_whole_at_every_width(classes: int, width: int) -> None:
    accuracy = many(classes, pixels=90_000)
    text = "\n".join(printed(accuracy, width)).split("Confusion matrix")[0]
    assert "…" not in text
    rows = [line.split() for line in text.splitlines() if re.match(r" *\d+  \S", line)]
    assert [row[0] for row in rows] == [str(i) for i in accuracy.class_ids]
    numbers = zip(
        accuracy.producers_accuracy,
        accuracy.users_accuracy,
        accuracy.f1,
        accuracy.support,
        accuracy.unmapped,
        strict=True,
    )
    expected = [[f"{100 * pa:.2f}", f"{100 * ua:.2f}", f"{100 * f:.2f}", str(s), str(u)] for pa, ua, f, s, u in numbers]
    assert [row[-5:] for row in rows] == expected
    words = text.split()
    assert words.count("scattered") == classes


def test_ten_classes_fit_80_columns_in_one_block_with_names() -> None:
    lines = printed(many(10, pixels=50_000, name="Class"), 80)
    assert blocks(lines) == 1
    assert "Class 10" in lines[-1]


def test_names_go_before_the_matrix_is_split() -> None:
    lines = printed(many(17, pixels=40_000), 92)
    assert blocks(lines) == 1
    assert "Open" not in lines[-1]
    assert blocks(printed(many(17, pixels=40_000), 80)) == 2


def test_printed_summary(small: Accuracy) -> None:
    lines = printed(small, 80)
    assert lines[0] == "OA 79.27 %   AA 54.17 %   kappa 0.5952"
    assert lines[1] == "82 reference pixels assessed, 4 unmapped and excluded"
    assert any(name in line for line in lines for name in AWKWARD_NAMES[2:])
    mapped = Accuracy.from_matrix(small.matrix, class_ids=small.class_ids)
    assert printed(mapped, 80)[1] == "82 reference pixels assessed"
    assert "unmapped" not in "\n".join(printed(mapped, 80))


def test_undefined_figures_are_a_dash() -> None:
    lines = printed(Accuracy.from_labels([], [], class_ids=[1]), 60)
    assert lines[0] == "OA - %   AA - %   kappa -"
    assert " 1  1         -     -     -        0" in lines


def test_json_reopened(small: Accuracy, tmp_path: Path) -> None:
    report = MapReport.of(small)
    write_report(report, tmp_path / "report.json")
    found = json.loads((tmp_path / "report.json").read_text("utf-8"))
    assert found == report.to_dict()
    for key, value in small.to_dict().items():
        if key not in ("classes", "confusion_matrix"):
            assert found[key] == value
    for entry, own in zip(found["classes"], small.to_dict()["classes"], strict=True):
        assert entry.items() >= own.items()
    assert found["confusion_matrix"].items() >= small.to_dict()["confusion_matrix"].items()
    assert found["confusion_matrix"]["row_shares"][0] == [35 / 40, 5 / 40, 0]
    assert found["confusion_matrix"]["column_shares"][2] == [2 / 47, 0, None]


def test_csv_reopened(small: Accuracy, tmp_path: Path) -> None:
    write_report(MapReport.of(small), tmp_path / "report.csv")
    with (tmp_path / "report.csv").open(encoding="utf-8", newline="") as src:
        rows = list(csv.DictReader(src))
    assert [row["class_name"] for row in rows] == list(AWKWARD_NAMES)
    assert [int(row["class_id"]) for row in rows] == [1, 2, 10]
    assert [[int(row[f"map_{i}"]) for i in (1, 2, 10)] for row in rows] == small.matrix.tolist()
    assert [int(row["unmapped"]) for row in rows] == small.unmapped.tolist()
    assert [int(row["support"]) for row in rows] == small.support.tolist()
    for figure in ("producers_accuracy", "users_accuracy", "f1"):
        read = [float(row[figure] or "nan") for row in rows]
        np.testing.assert_array_equal(read, getattr(small, figure))
    for figure in ("overall_accuracy", "average_accuracy", "kappa"):
        assert {float(row[figure]) for row in rows} == {getattr(small, figure)}
    assert rows[2]["users_accuracy"] == ""


def markdown_tables(text: str) -> list[list[list[str]]]:
    tables = [part.splitlines() for part in text.split("\n\n") if part.startswith("|")]
    return [
        [
            [re.sub(r"\\(.)", r"\1", cell.strip()) for cell in re.split(r"(?<!\\)\|", line.strip())[1:-1]]
            for line in table
        ]
        for table in tables
    ]


def test_markdown_reopened(small: Accuracy, tmp_path: Path) -> None:
    write_report(MapReport.of(small), tmp_path / "report.md")
    summary, classes, matrix = markdown_tables((tmp_path / "report.md").read_text("utf-8"))
    assert dict(summary[2:])["Cohen's kappa"] == "0.5952"
    assert dict(summary[2:])["Unmapped reference pixels, excluded"] == "4"
    assert classes[0] == ["id", "class", "PA %", "UA %", "F1 %", "support", "unmapped"]
    assert classes[2] == ["1", AWKWARD_NAMES[0], "87.50", "74.47", "80.46", "40", "1"]
    assert classes[4] == ["10", AWKWARD_NAMES[2], "0.00", "-", "0.00", "2", "3"]
    assert matrix[0] == ["id", "class", "1", "2", "10"]
    assert [row[1] for row in matrix[2:]] == list(AWKWARD_NAMES)
    assert [[int(cell) for cell in row[2:]] for row in matrix[2:]] == small.matrix.tolist()
    for table in (summary, classes, matrix):
        assert len({len(row) for row in table}) == 1


def test_markdown_calls_labels_held_out_by_their_name() -> None:
    report = replace(make_report(), accuracy=None, reference=None, facts=None)
    summary = {row[0]: row[1] for table in markdown_tables(to_markdown(report)) for row in table}
    assert summary["Labelled pixels assessed"] == str(np.sum(MATRIX))
    assert "Reference pixels assessed" not in summary


def test_line_breaks_in_names_break_no_table(tmp_path: Path) -> None:
    accuracy = Accuracy.from_matrix([[3]], class_ids=[1], class_names=["a\r\n| b\x1b[0m\tc"])
    write_report(MapReport.of(accuracy), tmp_path / "report.md")
    _, classes, _ = markdown_tables((tmp_path / "report.md").read_text("utf-8"))
    assert classes[2][1] == "a | b [0m c"
    assert any(line.startswith(" 1  a | b [0m c ") for line in printed(accuracy, 80))


@pytest.mark.parametrize("suffix", [".json", ".csv", ".md"])
def test_names_with_lone_surrogates_are_written(suffix: str, tmp_path: Path) -> None:
    accuracy = Accuracy.from_matrix([[3]], class_ids=[1], class_names=["for\udceat"])
    write_report(MapReport.of(accuracy), tmp_path / f"report{suffix}")
    assert "for" in (tmp_path / f"report{suffix}").read_text("utf-8")


def test_upper_case_suffix_and_text_path(small: Accuracy, tmp_path: Path) -> None:
    write_report(MapReport.of(small), os.fspath(tmp_path / "REPORT.JSON"))
    assert json.loads((tmp_path / "REPORT.JSON").read_text("utf-8"))["n"] == 82


@pytest.mark.parametrize(("name", "found"), [("report.xlsx", "the suffix '.xlsx'"), ("report", "no suffix")])
def test_unknown_suffix_names_those_that_work(name: str, found: str, small: Accuracy, tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=rf"{name} has {found}; the name of a report ends in \.html, \.json, \.csv or \.md$"
    ):
        write_report(MapReport.of(small), tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_an_existing_report_is_replaced(small: Accuracy, tmp_path: Path) -> None:
    (tmp_path / "report.csv").write_text("old")
    write_report(MapReport.of(small), tmp_path / "report.csv")
    assert (tmp_path / "report.csv").read_text("utf-8").startswith("class_id,class_name,")
    assert [p.name for p in tmp_path.iterdir()] == ["report.csv"]


def test_a_failed_write_keeps_the_old_report(small: Accuracy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "report.md").write_text("old")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(
        OutputError, match=r"writing \S*report\.md failed: .*No space left on device\); no file was written$"
    ):
        write_report(MapReport.of(small), tmp_path / "report.md")
    assert (tmp_path / "report.md").read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["report.md"]


def test_a_missing_folder_is_reported(small: Accuracy, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"the folder .*missing does not exist"):
        write_report(MapReport.of(small), tmp_path / "missing" / "report.md")
    (tmp_path / "folder.md").mkdir()
    with pytest.raises(OutputError, match="is a folder"):
        write_report(MapReport.of(small), tmp_path / "folder.md")
    assert [p.name for p in tmp_path.iterdir()] == ["folder.md"]
