"""The command line as real processes: module entry, full disk, Ctrl-C."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from s2fin_cli.model.file import read_model
from tests.files import write_raster
from tests.scenes import Scene

Process = Callable[..., subprocess.CompletedProcess[str]]

LIMITED = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
from s2fin_cli.cli.main import cli
cli(sys.argv[2:], prog_name="s2fin")
"""


@pytest.fixture
def process(in_folder: Path, environment: dict[str, str]) -> Process:
    """Run Python with arguments in an empty folder."""
    assert not list(in_folder.iterdir())

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, *map(str, arguments)]
        return subprocess.run(
            command, cwd=in_folder, env=environment, capture_output=True, text=True, timeout=120, check=False
        )

    return run


def test_module_entry(process: Process, scene: Scene) -> None:
    done = process("-m", "s2fin_cli", "inspect", scene.hsi, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["width"] == 70
    done = process("-m", "s2fin_cli", "inspect", "none.tif")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: none.tif does not exist")
    assert len(done.stderr.splitlines()) == 1
    done = process("-m", "s2fin_cli", "train", "--patch-size", "x")
    assert (done.returncode, done.stdout) == (2, "")


def test_names_that_the_terminal_cannot_show(process: Process, environment: dict[str, str], in_folder: Path) -> None:
    environment["PYTHONIOENCODING"] = "latin-1"
    labels = in_folder / "labels.tif"
    write_raster(labels, np.ones((8, 8), np.uint8))
    sidecar = (
        "<PAMDataset><PAMRasterBand band='1'><CategoryNames><Category/><Category>\u68ee</Category></CategoryNames>"
    )
    labels.with_name("labels.tif.aux.xml").write_text(sidecar + "</PAMRasterBand></PAMDataset>", encoding="utf-8")
    arguments = ("-m", "s2fin_cli", "evaluate", "--map", labels, "--reference", labels, "-q")
    done = process(*arguments, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["classes"][0]["name"] == "\u68ee"
    done = process(*arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert "\\u68ee" in done.stdout


@pytest.mark.parametrize("limit", [600, 8_000, 70_000])
def test_a_full_disk_leaves_nothing(process: Process, scene: Scene, model: Path, in_folder: Path, limit: int) -> None:
    outputs = ("-o", "map.tif", "--probabilities", "p.tif")
    done = process("-c", LIMITED, limit, "classify", *scene.arguments, "-m", model, *outputs, "-q")
    assert (done.returncode, done.stdout) == (1, "")
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, done.stderr
    assert "unexpected" not in errors[0]
    assert "no file was written" in errors[0]
    assert "writing map." in errors[0]
    assert not list(in_folder.iterdir())


@pytest.mark.slow
def test_a_full_disk_leaves_no_model(process: Process, scene: Scene, in_folder: Path) -> None:
    options = ("--epochs", "1", "--patch-size", "5", "--batch-size", "8", "-q")
    done = process("-c", LIMITED, 100_000, "train", *scene.arguments, "--labels", scene.labels, *options)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: writing model.s2fin failed: File too large; no file was written\n"
    assert not list(in_folder.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_request_to_end_after_the_first_epoch_keeps_the_best_model(
    scene: Scene, in_folder: Path, environment: dict[str, str], name: str
) -> None:
    arguments = [
        *("train", *scene.arguments, "--labels", str(scene.labels), "--epochs", "500"),
        *("--patch-size", "5", "--batch-size", "8", "--json"),
    ]
    with subprocess.Popen(
        [sys.executable, "-m", "s2fin_cli", *arguments],
        cwd=in_folder,
        env={**environment, "FORCE_COLOR": "1"},  # progress is drawn for terminals only
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as running:
        assert running.stderr is not None
        seen = b""
        while not re.search(rb"[1-9]\d*/500", seen):
            piece = running.stderr.read1(4096)  # type: ignore[attr-defined]
            assert piece, seen.decode()
            seen += piece
        running.send_signal(getattr(signal, name))
        out, rest = running.communicate(timeout=120)
    assert running.returncode == 0, rest.decode()
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", rest.decode())
    assert re.search(r"warning: interrupted: the model of epoch \d+ is kept", plain)
    answer = json.loads(out)
    assert answer["training"]["interrupted"] is True
    assert 1 <= answer["training"]["epochs"] < 500
    assert [path.name for path in in_folder.iterdir()] == ["model.s2fin"]
    _, info = read_model(in_folder / "model.s2fin")
    assert info.training["interrupted"] is True
