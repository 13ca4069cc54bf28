"""What training found, from the description of a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from s2fin_cli.assess.metrics import Accuracy
from s2fin_cli.assess.reliability import Reliability
from s2fin_cli.core.errors import MALFORMED, ModelFileError
from s2fin_cli.core.run_record import RunRecord
from s2fin_cli.reporting.derived import with_derived

if TYPE_CHECKING:
    from collections.abc import Mapping

    from s2fin_cli.model.info import BandSet, ModelInfo


@dataclass(frozen=True)
class ClassValues:
    """Values of one image at the labels of the classes.

    Attributes:
        modality: the image.
        bands: numbers of the bands among the image's.
        names: their names, empty where there is none.
        wavelengths: their wavelengths in nanometres, or None.
        classes: names of the classes by class id.
        pixels: labelled pixels by class id.
        mean, std: means and standard deviations of the bands by class id, of the classes with labels.
    """

    modality: str
    bands: tuple[int, ...]
    names: tuple[str, ...]
    wavelengths: tuple[float, ...] | None
    classes: Mapping[int, str]
    pixels: Mapping[int, int]
    mean: Mapping[int, tuple[float, ...]]
    std: Mapping[int, tuple[float, ...]]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "modality": self.modality,
            "bands": list(self.bands),
            "names": list(self.names),
            "wavelengths_nm": None if self.wavelengths is None else list(self.wavelengths),
            "classes": [
                {
                    "id": i, "name": self.classes[i], "pixels": self.pixels[i], "mean": list(self.mean[i]),
                    "std": list(self.std[i]),
                }
                for i in self.mean
            ],
        }  # fmt: skip


@dataclass(frozen=True, eq=False)
class TrainingReport:
    """What training found.

    Attributes:
        figures: the figures of the training, as the model file has them.
        validation: accuracy of the network on the labels held out, or None.
        cross_validation: accuracy of the ensemble that taught it, or None.
        reliability: reliability of the network's confidence on the labels held out, or None.
        losses: mean loss of each epoch, of the run on a part of the labels and, if there was one, of that on all.
        members: name, weight and use of the second image of the members of the ensemble.
        values: values of the images at the labels.
        run: the record of the run, or None in an older model.
    """

    figures: Mapping[str, Any]
    validation: Accuracy | None = None
    cross_validation: Accuracy | None = None
    reliability: Reliability | None = None
    losses: tuple[tuple[float, ...], ...] = ()
    members: tuple[Mapping[str, Any], ...] = ()
    values: tuple[ClassValues, ...] = ()
    run: RunRecord | None = None

    @classmethod
    def of(cls, info: ModelInfo) -> TrainingReport:
        """From the description of a model, also of one that was written before its findings were kept.

        Raises:
            ModelFileError: the description is damaged.
        """
        figures, findings = info.training, info.findings or {}
        try:
            reliability, run = findings.get("reliability"), findings.get("run")
            return cls(
                figures,
                validation=_accuracy(figures.get("validation")),
                cross_validation=_accuracy(figures.get("cross_validation")),
                reliability=None if reliability is None else Reliability.from_dict(reliability),
                losses=tuple(tuple(map(float, part)) for part in findings.get("losses", ())),
                members=tuple(dict(member) for member in findings.get("members", ())),
                values=tuple(_values(image, info) for image in findings.get("values", ())),
                run=None if run is None else RunRecord.from_dict(run),
            )
        except (*MALFORMED, StopIteration) as error:
            raise ModelFileError(
                f"the model's description of its training is damaged ({error!r}); train again"
            ) from error

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        kept = ("epochs", "seed", "split", "refitted", "interrupted", "train_pixels", "validation_pixels")
        labelled, start = self.figures.get("labelled_pixels") or {}, self.figures.get("started_from")
        return {
            **{key: self.figures.get(key) for key in (*kept, "use_of_second_image")},
            "started_from": start and {key: start.get(key) for key in ("file", "model", "statistics", "labels_right")},
            "labelled_pixels": [{"name": name, "pixels": count} for name, count in labelled.items()],
            "validation": None if self.validation is None else with_derived(self.validation.to_dict()),
            "cross_validation": None
            if self.cross_validation is None
            else with_derived(self.cross_validation.to_dict()),
            "reliability": None if self.reliability is None else self.reliability.to_dict(),
            "losses": [list(part) for part in self.losses],
            "members": [dict(member) for member in self.members],
            "values": [image.to_dict() for image in self.values],
        }


def _accuracy(values: Mapping[str, Any] | None) -> Accuracy | None:
    return None if values is None else Accuracy.from_dict(values)


def _values(image: Mapping[str, Any], info: ModelInfo) -> ClassValues:
    bands: BandSet = next(b for b in info.bands if b.modality == image["modality"])
    chosen = [int(index) - 1 for index in image["indexes"]]
    classes = dict(zip((c.id for c in info.classes), image["classes"], strict=True))
    wavelengths = bands.wavelengths
    return ClassValues(
        modality=bands.modality,
        bands=tuple(bands.indexes[i] for i in chosen),
        names=tuple(bands.band_names[i] for i in chosen),
        wavelengths=None if wavelengths is None else tuple(wavelengths[i] for i in chosen),
        classes={c.id: c.name for c in info.classes},
        pixels={class_id: int(part["pixels"]) for class_id, part in classes.items()},
        mean={class_id: tuple(part["mean"]) for class_id, part in classes.items() if part["mean"]},
        std={class_id: tuple(part["std"]) for class_id, part in classes.items() if part["std"]},
    )
