"""Memory of the device that runs out while shards are made: what fits together is kept, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import pytest
import torch

import s2fin_cli
from s2fin_cli.core.errors import InputError, S2finError
from s2fin_cli.inference.engine import Engine
from s2fin_cli.shards.agreement import agreed_maker
from s2fin_cli.shards.folder import WorkFolder
from s2fin_cli.shards.plan import read_plan
from s2fin_cli.workflows.classify import ClassifyResult, carry_out_in_shards
from s2fin_cli.workflows.classify_job import ClassifyJob, prepare
from s2fin_cli.workflows.options.classify import ClassifyOptions
from tests.workflows.sharding import check_same_map, finished, names, options_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from s2fin import S2Fin
    from tests.scenes import Scene

#: Batches that the device is believed to have room for, and the shards of the map.
BELIEVED, SHARDS = 4, 4


def given(scene: Scene, model: Path, folder: Path, **changes: Any) -> dict[str, Any]:
    """Keywords of a map in four shards."""
    how = {"confidence": folder / "c.tif", "work": folder / "run", "shard_size": 48, "vector": False, **changes}
    return options_of(scene, model, folder / "map.tif", **how)


class Crowded:
    """A network whose device has room for so many batches in each call, counted from 0.

    Attributes:
        computed: how many batches each call computed that it had room for.
    """

    def __init__(self, network: S2Fin, room: Callable[[int], int]) -> None:
        self._network, self._room, self._calls = network, room, 0
        self.computed: list[int] = []

    def to(self, device: torch.device) -> Crowded:
        return self

    def eval(self) -> Crowded:
        return self

    def standardize(self, image: torch.Tensor, aux: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        self._calls += 1
        if len(image) > self._room(self._calls - 1):
            raise torch.OutOfMemoryError("CUDA out of memory")
        self.computed.append(len(image))
        return self._network.standardize(image, aux)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._network, name)


def job_of(keywords: dict[str, Any], room: Callable[[int], int], *, believed: int = BELIEVED) -> ClassifyJob:
    """A job whose device has that room, and which begins with as many batches as it is believed to have room for."""
    job = prepare(ClassifyOptions.from_kwargs(keywords))
    assert isinstance(job.predictor, Engine)
    network = cast("S2Fin", Crowded(job.predictor.network, room))
    return replace(job, predictor=Engine(network, torch.device("cpu"), stride=job.stride, batches_at_once=believed))


def batches(folder: Path) -> set[int | None]:
    """How many batches were computed together for the shards that are finished."""
    work = WorkFolder(folder / "run")
    plan = read_plan(work.plan_path)
    return {receipt.maker.batches for number in plan.numbers if (receipt := work.receipt(number, plan)) is not None}


@pytest.fixture
def in_pairs(scene: Scene, model: Path, tmp_path: Path) -> ClassifyResult:
    """The map whose batches are computed in pairs."""
    folder = tmp_path / "pairs"
    folder.mkdir()
    return carry_out_in_shards(job_of(given(scene, model, folder), lambda call: 2, believed=2))


def test_fewer_batches_from_the_first_shard_on(
    scene: Scene, model: Path, tmp_path: Path, in_pairs: ClassifyResult
) -> None:
    """A later command with more free memory goes on with as many as the first one had room for."""
    keywords = given(scene, model, tmp_path)
    carry_out_in_shards(job_of({**keywords, "shard": "1/2"}, lambda call: 2))
    assert len(finished(tmp_path / "run")) == SHARDS // 2
    found = carry_out_in_shards(job_of(keywords, lambda call: 99))
    assert batches(tmp_path) == {2}
    check_same_map(found, in_pairs)


@pytest.mark.slow
def test_memory_that_runs_out_within_the_first_shard(
    scene: Scene, model: Path, tmp_path: Path, in_pairs: ClassifyResult
) -> None:
    """The shard is made again, so that all of it is computed the same way."""
    keywords = given(scene, model, tmp_path, shard_size=96, tile_size=48)
    job = job_of(keywords, lambda call: 99 if call == 0 else 2)
    found = carry_out_in_shards(job)
    assert batches(tmp_path) == {2}
    assert cast("Engine", job.predictor).network.computed == [BELIEVED, 2, 2, 2, *[2] * 4]
    check_same_map(found, in_pairs)


@pytest.mark.slow
def test_memory_that_runs_out_later_is_an_error_and_the_run_is_continued(
    scene: Scene, model: Path, tmp_path: Path
) -> None:
    keywords = given(scene, model, tmp_path)
    with pytest.raises(S2finError, match=r"while 4 batches of windows were computed together, .*; free memory of the"):
        carry_out_in_shards(job_of(keywords, lambda call: 99 if call < 2 else 2))
    before = finished(tmp_path / "run")
    assert len(before) == 2
    assert names(tmp_path) == {"run"}
    assert not [name for name in names(tmp_path / "run") if name.startswith(".")]
    found = carry_out_in_shards(job_of(keywords, lambda call: 99))
    assert batches(tmp_path) == {BELIEVED}
    assert before.items() <= finished(tmp_path / "run").items()
    (tmp_path / "one").mkdir()
    check_same_map(found, carry_out_in_shards(job_of(given(scene, model, tmp_path / "one"), lambda call: 99)))


@pytest.mark.slow
def test_fewer_batches_are_allowed_by_mixed(scene: Scene, model: Path, tmp_path: Path) -> None:
    keywords = given(scene, model, tmp_path, mixed=True)
    carry_out_in_shards(job_of(keywords, lambda call: 99 if call < 2 else 2))
    assert batches(tmp_path) == {2, BELIEVED}
    with pytest.raises(InputError, match=r"of batches computed together is 4 for shard 1 .* and 2 for shard"):
        s2fin_cli.assemble(work=tmp_path / "run", output=tmp_path / "b.tif")


def test_memory_for_not_even_one_batch(scene: Scene, model: Path, tmp_path: Path) -> None:
    with pytest.raises(S2finError, match='too little memory to classify even a small tile; use `device="cpu"`'):
        carry_out_in_shards(job_of(given(scene, model, tmp_path), lambda call: 0))
    assert names(tmp_path / "run") == {"plan.json"}
    assert agreed_maker(WorkFolder(tmp_path / "run")) is None
