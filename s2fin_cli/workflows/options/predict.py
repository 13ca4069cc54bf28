"""Options of prediction, which gives a map in memory."""

from __future__ import annotations

from dataclasses import dataclass, fields

from s2fin_cli.core.map_options import MethodOptions
from s2fin_cli.core.options import InputOptions
from s2fin_cli.workflows.options.classify import ClassifyOptions, ModelOptions


@dataclass(frozen=True, kw_only=True)
class PredictOptions(ModelOptions, MethodOptions, InputOptions):
    """Options of `s2fin_cli.predict`, which mean what those of `s2fin classify` mean.

    Attributes:
        probabilities: whether the dataset has the probabilities of all classes too.
        uncertainty: whether the dataset also says how uncertain the class of each pixel is: entropy, margin,
            disagreement of the teacher's members, and dissimilarity to the training data.
    """

    probabilities: bool = False
    uncertainty: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        _ = self.of_map  # it refuses what is impossible

    @property
    def of_map(self) -> ClassifyOptions:
        """The options of the same map in files, which bear the names of the dataset's variables."""
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        files = {name: f"{name}.tif" if given[name] else None for name in ("probabilities", "uncertainty")}
        return ClassifyOptions(**{**given, **files}, output="class.tif", confidence="confidence.tif", vector=False)
