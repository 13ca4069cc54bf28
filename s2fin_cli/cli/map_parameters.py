"""Options of the commands that write a map."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import click

from s2fin_cli.cli.completion import contents
from s2fin_cli.cli.parameters import FilePath, overwrite_option
from s2fin_cli.core.formats import RASTER_DRIVERS, VECTOR_OUTPUT_SUFFIXES, listed
from s2fin_cli.core.map_options import MethodOptions, PolygonOptions, RasterOptions
from s2fin_cli.core.options import DEFAULT_MODEL, MODEL_VARIABLE, PRECISIONS, READ_ERRORS
from s2fin_cli.workflows.options.classify import ComputingOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Command = Callable[..., Any]


def map_output_options(command: Command) -> Command:
    """What is written of a map, and how."""
    return with_options(command, writing_options(_OF_ONE_MAP))


def with_options(command: Command, options: Sequence[Callable[[Command], Command]]) -> Command:
    """A command with options, which its help shows in their order."""
    for option in reversed(options):
        command = option(command)
    return command


#: The files of one map.
_OF_ONE_MAP = {
    "output": click.option(
        "-o",
        "--output",
        type=FilePath("MAP"),
        required=True,
        help="Class map to write, a GeoTIFF; or s3://bucket/map.tif.",
    ),
    "polygons": click.option(
        "--polygons",
        type=FilePath("POLYGONS"),
        help=f"File for the polygons: {listed(VECTOR_OUTPUT_SUFFIXES)}.  [default: beside the map, .gpkg]",
    ),
    "confidence": click.option(
        "--confidence", type=FilePath("RASTER"), help="Also write the probability of each pixel's class."
    ),
    "probabilities": click.option(
        "--probabilities", type=FilePath("RASTER"), help="Also write the probabilities of all classes."
    ),
    "uncertainty": click.option(
        "--uncertainty",
        type=FilePath("RASTER"),
        help="Also write how uncertain each pixel's class is: entropy, margin, disagreement of the teacher's members, "
        "and dissimilarity to the training data (above 1 the map leaves what was learnt).",
    ),
    "report": click.option(
        "--report", type=FilePath("REPORT"), help="Also write a report on the map: .html, .json, .csv or .md."
    ),
}


def writing_options(files: Mapping[str, Callable[[Command], Command]]) -> list[Callable[[Command], Command]]:
    """What is written of maps, and how.

    Args:
        files: the options that say which files are written: output, polygons, confidence, probabilities, uncertainty
            and report.
    """
    return [
        files["output"],
        *polygon_options(files["polygons"], of="map"),
        files["confidence"],
        files["probabilities"],
        files["uncertainty"],
        files["report"],
        click.option(
            "--scaled", is_flag=True, help="Store confidence and probabilities as bytes to save space: 250 is 1."
        ),
        click.option("--stac", is_flag=True, help="Also write a STAC item, beside the map, .json."),
        *raster_options(),
        overwrite_option,
    ]


def polygon_options(file: Callable[[Command], Command], *, of: str) -> list[Callable[[Command], Command]]:
    """Whether and how polygons are written.

    Args:
        file: the option that says where to.
        of: what they are the polygons of.
    """
    return [
        click.option(
            "--vector/--no-vector",
            default=PolygonOptions.vector,
            show_default=True,
            help=f"Write the {of}'{'' if of.endswith('s') else 's'} polygons.",
        ),
        file,
        click.option(
            "--mmu",
            default=PolygonOptions.mmu,
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


def raster_options() -> list[Callable[[Command], Command]]:
    """How rasters are written."""
    return [
        click.option(
            "-f",
            "--format",
            type=click.Choice(RASTER_DRIVERS),
            default=RasterOptions.format,
            show_default=True,
            help="How rasters are written: GeoTIFF, or cloud-optimised GeoTIFF.",
        ),
        click.option("--co", multiple=True, metavar="NAME=VALUE", help="GDAL creation option of the rasters."),
    ]


_PRIOR = click.option(
    "--prior",
    multiple=True,
    metavar="CLASS=PERCENT",
    shell_complete=contents.shares,
    help="Approximate share of the mapped area that a class (its name or number) covers; repeat it for "
    "each class that you know, with 0 to exclude one. The others share the rest.",
)
_READ_ERRORS = click.option(
    "--on-read-error",
    type=click.Choice(READ_ERRORS),
    default=ComputingOptions.on_read_error,
    show_default=True,
    help="What to do where a part of an image cannot be read, as in a damaged file: fail, or skip its pixels, which "
    "become nodata, and list them.",
)


def method_options(command: Command) -> Command:
    """The model, and how its probabilities become a map."""
    return with_options(
        command,
        [
            click.option(
                "-m",
                "--model",
                type=FilePath("MODEL"),
                help=f"Model file.  [default: ./{DEFAULT_MODEL}, else ${MODEL_VARIABLE}]",
            ),
            click.option(
                "--stride",
                type=int,
                help="Pixels from one window to the next: odd, and at most the side of the model's output block (5 "
                "pixels, or 3 if its labels were dense). With 1 each pixel gets its own window, which takes longest.  "
                "[default: that side]",
            ),
            click.option(
                "--smooth", is_flag=True, help="Average each pixel's probabilities with those of similar pixels nearby."
            ),
            _PRIOR,
            click.option(
                "--precision",
                type=click.Choice(PRECISIONS),
                default=MethodOptions.precision,
                show_default=True,
                help="Precision of the network's matrix products. bfloat16 is faster on devices that support it in "
                "hardware, and slower on others.",
            ),
            _READ_ERRORS,
            click.option(
                "--tile-size",
                type=int,
                help="Side in pixels of the tiles that are read and computed at a time, in wider tiles where the image "
                "is stored in strips; it does not change the map.  [default: 256; 640 on CUDA]",
            ),
        ],
    )


def work_options(command: Command, *, also_mixed: str = "") -> Command:
    """Where shards are kept, how large they are, and which processes make them; and what else `mixed` allows."""
    return with_options(
        command,
        [
            click.option(
                "--work",
                type=FilePath("FOLDER"),
                help="Keep the finished shards here: the same command continues where an earlier one ended.",
            ),
            click.option(
                "--workers",
                type=int,
                metavar="N",
                help="Make shards in N processes side by side; with CUDA, at most one for each device.  "
                "[default: in this process]",
            ),
            click.option(
                "--scheduler",
                metavar="ADDRESS",
                help="Let the workers of a Dask cluster make the shards, e.g. tcp://host:8786; it needs --work on a "
                "disk that all machines share.",
            ),
            click.option(
                "--shard-size",
                type=int,
                metavar="PIXELS",
                help="Side of a shard, rounded up to whole batches of windows, 16 strides a side.  "
                "[default: up to 1280 by the size of the map]",
            ),
            partial(mixed_option, also=also_mixed),
        ],
    )


def mixed_option(command: Command, *, also: str = "") -> Command:
    """Whether shards of machines that differ may be combined; and what else that allows."""
    return click.option(
        "--mixed",
        is_flag=True,
        help="Combine shards of different processors, devices or versions; the last bits of the confidence may differ."
        + also,
    )(command)
