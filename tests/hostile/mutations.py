"""Runs commands on files that were spoilt by chance, with fixed seeds, and counts how they end.

python -m tests.hostile.mutations [KIND [FIRST [LAST]]] lists what went wrong, with the folders kept.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from tests.hostile.cases import KINDS
from tests.hostile.server import Server
from tests.hostile.world import World, make_world

if TYPE_CHECKING:
    from collections.abc import Iterable

#: How many of each kind make the thousand.
THOUSAND = {"raster": 300, "vector": 300, "model": 150, "project": 100, "work": 150}


@dataclass
class Counts:
    """How commands ended.

    Attributes:
        answers: right answers.
        sentences: one sentence that says what is wrong with the file.
        wrong: anything else: the case, and what is wrong.
        seconds, memory: the most that a case took, of processor time and in bytes.
    """

    answers: int = 0
    sentences: int = 0
    wrong: dict[str, str] = field(default_factory=dict)
    seconds: float = 0
    memory: int = 0


def run_mutations(kind: str, seeds: Iterable[int], *, world: World, server: Server, keep: Path | None = None) -> Counts:
    """Spoil a file for each seed, and run a command on it.

    Args:
        kind: a key of `KINDS`.
        seeds: a case each.
        world: the sound files.
        server: runs the commands.
        keep: folder for the files of the cases that went wrong.
    """
    counts = Counts()
    for seed in seeds:
        name = f"{kind} {seed}"
        with tempfile.TemporaryDirectory() as folder:
            outcome, wrong = KINDS[kind](world, server, Random(name), Path(folder))  # noqa: S311
            counts.seconds, counts.memory = max(counts.seconds, outcome.seconds), max(counts.memory, outcome.memory)
            if wrong is not None:
                counts.wrong[name] = f"{wrong}\n{outcome.stderr}"[:3000]
                if keep is not None:
                    shutil.copytree(folder, keep / name.replace(" ", "-"), dirs_exist_ok=True)
            elif outcome.code:
                counts.sentences += 1
            else:
                counts.answers += 1
    return counts


def main(arguments: list[str]) -> None:
    """List what goes wrong."""
    kinds = arguments[:1] or list(THOUSAND)
    keep = Path(tempfile.mkdtemp(prefix="hostile-"))
    with Server() as server:
        world = make_world(keep / "world")
        for kind in kinds:
            numbers = [int(part) for part in arguments[1:3]]
            first, last = (numbers + [0, THOUSAND[kind] - 1][len(numbers) :]) if len(numbers) != 1 else numbers * 2
            counts = run_mutations(kind, range(first, last + 1), world=world, server=server, keep=keep)
            for name, wrong in counts.wrong.items():
                print("==", name, wrong)  # noqa: T201
            print(kind, counts.answers, counts.sentences, len(counts.wrong), f"{counts.seconds:.1f} s",  # noqa: T201
                  f"{counts.memory >> 20} MiB", keep)  # fmt: skip
            print(Counter(text.split("\n")[0][:60] for text in counts.wrong.values()))  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1:])
