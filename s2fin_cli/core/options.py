"""The options that several commands have, with their defaults: the command line and the Python API share them.

The options of each command are in `s2fin_cli.workflows.options`.
"""

from __future__ import annotations

import math
import re
from dataclasses import MISSING, dataclass, fields
from os import PathLike
from typing import TYPE_CHECKING, Any, ClassVar, Self

from s2fin_cli.core.checks import (
    check,
    check_choice,
    is_real,
    make_tuples,
    nearest_name,
)
from s2fin_cli.core.errors import UsageError
from s2fin_cli.core.modality import MODALITIES, PASSIVE_NAMES, no_passive_image, passive_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

StrPath = str | PathLike[str]

DEFAULT_MODEL = "model.s2fin"
#: Environment variable that names the model where no `model.s2fin` is in the current directory.
MODEL_VARIABLE = "S2FIN_MODEL"

DEVICES = ("auto", "cpu", "cuda")
SPLITS = ("auto", "polygons", "blocks", "random")
COREGISTRATIONS = ("off", "shift")
CONFLICTS = ("drop", "error", "first", "last")
READ_ERRORS = ("fail", "skip")
PRECISIONS = ("float32", "bfloat16")
#: No raster has more bands.
MOST_BANDS = 65535
RESAMPLINGS = ("nearest", "bilinear", "cubic", "cubic_spline", "lanczos", "average", "mode", "med", "q1", "q3", "rms")


