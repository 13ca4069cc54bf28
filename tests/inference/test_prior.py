"""How a prior is parsed."""

from __future__ import annotations

import numpy as np
import pytest

from s2fin_cli.core.classes import LandCoverClass
from s2fin_cli.core.errors import UsageError
from s2fin_cli.inference.prior import read_prior


def classes_named(*names: str) -> list[LandCoverClass]:
    return [LandCoverClass(number, name, (0, 0, 0)) for number, name in enumerate(names, 1)]


def test_a_class_of_a_prior_is_a_name_or_else_a_number() -> None:
    classes = classes_named(" urban", "a=b", "1", "2")
    prior = read_prior(["Urban=10", "a=b=20", "1=30%", "2 = 40"], classes)
    np.testing.assert_allclose(prior, [0.1, 0.2, 0.3, 0.4])
    np.testing.assert_allclose(read_prior(["3=90"], classes_named("x", "y", "z")), [0.05, 0.05, 0.9])
    np.testing.assert_allclose(read_prior(["x=70", "y=33"], classes_named("x", "y")), [70 / 103, 33 / 103])


@pytest.mark.parametrize(
    ("prior", "message"),
    [
        (["lava=3"], "`prior` names 'lava', which is no class of the model; known are: water, trees, bare"),
        (["4=3"], "`prior` names '4', which is no class of the model"),
        (["water=30", "1=30"], "`prior` names 'water' twice"),
        (["water=70", "trees=40"], "the shares of `prior` add up to 110 %; lower them to 100 % or less"),
        (["water=100"], "`prior` gives 100 % in all, which leaves nothing for 'trees', 'bare'; give "),
        (["water=50", "trees=20", "bare=20"], "`prior` gives 90 % in all; it must be 100, as every class is named"),
    ],
)
def test_a_prior_that_cannot_be(prior: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_prior(prior, classes_named("water", "trees", "bare"))
