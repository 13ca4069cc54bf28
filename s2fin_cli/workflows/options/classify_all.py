"""Options of the classification of many scenes."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from s2fin_cli.core.checks import check_choice, make_tuples
from s2fin_cli.core.formats import VECTOR_OUTPUT_SUFFIXES
from s2fin_cli.core.map_options import MethodOptions, WritingOptions
from s2fin_cli.core.modality import MODALITIES
from s2fin_cli.core.options import Options, StackingOptions, StrPath
from s2fin_cli.workflows.options.classify import ClassifyOptions, ComputingOptions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Formats of polygons, named by their suffixes.
VECTOR_FORMATS = tuple(suffix.removeprefix(".") for suffix in VECTOR_OUTPUT_SUFFIXES)


@dataclass(frozen=True, kw_only=True)
class ListOptions(Options):
    """Scenes and the folder of their maps.

    Attributes:
        scenes: a CSV table with a row for each scene and columns named like the images, and `name` and `aoi` if wanted;
            a folder; or a STAC item collection.
        output: folder for the maps, which is made if it is missing: `NAME.tif` and the like of each scene, and the
            report `scenes.json`.
        images: which files of a folder, or which assets of STAC items, are which image, each "MODALITY=FILES": a
            pattern like "hsi={name}_hsi.tif", in which {name} stands for the scene's name, or keys of assets like
            "msi=B02,B03". Without any, files are `NAME/MODALITY.tif`, and assets have the names of the images.
        with_confidence: whether to write the probability of each pixel's class, `NAME_confidence.tif`.
        with_probabilities: whether to write the probabilities of all classes, `NAME_probabilities.tif`.
        with_uncertainty: whether to write how uncertain the class of each pixel is, `NAME_uncertainty.tif`.
        with_report: whether to write a report on the map, `NAME.html`.
        vector_format: format of the polygons, one of `VECTOR_FORMATS`.
    """

    scenes: StrPath
    output: StrPath
    images: Sequence[str] = ()
    with_confidence: bool = False
    with_probabilities: bool = False
    with_uncertainty: bool = False
    with_report: bool = False
    vector_format: str = "gpkg"


@dataclass(frozen=True, kw_only=True)
class ClassifyAllOptions(ComputingOptions, MethodOptions, WritingOptions, StackingOptions, ListOptions):
    """Options of `s2fin classify-all`, which apply to each scene."""

    def __post_init__(self) -> None:
        check_choice("vector_format", self.vector_format, VECTOR_FORMATS)
        make_tuples(self, "images", "bidx", "co", "prior")
        # NOTE: a scene with all images refuses options that no scene can have.
        self.of_scene("scene", {modality: (f"{modality}.tif",) for modality in MODALITIES})

    def of_scene(self, name: str, paths: Mapping[str, tuple[str, ...]], aoi: str | None = None) -> ClassifyOptions:
        """The options of the classification of one scene.

        Args:
            name: the scene's.
            paths: its images by modality.
            aoi: its area of interest; None takes that of all scenes.

        Raises:
            UsageError: they are impossible for this scene.
        """
        names = {field.name for field in fields(ClassifyOptions)} & {field.name for field in fields(self)}
        shared = {name: getattr(self, name) for name in names}
        folder = Path(self.output)
        files = {
            "output": folder / f"{name}.tif",
            "polygons": folder / f"{name}.{self.vector_format}" if self.vector else None,
            "confidence": folder / f"{name}_confidence.tif" if self.with_confidence else None,
            "probabilities": folder / f"{name}_probabilities.tif" if self.with_probabilities else None,
            "uncertainty": folder / f"{name}_uncertainty.tif" if self.with_uncertainty else None,
            "report": folder / f"{name}.html" if self.with_report else None,
            "work": None if self.work is None else Path(self.work) / name,
            "mixed": self.mixed and self.in_shards,
        }
        return ClassifyOptions.from_kwargs({**shared, **files, **paths, "aoi": aoi or self.aoi})
