"""How many pixels of each class a stratified sample has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from s2fin_cli.assess.sampling import allocate

if TYPE_CHECKING:
    from collections.abc import Mapping


@given(st.dictionaries(st.integers(1, 9), st.integers(1, 10**9), min_size=1), st.integers(1, 900), st.integers(1, 99))
def test_each_class_has_its_least_number_and_the_rest_is_in_proportion(
    pixels: Mapping[int, int], size: int, least: int
) -> None:
    numbers = allocate(pixels, size=size, least=least)
    assert numbers.keys() == pixels.keys()
    for i, number in numbers.items():
        assert min(least, pixels[i]) <= number <= pixels[i]
    assert sum(numbers.values()) >= min(size, sum(pixels.values()))
    above = [i for i in pixels if numbers[i] > least + 1]
    for i in above:
        for j in above:
            assert abs(numbers[i] - numbers[j] * pixels[i] / pixels[j]) <= 2 + 2 * pixels[i] / pixels[j]


def test_numbers_by_hand() -> None:
    assert allocate({1: 2_000, 2: 1_500, 3: 32_000, 4: 64_500}, size=640, least=75) == {1: 75, 2: 75, 3: 162, 4: 328}
    assert allocate({1: 10, 2: 10**6}, size=100, least=50) == {1: 10, 2: 90}
    assert allocate({1: 500, 2: 500}, size=5, least=1) == {1: 3, 2: 2}
