"""`s2fin report`."""

from __future__ import annotations

import logging
from typing import Any

import click

from s2fin_cli.cli.completion import contents
from s2fin_cli.cli.console import print_json
from s2fin_cli.cli.parameters import FilePath, image_options, json_option, overwrite_option, verbosity_options
from s2fin_cli.workflows.options.report import ReportOptions

logger = logging.getLogger(__name__)


@click.command()
@click.option("--map", type=FilePath("MAP"), required=True, help="Class map to report on.")
@click.option(
    "-m", "--model", type=FilePath("MODEL"), help="Model that made it.  [default: the one that the map names]"
)
@image_options
@click.option("--confidence", type=FilePath("RASTER"), help="Confidence that was written with the map.")
@click.option(
    "--uncertainty",
    type=FilePath("RASTER"),
    help="Uncertainty that was written with the map: show where it looks unlike all training data.",
)
@click.option(
    "--suggestions", type=FilePath("POINTS"), help="Points that s2fin suggest wrote: show the first ones with pictures."
)
@click.option(
    "--reference",
    type=FilePath("LABELS"),
    multiple=True,
    help="Labels that were not used for training: polygons, points, or a raster of class numbers; repeat it for "
    "several files.",
)
@click.option(
    "--label-field",
    shell_complete=contents.fields,
    help="Class field of the reference.  [default: the only possible field]",
)
@click.option(
    "--stratified",
    is_flag=True,
    help="The reference is a random sample within each class of the map, as s2fin sample draws it: estimate accuracies "
    "and class areas of the whole map, with margins of 95 % confidence.",
)
@click.option(
    "-o",
    "--output",
    type=FilePath("REPORT"),
    default=ReportOptions.output,
    show_default=True,
    help="Report to write: .html, .json, .csv or .md.",
)
@overwrite_option
@json_option
@verbosity_options
def report(*, as_json: bool, **options: Any) -> None:
    """Report on a map in one file: what it shows, how accurate it is, what to label next, how it was made.

    The page opens in any browser and loads nothing from anywhere. A map that s2fin classify wrote names its images and
    its model; if they are still there, the report shows them too, and you need not give them.
    """
    from rich.console import Console

    from s2fin_cli.cli.rendering.reports import print_report
    from s2fin_cli.workflows.report import run

    result = run(ReportOptions(**options))
    if as_json:
        print_json(result.to_dict())
    else:
        print_report(result.report, Console())
    logger.info("report: %s", result.output)
