"""Tables in Markdown of what benchmarks/accuracy.py measured.

python benchmarks/summary.py [--results FILE.csv] [--table FILE]
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from statistics import fmean, median, stdev
from typing import TYPE_CHECKING

from scipy.stats import t as student

from peers import ENSEMBLE, PEERS
from records import RESULTS, SUBJECT, Record, is_subject, read_records, results_file, whole_of
from scenes import SCENES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

#: One figure by seed.
Values = dict[int, float]
#: One figure by scene, method and seed.
Figures = dict[str, dict[str, Values]]

CONFIDENCE = 0.95
TUNED_ON = {scene.name for scene in SCENES if scene.tuned_on}
#: Whether known scenes have two images.
TWO_IMAGES = {scene.name: scene.has_second_image for scene in SCENES}
METHODS = (SUBJECT, *PEERS)
NO_VALUE = "-"


# ---- figures ---------------------------------------------------------------------------------------------------------


def figures_of(records: Iterable[Record], name: str) -> Figures:
    """One figure of records, by scene, method and seed; scenes are in the order of `SCENES`."""
    figures: Figures = {scene.name: {} for scene in SCENES}
    for record in records:
        of_scene = figures.setdefault(record.run.scene, {})
        of_scene.setdefault(record.run.method, {})[record.run.seed] = float(getattr(record, name))
    return {scene: values for scene, values in figures.items() if values}


def mean_over(parts: Sequence[Values]) -> Values:
    """The mean of several scenes' figures, for the seeds that all of them have; nothing where a scene has none."""
    seeds = set.intersection(*(set(part) for part in parts)) if parts else set()
    return {seed: fmean(part[seed] for part in parts) for seed in sorted(seeds)}


def difference(first: Values, second: Values) -> Values:
    """First less second, for the seeds that both have: the same seed is the same draw of pixels."""
    return {seed: first[seed] - second[seed] for seed in sorted(first.keys() & second.keys())}


def interval(differences: Sequence[float]) -> tuple[float, float]:
    """Mean, and half the width of its 95 % interval by Student's t with n - 1 degrees of freedom; NaN for n = 1."""
    count = len(differences)
    if count < 2:
        return fmean(differences), math.nan
    quantile = float(student.ppf((1 + CONFIDENCE) / 2, count - 1))
    return fmean(differences), quantile * stdev(differences) / math.sqrt(count)


def best_peer(figures: Figures, scenes: Sequence[str]) -> str | None:
    """The peer with the highest mean over scenes, among those that have figures of all of them."""
    means = {}
    for peer in PEERS:
        values = mean_over([figures[scene].get(peer, {}) for scene in scenes])
        if values:
            means[peer] = fmean(values.values())
    return max(means, key=lambda peer: means[peer], default=None)


# ---- cells and tables ------------------------------------------------------------------------------------------------


def spread(values: Values, factor: float = 100, digits: int = 1) -> str:
    """Mean and standard deviation over the seeds."""
    if not values:
        return NO_VALUE
    numbers = [factor * value for value in values.values()]
    deviation = f" ± {stdev(numbers):.{digits}f}" if len(numbers) > 1 else ""
    return f"{fmean(numbers):.{digits}f}{deviation}"


def bracket(differences: Values) -> str:
    """Mean difference in points and its interval."""
    if not differences:
        return NO_VALUE
    mean, half = interval([100 * value for value in differences.values()])
    return f"{mean:+.1f}" + ("" if math.isnan(half) else f" [{mean - half:+.1f}, {mean + half:+.1f}]")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _label(scene: str) -> str:
    return f"{scene} \\*" if scene in TUNED_ON else scene


def _groups(figures: Figures) -> Iterator[tuple[str, list[str]]]:
    """Each row's label and scenes: every scene, all of them and, if there are any, those on which nothing was tuned."""
    scenes = list(figures)
    yield from ((_label(scene), [scene]) for scene in scenes)
    yield "**mean**", scenes
    independent = [scene for scene in scenes if scene not in TUNED_ON]
    if 0 < len(independent) < len(scenes):
        yield "**mean, independent**", independent


def _methods(figures: Figures) -> list[str]:
    return [method for method in METHODS if any(method in values for values in figures.values())]


