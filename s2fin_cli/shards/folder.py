"""The work folder: the plan, the finished shards and their receipts.

    plan.json       made by the first process that uses the folder, and never changed
    maker.json      what makes the shards, see `s2fin_cli.shards.agreement`
    00012.tif       a shard, see `s2fin_cli.shards.raster`
    00012.json      its receipt; without it the shard is not finished
    .s2fin.MARK.*/  shards in progress, one folder a process, see `s2fin_cli.core.leftovers`

Every file appears whole under its name, so any number of processes may use the folder at once. At worst two of them
make the same shard, and the first one is kept.
"""

from __future__ import annotations

import contextlib
import logging
import os
import platform
from dataclasses import dataclass
from typing import TYPE_CHECKING

from s2fin_cli.core.errors import DiskFullError, InputError, OutputError, shortened
from s2fin_cli.core.files import is_disk_full
from s2fin_cli.core.leftovers import sweep, work_in_progress
from s2fin_cli.shards.maker import why_different
from s2fin_cli.shards.plan import Plan, check_same, is_sound, read_plan
from s2fin_cli.shards.receipt import Receipt, checksum, read_receipt
from s2fin_cli.shards.sealing import write_first

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from s2fin_cli.raster.unreadable import UnreadablePart
    from s2fin_cli.shards.maker import Maker

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class WorkFolder:
    """A work folder.

    Attributes:
        path: where it is.
    """

    path: Path

    @property
    def plan_path(self) -> Path:
        """The plan's file."""
        return self.path / "plan.json"

    @property
    def maker_path(self) -> Path:
        """The file that says what makes the shards."""
        return self.path / "maker.json"

    def shard_path(self, number: int) -> Path:
        """A shard's file."""
        return self.path / f"{number:05d}.tif"

    def receipt_path(self, number: int) -> Path:
        """The file of a shard's receipt."""
        return self.path / f"{number:05d}.json"

    def begin(self, own: Plan, *, mixed: bool = False) -> Plan:
        """Make the folder and its plan, or check the plan that is there; leftovers of killed runs are removed.

        Args:
            own: the plan that this process would make.
            mixed: whether versions of software may differ from the plan's.

        Returns:
            the plan that holds.

        Raises:
            InputError: the folder was begun for another map, or holds other files.
            OutputError: it cannot be written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            sweep(self.path)
            if not is_sound(self.plan_path):
                self._restore_plan(own)
        except OSError as error:
            raise OutputError(f"the work folder {self.path} cannot be used: {error.strerror or error}") from error
        kept = read_plan(self.plan_path)
        check_same(kept, own.normalised(), self.path, mixed=mixed)
        return kept

    def _restore_plan(self, own: Plan) -> None:
        """Write the plan into a new folder, or into one whose shards belong to it and whose plan is lost or damaged."""
        names = (entry.name for entry in self.path.iterdir())
        foreign = sorted(name for name in names if not name.startswith(".") and name != self.maker_path.name)
        if not foreign:
            write_first(self.plan_path, own.to_json())
            return
        receipts = [read_receipt(path) for path in self.path.glob("[0-9]*.json")]
        identities = {receipt.plan for receipt in receipts if receipt is not None}
        if is_sound(self.plan_path):  # another process has made it just now
            return
        if identities == {own.normalised().identity}:
            logger.warning("the plan %s was lost or damaged and is restored", self.plan_path)
            write_first(self.plan_path, own.to_json(), replace=True)
            return
        if identities:
            raise InputError(
                f"the plan {self.plan_path} is lost or damaged, and the shards there do not belong to the map that "
                "this command makes; give it the options that the folder was begun with, `shard_size` too, or use "
                "another folder for `work`"
            )
        if self.plan_path.exists():
            read_plan(self.plan_path)  # which says what is wrong with it
        raise InputError(f"{self.path} holds other files ({shortened(foreign)}); use a new folder for `work`")

    def size_begun_with(self) -> int | None:
        """Pixels a side of the shards of the plan that is there; None if there is none, or it is damaged.

        Raises:
            InputError: it is of another version.
        """
        return read_plan(self.plan_path).size if is_sound(self.plan_path) else None

    def remove(self, plan: Plan) -> None:
        """Remove shards and plan once they are not needed any more, and the folder if nothing else is in it."""
        with contextlib.suppress(OSError):  # then it is left, which does no harm
            for number in plan.numbers:
                self.receipt_path(number).unlink(missing_ok=True)
                self.shard_path(number).unlink(missing_ok=True)
            self.maker_path.unlink(missing_ok=True)
            self.plan_path.unlink(missing_ok=True)
            self.path.rmdir()

    def remove_left(self, facts: Mapping[str, object]) -> None:
        """Remove shards and plan of a finished map, which a killed run left, unless anything else is in the folder.

        Args:
            facts: what the map depends on; where the plan says otherwise, the folder stays as it is.
        """
        if not is_sound(self.plan_path):
            return
        with contextlib.suppress(OSError, InputError):  # then it is left, which does no harm
            plan = read_plan(self.plan_path)
            if any(plan.facts[name] != value for name, value in facts.items() if name in plan.facts):
                return
            sweep(self.path)
            own = {self.plan_path, self.maker_path, *map(self.shard_path, plan.numbers)}
            if own.union(map(self.receipt_path, plan.numbers)).issuperset(self.path.iterdir()):
                self.remove(plan)

    @contextlib.contextmanager
    def new_shard(self) -> Iterator[Path]:
        """Give a path to write a shard to, which `keep` moves to its place while the block runs.

        Raises:
            OutputError: it cannot be written.
        """
        try:
            with work_in_progress(self.path) as scratch, self._disk_full_noticed():
                yield scratch / "shard.tif"
        except OSError as error:
            if isinstance(error, OutputError):
                raise
            reason = error.strerror or error
            raise OutputError(f"writing a shard to {self.path} failed: {reason}; finished shards are kept") from error

    @contextlib.contextmanager
    def _disk_full_noticed(self) -> Iterator[None]:
        """Raise a `DiskFullError` for any error that a full disk explains."""
        try:
            yield
        except OSError as error:
            if is_disk_full(self.path, error):
                raise DiskFullError(
                    f"writing a shard to {self.path} failed: no space is left; make room, finished shards are kept"
                ) from error
            raise

    def keep(
        self,
        path: Path,
        number: int,
        plan: Plan,
        *,
        pixels: Mapping[int, int],
        maker: Maker,
        unreadable: Sequence[UnreadablePart] = (),
    ) -> Receipt:
        """Move a shard that `new_shard` gave to its place, and write its receipt.

        If another process has finished the same shard meanwhile, that one stays.

        Returns:
            the receipt of the shard that is there.

        Raises:
            OSError: it cannot be moved, or the receipt cannot be written.
        """
        file = path.stat().st_size, checksum(path)
        receipt = Receipt(number, dict(pixels), *file, maker, platform.node(), plan.identity, tuple(unreadable))
        new = path.with_name("receipt.json")
        new.write_text(receipt.to_json(), encoding="utf-8")
        kept = self.receipt(number, plan)
        if kept is not None:
            return kept
        self.receipt_path(number).unlink(missing_ok=True)  # of a file that is damaged
        os.replace(path, self.shard_path(number))
        os.replace(new, self.receipt_path(number))
        return receipt

    def receipt(self, number: int, plan: Plan) -> Receipt | None:
        """The receipt of a shard; None if the plan's is not finished, or its file is not what the receipt says."""
        receipt = read_receipt(self.receipt_path(number))
        if receipt is None or (receipt.number, receipt.plan) != (number, plan.identity):
            return None
        return receipt if receipt.fits(self.shard_path(number)) else None

    def unfinished(self, numbers: Sequence[int], plan: Plan) -> list[int]:
        """The numbers of the shards that are still to be made; of those, damaged ones are warned of."""
        found = [number for number in numbers if self.receipt(number, plan) is None]
        for number in found:
            if self.receipt_path(number).exists():
                logger.warning("shard %d in %s is damaged and is made again", number, self.path)
        return found

    def receipts(self, plan: Plan, *, mixed: bool) -> list[Receipt]:
        """The receipts of all shards, in order, after checking their files.

        Args:
            plan: the folder's plan.
            mixed: whether shards of different makers may be combined.

        Raises:
            InputError: shards are missing or damaged, or were made by machines that differ.
        """
        found = {number: self.receipt(number, plan) for number in plan.numbers}
        missing = [number for number, receipt in found.items() if receipt is None]
        if missing:
            damaged = [number for number in missing if self.receipt_path(number).exists()]
            raise InputError(
                f"{len(missing)} of {len(plan)} shards are missing or damaged in {self.path}: {shortened(missing)}"
                + (f" (damaged: {shortened(damaged)})" if damaged else "")
                + "; make them with the command that made the others"
            )
        receipts = [receipt for receipt in found.values() if receipt is not None]
        if not mixed:
            check_makers(receipts, self.path)
        return receipts

    def stamps(self, plan: Plan) -> dict[int, tuple[int, ...] | None]:
        """Size and time of change of the files of all shards, by shard; None where one is missing.

        NOTE: not the number of the inode, which some network file systems change though the file is the same.
        """
        found: dict[int, tuple[int, ...] | None] = dict.fromkeys(plan.numbers)
        for number in found:
            with contextlib.suppress(OSError):
                status = self.shard_path(number).stat()
                found[number] = status.st_size, status.st_mtime_ns
        return found

    def check_unchanged(self, plan: Plan, stamps: Mapping[int, tuple[int, ...] | None]) -> None:
        """Refuse shards that changed after they had been checked.

        Raises:
            InputError: they did.
        """
        changed = [number for number, stamp in self.stamps(plan).items() if stamp != stamps[number]]
        if changed:
            raise InputError(
                f"shards in {self.path} were changed by another program while the map was assembled: "
                f"{shortened(changed)}; let no two maps use one folder, and give the command again"
            )


def check_makers(receipts: Sequence[Receipt], path: Path, *, own: Maker | None = None) -> None:
    """Refuse shards whose makers differ, and name the first difference.

    Args:
        receipts: of the shards.
        path: of their folder.
        own: what is about to make more of them, if anything.

    Raises:
        InputError: they differ.
    """
    others = [(receipt.maker, f"for shard {receipt.number} ({receipt.host})") for receipt in receipts]
    others += [] if own is None else [(own, "here")]
    for other in others[1:]:
        difference = why_different(others[0], other)
        if difference is not None:
            raise InputError(f"the shards in {path} would not fit together: {difference}")
