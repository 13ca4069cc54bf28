"""The demonstration: the example scene from labels to an assessed map, a picture of it and a report on it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from s2fin_cli.core.errors import InputError, OutputError
from s2fin_cli.core.files import check_outputs, staged
from s2fin_cli.core.progress import Progress, Stop, silent
from s2fin_cli.raster.lettering import legend
from s2fin_cli.raster.picture import image_panel, map_panel, write_picture
from s2fin_cli.workflows.classify import run as classify
from s2fin_cli.workflows.options.classify import ClassifyOptions
from s2fin_cli.workflows.options.report import ReportOptions
from s2fin_cli.workflows.options.train import TrainOptions
from s2fin_cli.workflows.report import run as report
from s2fin_cli.workflows.train import run as train

if TYPE_CHECKING:
    from collections.abc import Mapping

    from s2fin_cli.assess.metrics import Accuracy
    from s2fin_cli.reporting.map_report import MapReport
    from s2fin_cli.training.recipe import Recipe
    from s2fin_cli.workflows.options.demo import DemoOptions

#: Names of the files of the demonstration by kind.
FILES = {
    "model": "model.s2fin", "map": "map.tif", "polygons": "map.gpkg", "confidence": "confidence.tif",
    "picture": "map.png", "report": "report.html",
}  # fmt: skip
#: Bands of the example's image that make a natural-colour picture.
RGB_INDEXES = (3, 2, 1)


@dataclass(frozen=True)
class DemoResult:
    """The result of the demonstration.

    Attributes:
        paths: its files by kind: "model", "map", "polygons", "confidence", "picture" and "report".
        accuracy: accuracy of the map, on the validation polygons.
    """

    paths: dict[str, Path]
    accuracy: Accuracy

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values for scripts."""
        return {**{name: str(path) for name, path in self.paths.items()}, "accuracy": self.accuracy.to_dict()}


def example_folder() -> Path:
    """The folder of the example scene: in the installed package, or in the source tree.

    Raises:
        InputError: it is in neither.
    """
    package = Path(__file__).parents[1]
    for folder in (package / "examples" / "olinda", package.parent / "examples" / "olinda"):
        if folder.is_dir():
            return folder
    raise InputError(f"the example scene is missing from {package}; reinstall s2fin")


def run(
    options: DemoOptions,
    *,
    progress: Progress = silent,
    stop: Stop | None = None,
    example: Path | None = None,
    training: Mapping[str, Any] | None = None,
    recipe: Recipe | None = None,
) -> DemoResult:
    """Train on the example, classify it, assess the map and draw it.

    Args:
        options: the options.
        progress: called as the work advances.
        stop: ends the work at its next step once it is set.
        example: folder of a scene with the example's file names; None takes the example.
        training: options of training other than the defaults.
        recipe: numbers of training that are not options; None takes the defaults.

    Raises:
        S2finError: the results cannot be written.
    """
    example, folder = example or example_folder(), Path(options.output)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"the folder {folder} cannot be created: {error.strerror or error}") from error
    paths = {kind: folder / name for kind, name in FILES.items()}
    overwrite = options.overwrite
    check_outputs([*paths.values(), paths["map"].with_suffix(".qml")], overwrite=overwrite)
    msi, dsm, labels = (example / name for name in ("L7_ETMs.tif", "olinda_dem_utm25s.tif", "training.shp"))
    overwritten = {"overwrite": overwrite}
    wanted = {"labels": labels, "output": paths["model"], **overwritten, **(training or {})}
    train(TrainOptions(msi=msi, dsm=dsm, **wanted), recipe=recipe, progress=progress, stop=stop)
    made: dict[str, Any] = {"confidence": paths["confidence"], **overwritten}
    images: dict[str, Any] = {"msi": msi, "dsm": dsm, "model": paths["model"], "output": paths["map"]}
    classify(ClassifyOptions(**images, **made), progress=progress, stop=stop)
    reference = example / "validation.shp"
    reported = report(ReportOptions(map=paths["map"], reference=reference, output=paths["report"], **made)).report
    _draw(paths, msi, reported, overwrite=overwrite)
    assert reported.accuracy is not None  # noqa: S101  there was a reference
    return DemoResult(paths, reported.accuracy)


def _draw(paths: Mapping[str, Path], msi: Path, reported: MapReport, *, overwrite: bool) -> None:
    """Draw image and map side by side, with a legend."""
    panel = map_panel(paths["map"])
    entries = [(c.name, c.color) for c in reported.classes if c.color is not None]
    with staged([paths["picture"]], overwrite=overwrite) as (tmp_path,):
        write_picture(tmp_path, [image_panel(msi, RGB_INDEXES), panel, legend(entries, panel.shape[1])])
