"""Accuracy of the network on the pixels held out, and of the teacher by cross-validation."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from s2fin_cli.assess.metrics import Accuracy
from s2fin_cli.assess.reliability import Reliability
from s2fin_cli.inference.engine import Engine
from s2fin_cli.inference.pixels import predict_pixels
from s2fin_cli.training.labelled import targets_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from s2fin import S2Fin
    from s2fin_cli.core.progress import Stop
    from s2fin_cli.labels.pixels import LabelledPixels
    from s2fin_cli.stack.stack import Stack

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Validated:
    """What held-out pixels say about a network.

    Attributes:
        accuracy: the accuracy of its classes.
        reliability: the reliability of its confidence.
    """

    accuracy: Accuracy
    reliability: Reliability


def validate(network: S2Fin, stack: Stack, labels: LabelledPixels, *, stop: Stop | None = None) -> Validated:
    """Validate a network on held-out pixels, classified exactly as in a map of the scene.

    Raises:
        Stopped: it was asked to end.
    """
    _warn_of_unvalidated(labels)
    engine = Engine(network, network.standardizer.device)
    probs = predict_pixels(engine, stack, labels.rows, labels.cols, stop=stop)
    is_right = probs.argmax(axis=1) == targets_of(labels)
    return Validated(accuracy_of(labels, probs), Reliability.of(probs.max(axis=1), is_right))


def cross_validated_accuracy(labels: LabelledPixels, probs: NDArray[np.float64]) -> Accuracy | None:
    """Accuracy of a teacher by cross-validation.

    Args:
        labels: the labels that it learnt from.
        probs: (n, classes), each from a teacher that had not seen the label; rows of NaN do not count.

    Returns:
        the accuracy, or None where no class could be held out.
    """
    known = np.flatnonzero(np.isfinite(probs).all(axis=1))
    return accuracy_of(labels.select(known), probs[known]) if len(known) else None


def accuracy_of(labels: LabelledPixels, scores: NDArray[np.floating]) -> Accuracy:
    """Accuracy of scores (n, classes) of labelled pixels."""
    ids = np.array([c.id for c in labels.classes])
    return Accuracy.from_labels(
        labels.class_ids,
        ids[scores.argmax(axis=1)],
        class_ids=ids.tolist(),
        class_names=[c.name for c in labels.classes],
    )


def _warn_of_unvalidated(validation: LabelledPixels) -> None:
    held_out = set(np.unique(validation.class_ids).tolist())
    missing = [c.name for c in validation.classes if c.id not in held_out]
    if missing:
        logger.warning("too few labels to validate these classes, which are only trained on: %s", ", ".join(missing))
