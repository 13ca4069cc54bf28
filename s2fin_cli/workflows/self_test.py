"""A small scene that is made, learnt, mapped and looked at again: whether an installation really works."""

from __future__ import annotations

import functools
import logging
import tempfile
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import geopandas as gpd
import numpy as np
import pyogrio
import shapely
import torch
from affine import Affine
from rasterio.crs import CRS
from rasterio.errors import CRSError

from s2fin import S2Fin, S2FinConfig
from s2fin_cli.core.device import pick_device
from s2fin_cli.core.errors import S2finError, UsageError
from s2fin_cli.core.progress import Stopped
from s2fin_cli.geo.grid import Grid
from s2fin_cli.geo.pixels import transformed
from s2fin_cli.installation.finding import GOOD, PROBLEM, Finding
from s2fin_cli.raster.opening import open_raster
from s2fin_cli.raster.write import create_image
from s2fin_cli.teaching.recipe import EnsembleRecipe
from s2fin_cli.training.recipe import ContextSteps, Recipe, Steps
from s2fin_cli.vector.polygons import LAYER
from s2fin_cli.vector.write import write_features
from s2fin_cli.workflows.classify import run as classify
from s2fin_cli.workflows.options.classify import ClassifyOptions
from s2fin_cli.workflows.options.train import TrainOptions
from s2fin_cli.workflows.train import run as train

if TYPE_CHECKING:
    from collections.abc import Iterator

    from s2fin_cli.core.progress import Progress
    from s2fin_cli.workflows.classify import ClassifyResult

#: What to do about a problem that the user cannot mend.
REPORT = "report it, with the output of s2fin doctor"
#: The share of a logit by which float32 may differ from float64, and one device from another.
TOLERANCE = 1e-3
#: Pixels a side of the scene and of each field in it, and of the square with a label in the middle of a field.
SIDE, FIELD, LABELLED = 48, 16, 6
#: Mean values of the image's bands, and heights, of the classes.
VALUES = {"forest": (40, 60, 40, 160), "meadow": (60, 90, 60, 220), "water": (50, 40, 25, 15)}
HEIGHTS = {"forest": 18.0, "meadow": 1.0, "water": 0.0}
#: The share of the pixels that the map has to have right; the classes are very different.
LEAST_RIGHT = 0.9
#: Seconds of training are enough for such classes.
NETWORK = {"width": 8, "map_width": 8, "deep_width": 8, "context_width": 16, "max_tokens": 3, "heads": 2}
RECIPE = Recipe(
    ensemble=EnsembleRecipe(trees=8, trees_to_validate=4, rounds=8), context=ContextSteps(steps=10),
    steps=replace(Steps(), fewest=10, most=10),
)  # fmt: skip


def try_network(device: str) -> Finding:
    """Compare a network's logits on a device with those of the processor in double precision.

    Args:
        device: the option `device`.
    """
    try:
        where = pick_device(device)
        difference = _difference(where)
    except (UsageError, RuntimeError) as error:
        return Finding("network", PROBLEM, f"it does not compute: {error}", 'compute with `device="cpu"`')
    found = f"logits on {where} differ from those in double precision by {difference:.1e} of their size"
    if difference <= TOLERANCE:
        return Finding("network", GOOD, found)
    remedy = 'compute with `device="cpu"`' if where.type != "cpu" else "install another build of torch"
    return Finding("network", PROBLEM, f"{found}, and {TOLERANCE:.0e} is the most", f"{remedy}, and {REPORT}")


def _difference(device: torch.device) -> float:
    """The largest difference of logits, as a share of the largest logit."""
    with torch.random.fork_rng(), torch.inference_mode():
        torch.manual_seed(0)
        network = S2Fin(S2FinConfig(in_channels=4, aux_channels=1, num_classes=3)).eval()
        images = [torch.randn(8, channels, network.input_size, network.input_size) for channels in (4, 1)]
        found = network.to(device)(*(image.to(device) for image in images)).double().cpu()
        right = network.cpu().double()(*(image.double() for image in images))
    return float((found - right).abs().max() / right.abs().max())


