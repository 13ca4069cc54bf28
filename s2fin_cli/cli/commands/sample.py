"""`s2fin sample`."""

from __future__ import annotations

import logging
from typing import Any

import click

from s2fin_cli.cli.console import print_json
from s2fin_cli.cli.parameters import FilePath, json_option, overwrite_option, verbosity_options
from s2fin_cli.core.formats import VECTOR_OUTPUT_SUFFIXES, listed
from s2fin_cli.workflows.options.sample import SampleOptions

logger = logging.getLogger(__name__)


@click.command()
@click.option("--map", type=FilePath("MAP"), required=True, help="Class map to sample.")
@click.option(
    "-o", "--output", type=FilePath("POINTS"), required=True, help=f"Points to write: {listed(VECTOR_OUTPUT_SUFFIXES)}."
)
@click.option("--size", default=SampleOptions.size, show_default=True, help="Number of points in all.")
@click.option("--least", default=SampleOptions.least, show_default=True, help="Fewest points per class.")
@click.option("--seed", default=SampleOptions.seed, show_default=True, help="Seed of all random choices.")
@overwrite_option
@json_option
@verbosity_options
def sample(*, as_json: bool, **options: Any) -> None:
    """Draw a stratified random sample of a map for interpreters.

    The points have an empty field for the true class. Once it is filled in, s2fin evaluate --stratified estimates
    accuracies and class areas with their margins of error.
    """
    from s2fin_cli.workflows.sample import run

    result = run(SampleOptions(**options))
    logger.info("%d points: %s", sum(result.points.values()), result.output)
    if as_json:
        print_json(result.to_dict())
