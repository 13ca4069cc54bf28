from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from sklearn.ensemble import ExtraTreesClassifier

from s2fin_cli.stack.guide import FEW_BANDS
from s2fin_cli.teaching.calibration import Calibration
from s2fin_cli.teaching.classifiers import boosting, extra_trees
from s2fin_cli.teaching.ensemble import ask_members
from s2fin_cli.teaching.features import SCALES, SHAPE_SCALES, Features
from s2fin_cli.teaching.members import BOOSTING, FORESTS, POSITION, Member, choose_members
from s2fin_cli.teaching.recipe import EnsembleRecipe
from s2fin_cli.teaching.teacher import Answers
from s2fin_cli.teaching.validation import Trust
from s2fin_cli.teaching.views import NEAR_SCALES, see_differences, see_near, see_pixel, see_shapes
from tests.recipes import SMALL_ENSEMBLE
from tests.teaching.lessons import (
    MEMBERS,
    MEMBERS_AMONG_LABELS,
    TWO_CLASSES,
    Ints,
    all_features,
    in_a_row,
    learn,
    make_features,
    make_lesson,
    member_of,
    names_of,
)


def two_images(targets: Ints, *, bands: int, height: float, seed: int = 0) -> Features:
    """Spectra that do not depend on the class, and heights this far apart in standard deviations."""
    features = all_features(len(targets), bands, seed=seed)
    for name in names_of("aux"):
        features[name] = (features[name] + height * targets[:, None]).astype(np.float32)
    return features


@pytest.mark.parametrize("bands", [1, FEW_BANDS, FEW_BANDS + 1, 200])
@pytest.mark.parametrize("seconds", [0, 1, 3])
def test_members_look_at_what_there_is(bands: int, seconds: int) -> None:
    features = all_features(5, bands, seconds=seconds)
    scales, near, few = 2 * len(SCALES) + 1, 2 * len(NEAR_SCALES) + 1, bands <= FEW_BANDS
    values = bands * scales if few else bands + 4 * scales
    differences = (bands if few else 4) * (len(SCALES) + 1)
    expected = [
        values + differences + seconds * (scales + len(SCALES) + 1),
        (4 + seconds) * scales,
        (bands * near if few else bands + 4 * near) + 2 * bands + seconds * near,
        2 * bands + seconds,
        values + bands * (len(SHAPE_SCALES) + 1) + seconds * scales,
        2 + (4 + seconds) * len(SCALES),
        2,
    ]
    assert MEMBERS_AMONG_LABELS[: len(MEMBERS)] == MEMBERS
    for member, width in zip(MEMBERS_AMONG_LABELS, expected, strict=True):
        parts = member.see(features)
        assert all(part.shape[0] == 5 for part in parts)
        assert sum(part.shape[1] for part in parts) == width, member.name
        seen_at = np.concatenate(parts, axis=1)
        elsewhere = member.see(features | {"position": features["position"] + 7})
        assert np.array_equal(np.concatenate(elsewhere, axis=1), seen_at) == (member in MEMBERS)


@pytest.mark.parametrize("bands", [3, FEW_BANDS + 1])
@pytest.mark.parametrize("seconds", [0, 2])
def test_some_members_look_at_what_is_near_alone(bands: int, seconds: int) -> None:
    """So they reveal little about the place: their view reaches three pixels at most."""
    features = all_features(5, bands, seconds=seconds)
    kinds = [*(["bands"] if bands <= FEW_BANDS else ["components"]), *(["aux"] if seconds else [])]
    around = [f"{kind} {what} {scale}" for kind in kinds for scale in (3, 7) for what in ("mean", "deviation")]
    near, pixel = {"bands", "shape", "shape mean 3", *kinds, *around}, {"bands", "shape", *(["aux"] if seconds else [])}
    for see, expected in ((see_near, near), (see_pixel, pixel)):
        parts = see(features)
        seen = [name for part in parts for name, values in features.items() if np.array_equal(part, values)]
        assert len(seen) == len(parts)
        assert sorted(seen) == sorted(expected)
    by_name = {member.name: member.see for member in FORESTS}
    assert by_name["extra trees of near values"] is see_near
    assert by_name["extra trees of single pixels"] is see_pixel
    assert BOOSTING.see is see_shapes


def test_differences_are_those_of_means_at_neighbouring_scales() -> None:
    features = all_features(5, 2)
    seen = see_differences(features)
    for kind in ("bands", "aux"):
        means = [features[kind], *(features[f"{kind} mean {scale}"] for scale in SCALES)]
        for near, far in [*itertools.pairwise(means), (means[-1], means[0])]:
            assert sum(np.array_equal(part, near - far) for part in seen) == 1


