"""How the plugin runs s2fin: messages, errors, progress, and the end of a run that is cancelled."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest

from qgis_plugin.s2fin.process import CancelledError, RunError, run
from tests.scenes import Scene

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the programs of these tests are shell scripts")


@dataclass
class Listener:
    """What QGIS calls a feedback; cancels a run when it hears some words."""

    cancels_at: str = "never"
    said: list[str] = field(default_factory=list)
    rows: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    stages: list[str] = field(default_factory=list)
    percents: list[float] = field(default_factory=list)
    is_cancelled: bool = False

    def isCanceled(self) -> bool:  # noqa: N802
        return self.is_cancelled

    def setProgress(self, progress: float) -> None:  # noqa: N802
        self.percents.append(progress)

    def setProgressText(self, text: str) -> None:  # noqa: N802
        self.stages.append(text)
        self._hear(text)

    def pushInfo(self, info: str) -> None:  # noqa: N802
        self.said.append(info)
        self._hear(info)

    def pushConsoleInfo(self, info: str) -> None:  # noqa: N802
        self.rows.append(info)

    def pushWarning(self, warning: str) -> None:  # noqa: N802
        self.warnings.append(warning)

    def _hear(self, text: str) -> None:
        self.is_cancelled |= self.cancels_at in text


def script(folder: Path, text: str) -> str:
    """A program that does as a text says."""
    path = folder / "s2fin"
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def started(folder: Path, text: str, listener: Listener, *arguments: str) -> None:
    run([script(folder, text), *arguments], environment=dict(os.environ), folder=str(folder), listener=listener)


def test_messages_come_line_by_line_and_in_their_kinds(tmp_path: Path) -> None:
    heard = Listener()
    text = r"""
    echo 'a table'
    echo ' 1 sea    9.5'
    printf 'warning: a doubt\nfirst\nsecond\r\n\n' >&2
    printf '{"stage": "training", "done": 1, "total": 4, "figures": {"loss": 0.5}}\n' >&2
    printf '{"stage": "classifying", "done": 1, "total": 2, "figures": {}}\n{"stage": 5}\n' >&2
    printf 'half a char: \303\n' >&2
    """
    started(tmp_path, text, heard)
    assert heard.warnings == ["a doubt"]
    assert set(heard.said) == {
        "a table", "first", "second", "training: 1 of 4  loss 0.500", '{"stage": 5}', "half a char: \ufffd",
    }  # fmt: skip
    assert heard.rows == ["\u00a01\u00a0sea\u00a0\u00a0\u00a0\u00a09.5"], "columns stay where they are"
    assert heard.stages == ["Training ...", "Classifying ..."]
    assert heard.percents == [25, 50]


def test_arguments_reach_the_program_as_they_are(tmp_path: Path) -> None:
    heard = Listener()
    awkward = ["a b", "$HOME", "`date`", "é;|&", "", "--x=\n"]
    started(tmp_path, 'for each in "$@"; do printf "%s" "[$each]"; done; echo; pwd; env', heard, *awkward)
    assert "".join(heard.said).startswith("".join(f"[{each}]" for each in awkward).replace("\n", ""))
    assert str(tmp_path) in heard.said
    assert {"S2FIN_STOP_AT_EOF=1", "S2FIN_PROGRESS=json"} <= set(heard.said)


def test_an_error_of_s2fin_is_the_error_in_the_words_of_the_caller(tmp_path: Path) -> None:
    text = "echo 'warning: --a' >&2; echo working >&2; printf 'error: --a is wrong;\nchoose another\n' >&2; exit 1"
    heard = Listener()
    with pytest.raises(RunError) as caught:
        run(
            [script(tmp_path, text)],
            environment={}, folder=str(tmp_path), listener=heard, worded=lambda text: text.replace("--a", "“A”"),
        )  # fmt: skip
    assert str(caught.value) == "“A” is wrong;\nchoose another"
    assert (heard.said, heard.warnings) == (["working"], ["“A”"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "echo Traceback; echo boom; exit 3",
            "s2fin ended with code 3 and without a message; its last lines are:\nTra",
        ),
        ("exit 3", r"s2fin ended with code 3 and without a message$"),
        ("kill -9 $$", "the system ended s2fin by signal 9; the memory was probably full"),
        ("kill -11 $$", r"the system ended s2fin by signal 11$"),
    ],
)
def test_an_end_without_an_error_of_s2fin_is_one_too(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(RunError, match=message):
        started(tmp_path, text, Listener())


def test_a_program_that_cannot_be_started(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"none cannot be started: .*No such file"):
        run([str(tmp_path / "none")], environment={}, folder=str(tmp_path), listener=Listener())


def test_a_cancelled_program_ends_when_its_input_does_and_may_still_say_something(tmp_path: Path) -> None:
    heard = Listener(cancels_at="begun")
    with pytest.raises(CancelledError, match="cancelled; no incomplete file is left"):
        started(tmp_path, "echo begun; cat; echo removing; exit 143", heard)
    assert heard.said == ["begun", "removing"]


def test_a_program_that_is_done_before_it_hears_of_the_cancellation_has_succeeded(tmp_path: Path) -> None:
    heard = Listener(cancels_at="begun")
    started(tmp_path, "echo begun; cat; echo written", heard)
    assert heard.said == ["begun", "written"]


def test_a_program_that_ignores_its_end_is_killed_with_all_that_it_started(tmp_path: Path) -> None:
    heard = Listener(cancels_at="begun")
    text = "trap '' TERM; sleep 300 & echo $!; sleep 300 & echo $!; echo begun; while true; do sleep 1; done"
    with pytest.raises(CancelledError):
        run([script(tmp_path, text)], environment=dict(os.environ), folder=str(tmp_path), listener=heard, grace=0.5)
    first, second, _ = heard.said
    deadline = time.monotonic() + 30
    while any(is_running(int(number)) for number in (first, second)) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not [number for number in (first, second) if is_running(int(number))]


def test_a_fault_of_the_listener_leaves_nothing_running(tmp_path: Path) -> None:
    class Broken(Listener):
        def pushInfo(self, info: str) -> None:  # noqa: N802
            super().pushInfo(info)
            raise KeyboardInterrupt

    heard = Broken()
    with pytest.raises(KeyboardInterrupt):
        started(tmp_path, "echo $$; cat", heard)
    assert not is_running(int(heard.said[0]))


def is_running(number: int) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return bool(psutil.Process(number).status() != psutil.STATUS_ZOMBIE)
    return False


def real(arguments: list[object], folder: Path, environment: dict[str, str], listener: Listener) -> None:
    """Run the s2fin of this checkout."""
    command = [sys.executable, "-m", "s2fin_cli", *map(str, arguments)]
    run(command, environment=environment, folder=str(folder), listener=listener)


def test_an_error_of_s2fin_itself(tmp_path: Path, environment: dict[str, str]) -> None:
    with pytest.raises(RunError, match=r"^none\.tif does not exist"):
        real(["evaluate", "--map", "none.tif", "--reference", "none.gpkg"], tmp_path, environment, Listener())


@pytest.mark.slow
def test_progress_and_results_of_s2fin_itself(
    scene: Scene, model: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    heard = Listener()
    classify = ["classify", *scene.arguments, "-m", model, "-o", "map.tif"]
    real([*classify, "--stride", 1, "--tile-size", 16], tmp_path, environment, heard)
    assert (tmp_path / "map.tif").is_file()
    assert "Classifying ..." in heard.stages
    assert heard.percents[-1] == 100
    assert any("forest" in line for line in heard.rows)
    with pytest.raises(RunError, match=r"^map\.tif already exists; give --overwrite to replace it, or another name$"):
        real(classify, tmp_path, environment, Listener())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stage", "workers"),
    [("Classifying", []), ("Shards", ["--workers", 2, "--shard-size", 16])],
    ids=["alone", "workers"],
)
def test_s2fin_ends_when_it_is_cancelled_and_leaves_nothing(
    scene: Scene, model: Path, tmp_path: Path, environment: dict[str, str], stage: str, workers: list[object]
) -> None:
    heard = Listener(cancels_at=stage)
    mine = psutil.Process()
    others = set(mine.children(recursive=True))  # of earlier tests
    arguments = ["classify", *scene.arguments, "-m", model, "-o", "map.tif", "--stride", 1, "--tile-size", 16, *workers]
    with pytest.raises(CancelledError):
        real(arguments, tmp_path, environment, heard)
    assert not list(tmp_path.iterdir())
    deadline = time.monotonic() + 60
    while set(mine.children(recursive=True)) - others and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not set(mine.children(recursive=True)) - others


@pytest.mark.slow
def test_a_training_that_has_a_result_to_keep_keeps_nothing_either(
    scene: Scene, tmp_path: Path, environment: dict[str, str]
) -> None:
    heard = Listener(cancels_at="training: 2 of")
    arguments = ["train", *scene.arguments, "--labels", scene.labels, "-o", "m.s2fin", "--epochs", 500]
    with pytest.raises(CancelledError):
        real(arguments, tmp_path, environment, heard)
    assert any("training: 2 of 500" in line for line in heard.said)
    assert not list(tmp_path.iterdir())
