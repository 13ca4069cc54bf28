"""The use case of classifying many scenes with one model: each gets its map, and a bad one does not stop the others."""

from __future__ import annotations

import json
import logging
import os
import time
from collections import Counter
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from s2fin_cli.core.captions import captions
from s2fin_cli.core.errors import InputError, OutputError, UsageError
from s2fin_cli.core.map_options import MethodOptions, WritingOptions
from s2fin_cli.core.names import is_dataset_name
from s2fin_cli.core.options import StackingOptions
from s2fin_cli.core.progress import Progress, Stop, silent, stoppable
from s2fin_cli.model.header import find_model
from s2fin_cli.scenes.read import read_scenes
from s2fin_cli.scenes.records import Records, write_text
from s2fin_cli.shards.folder import WorkFolder
from s2fin_cli.shards.maker import software
from s2fin_cli.shards.plan import read_plan
from s2fin_cli.shards.receipt import checksum
from s2fin_cli.stac.images import named_file
from s2fin_cli.workflows.classify import carry_out, carry_out_in_shards
from s2fin_cli.workflows.classify_job import load_model
from s2fin_cli.workflows.input_identity import facts_of_inputs
from s2fin_cli.workflows.local_workers import check_workers
from s2fin_cli.workflows.scene_pool import Pool
from s2fin_cli.workflows.scene_steps import DONE, FAILED, SKIPPED, VERSION, Common, Scene, SceneResult
from s2fin_cli.workflows.workers import workers_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from s2fin_cli.core.options import StrPath
    from s2fin_cli.scenes.entry import SceneEntry
    from s2fin_cli.workflows.classify_job import LoadedModel
    from s2fin_cli.workflows.options.classify import ClassifyOptions
    from s2fin_cli.workflows.options.classify_all import ClassifyAllOptions

logger = logging.getLogger(__name__)

#: The report's name in the folder of the maps.
REPORT = "scenes.json"
#: Options that no map depends on.
_NOT_SETTINGS = ("device", "overwrite", "aoi")
#: The report of a long list is written so rarely that this many times as much time is left for the maps.
_RARELY = 50


@dataclass(frozen=True)
class ClassifyAllResult:
    """What became of the scenes.

    Attributes:
        model: path of the model that was used.
        report: path of the report, a JSON file with what `to_dict` gives.
        scenes: what became of each scene, in the order of the list.
    """

    model: Path
    report: Path
    scenes: tuple[SceneResult, ...]

    @property
    def failed(self) -> list[SceneResult]:
        """The scenes without a map."""
        return [scene for scene in self.scenes if scene.status == FAILED]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values for scripts."""
        counts = Counter(scene.status for scene in self.scenes)
        return {
            "model": str(self.model),
            "report": str(self.report),
            **{status: counts[status] for status in (DONE, SKIPPED, FAILED)},
            "scenes": [scene.to_dict() for scene in self.scenes],
        }


class _Report:
    """The report, which is written again and again while the scenes are worked on, and when a `with` block ends."""

    def __init__(self, result: ClassifyAllResult) -> None:
        self._result, self._due = result, 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Write it; where that fails too, the error that ended the block is the one to raise."""
        try:
            self.write(at_once=True)
        except OutputError as other:
            if error is None:
                raise
            if str(other) != str(error):
                logger.warning("%s", other)

    def write(self, *, at_once: bool = False) -> None:
        """Write it, unless it was written a short while ago.

        Raises:
            OutputError: it cannot be written.
        """
        start = time.monotonic()
        if not at_once and start < self._due:
            return
        write_text(self._result.report, json.dumps(self._result.to_dict(), indent=1) + "\n")
        end = time.monotonic()
        self._due = end + _RARELY * (end - start)


def run(options: ClassifyAllOptions, *, progress: Progress = silent, stop: Stop | None = None) -> ClassifyAllResult:
    """Classify scenes with one model and write their maps.

    Args:
        options: the options.
        progress: called with how far it is.
        stop: ends the run at its next step once it is set.

    Returns:
        what became of each scene, failed ones included.

    Raises:
        S2finError: something is wrong with the list, the model, options or the folder of the maps.
        Stopped: it was asked to end; finished maps are kept.
    """
    stop = stop or Stop()
    listener, folder = stoppable(progress, stop), Path(options.output)
    hidden = [path for path in (options.output, options.work) if path is not None]
    entries = read_scenes(options.scenes, options.images, without=list(map(Path, hidden)))

    def options_of(entry: SceneEntry) -> ClassifyOptions:
        return options.of_scene(entry.name, entry.paths, entry.aoi)

    scenes = [Scene(entry, options_of) for entry in entries]
    model = load_model(find_model(options.model), options.of_scene("scene", {"hsi": ("hsi.tif",)}))
    result = ClassifyAllResult(model.path, folder / REPORT, tuple(scene.result for scene in scenes))
    _check_apart(scenes, result.report, [options.scenes, model.path])
    skips = options.on_read_error == "skip"
    common = Common(
        model, _settings(options, model), Records.beside(folder), skips, options.overwrite, options.mixed, stop
    )
    _begin(folder, result.report, common, scenes)
    with captions(), _Report(result) as report:
        _check_headers(scenes, common, progress=listener)
        _make(scenes, options, common, report, progress=listener)
    return result


