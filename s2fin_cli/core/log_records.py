"""Changes of s2fin's log records, whoever listens to them."""

from __future__ import annotations

import contextlib
import logging
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Change = Callable[[logging.LogRecord, str], str]

#: The changes in force, of all threads, and what makes records without them.
_changes: list[Change] = []
_make = logging.getLogRecordFactory()
_changing = threading.Lock()


@contextlib.contextmanager
def changed_records(change: Change) -> Iterator[None]:
    """Change the messages of s2fin's log records while the block runs; blocks of several threads may overlap.

    Filters of loggers do not see the records of loggers below them, and handlers are the application's, so records are
    changed where they are made. Nothing is left of it when no block runs any more.

    Args:
        change: gives the new message of a record and its old one, in the thread that logs.
    """
    global _make  # noqa: PLW0603
    with _changing:
        if not _changes:
            _make = logging.getLogRecordFactory()
            logging.setLogRecordFactory(_make_changed)
        _changes.append(change)
    try:
        yield
    finally:
        with _changing:
            _changes.remove(change)
            if not _changes and logging.getLogRecordFactory() is _make_changed:
                logging.setLogRecordFactory(_make)


def _make_changed(*args: Any, **kwargs: Any) -> logging.LogRecord:
    record = _make(*args, **kwargs)
    if record.name.startswith("s2fin_cli"):
        message = text = record.getMessage()
        for change in tuple(_changes):
            text = change(record, text)
        if text != message:
            record.msg, record.args = text, None
    return record
