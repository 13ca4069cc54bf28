"""The demonstration: the example scene from labels to an assessed map and a picture of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from s2fin_cli.core.errors import InputError, OutputError
from s2fin_cli.core.files import check_outputs, staged
from s2fin_cli.core.progress import Progress, Stop, silent
from s2fin_cli.raster.picture import image_panel, map_panel, write_picture
from s2fin_cli.workflows.classify import run as classify
from s2fin_cli.workflows.evaluate import run as evaluate
from s2fin_cli.workflows.options.classify import ClassifyOptions
from s2fin_cli.workflows.options.evaluate import EvaluateOptions
from s2fin_cli.workflows.options.train import TrainOptions
from s2fin_cli.workflows.train import run as train

if TYPE_CHECKING:
    from collections.abc import Mapping

    from s2fin_cli.assess.metrics import Accuracy
    from s2fin_cli.training.recipe import Recipe
    from s2fin_cli.workflows.options.demo import DemoOptions

#: Bands of the example's image that make a natural-colour picture.
RGB_INDEXES = (3, 2, 1)


@dataclass(frozen=True)
class DemoResult:
    """The result of the demonstration.

    Attributes:
        paths: its files by kind: "model", "map", "polygons" and "picture".
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
    names = {"model": "model.s2fin", "map": "map.tif", "polygons": "map.gpkg", "picture": "map.png"}
    paths = {kind: folder / name for kind, name in names.items()}
    overwrite = options.overwrite
    check_outputs([*paths.values(), paths["map"].with_suffix(".qml")], overwrite=overwrite)
    msi, dsm, labels = (example / name for name in ("L7_ETMs.tif", "olinda_dem_utm25s.tif", "training.shp"))
    wanted = {"labels": labels, "output": paths["model"], "overwrite": overwrite, **(training or {})}
    train(TrainOptions(msi=msi, dsm=dsm, **wanted), recipe=recipe, progress=progress, stop=stop)
    classify(
        ClassifyOptions(msi=msi, dsm=dsm, model=paths["model"], output=paths["map"], overwrite=overwrite),
        progress=progress,
        stop=stop,
    )
    with staged([paths["picture"]], overwrite=overwrite) as (tmp_path,):
        write_picture(tmp_path, [image_panel(msi, RGB_INDEXES), map_panel(paths["map"])])
    assessed = evaluate(EvaluateOptions(map=paths["map"], reference=example / "validation.shp"))
    return DemoResult(paths, assessed.accuracy)
