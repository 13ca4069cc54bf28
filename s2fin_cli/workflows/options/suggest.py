"""Options of suggestions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from s2fin_cli.core.checks import check, check_whole, is_real, make_plain
from s2fin_cli.core.errors import UsageError
from s2fin_cli.core.options import InputOptions, LabelOptions, StrPath

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, kw_only=True)
class SuggestOptions(LabelOptions, InputOptions):
    """Options of `s2fin suggest`, besides those of inputs and labels.

    Attributes:
        model: model file; None takes `model.s2fin` in the current directory, else `$S2FIN_MODEL`.
        labels: labels that there are already, as of training: a file, or a sequence of files. Where several files
            label a pixel, the last file decides. With labels, places are also chosen where classifiers trained on them
            disagree or where pixels look unlike the labels; no place near a label is suggested. Empty for none: then
            the model alone decides.
        probabilities: probabilities that `classify` wrote of these images with this model; None computes them where
            they are needed.
        output: points to write, in the format of the suffix, see `VECTOR_OUTPUT_SUFFIXES`; their QGIS style is written
            beside them with the suffix `.qml`.
        number: how many places to suggest.
        distance: fewest pixels of the passive image's grid from one place to the next and to the labels, in rows or in
            columns.
        seed: seed of every random choice.
        overwrite: whether an existing `output` may be replaced.
    """

    labels: StrPath | Sequence[StrPath] = ()
    model: StrPath | None = None
    probabilities: StrPath | None = None
    output: StrPath
    number: int = 50
    distance: float = 8.0
    seed: int = 0
    overwrite: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, least in (("number", 1), ("seed", 0)):
            check_whole(name, getattr(self, name), least=least)
            make_plain(self, int, name)
        check("distance", self.distance, is_real(self.distance) and 1 <= self.distance <= 1e6, "1 to 1000000 pixels")
        make_plain(self, float, "distance")
        if self.label_paths:
            self.check_labels()
            return
        for name in ("label_field", "label_buffer", "classes"):
            if getattr(self, name) is not None:
                raise UsageError(f"`{name}` applies to `labels`, and none are given")