def _mean(figures: Figures, scenes: Sequence[str], method: str) -> Values:
    return mean_over([figures[scene].get(method, {}) for scene in scenes])


# ---- the parts of the document ---------------------------------------------------------------------------------------


def standing_table(records: Sequence[Record], *, two_images: bool) -> str | None:
    """How s2fin compares on the known scenes with two images, or with one, that have results; None without any."""
    rows = []
    for (protocol, count), part in _cases(records).items():
        figures = figures_of(part, "oa")
        scenes = [scene for scene in figures if TWO_IMAGES.get(scene) is two_images and SUBJECT in figures[scene]]
        if scenes:
            rows.append([_title(protocol, count), str(len(scenes)), *_standing(figures, scenes)])
    less = (f"OA less that of {peer}" for peer in ("the best peer", ENSEMBLE))
    head = ["Labels", "Scenes", "s2fin, OA, %", "Best peer on average", *less, "Worst scene, beside its best peer"]
    return table(head, rows) if rows else None


def _standing(figures: Figures, scenes: Sequence[str]) -> list[str]:
    """Cells of `standing_table`: means over scenes, and the scene on which s2fin is worst compared to its best peer."""

    def less(scene: str, peer: str | None) -> Values:
        return difference(figures[scene][SUBJECT], figures[scene].get(peer or "", {}))

    best = best_peer(figures, scenes)
    compared = [bracket(mean_over([less(scene, peer) for scene in scenes])) for peer in (best, ENSEMBLE)]
    own = {scene: peer for scene in scenes if (peer := best_peer(figures, [scene])) and less(scene, peer)}
    worst = min(own, key=lambda scene: fmean(less(scene, own[scene]).values()), default=None)
    return [
        spread(_mean(figures, scenes, SUBJECT)),
        f"{best} {spread(_mean(figures, scenes, best))}" if best else NO_VALUE,
        *compared,
        f"{_label(worst)} {bracket(less(worst, own[worst]))} ({own[worst]})" if worst else NO_VALUE,
    ]


def overall_table(records: Sequence[Record]) -> str:
    """Overall accuracy by scene and method."""
    figures = figures_of(records, "oa")
    methods = _methods(figures)
    rows = [[label, *(spread(_mean(figures, scenes, m)) for m in methods)] for label, scenes in _groups(figures)]
    return table(["OA, %", *methods], rows)


def compact_table(records: Sequence[Record]) -> str:
    """Average accuracy and kappa by scene and method, means alone."""
    averages, kappas = figures_of(records, "aa"), figures_of(records, "kappa")
    methods = _methods(averages)

    def cell(scenes: Sequence[str], method: str) -> str:
        aa, kappa = (_mean(figures, scenes, method) for figures in (averages, kappas))
        return f"{100 * fmean(aa.values()):.1f} / {fmean(kappa.values()):.2f}" if aa else NO_VALUE

    rows = [[label, *(cell(scenes, method) for method in methods)] for label, scenes in _groups(averages)]
    return table(["AA, % / kappa", *methods], rows)


def paired_table(records: Sequence[Record]) -> str:
    """s2fin's calibration error, and its overall accuracy less that of the best peers."""
    figures, errors = figures_of(records, "oa"), figures_of(records, "ece")
    best = best_peer(figures, list(figures))
    best_of = {scene: best_peer(figures, [scene]) for scene in figures}

    def less(scene: str, peer: str | None) -> Values:
        return difference(figures[scene].get(SUBJECT, {}), figures[scene].get(peer or "", {}))

    rows = []
    for label, scenes in _groups(figures):
        to_best = bracket(mean_over([less(scene, best) for scene in scenes]))
        to_own = bracket(mean_over([less(scene, best_of[scene]) for scene in scenes]))
        name = best_of[scenes[0]] if len(scenes) == 1 else None
        error = spread(_mean(errors, scenes, SUBJECT), digits=1)
        rows.append([label, error, to_best, f"{to_own} ({name})" if name else to_own])
    head = ["s2fin", "ECE, %", f"OA less that of {best}, best in the mean", "OA less that of each scene's best peer"]
    columns = len(head) if best else 2  # nothing to compare with where there are no peers
    return table(head[:columns], [row[:columns] for row in rows])


