"""Runs that meet every fault, with fixed seeds, and the table of what became of them in docs/reliability.md.

python -m benchmarks.reliability [--quick] [--only WORDS]

The faults are those of tests/faults. `--quick` tries each a tenth as often, and `--only` those whose names contain some
words; both print the table and leave the page as it is. Disks are mounted, which needs root; without it those faults
are left out and named. On two idle cores it takes about 20 minutes.
"""

from __future__ import annotations

import argparse
import logging
import platform
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import torch

sys.path.insert(0, str(Path(__file__).parent))  # for the other benchmarks, which are scripts

from s2fin_cli.core.version import __version__
from s2fin_cli.workflows.train import run as run_train
from summary import table
from tests.faults.disks import can_mount
from tests.faults.setting import GOOD, Outcome, make_setting
from tests.faults.table import FAULTS, Fault, meet
from tests.recipes import SMALL
from tests.scenes import tiny_options, write_scene

if TYPE_CHECKING:
    from tests.faults.setting import Setting

PAGE = Path(__file__).parents[1] / "docs" / "reliability.md"
#: Between these lines of the page is what this script writes.
BEGIN, END = "<!-- the table begins -->", "<!-- the table ends -->"
HEADER = ["Fault", "Runs", "Identical map in the end", "Losses", "Wrong files"]


@dataclass
class Row:
    """What became of the runs that met a fault."""

    fault: Fault
    outcomes: list[Outcome]

    def cells(self) -> list[str]:
        """The cells of the table."""
        identical, lost, wrong = (
            sum(getattr(outcome, name) for outcome in self.outcomes) for name in ("identical", "lost", "wrong")
        )
        return [self.fault.name, str(len(self.outcomes)), str(identical), str(lost), str(wrong)]


def make_scene(folder: Path) -> Setting:
    """A small scene, a model trained on it, and the maps to compare with."""
    torch.set_num_threads(1)
    scene = write_scene(folder / "scene")
    run_train(tiny_options(scene, folder / "tiny.s2fin"), recipe=SMALL)
    return make_setting(folder, scene, folder / "tiny.s2fin")


def try_fault(fault: Fault, setting: Setting, folder: Path, runs: int) -> Row:
    """Let runs meet a fault, and print those of which something is to be said."""
    start, row = time.monotonic(), Row(fault, [])
    for number in range(runs):
        outcome = meet(fault, setting, folder, number, runs)
        row.outcomes.append(outcome)
        if outcome != GOOD:
            print(f"{fault.name}, run {number}: {outcome}", file=sys.stderr, flush=True)
    seconds = time.monotonic() - start
    print(f"{' | '.join(row.cells())} | {seconds / runs:.1f} s a run", file=sys.stderr, flush=True)
    return row


def page_with(text: str, rows: list[Row], left_out: list[str]) -> str:
    """A page's text with another table."""
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    processor = next(
        (line.partition(":")[2].strip() for line in _cpu_info() if line.startswith("model name")), platform.machine()
    )
    total = [sum(len(row.outcomes) for row in rows), *(sum(int(row.cells()[n]) for row in rows) for n in (2, 3, 4))]
    cells = [*(row.cells() for row in rows), ["**all**", *(f"**{number}**" for number in total)]]
    made = (
        f"Made by `python -m benchmarks.reliability` on {datetime.now(UTC):%Y-%m-%d} with s2fin {__version__}, torch "
        f"{torch.__version__} and {platform.system()} on {processor}."
    )
    without = f"\n\nLeft out, as they need root: {', '.join(left_out)}." if left_out else ""
    return f"{before}{BEGIN}\n\n{made}{without}\n\n{table(HEADER, cells)}\n\n{END}{after}"


def _cpu_info() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def main() -> None:
    """Try the faults and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of the runs; the page stays as it is")
    parser.add_argument("--only", default="", help="faults whose names contain these words; the page stays as it is")
    arguments = parser.parse_args()
    logging.getLogger("s2fin_cli").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        setting, mounts = make_scene(folder), can_mount(folder)
        chosen = [fault for fault in FAULTS if arguments.only in fault.name]
        rows = [
            try_fault(fault, setting, folder, -(-fault.runs // 10) if arguments.quick else fault.runs)
            for fault in chosen
            if mounts or not fault.mounts
        ]
    left_out = [fault.name for fault in chosen if fault.mounts and not mounts]
    text = PAGE.read_text(encoding="utf-8")
    new = page_with(text, rows, left_out)
    if arguments.quick or arguments.only:
        print(new.partition(BEGIN)[2].partition(END)[0].strip())
    else:
        PAGE.write_text(new, encoding="utf-8")
    sys.exit(any(outcome != GOOD for row in rows for outcome in row.outcomes))


if __name__ == "__main__":
    main()
