"""`s2fin inspect`."""

from __future__ import annotations

import logging
from typing import Any

import click

from s2fin_cli.cli.console import print_json
from s2fin_cli.cli.parameters import FilePath, json_option, overwrite_option, verbosity_options
from s2fin_cli.workflows.options.inspect import InspectOptions

logger = logging.getLogger(__name__)


@click.command()
@click.argument("src", metavar="FILE", type=FilePath())
@click.option("--stac", type=FilePath("ITEM"), help="Write the STAC item that a model carries (MLM extension), .json.")
@overwrite_option
@json_option
@verbosity_options
def inspect(*, as_json: bool, **options: Any) -> None:
    """Show what a raster, a vector file, a model file or a STAC file holds.

    Of a STAC file it lists the items and the assets that may be images. FILE#assets=red,nir also shows the image that
    these assets make.
    """
    from rich.console import Console

    from s2fin_cli.cli.rendering.descriptions import print_description
    from s2fin_cli.workflows.inspect import run

    result = run(InspectOptions(**options))
    if result.stac is not None:
        logger.info("STAC item: %s", result.stac)
    if as_json:
        print_json(result.to_dict())
    else:
        print_description(result.description, Console())
