"""The scripts that bash, zsh and fish complete s2fin by, and what these scripts ask s2fin for.

A script passes the line up to the cursor, and gets an item a line: type, value and help, separated by tabs. The classes
here replace click's, whose scripts break file names and class names at blanks, and values at "=" and ":".
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
from importlib.resources import files
from typing import TYPE_CHECKING

from click.shell_completion import (
    BashComplete,
    FishComplete,
    ShellComplete,
    ZshComplete,
    add_completion_class,
    split_arg_string,
)

from s2fin_cli.cli.completion.paths import PATH

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    Item = CompletionItem[str]

#: The shells that there are scripts for.
SHELLS = ("bash", "zsh", "fish")
#: Variables of the scripts: the line up to the cursor, and the characters that bash ends words at.
LINE, BREAKS = "_S2FIN_LINE", "_S2FIN_BREAKS"
#: Characters by which a name would end a line or be a command to the terminal, and bytes of a name that are no text.
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
#: Characters of a help text that are shown beside a value.
_MOST_HELP = 70
#: Ends the last word of a line, so that an empty word is seen.
_END = "\x1f"


def script(shell: str) -> str:
    """The script of a shell."""
    return (files("s2fin_cli.cli.completion") / f"s2fin.{shell}").read_text(encoding="utf-8")


class _Complete(ShellComplete):
    """What the three shells have in common."""

    def source(self) -> str:
        """The script."""
        return script(self.name)

    def get_completion_args(self) -> tuple[list[str], str]:
        """The words before the last one, with "~" and variables replaced, and the last one as it was typed."""
        *words, last = words_of(os.environ.get(LINE, ""))
        return [os.path.expandvars(os.path.expanduser(word)) for word in words[1:]], last

    def complete(self) -> str:
        """The items, a line each; none where anything goes wrong, as nobody reads messages while a line is typed."""
        with contextlib.suppress(Exception):
            args, incomplete = self.get_completion_args()
            items = [item for item in self.get_completions(args, incomplete) if not _UNSEEN.search(item.value)]
            return "\n".join(map(self.format_completion, items))
        return ""

    def get_completions(self, args: list[str], incomplete: str) -> list[Item]:
        """Items for the last word; if it is empty and no value is due, the options where there is nothing else."""
        found = super().get_completions([*args], incomplete)
        is_due = args[-1:] and args[-1].startswith("-")
        return found if found or incomplete or is_due else super().get_completions([*args], "--")

    def format_completion(self, item: Item) -> str:
        """An item as a line."""
        return f"{item.type}\t{self.inserted(item)}\t{_summary(item.help or '')}"

    def inserted(self, item: Item) -> str:
        """A value as the script has to give it to the shell."""
        return item.value


class _Bash(_Complete, BashComplete):
    """Bash replaces only what stands behind the last "=" or ":", and inserts values as they are."""

    def inserted(self, item: Item) -> str:
        """The rest of a value, with a backslash before what bash would read; in paths bash itself adds these."""
        line = os.environ.get(LINE, "")
        if quote := _open_quote(line):
            return item.value if item.type == PATH else _quoted(item.value, quote)
        breaks = set(os.environ.get(BREAKS, "")) & set("=:@")
        typed, option = words_of(line)[-1], _option_of(line)
        cut = max((typed.removeprefix(option).rfind(sign) for sign in breaks), default=-1) + 1
        value = ("" if "=" in breaks else option) + item.value[cut:]
        return value if item.type == PATH else re.sub(r"(^#|[^\w@%+=:,./#-])", r"\\\1", value)


class _Zsh(_Complete, ZshComplete):
    """Zsh quotes values itself."""


class _Fish(_Complete, FishComplete):
    """Fish quotes values itself, and wants "--option=" before them where it was typed."""

    def inserted(self, item: Item) -> str:
        """A value with the option before it."""
        return _option_of(os.environ.get(LINE, "")) + item.value


def words_of(line: str) -> list[str]:
    """The words of a line as a shell reads them; the last one may be empty, or lack its closing quote."""
    words = split_arg_string(line + _END)
    return [*words[:-1], words[-1].removesuffix(_END)]


def _open_quote(line: str) -> str:
    """The quotation mark that a line has not closed; empty where there is none."""
    return next((mark for mark in ("", "'", '"') if _is_complete(f"{line}x{mark}")), "")


def _is_complete(line: str) -> bool:
    try:
        shlex.split(line)
    except ValueError:
        return False
    return True


def _quoted(value: str, quote: str) -> str:
    """A value as it stands between quotation marks."""
    return re.sub(r'(["$`\\])', r"\\\1", value) if quote == '"' else value.replace("'", r"'\''")


def _option_of(line: str) -> str:
    """The beginning "--option=" of the last word of a line; empty where there is none."""
    found = re.match(r"--[\w-]+=", words_of(line)[-1])
    return found[0] if found else ""


def _summary(text: str) -> str:
    """The first sentence of a help text, on one line."""
    first = re.split(r"(?<!e\.g)[.;:] ", " ".join(text.split()), maxsplit=1)[0]
    if len(first) > _MOST_HELP:
        return f"{first[: _MOST_HELP - 3]}..."
    return first if first.endswith("...") else first.rstrip(".")


for _class in (_Bash, _Zsh, _Fish):
    add_completion_class(_class)
