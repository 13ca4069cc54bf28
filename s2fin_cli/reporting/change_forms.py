"""A report on changes as cells of tables, as Markdown and as CSV."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

import numpy as np

from s2fin_cli.reporting.cells import (
    ESTIMATES_LEGEND,
    area_text,
    estimate_cells,
    estimates_summary,
    one_line,
    percent,
    with_margin,
)
from s2fin_cli.reporting.csv_form import flat_estimates
from s2fin_cli.reporting.markdown_form import accuracy_tables, bullet_list, message, plain, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from s2fin_cli.core.transitions import Pair
    from s2fin_cli.reporting.change_report import ChangeReport

#: Where pixels have no class, in words.
_NO_CLASS = {"before": "only before", "after": "only after", "both": "in both maps"}
#: Square metres of a hectare.
_HECTARE = 1e4


def summary(report: ChangeReport) -> list[str]:
    """What changed, in sentences."""
    changed = report.cover(report.changes)
    area = "" if changed.area is None else f", {area_text(changed.area / _HECTARE)} ha"
    lines = [f"Changed: {percent(changed.share)} % of the pixels that have a class in both maps{area}."]
    if report.changes:
        first = report.changes[0]
        lines.append(f"Largest change: {one_line(report.transitions.name_of(first))} ({_size(report, first)}).")
    if any(report.nodata_pixels.values()):
        numbers = {_NO_CLASS[where]: number for where, number in report.nodata_pixels.items() if number}
        lines.append(f"Pixels without a class: {', '.join(f'{number} {where}' for where, number in numbers.items())}.")
    return lines


def _size(report: ChangeReport, pair: Pair) -> str:
    cover = report.cover([pair])
    return f"{cover.pixels} px" if cover.area is None else f"{area_text(cover.area / _HECTARE)} ha"


def estimated_summary(report: ChangeReport) -> list[str]:
    """What the sample says of all changes together, in sentences; nothing without a sample."""
    found, estimates = report.changed, report.estimates
    if found is None or estimates is None:
        return []
    unit, factor = ("ha", 1 / _HECTARE) if estimates.unit == "m2" else ("px", 1.0)
    area, mapped = with_margin(found.area, factor, area_text)[0], area_text(found.map_area * factor)
    lines = [f"Estimated from the sample: {area} {unit} really changed (mapped: {mapped} {unit})."]
    shares = [
        f"{of} {with_margin(share, 100)[0]} % are {what}"
        for of, share, what in (
            ("of the mapped changes", found.users_accuracy, "real"),
            ("of the real changes", found.producers_accuracy, "mapped"),
        )
        if not np.isnan(share.value)
    ]
    if shares:
        sentence = "; ".join(shares)
        lines.append(f"{sentence[0].upper()}{sentence[1:]}.")
    return lines


def matrix_cells(report: ChangeReport) -> tuple[list[str], list[list[str]]]:
    """Header and rows of the transition matrix, in hectares where areas are known, with the sums of both maps."""
    ids, names = report.class_ids, report.transitions.names

    def cell(pairs: Sequence[Pair]) -> str:
        cover = report.cover(list(pairs))
        return (
            "-" if not cover.pixels else str(cover.pixels) if cover.area is None else area_text(cover.area / _HECTARE)
        )

    rows = [[str(i), one_line(names[i]), *(cell([(i, j)]) for j in ids), cell([(i, j) for j in ids])] for i in ids]
    rows.append(["", "after", *(cell([(i, j) for i in ids]) for j in ids), cell(list(report.pixels))])
    return ["id", "class", *map(str, ids), "before"], rows


def matrix_legend(report: ChangeReport) -> str:
    """What the cells of the transition matrix are."""
    unit = "Pixels" if report.areas is None else "Hectares"
    return f"{unit}. Rows: before. Columns: after, by class id. Last row and column: sums."


def transition_cells(report: ChangeReport) -> tuple[list[str], list[list[str]]]:
    """Header and rows of the table of changes, the largest one first."""
    header = ["id", "transition", "pixels", "share %", *(["area ha"] if report.areas is not None else [])]
    rows = []
    for pair in report.changes:
        cover = report.cover([pair])
        row = [str(report.transitions.values[pair]), one_line(report.transitions.name_of(pair))]
        row += [str(cover.pixels), percent(cover.share)]
        rows.append(row if cover.area is None else [*row, area_text(cover.area / _HECTARE)])
    return header, rows


def to_markdown(report: ChangeReport) -> str:
    """What changed in sentences, the transition matrix and the changes; then estimates and the sample, if any."""
    sentences = [f"From {report.before} to {report.after}.", *summary(report), *estimated_summary(report)]
    parts = ["# Change report", *map(plain, sentences)]
    parts += ["## Transition matrix", matrix_legend(report), table(*matrix_cells(report), text_column=1)]
    if report.changes:
        parts += ["## Changes", table(*transition_cells(report), text_column=1)]
    if report.estimates is not None and report.accuracy is not None:
        parts += ["## Estimates for the whole map", f"{estimates_summary(report.estimates)}. {ESTIMATES_LEGEND}."]
        parts += [
            table(*estimate_cells(report.estimates), text_column=1),
            "## Sample",
            *accuracy_tables(report.accuracy),
        ]
    if report.warnings:
        parts += ["## Warnings", bullet_list(map(message, report.warnings))]
    return "\n\n".join(parts) + "\n"


def to_csv(report: ChangeReport) -> str:
    """One header and one row per transition.

    The columns are `id`, `name`, `before`, `before_name`, `after`, `after_name`, `changed`, `pixels`, `share` and,
    where areas are known, `area_m2`. With a sample there are also `producers_accuracy`, `users_accuracy`, `f1`,
    `support` and `unmapped` of the sample, and the estimates for the whole map as `evaluate` has them: `map_area`,
    `area_unit`, and `adjusted_` with `users_accuracy`, `producers_accuracy`, `area` and `overall_accuracy`, each with
    `_margin_95`. A transition that only the sample has covers 0 pixels.
    """
    names, found = report.transitions.names, report.to_dict()
    rows: dict[int, dict[str, Any]] = {}
    for value, pair in report.transitions.pairs.items():
        before, after = pair
        rows[value] = {
            "id": value, "name": report.transitions.name_of(pair), "before": before, "before_name": names[before],
            "after": after, "after_name": names[after], "changed": before != after, **report.cover([pair]).to_dict(),
        }  # fmt: skip
    if report.estimates is not None:
        sampled = zip(found["sample"]["classes"], flat_estimates(found["area_adjusted"]), strict=True)
        for entry, estimates in sampled:
            keys = ("producers_accuracy", "users_accuracy", "f1", "support", "unmapped")
            rows[entry["id"]] |= {key: entry[key] for key in keys} | estimates
    stream = io.StringIO()
    columns = dict.fromkeys(key for row in sorted(rows.values(), key=len, reverse=True) for key in row)
    writer = csv.DictWriter(stream, fieldnames=list(columns), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows.values())
    return stream.getvalue()
