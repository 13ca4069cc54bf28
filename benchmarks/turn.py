"""How long a turn of label, train, look takes: both commands alone, beside busy processes, and of another checkout.

python benchmarks/turn.py [--scenes olinda,amazon_s2_dem,charente_s2_s1] [--busy 0,1,2] [--against FOLDER]

Each command is a process of its own, its start included. `--against` names a checkout of another commit, which is run
with the same Python and libraries after this one, scene by scene. Nothing else should work on the machine.
"""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from commands import s2fin_cost
from scenes import DATA
from summary import table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from commands import Cost

OLINDA = Path(__file__).resolve().parent.parent / "examples" / "olinda"
#: Images by option, and labels with their field if it has to be named.
SCENES: dict[str, tuple[dict[str, Path], Path, str | None]] = {
    "olinda": (
        {"msi": OLINDA / "L7_ETMs.tif", "dsm": OLINDA / "olinda_dem_utm25s.tif"},
        OLINDA / "training.shp",
        None,
    ),
    "amazon_s2_dem": (
        {"msi": DATA / "amazon_s2_dem/sen2_12b.tif", "dsm": DATA / "amazon_s2_dem/srtm_sen2.tif"},
        DATA / "amazon_s2_dem/train_sen2.gpkg",
        "class",
    ),
    "charente_s2_s1": (
        {"msi": DATA / "charente_s2_s1/s2_before_after.tif", "sar": DATA / "charente_s2_s1/s1_vv_before_after.tif"},
        DATA / "charente_s2_s1/flood.tif",
        None,
    ),
}


@dataclass(frozen=True)
class Turn:
    """The cost of training and classification."""

    train: Cost
    classify: Cost


def measure(name: str, folder: Path, checkout: Path | None = None) -> Turn:
    """Train on a scene and classify it, files written to a folder."""
    images, labels, field = SCENES[name]
    given = [part for option, path in images.items() for part in (f"--{option}", path)]
    how = ["-q", "--overwrite", "--device", "cpu"]
    model, named = folder / "model.s2fin", ([] if field is None else ["--label-field", field])
    train = s2fin_cost("train", *how, *given, "--labels", labels, *named, "-o", model, checkout=checkout)
    classify = s2fin_cost("classify", *how, *given, "-m", model, "-o", folder / "map.tif", checkout=checkout)
    return Turn(train, classify)


@contextlib.contextmanager
def busy(count: int) -> Iterator[None]:
    """A number of other processes that compute all the time."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", default=",".join(SCENES), help=f"any of {', '.join(SCENES)}")
    parser.add_argument("--busy", default="0,1,2", help="other processes that compute all the time, alone first")
    parser.add_argument("--against", type=Path, help="a checkout of another commit")
    arguments = parser.parse_args()
    rows = []
    for name in arguments.scenes.split(","):
        turns = {}
        with tempfile.TemporaryDirectory() as folder:
            for count in map(int, arguments.busy.split(",")):
                with busy(count):
                    turns["alone" if count == 0 else f"beside {count}"] = measure(name, Path(folder))
            if arguments.against is not None:
                turns["the other checkout"] = measure(name, Path(folder), arguments.against.resolve())
        for command in ("train", "classify"):
            costs: dict[str, Cost] = {label: getattr(turn, command) for label, turn in turns.items()}
            first = next(iter(costs.values()))
            for label, cost in costs.items():
                times = f"{cost.seconds / first.seconds:.2f}", f"{cost.cpu_seconds / first.cpu_seconds:.2f}"
                rows.append(
                    [name, command, label, f"{cost.seconds:.1f}", times[0], f"{cost.cpu_seconds:.1f}", times[1],
                     f"{cost.rss_mb:.0f}"]
                )  # fmt: skip
    print(table(["Scene", "Command", "How", "s", "times", "CPU s", "times", "peak memory, MB"], rows))


if __name__ == "__main__":
    main()