def try_map(device: str, *, progress: Progress) -> Finding:
    """Make a scene of three classes, learn it, classify it, and read the map and its polygons again.

    Args:
        device: the option `device`.
        progress: called as the work advances.

    Raises:
        Stopped: it was asked to end.
    """
    start = time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="s2fin-") as name, _quiet():
            folder = Path(name)
            images = _write_scene(folder)
            model = folder / "model.s2fin"
            short: dict[str, Any] = {"patch_size": 5, "epochs": 4, "batch_size": 16, "refit": False, "device": device}
            options = TrainOptions(**images, labels=folder / "labels.gpkg", output=model, **short)
            train(options, network=NETWORK, recipe=RECIPE, progress=progress)
            mapped = ClassifyOptions(**images, model=model, output=folder / "map.tif", device=device)
            wrong = _whats_wrong(classify(mapped, progress=progress))
    except Stopped:
        raise
    except (S2finError, CRSError, OSError, RuntimeError) as error:
        return Finding("map", PROBLEM, f"a small scene could not be mapped: {error}", REPORT)
    if wrong is not None:
        return Finding("map", PROBLEM, f"a small scene was mapped, and {wrong}", REPORT)
    seconds = time.monotonic() - start
    return Finding("map", GOOD, f"a small scene was learnt and mapped in {seconds:.1f} s, and the map is right")


@contextmanager
def _quiet() -> Iterator[None]:
    """Say nothing about the scene, which is not the user's."""
    own = logging.getLogger("s2fin_cli")
    level = own.level
    own.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        own.setLevel(level)


@functools.cache  # only now: it asks PROJ, which the installation may lack
def _grid() -> Grid:
    """Where the scene is."""
    return Grid(CRS.from_epsg(32632), Affine(10, 0, 500_000, 0, -10, 5_000_000), (SIDE, SIDE))


def _truth() -> np.ndarray[Any, np.dtype[np.int64]]:
    """Numbers of the classes (SIDE, SIDE), from 0: fields in a row below each other, shifted by one each."""
    fields = SIDE // FIELD
    layout = np.add.outer(np.arange(fields), np.arange(fields)) % len(VALUES)
    return np.kron(layout, np.ones((FIELD, FIELD), dtype=np.int64))


def _write_scene(folder: Path) -> dict[str, Any]:
    """Write an image, heights and labels; gives the options that name the images."""
    truth, random = _truth(), np.random.default_rng(0)
    bands = np.array(list(VALUES.values()), dtype=np.float32)[truth].transpose(2, 0, 1)
    heights = np.array(list(HEIGHTS.values()), dtype=np.float32)[truth][None]
    for name, values, noise in (("msi", bands, 4.0), ("dsm", heights, 0.3)):
        path, names = folder / f"{name}.tif", [f"{name} {number}" for number in range(1, len(values) + 1)]
        with create_image(path, _grid(), names) as writer:
            writer.write(values + random.normal(0, noise, values.shape).astype(np.float32), _grid().window)
    names, polygons = [], []
    for row in range(FIELD // 2, SIDE, FIELD):
        for col in range(FIELD // 2, SIDE, FIELD):
            names.append(list(VALUES)[truth[row, col]])
            half = LABELLED / 2
            xs, ys = transformed(
                _grid().transform, np.array([col - half, col + half]), np.array([row - half, row + half])
            )
            polygons.append(shapely.box(xs[0], ys[1], xs[1], ys[0]))
    frame = gpd.GeoDataFrame({"class": names}, geometry=polygons, crs=_grid().crs.to_wkt())  # type: ignore[union-attr]
    write_features(folder / "labels.gpkg", frame, layer="labels")
    return {"msi": folder / "msi.tif", "dsm": folder / "dsm.tif"}


def _whats_wrong(result: ClassifyResult) -> str | None:
    """What of a map of the scene is not as it has to be; None if nothing is."""
    numbers = {c.name: c.id for c in result.classes}
    right = np.array([numbers[name] for name in VALUES])[_truth()]
    with open_raster(result.outputs.map) as src:
        same_place = (src.crs, src.transform, src.shape) == (_grid().crs, _grid().transform, _grid().shape)
        share = float((src.read(1) == right).mean())
    if not same_place:
        return "the map is not where the image is"
    if share < LEAST_RIGHT:
        return f"only {share:.0%} of the pixels have the right class"
    areas = pyogrio.read_dataframe(result.outputs.polygons, layer=LAYER).area
    if not np.isclose(areas.sum(), (10 * SIDE) ** 2):
        return "the polygons do not cover the map"
    return None
