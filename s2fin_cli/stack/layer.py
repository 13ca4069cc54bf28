"""A layer: the rasters of one modality, and which of their bands are in use."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from s2fin_cli.core.errors import shortened
from s2fin_cli.core.modality import MODALITIES
from s2fin_cli.geo.extents import resolution_on
from s2fin_cli.raster.scaling import Scaling

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from numpy.typing import NDArray

    from s2fin_cli.raster.raster_info import RasterInfo

#: Metres of the units of heights, in lower case as files name them; others are left as they are.
METRES = dict.fromkeys(("ft", "foot", "feet", "international foot", "international feet"), 0.3048) | dict.fromkeys(
    ("us survey foot", "us survey feet", "us-ft", "ftus", "us_survey_foot", "foot_us", "sft"), 1200 / 3937
)


@dataclass(frozen=True)
class Layer:
    """The bands in use of one modality.

    Attributes:
        modality: a name in `MODALITIES`, or another name for a raster of no modality.
        rasters: its rasters; their data bands are counted through, from 1.
        numbers: numbers of the bands in use, in the order in which they are read.
        is_chosen: whether the user chose them.
        shift: columns and rows of the passive image's grid by which its contents are to the right of and below those
            of the passive image; it is read from there.
        fill: the stored value that all bands in use hold where there is no data, besides what the files declare; None
            for no such value.
        nodata: the stored value that any single band holds where it has no data; None for no such value.
        as_stored: whether values are read as they are stored, without the scales and offsets that the files declare.
        option: the option that it was given with, for messages, if it is not named like the modality.
    """

    modality: str
    rasters: tuple[RasterInfo, ...]
    numbers: tuple[int, ...]
    is_chosen: bool = False
    shift: tuple[float, float] = (0.0, 0.0)
    fill: float | None = None
    nodata: float | None = None
    as_stored: bool = False
    option: str | None = None

    @classmethod
    def of(cls, modality: str, rasters: Sequence[RasterInfo]) -> Layer:
        """All data bands of rasters."""
        return cls(modality, tuple(rasters), tuple(range(1, sum(info.count for info in rasters) + 1)))

    @property
    def finest(self) -> RasterInfo:
        """The raster with the smallest pixels, the first of equals."""
        first = self.rasters[0]
        if len(self.rasters) == 1 or any(info.grid.crs is None for info in self.rasters):
            return first
        return min(self.rasters, key=lambda info: round(float(np.prod(resolution_on(info.grid, first.grid))), 12))

    @property
    def count(self) -> int:
        """Number of data bands of all rasters."""
        return sum(info.count for info in self.rasters)

    @property
    def dtype(self) -> str:
        """Data type of the first raster."""
        return self.rasters[0].dtype

    @property
    def band_names(self) -> tuple[str, ...]:
        """Descriptions of the bands in use, empty where there is none."""
        names = [name for info in self.rasters for name in info.band_names]
        return tuple(names[number - 1] for number in self.numbers)

    @property
    def wavelengths(self) -> tuple[float, ...] | None:
        """Centre wavelengths in nanometres of the bands in use, or None where not all are known."""
        found = tuple(self.known_wavelengths.values())
        return found if len(found) == len(self.numbers) else None

    @property
    def known_wavelengths(self) -> dict[int, float]:
        """Centre wavelengths in nanometres by number, of those bands in use whose wavelengths are known."""
        places = [place for info in self.rasters for place in info.wavelengths or [None] * info.count]
        return {number: place for number in self.numbers if (place := places[number - 1]) is not None}

    @property
    def scaling(self) -> Scaling:
        """Declared scales and offsets of the bands in use; those of heights that are declared in feet give metres."""
        scales = np.array([scale for info in self.rasters for scale in info.scales])
        offsets = np.array([offset for info in self.rasters for offset in info.offsets])
        chosen, metres = np.array(self.numbers, dtype=np.int64) - 1, self._metres
        return Scaling((scales * metres)[chosen], (offsets * metres)[chosen])

    @property
    def _metres(self) -> NDArray[np.float64]:
        """Metres of a unit of each data band's values, float64 (bands,); 1 where it is unknown."""
        units = [unit for info in self.rasters for unit in info.units]
        is_height = self.modality in MODALITIES and MODALITIES[self.modality].is_height
        return np.array([METRES.get(unit.lower(), 1.0) if is_height else 1.0 for unit in units])

    @property
    def is_in_feet(self) -> bool:
        """Whether heights of a band in use are declared in feet."""
        return bool((self._metres[np.array(self.numbers, dtype=np.int64) - 1] != 1).any())

    @property
    def colors(self) -> tuple[str, ...]:
        """Colours that the bands in use are marked as, empty for none."""
        names = [name for info in self.rasters for name in info.colors]
        return tuple(names[number - 1] for number in self.numbers)

    @property
    def bad_numbers(self) -> tuple[int, ...]:
        """Numbers of the bands in use that a file declares bad."""
        declared = [index in info.bad_indexes for info in self.rasters for index in info.indexes]
        return tuple(number for number in self.numbers if declared[number - 1])

    def select(self, numbers: Sequence[int]) -> Layer:
        """The same rasters with other bands in use."""
        return replace(self, numbers=tuple(numbers))

    def without(self, numbers: Collection[int]) -> Layer:
        """The same rasters with fewer bands in use."""
        return self.select([number for number in self.numbers if number not in numbers])

    def sources(self) -> Iterator[tuple[RasterInfo, tuple[int, ...], list[int]]]:
        """Each raster in use, the indexes of its bands in use, and their places among all bands in use."""
        start = 0
        for info in self.rasters:
            places = [place for place, number in enumerate(self.numbers) if start < number <= start + info.count]
            if places:
                yield info, tuple(info.indexes[self.numbers[place] - start - 1] for place in places), places
            start += info.count

    def describe(self) -> str:
        """Option and path for messages."""
        more = f" (and {len(self.rasters) - 1} more)" if len(self.rasters) > 1 else ""
        return f"{self.describe_file(self.rasters[0])}{more}"

    def describe_file(self, info: RasterInfo) -> str:
        """Option and path of one of the rasters for messages."""
        return f"`{self.option or self.modality}` {info.src_path}"

    def describe_bands(self, numbers: Sequence[int]) -> str:
        """Some bands for messages: their numbers, or their files too where there are several."""
        if len(self.rasters) == 1:
            return shortened(_runs(numbers))
        files = [(info, index) for info in self.rasters for index in info.indexes]
        found = [files[number - 1] for number in numbers]
        return shortened(
            [info.src_path if info.count == 1 else f"{info.src_path} band {index}" for info, index in found]
        )


def _runs(numbers: Sequence[int]) -> list[str]:
    """Numbers as texts, three or more in a row as "first..last"."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return [
        text for run in runs for text in ([f"{run[0]}..{run[-1]}"] if len(run) > 2 else [str(number) for number in run])
    ]
