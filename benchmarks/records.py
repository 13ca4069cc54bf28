"""The record of each run of a method: its figures, as one row of a CSV file, and the version of the method."""

from __future__ import annotations

import argparse
import contextlib
import csv
import fcntl
import os
import tempfile
import zlib
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from peers import PEERS_VERSION
from s2fin_cli.assess.metrics import Accuracy
from s2fin_cli.training import METHOD_VERSION

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

RESULTS = Path(__file__).resolve().parent / "results" / "accuracy.csv"
#: The method that is measured; its variants' names begin with it and a space.
SUBJECT = "s2fin"
#: Prefix of variants that have no teacher and no pixels without a label.
LABELS_ALONE = "labels alone"
CALIBRATION_BINS = 15
#: Decimal places of the figures in a file.
DIGITS = 6


@dataclass(frozen=True, order=True)
class Run:
    """A run; runs are ordered as the rows of a file.

    Attributes:
        scene, protocol, count, seed: as `protocols.draw` takes them; count is 0 for the published split.
        method: "s2fin", one of its variants, or a peer.
    """

    scene: str
    protocol: str
    count: int
    seed: int
    method: str


@dataclass(frozen=True)
class Record:
    """The result of a run.

    Attributes:
        run: what was run.
        version: version of the method, see `version_of`; 0 for results of older code.
        oa, aa, kappa: overall accuracy, average accuracy (0 to 1) and kappa on the test pixels.
        ece: expected calibration error.
        n_train, n_test: training and test pixels.
        seconds: time that fitting took, the choice of hyper-parameters included; without the teacher's time for a
            variant of s2fin if another one had asked it.
        machine: device and threads that were used.
    """

    run: Run
    version: int
    oa: float
    aa: float
    kappa: float
    ece: float
    n_train: int
    n_test: int
    seconds: float
    machine: str

    @property
    def is_stale(self) -> bool:
        """Whether it is from another version of the method."""
        return self.version != version_of(self.run.method)


_RUN, _FIGURES = (
    {field.name: {"str": str, "int": int, "float": float}[str(field.type)] for field in fields(kind)[first:]}
    for kind, first in ((Run, 0), (Record, 1))
)
#: The columns of a file of results.
COLUMNS = (*_RUN, *_FIGURES)


def version_of(method: str) -> int:
    """The present version of a method: `METHOD_VERSION` of s2fin and its variants, `PEERS_VERSION` of its peers."""
    return METHOD_VERSION if is_subject(method) else PEERS_VERSION


def is_subject(method: str) -> bool:
    """Whether it is s2fin or a variant of it."""
    return method.split(" ", maxsplit=1)[0] == SUBJECT


def whole_of(variant: str) -> str:
    """The method that a variant of s2fin is compared with: s2fin, without a teacher if the variant has none."""
    alone = f"{SUBJECT} {LABELS_ALONE}"
    return alone if variant.startswith(f"{alone} ") else SUBJECT


# ---- files of results ------------------------------------------------------------------------------------------------


def results_file(text: str) -> Path:
    """The path of a file of results, as an option names it.

    Raises:
        ArgumentTypeError: it is no CSV file.
    """
    if Path(text).suffix != ".csv":
        raise argparse.ArgumentTypeError(f"{text} is no CSV file; results are kept in one, such as results.csv")
    return Path(text)


def read_records(results: Path) -> list[Record]:
    """All records in a file, none if there is no such file.

    Raises:
        ValueError: it has other columns.
    """
    if not results.exists():
        return []
    with results.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise ValueError(f"{results} is no file of results: its columns must be {', '.join(COLUMNS)}")
        return [_record_of(row) for row in reader]


def _record_of(row: dict[str, str]) -> Record:
    run, figures = ({name: kind(row[name]) for name, kind in kinds.items()} for kinds in (_RUN, _FIGURES))
    return Record(Run(**run), **figures)


def keep_record(results: Path, record: Record) -> None:
    """Put a record into a file, in place of an older one of the same run.

    Processes that share a file take turns, and a process that reads it meanwhile finds it complete.
    """
    results.parent.mkdir(parents=True, exist_ok=True)
    with _turn(results.parent):
        others = [other for other in read_records(results) if other.run != record.run]
        write_records(results, [*others, record])


@contextlib.contextmanager
def _turn(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder; the lock of a process that dies goes with it."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


@contextlib.contextmanager
def claimed(results: Path, run: Run) -> Iterator[bool]:
    """Claim a run while the context is entered, so that processes started together share the work of a file.

    Yields:
        whether the claim succeeded; False if another process of this machine performs the run. The claims of a process
        that dies are released.
    """
    claims, number = claim_of(results, run)
    with claims.open("a") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, number)
        except OSError:
            is_ours = False
        else:
            is_ours = True
        yield is_ours


def claim_of(results: Path, run: Run) -> tuple[Path, int]:
    """The file, and the number of the byte in it, whose lock claims a run."""
    of_results, of_run = (zlib.crc32(str(part).encode()) for part in (results.resolve(), run))
    return Path(tempfile.gettempdir(), f"s2fin-{of_results:08x}.claims"), of_run


def write_records(results: Path, records: Iterable[Record]) -> None:
    """Write a file of records, sorted by their runs, completely or not at all."""
    temporary = results.with_suffix(f".{os.getpid()}.part")
    try:
        with temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(_row_of(record) for record in sorted(records, key=lambda record: record.run))
        temporary.replace(results)
    finally:
        temporary.unlink(missing_ok=True)


def _row_of(record: Record) -> dict[str, object]:
    values = {**asdict(record.run), **asdict(record)}
    return {name: round(value, DIGITS) if isinstance(value := values[name], float) else value for name in COLUMNS}


# ---- assessment ------------------------------------------------------------------------------------------------------


def make_record(
    run: Run,
    class_ids: NDArray[np.int64],
    probabilities: NDArray[np.float64],
    *,
    train: NDArray[np.int64],
    test: NDArray[np.int64],
    seconds: float,
    machine: str,
) -> Record:
    """Assess a run.

    Args:
        run: what was run.
        class_ids: (C,) the classes, in the order of the probabilities.
        probabilities: (n, C) of the test pixels.
        train: class ids of the training pixels.
        test: (n,) class ids of the test pixels.
        seconds: time that fitting took.
        machine: device and threads that were used.
    """
    predicted = class_ids[probabilities.argmax(axis=1)]
    accuracy = Accuracy.from_labels(test, predicted, class_ids=class_ids.tolist())
    return Record(
        run=run,
        version=version_of(run.method),
        oa=accuracy.overall_accuracy,
        aa=accuracy.average_accuracy,
        kappa=accuracy.kappa,
        ece=calibration_error(probabilities.max(axis=1), predicted == test),
        n_train=len(train),
        n_test=len(test),
        seconds=round(seconds, 2),
        machine=machine,
    )


def calibration_error(confidence: NDArray[np.float64], is_right: NDArray[np.bool_]) -> float:
    """Expected calibration error (Guo et al., 2017) over 15 bins of equal width.

    Args:
        confidence: (n,) probability of the predicted class.
        is_right: (n,) whether that class is the true one.

    Returns:
        mean of |accuracy - mean confidence| over the bins, weighted by their pixels.
    """
    # NOTE: as in the paper, a value on the edge of two bins is in the lower one.
    bins = np.clip(np.ceil(confidence * CALIBRATION_BINS) - 1, 0, CALIBRATION_BINS - 1).astype(np.int64)
    gaps = np.bincount(bins, weights=is_right - confidence, minlength=CALIBRATION_BINS)
    return float(np.abs(gaps).sum() / len(confidence))