def _settings(options: ClassifyAllOptions, model: LoadedModel) -> dict[str, Any]:
    """What every map depends on besides its inputs, in JSON values."""
    names = [f.name for kind in (StackingOptions, MethodOptions, WritingOptions) for f in fields(kind)]
    names += ["with_confidence", "with_probabilities", "with_uncertainty", "with_report", "vector_format"]
    given = {f"`{name}`": getattr(options, name) for name in names if name not in _NOT_SETTINGS}
    facts = {
        "the checksum of the model": checksum(model.path),
        "`stride`": model.engine.stride,
        **given,
        **facts_of_inputs([] if options.aoi is None else [("aoi", str(options.aoi))]),
        **{f"{VERSION}{name}": version for name, version in software().items()},
    }
    return dict(json.loads(json.dumps(facts)))


def _check_apart(scenes: Sequence[Scene], report: Path, others: Sequence[StrPath]) -> None:
    """Refuse outputs of a scene that are those of another one, the report, or an input of any scene.

    Raises:
        UsageError: there are such outputs.
    """
    writers = {_place(report): "the report"}
    inputs = {_place(path): "an input" for path in others}
    for scene in filter(lambda scene: scene.is_waiting, scenes):
        name = f"scene {scene.entry.name!r}"
        files = map(named_file, scene.options.inputs)
        inputs |= {_place(path): f"an input of {name}" for path in files if not is_dataset_name(path)}
        for path in scene.paths:
            other = writers.setdefault(_place(path), name)
            if other != name:
                raise UsageError(f"{name} and {other} would both be written to {path}; rename the scene")
    for place, name in writers.items():
        if place in inputs:
            raise UsageError(f"{name} would replace {place}, which is {inputs[place]}; use another folder for `output`")


def _place(path: StrPath) -> str:
    """Where a file is; links of its folder are followed, and names that differ only in case count as the same."""
    folder, name = os.path.split(os.path.abspath(path))
    return os.path.join(os.path.realpath(folder), name.casefold())


def _begin(folder: Path, report: Path, common: Common, scenes: Sequence[Scene]) -> None:
    """Make the folder of the maps, or check that the maps in it were made with the same model and options.

    Raises:
        InputError: they were not, and may not be replaced.
        OutputError: the folder cannot be used, or a file that is there would be replaced by the report.
    """
    if is_dataset_name(folder):
        raise UsageError(f"`output` is {folder}; it must be a folder on this machine")
    if os.path.lexists(report) and not (common.overwrite or common.records.path.exists()):
        raise OutputError(
            f"{report} exists and is not the report of an earlier run; move it away, give `overwrite=True` to replace "
            "it, or use another folder for `output`"
        )
    try:
        common.records.begin()
    except OSError as error:
        raise OutputError(f"the folder {folder} cannot be used: {error.strerror or error}") from error
    for scene in scenes:
        record = common.records.read(scene.entry.name) if scene.is_waiting else None
        if record is None or common.overwrite or not any(map(os.path.lexists, scene.paths)):
            continue
        difference = common.difference(record)
        if difference is not None:
            name, old, new = difference
            hint = ", or keep them with `mixed=True`" if name.startswith(VERSION) else ""
            raise InputError(
                f"{scene.options.output} was made otherwise: {name} was {old} and is {new} now; restore it, give "
                f"`overwrite=True` to make such maps again, or use another folder for `output`{hint}"
            )


def _check_headers(scenes: Sequence[Scene], common: Common, *, progress: Progress) -> None:
    """Find scenes that cannot be mapped before the work begins, as far as headers show it."""
    todo = [scene for scene in scenes if scene.is_waiting and common.records.read(scene.entry.name) is None]
    own = logging.getLogger("s2fin_cli")
    level = own.level
    for number, scene in enumerate(todo, start=1):
        own.setLevel(logging.CRITICAL)  # of what is warned of here, it is warned again when the map is made
        try:
            scene.attempt(partial(scene.check, common))
        finally:
            own.setLevel(level)
        progress("checking", number, len(todo))


def _make(
    scenes: Sequence[Scene], options: ClassifyAllOptions, common: Common, report: _Report, *, progress: Progress
) -> None:
    """Make the maps of all scenes that wait for it."""
    todo, number = [scene for scene in scenes if scene.is_waiting], 0

    def on_end(scene: Scene) -> None:
        nonlocal number
        number += 1
        _log(scene.result, number, len(scenes))
        report.write()
        progress("scenes", number, len(scenes))

    for scene in scenes:
        if not scene.is_waiting:
            on_end(scene)
    if options.workers is None and options.scheduler is None:
        for scene in todo:
            scene.attempt(partial(_make_one, scene, common, progress=progress))
            on_end(scene)
        return
    if options.workers is not None:
        check_workers(common.model.engine.device, options.workers)
    workers = workers_of(options.workers, options.scheduler)
    with Pool(workers, common, Path(options.output), on_end=on_end, progress=progress) as pool:
        pool.make(todo)


def _make_one(scene: Scene, common: Common, *, progress: Progress) -> None:
    """Make the map of a scene in this process, unless it is finished."""
    job = scene.begin(common)
    if job is None:
        return
    if job.options.work is None:
        scene.finish(common, carry_out(job, progress=progress))
        return
    folder = WorkFolder(Path(job.options.work))
    made = carry_out_in_shards(job, progress=progress)
    plan = read_plan(folder.plan_path)
    scene.finish(common, made)
    folder.remove(plan)


def _log(result: SceneResult, number: int, total: int) -> None:
    """Say what became of a scene."""
    if result.status == FAILED:
        logger.warning("%d of %d: %s failed: %s", number, total, result.name, result.error)
    elif result.status == SKIPPED:
        logger.info("%d of %d: %s was finished before", number, total, result.name)
    else:
        logger.info("%d of %d: %s is finished, after %.1f s", number, total, result.name, result.seconds)
