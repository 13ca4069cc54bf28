"""Report files: the form follows from the suffix."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from s2fin_cli.core.errors import UsageError
from s2fin_cli.core.files import staged
from s2fin_cli.core.formats import listed
from s2fin_cli.reporting import change_forms
from s2fin_cli.reporting.csv_form import to_csv
from s2fin_cli.reporting.map_report import MapReport
from s2fin_cli.reporting.markdown_form import to_markdown
from s2fin_cli.reporting.page import to_html

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from s2fin_cli.core.options import StrPath
    from s2fin_cli.reporting.change_report import ChangeReport


def write_report(report: MapReport | ChangeReport, dst_path: StrPath) -> None:
    """Write a report in the form of the suffix; only a complete file replaces an existing one.

    Args:
        report: what to write.
        dst_path: the file to write, in an existing folder.

    Raises:
        UsageError: no form has this suffix.
        OutputError: the file cannot be written.
    """
    dst = Path(dst_path)
    forms: Mapping[str, Callable[[Any], str]] = FORMS if isinstance(report, MapReport) else CHANGE_FORMS
    check_suffix(dst, forms)
    text = forms[dst.suffix.lower()](report)
    with staged([dst], overwrite=True) as (tmp_path,):
        # NOTE: names from a table in a wrong encoding may hold lone surrogates, which UTF-8 cannot carry.
        tmp_path.write_bytes(text.encode("utf-8", errors="backslashreplace"))


def check_suffix(dst_path: Path, forms: Iterable[str] | None = None) -> None:
    """Refuse a report whose suffix no form has.

    Args:
        dst_path: the report.
        forms: the suffixes of the forms; None for those of the report on a map.

    Raises:
        UsageError: the suffix is none of them.
    """
    suffix, known = dst_path.suffix, tuple(FORMS if forms is None else forms)
    if suffix.lower() not in known:
        found = f"the suffix {suffix!r}" if suffix else "no suffix"
        raise UsageError(f"{dst_path} has {found}; the name of a report ends in {listed(known)}")


def _to_json(report: MapReport | ChangeReport) -> str:
    return json.dumps(report.to_dict(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


#: The forms of a report on a map by suffix.
FORMS: dict[str, Callable[[MapReport], str]] = {
    ".html": to_html,
    ".json": _to_json,
    ".csv": to_csv,
    ".md": to_markdown,
}
#: The forms of a report on changes by suffix.
CHANGE_FORMS: dict[str, Callable[[ChangeReport], str]] = {
    ".json": _to_json,
    ".csv": change_forms.to_csv,
    ".md": change_forms.to_markdown,
}
