"""Accuracy of s2fin with its defaults, of its variants, and of the classifiers one would take instead.

python benchmarks/accuracy.py [--quick] [--scenes A,B] [--protocols blocks,random,fixed] [--counts 5,20] [--seeds 5]
    [--methods s2fin,RF,...] [--variants=-hfset,...] [--threads N] [--results FILE.csv] [--table FILE] [--refresh]

Each result is a row of the file of results, and is not computed again while it is there; so a run that was stopped goes
on where it was, and several may share the work. The tables are of all results in the file.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import dataclasses
import functools
import itertools
import logging
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import numpy as np
import rasterio
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

import s2fin_cli
from peer_features import Samples, SceneFeatures
from peers import PEERS
from protocols import LABEL_COUNTS, PROTOCOLS, Case, draw
from records import (
    LABELS_ALONE,
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
from s2fin import S2FinConfig
from s2fin_cli.core.device import pick_device
from s2fin_cli.core.errors import S2finError
from s2fin_cli.core.modality import passive_of
from s2fin_cli.core.options import InputOptions
from s2fin_cli.inference.engine import Engine
from s2fin_cli.inference.prior import apply_prior
from s2fin_cli.inference.smoothing import around, guide_of, smooth_all
from s2fin_cli.model.file import read_model
from s2fin_cli.model.fit import fit_stack
from s2fin_cli.raster.opening import without_georeferencing_warning
from s2fin_cli.stack.assembly import stack_of
from s2fin_cli.training.loop import TrainingSet
from s2fin_cli.workflows import train as pipeline
from s2fin_cli.workflows.options.classify import ClassifyOptions
from scenes import SCENE_FILE, SCENES, Scene, load, read_scene
from summary import write_tables

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from s2fin import S2Fin
    from s2fin_cli.labels.pixels import LabelledPixels
    from s2fin_cli.model.info import ModelInfo
    from s2fin_cli.workflows.train import _Taught
    from scenes import LoadedScene

#: Test pixels that a peer classifies at a time.
CHUNK = 1024
#: The variant that sees no second image.
ONE_IMAGE = "one image"
#: Defaults of a quick run, of half an hour on two cores: a draw of each scene.
QUICK = {"protocols": "blocks", "counts": "20", "seeds": "0,"}
#: What is changed in the network to see what its parts are worth.
PARTS: dict[str, dict[str, object]] = {
    "-hfset": {"hfset": False},
    "-afcm": {"afcm": False},
    "-ssaf": {"ssaf": False},
    "-hfrm": {"hfrm": False},
    "-scan": {"scan": False},
    "hard masks": {"frequency_mask": "hard"},
    "spatial resonance": {"resonance": "spatial"},
}


@dataclass(frozen=True)
class Use:
    """How a network is used.

    Attributes:
        stride, smooth: as of `s2fin classify`.
        misjudged: the prior is the shares of the scene's labels, each wrong by up to this factor; None for no prior.
    """

    stride: int | None = ClassifyOptions.stride
    smooth: bool = ClassifyOptions.smooth
    misjudged: float | None = None


#: Variants of how a network is used.
USES = {
    "stride 1": Use(stride=1),
    "stride 3": Use(stride=3),
    "smooth": Use(smooth=True),
    "prior": Use(misjudged=1),
    "rough prior": Use(misjudged=2),
}
#: What each variant of s2fin changes in the network.
VARIANTS: dict[str, dict[str, object]] = {
    **PARTS,
    **{name: {} for name in (*USES, ONE_IMAGE, LABELS_ALONE)},
    **{f"{LABELS_ALONE} {name}": changes for name, changes in PARTS.items()},
}


@dataclass(frozen=True)
class Fitted:
    """A fitted method.

    Attributes:
        class_ids: the classes, in the order of the probabilities.
        predict: gives probabilities (n, classes) of n pixels.
    """

    class_ids: NDArray[np.int64]
    predict: Callable[[LabelledPixels], NDArray[np.float64]]


# ---- methods ---------------------------------------------------------------------------------------------------------


def fit_peer(name: str, features: SceneFeatures, train: LabelledPixels, seed: int) -> Fitted:
    """Fit a peer to pixels of a scene."""
    peer = PEERS[name]
    class_ids, targets = np.unique(train.class_ids, return_inverse=True)
    samples = Samples(features.at(peer.kind, train), targets.astype(np.int64), features.loaded.image_bands)
    predict = peer.fit(samples, seed)

    def predict_in_parts(pixels: LabelledPixels) -> NDArray[np.float64]:
        parts = np.array_split(np.arange(len(pixels)), -(-len(pixels) // CHUNK))
        return np.concatenate([predict(features.at(peer.kind, pixels.select(part))) for part in parts])

    return Fitted(class_ids, predict_in_parts)


@dataclass(frozen=True)
class Trained:
    """What training s2fin gave.

    Attributes:
        paths: the images, by modality.
        class_ids: the classes, in the order of the network's.
        network: the network.
        info: what the model file says beside it.
    """

    paths: dict[str, Any]
    class_ids: NDArray[np.int64]
    network: S2Fin
    info: ModelInfo

    def predict(
        self, pixels: LabelledPixels, *, stride: int | None, smooth: bool, prior: NDArray[np.float64] | None = None
    ) -> NDArray[np.float64]:
        """Probabilities (n, classes) of pixels of the scene."""
        network = copy.deepcopy(self.network)
        if prior is not None:
            apply_prior(network, prior)
        engine = Engine(network, pick_device("auto"), stride=stride)
        stack = fit_stack(self.info, stack_of(InputOptions.from_kwargs(self.paths)))
        with stack.open() as opened:
            tile = opened.read(stack.grid.window, halo=engine.margin)
        wanted = torch.zeros(stack.grid.shape, dtype=torch.bool)
        wanted[pixels.rows, pixels.cols] = True
        images = tile.images.map(torch.from_numpy)
        inner = slice(engine.margin, -engine.margin)
        if smooth:
            wanted = around(wanted) & torch.from_numpy(tile.has_data[inner, inner])
        probs = engine.predict(images, wanted)
        if smooth:
            guide = guide_of(engine.network.standardizer, images.map(lambda part: part[:, inner, inner]))
            probs = smooth_all(probs, guide, wanted)
        return np.asarray(probs[:, pixels.rows, pixels.cols].T.double().numpy())


class Lessons:
    """Keeps what the teachers of a draw said: the network's variants learn from the same."""

    def __init__(self) -> None:
        self._draw: Run | None = None
        self._said: list[_Taught] = []

    @contextlib.contextmanager
    def kept(self, draw: Run) -> Iterator[None]:
        """Let training ask a teacher only if nobody has for this draw; there are two where labels are held out."""
        if draw != self._draw:
            self._draw, self._said = draw, []
        teach, asked = pipeline._teach, itertools.count()

        def once(*args: Any, **kwargs: Any) -> _Taught:
            number = next(asked)
            if number == len(self._said):
                self._said.append(teach(*args, **kwargs))
            return self._said[number]

        with mock.patch.object(pipeline, "_teach", once):
            yield


