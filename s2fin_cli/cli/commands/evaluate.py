"""`s2fin evaluate`."""

from __future__ import annotations

import logging
from pathlib import Path

import click

from s2fin_cli.cli.console import print_json
from s2fin_cli.cli.parameters import FilePath, json_option, overwrite_option, verbosity_options

logger = logging.getLogger(__name__)


@click.command()
@click.option("--map", "map_path", type=FilePath(), required=True, help="Class map to assess.")
@click.option("--reference", type=FilePath(), required=True, help="Polygons, points, or a raster of class numbers.")
@click.option("--label-field", help="The reference's class field.  [default: the only one that can be it]")
@click.option(
    "--stratified",
    is_flag=True,
    help="The reference is a random sample within each class of the map, as s2fin sample draws it: estimate accuracies "
    "and class areas of the whole map, with margins of 95 % confidence.",
)
@click.option("-o", "--output", type=FilePath(), help="Also write the report: .json, .csv or .md.")
@overwrite_option
@json_option
@verbosity_options
def evaluate(
    *,
    map_path: str,
    reference: str,
    label_field: str | None,
    stratified: bool,
    output: str | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Assess a map's accuracy against reference labels that it was not trained on."""
    from rich.console import Console

    from s2fin_cli.assess.reports import check_report, print_report, to_dict, write_report
    from s2fin_cli.workflows.evaluate import evaluate as run
    from s2fin_cli.workflows.evaluate import evaluate_stratified

    if output is not None:
        check_report(Path(output), overwrite=overwrite, inputs=[map_path, reference])
    adjusted = evaluate_stratified(map_path, reference, label_field=label_field) if stratified else None
    accuracy = run(map_path, reference, label_field=label_field) if adjusted is None else adjusted.sample
    if output is not None:
        write_report(accuracy, Path(output), adjusted)
        logger.info("report: %s", output)
    if as_json:
        print_json(to_dict(accuracy, adjusted))
    else:
        print_report(accuracy, Console(), adjusted)
