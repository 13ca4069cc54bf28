"""`s2fin evaluate`."""

from __future__ import annotations

import logging
from typing import Any

import click

from s2fin_cli.cli.completion import contents
from s2fin_cli.cli.console import print_json
from s2fin_cli.cli.parameters import FilePath, json_option, overwrite_option, verbosity_options
from s2fin_cli.workflows.options.evaluate import EvaluateOptions

logger = logging.getLogger(__name__)


@click.command()
@click.option("--map", type=FilePath("MAP"), required=True, help="Class map to assess.")
@click.option(
    "--reference",
    type=FilePath("LABELS"),
    multiple=True,
    required=True,
    help="Polygons, points, or a raster of class numbers; repeat it for several files.",
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
@click.option("-o", "--output", type=FilePath("REPORT"), help="Also write the report: .html, .json, .csv or .md.")
@overwrite_option
@json_option
@verbosity_options
def evaluate(*, as_json: bool, **options: Any) -> None:
    """Assess a map's accuracy against reference labels that it was not trained on."""
    from rich.console import Console

    from s2fin_cli.cli.rendering.reports import print_report
    from s2fin_cli.workflows.evaluate import run

    result = run(EvaluateOptions(**options))
    if result.output is not None:
        logger.info("report: %s", result.output)
    if as_json:
        print_json(result.to_dict())
    else:
        print_report(result.report, Console())
