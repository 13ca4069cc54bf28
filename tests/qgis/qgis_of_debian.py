"""QGIS as Debian installs it: how tests run its Python and `qgis_process`, with a profile of their own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: The Python of the system, which Debian's QGIS belongs to, and not that of a virtual environment.
PYTHON = shutil.which("python3", path=os.defpath)
#: Debian's `qgis_process` is a script that gives an option which the program itself refuses.
PROCESS = next((path for path in ("/usr/bin/qgis_process.bin", "/usr/bin/qgis_process") if os.path.exists(path)), None)
#: Whether a missing QGIS is a failure, which `.ci/run` says where it found one.
IS_NEEDED = "S2FIN_NEEDS_QGIS" in os.environ
#: A file in the profile that says that the plugin is enabled there.
_ENABLED = "s2fin-is-enabled"
ROOT = Path(__file__).parents[2]
PLUGINS = ROOT / "qgis_plugin"


def is_there() -> bool:
    """Whether there is a QGIS that can be run."""
    if PYTHON is None or PROCESS is None:
        return False
    command = [PYTHON, "-c", "import qgis.core"]
    return subprocess.run(command, env=plain_environment(Path("/")), capture_output=True, check=False).returncode == 0


def plain_environment(home: Path) -> dict[str, str]:
    """Variables that QGIS needs to run without a window and with a profile in a folder."""
    return {
        "PATH": os.defpath, "HOME": str(home), "XDG_RUNTIME_DIR": str(home), "LANG": "C.UTF-8",
        "QT_QPA_PLATFORM": "offscreen", "OMP_NUM_THREADS": "1",
    }  # fmt: skip


@dataclass(frozen=True)
class Qgis:
    """QGIS with a profile in the folder `home`."""

    home: Path

    @property
    def environment(self) -> dict[str, str]:
        """Variables of a process of QGIS with the plugin."""
        return {**plain_environment(self.home), "QGIS_PLUGINPATH": str(PLUGINS)}

    def process(self, *arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
        """A run of `qgis_process` with the plugin."""
        if not (self.home / _ENABLED).exists():
            self._run([str(PROCESS), "plugins", "enable", "s2fin"], {})
            (self.home / _ENABLED).touch()
        return self._run([str(PROCESS), *map(str, arguments)], variables)

    def script(self, name: str, *arguments: object, **variables: str) -> Any:
        """What a script of `tests/qgis/inside` answers."""
        done = self._run([str(PYTHON), "-m", f"tests.qgis.inside.{name}", *map(str, arguments)], variables)
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    def _run(self, command: list[str], variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, env={**self.environment, **variables}, cwd=ROOT, capture_output=True, text=True, check=False,
            timeout=240,
        )  # fmt: skip
