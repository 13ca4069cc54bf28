"""`s2fin inspect`."""

from __future__ import annotations

import click

from s2fin_cli.options import FilePath, json_option, print_json, verbosity_options


@click.command()
@click.argument("file", type=FilePath())
@json_option
@verbosity_options
def inspect(*, file: str, as_json: bool) -> None:
    """Show what a raster or a model file holds."""
    from rich.console import Console

    from s2fin_cli.inspection import describe, print_description

    description = describe(file)
    if as_json:
        print_json(description)
    else:
        print_description(description, Console())
