"""`s2fin classify`."""

from __future__ import annotations

from typing import Any

import click

from s2fin_cli.cli.console import print_json, shown_progress
from s2fin_cli.cli.map_parameters import map_output_options, mixed_option
from s2fin_cli.cli.parameters import FilePath, input_options, json_option, verbosity_options
from s2fin_cli.core.options import DEFAULT_MODEL, MODEL_VARIABLE, PRECISIONS
from s2fin_cli.workflows.options.classify import ClassifyOptions


@click.command()
@input_options()
@map_output_options
@click.option(
    "-m", "--model", type=FilePath("MODEL"), help=f"Model file.  [default: ./{DEFAULT_MODEL}, else ${MODEL_VARIABLE}]"
)
@click.option(
    "--stride",
    type=int,
    help="Pixels from one window to the next: odd, and at most the side of the model's output block (5 pixels, or 3 if "
    "its labels were dense). With 1 each pixel gets its own window, which takes longest.  [default: that side]",
)
@click.option("--smooth", is_flag=True, help="Average each pixel's probabilities with those of similar pixels nearby.")
@click.option(
    "--prior",
    multiple=True,
    metavar="CLASS=PERCENT",
    help="Approximate share of the mapped area that a class (its name or number) covers; repeat it for each class that "
    "you know, with 0 to exclude one. The others share the rest.",
)
@click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    default=ClassifyOptions.precision,
    show_default=True,
    help="Precision of the network's matrix products. bfloat16 is faster on devices that support it in hardware, and "
    "slower on others.",
)
@click.option(
    "--tile-size",
    type=int,
    default=ClassifyOptions.tile_size,
    help="Side in pixels of the tiles that are read and computed at a time, in wider tiles where the image is stored "
    "in strips; it does not change the map.  [default: 256; 640 on CUDA]",
)
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
