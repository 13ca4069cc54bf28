"""Options in messages: Python names in the library, flags on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from s2fin_cli.cli.main import cli
from s2fin_cli.cli.messages import with_flags

ROOT = Path(__file__).parents[2] / "s2fin_cli"


@pytest.mark.parametrize(
    ("command", "message", "shown"),
    [
        ("train", "name it with `label_field`", "name it with --label-field"),
        ("train", "`patch_size` is 4; it must be odd", "--patch-size is 4; it must be odd"),
        ("train", 'use `device="cpu"` or a smaller `batch_size`', "use --device cpu or a smaller --batch-size"),
        ("train", '`nodata="lidar:-9999"`', "--nodata lidar:-9999"),
        ("train", "`nodata='none'`", "--nodata none"),
        ("classify", '`prior="bare soil=5"`', "--prior 'bare soil=5'"),
        ("classify", "which `vector=False` turns off", "which --no-vector turns off"),
        ("classify", "use `overwrite=True`", "use --overwrite"),
        ("evaluate", "`classes` is an option of other commands", "`classes` is an option of other commands"),
        ("convert", "`src` is an argument", "SRC is an argument"),
        ("train", "`a file.tif` and `x-1`, a lone ` stays", "`a file.tif` and `x-1`, a lone ` stays"),
        ("train", "nothing to do", "nothing to do"),
    ],
)
def test_options_are_shown_as_flags(command: str, message: str, shown: str) -> None:
    assert with_flags(message, cli.commands[command].params) == shown
