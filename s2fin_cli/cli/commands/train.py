"""`s2fin train`."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import click

from s2fin_cli.cli.console import console, print_json, shown_progress
from s2fin_cli.cli.parameters import (
    FilePath,
    input_options,
    json_option,
    label_options,
    overwrite_option,
    verbosity_options,
)
from s2fin_cli.cli.signals import interrupts_ignored, stop_on_signals
from s2fin_cli.core.options import SPLITS
from s2fin_cli.workflows.options.train import TrainOptions

if TYPE_CHECKING:
    from s2fin_cli.workflows.train import TrainResult

logger = logging.getLogger(__name__)


@click.command()
@input_options()
@label_options
@click.option(
    "-o", "--output", type=FilePath("MODEL"), default=TrainOptions.output, show_default=True, help="Model to write."
)
@click.option(
    "--init",
    type=FilePath("MODEL"),
    help="Model of another scene to start from, with the same images, bands and classes.",
)
@click.option("--report", type=FilePath("REPORT"), help="Also write what training found: .html, .json, .csv or .md.")
@overwrite_option
@click.option(
    "--patch-size", default=TrainOptions.patch_size, show_default=True, help="Side in pixels of a window, odd, 5 to 21."
)
@click.option(
    "--epochs",
    default=TrainOptions.epochs,
    show_default=True,
    help="Rounds of training; one is 16 to 80 steps.",
)
@click.option("--batch-size", default=TrainOptions.batch_size, show_default=True, help="Windows per step.")
@click.option(
    "--learning-rate",
    default=TrainOptions.learning_rate,
    show_default=True,
    help="Peak learning rate; doubled where labels are dense.",
)
@click.option(
    "--labels-per-class",
    default=TrainOptions.labels_per_class,
    show_default=True,
    help="Most training pixels of one class.",
)
@click.option(
    "--split",
    type=click.Choice(SPLITS),
    default=TrainOptions.split,
    show_default=True,
    help="How validation pixels are held out: whole polygons, spatial blocks with a buffer, or single random "
    "pixels (which overestimates the accuracy); auto takes polygons for polygons, else blocks.",
)
@click.option(
    "--validation",
    default=TrainOptions.validation,
    show_default=True,
    help="Share of the labels to hold out for validation; none if it is 0, or if the median class has fewer than 40 "
    "labels.",
)
@click.option(
    "--refit/--no-refit",
    default=TrainOptions.refit,
    show_default=True,
    help="After validation, train the final model on all labels.",
)
@click.option("--seed", default=TrainOptions.seed, show_default=True, help="Seed of all random choices.")
@json_option
@verbosity_options
def train(*, as_json: bool, **options: Any) -> None:
    """Train a model on images and labels.

    The passive image (--hsi, else --msi) sets the grid; the other images are warped onto it. If an image is in several
    files, repeat its option. An image may also be assets of a STAC item: item.json#assets=red,nir. Without a second
    image, the passive image's spectral components are used as one.

    First an ensemble of simple classifiers learns from the labels, and labels pixels all over the images; then the
    network learns from both.
    """
    from s2fin_cli.training.recipe import Recipe
    from s2fin_cli.workflows.train import run

    # a caller from Python may give another recipe as click's `obj`
    recipe = click.get_current_context().find_object(Recipe)
    with shown_progress() as progress, stop_on_signals() as stop:
        result = run(TrainOptions(**options), recipe=recipe, progress=progress, stop=stop)
    with interrupts_ignored():
        _report(result)
    if as_json:
        print_json(result.to_dict())


def _report(result: TrainResult) -> None:
    """Log how the training ended, the accuracy and where the model is."""
    from s2fin_cli.cli.rendering.reports import print_accuracy

    if result.outcome.interrupted:
        if result.accuracy is None:
            logger.warning("interrupted: the model of epoch %d is kept", result.outcome.epochs)
        else:
            logger.warning("interrupted: the validated model, trained without the held-out labels, is kept")
    if result.accuracy is not None and logger.isEnabledFor(logging.INFO):
        when = ", before the final training on all labels" if result.info.training["refitted"] else ""
        logger.info("accuracy on the pixels held out%s:", when)
        print_accuracy(result.accuracy, console())
    elif result.teacher is not None and logger.isEnabledFor(logging.INFO):
        logger.info("accuracy of the ensemble that taught the network, by cross-validation on the labels:")
        print_accuracy(result.teacher, console())
    logger.info("model: %s", result.model)
    if result.report is not None:
        logger.info("report: %s", result.report)