@dataclass(frozen=True, kw_only=True)
class Options:
    """Base class of every command's options."""

    @classmethod
    def from_kwargs(cls, kwargs: Mapping[str, Any]) -> Self:
        """Options from keyword arguments.

        Raises:
            UsageError: an unknown name, a missing one or an impossible value.
        """
        known = [field.name for field in fields(cls)]
        for name in kwargs:
            if name not in known:
                raise UsageError(f"unknown option {name!r}; {nearest_name(name, known)}")
        required = [
            field.name for field in fields(cls) if field.default is MISSING and field.default_factory is MISSING
        ]
        if missing := [f"`{name}`" for name in required if name not in kwargs]:
            raise UsageError(f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing")
        try:
            return cls(**kwargs)
        except TypeError as error:
            raise UsageError(str(error).replace(f"{cls.__name__}.__init__() ", "")) from error


@dataclass(frozen=True, kw_only=True)
class ImageOptions(Options):
    """The images of one place.

    Attributes:
        hsi: hyperspectral image; the passive image, whose grid (that of its finest file) becomes the map's. Each image
            is a path, or a sequence of paths whose bands are stacked.
        msi: multispectral image; the passive image if there is no `hsi`, else part of the second image.
        lidar: LiDAR raster, e.g. heights above ground; part of the second image.
        dsm: surface or terrain heights; part of the second image.
        sar: SAR image; part of the second image.
        thermal: thermal infrared image; part of the second image.
    """

    hsi: StrPath | Sequence[StrPath] | None = None
    msi: StrPath | Sequence[StrPath] | None = None
    lidar: StrPath | Sequence[StrPath] | None = None
    dsm: StrPath | Sequence[StrPath] | None = None
    sar: StrPath | Sequence[StrPath] | None = None
    thermal: StrPath | Sequence[StrPath] | None = None

    @property
    def src_paths(self) -> dict[str, tuple[str, ...]]:
        """Paths by modality, empty for one that was not given."""
        return {modality: path_tuple(getattr(self, modality)) for modality in MODALITIES}


@dataclass(frozen=True, kw_only=True)
class StackingOptions(Options):
    """How the images of a place are stacked on one grid, and which part of it is of interest.

    Attributes:
        bidx: bands to use, each "[MODALITY:]BANDS", e.g. "1..5,8" or "lidar:1"; without a modality, of the passive
            image. Bands are numbered from 1 through all files of a modality.
        nodata: stored values that stand for no data, besides those that the files declare, each "[MODALITY:]VALUE".
            Without a modality, of the passive image, where all bands must hold it; of another image, of each band by
            itself. "none" for no such value. If none is given or declared for the passive image, s2fin looks for a
            value that fills its border.
        bounds: area of interest: left, bottom, right and top in the passive image's CRS.
        aoi: area of interest: a vector file of polygons, clipped to `bounds` if both are given. A pixel is inside if
            its centre is.
        resampling: how the second image is warped onto the passive image's grid, one of `RESAMPLINGS`; None averages
            much finer rasters and interpolates others bilinearly.
        coregister: "shift" measures the offset of the other images from the passive one, and shifts those where the
            measurement is reliable; "off" trusts the georeferencing.
        device: "cpu", "cuda", or "auto", which uses CUDA if it is available.
    """

    bidx: Sequence[str] = ()
    nodata: float | str | Sequence[float | str] | None = ()
    bounds: Sequence[float] | None = None
    aoi: StrPath | None = None
    resampling: str | None = None
    coregister: str = "off"
    device: str = "auto"


@dataclass(frozen=True, kw_only=True)
class InputOptions(StackingOptions, ImageOptions):
    """The images of one place, and how they are stacked on one grid."""

    #: The option that messages name for the passive image, if it is not that of the modality.
    passive_option: ClassVar[str | None] = None

    def __post_init__(self) -> None:
        check_choice("device", self.device, DEVICES)
        check_choice("coregister", self.coregister, COREGISTRATIONS)
        if self.resampling is not None:
            check_choice("resampling", self.resampling, RESAMPLINGS)
        if passive_of(self._given) is None:
            raise UsageError(no_passive_image())
        make_tuples(self, "bidx")
        _ = self.band_choice, self.nodata_values  # they refuse what is wrong in them
        if self.bounds is not None:
            check(
                "bounds",
                self.bounds,
                _are_bounds(self.bounds),
                "left, bottom, right and top, left below right and bottom below top",
            )
            object.__setattr__(self, "bounds", tuple(float(value) for value in self.bounds))

    @property
    def _given(self) -> list[str]:
        """The modalities that were given."""
        return [modality for modality, paths in self.src_paths.items() if paths]

    @property
    def named_inputs(self) -> list[tuple[str, str]]:
        """Option and path of every file that is read: the rasters and the area of interest."""
        rasters = [(modality, path) for modality, paths in self.src_paths.items() for path in paths]
        return rasters if self.aoi is None else [*rasters, ("aoi", str(self.aoi))]

    @property
    def inputs(self) -> list[str]:
        """Every file that is read."""
        return [path for _, path in self.named_inputs]

    @property
    def band_choice(self) -> dict[str, tuple[int, ...]]:
        """Numbers of the bands to use by modality, for the modalities that a choice was made for.

        Raises:
            UsageError: a choice cannot be understood, or is for an image that was not given.
        """
        choice: dict[str, tuple[int, ...]] = {}
        for text in self.bidx:
            modality, _, numbers = text.rpartition(":")
            modality = modality or self._modality_of_bands
            if not self.src_paths.get(modality):
                raise UsageError(f"`bidx` is {text!r}, but no `{modality}` was given; name an image that was")
            choice[modality] = (*choice.get(modality, ()), *_band_numbers(numbers, text))
        return choice

    @property
    def _modality_of_bands(self) -> str:
        """The modality of a choice of bands or a nodata value that names none."""
        return passive_of(self._given) or PASSIVE_NAMES[0]

    @property
    def nodata_values(self) -> dict[str, float | None]:
        """Values given for `nodata` by modality, None for "none".

        Raises:
            UsageError: one is not a number, is for an image that was not given, or is the second one for an image.
        """
        given = () if self.nodata is None else self.nodata
        values: dict[str, float | None] = {}
        for text in (given,) if isinstance(given, str | float | int) else given:
            modality, _, number = str(text).rpartition(":")
            modality = modality or self._modality_of_bands
            if not self.src_paths.get(modality):
                raise UsageError(f"`nodata` is {text!r}, but no `{modality}` was given; name an image that was")
            if modality in values:
                raise UsageError(f"`nodata` of `{modality}` is given twice; give one, and declare others in the file")
            values[modality] = None if number == "none" else _nodata_value(number, text)
        return values


@dataclass(frozen=True, kw_only=True)
class LabelOptions(Options):
    """Labels, and how they become pixels.

    Attributes:
        labels: vector file of polygons, lines or points, or a raster of whole numbers; or a sequence of such files.
            Where several files label a pixel, the last file decides. Features without a class are skipped.
        label_field: class field of the vector file; None takes the only possible field. Of several files, those
            without such a field go by their own.
        label_buffer: buffer around points and lines, in CRS units of the grid; None takes the pixel that holds a point,
            and half a pixel around a line.
        classes: CSV table of the classes with the columns id, name and color; labels of other classes are skipped.
        on_conflict: what happens to pixels that features of different classes cover, one of `CONFLICTS`. Where
            files disagree, the last file wins; with "first", the first file wins; with "error", the run stops.
    """

    labels: StrPath | Sequence[StrPath]
    label_field: str | None = None
    label_buffer: float | None = None
    classes: StrPath | None = None
    on_conflict: str = "drop"

    def check_labels(self) -> None:
        """Refuse impossible values.

        Raises:
            UsageError: there is one.
        """
        check("labels", self.labels, bool(self.label_paths), "a file, or a sequence of files")
        check_choice("on_conflict", self.on_conflict, CONFLICTS)
        if self.label_buffer is not None:
            check("label_buffer", self.label_buffer, is_real(self.label_buffer) and self.label_buffer > 0, "above 0")
            object.__setattr__(self, "label_buffer", float(self.label_buffer))

    @property
    def label_inputs(self) -> list[str]:
        """Every file that is read."""
        return [*self.label_paths, *([] if self.classes is None else [str(self.classes)])]

    @property
    def label_paths(self) -> tuple[str, ...]:
        """The label files; the last one decides."""
        return path_tuple(self.labels)


def path_tuple(given: StrPath | Sequence[StrPath] | None) -> tuple[str, ...]:
    """The paths of an option that takes one or several."""
    if given is None:
        return ()
    return (str(given),) if isinstance(given, str | PathLike) else tuple(str(path) for path in given)


def _band_numbers(text: str, option: str) -> list[int]:
    """Numbers from a list like "1..5,8"."""
    numbers: list[int] = []
    for part in text.split(","):
        found = re.fullmatch(r"\s*(\d+)\s*(?:\.\.\s*(\d+)\s*)?", part)
        first, last = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
        check("bidx", option, 1 <= first <= last <= MOST_BANDS, "numbers of bands from 1, e.g. 1..5,8 or lidar:1")
        numbers += range(first, last + 1)
    check("bidx", option, len(set(numbers)) == len(numbers), "numbers of bands, each once")
    return numbers


def _nodata_value(number: str, text: object) -> float:
    try:
        value = float(number)
    except ValueError:
        value = math.nan
    check("nodata", text, math.isfinite(value), 'a number or "none", with or without an image as in lidar:-9999')
    return value


def _are_bounds(values: Sequence[float]) -> bool:
    if len(values) != 4 or not all(is_real(value) and math.isfinite(value) for value in values):
        return False
    left, bottom, right, top = values
    return left < right and bottom < top
