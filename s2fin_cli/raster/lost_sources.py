"""Sources of virtual rasters that could not be read: GDAL must not be asked for them again.

GDAL 3.10 keeps the sources of virtual rasters in a pool for as long as any virtual raster is open anywhere in the
process, those too that could not be opened. From the second time on it reads such a source as zeros, without an error.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from s2fin_cli.core.errors import RasterError, shortened

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable


class LostSources:
    """The sources that could not be read in this process. Threads may share it."""

    def __init__(self) -> None:
        self._lost = set[str]()
        self._lock = threading.Lock()

    def check(self, src_path: str, sources: Collection[str]) -> None:
        """Refuse a virtual raster with a source that could not be read before.

        Args:
            src_path: the virtual raster.
            sources: what it is made of.

        Raises:
            RasterError: it has one.
        """
        with self._lock:
            again = self._lost.intersection(sources)
        if again:
            raise RasterError(
                f"{src_path} is made of {shortened(sorted(again))}, which could not be read before and would be read "
                "as zeros now; give the command again, or in Python start a new process"
            )

    def add(self, sources: Iterable[str]) -> None:
        """Take note of sources that could not be read."""
        with self._lock:
            self._lost.update(sources)
