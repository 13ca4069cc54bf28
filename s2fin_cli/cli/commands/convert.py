"""`s2fin convert`."""

from __future__ import annotations

import logging
from typing import Any

import click

from s2fin_cli.cli.console import print_json
from s2fin_cli.cli.parameters import FilePath, json_option, overwrite_option, verbosity_options
from s2fin_cli.workflows.options.convert import ConvertOptions

logger = logging.getLogger(__name__)


@click.command()
@click.argument("src", metavar="FILE", type=FilePath("MATLAB"))
@click.option("-o", "--output", type=FilePath("RASTER"), required=True, help="GeoTIFF to write.")
@click.option("--variable", help="Array to convert, e.g. data_HS_LR or hsi.Data.  [default: the only possible one]")
@click.option("--crs", help="CRS of the array, e.g. EPSG:32615.  [default: none]")
@click.option(
    "--transform",
    type=float,
    nargs=6,
    metavar="A B C D E F",
    help="Affine transform of the grid: pixel width, 0, left edge, 0, minus pixel height, top edge.  [default: none]",
)
@click.option(
    "--wavelengths",
    type=FilePath("FILE|VARIABLE"),
    help="Wavelengths of the bands in nanometres: a variable of the MATLAB file, or a text file with one per band.",
)
@click.option("--classes", type=FilePath("CSV"), help="Class table (id, name, color): the array holds labels.")
@overwrite_option
@json_option
@verbosity_options
def convert(*, as_json: bool, **options: Any) -> None:
    """Convert an array of a MATLAB file to a GeoTIFF.

    Images have rows, columns and bands in this order. With --classes, the result is a label raster with names and
    colours, in which values of 0 or below are unlabelled. Each table [[convert]] of a project file is a file to write.
    """
    from s2fin_cli.workflows.convert import run

    result = run(ConvertOptions(**options))
    logger.info("%s: %s", result.output, " x ".join(map(str, result.shape)))
    if as_json:
        print_json(result.to_dict())
