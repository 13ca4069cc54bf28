"""Suggestion of places to label: images and a model in, points out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from s2fin_cli.core.files import check_outputs, staged
from s2fin_cli.core.progress import Progress, Stop, silent, stoppable
from s2fin_cli.model.header import find_model
from s2fin_cli.raster.styles import points_to_label_style
from s2fin_cli.suggesting.candidates import Drawing
from s2fin_cli.vector.write import check_vector_crs, check_vector_path, pixel_points, read_written, write_features
from s2fin_cli.workflows.input_files import input_files
from s2fin_cli.workflows.suggest_search import Search
from s2fin_cli.workflows.suggestion_fields import CLASS, LIKELIEST, PROB, PROB_SECOND, RANK, SECOND, WHY

if TYPE_CHECKING:
    from collections.abc import Sequence

    import geopandas as gpd

    from s2fin_cli.core.classes import LandCoverClass
    from s2fin_cli.geo.grid import Grid
    from s2fin_cli.suggesting.places import Place
    from s2fin_cli.workflows.options.suggest import SuggestOptions

#: The layer of points, in formats that have names.
LAYER = "suggestions"


@dataclass(frozen=True)
class SuggestResult:
    """The suggested places.

    Attributes:
        output: path of the points.
        style: path of their QGIS style.
        places: the places, the one that is worth most first.
        coordinates: x and y of each in the CRS of the passive image.
        classes: the classes that a place may have.
        has_labels: whether labels were taken into account.
    """

    output: Path
    style: Path
    places: tuple[Place, ...]
    coordinates: tuple[tuple[float, float], ...]
    classes: tuple[LandCoverClass, ...]
    has_labels: bool

    def to_geodataframe(self) -> gpd.GeoDataFrame:
        """The points as they were written, with an empty field for the class."""
        return read_written(self.output, layer=LAYER)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values for scripts."""
        names = [c.name for c in self.classes]
        return {
            "output": str(self.output),
            "style": str(self.style),
            "classes": names,
            "has_labels": self.has_labels,
            "places": [
                {
                    "rank": rank,
                    "x": x,
                    "y": y,
                    "row": place.row,
                    "col": place.col,
                    "likeliest": names[place.classes[0]],
                    "probability": place.probs[0],
                    "second": names[place.classes[1]],
                    "second_probability": place.probs[1],
                    "why": place.why,
                }
                for rank, (place, (x, y)) in enumerate(zip(self.places, self.coordinates, strict=True), start=1)
            ],
        }


def run(
    options: SuggestOptions, *, drawing: Drawing | None = None, progress: Progress = silent, stop: Stop | None = None
) -> SuggestResult:
    """Suggest the places of a scene where a label is worth most, and write them as points with an empty class field.

    Args:
        options: the options.
        drawing: how candidates are drawn; None takes the defaults.
        progress: called with how far it is.
        stop: ends the work at its next step once it is set.

    Returns:
        where the points are, and the places.

    Raises:
        S2finError: something is wrong with the inputs, the model, options or the output; nothing is written.
        Stopped: it was asked to end, with the same consequence.
    """
    stop = stop or Stop()
    progress = stoppable(progress, stop)
    dst_path, style_path = Path(options.output), Path(options.output).with_suffix(".qml")
    check_vector_path(dst_path)
    model, before = find_model(options.model), options.probabilities
    inputs = input_files([*options.inputs, *options.label_inputs, model, before])
    check_outputs([dst_path, style_path], overwrite=options.overwrite, inputs=inputs)
    search = Search.of(options, model, drawing=drawing or Drawing(), stop=stop)
    check_vector_crs(dst_path, search.grid)
    places, names = search.places(progress), [c.name for c in search.classes]
    points, style = _points(places, search.grid, names), points_to_label_style(names, [CLASS], RANK)
    with staged([dst_path, style_path], overwrite=options.overwrite) as (tmp_path, tmp_style):
        write_features(tmp_path, points, layer=LAYER, style=style)
        tmp_style.write_bytes(style)
    coordinates = tuple(zip(points.geometry.x.tolist(), points.geometry.y.tolist(), strict=True))
    return SuggestResult(dst_path, style_path, tuple(places), coordinates, search.classes, search.labels is not None)


def _points(places: Sequence[Place], grid: Grid, names: Sequence[str]) -> gpd.GeoDataFrame:
    """The places as points in the middle of their pixels, with a field for the class that is to be filled in."""
    rows, cols = (np.array([getattr(place, name) for place in places]) for name in ("row", "col"))
    first, second = ([names[place.classes[i]] for place in places] for i in (0, 1))
    prob, prob_second = ([round(place.probs[i], 3) for place in places] for i in (0, 1))
    values = {
        RANK: np.arange(1, len(places) + 1),
        CLASS: np.full(len(places), None, dtype=object),
        LIKELIEST: first,
        PROB: prob,
        SECOND: second,
        PROB_SECOND: prob_second,
        WHY: [place.why for place in places],
    }
    return pixel_points(rows, cols, grid, values)
