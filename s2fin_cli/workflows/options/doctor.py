"""Options of the examination of an installation."""

from __future__ import annotations

from dataclasses import dataclass

from s2fin_cli.core.checks import check_choice
from s2fin_cli.core.options import DEVICES, Options


@dataclass(frozen=True, kw_only=True)
class DoctorOptions(Options):
    """Options of `s2fin doctor`.

    Attributes:
        device: what the self test computes with: "cpu", "cuda", or "auto", which uses CUDA if it is available.
        self_test: whether a network is compared with itself in double precision, and a small scene is mapped.
    """

    device: str = "auto"
    self_test: bool = True

    def __post_init__(self) -> None:
        check_choice("device", self.device, DEVICES)
