from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

import summary
from records import Record, Run, _bare, calibration_error, fingerprint, make_record, read_records
from summary import (
    best_peer,
    bracket,
    difference,
    document,
    figures_of,
    interval,
    mean_over,
    overall_table,
    paired_table,
    spread,
    variants_table,
)

if TYPE_CHECKING:
    from pathlib import Path

IDS = np.array([3, 70, 22531])


def record(scene: str, method: str, seed: int, oa: float, protocol: str = "blocks") -> Record:
    run = Run(scene, protocol, 20, seed, method)
    return Record(
        run, oa, oa, oa, 0.1, [1, 2], [[1, 0], [0, 1]], [20, 20], 40, 2, 1.5, "cpu, 1 threads", fingerprint(method)
    )


@pytest.fixture
def records() -> list[Record]:
    """Two scenes, one of them tuned on, with three seeds."""
    accuracies = {
        ("beaufort_s2", "s2fin"): (0.90, 0.92, 0.94),
        ("beaufort_s2", "RF"): (0.80, 0.80, 0.80),
        ("beaufort_s2", "SVM"): (0.88, 0.88, 0.88),
        ("gulfport_crop", "s2fin"): (0.70, 0.70, 0.70),
        ("gulfport_crop", "RF"): (0.72, 0.71, 0.70),
        ("gulfport_crop", "SVM"): (0.60, 0.60, 0.60),
        ("beaufort_s2", "s2fin -scan"): (0.89, 0.91, 0.93),
    }
    return [record(*key, seed, oa) for key, values in accuracies.items() for seed, oa in enumerate(values)]


def test_a_fingerprint_is_of_code_without_comments_and_layout() -> None:
    code = 'def f(x: int) -> str:\n    return f"{x} # no comment"\n'
    laid_out = '# why\n\ndef f(\n    x: int\n) -> str:  # what\n\n    return f"{x} # no comment"\n'
    assert _bare(code) == _bare(laid_out) == 'deff(x:int)->str:{returnf"{x}#nocomment"}'
    assert _bare(code) != _bare(code.replace("x", "y"))
    loop = "for x in y:\n    f(x)\n"
    assert _bare(f"{loop}    g(x)\n") != _bare(f"{loop}g(x)\n")


def test_calibration_error_by_hand() -> None:
    # Bins of 1/15: 0.95 and 0.99 share the last one, 0.5 and 0.52 the eighth, whose edges are 7/15 and 8/15.
    confidence = np.array([0.95, 0.99, 0.5, 0.52])
    is_right = np.array([True, False, True, True])
    expected = (abs(1 - (0.95 + 0.99)) + abs(2 - (0.5 + 0.52))) / 4
    assert calibration_error(confidence, is_right) == pytest.approx(expected)


@pytest.mark.parametrize(("confidence", "is_right", "expected"), [(1.0, True, 0), (1.0, False, 1), (0.0, False, 0)])
def test_calibration_error_at_the_ends(confidence: float, is_right: bool, expected: float) -> None:
    assert calibration_error(np.full(4, confidence), np.full(4, is_right)) == pytest.approx(expected)


def test_interval_by_hand() -> None:
    mean, half = interval([1.0, 2.0, 3.0, 4.0, 5.0])
    assert mean == 3
    assert half == pytest.approx(2.776445 * math.sqrt(2.5 / 5), rel=1e-6)  # t of 97.5 % with 4 degrees of freedom
    assert math.isnan(interval([1.0])[1])


def test_means_and_differences_take_common_seeds() -> None:
    first, second = {0: 1.0, 1: 2.0, 2: 4.0}, {1: 1.0, 2: 2.0, 3: 9.0}
    assert difference(first, second) == {1: 1.0, 2: 2.0}
    assert mean_over([first, second]) == {1: 1.5, 2: 3.0}
    assert mean_over([first, {}]) == {}
    assert mean_over([]) == {}


def test_cells() -> None:
    assert spread({0: 0.5, 1: 0.6}) == "55.0 ± 7.1"
    assert spread({4: 0.5}) == "50.0"
    assert spread({}) == bracket({}) == "-"
    assert bracket({0: -0.01}) == "-1.0"
    # mean 2, deviation 1, t of 97.5 % with 2 degrees of freedom 4.303
    assert bracket({0: 0.01, 1: 0.02, 2: 0.03}) == "+2.0 [-0.5, +4.5]"