class Subjects:
    """Trains s2fin, and keeps the last one: it need not be trained again for another use of it."""

    def __init__(self) -> None:
        self._last: tuple[Run, Trained] | None = None
        self._lessons = Lessons()

    def fit(self, run: Run, loaded: LoadedScene, train: LabelledPixels) -> Fitted:
        """Fit s2fin or a variant of it to pixels of a scene."""
        variant = run.method.removeprefix(SUBJECT).strip()
        trained_as = "" if variant in USES else variant
        key = replace(run, method=trained_as)
        if self._last is None or self._last[0] != key:
            with self._lessons.kept(replace(run, method=ONE_IMAGE if trained_as == ONE_IMAGE else "")):
                self._last = key, train_subject(trained_as, loaded, train, run.seed)
        trained = self._last[1]
        use = USES.get(variant, Use())
        ids, prior = trained.class_ids, None
        if use.misjudged is not None:
            prior = known_shares(ids, loaded.labels, misjudged=use.misjudged, seed=run.seed)
        return Fitted(ids, functools.partial(trained.predict, stride=use.stride, smooth=use.smooth, prior=prior))


def known_shares(
    class_ids: NDArray[np.int64], labels: LabelledPixels, *, misjudged: float, seed: int
) -> NDArray[np.float64]:
    """Shares (classes,) of the classes among a scene's labels, each wrong by up to a factor."""
    counts = (labels.class_ids == class_ids[:, None]).sum(axis=1)
    errors = misjudged ** np.random.default_rng(seed).uniform(-1, 1, len(class_ids))
    return np.asarray(counts * errors / (counts * errors).sum())


