"""A stratified random sample of a map's pixels, for interpreters to record the true class."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from s2fin_cli.assess.comparison import read_map_info
from s2fin_cli.assess.sampling import allocate, draw_pixels
from s2fin_cli.core.errors import RasterError
from s2fin_cli.core.files import check_outputs, staged
from s2fin_cli.geo.windows import check_size
from s2fin_cli.labels.transitions import AFTER, BEFORE
from s2fin_cli.raster.change import read_transitions
from s2fin_cli.raster.class_names import read_class_names
from s2fin_cli.raster.styles import points_to_label_style
from s2fin_cli.raster.tally import tally_classes
from s2fin_cli.vector.write import check_vector_crs, check_vector_path, pixel_points, read_written, write_features
from s2fin_cli.workflows.input_files import input_files

if TYPE_CHECKING:
    import geopandas as gpd

    from s2fin_cli.workflows.options.sample import SampleOptions

logger = logging.getLogger(__name__)

#: The field that interpreters fill in; for a change map there are two, see `s2fin_cli.labels.transitions`.
FIELD = "class"
#: The field with the number of a point, and the layer's name.
NUMBER, LAYER = "id", "sample"


@dataclass(frozen=True)
class SampleResult:
    """The result of sampling.

    Attributes:
        output: path of the points.
        points: number of points by class id.
    """

    output: Path
    points: dict[int, int]

    def to_geodataframe(self) -> gpd.GeoDataFrame:
        """The points as they were written, with empty fields to fill in."""
        return read_written(self.output, layer=LAYER)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values for scripts."""
        return {"output": str(self.output), "points": {str(i): number for i, number in self.points.items()}}


def run(options: SampleOptions) -> SampleResult:
    """Draw a stratified random sample of a map and write it as points with an empty class field.

    The file does not hold the map's class, so that it does not bias the interpreter, and the points are shuffled. The
    strata of a change map are its transitions, and the points have empty fields for the classes before and after.

    Args:
        options: the options.

    Returns:
        where the points are, and how many each class has.

    Raises:
        RasterError: the map is not a class map, or holds no class.
        OutputError, UsageError: the file cannot be written.
    """
    dst_path, map_path = Path(options.output), str(options.map)
    check_vector_path(dst_path)
    check_outputs([dst_path], overwrite=options.overwrite, inputs=input_files([map_path]))
    grid = read_map_info(map_path).grid
    check_size(grid.window, map_path, remedy="give a smaller map")
    check_vector_crs(dst_path, grid)
    pixels, _ = tally_classes(map_path, grid)
    if not pixels:
        raise RasterError(f"{map_path} holds no class, so there is nothing to sample; classify a scene first")
    generator = np.random.default_rng(options.seed)
    numbers = allocate(pixels, size=options.size, least=options.least)
    rows, cols = draw_pixels(map_path, numbers, pixels=pixels, generator=generator)
    order = generator.permutation(len(rows))
    fields, names = _to_fill_in(map_path, list(pixels))
    empty = np.full(len(order), None, dtype=object)
    values = {NUMBER: np.arange(1, len(order) + 1)} | dict.fromkeys(fields, empty)
    points = pixel_points(rows[order], cols[order], grid, values)
    with staged([dst_path], overwrite=options.overwrite) as (tmp_path,):
        write_features(tmp_path, points, layer=LAYER, style=points_to_label_style(names, fields, NUMBER))
    if len(order) != options.size:
        logger.info(
            "%d points instead of %d, because each class gets at least %d, or all of its pixels",
            len(order), options.size, options.least,
        )  # fmt: skip
    which = f"field {fields[0]!r}" if len(fields) == 1 else f"fields {' and '.join(map(repr, fields))}"
    logger.info("fill in the %s with: %s", which, ", ".join(names))
    return SampleResult(dst_path, numbers)


def _to_fill_in(map_path: str, class_ids: list[int]) -> tuple[list[str], list[str]]:
    """The fields that interpreters fill in, and what with."""
    transitions = read_transitions(map_path)
    if transitions is not None:
        return [BEFORE, AFTER], list(transitions.names.values())
    names = read_class_names(map_path)
    return [FIELD], [names.get(i, str(i)) for i in class_ids]
