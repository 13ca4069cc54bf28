"""`s2fin assemble`."""

from __future__ import annotations

from typing import Any

import click

from s2fin_cli.cli.console import print_json, shown_progress
from s2fin_cli.cli.map_parameters import map_output_options, mixed_option
from s2fin_cli.cli.parameters import FilePath, json_option, verbosity_options
from s2fin_cli.workflows.options.assemble import AssembleOptions


@click.command()
@click.argument("work", type=FilePath("FOLDER"))
@map_output_options
@mixed_option
@json_option
@verbosity_options
def assemble(*, as_json: bool, **options: Any) -> None:
    """Assemble a map from its shards.

    FOLDER is what s2fin classify was given as --work. The images and the model have to be where they were.
    """
    from s2fin_cli.cli.rendering.maps import log_map
    from s2fin_cli.workflows.assemble import run

    with shown_progress() as progress:
        result = run(AssembleOptions(**options), progress=progress)
    log_map(result)
    if as_json:
        print_json(result.to_dict())