def train_subject(variant: str, loaded: LoadedScene, train: LabelledPixels, seed: int) -> Trained:
    """Train s2fin on pixels of a scene as a user would: files in, a model file out, defaults throughout.

    Args:
        variant: one of `VARIANTS`, or "" for s2fin itself.
        loaded: the scene.
        train: the pixels.
        seed: of the training.

    Raises:
        RuntimeError: the network that training made is not the variant's.
        KeyboardInterrupt: the user stopped it; s2fin itself would give the model it had by then.
    """
    paths = _passive_only(loaded.paths) if variant == ONE_IMAGE else loaded.paths
    with tempfile.TemporaryDirectory() as folder:
        labels, model = Path(folder, "labels.tif"), Path(folder, "model.s2fin")
        class_ids = _write_labels(labels, loaded, train)
        overrides = variant_config(variant)
        with changed_network(overrides), taught_by_labels(alone=variant.startswith(LABELS_ALONE)):
            result = s2fin_cli.train(**paths, labels=str(labels), output=str(model), seed=seed)
        if result.outcome.interrupted:
            raise KeyboardInterrupt
        network, info = read_model(model)
    if overrides.items() - info.architecture.items():
        raise RuntimeError(f"training made its network without {overrides}; adapt changed_network")
    return Trained(paths, class_ids[[c.id - 1 for c in info.classes]], network, info)


def _write_labels(path: Path, loaded: LoadedScene, train: LabelledPixels) -> NDArray[np.int64]:
    """Write a label raster, 0 where unlabelled; its class 1 is the first of the class ids that are given back."""
    class_ids, positions = np.unique(train.class_ids, return_inverse=True)
    grid = loaded.stack.grid
    values = np.zeros(grid.shape, np.uint8)
    values[train.rows, train.cols] = positions + 1
    profile = {"driver": "GTiff", "count": 1, "dtype": "uint8", "nodata": 0, "compress": "deflate"}
    placed = {"crs": grid.crs, "transform": grid.transform, "height": grid.height, "width": grid.width}
    with without_georeferencing_warning(), rasterio.open(path, "w", **profile, **placed) as dst:
        dst.write(values, 1)
    return class_ids


def _passive_only(paths: dict[str, Any]) -> dict[str, Any]:
    return {name: path for name, path in paths.items() if name == passive_of(paths)}


def variant_config(variant: str) -> dict[str, object]:
    """The fields of `S2FinConfig` that a variant changes."""
    return VARIANTS[variant] if variant else {}


@contextlib.contextmanager
def changed_network(overrides: dict[str, object]) -> Iterator[None]:
    """Let training make networks with other defaults of `S2FinConfig`.

    NOTE: the parts of the network are no options of s2fin, and a hook for the ablations alone would be one more way
    through the code that users run; so the class is replaced from outside, and `train_subject` checks the network made.
    """
    if not overrides:
        yield
        return
    types = {field.name: field.type for field in dataclasses.fields(S2FinConfig)}
    changes = [(name, types[name], dataclasses.field(default=value)) for name, value in overrides.items()]
    changed = dataclasses.make_dataclass("Changed", changes, bases=(S2FinConfig,), frozen=True, kw_only=True)
    with mock.patch.object(pipeline, "S2FinConfig", changed):
        yield


