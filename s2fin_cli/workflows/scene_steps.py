"""The steps of one scene among many: whether its map is finished, what it is made of, and what became of it."""

from __future__ import annotations

import logging
import os
import time
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from s2fin_cli.core.captions import Caption, captioned
from s2fin_cli.core.errors import DiskFullError, InputError, S2finError, shortened
from s2fin_cli.core.facts import first_difference
from s2fin_cli.core.files import check_outputs
from s2fin_cli.core.names import is_dataset_name
from s2fin_cli.core.progress import Stopped
from s2fin_cli.model.fit import fit_stack
from s2fin_cli.scenes.records import SceneRecord
from s2fin_cli.shards.folder import WorkFolder
from s2fin_cli.stac.images import files_of, is_there
from s2fin_cli.stack.assembly import build_stack
from s2fin_cli.workflows.classify_job import prepare
from s2fin_cli.workflows.classify_outputs import Outputs
from s2fin_cli.workflows.input_identity import facts_of_inputs
from s2fin_cli.workflows.run_record import public

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from s2fin_cli.core.progress import Stop
    from s2fin_cli.scenes.entry import SceneEntry
    from s2fin_cli.scenes.records import Records
    from s2fin_cli.workflows.classify import ClassifyResult
    from s2fin_cli.workflows.classify_job import ClassifyJob, LoadedModel
    from s2fin_cli.workflows.options.classify import ClassifyOptions

logger = logging.getLogger(__name__)

_T = TypeVar("_T")

#: How facts about versions of the software begin.
VERSION = "the version of "
WAITING, DONE, SKIPPED, FAILED = "waiting", "done", "skipped", "failed"


