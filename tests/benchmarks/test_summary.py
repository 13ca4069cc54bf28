from __future__ import annotations

import dataclasses
import math

import pytest

from records import Record, Run, version_of
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
    standing_table,
    variants_table,
)


def record(scene: str, method: str, seed: int, oa: float, protocol: str = "blocks") -> Record:
    run = Run(scene, protocol, 20, seed, method)
    return Record(run, version_of(method), oa, oa, oa, 0.1, 40, 2, 1.5, "cpu, 1 threads")


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


def test_tables_have_scenes_means_and_the_independent_mean(records: list[Record]) -> None:
    """Of one scene that hyper-parameters were chosen on, and one that they were not."""
    untuned = [
        dataclasses.replace(each, run=dataclasses.replace(each.run, scene="lattes_ortho_lidar"))
        if each.run.scene == "beaufort_s2"
        else each
        for each in records
    ]
    lines = overall_table(untuned).splitlines()
    assert lines[0] == "| OA, % | s2fin | RF | SVM |"
    assert r"| gulfport_crop \* | 70.0 ± 0.0 | 71.0 ± 1.0 | 60.0 ± 0.0 |" in lines[2:4]
    assert "| lattes_ortho_lidar | 92.0 ± 2.0 | 80.0 ± 0.0 | 88.0 ± 0.0 |" in lines[2:4]
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


def test_document_notes_results_of_other_versions(records: list[Record]) -> None:
    assert "other versions" not in document(records)
    stale = dataclasses.replace(records[0], version=0)
    assert f"other versions than the present ones: 1 of {len(records)}." in document([stale, *records[1:]])


def test_an_incomplete_set_of_results_has_gaps(records: list[Record]) -> None:
    few = [r for r in records if (r.run.scene, r.run.method) != ("gulfport_crop", "s2fin")]
    lines = overall_table(few).splitlines()
    assert lines[2].startswith(r"| gulfport_crop \* | - |")
    assert lines[4].startswith("| **mean** | - |")
    assert paired_table(few).splitlines()[2].endswith("| - | - (RF) |")
    assert document([r for r in records if r.run.method == "s2fin"])


def test_how_s2fin_stands_by_hand(records: list[Record]) -> None:
    two = [record("lattes_ortho_lidar", method, 0, oa) for method, oa in (("s2fin", 0.8), ("RF", 0.9), ("ET+GB", 0.7))]
    peers_alone = record("zion_landsat_dem", "RF", 0, 0.1)
    of_two = standing_table([*records, *two, peers_alone], two_images=True)
    assert of_two is not None
    assert of_two.splitlines()[2:] == [
        # gulfport_crop: 70.0, and RF 71.0; lattes_ortho_lidar, which has one draw: 80.0, and RF 90.0
        "| blocks, 20 a class | 2 | 75.0 | RF 81.0 | -6.0 | - | lattes_ortho_lidar -10.0 (RF) |"
    ]
    of_one = standing_table(records, two_images=False)
    assert of_one is not None
    line = of_one.splitlines()[2]
    assert line.startswith(
        "| blocks, 20 a class | 1 | 92.0 ± 2.0 | SVM 88.0 ± 0.0 | +4.0 [-1.0, +9.0] | - | beaufort_s2 "
    )
    assert standing_table([record("own", "s2fin", 0, 0.5)], two_images=True) is None


def test_scenes_with_two_images_come_first(records: list[Record]) -> None:
    titles = [line for line in document(records).splitlines() if line.startswith("## ")]
    assert titles[:3] == ["## Scenes with two images", "## Scenes with one image", "## Labels: blocks, 20 a class"]
    assert not {"## Scenes with two images", "## Scenes with one image"} & set(
        document([record("own", "s2fin", 0, 0.5)]).splitlines()
    )


def test_the_difference_to_the_ensemble() -> None:
    accuracies = {
        ("lattes_ortho_lidar", "s2fin"): 0.80,
        ("lattes_ortho_lidar", "ET+GB"): 0.70,
        ("gulfport_crop", "s2fin"): 0.90,
        ("gulfport_crop", "ET+GB"): 0.95,
    }
    table = standing_table([record(*key, 0, oa) for key, oa in accuracies.items()], two_images=True)
    assert table is not None
    assert table.splitlines()[2].endswith(r"| 85.0 | ET+GB 82.5 | +2.5 | +2.5 | gulfport_crop \* -5.0 (ET+GB) |")
