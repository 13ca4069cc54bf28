"""The images of one place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from s2fin_cli.core.images import Images


def test_a_function_is_applied_to_each_image_that_there_is() -> None:
    both = Images(np.arange(3), np.arange(2)).map(torch.from_numpy)
    assert [part.tolist() for part in both.parts()] == [[0, 1, 2], [0, 1]]
    alone = Images(Path("a.tif")).map(str)
    assert alone == Images("a.tif", None)
    assert alone.parts() == ["a.tif"]


def test_it_can_be_passed_on_as_two_arguments() -> None:
    def name(image: str, aux: str | None) -> str:
        return f"{image} {aux}"

    assert name(*Images("a", "b")) == "a b"
    assert name(*Images("a")) == "a None"
