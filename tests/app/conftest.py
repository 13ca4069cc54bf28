"""Fixtures around the synthetic scene: one tiny model trained on it, and the command line."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result

from s2fin import S2Fin, S2FinConfig
from s2fin_cli.learn import teacher, training
from s2fin_cli.learn.pipeline import TrainResult
from s2fin_cli.learn.pipeline import train as run_train
from s2fin_cli.main import cli
from s2fin_cli.modelfile import read_model, write_model
from tests.app.scenes import Run, Scene, tiny_options, write_scene


@pytest.fixture(autouse=True, scope="package")
def one_thread() -> Iterator[None]:
    """The tensors here are tiny, and threads that wait for each other cost more than they save."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True, scope="session")
def few_trees() -> Iterator[None]:
    """Small forests and few rounds of boosting: whole ones take seconds, and the classes here are easy to tell apart.

    This is for the whole session, as its one model needs it, and no test of another folder trains in this process.
    """
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(teacher, "TREES", 8)
        monkeypatch.setattr(teacher, "TREES_TO_VALIDATE", 4)
        monkeypatch.setattr(teacher, "ROUNDS", 8)
        yield


@pytest.fixture(scope="session")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return write_scene(tmp_path_factory.mktemp("scene"))


@pytest.fixture(scope="session")
def trained(scene: Scene, few_trees: None, tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    """The one model of the session: seed 0, four epochs, patches of 5 x 5 pixels."""
    torch.set_num_threads(1)
    return run_train(tiny_options(scene, tmp_path_factory.mktemp("model") / "tiny.s2fin"))


@pytest.fixture(scope="session")
def model(trained: TrainResult) -> Path:
    return trained.model


@pytest.fixture(scope="session")
def wide_model(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The session's model, whose labels lie densely, as one of sparse labels: its windows tell 5 x 5 pixels."""
    network, info = read_model(model)
    wide = S2Fin(replace(network.cfg, block_size=S2FinConfig.block_size))
    wide.load_state_dict(network.state_dict())
    path = tmp_path_factory.mktemp("model") / "wide.s2fin"
    write_model(path, wide, replace(info, architecture=wide.cfg.to_dict()))
    return path


@pytest.fixture
def run(in_folder: Path) -> Run:
    """Run the command line in this process, in an empty folder, without a project file or a model."""
    assert not list(in_folder.iterdir())

    def invoke(*arguments: object) -> Result:
        return CliRunner().invoke(cli, [str(argument) for argument in arguments], prog_name="s2fin")

    return invoke


@pytest.fixture
def environment() -> dict[str, str]:
    """Environment of a real process: wide lines, and one thread as in this process."""
    own = {key: value for key, value in os.environ.items() if key != "S2FIN_MODEL"}
    return {**own, "OMP_NUM_THREADS": "1", "COLUMNS": "200"}


@pytest.fixture
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, which is the current one; no model is named in the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("S2FIN_MODEL", raising=False)
    return tmp_path


@pytest.fixture
def short_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three steps an epoch, and ten for AFCM alone, for tests that need a model and not a good one."""
    monkeypatch.setattr(training, "CONTEXT_STEPS", 10)
    monkeypatch.setattr(training, "MIN_STEPS", 3)
    monkeypatch.setattr(training, "MAX_STEPS", 3)
