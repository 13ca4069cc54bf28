"""Accuracy reports: tables for the terminal, and JSON, CSV and Markdown files."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import box
from rich.table import Table
from rich.text import Text

from s2fin_cli.core.errors import UsageError
from s2fin_cli.core.files import check_outputs, staged
from s2fin_cli.workflows.members import input_files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from rich.console import Console

    from s2fin_cli.assess.area_adjusted import AreaAdjusted, Estimate
    from s2fin_cli.assess.metrics import Accuracy
    from s2fin_cli.core.options import StrPath

#: Widths of the class names beside the confusion matrix, in terminal columns; a shorter name would say too little.
_NAME_WIDTH = range(8, 25)

_MATRIX_TITLE = "Confusion matrix in pixels (rows: reference, columns: map, by class id)"


def to_dict(accuracy: Accuracy, adjusted: AreaAdjusted | None = None) -> dict[str, Any]:
    """Plain JSON values: `Accuracy.to_dict`, and `AreaAdjusted.to_dict` under the key "area_adjusted"."""
    return accuracy.to_dict() | ({} if adjusted is None else {"area_adjusted": adjusted.to_dict()})


def print_report(accuracy: Accuracy, console: Console, adjusted: AreaAdjusted | None = None) -> None:
    """Print the summary, the per-class accuracies and the confusion matrix.

    From 60 columns on nothing is cut off but names beside the matrix, which the per-class table gives in full. Where
    the matrix is too wide, these names are shortened, then left out; a matrix that is still too wide is printed in
    blocks of columns.

    Args:
        accuracy: what to print.
        console: where to; its width decides the layout.
        adjusted: estimates for the whole map to print first, if the reference is a stratified sample.
    """
    if adjusted is not None:
        console.print(Text(_adjusted_summary(adjusted)))
        console.print()
        console.print(_text_table(*_adjusted_cells(adjusted)))
        console.print(Text(_ADJUSTED_LEGEND, style="dim"))
        console.print()
        console.print(Text("Of the sample itself:"))
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


def write_report(accuracy: Accuracy, dst_path: StrPath, adjusted: AreaAdjusted | None = None) -> None:
    """Write a report in the form that the suffix names; an existing file is replaced, and only by a whole one.

    - `.json`: the object described at `to_dict`.
    - `.csv`: UTF-8, one header and one row per reference class: `class_id`, `class_name`, `producers_accuracy`,
      `users_accuracy`, `f1`, `support`, `unmapped`; then `overall_accuracy`, `average_accuracy` and `kappa` of the
      whole map, the same in each row; then one column `map_<class id>` per class with that row of the confusion matrix.
      Ratios run from 0 to 1; an undefined one is an empty cell. Estimates for the whole map come last: `map_area`, and
      `adjusted_` with `users_accuracy`, `producers_accuracy`, `area` and `overall_accuracy`, each with `_margin_95`.
    - `.md`: tables of the summary, the classes and the confusion matrix, and of estimates for the whole map where there
      are any. Accuracies and F1 in percent, `-` where undefined.

    Args:
        accuracy: what to write.
        dst_path: the file to write, in an existing folder.
        adjusted: estimates for the whole map, if the reference is a stratified sample.

    Raises:
        UsageError: the suffix is none of the above.
        OutputError: the file cannot be written.
    """
    dst = Path(dst_path)
    check_suffix(dst)
    text = _FORMS[dst.suffix.lower()](accuracy, adjusted)
    with staged([dst], overwrite=True) as (tmp_path,):
        # NOTE: names from a table in a wrong encoding may hold lone surrogates, which UTF-8 cannot carry.
        tmp_path.write_bytes(text.encode("utf-8", errors="backslashreplace"))


def check_report(dst_path: Path, *, overwrite: bool, inputs: Iterable[StrPath]) -> None:
    """Refuse a report that cannot or must not be written.

    Raises:
        UsageError: its suffix names no form, or it would replace an input.
        OutputError: see `check_outputs`.
    """
    check_suffix(dst_path)
    check_outputs([dst_path], overwrite=overwrite, inputs=input_files(inputs))


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


def _adjusted_summary(adjusted: AreaAdjusted) -> str:
    return f"Estimated for the whole map: OA {_with_margin(adjusted.overall_accuracy, 100)[0]} %"


_ADJUSTED_LEGEND = "± margins of 95 % confidence (Olofsson et al. 2014); - undefined: a class with a single point"


def _adjusted_cells(adjusted: AreaAdjusted) -> tuple[list[str], list[list[str]]]:
    """Header and rows of the table of estimates for the whole map; areas in hectares where there are any."""
    unit, factor = ("ha", 1e-4) if adjusted.unit == "m2" else ("px", 1.0)
    header = ["id", "class", f"map {unit}", f"area {unit}", "PA %", "UA %"]
    columns = (
        map(str, adjusted.sample.class_ids),
        map(_one_line, adjusted.sample.class_names),
        (_area(area * factor) for area in adjusted.map_areas.tolist()),
        _with_margin(adjusted.areas, factor, _area),
        _with_margin(adjusted.producers_accuracy, 100),
        _with_margin(adjusted.users_accuracy, 100),
    )
    return header, [list(row) for row in zip(*columns, strict=True)]


def _with_margin(
    estimate: Estimate, factor: float, form: Callable[[float], str] = lambda value: f"{value:.1f}"
) -> list[str]:
    pairs = zip((estimate.value * factor).ravel().tolist(), (estimate.margin * factor).ravel().tolist(), strict=True)
    return [
        "-" if math.isnan(value) else f"{form(value)} ± {'-' if math.isnan(margin) else form(margin)}"
        for value, margin in pairs
    ]


def _area(value: float) -> str:
    return f"{value:.0f}" if value >= 1000 else f"{value:.3g}"


def _class_table(accuracy: Accuracy) -> Table:
    return _text_table(*_class_cells(accuracy))


def _text_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    table = _table()
    table.add_column("id", justify="right", no_wrap=True)
    table.add_column("class", overflow="fold")
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


def _json(accuracy: Accuracy, adjusted: AreaAdjusted | None) -> str:
    return json.dumps(to_dict(accuracy, adjusted), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _csv(accuracy: Accuracy, adjusted: AreaAdjusted | None) -> str:
    report = accuracy.to_dict()
    overall = {key: report[key] for key in ("overall_accuracy", "average_accuracy", "kappa")}
    stream = io.StringIO()
    writer: csv.DictWriter[str] | None = None
    estimates = [{}] * len(accuracy.class_ids) if adjusted is None else _flat(adjusted.to_dict())
    for entry, counts, more in zip(report["classes"], report["confusion_matrix"]["counts"], estimates, strict=True):
        row = {("class_" + key if key in {"id", "name"} else key): value for key, value in entry.items()}
        row |= overall
        row |= {f"map_{class_id}": count for class_id, count in zip(accuracy.class_ids, counts, strict=True)}
        row |= more
        if writer is None:
            writer = csv.DictWriter(stream, fieldnames=list(row), lineterminator="\n")
            writer.writeheader()
        writer.writerow(row)
    return stream.getvalue()


def _flat(adjusted: dict[str, Any]) -> list[dict[str, Any]]:
    """Estimates for the whole map as cells of a table, a row for each class."""
    rows = []
    for entry in adjusted["classes"]:
        row = {"map_area": entry["map_area"], "area_unit": adjusted["area_unit"]}
        for key in ("users_accuracy", "producers_accuracy", "area", "overall_accuracy"):
            estimate = (adjusted if key == "overall_accuracy" else entry)[key]
            row |= {f"adjusted_{key}": estimate["estimate"], f"adjusted_{key}_margin_95": estimate["margin_95"]}
        rows.append(row)
    return rows


def _markdown(accuracy: Accuracy, adjusted: AreaAdjusted | None) -> str:
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
    if adjusted is not None:
        estimates = [
            "## Estimates for the whole map",
            _adjusted_summary(adjusted) + ". " + _ADJUSTED_LEGEND + ".",
            _markdown_table(*_adjusted_cells(adjusted), text_column=1),
        ]
        parts[1:1] = [*estimates, "## Sample"]
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
_FORMS: dict[str, Callable[[Accuracy, AreaAdjusted | None], str]] = {".json": _json, ".csv": _csv, ".md": _markdown}
