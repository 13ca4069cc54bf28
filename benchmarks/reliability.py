"""Runs that meet every fault, with fixed seeds, and the table of what became of them in docs/reliability.md.

python -m benchmarks.reliability [--only WORDS ...] [--share 0.1]

The faults are those of tests/faults. Results are kept in benchmarks/results/reliability.json, one entry for each fault,
and the table is made of all of them. `--only` tries the faults whose names contain one of some words, and leaves the
results of the others. `--share` tries each fault less often, and `--quick` a tenth as often without keeping the
results. Disks are mounted, which needs root; without it those faults are left out. All of it takes about 20 minutes on
two idle cores.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import platform
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
RESULTS = Path(__file__).parent / "results" / "reliability.json"
#: Between these lines of the page is what this script writes.
BEGIN, END = "<!-- the table begins -->", "<!-- the table ends -->"
HEADER = ["Fault", "Runs", "Same map in the end", "Losses", "Wrong files"]
#: What is counted of each fault.
COUNTS = ("runs", "identical", "lost", "wrong")


def make_scene(folder: Path) -> Setting:
    """A small scene, a model trained on it, and the maps to compare with."""
    torch.set_num_threads(1)
    scene = write_scene(folder / "scene")
    run_train(tiny_options(scene, folder / "tiny.s2fin"), recipe=SMALL)
    return make_setting(folder, scene, folder / "tiny.s2fin")


def try_fault(fault: Fault, setting: Setting, folder: Path, runs: int) -> dict[str, Any]:
    """Let runs meet a fault, and print those of which something is to be said; gives what is kept."""
    start, outcomes = time.monotonic(), list[Outcome]()
    for number in range(runs):
        outcome = meet(fault, setting, folder, number, runs)
        outcomes.append(outcome)
        if outcome != GOOD:
            print(f"{fault.name}, run {number}: {outcome}", file=sys.stderr, flush=True)
    counts = {name: sum(getattr(outcome, name) for outcome in outcomes) for name in COUNTS[1:]}
    seconds = (time.monotonic() - start) / runs
    print(f"{fault.name}: {runs} runs, {counts}, {seconds:.1f} s each", file=sys.stderr, flush=True)
    return {"runs": runs, **counts, "made": made_by()}


def made_by() -> str:
    """Day, versions and machine, for the page."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    processor = names[0] if names else platform.machine()
    return (
        f"{datetime.now(UTC):%Y-%m-%d} with s2fin {__version__}, torch {torch.__version__}, Python "
        f"{platform.python_version()} and {platform.system()} on {processor}"
    )


def page_with(text: str, results: dict[str, dict[str, Any]]) -> str:
    """A page's text with a table of results, in the order of the faults."""
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    found = {fault.name: results[fault.name] for fault in FAULTS if fault.name in results}
    rows = [[name, *(str(result[count]) for count in COUNTS)] for name, result in found.items()]
    rows.append(["**all**", *(f"**{sum(result[count] for result in found.values())}**" for count in COUNTS)])
    made = "; ".join(dict.fromkeys(result["made"] for result in found.values()))
    return (
        f"{before}{BEGIN}\n\n{table(HEADER, rows)}\nMade by `python -m benchmarks.reliability`: {made}.\n\n{END}{after}"
    )


def main() -> None:
    """Try the faults and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", default=[""], metavar="WORDS", help="faults whose names contain them")
    parser.add_argument("--share", type=float, default=1.0, help="part of the usual number of runs, 0 to 1")
    parser.add_argument("--quick", action="store_true", help="a tenth of the runs; nothing is kept")
    arguments = parser.parse_args()
    share = 0.1 if arguments.quick else arguments.share
    logging.getLogger("s2fin_cli").setLevel(logging.ERROR)
    results = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    is_good = True
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        setting, mounts = make_scene(folder), can_mount(folder)
        for fault in FAULTS:
            if not any(words in fault.name for words in arguments.only) or (fault.mounts and not mounts):
                continue
            result = try_fault(fault, setting, folder, math.ceil(fault.runs * share))
            is_good &= result["identical"] == result["runs"] and not result["lost"] + result["wrong"]
            results[fault.name] = result
            if not arguments.quick:
                RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
                PAGE.write_text(page_with(PAGE.read_text(encoding="utf-8"), results), encoding="utf-8")
    sys.exit(not is_good)


if __name__ == "__main__":
    main()