def fixed_table(records: Sequence[Record]) -> str:
    """All figures on the published splits."""
    parts = {name: figures_of(records, name) for name in ("oa", "aa", "kappa")}
    rows = []
    for scene, values in parts["oa"].items():
        for method in (method for method in METHODS if method in values):
            oa, aa, kappa = (figures[scene][method] for figures in parts.values())
            rows.append([_label(scene), method, spread(oa), spread(aa), spread(kappa, 1, 3)])
    return table(["Scene", "Method", "OA, %", "AA, %", "kappa"], rows)


def variants_table(records: Sequence[Record]) -> str:
    """Each variant of s2fin and its difference from the complete method, over the scenes that have both."""
    rows = []
    for (protocol, count), part in _cases(records).items():
        figures = figures_of(part, "oa")
        variants = {r.run.method: None for r in part if is_subject(r.run.method) and r.run.method != SUBJECT}
        for variant in variants:
            whole = whole_of(variant)
            scenes = [scene for scene, values in figures.items() if variant in values and whole in values]
            change = [difference(figures[scene][variant], figures[scene][whole]) for scene in scenes]
            mean = spread(_mean(figures, scenes, variant))
            rows.append([_title(protocol, count), variant, str(len(scenes)), mean, bracket(mean_over(change))])
    return table(["Labels", "Variant", "Scenes", "OA, %", "OA less that of the whole"], rows)


def time_table(records: Sequence[Record]) -> str:
    """Median seconds of fitting, by machine and method."""
    machines = sorted({record.machine for record in records})
    methods = [method for method in METHODS if any(record.run.method == method for record in records)]
    rows = []
    for machine in machines:
        of_machine = [record for record in records if record.machine == machine]
        seconds = [[record.seconds for record in of_machine if record.run.method == method] for method in methods]
        rows.append([machine, *(f"{median(part):.1f}" if part else NO_VALUE for part in seconds)])
    return table(["Fitting, s (median)", *methods], rows)


# ---- the document ----------------------------------------------------------------------------------------------------


def _cases(records: Iterable[Record]) -> dict[tuple[str, int], list[Record]]:
    """Records by protocol and count."""
    cases: dict[tuple[str, int], list[Record]] = {}
    for record in records:
        cases.setdefault((record.run.protocol, record.run.count), []).append(record)
    return dict(sorted(cases.items()))


def _title(protocol: str, count: int) -> str:
    return "published split" if protocol == "fixed" else f"{protocol}, {count} a class"


def document(records: Sequence[Record]) -> str:
    """All tables of some records."""
    seeds = len({record.run.seed for record in records})
    parts = [
        f"Means ± standard deviations over the seeds ({seeds} here) of the draw of pixels and of all other chance; in "
        "brackets 95 % intervals of paired differences, in points. A mean needs all its scenes. \\*: s2fin's "
        "hyper-parameters were chosen on this scene; the independent scenes are the others.\n"
    ]
    if stale := sum(record.is_stale for record in records):
        parts.append(f"NOTE: results of other versions than the present ones: {stale} of {len(records)}.\n")
    main = [record for record in records if record.run.method in METHODS]
    for title, two_images in (("Scenes with two images", True), ("Scenes with one image", False)):
        if (text := standing_table(main, two_images=two_images)) is not None:
            parts += [f"## {title}\n", text]
    for (protocol, count), part in _cases(main).items():
        parts.append(f"## Labels: {_title(protocol, count)}\n")
        if protocol == "fixed":
            parts.append(fixed_table(part))
        else:
            parts += [overall_table(part), compact_table(part), paired_table(part)]
    if len(main) < len(records):
        parts += ["## Variants of s2fin\n", variants_table(records)]
    parts += ["## Time\n", time_table(main)]
    return "\n".join(parts)


def write_tables(results: Path, path: Path | None) -> None:
    """Write the tables of all results in a file to another file, or to stdout."""
    records = read_records(results)
    text = document(records) if records else f"There are no results in {results}.\n"
    if path is None:
        print(text, end="")
    else:
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=results_file, default=RESULTS)
    parser.add_argument("--table", type=Path, help="Markdown file; without it the tables go to stdout")
    args = parser.parse_args()
    write_tables(args.results, args.table)
