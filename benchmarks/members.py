"""What each member of the teacher contributes: the ensemble's accuracy with all of them, and without each in turn.

python benchmarks/members.py [--scenes A,B] [--seeds 100,101,102,103,104,105] [--counts 20] [--jobs N]

On blocks of pixels, as `accuracy.py` draws them, with the features, members and weights that training uses. The last
columns show each member alone. Nothing is averaged along the image, and no network is trained.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from joblib import Parallel, delayed  # type: ignore[import-untyped]

from protocols import draw
from s2fin_cli.teaching.calibration import Calibration
from s2fin_cli.teaching.ensemble import ask_members
from s2fin_cli.teaching.features import features_at
from s2fin_cli.teaching.members import choose_members
from s2fin_cli.teaching.recipe import EnsembleRecipe
from s2fin_cli.teaching.validation import Trust, cross_validate
from s2fin_cli.training.learning import labels_of
from s2fin_cli.training.targets import make_lesson
from s2fin_cli.workflows.options.train import TrainOptions
from s2fin_cli.workflows.train import prepare
from scenes import SCENES, load, read_scene
from subject import write_labels
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
    logging.getLogger("s2fin_cli").setLevel(logging.ERROR)
    loaded = load(read_scene(Path(name)) if Path(name).is_dir() else {scene.name: scene for scene in SCENES}[name])
    case = draw(loaded, "blocks", count, seed)
    with tempfile.TemporaryDirectory() as folder:
        labels = Path(folder, "labels.tif")
        class_ids = write_labels(labels, loaded, case.train)
        job = prepare(TrainOptions.from_kwargs({**loaded.paths, "labels": str(labels), "seed": seed}))
    learnt, _ = labels_of(job, job.split)
    lesson = make_lesson(job, learnt, np.arange(len(learnt)), dense=False)
    asked = features_at(job.scene.standardizer, job.scene.stack, case.test.rows, case.test.cols)
    members = choose_members(lesson.features, dense=False)
    weights = cross_validate(members, lesson, RECIPE).weights
    answers = np.stack([_answers(member, lesson, asked) for member in members])
    ids = class_ids[[c.id - 1 for c in learnt.classes]]

    def accuracy(used: NDArray[np.float64]) -> float:
        probs = np.einsum("m,mnc->nc", used, answers)
        return 100 * float((ids[probs.argmax(axis=1)] == case.test.class_ids).mean())

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


def _in_one_thread(name: str, count: int, seed: int) -> dict[str, float]:
    torch.set_num_threads(1)
    return accuracies(name, count, seed)


def main() -> None:
    """Measure and print a table for each number of labels."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", default=",".join(scene.name for scene in SCENES), help="names, or folders")
    parser.add_argument("--seeds", default="100,101,102,103,104,105")
    parser.add_argument("--counts", default="20")
    parser.add_argument("--jobs", type=int, default=2, help="draws at once")
    arguments = parser.parse_args()
    scenes, seeds = arguments.scenes.split(","), [int(seed) for seed in arguments.seeds.split(",")]
    for count in map(int, arguments.counts.split(",")):
        draws = [(scene, count, seed) for scene in scenes for seed in seeds]
        results = Parallel(arguments.jobs)(delayed(_in_one_thread)(*one) for one in draws)
        by_scene: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        for (scene, *_), result in zip(draws, results, strict=True):
            for name, value in result.items():
                by_scene[Path(scene).name][name].append(value)
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
