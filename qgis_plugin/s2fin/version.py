"""Asks a program for its version, and whether the plugin can run it. Needs no QGIS."""

from __future__ import annotations

import re
import tempfile
import time
from typing import TYPE_CHECKING

from .executable import CHOOSE, INSTALL, NotFoundError, clean_environment
from .process import CancelledError, RunError, StartError, run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .executable import Place

#: Seconds that a program has to report its version; the first start after an installation is slow.
PATIENCE = 120
#: Letters of what a program says that an error repeats.
_MOST = 200


def check_version(program: Path, wanted: str, place: Place, is_cancelled: Callable[[], bool] = bool) -> str | None:
    """Whether a program is an s2fin that the plugin can run.

    Args:
        program: the program.
        wanted: the version that the plugin was made for.
        place: this machine.
        is_cancelled: whether nobody waits for the answer any more.

    Returns:
        a warning where it is newer, else None.

    Raises:
        NotFoundError: it is no s2fin, or too old, or too new.
        CancelledError: nobody waits for the answer any more.
    """
    found = _version(program, place, is_cancelled)
    (major, minor), (wanted_major, wanted_minor) = _numbers(found), _numbers(wanted)
    if (major, minor) < (wanted_major, wanted_minor):
        raise NotFoundError(
            f"{program} is s2fin {found}, and this plugin needs {wanted_major}.{wanted_minor}: update it by “uv tool "
            "upgrade s2fin” or “pipx upgrade s2fin” in a terminal"
        )
    if major > wanted_major:
        raise NotFoundError(
            f"{program} is s2fin {found}, and this plugin was made for {wanted}: update the plugin in Plugins > Manage "
            "and Install Plugins"
        )
    if minor > wanted_minor:
        return f"s2fin is {found}, and this plugin was made for {wanted}: an update of the plugin may have more options"
    return None


class _Asking:
    """Keeps what a program says, and gives up after a while."""

    def __init__(self, is_cancelled: Callable[[], bool]) -> None:
        self.said: list[str] = []
        self._is_cancelled, self._end = is_cancelled, time.monotonic() + PATIENCE

    def isCanceled(self) -> bool:  # noqa: N802  as QGIS has it
        return self._is_cancelled() or time.monotonic() > self._end

    def pushInfo(self, info: str) -> None:  # noqa: N802
        self.said.append(info)

    pushConsoleInfo = pushWarning = setProgressText = pushInfo  # noqa: N815

    def setProgress(self, progress: float) -> None:  # noqa: N802
        pass


def _version(program: Path, place: Place, is_cancelled: Callable[[], bool]) -> str:
    """What a program says that its version is."""
    asking = _Asking(is_cancelled)
    environment = clean_environment(program, place)
    failed = None
    try:
        run(
            [str(program), "--version"],
            environment=environment,
            folder=tempfile.gettempdir(),
            listener=asking,
            grace=0.5,
        )
    except StartError as error:
        raise NotFoundError(f"{error}; {INSTALL}, {CHOOSE}") from error
    except CancelledError as error:
        if is_cancelled():
            raise
        raise NotFoundError(
            f"{program} did not report its version within {PATIENCE} seconds; run it in a terminal, {CHOOSE}"
        ) from error
    except RunError as error:
        failed = str(error)
    said = re.search(r"(?m)^s2fin, version (\d+\.\d+\S*)\s*$", "\n".join(asking.said))
    if failed is not None or said is None:
        last = next(reversed(asking.said), failed or "it says nothing")
        raise NotFoundError(f"{program} does not work as s2fin ({last[:_MOST]}); install it again, {CHOOSE}")
    return said[1]


def _numbers(version: str) -> tuple[int, int]:
    major, minor = version.split(".")[:2]
    return int(major), int(re.sub(r"\D.*", "", minor) or 0)
