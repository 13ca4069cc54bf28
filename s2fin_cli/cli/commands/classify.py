"""`s2fin classify`."""

from __future__ import annotations

from typing import Any

import click

from s2fin_cli.cli.console import print_json, shown_progress
from s2fin_cli.cli.map_parameters import map_output_options, method_options, mixed_option
from s2fin_cli.cli.parameters import FilePath, input_options, json_option, verbosity_options
from s2fin_cli.workflows.options.classify import ClassifyOptions


@click.command()
@input_options()
@map_output_options
@method_options
@click.option(
    "--work",
    type=FilePath("FOLDER"),
    help="Keep the finished shards of the map here: the same command continues where an earlier one ended.",
)
@click.option(
    "--workers",
    type=int,
    metavar="N",
    help="Make shards in N processes side by side; with CUDA, at most one for each device.  [default: in this process]",
)
@click.option(
    "--shard",
    metavar="I/N",
    help="Make only part I of N of the shards, for one task of a job array, and no map; see s2fin assemble.",
)
@click.option(
    "--shard-size",
    type=int,
    metavar="PIXELS",
    help="Side of a shard, rounded up to whole batches of windows, 16 strides a side.  "
    "[default: up to 1280 by the size of the map]",
)
@mixed_option
@json_option
@verbosity_options
def classify(*, as_json: bool, **options: Any) -> None:
    """Classify a scene with a trained model.

    The map has the passive image's grid; the other images are warped onto it tile by tile. If an image is in several
    files, repeat its option.
    """
    from s2fin_cli.cli.rendering.maps import log_map
    from s2fin_cli.workflows.classify import run

    with shown_progress() as progress:
        result = run(ClassifyOptions(**options), progress=progress)
    log_map(result)
    if as_json:
        print_json(result.to_dict())
