"""Messages about one of many things that a run works on begin with its name."""

from __future__ import annotations

import contextlib
import logging
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

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
    make = logging.getLogRecordFactory()

    def make_captioned(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record, caption = make(*args, **kwargs), _current.get()
        if caption is not None and record.name.startswith("s2fin_cli"):
            message = record.getMessage()
            if record.levelno >= logging.WARNING:
                caption.warnings.append(message)
            record.msg, record.args = f"{caption.name}: {message}", None
        return record

    logging.setLogRecordFactory(make_captioned)
    try:
        yield
    finally:
        logging.setLogRecordFactory(make)


@contextlib.contextmanager
def captioned(caption: Caption) -> Iterator[None]:
    """Let messages of this thread begin with a name while the block runs."""
    token = _current.set(caption)
    try:
        yield
    finally:
        _current.reset(token)
