"""The options that print a shell's script, and write it to the file where the shell looks for such scripts."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from s2fin_cli.cli.completion.shells import SHELLS, script
from s2fin_cli.core.errors import OutputError, quoted
from s2fin_cli.core.files import staged

if TYPE_CHECKING:
    from collections.abc import Callable

    Command = Callable[..., Any]

_SHOW = "--show-completion"
#: Words in the first lines of each script, by which a file is known as ours.
_OURS = "Completion of s2fin for"


def completion_options(command: Command) -> Command:
    """--install-completion and --show-completion."""
    for name, callback, text in (
        (_SHOW, _show, "Print the completion script of a shell:"),
        ("--install-completion", _install, "Install completion with the tab key in a shell:"),
    ):
        command = click.option(
            name,
            metavar="[SHELL]",
            is_flag=False,
            flag_value="",
            is_eager=True,
            expose_value=False,
            callback=callback,
            shell_complete=_shells,
            help=f"{text} {', '.join(SHELLS[:-1])} or {SHELLS[-1]}.  [default: what $SHELL names]",
        )(command)
    return command


def _show(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    if value is not None and not ctx.resilient_parsing:
        click.echo(script(_shell(value)), nl=False)
        ctx.exit()


def _install(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    if value is not None and not ctx.resilient_parsing:
        shell = _shell(value)
        path = completion_file(shell)
        write_script(shell, path)
        click.echo(f"written: {path}\n{_next_step(shell, path)}\nTo undo this, delete that file.")
        ctx.exit()


def _shells(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """The shells to choose from."""
    return [shell for shell in SHELLS if shell.startswith(incomplete)]


def _shell(value: str) -> str:
    """The shell that is meant, that of `$SHELL` if none is named.

    Raises:
        click.UsageError: there is no script for it.
    """
    login = os.environ.get("SHELL", "")
    name = value or Path(login).name
    if name not in SHELLS:
        missing = "$SHELL is not set" if not name else f"there is no completion for {value or login!r}"
        raise click.UsageError(f"{missing}; name one of {', '.join(SHELLS)}")
    return name


def completion_file(shell: str) -> Path:
    """Where a shell looks for the user's own completion scripts, as its variables say."""
    home = Path.home()
    if shell == "bash":
        data = Path(os.environ.get("XDG_DATA_HOME") or home / ".local" / "share")
        folders = os.environ.get("BASH_COMPLETION_USER_DIR", "").split(":")
        return Path(folders[0] or data / "bash-completion") / "completions" / "s2fin"
    if shell == "zsh":
        return Path(os.environ.get("ZDOTDIR") or home) / ".zfunc" / "_s2fin"
    config = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    return config / "fish" / "completions" / "s2fin.fish"


def write_script(shell: str, path: Path) -> None:
    """Write a shell's script, and the folders above it.

    Raises:
        OutputError: it cannot be written, or a file of somebody else's is there.
    """
    path = path.resolve()  # a link stays one, as those who keep such files elsewhere have it
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        is_free = not path.exists() or _OURS in path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise OutputError(
            f"{path} cannot be written ({error.strerror}); write the script where you can: s2fin {_SHOW} {shell} > FILE"
        ) from error
    if not is_free:
        raise OutputError(f"{path} is there already and was not written by s2fin; move it away first")
    with staged([path], overwrite=True) as (temporary,):
        temporary.write_text(script(shell), encoding="utf-8")


def _next_step(shell: str, path: Path) -> str:
    """What the user has to do for the shell to read a script."""
    if shell == "bash":
        return (
            "Open a new terminal. If nothing is completed there, the package bash-completion is missing; install it, "
            f"or add this line to ~/.bashrc:\n  source {quoted(path)}"
        )
    if shell == "zsh":
        return (
            f"If {path.parent.parent / '.zshrc'} does not have these lines, add them before any other with compinit; "
            f"then open a new terminal:\n  fpath=({quoted(path.parent)} $fpath)\n  autoload -Uz compinit && compinit"
        )
    return "Open a new terminal."
