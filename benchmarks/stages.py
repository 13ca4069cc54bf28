"""How much of a classification's time each stage takes, files in and files out."""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
import threading
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from s2fin_cli.raster.opening import MOST_CACHE
from s2fin_cli.raster.readers import WindowReader
from s2fin_cli.stack.stack import ROWS, OpenStack, Stack
from s2fin_cli.workflows.classify_job import prepare
from s2fin_cli.workflows.map_files import open_rasters, write_map_polygons
from s2fin_cli.workflows.options.classify import ClassifyOptions
from synthetic import SyntheticScene, write_scene

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray
    from rasterio.windows import Window
    from torch import Tensor

    from s2fin_cli.core.images import Images
    from s2fin_cli.inference.engine import Predictor
    from s2fin_cli.inference.sinks import Sink

STAGES = ("read", "warp", "compute", "write", "polygons")
#: Side of the scene that is classified as a whole, by device and whether it is to be quick.
SIDES = {("cpu", True): 640, ("cpu", False): 1280, ("cuda", True): 1024, ("cuda", False): 4096}


class Stopwatch:
    """Adds up the time during which a stage is running, in one or several threads."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._running, self._since, self._lock = 0, 0.0, threading.Lock()

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Count the time of the block."""
        self._change(1)
        try:
            yield
        finally:
            self._change(-1)

    def _change(self, by: int) -> None:
        with self._lock:
            now = time.perf_counter()
            if self._running:
                self.seconds += now - self._since
            self._since = now
            self._running += by


@dataclass(frozen=True)
class TimedReader:
    """A reader whose reading is timed."""

    reader: WindowReader
    watch: Stopwatch

    def read(self, window: Window) -> NDArray[np.float32]:
        """Read a window."""
        with self.watch.running():
            return self.reader.read(window)


@dataclass(frozen=True)
class TimedStack(Stack):
    """A stack that times reading the passive image ("read") and the others ("warp")."""

    watches: dict[str, Stopwatch] = dataclasses.field(default_factory=dict)

    @classmethod
    def of(cls, stack: Stack, watches: dict[str, Stopwatch]) -> TimedStack:
        """A stack with its reading timed."""
        return cls(**{field.name: getattr(stack, field.name) for field in dataclasses.fields(stack)}, watches=watches)

    @contextlib.contextmanager
    def open(self, *, rows: int = ROWS, most_cache: int = MOST_CACHE) -> Iterator[OpenStack]:
        """Open the stack."""
        with super().open(rows=rows, most_cache=most_cache) as opened:
            aux = [TimedReader(reader, self.watches["warp"]) for reader in opened.aux]
            yield replace(opened, image=TimedReader(opened.image, self.watches["read"]), aux=aux)


class TimedPredictor:
    """A predictor whose computing is timed."""

    def __init__(self, predictor: Predictor, watch: Stopwatch, *, computing: bool) -> None:
        """Take a predictor; without computing, it returns zeros at once."""
        self._predictor, self._watch, self._computing = predictor, watch, computing
        self.device, self.num_classes = predictor.device, predictor.num_classes
        self.batch_side, self.margin = predictor.batch_side, predictor.margin
        self.put = predictor.put

    def predict(self, images: Images[Tensor], valid: Tensor) -> Tensor:
        """Predict a tile."""
        if not self._computing:
            return torch.zeros(self.num_classes, *valid.shape)
        with self._watch.running():
            return self._predictor.predict(images, valid)


@dataclass(frozen=True)
class TimedSink:
    """A sink whose writing is timed."""

    sink: Sink
    watch: Stopwatch

    def write(
        self, window: Window, probs: NDArray[np.float32], valid: NDArray[np.bool_], measures: NDArray[np.float32]
    ) -> None:
        """Write a window."""
        with self.watch.running():
            self.sink.write(window, probs, valid, measures)


def stage_seconds(scene: SyntheticScene, model: Path, folder: Path, *, computing: bool = True) -> dict[str, float]:
    """Seconds of each stage of a classification, files in and files out, and of all of it.

    Args:
        scene: what is classified.
        model: with what.
        folder: for the map.
        computing: False returns each tile at once, so that each other stage has the machine to itself.
    """
    watches = {stage: Stopwatch() for stage in STAGES}
    start = time.perf_counter()
    options = ClassifyOptions.from_kwargs(
        {**scene.images, "model": model, "output": folder / "stages.tif", "overwrite": True}
    )
    job = prepare(options)
    predictor = TimedPredictor(job.predictor, watches["compute"], computing=computing)
    job = replace(job, stack=TimedStack.of(job.stack, watches), predictor=predictor)
    written = replace(job.outputs, confidence=folder / "confidence.tif")
    with open_rasters(job, written) as rasters:
        job.classify([TimedSink(sink, watches["write"]) for sink in rasters.sinks(job.class_ids)])
    with watches["polygons"].running():
        write_map_polygons(job, written)
    total = time.perf_counter() - start
    return {stage: watch.seconds for stage, watch in watches.items()} | {"seconds": total}


def stages_of(folder: Path, model: Path, device: torch.device, *, bands: int, quick: bool) -> dict[str, Any]:
    """Share of each stage in the wall time of the classification of a scene that suits the device.

    NOTE: reading, warping and writing go on beside computing, in threads of their own, so shares may sum to more than
    1, and with few cores each stage takes longer than by itself; so that is measured too. In the rest of the time,
    apart from polygons, computing waits for the exploration of the scene, for the model or for the next tile.
    """
    side, work = SIDES[device.type, quick], folder / "stages"
    work.mkdir()
    scene = write_scene(work, height=side, width=side, bands=bands)
    beside, alone = (stage_seconds(scene, model, work, computing=computing) for computing in (True, False))
    shutil.rmtree(work)
    total = beside.pop("seconds")
    return {
        "stages": {stage: seconds / total for stage, seconds in beside.items()},
        "stages_alone": {stage: alone[stage] / total for stage in ("read", "warp", "write")},
        "waiting": 1 - (beside["compute"] + beside["polygons"]) / total,
        "pipeline_side": side,
        "pipeline_px_s": side**2 / total,
    }
