"""Options of classification."""

from __future__ import annotations

import re
from dataclasses import dataclass

from s2fin_cli.core.checks import check, check_choice, check_folder, check_whole, is_whole, make_plain
from s2fin_cli.core.errors import UsageError
from s2fin_cli.core.map_options import MapOptions
from s2fin_cli.core.options import READ_ERRORS, InputOptions, Options, StrPath


@dataclass(frozen=True, kw_only=True)
class ModelOptions(Options):
    """Which model computes maps, and how it goes over the images.

    Attributes:
        model: model file; None takes `model.s2fin` in the current directory, else `$S2FIN_MODEL`.
        stride: pixels from one window to the next, odd: the side of the output block that each window predicts. None
            takes what the model was trained for: 5, or 3 where its labels were dense.
        on_read_error: what happens to a storage block of an image that cannot be read, as in a damaged file: "fail", or
            "skip", so that its pixels have no data, with a warning.
        tile_size: side in pixels of the tiles that are read and computed at a time; of a raster stored in strips,
            the same number of pixels in wider tiles. None takes 256, and 640 on CUDA.
    """

    model: StrPath | None = None
    stride: int | None = None
    on_read_error: str = "fail"
    tile_size: int | None = None


@dataclass(frozen=True, kw_only=True)
class ComputingOptions(ModelOptions):
    """By which processes and in which parts maps are computed, besides the model.

    Attributes:
        work: folder that keeps the finished shards of the map, which is made if it is missing: the same command then
            continues where an earlier one ended. None keeps nothing.
        workers: number of processes that make shards side by side; None makes them in this process. With CUDA, at most
            one for each device.
        scheduler: address of the scheduler of a Dask cluster whose workers make the shards, e.g. "tcp://host:8786"; it
            needs `work`, on a disk that all machines share.
        shard_size: side in pixels of the shards, rounded up to whole batches of windows, 16 strides each. None
            takes what `work` was begun with, else up to 1280 by the size of the map.
        mixed: whether shards of different processors, devices or versions of software may be combined, in which case
            the last bits of the confidence may differ.
    """

    work: StrPath | None = None
    workers: int | None = None
    scheduler: str | None = None
    shard_size: int | None = None
    mixed: bool = False

    @property
    def in_shards(self) -> bool:
        """Whether maps are made in shards."""
        return self.work is not None or self.workers is not None or self.scheduler is not None


@dataclass(frozen=True, kw_only=True)
class ClassifyOptions(ComputingOptions, MapOptions, InputOptions):
    """Options of `s2fin classify`, besides those of inputs, maps and computing.

    Attributes:
        shard: part of the shards to make, "I/N" for part I of N, without writing the map; it needs `work`. None makes
            all that are missing and writes the map.
    """

    shard: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_map()
        check_choice("on_read_error", self.on_read_error, READ_ERRORS)
        if self.stride is not None:
            stride = self.stride
            check("stride", stride, is_whole(stride) and stride % 2 == 1 and stride > 0, "odd, at least 1")
            make_plain(self, int, "stride")
        for name, least in (("tile_size", 16), ("workers", 1), ("shard_size", 16)):
            if getattr(self, name) is not None:
                check_whole(name, getattr(self, name), least=least)
                make_plain(self, int, name)
        check_folder("work", self.work)
        self._check_shards()

    def _check_shards(self) -> None:
        if self.scheduler is not None and self.workers is not None:
            raise UsageError("`scheduler` and `workers` are two ways to make shards; choose one")
        if self.scheduler is not None and self.work is None:
            raise UsageError("`scheduler` needs `work`, a folder on a disk that all machines share")
        if self.shard is not None:
            _ = self.part
            if self.work is None:
                raise UsageError("`shard` makes a part of the shards of a map, which `work` keeps; give it a folder")
        if not self.in_shards and (self.shard_size is not None or self.mixed):
            raise UsageError("`shard_size` and `mixed` apply to maps that are made with `work` or `workers`")

    @property
    def part(self) -> tuple[int, int]:
        """Which part of the shards to make, counted from 1, and how many parts there are.

        Raises:
            UsageError: `shard` is no such text.
        """
        if self.shard is None:
            return 1, 1
        found = re.fullmatch(r"0*(\d{1,9})/0*(\d{1,9})", str(self.shard), re.ASCII)
        part, parts = (int(found[1]), int(found[2])) if found else (0, 0)
        check("shard", self.shard, 1 <= part <= parts, "I/N, from 1/N to N/N")
        return part, parts
