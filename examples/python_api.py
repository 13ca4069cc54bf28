"""Train a model, classify the scene and look at the results, all from Python.

Without arguments it works on the Olinda example beside this file: a Landsat 7 image, a coarser height model and
hand-drawn polygons. With few epochs the map is a rough one; the command line's default is more. With `--in-memory`,
images and labels are opened here and handed over as an array and a frame, and the map comes back as a dataset.

    python examples/python_api.py
    python examples/python_api.py --in-memory
    python examples/python_api.py --msi my_image.tif --dsm my_heights.tif --labels my_polygons.gpkg --epochs 10
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import geopandas as gpd

import s2fin_cli
from s2fin_cli.core.errors import S2finError

OLINDA = Path(__file__).parent / "olinda"


def parse_arguments() -> argparse.Namespace:
    """The command line's values."""
    parser = argparse.ArgumentParser(description="Train, classify and summarise with the Python API of s2fin.")
    parser.add_argument("--msi", type=Path, default=OLINDA / "L7_ETMs.tif", help="multispectral image")
    parser.add_argument("--dsm", type=Path, default=OLINDA / "olinda_dem_utm25s.tif", help="surface heights")
    parser.add_argument("--labels", type=Path, default=OLINDA / "training.shp", help="labelled polygons")
    parser.add_argument("--epochs", type=int, default=2, help="rounds of training at most (default: 2)")
    parser.add_argument("--in-memory", action="store_true", help="hand over arrays and frames; needs the extra xarray")
    parser.add_argument("--output", type=Path, help="folder for model and map (default: a temporary one)")
    return parser.parse_args()


def run(arguments: argparse.Namespace, folder: Path) -> None:
    """Train, classify, and print what came out."""
    images = {"msi": arguments.msi, "dsm": arguments.dsm}
    trained = s2fin_cli.train(
        **images, labels=arguments.labels, output=folder / "model.s2fin", epochs=arguments.epochs, patch_size=5
    )
    if trained.accuracy is not None:
        print(f"overall accuracy on held-out polygons: {100 * trained.accuracy.overall_accuracy:.1f} %")

    result = s2fin_cli.classify(**images, model=trained.model, output=folder / "map.tif")
    total = sum(result.pixels.values())
    for land_cover in result.classes:
        print(f"{100 * result.pixels[land_cover.id] / total:6.2f} %  {land_cover.name}")

    polygons = gpd.read_file(result.outputs.polygons, layer="landcover")
    largest = polygons.loc[polygons["area_m2"].idxmax()]
    print(f"{len(polygons)} polygons; the largest: {largest['class_name']}, {largest['area_m2'] / 1e6:.2f} km²")


def run_in_memory(arguments: argparse.Namespace, folder: Path) -> None:
    """Train on an array and a frame, predict into memory, and print what came out."""
    import rioxarray  # noqa: PLC0415  an extra

    images: dict[str, Any] = {name: rioxarray.open_rasterio(getattr(arguments, name)) for name in ("msi", "dsm")}
    labels = gpd.read_file(arguments.labels)
    trained = s2fin_cli.train(
        **images, labels=labels, output=folder / "model.s2fin", epochs=arguments.epochs, patch_size=5
    )
    found = s2fin_cli.predict(**images, model=trained.model)

    shown = found["class"]
    for number, name in zip(shown.attrs["flag_values"], shown.attrs["class_names"], strict=True):
        print(f"{100 * float((shown == number).mean()):6.2f} %  {name}")
    print(f"{shown.sizes['y']} x {shown.sizes['x']} pixels, mean confidence {float(found['confidence'].mean()):.2f}")


def main() -> None:
    """Work in the folder that was named, else in a temporary one."""
    arguments = parse_arguments()
    try:
        work = run_in_memory if arguments.in_memory else run
        if arguments.output is not None:
            work(arguments, arguments.output)
            return
        with tempfile.TemporaryDirectory() as folder:
            work(arguments, Path(folder))
    except S2finError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
