"""`s2fin suggest`."""

from __future__ import annotations

from functools import partial
from typing import Any

import click

from s2fin_cli.cli.console import print_json, shown_progress
from s2fin_cli.cli.parameters import (
    FilePath,
    input_options,
    json_option,
    label_options,
    overwrite_option,
    verbosity_options,
)
from s2fin_cli.core.formats import VECTOR_OUTPUT_SUFFIXES, listed
from s2fin_cli.core.options import DEFAULT_MODEL, MODEL_VARIABLE
from s2fin_cli.workflows.options.suggest import SuggestOptions


@click.command()
@input_options()
@click.option(
    "-m", "--model", type=FilePath("MODEL"), help=f"Model file.  [default: ./{DEFAULT_MODEL}, else ${MODEL_VARIABLE}]"
)
@partial(
    label_options,
    required=False,
    more=" With labels, places are also chosen where classifiers trained on them disagree or where pixels look unlike "
    "the labels; no place near a label is suggested.",
)
@click.option(
    "--probabilities",
    type=FilePath("RASTER"),
    help="Probabilities that s2fin classify --probabilities wrote of these images with this model.  "
    "[default: computed where they are needed]",
)
@click.option(
    "-o", "--output", type=FilePath("POINTS"), required=True, help=f"Points to write: {listed(VECTOR_OUTPUT_SUFFIXES)}."
)
@click.option("-n", "--number", default=SuggestOptions.number, show_default=True, help="Number of places.")
@click.option(
    "--distance",
    default=SuggestOptions.distance,
    show_default=True,
    metavar="PIXELS",
    help="Fewest pixels from one place to the next, and to the labels, in rows or in columns.",
)
@click.option("--seed", default=SuggestOptions.seed, show_default=True, help="Seed of all random choices.")
@overwrite_option
@json_option
@verbosity_options
def suggest(*, as_json: bool, **options: Any) -> None:
    """Suggest the places where a label is worth most.

    The points have an empty class field, for which QGIS offers the names of the classes, the two likeliest classes, and
    why each place was chosen. Fill in the classes that you are sure of, and give the file to s2fin train as a further
    --labels.
    """
    from s2fin_cli.cli.rendering.suggestions import log_suggestions
    from s2fin_cli.workflows.suggest import run

    with shown_progress() as progress:
        result = run(SuggestOptions(**options), progress=progress)
    log_suggestions(result)
    if as_json:
        print_json(result.to_dict())
