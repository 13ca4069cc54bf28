"""Messages about one of many things that a run works on begin with its name."""

from __future__ import annotations

import contextlib
import logging
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from s2fin_cli.core.log_records import changed_records

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Caption:
    """A name that messages get.

    Attributes:
        name: the name.
        warnings: the warnings so far, without the name.
    """

    name: str
    warnings: list[str] = field(default_factory=list)


_current: ContextVar[Caption | None] = ContextVar("caption", default=None)


@contextlib.contextmanager
def captions() -> Iterator[None]:
    """Give messages of s2fin the names that `captioned` sets, while the block runs."""
    with changed_records(_with_name):
        yield


def _with_name(record: logging.LogRecord, message: str) -> str:
    """A message with the name of the thing that this thread works on; warnings are kept."""
    if (caption := _current.get()) is None:
        return message
    if record.levelno >= logging.WARNING:
        caption.warnings.append(message)
    return f"{caption.name}: {message}"


@contextlib.contextmanager
def captioned(caption: Caption) -> Iterator[None]:
    """Let messages of this thread begin with a name while the block runs."""
    token = _current.set(caption)
    try:
        yield
    finally:
        _current.reset(token)
