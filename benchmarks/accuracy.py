"""Accuracy of s2fin with its defaults, of its variants, and of the classifiers one would take instead.

python benchmarks/accuracy.py [--quick] [--scenes A,B] [--protocols blocks,random,fixed] [--counts 5,20] [--seeds 5]
    [--methods s2fin,RF,...] [--variants=-hfset,...] [--threads N] [--results FILE.csv] [--table FILE] [--refresh]

Each result is a row of the file of results, and is not computed again if it exists; so a run that was stopped
continues where it was, and several processes may share the work. The tables cover all results in the file.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import logging
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from fitted import fit_peer
from peer_features import SceneFeatures
from peers import PEERS
from protocols import LABEL_COUNTS, PROTOCOLS, Case, draw
from records import (
    RESULTS,
    SUBJECT,
    Record,
    Run,
    claimed,
    is_subject,
    keep_record,
    make_record,
    read_records,
    results_file,
)
from s2fin_cli.core.device import pick_device
from s2fin_cli.core.errors import S2finError
from scenes import SCENE_FILE, SCENES, Scene, load, read_scene
from subject import ONE_IMAGE, VARIANTS, Subjects
from summary import write_tables

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Defaults of a quick run, of half an hour on two cores: a draw of each scene.
QUICK = {"protocols": "blocks", "counts": "20", "seeds": "0,"}


# ---- runs ------------------------------------------------------------------------------------------------------------


def plan(args: argparse.Namespace) -> list[Run]:
    """All runs that are asked for and possible, scene by scene."""
    methods = [*args.methods, *(f"{SUBJECT} {variant}" for variant in args.variants)]
    runs = []
    for scene in args.scenes:
        cases = [(p, count) for p in args.protocols for count in (args.counts if p != "fixed" else [0])]
        for (protocol, count), seed, method in itertools.product(cases, args.seeds, methods):
            if _is_possible(scene, protocol, method):
                runs.append(Run(scene.name, protocol, count, seed, method))
    return runs


def _is_possible(scene: Scene, protocol: str, method: str) -> bool:
    has_split = protocol != "fixed" or scene.fixed is not None
    return has_split and (method != f"{SUBJECT} {ONE_IMAGE}" or scene.has_second_image)


def pending(runs: list[Run], results: Path, *, refresh: bool) -> list[Run]:
    """The runs without a result and, with --refresh, those whose result is from another version of the method."""
    kept = {record.run for record in read_records(results) if not (refresh and record.is_stale)}
    return [run for run in runs if run not in kept]


def report_stale(runs: list[Run], results: Path, console: Console) -> None:
    """Report how many runs have a result from another version of the method, which is kept."""
    if stale := sum(record.is_stale for record in read_records(results) if record.run in set(runs)):
        console.print(f"results of other versions: {stale}; they are kept, and --refresh computes them again")


def perform(run: Run, case: Case, features: SceneFeatures, subjects: Subjects) -> Record:
    """Fit and assess one method on the pixels of a draw."""
    loaded = features.loaded
    if not is_subject(run.method):
        features.at(PEERS[run.method].kind, case.train)  # for the whole scene, which does not count as fitting
    start = time.perf_counter()
    if is_subject(run.method):
        fitted = subjects.fit(run, loaded, case.train)
    else:
        fitted = fit_peer(run.method, features, case.train, run.seed)
    seconds = time.perf_counter() - start
    return make_record(
        run,
        fitted.class_ids,
        fitted.predict(case.test),
        train=case.train.class_ids,
        test=case.test.class_ids,
        seconds=seconds,
        machine=f"{pick_device('auto').type}, {torch.get_num_threads()} threads",
    )


def perform_all(runs: list[Run], scenes: list[Scene], results: Path, console: Console, *, refresh: bool) -> int:
    """Perform runs scene by scene and keep their results; return how many failed.

    Runs that another process performs, or has performed meanwhile, are left to it.
    """
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    failed = 0
    by_name, subjects = {scene.name: scene for scene in scenes}, Subjects()
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=len(runs))
        for name, group in itertools.groupby(runs, key=lambda run: run.scene):
            features = SceneFeatures(load(by_name[name]))
            draw_once = functools.lru_cache(maxsize=1)(functools.partial(draw, features.loaded))
            for run in group:
                progress.update(task, description=_described(run))
                with claimed(results, run) as is_ours:
                    if is_ours and pending([run], results, refresh=refresh):
                        case = draw_once(run.protocol, run.count, run.seed)  # its methods come one after another
                        failed += not _try(run, case, features, subjects, results=results, console=console)
                progress.advance(task)
    return failed


def _try(run: Run, case: Case, features: SceneFeatures, subjects: Subjects, *, results: Path, console: Console) -> bool:
    """Perform a run, keep its result and report it; return whether it succeeded."""
    try:
        record = perform(run, case, features, subjects)
    except (S2finError, RuntimeError, ValueError) as error:
        console.print(f"{_described(run)} failed: {error}", highlight=False, markup=False)
        return False
    keep_record(results, record)
    console.print(f"{_described(run)}: OA {100 * record.oa:.1f} in {record.seconds:.0f} s", highlight=False)
    return True


def _described(run: Run) -> str:
    return f"{run.scene} {run.protocol} {run.count} seed {run.seed} {run.method}"


# ---- the command -----------------------------------------------------------------------------------------------------


def _among(known: Sequence[str]) -> Callable[[str], list[str]]:
    """Parser of a comma-separated list of known names, or "all"."""

    def parse(text: str) -> list[str]:
        names = list(known) if text == "all" else [name.strip() for name in text.split(",") if name.strip()]
        if unknown := [name for name in names if name not in known]:
            raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}; known are: {', '.join(known)}")
        return names

    return parse


def _scenes(text: str) -> list[Scene]:
    """Scenes by their names, or other scenes by their folders."""
    if text == "all":
        return list(SCENES)
    known = {scene.name: scene for scene in SCENES}
    names = [name.strip() for name in text.split(",") if name.strip()]
    try:
        scenes = [known.get(name) or read_scene(Path(name)) for name in names]
    except OSError as error:
        hint = f"is no scene ({', '.join(known)}) and no folder with a {SCENE_FILE}"
        raise argparse.ArgumentTypeError(f"{Path(error.filename).parent} {hint}") from error
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    for index, scene in enumerate(scenes):  # results are kept by name
        if known.get(scene.name, scene) is not scene or scene.name in [other.name for other in scenes[:index]]:
            raise argparse.ArgumentTypeError(f"{scene.name} is the name of another scene; rename {scene.folder}")
    return scenes


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",") if number.strip()]


def _seeds(text: str) -> list[int]:
    """How many seeds, or which: "5" is "0,1,2,3,4", and "5," the one seed 5."""
    return _numbers(text) if "," in text else list(range(int(text)))


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    methods = [SUBJECT, *PEERS]
    quick = "one draw of blocks with 20 labels per class, seed 0, unless other options say otherwise"
    parser.add_argument("--quick", action="store_true", help=quick)
    parser.add_argument("--scenes", type=_scenes, default="all", help=f"names, or folders with a {SCENE_FILE}")
    parser.add_argument("--protocols", type=_among(PROTOCOLS), default="all", help=", ".join(PROTOCOLS))
    parser.add_argument("--counts", type=_numbers, default=",".join(map(str, LABEL_COUNTS)), help="labels of a class")
    parser.add_argument("--seeds", type=_seeds, default="5", help='how many, or which, as in "0,3"')
    parser.add_argument("--methods", type=_among(methods), default="all", help=", ".join(methods))
    parser.add_argument("--variants", type=_among(list(VARIANTS)), default="", help=f"all, or {', '.join(VARIANTS)}")
    parser.add_argument("--threads", type=int, help="of torch and the forests")
    parser.add_argument("--results", type=results_file, default=RESULTS, help="CSV file; it is created if missing")
    parser.add_argument("--table", type=Path, help="Markdown file; without it the tables go to stdout")
    parser.add_argument("--refresh", action="store_true", help="recompute results of other versions")
    args = parser.parse_args(arguments)
    if args.quick:
        parser.set_defaults(**QUICK)
        args = parser.parse_args(arguments)
    return args


def main() -> int:
    """The command; its exit code."""
    args = parse_arguments()
    console = Console(stderr=True)
    logging.getLogger("s2fin_cli").setLevel(logging.ERROR)  # it warns of few labels, which are intended here
    if args.threads:
        torch.set_num_threads(args.threads)
    try:
        asked = plan(args)
        if not args.refresh:
            report_stale(asked, args.results, console)
        runs = pending(asked, args.results, refresh=args.refresh)
        failed = perform_all(runs, args.scenes, args.results, console, refresh=args.refresh) if runs else 0
    except KeyboardInterrupt:
        console.print("stopped; finished results are kept, and the same command continues from there")
        return 130
    write_tables(args.results, args.table)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
