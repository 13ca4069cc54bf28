"""Whether a command that was given a spoilt file ended as it should."""

from __future__ import annotations

import signal
import unicodedata
from typing import TYPE_CHECKING

from tests.hostile.server import MEMORY, SECONDS

if TYPE_CHECKING:
    from tests.hostile.server import Outcome

#: How lines on stderr may begin besides the one with the error: lists are indented.
_NOTICES = ("warning: ", "Usage: ", "Try 's2fin ", "  ")
#: Characters of a message that a person would read.
LONGEST = 1500


def what_is_wrong(outcome: Outcome) -> str | None:
    """What is wrong with an outcome, whatever was spoilt; None if nothing is.

    A command may end with an answer, or with one sentence that says what is wrong, which holds nothing that a terminal
    would take for a command.
    """
    if outcome.code < 0:
        return f"ended by {signal.Signals(-outcome.code).name}"
    lines = [line for line in outcome.stderr.splitlines() if line and not line.startswith(_NOTICES)]
    is_sentence = len(lines) == 1 and lines[0].lower().startswith("error: ") and len(lines[0]) <= LONGEST
    wrong = {
        f"took {outcome.seconds:.1f} s": outcome.seconds > SECONDS,
        f"took {outcome.memory >> 20} MiB": outcome.memory > MEMORY,
        "has a traceback": "Traceback" in outcome.stderr,
        "prints control characters": _has_control(outcome.stderr + outcome.stdout),
        "is unexpected": any(line.startswith("error: unexpected ") for line in lines),
        f"has the exit code {outcome.code}": outcome.code not in (0, 1, 2),
        f"says besides its answer: {lines}": outcome.code == 0 and bool(lines),
        f"says {len(lines)} lines, not one sentence": outcome.code != 0 and not is_sentence,
    }
    return next((what for what, is_so in wrong.items() if is_so), None)


def _has_control(text: str) -> bool:
    return any(unicodedata.category(character) == "Cc" and character not in "\n\t" for character in text)
