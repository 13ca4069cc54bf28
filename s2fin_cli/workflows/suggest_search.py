"""The search for places to label: candidates of a scene are drawn, judged and chosen."""

from __future__ import annotations

import logging
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

import numpy as np

from s2fin_cli.core.errors import AreaError
from s2fin_cli.core.options import InputOptions
from s2fin_cli.inference.pixels import predict_pixels
from s2fin_cli.suggesting.candidates import Drawing, draw_candidates
from s2fin_cli.suggesting.choice import Spacing
from s2fin_cli.suggesting.judges import Judgement, judge
from s2fin_cli.suggesting.places import Place, choose_positions, describe_places
from s2fin_cli.suggesting.unlike import are_unlike
from s2fin_cli.teaching.features import features_at
from s2fin_cli.workflows.classify_job import load_model, prepare
from s2fin_cli.workflows.options.classify import ClassifyOptions
from s2fin_cli.workflows.suggest_inputs import KnownPlaces, read_probabilities

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from s2fin_cli.core.classes import LandCoverClass
    from s2fin_cli.core.progress import Progress, Stop
    from s2fin_cli.geo.grid import Grid
    from s2fin_cli.inference.engine import Engine
    from s2fin_cli.model.reference import ReferencePixels
    from s2fin_cli.stack.stack import Stack
    from s2fin_cli.workflows.options.suggest import SuggestOptions

logger = logging.getLogger(__name__)

#: The stage that progress is reported of, and its steps: candidates, the network, the members, the choice.
STAGE, STEPS = "suggesting", 4


@dataclass(frozen=True)
class Search:
    """A checked search for places to label.

    Attributes:
        options: its options.
        stack: the images, with the model's bands.
        engine: computes with the model's network.
        classes: the classes that a place may have: the model's, then those that only the labels have.
        known_to_model: how many of them the model knows.
        labels: the labels, or None where there are none.
        reference: reference pixels of the model's training data; None where the model has none.
        drawing: how candidates are drawn.
        stop: ends the work at its next step once it is set.
    """

    options: SuggestOptions
    stack: Stack
    engine: Engine
    classes: tuple[LandCoverClass, ...]
    known_to_model: int
    labels: KnownPlaces | None
    reference: ReferencePixels | None
    drawing: Drawing
    stop: Stop

    @classmethod
    def of(cls, options: SuggestOptions, model_path: Path, *, drawing: Drawing, stop: Stop) -> Search:
        """Read the model, the headers of the images and the labels, and check that they go together.

        Raises:
            S2finError: they do not, or one cannot be read.
        """
        images = {field.name: getattr(options, field.name) for field in fields(InputOptions)}
        as_map = ClassifyOptions(**images, model=model_path, output="map.tif", vector=False)  # nothing is written
        model = load_model(model_path, as_map)
        stack, own = prepare(as_map, model=model, writes=False, stop=stop).stack, model.info.classes
        labels = KnownPlaces.of(options, stack, own) if options.label_paths else None
        classes = own if labels is None else labels.classes
        reference = None if model.likeness is None else model.likeness.reference
        if labels is None and reference is None:
            logger.info(
                "what is unlike anything labelled is not known, because %s is of an earlier version and keeps no "
                "reference pixels; train again, or give `labels`", model_path,
            )  # fmt: skip
        return cls(options, stack, model.engine, classes, len(own), labels, reference, drawing, stop)

    @property
    def grid(self) -> Grid:
        """The grid of the images."""
        return self.stack.grid

    def places(self, progress: Progress) -> list[Place]:
        """Draw candidates, judge them and choose.

        Args:
            progress: called with how far it is.

        Raises:
            AreaError: there is none that may be suggested.
            Stopped: it was asked to end.
        """
        options = self.options
        progress(STAGE, 0, STEPS)
        rows, cols = self._candidates()
        progress(STAGE, 1, STEPS)
        network = self._network(rows, cols)
        has_value = np.isfinite(network).all(axis=1)
        rows, cols, network = rows[has_value], cols[has_value], network[has_value]
        if not len(rows):
            raise AreaError(
                f"{options.probabilities} holds no probabilities where places may be suggested; give those of this "
                "area, or leave `probabilities` out"
            )
        progress(STAGE, 2, STEPS)
        judgement = self._judgement(rows, cols, network)
        progress(STAGE, 3, STEPS)
        spacing = Spacing(rows, cols, options.distance)
        chosen = choose_positions(judgement, spacing, number=options.number)
        if len(chosen) < options.number:
            logger.warning(
                "%d places instead of %d: there are no more that are %g pixels apart",
                len(chosen), options.number, options.distance,
            )  # fmt: skip
        progress(STAGE, 4, STEPS)
        return describe_places(judgement, chosen, spacing, [c.name for c in self.classes])

    def _candidates(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows and columns (n,) of pixels that may be suggested, in random order: among equals place does not decide.

        Raises:
            AreaError: there is none.
        """
        generator, distance = np.random.default_rng(self.options.seed), self.options.distance
        side, drawing = self.engine.batch_side, self.drawing
        rows, cols = draw_candidates(self.stack, side=side, drawing=drawing, generator=generator)
        if not len(rows):
            raise AreaError("none of the pixels that were looked at has data in all images; check the area of interest")
        if self.labels is not None:
            apart = self.labels.apart(rows, cols, distance=distance)
            if not apart.any():
                raise AreaError(
                    f"all pixels that were looked at are within {distance:g} pixels of a label; lower `distance`"
                )
            rows, cols = rows[apart], cols[apart]
        order = generator.permutation(len(rows))
        return rows[order], cols[order]

    def _judgement(self, rows: NDArray[np.int64], cols: NDArray[np.int64], network: NDArray[np.float32]) -> Judgement:
        """What is thought of pixels, of which the network has probabilities (n, classes)."""
        standardizer, count = self.engine.network.standardizer, len(self.classes)
        features = features_at(standardizer, self.stack, rows, cols)
        known = None if self.labels is None else self.labels.known(standardizer, self.stack)
        found = judge(features, network, known, num_classes=count, seed=self.options.seed, stop=self.stop)
        if known is not None and not len(found.known_leaves):
            logger.info("the labels are of one class: the network alone says which classes pixels may have")
        if known is not None or self.reference is None:
            return found
        return replace(found, is_unlike=are_unlike(features, self.reference))

    def _network(self, rows: NDArray[np.int64], cols: NDArray[np.int64]) -> NDArray[np.float32]:
        """The network's probabilities (n, classes) of pixels, 0 for classes that it does not know."""
        src_path, own_classes = self.options.probabilities, self.classes[: self.known_to_model]
        if src_path is None:
            own = predict_pixels(self.engine, self.stack, rows, cols, stop=self.stop)
        else:
            own = read_probabilities(str(src_path), own_classes, self.grid, rows=rows, cols=cols)
        return np.pad(own, ((0, 0), (0, len(self.classes) - len(own_classes))))
