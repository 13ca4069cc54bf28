"""Arrays in MATLAB files, version 5 by SciPy and 7.3, which is HDF5, by h5py."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from s2fin_cli.core.errors import RasterError, UsageError, describe_missing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from os import PathLike

    from numpy.typing import NDArray

#: How a file of version 7.3 begins.
_HDF5_HEADER = b"MATLAB 7.3"


def read_arrays(src_path: str | PathLike[str]) -> dict[str, NDArray[Any]]:
    """All arrays of numbers in a file by name, in MATLAB's order of dimensions.

    Fields of structures are named with dots between, and cells of cell arrays by their number from 1.

    Args:
        src_path: the file.

    Raises:
        RasterError: it is missing or no MATLAB file.
        UsageError: it is of version 7.3, and h5py is not installed.
    """
    path = Path(src_path)
    if not os.path.isfile(path):
        raise RasterError(describe_missing(path))
    with path.open("rb") as file:
        is_hdf5 = file.read(len(_HDF5_HEADER)) == _HDF5_HEADER
    if is_hdf5 and importlib.util.find_spec("h5py") is None:
        raise UsageError(f"{path} is a MATLAB file of version 7.3, which needs h5py; pip install 's2fin[mat]'")
    try:
        return dict(_of_hdf5(path) if is_hdf5 else _of_version_5(path))
    except Exception as error:  # for a damaged file both libraries raise errors of any kind
        raise RasterError(
            f"{path} is not a MATLAB file that can be read ({error}); save it again from MATLAB"
        ) from error


def _of_version_5(path: Path) -> Iterator[tuple[str, NDArray[Any]]]:
    from scipy.io import loadmat  # noqa: PLC0415  slow to import, and needed here only

    for name, value in loadmat(path, struct_as_record=False, squeeze_me=False).items():
        if not name.startswith("__"):
            yield from _unpacked(name, value)


def _unpacked(name: str, value: Any) -> Iterator[tuple[str, NDArray[Any]]]:
    """Arrays of numbers in a value: an array itself, a structure or a cell array."""
    if hasattr(value, "_fieldnames"):
        for field in value._fieldnames:
            yield from _unpacked(f"{name}.{field}", getattr(value, field))
    elif isinstance(value, np.ndarray) and value.dtype == object:
        for number, part in enumerate(value.ravel(order="F"), start=1):
            yield from _unpacked(name if value.size == 1 else f"{name}.{number}", part)
    elif isinstance(value, np.ndarray) and value.dtype.kind in "buifc":
        yield name, value


def _of_hdf5(path: Path) -> Iterator[tuple[str, NDArray[Any]]]:
    import h5py  # noqa: PLC0415  an extra

    found: dict[str, NDArray[Any]] = {}

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and item.dtype.kind in "buifc" and not name.startswith("#"):
            found[name.replace("/", ".")] = item[()].T  # HDF5 has the dimensions in reverse order

    with h5py.File(path) as file:
        file.visititems(visit)
    yield from found.items()
