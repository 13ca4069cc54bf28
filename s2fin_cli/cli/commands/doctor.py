"""`s2fin doctor`."""

from __future__ import annotations

from typing import Any

import click

from s2fin_cli.cli.console import print_json, shown_progress
from s2fin_cli.cli.parameters import json_option, verbosity_options
from s2fin_cli.core.options import DEVICES
from s2fin_cli.workflows.options.doctor import DoctorOptions


@click.command()
@click.option(
    "--device",
    type=click.Choice(DEVICES),
    default=DoctorOptions.device,
    show_default=True,
    help="Device of the self test.",
)
@click.option(
    "--self-test/--no-self-test",
    default=DoctorOptions.self_test,
    show_default=True,
    help="Map a small scene to see whether everything works.",
)
@json_option
@verbosity_options
def doctor(*, as_json: bool, **options: Any) -> None:
    """Examine this installation, and say what to do about what does not work.

    Shows versions, devices and their memory, formats that GDAL reads, PROJ's data, threads and disks. The self test
    takes about ten seconds. If anything does not work, the exit code is 1.
    """
    from rich.console import Console

    from s2fin_cli.cli.rendering.findings import print_findings
    from s2fin_cli.workflows.doctor import run

    with shown_progress() as progress:
        result = run(DoctorOptions(**options), progress=progress)
    if as_json:
        print_json(result.to_dict())
    else:
        print_findings(result, Console())
    if result.problems:
        click.get_current_context().exit(1)
