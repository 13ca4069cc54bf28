"""`s2fin inspect`."""

from __future__ import annotations

import logging

import click

from s2fin_cli.cli.console import print_json
from s2fin_cli.cli.parameters import FilePath, json_option, overwrite_option, verbosity_options

logger = logging.getLogger(__name__)


@click.command()
@click.argument("file", type=FilePath())
@click.option("--stac", type=FilePath(), help="Write the STAC item that a model carries (MLM extension), .json.")
@overwrite_option
@json_option
@verbosity_options
def inspect(*, file: str, stac: str | None, overwrite: bool, as_json: bool) -> None:
    """Show what a raster or a model file holds."""
    from rich.console import Console

    from s2fin_cli.workflows.inspect import describe, print_description, write_item

    if stac is not None:
        write_item(file, stac, overwrite=overwrite)
        logger.info("STAC item: %s", stac)
    description = describe(file)
    if as_json:
        print_json(description)
    else:
        print_description(description, Console())
