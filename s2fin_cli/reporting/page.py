"""A report as one HTML page, which loads nothing from anywhere."""

from __future__ import annotations

import base64
import hashlib
import math
from functools import partial
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup, escape

from s2fin_cli.core.copies import is_name_of_data
from s2fin_cli.core.flags import as_flag, flag_of, rewritten
from s2fin_cli.reporting import charts

if TYPE_CHECKING:
    from collections.abc import Callable

    from s2fin_cli.reporting.map_report import MapReport

#: Bytes of a page, which pictures shrink to keep; warnings, or files of a run, that it lists; and classes in a chart.
MOST_BYTES, MOST_LISTED, MOST_DRAWN = 3_000_000, 100, 40
#: Shown in place of a number that is not defined.
UNDEFINED = "\N{EN DASH}"
_NO_BREAK = "\N{NO-BREAK SPACE}"


def to_html(report: MapReport) -> str:
    """The page: CSS, script and pictures are inside, and so is the JSON of the report.

    Every number that is shown is an element of its own, with the value and its place in that JSON.
    """
    values = report.to_dict()
    style, script = (_part(name).rstrip() for name in ("style.css", "script.js"))
    environment = Environment(
        loader=FunctionLoader(_part), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.globals |= {"num": _Numbers(values), "charts": charts, "mark": _mark(values)}
    environment.filters |= {"flags": _with_flags, "flag": flag_of}
    environment.tests["name_of_data"] = is_name_of_data
    page = partial(
        environment.get_template("page.html").render,
        r=values,
        pictures=report.pictures,
        places=report.suggestions,
        most_listed=MOST_LISTED,
        most_drawn=MOST_DRAWN,
        style=Markup(style),  # noqa: S704  our own file
        script=Markup(script),  # noqa: S704
        policy=f"default-src 'none'; img-src data:; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'",
    )
    if report.pictures is None:
        return page()
    text = page(uris=dict.fromkeys((layer.key for layer in report.pictures.layers), ""))
    return page(uris=report.pictures.uris(MOST_BYTES - len(text.encode(errors="backslashreplace"))))


def _part(name: str) -> str:
    """One of the files that the page is made of."""
    return files("s2fin_cli.reporting").joinpath("page", name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """What a content security policy knows an inline text by."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def value_at(values: Any, path: str) -> Any:
    """The value at a place in JSON values, e.g. "/classes/0/pixels" (a JSON pointer without escapes)."""
    for key in path.split("/")[1:]:
        values = values[int(key)] if isinstance(values, list) else values[key]
    return values


class _Numbers:
    """Shows numbers of the report by their place in its JSON."""

    def __init__(self, values: dict[str, Any]) -> None:
        self._values = values

    def __call__(self, path: str, form: str = "whole") -> Markup:
        """An element that shows a number; a dash where there is none.

        Args:
            path: its place.
            form: a key of `FORMS`.
        """
        value = value_at(self._values, path)
        if value is None:
            return Markup('<span data-at="{}">{}</span>').format(path, UNDEFINED)
        return Markup('<data data-at="{}" value="{!r}">{}</data>').format(path, value, FORMS[form](value))


def _mark(values: dict[str, Any]) -> Callable[..., Markup]:
    """A function that gives the attributes of a mark in a chart for the number that it shows."""

    def attributes(path: str) -> Markup:
        return Markup('data-at="{}" data-value="{!r}"').format(path, value_at(values, path))

    return attributes


def _grouped(value: float) -> str:
    return f"{value:,.0f}"


def _percent(value: float) -> str:
    return f"{100 * value:.1f}{_NO_BREAK}%"


def _area(value: float) -> str:
    """Square metres in hectares, which all rows of a column have in common."""
    amount = value / 1e4
    digits = 0 if amount >= 1000 else 1 if amount >= 100 else 2
    return f"{amount:,.{digits}f}{_NO_BREAK}ha"


def _size(value: float) -> str:
    """Bytes in a unit that gives few digits."""
    power = min(max(math.floor(math.log10(max(value, 1)) / 3), 0), 4)
    amount = value / 1000**power
    return f"{amount:.{0 if power == 0 or amount >= 100 else 1}f}{_NO_BREAK}{('B', 'kB', 'MB', 'GB', 'TB')[power]}"


#: How a number is shown.
FORMS: dict[str, Callable[[float], str]] = {
    "whole": _grouped,
    "percent": _percent,
    "signed percent": lambda value: _percent(value).replace("-", "\N{MINUS SIGN}"),
    "bare percent": lambda value: f"{100 * value:.1f}",
    "decimal": lambda value: f"{value:.3f}",
    "value": lambda value: f"{value:.4g}",
    "area": _area,
    "size": _size,
}


def _with_flags(text: str) -> Markup:
    """A message of the library with its options as code."""

    def shown(name: str, value: str | None) -> str:
        return f"<code>{escape(as_flag(name, value))}</code>"

    return Markup(rewritten(text, shown, escape))  # noqa: S704  each part is escaped
