"""s2fin as a program of its own whose training is quick, for QGIS to run."""

from __future__ import annotations

import functools
import os
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
#: Names a folder, in which each process leaves a file named by its number.
NOTED = "S2FIN_TEST_PROCESSES"
_PROGRAM = """#!{python}
import sys
sys.path[:0] = [{root!r}, {models!r}]
from tests.qgis.quick import main
main()
"""


def write_program(folder: Path) -> Path:
    """A file that is s2fin with the recipe of tests."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "s2fin"
    path.write_text(_PROGRAM.format(python=sys.executable, root=str(ROOT), models=str(ROOT / "models")))
    path.chmod(0o755)
    return path


def main() -> None:
    """Run s2fin."""
    from s2fin_cli.cli.main import cli
    from s2fin_cli.cli.main import main as run

    if folder := os.environ.get(NOTED):
        (Path(folder) / str(os.getpid())).touch()
    if "train" not in sys.argv:  # a version, or a command that takes no recipe
        run()
        return
    from tests.recipes import QUICK

    run(functools.partial(cli, obj=QUICK))
