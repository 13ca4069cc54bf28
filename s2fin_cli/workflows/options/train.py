"""Options of training."""

from __future__ import annotations

from dataclasses import dataclass

from s2fin_cli.core.checks import check, check_choice, check_whole, is_real, is_whole, make_plain
from s2fin_cli.core.options import DEFAULT_MODEL, SPLITS, InputOptions, LabelOptions, StrPath, path_tuple


@dataclass(frozen=True, kw_only=True)
class TrainOptions(LabelOptions, InputOptions):
    """Options of `s2fin train`, besides those of inputs and labels.

    Attributes:
        output: model file to write.
        init: model file of another scene with the same images, bands and classes to start from; None for none.
        report: where to write a report of what training found, if anywhere: a `.html`, `.json`, `.csv` or `.md` file.
        overwrite: whether an existing `output` may be replaced.
        patch_size: side in pixels of the window around each pixel, odd, 5 to 21.
        epochs: rounds of training; one is 16 to 80 steps, not a pass over all training pixels.
        batch_size: windows per step.
        learning_rate: peak learning rate of the one-cycle schedule; doubled where labels are dense.
        labels_per_class: most training pixels of one class, and most validation pixels.
        split: how validation pixels are held out: "polygons" (whole polygons), "blocks" (of pixels, with a buffer),
            "random" (single pixels, which overestimates the accuracy), or "auto": polygons for polygons, else blocks.
        validation: share of the labelled pixels to hold out, 0 for none.
        refit: whether to train the final model on all labels after validation.
        seed: seed of every random choice.
    """

    output: StrPath = DEFAULT_MODEL
    init: StrPath | None = None
    report: StrPath | None = None
    overwrite: bool = False
    patch_size: int = 7
    epochs: int = 10
    batch_size: int = 64
    learning_rate: float = 4e-3
    labels_per_class: int = 1000
    split: str = "auto"
    validation: float = 0.25
    refit: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_labels()
        check_choice("split", self.split, SPLITS)
        size, rate, share, seed = self.patch_size, self.learning_rate, self.validation, self.seed
        check("patch_size", size, is_whole(size) and size % 2 == 1 and 5 <= size <= 21, "odd, 5 to 21")
        for name in ("epochs", "batch_size", "labels_per_class"):
            check_whole(name, getattr(self, name), least=1)
        check("learning_rate", rate, is_real(rate) and 0 < rate <= 1, "above 0 and at most 1")
        check("validation", share, is_real(share) and 0 <= share < 1, "at least 0 and below 1")
        check("seed", seed, is_whole(seed) and 0 <= seed < 2**63, "a whole number, 0 to 2^63 - 1")
        make_plain(self, int, "patch_size", "epochs", "batch_size", "labels_per_class", "seed")
        make_plain(self, float, "learning_rate", "validation")

    @property
    def files_read(self) -> list[str]:
        """Every file that is read."""
        return [*self.inputs, *self.label_inputs, *path_tuple(self.init)]
