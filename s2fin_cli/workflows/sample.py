"""A random sample of a map's pixels, class by class, for people to say what is really there."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import geopandas as gpd
import numpy as np
import shapely

from s2fin_cli.core.errors import RasterError
from s2fin_cli.core.files import check_outputs, staged
from s2fin_cli.raster.class_ids import iter_class_strips
from s2fin_cli.raster.class_names import read_class_names
from s2fin_cli.raster.tally import tally_classes
from s2fin_cli.vector.write import check_vector_crs, check_vector_path, write_features
from s2fin_cli.workflows.evaluate import read_map_info
from s2fin_cli.workflows.members import input_files

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from s2fin_cli.workflows.options.sample import SampleOptions

logger = logging.getLogger(__name__)

#: Stands for nodata: no class has this number.
NOTHING = -1
#: The field that interpreters fill in.
FIELD = "class"


def sample(options: SampleOptions) -> dict[int, int]:
    """Draw a stratified random sample of a map and write it as points with an empty class field.

    Which class the map has is not in the file, so that it does not sway the interpreter, and the points are in no
    order.

    Args:
        options: the options.

    Returns:
        number of points by class id.

    Raises:
        RasterError: the map is not a class map, or holds no class.
        OutputError, UsageError: the file cannot be written.
    """
    dst_path, map_path = Path(options.output), str(options.map)
    check_vector_path(dst_path)
    check_outputs([dst_path], overwrite=options.overwrite, inputs=input_files([map_path]))
    grid = read_map_info(map_path).grid
    check_vector_crs(dst_path, grid)
    pixels, _ = tally_classes(map_path, grid)
    if not pixels:
        raise RasterError(f"{map_path} holds no class, so there is nothing to sample; classify a scene first")
    generator = np.random.default_rng(options.seed)
    numbers = allocate(pixels, size=options.size, least=options.least)
    rows, cols = _draw(map_path, pixels, numbers, generator)
    order = generator.permutation(len(rows))
    a, b, c, d, e, f = grid.transform[:6]
    x, y = cols[order] + 0.5, rows[order] + 0.5
    points = gpd.GeoDataFrame(
        {"id": np.arange(1, len(order) + 1), FIELD: np.full(len(order), None, dtype=object)},
        geometry=shapely.points(a * x + b * y + c, d * x + e * y + f),
        crs=None if grid.crs is None else grid.crs.to_wkt(),
    )
    with staged([dst_path], overwrite=options.overwrite) as (tmp_path,):
        write_features(tmp_path, points, layer="sample")
    if len(order) != options.size:
        logger.info(
            "%d points instead of %d, as each class gets at least %d, or all pixels that it has",
            len(order), options.size, options.least,
        )  # fmt: skip
    names = read_class_names(map_path)
    logger.info("fill in the field %r with: %s", FIELD, ", ".join(names.get(i, str(i)) for i in pixels))
    return numbers


def allocate(pixels: Mapping[int, int], *, size: int, least: int) -> dict[int, int]:
    """How many pixels to draw of each class: a least number of each, the rest in proportion to what the map has.

    That is what Olofsson et al. 2014 (section 5.1.1) recommend for estimating both the accuracy of rare classes and
    the areas of all.

    Args:
        pixels: of each class in the map, by class id.
        size: pixels to draw in all; more if the least numbers come to more.
        least: pixels of each class, or all that it has.
    """
    fixed: dict[int, int] = {}
    while True:
        rest = {i: count for i, count in pixels.items() if i not in fixed}
        left, total = size - sum(fixed.values()), sum(rest.values())
        shares = {i: left * count / total for i, count in rest.items()}
        few = {i: min(least, pixels[i]) for i, share in shares.items() if share < min(least, pixels[i])}
        if not few:
            break
        fixed |= few
    # round so that the sum is right: the largest remainders are rounded up
    numbers = {i: int(share) for i, share in shares.items()}
    missing = max(round(sum(shares.values())) - sum(numbers.values()), 0)
    for i in sorted(shares, key=lambda i: numbers[i] - shares[i])[:missing]:
        numbers[i] += 1
    return {i: min({**fixed, **numbers}[i], count) for i, count in pixels.items()}


def _draw(
    map_path: str, pixels: Mapping[int, int], numbers: Mapping[int, int], generator: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows and columns of so many pixels of each class, drawn without replacement."""
    wanted = {i: np.sort(generator.choice(pixels[i], number, replace=False)) for i, number in numbers.items()}
    seen = dict.fromkeys(pixels, 0)
    found = []
    for window, values in iter_class_strips(map_path, NOTHING):
        for i, ordinals in wanted.items():
            rows, cols = np.nonzero(values == i)
            here = ordinals[(ordinals >= seen[i]) & (ordinals < seen[i] + len(rows))] - seen[i]
            found.append((rows[here] + window.row_off, cols[here]))
            seen[i] += len(rows)
    rows, cols = (np.concatenate(part).astype(np.int64) for part in zip(*found, strict=True))
    return rows, cols
