"""`s2fin classify`."""

from __future__ import annotations

import logging
from typing import Any

import click

from s2fin_cli.cli.console import print_json, shown_progress
from s2fin_cli.cli.parameters import FilePath, input_options, json_option, overwrite_option, verbosity_options
from s2fin_cli.core.formats import RASTER_DRIVERS, VECTOR_OUTPUT_SUFFIXES, listed
from s2fin_cli.core.options import DEFAULT_MODEL, MODEL_VARIABLE, PRECISIONS
from s2fin_cli.workflows.options.classify import ClassifyOptions

logger = logging.getLogger(__name__)


@click.command()
@input_options()
@click.option("-o", "--output", type=FilePath("MAP"), required=True, help="Class map to write, a GeoTIFF.")
@click.option(
    "-m", "--model", type=FilePath("MODEL"), help=f"Model file.  [default: ./{DEFAULT_MODEL}, else ${MODEL_VARIABLE}]"
)
@click.option(
    "--vector/--no-vector",
    default=ClassifyOptions.vector,
    show_default=True,
    help="Write the map's polygons.",
)
@click.option(
    "--polygons",
    type=FilePath("POLYGONS"),
    help=f"File for the polygons: {listed(VECTOR_OUTPUT_SUFFIXES)}.  [default: beside the map, .gpkg]",
)
@click.option(
    "--mmu",
    default=ClassifyOptions.mmu,
    show_default=True,
    metavar="PIXELS",
    help="Minimum mapping unit of the polygons: smaller areas are merged into their largest neighbours. The "
    "raster keeps them.",
)
@click.option(
    "--simplify",
    type=float,
    metavar="DISTANCE",
    help="Smooth the polygons' borders by approximately this much, in CRS units. Neighbours stay joined.",
)
@click.option("--confidence", type=FilePath("RASTER"), help="Also write the probability of each pixel's class.")
@click.option("--probabilities", type=FilePath("RASTER"), help="Also write the probabilities of all classes.")
@click.option("--scaled", is_flag=True, help="Store confidence and probabilities as bytes to save space: 250 is 1.")
@click.option("--stac", is_flag=True, help="Also write a STAC item, beside the map, .json.")
@click.option(
    "-f",
    "--format",
    type=click.Choice(RASTER_DRIVERS),
    default=ClassifyOptions.format,
    show_default=True,
    help="How rasters are written: GeoTIFF, or cloud-optimised GeoTIFF.",
)
@click.option("--co", multiple=True, metavar="NAME=VALUE", help="GDAL creation option of the rasters.")
@overwrite_option
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
@json_option
@verbosity_options
def classify(*, as_json: bool, **options: Any) -> None:
    """Classify a scene with a trained model.

    The map has the passive image's grid; the other images are warped onto it tile by tile. If an image is in several
    files, repeat its option.
    """
    from s2fin_cli.workflows.classify import run

    with shown_progress() as progress:
        result = run(ClassifyOptions(**options), progress=progress)
    total = sum(result.pixels.values())
    for land_cover in result.classes:
        pixels = result.pixels[land_cover.id]
        logger.info("%8.2f %%  %d %s", 100 * pixels / max(total, 1), land_cover.id, land_cover.name)
    if result.nodata_pixels:
        logger.info("%d pixels lack data in an image and are nodata in the map", result.nodata_pixels)
    for name, path in vars(result.outputs).items():
        if path is not None:
            logger.info("%s: %s", name, path)
    if as_json:
        print_json(result.to_dict())
