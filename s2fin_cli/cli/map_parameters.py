"""Options of the commands that write a map."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from s2fin_cli.cli.parameters import FilePath, overwrite_option
from s2fin_cli.core.formats import RASTER_DRIVERS, VECTOR_OUTPUT_SUFFIXES, listed
from s2fin_cli.core.map_options import OutputOptions

if TYPE_CHECKING:
    from collections.abc import Callable

    Command = Callable[..., Any]


def map_output_options(command: Command) -> Command:
    """What is written of a map, and how."""
    for option in reversed([*_polygon_options(), *_raster_options(), overwrite_option]):
        command = option(command)
    return command


def _polygon_options() -> list[Callable[[Command], Command]]:
    """The map, and how its polygons are written."""
    return [
        click.option("-o", "--output", type=FilePath("MAP"), required=True, help="Class map to write, a GeoTIFF."),
        click.option(
            "--vector/--no-vector",
            default=OutputOptions.vector,
            show_default=True,
            help="Write the map's polygons.",
        ),
        click.option(
            "--polygons",
            type=FilePath("POLYGONS"),
            help=f"File for the polygons: {listed(VECTOR_OUTPUT_SUFFIXES)}.  [default: beside the map, .gpkg]",
        ),
        click.option(
            "--mmu",
            default=OutputOptions.mmu,
            show_default=True,
            metavar="PIXELS",
            help="Minimum mapping unit of the polygons: smaller areas are merged into their largest neighbours. The "
            "raster keeps them.",
        ),
        click.option(
            "--simplify",
            type=float,
            metavar="DISTANCE",
            help="Smooth the polygons' borders by approximately this much, in CRS units. Neighbours stay joined.",
        ),
    ]


def _raster_options() -> list[Callable[[Command], Command]]:
    """Other files beside the map, and how rasters are written."""
    return [
        click.option("--confidence", type=FilePath("RASTER"), help="Also write the probability of each pixel's class."),
        click.option("--probabilities", type=FilePath("RASTER"), help="Also write the probabilities of all classes."),
        click.option(
            "--scaled", is_flag=True, help="Store confidence and probabilities as bytes to save space: 250 is 1."
        ),
        click.option("--stac", is_flag=True, help="Also write a STAC item, beside the map, .json."),
        click.option(
            "-f",
            "--format",
            type=click.Choice(RASTER_DRIVERS),
            default=OutputOptions.format,
            show_default=True,
            help="How rasters are written: GeoTIFF, or cloud-optimised GeoTIFF.",
        ),
        click.option("--co", multiple=True, metavar="NAME=VALUE", help="GDAL creation option of the rasters."),
    ]


def mixed_option(command: Command) -> Command:
    """Whether shards of machines that differ may be combined."""
    return click.option(
        "--mixed",
        is_flag=True,
        help="Combine shards of different processors, devices or versions; the last bits of the confidence may differ.",
    )(command)
