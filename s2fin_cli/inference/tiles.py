"""Tile by tile from a source through a predictor, and smoothing if wanted, to a sink."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from s2fin_cli.core.progress import Progress, silent
from s2fin_cli.inference.background import behind
from s2fin_cli.inference.smoothing import Prediction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from torch import Tensor

    from s2fin_cli.core.images import Images
    from s2fin_cli.inference.engine import Predictor
    from s2fin_cli.inference.sinks import Sink
    from s2fin_cli.inference.smoothing import Smoother
    from s2fin_cli.inference.source import LoadedTile, Source


def classify_tiles(
    source: Source,
    predictor: Predictor,
    sink: Sink,
    *,
    smoother: Smoother | None = None,
    measure: Callable[[Images[Tensor], Tensor], Tensor] | None = None,
    progress: Progress = silent,
) -> None:
    """Classify all tiles that are wanted.

    While one tile is computed, the one before it is smoothed and written, and the next one is read.

    Args:
        source: gives the tiles.
        predictor: gives their probabilities.
        sink: takes them; it is called in one thread, which is not the caller's, window by window.
        smoother: smoother of the source's extent, or None for probabilities as the predictor gives them.
        measure: gives the measures of a tile by its values and the pixels to classify, such as `Likeness`; None for
            none.
        progress: called after each tile.
    """
    total = sum(tile.is_wanted for tile in source.tiles)
    done = 0
    progress("classifying", done, total)
    with behind() as writing, source.load() as loaded:
        for window, is_wanted in source.tiles:
            if is_wanted:
                done += 1
                predictions = _predict(predictor, next(loaded), smoother, measure)
            else:
                predictions = iter(()) if smoother is None else smoother.skip(window)
            writing.call(functools.partial(_write, sink, predictions))
            progress("classifying", done, total)


def _predict(
    predictor: Predictor,
    tile: LoadedTile,
    smoother: Smoother | None,
    measure: Callable[[Images[Tensor], Tensor], Tensor] | None,
) -> Iterable[Prediction]:
    """Predict a tile; its smoothing is computed during iteration."""
    probs = predictor.predict(tile.images, tile.valid)
    measures = probs[:0] if measure is None else measure(tile.images, tile.valid)
    predicted = Prediction(tile.window, probs, tile.valid, measures)
    if smoother is None:
        return [predicted]
    inner = slice(predictor.margin, -predictor.margin)
    return smoother.add(predicted, smoother.guide(tile.images.map(lambda part: part[:, inner, inner])))


def _write(sink: Sink, predictions: Iterable[Prediction]) -> None:
    for window, probs, valid, measures in predictions:
        sink.write(window, probs.numpy(), valid.numpy(), measures.numpy())