def only(member: Member, features: Features, targets: Ints) -> Answers:
    """What a single member answers for what it learnt from."""
    return asked_by_weights((member,), [1.0], features, targets)


def asked_by_weights(
    members: tuple[Member, ...], weights: Sequence[float], features: Features, targets: Ints
) -> Answers:
    """What members of these weights answer for what they learnt from."""
    unchanged = Calibration((1.0, 2.0), (1.0, 1.0))
    trust = Trust(np.array(weights), unchanged, np.full((len(targets), 2), np.nan))
    return ask_members(members, make_lesson(targets, features), features, trust=trust, recipe=SMALL_ENSEMBLE)


@pytest.mark.parametrize("member", [m for m in MEMBERS if m.make is extra_trees], ids=lambda member: member.name)
@pytest.mark.parametrize("bands", [3, 30])
def test_the_use_of_the_second_image_is_what_forests_look_at(member: Member, bands: int) -> None:
    """All of it, or nothing, where one of the images is the same everywhere."""
    features = two_images(TWO_CLASSES, bands=bands, height=1)
    for first in (False, True):
        constant = {
            name: values * 0 if name.startswith("aux") == first else values for name, values in features.items()
        }
        assert only(member, constant, TWO_CLASSES).use_of_second == pytest.approx(0 if first else 1)


def test_differences_of_the_second_image_are_its_use_too() -> None:
    features = {name: np.zeros((40, 1), np.float32) for name in names_of("bands", "aux")} | {"position": in_a_row(40)}
    features["aux mean 7"][:, 0] = TWO_CLASSES
    member = Member("differences", lambda f: [f["bands"], f["aux"] - f["aux mean 7"]], extra_trees)
    assert only(member, features, TWO_CLASSES).use_of_second == pytest.approx(1)


def test_the_use_of_the_second_image_is_that_of_forests_by_their_weights() -> None:
    features = {"bands": TWO_CLASSES.astype(np.float32)[:, None], "aux": TWO_CLASSES.astype(np.float32)[:, None]}
    features["position"] = in_a_row(40)
    first, second = (member_of(extra_trees, name) for name in ("bands", "aux"))
    other = member_of(boosting, "aux")

    def use(members: tuple[Member, ...], *weights: float) -> float | None:
        return asked_by_weights(members, weights, features, TWO_CLASSES).use_of_second

    assert use((first, second), 0.75, 0.25) == pytest.approx(0.25)
    assert use((first, second, other), 0.3, 0.1, 0.6) == pytest.approx(0.25)
    assert use((first, second, other), 0.0, 0.4, 0.6) == pytest.approx(1)
    assert use((other,), 1.0) is None, "there is no forest"


def test_a_second_image_of_noise_is_hardly_used_and_the_only_informative_one_most() -> None:
    targets = np.tile(np.arange(3), 20)
    noise = make_features(targets) | {n: v for n, v in two_images(targets, bands=2, height=0).items() if "aux" in n}
    use = learn(targets, noise)[1].use_of_second
    assert use is not None
    assert use < 0.1
    use = learn(targets, two_images(targets, bands=2, height=8))[1].use_of_second
    assert use is not None
    assert use > 0.8
    assert learn(targets)[1].use_of_second is None


def test_an_informative_height_is_not_lost_among_hundreds_of_bands() -> None:
    recipe = EnsembleRecipe(trees=60, trees_to_validate=20, rounds=8)
    targets, others = np.tile(np.arange(3), 20), np.tile(np.arange(3), 100)
    features, asked = (two_images(part, bands=200, height=8, seed=seed) for part, seed in ((targets, 0), (others, 1)))
    _, answered = learn(targets, features, asked=asked, recipe=recipe)
    assert np.mean(answered.probs.argmax(axis=1) == others) > 0.95
    forest = ExtraTreesClassifier(60, random_state=0).fit(features["bands"], targets)
    assert np.mean(forest.predict(asked["bands"]) == others) < 0.6, "without the height nothing separates them"


@pytest.mark.parametrize(("bands", "dense"), [(4, False), (4, True), (40, False), (40, True)])
def test_members_are_chosen_by_bands_and_by_whether_labels_are_dense(bands: int, *, dense: bool) -> None:
    """Boosting takes minutes with many bands, and position misleads away from the labels."""
    chosen = choose_members({"bands": np.zeros((1, bands), np.float32)}, dense=dense)
    assert set(FORESTS) <= set(chosen)
    assert (BOOSTING in chosen) == (bands == 4)
    assert (set(POSITION) <= set(chosen)) == dense
    assert len(set(chosen) & set(POSITION)) == (len(POSITION) if dense else 0)
