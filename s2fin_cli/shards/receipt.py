"""The receipt of a shard: written last, it says that the shard is finished, and what its file must be."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from s2fin_cli.core.errors import MALFORMED
from s2fin_cli.raster.unreadable import UnreadablePart
from s2fin_cli.shards.maker import Maker
from s2fin_cli.shards.sealing import sealed, unsealed

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True)
class Receipt:
    """What is known of a finished shard.

    Attributes:
        number: the shard's, from 1.
        pixels: number of pixels by class id.
        size: bytes of its file.
        sha256: checksum of its file.
        maker: the kind of machine and software that made it.
        host: the machine's name.
        plan: identity of the plan that it belongs to.
        unreadable: storage blocks of the images that could not be read and have pixels of interest in the shard.
    """

    number: int
    pixels: Mapping[int, int]
    size: int
    sha256: str
    maker: Maker
    host: str
    plan: str
    unreadable: tuple[UnreadablePart, ...] = ()

    def to_json(self) -> str:
        """The text of the receipt's file."""
        return sealed(asdict(self))

    def fits(self, path: Path) -> bool:
        """Whether a file is the shard's, to the last bit."""
        try:
            return path.stat().st_size == self.size and checksum(path) == self.sha256
        except OSError:
            return False


def read_receipt(path: Path) -> Receipt | None:
    """Read a receipt; None if it is not there or damaged."""
    try:
        values = unsealed(path.read_text(encoding="utf-8"))
        return Receipt(
            int(values["number"]),
            {int(class_id): int(count) for class_id, count in values["pixels"].items()},
            int(values["size"]),
            str(values["sha256"]),
            Maker.from_dict(values["maker"]),
            str(values["host"]),
            str(values["plan"]),
            tuple(_part_of(part) for part in values["unreadable"]),
        )
    except (OSError, *MALFORMED):
        return None


def _part_of(values: Mapping[str, Any]) -> UnreadablePart:
    col, row, width, height = (int(value) for value in values["rectangle"])
    return UnreadablePart(str(values["src_path"]), tuple(map(int, values["bands"])), (col, row, width, height))


def checksum(path: Path) -> str:
    """SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
