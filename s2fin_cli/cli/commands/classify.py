"""`s2fin classify`."""

from __future__ import annotations

from typing import Any

import click

from s2fin_cli.cli.console import print_json, shown_progress
from s2fin_cli.cli.map_parameters import map_output_options, method_options, work_options
from s2fin_cli.cli.parameters import input_options, json_option, verbosity_options
from s2fin_cli.workflows.options.classify import ClassifyOptions


@click.command()
@input_options()
@map_output_options
@method_options
@work_options
@click.option(
    "--shard",
    metavar="I/N",
    help="Make only part I of N of the shards, for one task of a job array, and no map; see s2fin assemble.",
)
@json_option
@verbosity_options
def classify(*, as_json: bool, **options: Any) -> None:
    """Classify a scene with a trained model.

    The map has the passive image's grid; the other images are warped onto it tile by tile. If an image is in several
    files, repeat its option. An image may also be assets of a STAC item: item.json#assets=red,nir.
    """
    from s2fin_cli.cli.rendering.maps import log_map
    from s2fin_cli.workflows.classify import run

    with shown_progress() as progress:
        result = run(ClassifyOptions(**options), progress=progress)
    log_map(result)
    if as_json:
        print_json(result.to_dict())
