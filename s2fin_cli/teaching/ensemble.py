"""The ensemble: the default teacher.

Few labels do not suffice to find a network's many weights, but they do suffice for trees on features of both images at
several scales. Members err on different pixels; their weighted mean is better than any of them. The ensemble labels
pixels of the scene that have no label, and the network learns mostly from those (distillation).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from s2fin_cli.core.progress import Stop
from s2fin_cli.labels.distances import nearest_label
from s2fin_cli.teaching.calibration import consensus, disagreement
from s2fin_cli.teaching.members import choose_members
from s2fin_cli.teaching.propagation import average_similar, guide_of, propagate
from s2fin_cli.teaching.recipe import EnsembleRecipe
from s2fin_cli.teaching.teacher import Answers, MemberShare
from s2fin_cli.teaching.threads import in_threads
from s2fin_cli.teaching.validation import Trust, cross_validate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from s2fin_cli.teaching.features import Features
    from s2fin_cli.teaching.members import Member
    from s2fin_cli.teaching.teacher import Lesson, Questions

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class EnsembleTeacher:
    """A teacher that is an ensemble, whose answers are smoothed along the image.

    Attributes:
        recipe: how large its members are, and how much each counts.
        stop: ends its work between the members with `Stopped`, once it is set.
    """

    recipe: EnsembleRecipe = field(default_factory=EnsembleRecipe)
    stop: Stop = field(default_factory=Stop)

    def examine(self, lesson: Lesson) -> Trust:
        """Find the members' weights, and the calibration of their mean, by cross-validation."""
        members = choose_members(lesson.features, dense=lesson.dense)
        return cross_validate(members, lesson, self.recipe, stop=self.stop)

    def teach(self, lesson: Lesson, questions: Questions, examination: Trust) -> Answers:
        """Fit the members to all labels and ask them; similar neighbours share their answers."""
        members, asked = choose_members(lesson.features, dense=lesson.dense), questions.features
        answers = ask_members(members, lesson, asked, trust=examination, recipe=self.recipe, stop=self.stop)
        guide = guide_of(asked["components"], asked.get("aux"))
        if not lesson.dense:
            return replace(answers, probs=average_similar(answers.probs, guide, questions.places))
        logger.info("labels are dense: the teacher's answers spread from pixel to pixel, and are copied closely")
        probs = propagate(answers.probs, questions.labels, guide, asked["position"])
        return replace(answers, probs=probs, nearly_right=True)


def ask_members(
    members: tuple[Member, ...],
    lesson: Lesson,
    asked: Features,
    *,
    trust: Trust,
    recipe: EnsembleRecipe,
    stop: Stop | None = None,
) -> Answers:
    """Fit members to all labels and ask them about pixels; one member is held in memory for each thread.

    Args:
        members: the members.
        lesson: what they learn from.
        asked: features of the pixels that they are asked about.
        trust: their weights, and the calibration of their mean.
        recipe: how large they are.
        stop: ends the work between two members.

    Raises:
        Stopped: it was asked to end.
    """
    needed = [(member, weight) for member, weight in zip(members, trust.weights, strict=True) if weight > 0]

    def ask(member: Member) -> tuple[NDArray[np.float32], float | None]:
        classifier = member.fit(lesson.features, lesson.targets, seed=lesson.seed, recipe=recipe)
        probs = member.ask(classifier, asked, at_once=recipe.pixels_at_once)
        return probs, member.use_of_second(classifier, lesson.features)

    answered = in_threads(ask, [(member,) for member, _ in needed], stop=stop)
    weights = np.array([weight for _, weight in needed])
    own = np.stack([part for part, _ in answered])
    probs = consensus(own, weights, vote=recipe.vote)
    distances = nearest_label(lesson.features["position"], asked["position"])
    uses = [(use, weight) for (_, use), weight in zip(answered, weights, strict=True) if use is not None]
    use = float(np.average([use for use, _ in uses], weights=[weight for _, weight in uses])) if uses else None
    own_uses = {member.name: part[1] for (member, _), part in zip(needed, answered, strict=True)}
    shares = _shares(members, trust.weights, own_uses)
    calibrated = trust.calibration.apply(probs, distances).astype(np.float32)
    return Answers(calibrated, use, members=shares, disagreement=disagreement(own, weights, vote=recipe.vote))


def _shares(
    members: tuple[Member, ...], weights: NDArray[np.float64], uses: Mapping[str, float | None]
) -> tuple[MemberShare, ...]:
    """How much each member counted.

    Args:
        members: the members.
        weights: their weights.
        uses: how much those that were asked used the second image, by name.
    """
    pairs = zip(members, weights.tolist(), strict=True)
    return tuple(MemberShare(member.name, weight, uses.get(member.name)) for member, weight in pairs)
