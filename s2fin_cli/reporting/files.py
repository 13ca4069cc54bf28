"""Report files: the form follows from the suffix."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from s2fin_cli.core.errors import UsageError
from s2fin_cli.core.files import staged
from s2fin_cli.core.formats import listed
from s2fin_cli.reporting.csv_form import to_csv
from s2fin_cli.reporting.markdown_form import to_markdown
from s2fin_cli.reporting.page import to_html

if TYPE_CHECKING:
    from collections.abc import Callable

    from s2fin_cli.core.options import StrPath
    from s2fin_cli.reporting.map_report import MapReport


def write_report(report: MapReport, dst_path: StrPath) -> None:
    """Write a report in the form of the suffix, one of `FORMS`; only a complete file replaces an existing one.

    Args:
        report: what to write.
        dst_path: the file to write, in an existing folder.

    Raises:
        UsageError: no form has this suffix.
        OutputError: the file cannot be written.
    """
    dst = Path(dst_path)
    check_suffix(dst)
    text = FORMS[dst.suffix.lower()](report)
    with staged([dst], overwrite=True) as (tmp_path,):
        # NOTE: names from a table in a wrong encoding may hold lone surrogates, which UTF-8 cannot carry.
        tmp_path.write_bytes(text.encode("utf-8", errors="backslashreplace"))


def check_suffix(dst_path: Path) -> None:
    """Refuse a report whose suffix no form has.

    Raises:
        UsageError: the suffix is none of `FORMS`.
    """
    suffix = dst_path.suffix
    if suffix.lower() not in FORMS:
        found = f"the suffix {suffix!r}" if suffix else "no suffix"
        raise UsageError(f"{dst_path} has {found}; the name of a report ends in {listed(tuple(FORMS))}")


def _to_json(report: MapReport) -> str:
    return json.dumps(report.to_dict(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


#: The forms of a report by suffix.
FORMS: dict[str, Callable[[MapReport], str]] = {
    ".html": to_html,
    ".json": _to_json,
    ".csv": to_csv,
    ".md": to_markdown,
}