def test_best_peer_needs_figures_of_all_scenes(records: list[Record]) -> None:
    figures = figures_of(records, "oa")
    assert best_peer(figures, ["beaufort_s2"]) == "SVM"
    assert best_peer(figures, list(figures)) == "RF"
    del figures["gulfport_crop"]["RF"]
    assert best_peer(figures, list(figures)) == "SVM"
    assert best_peer({"beaufort_s2": {}}, ["beaufort_s2"]) is None


def test_tables_have_scenes_means_and_the_independent_mean(
    records: list[Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(summary, "TUNED_ON", {"gulfport_crop"})
    lines = overall_table(records).splitlines()
    assert lines[0] == "| OA, % | s2fin | RF | SVM |"
    assert lines[2] == r"| gulfport_crop \* | 70.0 ± 0.0 | 71.0 ± 1.0 | 60.0 ± 0.0 |"
    assert lines[4] == "| **mean** | 81.0 ± 1.0 | 75.5 ± 0.5 | 74.0 ± 0.0 |"
    assert lines[5] == "| **mean, independent** | 92.0 ± 2.0 | 80.0 ± 0.0 | 88.0 ± 0.0 |"


def test_paired_table_by_hand(records: list[Record]) -> None:
    lines = paired_table(records).splitlines()
    assert "OA less that of RF, best in the mean" in lines[0]
    # gulfport_crop: -2, -1, 0; beaufort_s2: 10, 12, 14 to RF and 2, 4, 6 to SVM
    assert lines[2].endswith("| -1.0 [-3.5, +1.5] | -1.0 [-3.5, +1.5] (RF) |")
    assert lines[3].endswith("| +12.0 [+7.0, +17.0] | +4.0 [-1.0, +9.0] (SVM) |")
    # means of the two scenes by seed: 4, 5.5, 7 and 0, 1.5, 3
    assert lines[4].endswith("| +5.5 [+1.8, +9.2] | +1.5 [-2.2, +5.2] |")


def test_a_variant_is_compared_on_the_scenes_it_has(records: list[Record]) -> None:
    lines = variants_table(records).splitlines()
    assert lines[2] == "| blocks, 20 a class | s2fin -scan | 1 | 91.0 ± 2.0 | -1.0 [-1.0, -1.0] |"
    assert len(lines) == 3


def test_a_variant_without_a_teacher_is_compared_with_the_whole_without_one() -> None:
    accuracies = {"s2fin": 0.95, "s2fin labels alone": 0.90, "s2fin labels alone -scan": 0.88}
    lines = variants_table([record("beaufort_s2", method, 0, oa) for method, oa in accuracies.items()]).splitlines()
    assert lines[2:] == [
        "| blocks, 20 a class | s2fin labels alone | 1 | 90.0 | -5.0 |",
        "| blocks, 20 a class | s2fin labels alone -scan | 1 | 88.0 | -2.0 |",
    ]


def test_document_tells_of_results_of_other_code(records: list[Record]) -> None:
    assert "other code" not in document(records)
    stale = dataclasses.replace(records[0], fingerprint="other")
    assert f"other code than the present one: 1 of {len(records)}." in document([stale, *records[1:]])


def test_an_incomplete_set_of_results_has_gaps(records: list[Record]) -> None:
    few = [r for r in records if (r.run.scene, r.run.method) != ("gulfport_crop", "s2fin")]
    lines = overall_table(few).splitlines()
    assert lines[2].startswith(r"| gulfport_crop \* | - |")
    assert lines[4].startswith("| **mean** | - |")
    assert paired_table(few).splitlines()[2].endswith("| - | - (RF) |")
    assert document([r for r in records if r.run.method == "s2fin"])


def test_records_are_assessed_and_read_back(tmp_path: Path) -> None:
    probabilities = np.array([[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.6, 0.3, 0.1], [0.1, 0.1, 0.8]])
    made = make_record(
        Run("beaufort_s2", "random", 5, 1, "s2fin hard masks"),
        IDS,
        probabilities,
        train=np.array([3, 3, 70, 22531]),
        test=np.array([3, 70, 70, 22531]),
        seconds=1.234,
        machine="cpu, 1 threads",
    )
    assert made.confusion == [[1, 0, 0], [1, 1, 0], [0, 0, 1]]
    assert made.oa == pytest.approx(3 / 4)
    assert made.aa == pytest.approx(2.5 / 3)
    assert made.train_counts == [2, 1, 1]
    assert not made.is_stale
    made.write(tmp_path)
    made.write(tmp_path)
    assert read_records(tmp_path) == [made]
    assert [path.suffix for path in tmp_path.rglob("*") if path.is_file()] == [".json"]
