"""What every fault meets: a small scene, its model, and what an undisturbed run makes of them."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from s2fin_cli.shards.folder import WorkFolder
from s2fin_cli.shards.plan import is_sound, read_plan
from s2fin_cli.shards.receipt import read_receipt
from tests.faults.runs import run
from tests.workflows.sharding import CHECKS, finished, names

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.scenes import Scene

#: Files of a map, and how each is compared with another.
FILES: dict[str, Callable[[Path, Path], None]] = {
    "map.tif": CHECKS["map"],
    "map.tif.aux.xml": CHECKS["style"],
    "map.qml": CHECKS["style"],
    "map.gpkg": CHECKS["polygons"],
    "c.tif": CHECKS["confidence"],
    "p.tif": CHECKS["probabilities"],
}
OUTPUTS = ("-o", "map.tif", "--confidence", "c.tif", "--probabilities", "p.tif")
#: 20 shards, of 16 pixels a side.
SHARDS = ("--work", "run", "--shard-size", 16)


@dataclass(frozen=True)
class Outcome:
    """What a fault did.

    Attributes:
        identical: whether the map was in the end that of an undisturbed run, to the last bit.
        lost: finished shards that were sound and were made again, and old outputs that went missing.
        wrong: half or mixed files under their final names, and outputs that differ.
        notes: what was not as it should be.
    """

    identical: bool
    lost: int = 0
    wrong: int = 0
    notes: tuple[str, ...] = ()

    def __add__(self, other: Outcome) -> Outcome:
        """Both together."""
        return Outcome(
            self.identical and other.identical,
            self.lost + other.lost,
            self.wrong + other.wrong,
            self.notes + other.notes,
        )


GOOD = Outcome(identical=True)


def problem(text: str) -> Outcome:
    """Something is wrong."""
    return Outcome(identical=False, wrong=1, notes=(text,))


@dataclass(frozen=True)
class Setting:
    """A scene and a model.

    Attributes:
        scene: the scene.
        model: the model file.
        new: folder of the map that an undisturbed run of one process makes.
        old: folder of a map of the same names with other options.
        seconds: how long commands take, by their arguments; measured when it is first asked for.
    """

    scene: Scene
    model: Path
    new: Path
    old: Path
    seconds: dict[tuple[str, ...], float] = field(default_factory=dict)

    def classify(self, *more: object, stride: int = 1) -> tuple[str, ...]:
        """Arguments of a classification."""
        given = ("classify", *self.scene.arguments, "-m", self.model, "--device", "cpu", "--stride", stride)
        return tuple(map(str, (*given, *OUTPUTS, *more)))

    def duration(self, arguments: tuple[str, ...], begin: Callable[[Path], None]) -> float:
        """Seconds that a command takes in a folder that has been prepared."""
        if arguments not in self.seconds:
            folder = self.new.parent / f"timed-{len(self.seconds)}"
            begin(folder)
            start = time.monotonic()
            code, errors = run(folder, *arguments)
            assert code == 0, errors
            self.seconds[arguments] = time.monotonic() - start
            shutil.rmtree(folder)
        return self.seconds[arguments]


def make_setting(folder: Path, scene: Scene, model: Path) -> Setting:
    """Make the maps that others are compared with."""
    setting = Setting(scene, model, folder / "new", folder / "old")
    for place, stride in ((setting.new, 1), (setting.old, 3)):
        place.mkdir()
        code, errors = run(place, *setting.classify(stride=stride))
        assert code == 0, errors
    return setting


def visible(folder: Path) -> set[str]:
    return {name for name in names(folder) if not name.startswith(".")}


def hidden(folder: Path) -> set[str]:
    return {name for name in names(folder) if name.startswith(".")} - {".log"}


def difference(found: Path, expected: Path) -> str | None:
    """The first file of a map that differs from another map's; None if it is the same."""
    for name, check in FILES.items():
        if (found / name).exists() != (expected / name).exists():
            return f"{name} is there in only one of two maps"
        try:
            check(found / name, expected / name)
        except Exception as error:  # noqa: BLE001  a spoilt file may raise anything
            return f"{name}: {error!s:.200}"
    return None


def check_outputs(setting: Setting, folder: Path, *, old: bool = False) -> Outcome:
    """Whether what is visible right after a fault is whole: the new map, or the old one if there was one, or none.

    While a record says that files remain to be moved, some may be missing.
    """
    found = visible(folder) & set(FILES)
    if difference(folder, setting.new) is None or (old and difference(folder, setting.old) is None):
        return GOOD
    if not found and not old:
        return GOOD
    if not any(name.endswith(".moves") for name in hidden(folder)):
        return problem(f"{sorted(found)} is neither the old nor the new map: {difference(folder, setting.new)}")
    for expected in (setting.new, setting.old):
        try:
            for name in found:
                FILES[name](folder / name, expected / name)
        except Exception:  # noqa: BLE001, S112  a spoilt file may raise anything
            continue
        return GOOD
    return problem(f"{sorted(found)} are a mixture")


def check_work(folder: Path) -> Outcome:
    """Whether all that is visible in a work folder is whole."""
    work = WorkFolder(folder)
    if not folder.exists() or not visible(folder):
        return GOOD
    if not is_sound(work.plan_path):
        return problem("the plan is damaged")
    plan = read_plan(work.plan_path)
    bad = [path.name for path in folder.glob("[0-9]*.json") if work.receipt(int(path.stem), plan) is None]
    return problem(f"receipts do not fit: {bad}") if bad else GOOD


def go_on(
    setting: Setting, folder: Path, arguments: tuple[str, ...], *, sound: dict[str, tuple[int, int]] | None = None
) -> Outcome:
    """Give a command again after a fault, and compare what it makes with the map of an undisturbed run.

    Args:
        setting: the setting.
        folder: where the command runs.
        arguments: of the command.
        sound: the shards that must not be made again; None are those that are finished now.
    """
    work = folder / "run"
    if sound is None:
        sound = finished(work) if work.exists() else {}
    code, errors = run(folder, *arguments, "--overwrite")
    if code != 0:
        return Outcome(identical=False, notes=(f"the command failed when it was given again: {errors[-500:]}",))
    found = difference(folder, setting.new)
    outcome = GOOD if found is None else problem(found)
    after = finished(work) if work.exists() else {}
    lost = sorted(name for name, stamp in sound.items() if after.get(name) != stamp)
    if lost:
        outcome += Outcome(identical=True, lost=len(lost), notes=(f"made again: {lost}",))
    left = hidden(folder) | (hidden(work) if work.exists() else set())
    if left:
        outcome += Outcome(identical=True, notes=(f"left: {sorted(left)}",))
    return outcome


def receipts_in(folder: Path) -> list[int]:
    """Numbers of the shards of a work folder whose receipts are sound."""
    return [int(path.stem) for path in sorted(folder.glob("[0-9]*.json")) if read_receipt(path) is not None]
