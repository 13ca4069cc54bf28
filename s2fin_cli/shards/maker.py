"""What made a shard: all of a machine and its software that may change the last bit of a probability."""

from __future__ import annotations

import functools
import platform
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import rasterio
import torch

from s2fin_cli.core.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping


def software() -> dict[str, str]:
    """Versions of the software that a map depends on."""
    return {
        "s2fin": __version__, "torch": str(torch.__version__), "NumPy": np.__version__,
        "rasterio": rasterio.__version__, "GDAL": rasterio.__gdal_version__,
    }  # fmt: skip


@dataclass(frozen=True)
class Maker:
    """A kind of machine with its software. Shards of equal makers fit together to the last bit.

    Attributes:
        device: "cpu", or the name of a CUDA device.
        processor: its model, the machine's architecture, and the instruction set that torch uses of it.
        batches: batches of windows that are computed together; None on the CPU, where each is computed by itself.
        versions: of the software.
    """

    device: str
    processor: str
    batches: int | None
    versions: Mapping[str, str]

    @classmethod
    def here(cls, device: torch.device, batches: int | None) -> Maker:
        """This machine, with the device that computes."""
        name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
        kind = f"{platform.machine()} with {torch.backends.cpu.get_cpu_capability()}"
        processor = ", ".join(filter(None, (_processor_model(), kind)))
        return cls(name, processor, batches, software())

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Maker:
        """What JSON values describe.

        Raises:
            KeyError, ValueError, TypeError: they describe none.
        """
        batches = None if values["batches"] is None else int(values["batches"])
        return cls(str(values["device"]), str(values["processor"]), batches, dict(values["versions"]))

    def difference(self, other: Maker) -> tuple[str, str, str] | None:
        """The first thing that differs: what it is, and what it is here and there; None if nothing does."""
        own, others = self._facts(), other._facts()
        for name in dict.fromkeys((*own, *others)):
            if own.get(name) != others.get(name):
                return name, own.get(name, "nothing"), others.get(name, "nothing")
        return None

    def _facts(self) -> dict[str, str]:
        values = asdict(self)
        versions = {f"the version of {name}": version for name, version in values.pop("versions").items()}
        together = "one" if values["batches"] is None else str(values["batches"])
        return {
            "the device": values["device"],
            "the processor": values["processor"],
            "the number of batches computed together": together,
            **versions,
        }


def why_different(one: tuple[Maker, str], other: tuple[Maker, str]) -> str | None:
    """Why shards of two makers do not fit together, for a message, and what to do; None if they do.

    Args:
        one: a maker, and what it is called in the message, e.g. "for shard 3".
        other: another one.
    """
    difference = one[0].difference(other[0])
    if difference is None:
        return None
    name, first, second = difference
    return (
        f"{name} is {first} {one[1]} and {second} {other[1]}, so the last bits of the confidence may differ; make all "
        "of them on one kind of machine, or allow it with `mixed=True`"
    )


@functools.cache
def _processor_model() -> str:
    """The processor's model; nothing where the system does not say, as numerical libraries choose their code by it."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as lines:
            names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
            return next(names, "")
    except OSError:  # not Linux
        return platform.processor()
