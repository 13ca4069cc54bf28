"""Fixtures that tests share: a small scene, a model trained on it, and the real scenes where they are at hand."""

from __future__ import annotations

import logging
import os
import pickle
import signal
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from click.testing import CliRunner, Result
from filelock import FileLock
from hypothesis import HealthCheck, settings

from s2fin import S2Fin, S2FinConfig
from s2fin_cli.cli.main import cli
from s2fin_cli.model.file import read_model, write_model
from s2fin_cli.workflows.train import TrainResult
from s2fin_cli.workflows.train import run as run_train
from tests.recipes import QUICK, SMALL
from tests.scenes import Run, Scene, tiny_options, write_scene

if TYPE_CHECKING:
    from collections.abc import Iterator


# Shared machines pause now and then, regardless of the code; and CI must not depend on chance.
settings.register_profile(
    "shared", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize="CI" in os.environ
)
settings.load_profile("shared")


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """The command line sets up the package's logging, which later tests must not see."""
    own = logging.getLogger("s2fin_cli")
    before, level = (own.handlers, own.propagate), own.level
    yield
    own.handlers, own.propagate = before
    own.setLevel(level)  # which also makes loggers below it forget whether they are enabled
    logging.captureWarnings(capture=False)


@pytest.fixture(autouse=True)
def signals_as_before() -> Iterator[None]:
    """Ctrl-C interrupts, also where a shell's background job ignores it; and no handler outlives its test.

    `main` handles signals for the whole process. Otherwise a SIGTERM to the tests, such as `timeout` sends, would fail
    a later test, because click's test runner takes the exit for the command's.
    """
    names = [name for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {getattr(signal, name): signal.getsignal(getattr(signal, name)) for name in names}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(scope="session")
def real_scenes() -> Path:
    """Folder of real scenes; they have other licences and are not part of the project."""
    folder = Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the real scenes (../shared/data) are not at hand")
    return folder


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> Iterator[None]:
    """The tensors here are tiny, and threads that wait for each other cost more than they save."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return write_scene(tmp_path_factory.mktemp("scene"))


@pytest.fixture(scope="session")
def trained(scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    """The one model of the session: seed 0, four epochs, patches of 5 x 5 pixels.

    Processes that test side by side share it: the first that needs it trains it.
    """
    own = tmp_path_factory.getbasetemp()
    folder = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    kept = folder / "trained.pickle"
    with FileLock(folder / "trained.lock"):
        if not kept.exists():
            torch.set_num_threads(1)
            options = tiny_options(scene, folder / "tiny.s2fin")
            kept.write_bytes(pickle.dumps(run_train(options, recipe=SMALL)))
    result: TrainResult = pickle.loads(kept.read_bytes())  # noqa: S301  written just before
    return result


@pytest.fixture(scope="session")
def model(trained: TrainResult) -> Path:
    return trained.model


@pytest.fixture(scope="session")
def wide_model(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The session's model, whose labels are dense, as one of sparse labels: its windows predict 5 x 5 pixels."""
    network, info = read_model(model)
    wide = S2Fin(replace(network.cfg, block_size=S2FinConfig.block_size))
    wide.load_state_dict(network.state_dict())
    path = tmp_path_factory.mktemp("model") / "wide.s2fin"
    write_model(path, wide, info=replace(info, architecture=wide.cfg.to_dict()))
    return path


@pytest.fixture
def run(in_folder: Path) -> Run:
    """Run the command line in this process, in an empty folder, without project file or model; training is quick."""
    assert not list(in_folder.iterdir())

    def invoke(*arguments: object) -> Result:
        return CliRunner().invoke(cli, [str(argument) for argument in arguments], prog_name="s2fin", obj=QUICK)

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
