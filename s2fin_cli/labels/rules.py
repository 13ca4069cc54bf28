"""How labels become pixels."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from s2fin_cli.core.classes import read_class_table
from s2fin_cli.core.errors import LabelError, shortened

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from s2fin_cli.core.classes import LandCoverClass
    from s2fin_cli.core.options import LabelOptions

logger = logging.getLogger(__name__)


class OutsideError(LabelError):
    """None of the labels of a file is in the image."""


@dataclass(frozen=True)
class LabelRules:
    """How labels become pixels.

    Attributes:
        field: the class field of a vector file; None takes the only possible one.
        classes: the class table, with names and colours; labels of other classes are skipped. None takes all classes.
        buffer: buffer around points and lines in CRS units of the grid; None takes half a pixel around a line, and the
            pixel that a point is in.
        on_conflict: what to do with pixels that different classes claim: "drop" leaves them out, "error" refuses them,
            "first" and "last" give them to the feature that comes first or last in the file.
        takes_table: whether the user can give a class table, so that messages may recommend one.
        is_alone: whether there is one file only. One of several may have a class field of another name, may hold what
            takes no buffer, and may hold a single class.
    """

    field: str | None = None
    classes: tuple[LandCoverClass, ...] | None = None
    buffer: float | None = None
    on_conflict: str = "drop"
    takes_table: bool = True
    is_alone: bool = True


def rules_of(options: LabelOptions) -> LabelRules:
    """The rules that options describe.

    Raises:
        LabelError: the class table cannot be read.
    """
    classes = None if options.classes is None else read_class_table(options.classes)
    return LabelRules(options.label_field, classes, options.label_buffer, options.on_conflict)


def check_no_buffer(rules: LabelRules, kind: str) -> None:
    """Refuse a buffer around the labels of a single file that are neither points nor lines.

    Raises:
        LabelError: there is one.
    """
    if rules.buffer is not None and rules.is_alone:
        raise LabelError(f"`label_buffer` applies to points and lines, and the labels are {kind}; leave it out")


def warn_of_other_classes(src_path: str | Path, what: str, *, others: Iterable[str] | Iterable[int]) -> None:
    """Warn of labels that are left out because their classes are not in the class table.

    Args:
        src_path: where the labels come from.
        what: how many features or pixels they are.
        others: the classes.
    """
    logger.warning(
        "%s: skipped %s of classes that are not in the class table: %s",
        src_path, what, shortened(sorted(others)),
    )  # fmt: skip