@contextlib.contextmanager
def taught_by_labels(*, alone: bool) -> Iterator[None]:
    """Let the network learn from labels alone, if so, and not from a teacher and pixels without a label.

    NOTE: as it learns where labels are sparse. How it learns between dense ones is for the opinions of a good teacher.
    """
    if not alone:
        yield
        return
    teach = pipeline._teach

    def without_the_rest(*args: Any, **kwargs: Any) -> _Taught:
        taught = teach(*args, **kwargs)
        given = taught.train_set
        labelled = np.flatnonzero(given.labels >= 0)
        places = {name: getattr(given.cells, name)[labelled] for name in ("index", "rows", "cols")}
        train = TrainingSet(replace(given.cells, **places), given.targets[labelled], given.labels[labelled])
        return replace(taught, train_set=train)

    with mock.patch.object(pipeline, "_teach", without_the_rest):
        yield


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
    """The runs without a result, and, to refresh, those whose result another version of the method gave."""
    kept = {record.run for record in read_records(results) if not (refresh and record.is_stale)}
    return [run for run in runs if run not in kept]


def tell_stale(runs: list[Run], results: Path, console: Console) -> None:
    """Say how many of the runs have a result of another version of the method, which is kept."""
    if stale := sum(record.is_stale for record in read_records(results) if record.run in set(runs)):
        console.print(f"results of other versions: {stale}; they are kept, and --refresh computes them again")


def perform(run: Run, case: Case, features: SceneFeatures, subjects: Subjects) -> Record:
    """Fit and assess one method on the pixels of a draw."""
    loaded = features.loaded
    if not is_subject(run.method):
        features.at(PEERS[run.method].kind, case.train)  # makes them for the whole scene, which is no part of fitting
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
    """Perform runs on scenes one after another and keep what they give; the number of those that failed.

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
    """Perform a run, keep what it gives and say so; whether it did not fail."""
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
    """Scenes by their names, or by the folders of others."""
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
    quick = "one draw of blocks with 20 labels a class, seed 0, where the other options do not say otherwise"
    parser.add_argument("--quick", action="store_true", help=quick)
    parser.add_argument("--scenes", type=_scenes, default="all", help=f"names, or folders with a {SCENE_FILE}")
    parser.add_argument("--protocols", type=_among(PROTOCOLS), default="all", help=", ".join(PROTOCOLS))
    parser.add_argument("--counts", type=_numbers, default=",".join(map(str, LABEL_COUNTS)), help="labels of a class")
    parser.add_argument("--seeds", type=_seeds, default="5", help='how many, or which, as in "0,3"')
    parser.add_argument("--methods", type=_among(methods), default="all", help=", ".join(methods))
    parser.add_argument("--variants", type=_among(list(VARIANTS)), default="", help=f"all, or {', '.join(VARIANTS)}")
    parser.add_argument("--threads", type=int, help="of torch and the forests")
    parser.add_argument("--results", type=results_file, default=RESULTS, help="CSV file; it is made if need be")
    parser.add_argument("--table", type=Path, help="Markdown file; without it the tables go to stdout")
    parser.add_argument("--refresh", action="store_true", help="compute again what other versions gave")
    args = parser.parse_args(arguments)
    if args.quick:
        parser.set_defaults(**QUICK)
        args = parser.parse_args(arguments)
    return args


def main() -> int:
    """The command; its exit code."""
    args = parse_arguments()
    console = Console(stderr=True)
    logging.getLogger("s2fin_cli").setLevel(logging.ERROR)  # it warns of few labels, which is what this is about
    if args.threads:
        torch.set_num_threads(args.threads)
    try:
        asked = plan(args)
        if not args.refresh:
            tell_stale(asked, args.results, console)
        runs = pending(asked, args.results, refresh=args.refresh)
        failed = perform_all(runs, args.scenes, args.results, console, refresh=args.refresh) if runs else 0
    except KeyboardInterrupt:
        console.print("stopped; what was finished is kept, and the same command goes on from there")
        return 130
    write_tables(args.results, args.table)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
