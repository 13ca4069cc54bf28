"""`s2fin compare`."""

from __future__ import annotations

import logging
from typing import Any

import click

from s2fin_cli.cli.completion import contents
from s2fin_cli.cli.console import print_json, shown_progress
from s2fin_cli.cli.map_parameters import polygon_options, raster_options, with_options
from s2fin_cli.cli.parameters import FilePath, json_option, overwrite_option, verbosity_options
from s2fin_cli.core.formats import VECTOR_OUTPUT_SUFFIXES, listed
from s2fin_cli.workflows.options.compare import CompareOptions

logger = logging.getLogger(__name__)

_FILES = [
    click.option("--before", type=FilePath("MAP"), required=True, help="Class map of the earlier date."),
    click.option("--after", type=FilePath("MAP"), required=True, help="Class map of the later date, on the same grid."),
    click.option("-o", "--output", type=FilePath("MAP"), help="Change map to write, a GeoTIFF."),
]
_POLYGONS = click.option(
    "--polygons",
    type=FilePath("POLYGONS"),
    help=f"File for the polygons of the changes: {listed(VECTOR_OUTPUT_SUFFIXES)}.  "
    "[default: beside the change map, .gpkg]",
)
_REFERENCE = [
    click.option(
        "--reference",
        type=FilePath("POINTS"),
        help="Points that s2fin sample drew from the change map, with the classes before and after filled in: estimate "
        "the areas that really changed, with margins of 95 % confidence.",
    ),
    click.option(
        "--label-field",
        shell_complete=contents.fields,
        help="Field of the reference that holds transitions such as 'forest -> water'.  [default: its fields before "
        "and after, else the only possible field]",
    ),
    click.option("--report", type=FilePath("REPORT"), help="Also write the report: .json, .csv or .md."),
]


@click.command()
@lambda command: with_options(
    command, [*_FILES, *polygon_options(_POLYGONS, of="changes"), *_REFERENCE, *raster_options(), overwrite_option]
)
@json_option
@verbosity_options
def compare(*, as_json: bool, **options: Any) -> None:
    """Compare two class maps of one place: which class became which, where, and how much.

    The change map has a value and a name for each transition, such as "forest -> water". Draw points from it with
    s2fin sample, fill in what was there before and after, and give them as --reference to estimate the true areas.
    """
    from rich.console import Console

    from s2fin_cli.cli.rendering.changes import print_changes
    from s2fin_cli.workflows.compare import run

    with shown_progress() as progress:
        result = run(CompareOptions(**options), progress=progress)
    for name, path in (("change map", result.output), ("polygons", result.polygons), ("report", result.report_file)):
        if path is not None:
            logger.info("%s: %s", name, path)
    if as_json:
        print_json(result.to_dict())
    else:
        print_changes(result.report, Console())
