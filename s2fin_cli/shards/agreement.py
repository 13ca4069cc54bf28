"""What makes the shards of a work folder: processes that begin at the same time agree upon it by a file, `maker.json`.

How many batches a device computes together depends on its free memory, and the last bits of the results depend on how
many those are. So the first process that finishes a shard decides.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from s2fin_cli.core.errors import InputError
from s2fin_cli.shards.maker import Maker, why_different
from s2fin_cli.shards.sealing import sealed, unsealed, write_first

if TYPE_CHECKING:
    from s2fin_cli.shards.folder import WorkFolder


def agreed_maker(folder: WorkFolder) -> Maker | None:
    """What makes the shards of a folder; None if none is finished, or if the file is lost or damaged."""
    try:
        return Maker.from_dict(unsealed(folder.maker_path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def agree(folder: WorkFolder, maker: Maker) -> Maker:
    """Propose what makes the shards of a folder.

    Args:
        folder: the work folder.
        maker: what has made a shard, which is not kept yet.

    Returns:
        what makes the shards: of several processes that propose it, the first one decided.

    Raises:
        OSError: it cannot be written.
    """
    was_there = folder.maker_path.exists()  # asked first: it appears whole, so what cannot be read then is damaged
    kept = agreed_maker(folder)
    if kept is None:
        write_first(folder.maker_path, sealed(asdict(maker)), replace=was_there)
        kept = agreed_maker(folder)
    return kept or maker


def check_agreed(folder: WorkFolder, own: Maker) -> None:
    """Refuse to make shards beside those of another kind of machine.

    Raises:
        InputError: the folder has such shards.
    """
    kept = agreed_maker(folder)
    difference = None if kept is None else why_different((kept, "for those that are finished"), (own, "here"))
    if difference is not None:
        raise InputError(f"the shards in {folder.path} would not fit together: {difference}")
