"""Sources of virtual rasters that could not be read: GDAL must not be asked for them again.

GDAL 3.10 keeps the sources of virtual rasters in a pool for as long as any virtual raster is open anywhere in the
process, those too that could not be opened. From the second time on it reads such a source as zeros, without an error.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rasterio.errors import RasterioError

from s2fin_cli.core.errors import RasterError, shortened

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator


class LostSources:
    """The sources that could not be read in this process. Threads may share it."""

    def __init__(self) -> None:
        self._lost = set[str]()
        self._lock = threading.Lock()

    @contextmanager
    def watched(self, src_path: str, sources: Collection[str], *, is_lost: Callable[[str], bool]) -> Iterator[None]:
        """Take note of the sources of a virtual raster if reading it fails while the block runs.

        Args:
            src_path: the virtual raster.
            sources: what it is made of.
            is_lost: says whether a source may be why.

        Raises:
            RasterError: one of the sources could not be read before.
        """
        with self._lock:
            again = self._lost.intersection(sources)
        if again:
            raise RasterError(
                f"{src_path} is made of {shortened(sorted(again))}, which could not be read before and would be read "
                "as zeros now; give the command again, or in Python start a new process"
            )
        try:
            yield
        except (RasterError, RasterioError):
            lost = {source for source in sources if is_lost(source)}
            with self._lock:
                self._lost |= lost
            raise
