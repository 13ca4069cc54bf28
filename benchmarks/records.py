"""What is kept of each run of a method: its figures, in one small file, and which code gave them."""

from __future__ import annotations

import functools
import hashlib
import io
import json
import os
import tokenize
from collections import defaultdict
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from s2fin_cli.assess.metrics import Accuracy
from s2fin_cli.config import ClassifyOptions, TrainOptions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "accuracy"
#: The method that is measured; its variants' names begin with it and a space.
SUBJECT = "s2fin"
#: Begins the names of variants that have no teacher and no pixels without a label.
LABELS_ALONE = "labels alone"
CALIBRATION_BINS = 15
#: Options of training whose defaults decide what it gives.
DECIDING = (
    "nodata", "resampling", "coregister", "on_conflict", "patch_size", "epochs", "batch_size", "learning_rate",
    "labels_per_class", "split", "validation", "refit",
)  # fmt: skip


@dataclass(frozen=True)
class Run:
    """What is run.

    Attributes:
        scene, protocol, count, seed: as `protocols.draw` takes them; count is 0 for the published split.
        method: "s2fin", one of its variants, or a peer.
    """

    scene: str
    protocol: str
    count: int
    seed: int
    method: str

    def path(self, results: Path) -> Path:
        """The file of its record."""
        method = self.method.replace(" ", "_")
        return results / self.scene / f"{self.protocol}-{self.count}" / f"{method}-{self.seed}.json"


@dataclass(frozen=True)
class Record:
    """What a run gave.

    Attributes:
        run: what was run.
        oa, aa, kappa: overall accuracy, average accuracy (0 to 1) and kappa on the test pixels.
        ece: expected calibration error.
        class_ids: the classes, in the order of the confusion matrix.
        confusion: test pixels; rows are the reference, columns the prediction.
        train_counts: training pixels of each class.
        n_train, n_test: training and test pixels.
        seconds: that fitting took, the choice of hyper-parameters included; of a variant of s2fin without its teacher,
            where another one had asked it.
        machine: device and threads that it took them on.
        fingerprint: of the code.
    """

    run: Run
    oa: float
    aa: float
    kappa: float
    ece: float
    class_ids: list[int]
    confusion: list[list[int]]
    train_counts: list[int]
    n_train: int
    n_test: int
    seconds: float
    machine: str
    fingerprint: str

    def write(self, results: Path) -> None:
        """Write it, whole or not at all."""
        path = self.run.path(results)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(f".{os.getpid()}.part")
        try:
            temporary.write_text(json.dumps(asdict(self)) + "\n")
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)

    @property
    def is_stale(self) -> bool:
        """Whether the code has changed since."""
        return self.fingerprint != fingerprint(self.run.method)


def read_record(path: Path) -> Record:
    """Read what `Record.write` wrote."""
    values = json.loads(path.read_text())
    return Record(**{**values, "run": Run(**values["run"])})


def read_records(results: Path) -> list[Record]:
    """All records in a folder."""
    return [read_record(path) for path in sorted(results.rglob("*.json"))]


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
        seconds: that fitting took.
        machine: what it took them on.
    """
    predicted = class_ids[probabilities.argmax(axis=1)]
    accuracy = Accuracy.from_labels(test, predicted, class_ids=class_ids.tolist())
    return Record(
        run=run,
        oa=accuracy.overall_accuracy,
        aa=accuracy.average_accuracy,
        kappa=accuracy.kappa,
        ece=calibration_error(probabilities.max(axis=1), predicted == test),
        class_ids=class_ids.tolist(),
        confusion=accuracy.matrix.tolist(),
        train_counts=[int((train == class_id).sum()) for class_id in class_ids],
        n_train=len(train),
        n_test=len(test),
        seconds=round(seconds, 2),
        machine=machine,
        fingerprint=fingerprint(run.method),
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


# ---- which code gave a record ----------------------------------------------------------------------------------------


def fingerprint(method: str) -> str:
    """Short hash of the code that decides what a method gives; comments and white space do not count."""
    return _fingerprint(subject=is_subject(method))


@functools.cache  # once a process, as the code is read once
def _fingerprint(*, subject: bool) -> str:
    digest = hashlib.sha256()
    if subject:
        digest.update(f"{_defaults()}\n".encode())
    for path in _sources(subject=subject):
        digest.update(f"{path.relative_to(ROOT)}\n".encode())
        digest.update(_bare(path.read_text(encoding="utf-8")).encode())
    return digest.hexdigest()[:10]


def _bare(source: str) -> str:
    """Python source without comments and white space, its blocks in braces.

    NOTE: syntax trees would be less sensitive to layout, but each version of Python writes them in its own way.
    """
    lines = [*source.split("\n"), ""]
    braces: defaultdict[int, str] = defaultdict(str)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        row, column = token.start
        if token.type == tokenize.COMMENT:
            lines[row - 1] = lines[row - 1][:column]
        elif token.type in (tokenize.INDENT, tokenize.DEDENT):
            braces[row] += "{" if token.type == tokenize.INDENT else "}"
    return "".join("".join(braces[row] + line for row, line in enumerate(lines, 1)).split())


def _defaults() -> dict[str, object]:
    """The defaults that decide what s2fin gives; other options are given to each run, or say where files are."""
    options = {field.name: field.default for field in fields(TrainOptions)}
    return {name: options[name] for name in DECIDING} | {"stride": ClassifyOptions.stride}


def is_subject(method: str) -> bool:
    """Whether it is s2fin or a variant of it."""
    return method.split(" ", maxsplit=1)[0] == SUBJECT


def whole_of(variant: str) -> str:
    """The method that a variant of s2fin is to be compared with: it without a teacher too, where the variant is."""
    alone = f"{SUBJECT} {LABELS_ALONE}"
    return alone if variant.startswith(f"{alone} ") else SUBJECT


def _sources(*, subject: bool) -> Iterator[Path]:
    benchmarks = ROOT / "benchmarks"
    if subject:
        yield from sorted((ROOT / "models" / "s2fin").glob("*.py"))
        yield from sorted((ROOT / "s2fin_cli" / "learn").glob("*.py"))
        yield from (ROOT / "s2fin_cli" / "geo" / name for name in ("fill.py", "statistics.py"))
        yield from (ROOT / "s2fin_cli" / "infer" / name for name in ("engine.py", "prior.py", "smoothing.py"))
    else:
        yield benchmarks / "peers.py"
    yield from (benchmarks / "protocols.py", benchmarks / "scenes.py")
