"""Accuracy reports: tables for the terminal, and JSON, CSV and Markdown files."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from pathlib import Path
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table
from rich.text import Text

from s2fin_cli.errors import UsageError
from s2fin_cli.files import staged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from rich.console import Console

    from s2fin_cli.assess.metrics import Accuracy
    from s2fin_cli.config import StrPath

#: Widths of the class names beside the confusion matrix, in terminal columns; a shorter name would say too little.
_NAME_WIDTH = range(8, 25)

_MATRIX_TITLE = "Confusion matrix in pixels (rows: reference, columns: map, by class id)"


def print_report(accuracy: Accuracy, console: Console) -> None:
    """Print the summary, the per-class accuracies and the confusion matrix.

    From 60 columns on nothing is cut off but names beside the matrix, which the per-class table gives in full. Where
    the matrix is too wide, these names are shortened, then left out; a matrix that is still too wide is printed in
    blocks of columns.

    Args:
        accuracy: what to print.
        console: where to; its width decides the layout.
    """
    for line in _summary(accuracy):
        console.print(Text(line))
    console.print()
    console.print(_class_table(accuracy))
    console.print(Text("PA producer's accuracy, UA user's accuracy, - undefined", style="dim"))
    console.print()
    console.print(Text(_MATRIX_TITLE))
    for table in _matrix_tables(accuracy, console.width):
        console.print()
        console.print(table)


def write_report(accuracy: Accuracy, dst_path: StrPath) -> None:
    """Write a report in the form that the suffix names; an existing file is replaced, and only by a whole one.

    - `.json`: the object described at `Accuracy.to_dict`.
    - `.csv`: UTF-8, one header and one row per reference class: `class_id`, `class_name`, `producers_accuracy`,
      `users_accuracy`, `f1`, `support`, `unmapped`; then `overall_accuracy`, `average_accuracy` and `kappa` of the
      whole map, the same in each row; then one column `map_<class id>` per class with that row of the confusion matrix.
      Ratios run from 0 to 1; an undefined one is an empty cell.
    - `.md`: three tables: summary, classes, confusion matrix. Accuracies and F1 in percent, `-` where undefined.

    Args:
        accuracy: what to write.
        dst_path: the file to write, in an existing folder.

    Raises:
        UsageError: the suffix is none of the above.
        OutputError: the file cannot be written.
    """
    dst = Path(dst_path)
    check_suffix(dst)
    text = _FORMS[dst.suffix.lower()](accuracy)
    with staged([dst], overwrite=True) as (tmp_path,):
        # NOTE: names from a table in a wrong encoding may hold lone surrogates, which UTF-8 cannot carry.
        tmp_path.write_bytes(text.encode("utf-8", errors="backslashreplace"))


def check_suffix(dst_path: Path) -> None:
    """Refuse a report whose suffix names no form.

    Raises:
        UsageError: the suffix is none of those that `write_report` knows.
    """
    suffix = dst_path.suffix
    if suffix.lower() not in _FORMS:
        found = f"the suffix {suffix!r}" if suffix else "no suffix"
        raise UsageError(f"{dst_path}: no report has {found}; name a file that ends in {', '.join(_FORMS)}")


def _summary(accuracy: Accuracy) -> Iterator[str]:
    yield (
        f"OA {_percent(accuracy.overall_accuracy)} %   AA {_percent(accuracy.average_accuracy)} %   "
        f"kappa {_decimal(accuracy.kappa)}"
    )
    unmapped = int(accuracy.unmapped.sum())
    yield f"{accuracy.n} reference pixels assessed" + (f", {unmapped} unmapped and left out" if unmapped else "")


def _class_table(accuracy: Accuracy) -> Table:
    table = _table()
    table.add_column("id", justify="right", no_wrap=True)
    table.add_column("class", overflow="fold")
    header, rows = _class_cells(accuracy)
    for name in header[2:]:
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def _class_cells(accuracy: Accuracy) -> tuple[list[str], list[list[str]]]:
    """Header and rows of the per-class table; unmapped pixels have a column only where there are any."""
    header = ["id", "class", "PA %", "UA %", "F1 %", "support"]
    columns: list[Iterable[str]] = [
        map(str, accuracy.class_ids),
        map(_one_line, accuracy.class_names),
        *(map(_percent, r.tolist()) for r in (accuracy.producers_accuracy, accuracy.users_accuracy, accuracy.f1)),
        map(str, accuracy.support.tolist()),
    ]
    if accuracy.unmapped.any():
        header.append("unmapped")
        columns.append(map(str, accuracy.unmapped.tolist()))
    return header, [list(row) for row in zip(*columns, strict=True)]


def _matrix_tables(accuracy: Accuracy, width: int) -> Iterator[Table]:
    """The confusion matrix as one table, or as several blocks of columns where the console is too narrow."""
    ids = [str(i) for i in accuracy.class_ids]
    cell = max(map(len, [*ids, str(accuracy.matrix.max())])) + 1  # the blank between columns
    room = width - max(map(len, ids)) - 1  # for names and counts, after the row's id and a blank
    per_block = len(ids)
    if per_block * cell > room + 1:  # without names there is one blank less
        blocks = math.ceil(len(ids) / max((room - _NAME_WIDTH[0]) // cell, 1))
        per_block = math.ceil(len(ids) / blocks)
    name_width = room - per_block * cell
    for start in range(0, len(ids), per_block):
        yield _matrix_block(accuracy, range(start, min(start + per_block, len(ids))), name_width=name_width)


def _matrix_block(accuracy: Accuracy, columns: Sequence[int], *, name_width: int) -> Table:
    table = _table(gap=0)
    table.add_column("", justify="right", no_wrap=True)
    with_names = name_width >= _NAME_WIDTH[0]
    if with_names:
        table.add_column("", no_wrap=True, overflow="ellipsis", max_width=min(name_width, _NAME_WIDTH[-1]))
    for j in columns:
        table.add_column(str(accuracy.class_ids[j]), justify="right", no_wrap=True)
    for i, class_id in enumerate(accuracy.class_ids):
        name = [Text(_one_line(accuracy.class_names[i]))] if with_names else []
        counts = [Text(str(accuracy.matrix[i, j]), style=_cell_style(accuracy, i, j)) for j in columns]
        table.add_row(Text(str(class_id)), *name, *counts)
    return table


def _cell_style(accuracy: Accuracy, row: int, column: int) -> str:
    if row == column:
        return "bold"
    return "" if accuracy.matrix[row, column] else "dim"


def _table(*, gap: int = 1) -> Table:
    """An open table: a line below the header, `gap` + 1 blanks between columns."""
    return Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, gap, 0, 0))


def _json(accuracy: Accuracy) -> str:
    return json.dumps(accuracy.to_dict(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _csv(accuracy: Accuracy) -> str:
    report = accuracy.to_dict()
    overall = {key: report[key] for key in ("overall_accuracy", "average_accuracy", "kappa")}
    stream = io.StringIO()
    writer: csv.DictWriter[str] | None = None
    for entry, counts in zip(report["classes"], report["confusion_matrix"]["counts"], strict=True):
        row = {("class_" + key if key in {"id", "name"} else key): value for key, value in entry.items()}
        row |= overall
        row |= {f"map_{class_id}": count for class_id, count in zip(accuracy.class_ids, counts, strict=True)}
        if writer is None:
            writer = csv.DictWriter(stream, fieldnames=list(row), lineterminator="\n")
            writer.writeheader()
        writer.writerow(row)
    return stream.getvalue()


def _markdown(accuracy: Accuracy) -> str:
    overall = [
        ["Overall accuracy (OA) %", _percent(accuracy.overall_accuracy)],
        ["Average accuracy (AA) %", _percent(accuracy.average_accuracy)],
        ["Cohen's kappa", _decimal(accuracy.kappa)],
        ["Reference pixels assessed", str(accuracy.n)],
        ["Reference pixels unmapped, left out", str(accuracy.unmapped.sum())],
    ]
    header, rows = _class_cells(accuracy)
    ids = [str(i) for i in accuracy.class_ids]
    labels = [[i, _one_line(name)] for i, name in zip(ids, accuracy.class_names, strict=True)]
    counts = [[*label, *map(str, row)] for label, row in zip(labels, accuracy.matrix.tolist(), strict=True)]
    parts = [
        "# Accuracy report",
        _markdown_table(["figure", "value"], overall, text_column=0),
        "## Classes",
        "PA: producer's accuracy. UA: user's accuracy. -: undefined.",
        _markdown_table(header, rows, text_column=1),
        "## Confusion matrix",
        "Pixels. Rows: reference. Columns: map, by class id.",
        _markdown_table(["id", "class", *ids], counts, text_column=1),
    ]
    return "\n\n".join(parts) + "\n"


def _markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]], *, text_column: int) -> str:
    """A table with one left-aligned column; the others hold numbers and are right-aligned."""
    rule = [":---" if i == text_column else "---:" for i in range(len(header))]
    body = [[_escaped(cell) if i == text_column else cell for i, cell in enumerate(row)] for row in rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in [header, rule, *body])


def _escaped(text: str) -> str:
    return re.sub(r"([\\`*_\[\]<>|~&])", r"\\\1", text)


def _one_line(text: str) -> str:
    """Without line breaks and control characters, which names read from files may hold."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _percent(ratio: float) -> str:
    return "-" if math.isnan(ratio) else f"{100 * ratio:.2f}"


def _decimal(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.4f}"


#: The forms of a report, by suffix.
_FORMS: dict[str, Callable[[Accuracy], str]] = {".json": _json, ".csv": _csv, ".md": _markdown}
