"""Files of a work folder that are spoilt between two runs, and clocks that are off."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from s2fin_cli.shards.folder import WorkFolder
from tests.faults.kills import kill, make, strike
from tests.faults.runs import run
from tests.faults.setting import GOOD, SHARDS, Outcome, check_outputs, difference, go_on, problem, receipts_in, visible
from tests.scenes import make_image
from tests.workflows.sharding import finished
from tests.workflows.test_unreadable import write_spoilt

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from tests.faults.setting import Setting

#: Seconds since 1970 that a clock may show which is off: 1970, 2001, 2100.
TIMES = (0, 1_000_000_000, 4_102_444_800)


def with_shards(setting: Setting, folder: Path) -> dict[str, tuple[int, int]]:
    """Make a folder of finished shards without a map; gives their stamps."""
    shards = setting.new.parent / "shards"
    if not shards.exists():
        shards.mkdir()
        code, errors = run(shards, *setting.classify(*SHARDS, "--shard", "1/1"))
        assert code == 0, errors
    shutil.copytree(shards / "run", folder / "run")
    return finished(folder / "run")


def changed(content: bytes, draw: np.random.Generator) -> bytes:
    """Contents with a bit flipped, a byte changed, or cut."""
    spoilt, place = bytearray(content), int(draw.integers(len(content)))
    match int(draw.integers(4)):
        case 0 | 1:
            spoilt[place] ^= 1 << int(draw.integers(8))
        case 2:
            spoilt[place] = (spoilt[place] + int(draw.integers(1, 256))) % 256
        case 3:
            del spoilt[place:]
    return bytes(spoilt)


def spoil(setting: Setting, folder: Path, draw: np.random.Generator, pattern: str) -> Outcome:
    """Spoil one file; assembling refuses it or makes the right map, and the run goes on."""
    before = with_shards(setting, folder)
    paths = sorted((folder / "run").glob(pattern))
    path = paths[int(draw.integers(len(paths)))]
    path.write_bytes(changed(path.read_bytes(), draw))
    code, errors = run(
        folder, "assemble", "run", "-o", "map.tif", "--confidence", "c.tif", "--probabilities", "p.tif", "--polygons",
        "map.gpkg",
    )  # fmt: skip
    seen = GOOD
    if code not in (0, 1) or "Traceback" in errors or "unexpected" in errors:
        seen = problem(f"exit code {code}: {errors[-500:]}")
    seen += check_outputs(setting, folder)
    sound = {name: stamp for name, stamp in before.items() if path.stem != name.partition(".")[0]}
    return seen + go_on(setting, folder, setting.classify(*SHARDS), sound=sound)


def shard(setting: Setting, folder: Path, at: float, draw: np.random.Generator) -> Outcome:
    """A shard that was truncated, or of which bits were flipped."""
    return spoil(setting, folder, draw, "[0-9]*.tif")


def receipt(setting: Setting, folder: Path, at: float, draw: np.random.Generator) -> Outcome:
    """A receipt that was truncated, or of which bits were flipped."""
    return spoil(setting, folder, draw, "[0-9]*.json")


def plan(setting: Setting, folder: Path, at: float, draw: np.random.Generator) -> Outcome:
    """A plan that was truncated, or of which bits were flipped."""
    return spoil(setting, folder, draw, "plan.json")


def unreadable(setting: Setting, folder: Path, at: float, draw: np.random.Generator) -> Outcome:
    """Storage blocks of an image that cannot be read: the run fails, or maps the rest as if they had no data."""
    image = make_image(setting.scene.truth)
    drawn = draw.integers((1, 0, 0), (6, 4, 5), size=(3, 3)).tolist()
    spoilt = write_spoilt(folder, image, [(band, row, col) for band, row, col in drawn], interleave="band")
    commands = [
        tuple(part.replace(str(setting.scene.hsi), str(path)) for part in setting.classify())
        for path in (spoilt.path, spoilt.mended)
    ]
    places = [folder / name for name in ("fails", "skips", "mended")]
    for place in places:
        place.mkdir()
    code, errors = run(places[0], *commands[0])
    seen = GOOD if code == 1 and not visible(places[0]) and "cannot be read" in errors else problem(errors[-500:])
    for place, command in zip(
        places[1:], ((*commands[0], *map(str, SHARDS), "--on-read-error", "skip"), commands[1]), strict=True
    ):
        code, errors = run(place, *command)
        seen += GOOD if code == 0 else problem(errors[-500:])
    found = difference(places[1], places[2])
    return seen if found is None else seen + problem(found)


def clock(setting: Setting, folder: Path, at: float, draw: np.random.Generator) -> Outcome:
    """A killed run all of whose files, the inputs too, get times that are off, each another one."""
    inputs = folder.with_name(f"{folder.name}-inputs")
    shutil.copytree(setting.scene.folder, inputs)
    places = {str(path): str(inputs / path.name) for path in setting.scene.folder.iterdir()}
    usual = setting.classify(*SHARDS)
    arguments = tuple(places.get(part, part) for part in usual)
    strike(setting, folder, arguments, at, kill, begin=make, timed=usual)
    for path in (*folder.rglob("*"), *inputs.iterdir()):
        time = int(draw.choice(TIMES))
        os.utime(path, (time, time))
    work = WorkFolder(folder / "run")
    sound = receipts_in(work.path) if work.path.exists() else []
    before = {f"{number:05d}.json": work.shard_path(number).stat() for number in sound}
    stamps = {name: (status.st_mtime_ns, status.st_ino) for name, status in before.items()}
    return check_outputs(setting, folder) + go_on(setting, folder, arguments, sound=stamps)
