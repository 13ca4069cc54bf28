"""`s2fin classify-all`."""

from __future__ import annotations

from functools import partial
from typing import Any

import click

from s2fin_cli.cli.completion import contents
from s2fin_cli.cli.console import print_json, shown_progress
from s2fin_cli.cli.map_parameters import method_options, with_options, work_options, writing_options
from s2fin_cli.cli.parameters import FilePath, input_options, json_option, verbosity_options
from s2fin_cli.core.errors import S2finError, shortened
from s2fin_cli.core.modality import MODALITIES
from s2fin_cli.workflows.options.classify_all import VECTOR_FORMATS, ClassifyAllOptions, ListOptions

#: The files of each scene.
_OF_EACH_SCENE = {
    "output": click.option(
        "-o", "--output", type=FilePath("FOLDER"), required=True, help="Folder for the maps and the report scenes.json."
    ),
    "polygons": click.option(
        "--vector-format",
        type=click.Choice(VECTOR_FORMATS),
        default=ListOptions.vector_format,
        show_default=True,
        help="Format of the polygons.",
    ),
    "confidence": click.option(
        "--with-confidence", is_flag=True, help="Also write the probability of each pixel's class."
    ),
    "probabilities": click.option(
        "--with-probabilities", is_flag=True, help="Also write the probabilities of all classes."
    ),
    "uncertainty": click.option(
        "--with-uncertainty",
        is_flag=True,
        help="Also write how uncertain each pixel's class is, and how unlike the training data it looks.",
    ),
    "report": click.option("--with-report", is_flag=True, help="Also write a report on each map, .html."),
}


def _map_options(command: Any) -> Any:
    return with_options(command, writing_options(_OF_EACH_SCENE))


@click.command()
@click.argument("scenes", type=FilePath("SCENES"))
@click.option(
    "--images",
    multiple=True,
    metavar="MODALITY=FILES",
    shell_complete=contents.patterns,
    help="Which files of a folder, or assets of STAC items, are which image: a pattern like hsi={name}_hsi.tif with "
    "{name} for the scene's name, or assets like msi=B02,B03. Repeat it for each image.  "
    "[default: {name}/hsi.tif, {name}/lidar.tif and so on; assets named hsi, lidar and so on]",
)
@input_options(without=[*MODALITIES])
@_map_options
@method_options
@partial(work_options, also_mixed="  Finished maps of other versions are kept.")
@json_option
@verbosity_options
def classify_all(*, as_json: bool, **options: Any) -> None:
    """Classify many scenes with one model.

    SCENES is a CSV table with a row for each scene and the columns name, hsi, lidar and so on; a folder; or a STAC item
    collection. A scene that fails does not stop the others. The same command continues after an interruption.
    """
    from s2fin_cli.cli.rendering.maps import log_scenes
    from s2fin_cli.workflows.classify_all import run

    with shown_progress() as progress:
        result = run(ClassifyAllOptions(**options), progress=progress)
    if as_json:
        print_json(result.to_dict())
    log_scenes(result)
    if result.failed:
        raise S2finError(
            f"{len(result.failed)} of {len(result.scenes)} scenes failed "
            f"({shortened([scene.name for scene in result.failed])}); see {result.report}"
        )
