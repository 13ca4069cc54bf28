"""The choice of the device that computes."""

import torch

from s2fin_cli.errors import UsageError


def pick_device(name: str) -> torch.device:
    """The device of an option's value: "auto" takes CUDA where there is one, else the CPU.

    Raises:
        UsageError: CUDA is asked for and there is none.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        built = torch.version.cuda or "none: this is a CPU build of torch"
        raise UsageError(f"no CUDA device can be used (CUDA version of torch: {built}); take --device cpu")
    return torch.device(name)
