"""Runs that meet faults and damaged files, with fixed seeds, and the tables of docs/reliability.md.

python -m benchmarks.reliability [--only WORDS ...] [--share 0.1]

The faults are those of tests/faults, and the damaged files those of tests/hostile. Results are kept in
benchmarks/results/reliability.json, one entry for each fault and kind of file, and the tables are made of all of them.
`--only` tries what has one of some words in its name, and leaves the results of the others. `--share` tries each less
often, and `--quick` a tenth as often without keeping the results. Disks are mounted, which needs root; without it those
faults are left out. All of it takes about half an hour on two idle cores.
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
from tests.hostile.mutations import THOUSAND, run_mutations
from tests.hostile.server import Server
from tests.hostile.world import make_world
from tests.recipes import SMALL
from tests.scenes import tiny_options, write_scene

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.setting import Setting

PAGE = Path(__file__).parents[1] / "docs" / "reliability.md"
RESULTS = Path(__file__).parent / "results" / "reliability.json"
#: Between two such lines of the page, for faults and for files, is what this script writes.
MARKER = "<!-- {what} {end} -->"
HEADER = ["Fault", "Runs", "Same map in the end", "Losses", "Wrong files"]
#: What is counted of each fault.
COUNTS = ("runs", "identical", "lost", "wrong")
FILES_HEADER = ["Damaged files", "Cases", "Right answer", "One sentence", "Anything else", "Longest, s", "Memory, MiB"]
#: What is counted of each kind of file.
FILES_COUNTS = ("cases", "answers", "sentences", "wrong")


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


def try_files(kind: str, folder: Path, count: int) -> dict[str, Any]:
    """Run commands on damaged files of a kind, and print what went wrong; gives what is kept."""
    with Server() as server:
        world = make_world(folder / f"world-{kind}")
        counts = run_mutations(kind, range(count), world=world, server=server)
    for name, wrong in counts.wrong.items():
        print(name, wrong, file=sys.stderr, flush=True)
    found = {"cases": count, "answers": counts.answers, "sentences": counts.sentences, "wrong": len(counts.wrong)}
    print(f"{kind}: {found}", file=sys.stderr, flush=True)
    return {**found, "seconds": round(counts.seconds, 1), "memory": counts.memory >> 20, "made": made_by()}


def page_with(text: str, results: dict[str, dict[str, Any]]) -> str:
    """A page's text with tables of results, in the order of the faults and of the kinds of files."""
    faults = {fault.name: results[fault.name] for fault in FAULTS if fault.name in results}
    rows = [[name, *(str(result[count]) for count in COUNTS)] for name, result in faults.items()]
    rows.append(["**all**", *_sums(faults, COUNTS)])
    files = {kind: results[kind] for kind in THOUSAND if kind in results}
    shown = (*FILES_COUNTS, "seconds", "memory")
    kinds = [[kind, *(str(result[count]) for count in shown)] for kind, result in files.items()]
    kinds.append(["**all**", *_sums(files, FILES_COUNTS), "", ""])
    text = _replaced(text, "faults", table(HEADER, rows) + _made(faults))
    return _replaced(text, "files", table(FILES_HEADER, kinds) + _made(files))


def _sums(results: dict[str, dict[str, Any]], counts: tuple[str, ...]) -> list[str]:
    return [f"**{sum(result[count] for result in results.values())}**" for count in counts]


def _made(results: dict[str, dict[str, Any]]) -> str:
    made = "; ".join(dict.fromkeys(result["made"] for result in results.values()))
    return f"\nMade by `python -m benchmarks.reliability`: {made}.\n"


def _replaced(text: str, what: str, new: str) -> str:
    """A text with something else between two markers."""
    begin, end = (MARKER.format(what=what, end=word) for word in ("begin", "end"))
    before, _, rest = text.partition(begin)
    return f"{before}{begin}\n\n{new}\n{end}{rest.partition(end)[2]}"


def try_all(words: list[str], share: float, folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Try faults and damaged files whose names contain one of some words.

    Yields:
        the name, and what is kept.
    """
    setting, mounts = make_scene(folder), can_mount(folder)
    for fault in FAULTS:
        if any(part in fault.name for part in words) and (mounts or not fault.mounts):
            yield fault.name, try_fault(fault, setting, folder, math.ceil(fault.runs * share))
    for kind, count in THOUSAND.items():
        if any(part in kind for part in words):
            yield kind, try_files(kind, folder, math.ceil(count * share))


def main() -> None:
    """Try the faults and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", default=[""], metavar="WORDS", help="what has one of these in its name")
    parser.add_argument("--share", type=float, default=1.0, help="part of the usual number of runs, 0 to 1")
    parser.add_argument("--quick", action="store_true", help="a tenth of the runs; nothing is kept")
    arguments = parser.parse_args()
    logging.getLogger("s2fin_cli").setLevel(logging.ERROR)
    results = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    is_good = True
    with tempfile.TemporaryDirectory() as name:
        for what, result in try_all(arguments.only, 0.1 if arguments.quick else arguments.share, Path(name)):
            is_good &= not result["wrong"] + result.get("lost", 0) and result.get("identical") == result.get("runs")
            results[what] = result
            if not arguments.quick:
                RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
                PAGE.write_text(page_with(PAGE.read_text(encoding="utf-8"), results), encoding="utf-8")
    sys.exit(not is_good)


if __name__ == "__main__":
    main()
