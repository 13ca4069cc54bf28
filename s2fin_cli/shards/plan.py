"""The plan of a map that is made in shards: what every process that works on it has to agree upon."""

from __future__ import annotations

import functools
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from rasterio.windows import Window

from s2fin_cli.core.errors import MALFORMED, InputError
from s2fin_cli.core.facts import first_difference
from s2fin_cli.shards.sealing import digest, sealed, unsealed

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

#: Version of the plan's contents.
FORMAT = 1


@dataclass(frozen=True)
class Plan:
    """What is made, in JSON values.

    Attributes:
        facts: what the map depends on, by what a message calls it: checksum of the model, identity of the inputs,
            options, grid, bands. Two processes with the same facts make the same map.
        versions: of the software; they may differ only where mixed shards are allowed.
        options: the options that read the inputs and make the map, for a process that is given the plan alone.
        size: pixels a side of a shard.
        windows: of the shards in the grid: column and row offset, width and height.
        has_probabilities: whether the shards hold the probabilities of all classes.
        has_uncertainty: whether they hold the bands of the raster of uncertainty.
        threads: that a process computes with.
    """

    facts: Mapping[str, Any]
    versions: Mapping[str, str]
    options: Mapping[str, Any]
    size: int
    windows: tuple[tuple[int, int, int, int], ...]
    has_probabilities: bool
    threads: int
    has_uncertainty: bool = False

    def __len__(self) -> int:
        """How many shards there are."""
        return len(self.windows)

    @property
    def numbers(self) -> range:
        """The numbers of the shards, from 1."""
        return range(1, len(self) + 1)

    def window(self, number: int) -> Window:
        """A shard's window in the grid."""
        return Window(*self.windows[number - 1])

    def to_json(self) -> str:
        """The text of the plan's file."""
        return sealed({"format": FORMAT, **asdict(self)})

    def normalised(self) -> Plan:
        """The plan as it is read back."""
        return plan_of(unsealed(self.to_json()))

    @functools.cached_property
    def identity(self) -> str:
        """A checksum of all that decides what is in the shards, and which of them there are."""
        return digest([self.facts, self.windows, self.has_probabilities, self.has_uncertainty])


def plan_of(values: dict[str, Any]) -> Plan:
    """The plan that JSON values describe.

    Raises:
        ValueError, KeyError, TypeError: they describe none.
    """
    if values["format"] != FORMAT:
        raise ValueError(f"its format is {values['format']}, and this version of s2fin reads {FORMAT}")
    windows = tuple((int(col), int(row), int(width), int(height)) for col, row, width, height in values["windows"])
    facts, versions, options = (dict(values[name]) for name in ("facts", "versions", "options"))
    sizes = int(values["size"]), windows, bool(values["has_probabilities"]), int(values["threads"])
    return Plan(facts, versions, options, *sizes, bool(values["has_uncertainty"]))


def read_plan(path: Path) -> Plan:
    """Read a plan.

    Raises:
        InputError: it is not there, damaged or of another version.
    """
    try:
        return plan_of(unsealed(path.read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise InputError(f"{path.parent} holds no plan of a map; check the path") from error
    except (OSError, *MALFORMED) as error:
        raise InputError(
            f"the plan {path} cannot be used ({error}); the classify command that made the shards restores it; if no "
            "shard is finished, remove the folder and begin again"
        ) from error


def is_sound(path: Path) -> bool:
    """Whether a plan is there and not damaged; it may be of another version."""
    try:
        unsealed(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return True


def check_same(kept: Plan, own: Plan, folder: Path, *, mixed: bool) -> None:
    """Refuse to go on with a plan that another map was begun by, and name the first difference.

    Args:
        kept: the plan that a folder holds.
        own: the plan that this process would make.
        folder: for the message.
        mixed: whether versions of software may differ.

    Raises:
        InputError: there is a difference.
    """
    facts = [kept.facts, own.facts]
    if not mixed:
        facts = [
            {**each.facts, **{f"the version of {name}": version for name, version in each.versions.items()}}
            for each in (kept, own)
        ]
    difference = first_difference(*facts)
    if difference is not None:
        name, old, new = difference
        hint = ", or allow it with `mixed=True`" if name.startswith("the version of") else ""
        raise InputError(
            f"{folder} was begun for another map: {name} was {old} and is {new} now; restore it or use another "
            f"folder for `work`{hint}"
        )
    for wanted, held, what, option in (
        (own.has_probabilities, kept.has_probabilities, "probabilities", "probabilities"),
        (own.has_uncertainty, kept.has_uncertainty, "bands of uncertainty", "uncertainty"),
    ):
        if wanted and not held:
            raise InputError(
                f"the shards in {folder} hold no {what}, because it was begun without `{option}`; leave that out or "
                "use another folder for `work`"
            )
