"""Every option of training and classification, with its default: the command line and the Python API share them."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, fields
from difflib import get_close_matches
from numbers import Integral, Real
from os import PathLike
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeGuard

from s2fin_cli.core.errors import UsageError
from s2fin_cli.core.formats import RASTER_DRIVERS

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
PRECISIONS = ("float32", "bfloat16")
#: More bands no raster has.
MOST_BANDS = 65535
RESAMPLINGS = ("nearest", "bilinear", "cubic", "cubic_spline", "lanczos", "average", "mode", "med", "q1", "q3", "rms")


def nearest_name(name: str, known: list[str]) -> str:
    """A hint for a message: the known name that was probably meant, else all of them."""
    close = get_close_matches(name, known, n=1, cutoff=0.6)
    return f"did you mean {close[0]!r}?" if close else f"known are: {', '.join(known)}"


@dataclass(frozen=True, kw_only=True)
class InputOptions:
    """The rasters of one place, and how they are brought together.

    Attributes:
        hsi: hyperspectral image; the passive image, whose grid is the map's (that of its finest file).
        msi: multispectral image; the passive image where there is no `hsi`, else part of the second image.
        lidar, dsm, sar: LiDAR raster, surface or terrain heights, SAR image; together the second image. Any of these
            five is a path, or a sequence of paths whose bands are taken together.
        nodata: what images hold, as stored, where they have no data, besides what their files say; each
            "[MODALITY:]VALUE". Without a modality it is of the passive image, all of whose bands hold it there; of
            another image it is what a band holds. "none" for no such value. Where nothing is said of the passive
            image, one is looked for, see `find_fill`.
        bidx: which bands to use, each "[MODALITY:]BANDS", e.g. "1..5,8" or "lidar:1"; without a modality it is of the
            passive image. Bands are counted through all files of a modality, from 1.
        bounds: area of interest: left, bottom, right and top in the passive image's CRS.
        aoi: area of interest: a vector file of polygons; with `bounds`, the part of them inside these. Pixels are
            inside whose centre is.
        resampling: how the second image is warped onto the passive image's grid, one of `RESAMPLINGS`; None takes
            average for much finer rasters, else bilinear.
        coregister: "shift" finds how far the other images lie off the passive one, and shifts those for which that is
            certain; "off" trusts the georeferencing.
        device: "auto" takes CUDA where there is one.
    """

    hsi: StrPath | Sequence[StrPath] | None = None
    msi: StrPath | Sequence[StrPath] | None = None
    lidar: StrPath | Sequence[StrPath] | None = None
    dsm: StrPath | Sequence[StrPath] | None = None
    sar: StrPath | Sequence[StrPath] | None = None
    bidx: Sequence[str] = ()
    nodata: float | str | Sequence[float | str] | None = ()
    bounds: Sequence[float] | None = None
    aoi: StrPath | None = None
    resampling: str | None = None
    coregister: str = "off"
    device: str = "auto"

    #: The option that names the passive image in messages, where it is not the modality's.
    passive_option: ClassVar[str | None] = None

    def __post_init__(self) -> None:
        _check_choice("device", self.device, DEVICES)
        _check_choice("coregister", self.coregister, COREGISTRATIONS)
        if self.resampling is not None:
            _check_choice("resampling", self.resampling, RESAMPLINGS)
        if not self.src_paths["hsi"] and not self.src_paths["msi"]:
            raise UsageError("no passive image was given; name it with `hsi` or `msi`")
        _make_tuples(self, "bidx")
        _ = self.band_choice, self.nodata_values  # which refuse what is wrong in them
        if self.bounds is not None:
            _check(
                "bounds",
                self.bounds,
                _are_bounds(self.bounds),
                "left, bottom, right and top, left below right and bottom below top",
            )
            object.__setattr__(self, "bounds", tuple(float(value) for value in self.bounds))

    @property
    def src_paths(self) -> dict[str, tuple[str, ...]]:
        """Paths by modality, none for one that is not given."""
        given = {"hsi": self.hsi, "msi": self.msi, "lidar": self.lidar, "dsm": self.dsm, "sar": self.sar}
        return {modality: _paths(paths) for modality, paths in given.items()}

    @property
    def inputs(self) -> list[str]:
        """Every file that is read: the rasters and the area of interest."""
        rasters = [path for paths in self.src_paths.values() for path in paths]
        return rasters if self.aoi is None else [*rasters, str(self.aoi)]

    @property
    def band_choice(self) -> dict[str, tuple[int, ...]]:
        """Numbers of the bands to use by modality, of those that a choice was made for.

        Raises:
            UsageError: a choice cannot be understood, or is of an image that is not given.
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
        """The modality that a choice of bands or a nodata value is of where it names none."""
        return "hsi" if self.src_paths["hsi"] else "msi"

    @property
    def nodata_values(self) -> dict[str, float | None]:
        """Values given for `nodata` by modality, None for "none", of those that one was given for.

        Raises:
            UsageError: one is no number, is of an image that is not given, or is the second one of an image.
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
        try:
            return cls(**kwargs)
        except TypeError as error:
            raise UsageError(str(error).replace(f"{cls.__name__}.__init__() ", "")) from error


@dataclass(frozen=True, kw_only=True)
class LabelOptions:
    """Labels, and how they become pixels.

    Attributes:
        labels: vector file of polygons, lines or points, or a raster of whole numbers.
        label_field: the vector's class field; None takes the only one that can be it.
        label_buffer: what belongs to a point or line around it, in CRS units of the grid; None is the pixel of a point
            and half a pixel around a line.
        classes: a CSV table of the classes with the columns id, name and color; labels of others are left out.
        on_conflict: what becomes of pixels that different classes claim, one of `CONFLICTS`.
    """

    labels: StrPath
    label_field: str | None = None
    label_buffer: float | None = None
    classes: StrPath | None = None
    on_conflict: str = "drop"

    def check_labels(self) -> None:
        """Refuse impossible values.

        Raises:
            UsageError: there is one.
        """
        _check_choice("on_conflict", self.on_conflict, CONFLICTS)
        if self.label_buffer is not None:
            _check("label_buffer", self.label_buffer, _is_real(self.label_buffer) and self.label_buffer > 0, "above 0")
            object.__setattr__(self, "label_buffer", float(self.label_buffer))

    @property
    def label_inputs(self) -> list[str]:
        """Every file that is read."""
        return [str(path) for path in (self.labels, self.classes) if path is not None]


@dataclass(frozen=True, kw_only=True)
class TrainOptions(LabelOptions, InputOptions):
    """Options of `s2fin train`, besides those of inputs and labels.

    Attributes:
        output: the model file to write.
        overwrite: whether `output` may already be there.
        patch_size: pixels a side of the window that is classified, odd, 5 to 21.
        epochs: rounds of training; one is 16 to 80 steps, not a pass over all training pixels.
        batch_size: windows a step.
        learning_rate: peak learning rate of the one-cycle schedule; doubled where labels lie densely.
        labels_per_class: training pixels of one class at most, likewise validation pixels.
        split: how validation pixels are held out: "polygons" (whole ones), "blocks" (of pixels, with a buffer),
            "random" (single pixels; flatters the figures), or "auto": polygons for polygons, else blocks.
        validation: share of the labelled pixels to hold out, 0 for none.
        refit: whether to train once more on all labels, and keep what that gives.
        seed: of every random choice.
    """

    output: StrPath = DEFAULT_MODEL
    overwrite: bool = False
    patch_size: int = 7
    epochs: int = 10
    batch_size: int = 64
    learning_rate: float = 4e-3
    labels_per_class: int = 1000
    split: str = "auto"
    validation: float = 0.25
    refit: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_labels()
        _check_choice("split", self.split, SPLITS)
        size, rate, share, seed = self.patch_size, self.learning_rate, self.validation, self.seed
        _check("patch_size", size, _is_whole(size) and size % 2 == 1 and 5 <= size <= 21, "odd, 5 to 21")
        for name in ("epochs", "batch_size", "labels_per_class"):
            _check_whole(name, getattr(self, name), least=1)
        _check("learning_rate", rate, _is_real(rate) and 0 < rate <= 1, "above 0 and at most 1")
        _check("validation", share, _is_real(share) and 0 <= share < 1, "at least 0 and below 1")
        _check("seed", seed, _is_whole(seed) and 0 <= seed < 2**63, "a whole number, 0 to 2^63 - 1")
        _make_plain(self, int, "patch_size", "epochs", "batch_size", "labels_per_class", "seed")
        _make_plain(self, float, "learning_rate", "validation")


@dataclass(frozen=True, kw_only=True)
class ClassifyOptions(InputOptions):
    """Options of `s2fin classify`.

    Attributes:
        output: the map to write, a GeoTIFF; QGIS's style of it goes beside it with the suffix `.qml`.
        model: the model file; None takes `model.s2fin` in the current directory, else `$S2FIN_MODEL`.
        vector: whether to write polygons.
        polygons: where to write them, in the format of the suffix, see
            `core.formats.VECTOR_OUTPUT_SUFFIXES`; None is beside the map, with the suffix `.gpkg`.
        mmu: minimum mapping unit of the polygons in pixels; smaller areas are given to their largest neighbours.
        simplify: how far the polygons' borders may move, about, in CRS units, neighbours staying joined; None keeps
            the pixels' borders.
        confidence: where to write the probability of each pixel's class, if anywhere.
        probabilities: where to write the probabilities of all classes, if anywhere.
        scaled: whether confidence and probabilities are stored as bytes, 250 for 1.
        stac: whether to write a STAC item of the map, beside it with the suffix `.json`.
        format: how the rasters are written, one of `RASTER_DRIVERS`.
        co: GDAL's creation options of the rasters, each "NAME=VALUE".
        overwrite: whether outputs may already be there.
        stride: pixels from one window to the next, odd; each window gives the classes of so many pixels a side. None
            takes as many as the model was trained for: 5, and 3 where its labels lay densely.
        smooth: whether neighbours that look alike have a say in each pixel's class, see `inference/smoothing.py`.
        prior: about how much of the mapped area classes cover, each "CLASS=PERCENT" with a class's name, else its
            number; those not named share the rest. See `inference/prior.py`.
        precision: of the network's products, one of `PRECISIONS`; its frequency parts are float32 always.
        tile_size: pixels a side that are read and computed at a time; of a raster in strips, as many pixels in all.
            None takes 256, and 640 on CUDA.
    """

    output: StrPath
    model: StrPath | None = None
    vector: bool = True
    polygons: StrPath | None = None
    mmu: int = 1
    simplify: float | None = None
    confidence: StrPath | None = None
    probabilities: StrPath | None = None
    scaled: bool = False
    stac: bool = False
    format: str = "GTiff"
    co: Sequence[str] = ()
    overwrite: bool = False
    stride: int | None = None
    smooth: bool = False
    prior: Sequence[str] = ()
    precision: str = "float32"
    tile_size: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.stride is not None:
            stride = self.stride
            _check("stride", stride, _is_whole(stride) and stride % 2 == 1 and stride > 0, "odd, at least 1")
            _make_plain(self, int, "stride")
        _check_choice("precision", self.precision, PRECISIONS)
        if self.tile_size is not None:
            _check_whole("tile_size", self.tile_size, least=16)
            _make_plain(self, int, "tile_size")
        _check_choice("format", self.format, RASTER_DRIVERS)
        _make_tuples(self, "co", "prior")
        for option in self.co:
            _check("co", option, isinstance(option, str) and option.find("=") > 0, "NAME=VALUE")
        for text in self.prior:
            parse_share(text)
        _check_whole("mmu", self.mmu, least=1)
        _make_plain(self, int, "mmu")
        if self.simplify is not None:
            _check("simplify", self.simplify, _is_real(self.simplify) and self.simplify > 0, "above 0")
            _make_plain(self, float, "simplify")
        if self.scaled and self.confidence is None and self.probabilities is None:
            raise UsageError("`scaled` applies to `confidence` and `probabilities`, and neither is to be written")
        if not self.vector and (self.polygons is not None or self.mmu > 1 or self.simplify is not None):
            raise UsageError("`polygons`, `mmu` and `simplify` apply to polygons, which `vector=False` turns off")


@dataclass(frozen=True, kw_only=True)
class SplitOptions(LabelOptions):
    """Options of `s2fin split`, besides those of labels.

    Attributes:
        like: the image whose pixels the labels are for.
        train, test: the label rasters to write, GeoTIFFs.
        picture: a PNG of both to write, if any.
        method: what is kept together, as `TrainOptions.split`.
        share: of each class's pixels to test on, as nearly as whole polygons or blocks allow.
        distance: in pixels; training pixels nearer than this to a test pixel are left out. The default is farther
            than the network sees with its default patch size.
        seed: of the choice.
        overwrite: whether outputs may already be there.
    """

    like: StrPath
    train: StrPath
    test: StrPath
    picture: StrPath | None = None
    method: str = "auto"
    share: float = 0.5
    distance: int = 19
    seed: int = 0
    overwrite: bool = False

    def __post_init__(self) -> None:
        self.check_labels()
        _check_choice("method", self.method, SPLITS)
        _check("share", self.share, _is_real(self.share) and 0 < self.share < 1, "above 0 and below 1")
        for name in ("distance", "seed"):
            _check_whole(name, getattr(self, name), least=0)


@dataclass(frozen=True, kw_only=True)
class AlignOptions(InputOptions):
    """Options of `s2fin align`, besides those of inputs, of which one image is to be aligned.

    Attributes:
        like: the image whose grid it gets; it takes the place of `hsi`.
        output: the aligned image to write, a GeoTIFF.
        overwrite: whether it may already be there.
    """

    like: StrPath
    output: StrPath
    overwrite: bool = False

    passive_option: ClassVar[str | None] = "like"

    @property
    def src_paths(self) -> dict[str, tuple[str, ...]]:
        """Paths by modality, the image to be like as "hsi"."""
        return {**super().src_paths, "hsi": _paths(self.like)}

    @property
    def _modality_of_bands(self) -> str:
        """The image to be aligned; the other is not written."""
        return next((modality for modality, paths in self.src_paths.items() if paths and modality != "hsi"), "hsi")


@dataclass(frozen=True, kw_only=True)
class ConvertOptions:
    """Options of `s2fin convert`.

    Attributes:
        src: the MATLAB file, version 5 or 7.3.
        output: the GeoTIFF to write.
        variable: the array, with dots between the fields of structures; None takes the only one that can be it.
        crs: its CRS, as a code or WKT; None for none.
        transform: of the grid as rasterio has it: a, b, c, d, e, f.
        wavelengths: of its bands: a text file of numbers in nanometres, or a variable of the file.
        classes: a CSV table of classes: the array holds labels, and becomes a label raster with names and colours.
        overwrite: whether `output` may already be there.
    """

    src: StrPath
    output: StrPath
    variable: str | None = None
    crs: str | None = None
    transform: Sequence[float] | None = None
    wavelengths: StrPath | None = None
    classes: StrPath | None = None
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.transform is not None:
            whole = len(self.transform) == 6 and all(_is_real(v) and math.isfinite(v) for v in self.transform)
            _check("transform", self.transform, whole, "six numbers: a, b, c, d, e, f")
            a, b, _, d, e, _ = self.transform
            _check("transform", self.transform, a * e != b * d, "six numbers that give pixels a size: a, b, c, d, e, f")
            _check("transform", self.transform, b == d == 0, "of a grid that is not rotated: a, 0, c, 0, e, f")
        elif self.crs is not None:
            raise UsageError(
                f"`crs` is {self.crs!r}, but nothing gives the position of the pixels in it; give `transform` too"
            )


@dataclass(frozen=True, kw_only=True)
class SampleOptions:
    """Options of `s2fin sample`.

    Attributes:
        map: the class map.
        output: the points to write, in the format of the suffix, see `core.formats.VECTOR_OUTPUT_SUFFIXES`.
        size: points in all, more if `least` asks for more.
        least: points of each class at least, or all pixels that it has.
        seed: of the draw.
        overwrite: whether `output` may already be there.
    """

    map: StrPath
    output: StrPath
    size: int = 500
    least: int = 50
    seed: int = 0
    overwrite: bool = False

    def __post_init__(self) -> None:
        for name, least in (("size", 1), ("least", 1), ("seed", 0)):
            _check_whole(name, getattr(self, name), least=least)


def _paths(given: StrPath | Sequence[StrPath] | None) -> tuple[str, ...]:
    if given is None:
        return ()
    return (str(given),) if isinstance(given, str | PathLike) else tuple(str(path) for path in given)


def _band_numbers(text: str, option: str) -> list[int]:
    """Numbers from a list like "1..5,8"."""
    numbers: list[int] = []
    for part in text.split(","):
        found = re.fullmatch(r"\s*(\d+)\s*(?:\.\.\s*(\d+)\s*)?", part)
        first, last = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
        _check("bidx", option, 1 <= first <= last <= MOST_BANDS, "numbers of bands from 1, e.g. 1..5,8 or lidar:1")
        numbers += range(first, last + 1)
    _check("bidx", option, len(set(numbers)) == len(numbers), "numbers of bands, each once")
    return numbers


def parse_share(text: str) -> tuple[str, float]:
    """The class and its share, 0 to 1, of "CLASS=PERCENT"."""
    name, _, percent = text.rpartition("=") if isinstance(text, str) else ("", "", "")
    try:
        share = float(percent.strip().removesuffix("%")) / 100
    except ValueError:
        share = math.nan
    _check("prior", text, bool(name.strip()) and 0 <= share <= 1, "CLASS=PERCENT, 0 to 100")
    return name.strip(), share


def _nodata_value(number: str, text: object) -> float:
    try:
        value = float(number)
    except ValueError:
        value = math.nan
    _check("nodata", text, math.isfinite(value), 'a number, or "none", maybe with an image before it as in lidar:-9999')
    return value


def _are_bounds(values: Sequence[float]) -> bool:
    if len(values) != 4 or not all(_is_real(value) and math.isfinite(value) for value in values):
        return False
    left, bottom, right, top = values
    return left < right and bottom < top


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    _check(name, value, value in choices, f"one of {', '.join(choices)}")


def _check_whole(name: str, value: object, *, least: int) -> None:
    _check(name, value, _is_whole(value) and value >= least, f"a whole number, at least {least}")


def _is_whole(value: object) -> TypeGuard[int]:
    return isinstance(value, Integral) and not isinstance(value, bool)  # NumPy's integers too


def _is_real(value: object) -> TypeGuard[float]:
    return isinstance(value, Real) and not isinstance(value, bool)


def _make_tuples(options: InputOptions, *names: str) -> None:
    """Turn texts, given alone or as anything that can be gone through, into tuples of them."""
    for name in names:
        value = getattr(options, name)
        object.__setattr__(options, name, (value,) if isinstance(value, str) else tuple(value))


def _make_plain(options: InputOptions, kind: type[int | float], *names: str) -> None:
    """Turn NumPy's numbers into Python's own, which generators and JSON take."""
    for name in names:
        object.__setattr__(options, name, kind(getattr(options, name)))


def _check(name: str, value: object, is_right: bool, requirement: str) -> None:
    if not is_right:
        raise UsageError(f"`{name}` is {value!r}; it must be {requirement}")
