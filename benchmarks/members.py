"""What each member of the teacher contributes: the ensemble's accuracy with all of them, and without each in turn.

python benchmarks/members.py [--scenes A,B] [--seeds 100,101,102,103,104,105] [--counts 20] [--jobs N]

On blocks of pixels, as `accuracy.py` draws them, with the features, members and weights that training uses. The last
columns show each member alone. Nothing is averaged along the image, and no network is trained.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lessons import draw_lesson
from repeated import arguments_of, results_of
from s2fin_cli.teaching.calibration import Calibration
from s2fin_cli.teaching.ensemble import ask_members
from s2fin_cli.teaching.features import features_at
from s2fin_cli.teaching.members import choose_members
from s2fin_cli.teaching.recipe import EnsembleRecipe
from s2fin_cli.teaching.validation import Trust, cross_validate
from summary import table

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from s2fin_cli.teaching.features import Features
    from s2fin_cli.teaching.members import Member
    from s2fin_cli.teaching.teacher import Lesson

#: A calibration that changes nothing.
UNCHANGED = Calibration((1.0, 2.0), (1.0, 1.0))
ALL = "all"
RECIPE = EnsembleRecipe()


def accuracies(name: str, count: int, seed: int) -> dict[str, float]:
    """OA of all members together, of all but each ("-..."), and of each alone, on a draw of a scene."""
    drawn = draw_lesson(name, count, seed)
    lesson, test, stack = drawn.lesson, drawn.test, drawn.job.scene.stack
    asked = features_at(drawn.job.scene.standardizer, stack, test.rows, test.cols)
    members = choose_members(lesson.features, dense=False)
    weights = cross_validate(members, lesson, RECIPE).weights
    answers = np.stack([_answers(member, lesson, asked) for member in members])

    def accuracy(used: NDArray[np.float64]) -> float:
        probs = np.einsum("m,mnc->nc", used, answers)
        return 100 * float((drawn.class_ids[probs.argmax(axis=1)] == test.class_ids).mean())

    result = {ALL: accuracy(weights)}
    alone = np.eye(len(weights))
    for member, one in zip(members, alone, strict=True):
        result[f"-{member.name}"] = accuracy(weights * (1 - one))
        result[member.name] = accuracy(one)
    return result


def _answers(member: Member, lesson: Lesson, asked: Features) -> NDArray[np.float32]:
    """Votes and probabilities (n, classes) of one member."""
    trust = Trust(np.ones(1), UNCHANGED, np.empty((0, lesson.num_classes)))
    return ask_members((member,), lesson, asked, trust=trust, recipe=RECIPE).probs


def main() -> None:
    """Measure and print a table for each number of labels."""
    for count, results in results_of(accuracies, arguments_of(__doc__, seeds="100,101,102,103,104,105")):
        by_scene: dict[str, dict[str, list[float]]] = {}
        for scene, found in results.items():
            by_scene[scene] = {name: [one[name] for one in found if name in one] for one in found for name in one}
        names = sorted(
            {name for found in by_scene.values() for name in found}, key=lambda n: (n != ALL, n[0] != "-", n)
        )
        rows = [
            [scene, *(f"{np.mean(found[name]):.1f}" if name in found else "" for name in names)]
            for scene, found in by_scene.items()
        ]
        means = [[np.mean(found[name]) for found in by_scene.values() if name in found] for name in names]
        print(table([f"{count} labels", *names], [*rows, ["**mean**", *(f"{np.mean(part):.1f}" for part in means)]]))


if __name__ == "__main__":
    main()
