"""`s2fin demo`."""

from __future__ import annotations

import logging
from typing import Any

import click

from s2fin_cli.cli.console import console, print_json, shown_progress
from s2fin_cli.cli.parameters import FilePath, json_option, overwrite_option, verbosity_options
from s2fin_cli.workflows.options.demo import DemoOptions

logger = logging.getLogger(__name__)


@click.command()
@click.option(
    "-o",
    "--output",
    type=FilePath("FOLDER"),
    default=DemoOptions.output,
    show_default=True,
    help="Folder for the results.",
)
@overwrite_option
@json_option
@verbosity_options
def demo(*, as_json: bool, **options: Any) -> None:
    """Train on the example scene, classify it and assess the map.

    The example is part of the package: a Landsat 7 image and a coarser height model of Olinda, Brazil, with hand-drawn
    labels. Nothing is downloaded.
    """
    from s2fin_cli.cli.rendering.reports import print_accuracy
    from s2fin_cli.training.recipe import Recipe
    from s2fin_cli.workflows.demo import run

    # a caller from Python may give another recipe as click's `obj`
    recipe = click.get_current_context().find_object(Recipe)
    with shown_progress() as progress:
        result = run(DemoOptions(**options), recipe=recipe, progress=progress)
    if logger.isEnabledFor(logging.INFO):
        logger.info("accuracy on the validation polygons, which were not used for training:")
        print_accuracy(result.accuracy, console())
    for name, path in result.paths.items():
        logger.info("%s: %s", name, path)
    if as_json:
        print_json(result.to_dict())