@dataclass
class SceneResult:
    """What became of a scene.

    Attributes:
        name: the scene's.
        status: "done", "skipped" where its map was finished before, "failed", or "waiting".
        outputs: paths of its files by what they are, None for those that are not written.
        classes: id, name, pixels and area in square metres of each class.
        nodata_pixels: pixels of the area of interest where an image that the model needs has no data.
        unreadable_pixels: pixels of the area of interest that were skipped because they could not be read.
        unreadable: where these are, by image.
        warnings: what was warned of.
        seconds: how long it took; of shards that several processes made, without them.
        error: why it failed.
    """

    name: str
    status: str = WAITING
    outputs: dict[str, str | None] = field(default_factory=dict)
    classes: list[dict[str, Any]] = field(default_factory=list)
    nodata_pixels: int | None = None
    unreadable_pixels: int | None = None
    unreadable: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    seconds: float = 0.0
    error: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values for scripts."""
        return {**asdict(self), "seconds": round(self.seconds, 3)}


@dataclass(frozen=True)
class Common:
    """What all scenes of a run share.

    Attributes:
        model: the model.
        settings: what every map depends on besides its inputs, in JSON values.
        records: of finished scenes.
        skips: whether what cannot be read of images is skipped.
        overwrite: whether files that are there may be replaced.
        mixed: whether maps of other versions of the software are kept.
        stop: ends the run.
    """

    model: LoadedModel
    settings: Mapping[str, Any]
    records: Records
    skips: bool
    overwrite: bool
    mixed: bool
    stop: Stop

    def difference(self, record: SceneRecord) -> tuple[str, str, str] | None:
        """The first setting that differs from those of a record: its name, what it was, and what it is now."""
        if record.values.get("unreadable") and not self.skips:
            return "`on_read_error`", "skip", "fail"
        return first_difference(*(self._compared(settings) for settings in (record.settings, self.settings)))

    def _compared(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in settings.items() if not (self.mixed and name.startswith(VERSION))}


class Scene:
    """A scene of a run.

    Attributes:
        entry: what the list says of it.
        result: what became of it so far.
    """

    def __init__(self, entry: SceneEntry, options_of: Callable[[SceneEntry], ClassifyOptions]) -> None:
        """Take a scene of the list, and what makes its options."""
        self.entry = entry
        self._caption = Caption(entry.name)
        self.result = SceneResult(entry.name, warnings=self._caption.warnings)
        self._options: ClassifyOptions | None = None
        self._inputs: dict[str, Any] = {}
        self._common: Common | None = None
        self._start = 0.0
        try:
            if entry.error is not None:
                raise InputError(entry.error)
            self._options = options_of(entry)
            self.result.outputs = _texts(Outputs.of(self._options))
        except S2finError as error:
            self.fail(error)

    @property
    def options(self) -> ClassifyOptions:
        """The options of its classification."""
        assert self._options is not None  # noqa: S101  it has failed otherwise
        return self._options

    @property
    def is_waiting(self) -> bool:
        """Whether there is something to do for it."""
        return self.result.status == WAITING

    def attempt(self, step: Callable[[], _T]) -> _T | None:
        """Carry out a step; if it fails, the scene has failed and the run goes on.

        Raises:
            Stopped: the run was asked to end.
            DiskFullError: the disk is full, which ends the run.
        """
        start = self._start = time.monotonic()
        try:
            with captioned(self._caption):
                return step()
        except Stopped:
            raise
        except S2finError as error:
            self.fail(error)
        except Exception as error:  # a defect that one scene reveals does not concern the others
            self.fail(S2finError(f"unexpected {type(error).__name__}: {error}"))
            logger.debug("%s", self.entry.name, exc_info=True)
        finally:
            if self.result.status not in (DONE, SKIPPED):  # whose record has it
                self.result.seconds += time.monotonic() - start
        return None

    def check(self, common: Common) -> None:
        """Look for its outputs, and at the headers of its images unless they are on another machine.

        Raises:
            S2finError: they show that it cannot be mapped.
        """
        options = self.options
        check_outputs(Outputs.of(options).wanted, overwrite=common.overwrite)
        images = [file for paths in options.src_paths.values() for path in paths for file in files_of(path)]
        if not any(map(is_dataset_name, [*images, *([] if options.aoi is None else [options.aoi])])):
            fit_stack(common.model.info, build_stack(options.src_paths, choice=options.band_choice))

    def fail(self, error: S2finError) -> None:
        """Note that it cannot be mapped, unless another run with the same list has finished its map meanwhile.

        Raises:
            DiskFullError: it is that one.
        """
        common = None if isinstance(error, DiskFullError) else self._common
        record = None if common is None else common.records.read(self.entry.name)
        if common is not None and record is not None and self._is_map_of(record, common):
            self._skip(record, common)
            return
        self.result.status, (self.result.error,) = FAILED, self._public([str(error)])
        self._hide_credentials()
        if isinstance(error, DiskFullError):
            raise error

    def begin(self, common: Common) -> ClassifyJob | None:
        """Its job, ready to be carried out; None if its map is finished already.

        Raises:
            S2finError: it cannot be mapped.
        """
        record = common.records.read(self.entry.name)
        self._inputs = facts_of_inputs(self.options.named_inputs)
        if record is not None and record.is_finished and all(map(os.path.lexists, self.paths)):
            if self._is_map_of(record, common) or self._lacks_only_inputs(record, common):
                self._skip(record, common)
                return None
            self._refuse_others(record, common)
        is_same = record is not None and self._difference(record, common) is None
        is_own = is_same and record is not None and not record.is_finished
        job = prepare(replace(self.options, overwrite=common.overwrite or is_own), model=common.model, stop=common.stop)
        common.records.keep(self.entry.name, SceneRecord(False, common.settings, self._inputs, {}, {}))
        self._common = common  # from now on, a record of a finished map is that of another run
        # NOTE: outputs that are there from now on are those of another run with the same list.
        return replace(job, options=replace(self.options, overwrite=True))

    def _difference(self, record: SceneRecord, common: Common) -> tuple[str, str, str] | None:
        return common.difference(record) or first_difference(record.inputs, self._inputs)

    def _is_map_of(self, record: SceneRecord, common: Common) -> bool:
        """Whether a record says that the map which this run makes is finished, and its files are there."""
        is_there = record.is_finished and all(map(os.path.lexists, self.paths))
        return is_there and self._difference(record, common) is None

    def _lacks_only_inputs(self, record: SceneRecord, common: Common) -> bool:
        """Whether missing files of inputs are all that differs from a finished map's record; they are warned of."""
        missing = [path for path in self.options.inputs if not is_there(path)]
        kept = {name: record.inputs.get(name) for name in self._inputs}
        if not missing or common.difference(record) or first_difference(kept, self._inputs):
            return False
        logger.warning(
            "%s is kept, although what it was made of is missing (%s)", self.options.output, shortened(missing)
        )
        return True

    def _refuse_others(self, record: SceneRecord, common: Common) -> None:
        """Refuse to replace the map of other images without being asked to.

        Raises:
            InputError: it is one.
        """
        difference = first_difference(record.inputs, self._inputs)
        if difference is not None and not common.overwrite:
            name, old, new = difference
            raise InputError(
                f"{self.options.output} was made of other images: {name} was {old} and is {new} now; restore it, "
                "give `overwrite=True` to make the map again, or use another folder for `output`"
            )

    def _remove_shards(self, common: Common) -> None:
        """Remove the shards of its finished map, which a run left that was killed before it could."""
        if self.options.work is not None:
            facts = {**common.settings, **self._inputs}
            WorkFolder(Path(self.options.work)).remove_left(facts)

    @property
    def paths(self) -> list[str]:
        """The paths of its outputs."""
        return [path for path in self.result.outputs.values() if path is not None]

    def _skip(self, record: SceneRecord, common: Common) -> None:
        """Take what its record says, and remove shards that are not needed any more."""
        self._remove_shards(common)
        known = {each.name for each in fields(SceneResult)} - {"name", "status", "outputs", "warnings"}
        for name, value in record.values.items():
            if name in known:
                setattr(self.result, name, value)
        self.result.status = SKIPPED
        self.result.warnings.extend(record.values.get("warnings", ()))
        for path in self.paths:
            if os.path.getsize(path) != record.sizes.get(os.path.basename(path)):
                logger.warning(
                    "%s was changed since it was made, and is kept; to make the map again, remove its files", path
                )

    def _public(self, texts: Sequence[str]) -> tuple[str, ...]:
        """Texts without the credentials in names of its images, as reports are passed on."""
        return public(texts, () if self._options is None else self._options.inputs)

    def _hide_credentials(self) -> None:
        """Take credentials out of its warnings."""
        self.result.warnings[:] = self._public(self.result.warnings)

    def finish(self, common: Common, made: ClassifyResult) -> None:
        """Note that its map is finished."""
        values = made.to_dict()
        self.result.status, self.result.seconds = DONE, self.result.seconds + time.monotonic() - self._start
        for name in ("classes", "nodata_pixels", "unreadable_pixels", "unreadable"):
            setattr(self.result, name, values[name])
        self._hide_credentials()
        sizes = {os.path.basename(path): os.path.getsize(path) for path in self.paths}
        record = SceneRecord(True, common.settings, self._inputs, sizes, self.result.to_dict())
        common.records.keep(self.entry.name, record)


def _texts(outputs: Outputs) -> dict[str, str | None]:
    return {name: None if path is None else str(path) for name, path in vars(outputs).items()}
