"""Builds a stack from options, and checks that its rasters go together."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from rasterio.enums import Resampling

from s2fin_cli.core.copies import copy_at
from s2fin_cli.core.errors import GeoreferencingError, RasterError, UsageError, describe_bounds
from s2fin_cli.core.modality import MODALITIES, Role, no_passive_image, passive_of
from s2fin_cli.geo.accuracy import warn_of_inaccuracy
from s2fin_cli.geo.crs import crs_name
from s2fin_cli.geo.extents import bounds_on, check_without_crs, share_covered
from s2fin_cli.geo.transformation import Placed, check_transformable
from s2fin_cli.geo.windows import check_size
from s2fin_cli.raster.info import check_placed, read_info
from s2fin_cli.raster.raster_info import RasterInfo
from s2fin_cli.stac.images import rasters_of
from s2fin_cli.stack.coregistration import coregister
from s2fin_cli.stack.fill import Fill, Undeclared, Void, find_undeclared
from s2fin_cli.stack.layer import Layer
from s2fin_cli.stack.stack import Stack
from s2fin_cli.stack.statistics import band_statistics
from s2fin_cli.vector.read_area import read_area

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from s2fin_cli.core.options import InputOptions
    from s2fin_cli.raster.unreadable import UnreadableBlocks

logger = logging.getLogger(__name__)

#: A second image that covers this share of the passive one only lacks an edge, which causes no warning.
MOST_OF_IT = 0.99
#: The user is warned if a larger share of a band of reflectances is negative because of a declared offset.
NEGATIVE = 0.25


def build_stack(
    src_paths: Mapping[str, Sequence[str]],
    *,
    choice: Mapping[str, Sequence[int]] | None = None,
    resampling: Resampling | None = None,
    passive_option: str | None = None,
) -> Stack:
    """Put the given rasters into a stack and check that they go together.

    Args:
        src_paths: paths by modality, see `MODALITIES`.
        choice: numbers of the bands to use by modality, counted through its rasters; all bands of others are used.
        resampling: method of the warp, None for the default by resolution.
        passive_option: the option that the passive image was given with, if it is not named like its modality.

    Raises:
        RasterError: no passive image, a raster that cannot be read, or a band that is not there.
        GeoreferencingError: grids, CRS or extents that do not match.
    """
    given = {modality: src_paths[modality] for modality in MODALITIES if src_paths.get(modality)}
    if passive_of(given) is None:
        raise RasterError(no_passive_image())
    layers = [
        _choose(Layer.of(modality, _read_infos(paths)), (choice or {}).get(modality))
        for modality, paths in given.items()
    ]
    layers[0] = replace(layers[0], option=passive_option)
    for layer in layers:
        if layer.is_in_feet:
            logger.info("%s: its heights are declared in feet and are read in metres", layer.describe())
    image, *aux = layers
    reference = image.finest
    check_reference(reference, image.describe_file(reference))
    if reference.grid.crs is None:
        logger.warning("%s has no CRS; outputs on its grid will have none either", image.describe_file(reference))
    for layer in layers:
        for info in layer.rasters:
            if info is not reference:
                names = image.describe_file(reference), layer.describe_file(info)
                _check_together(reference, info, names=names)
    return Stack(image, tuple(aux), resampling)


def stack_of(options: InputOptions, *, skipped: UnreadableBlocks | None = None) -> Stack:
    """The stack that options describe.

    Args:
        options: the options.
        skipped: takes the storage blocks that cannot be read; None refuses them.

    Raises:
        RasterError, GeoreferencingError: as `build_stack`.
        AreaError: as `read_area` and `check_size`.
        UsageError: as `coregister`.
    """
    resampling = None if options.resampling is None else Resampling[options.resampling]
    stack = build_stack(
        options.src_paths, choice=options.band_choice, resampling=resampling, passive_option=options.passive_option
    )
    _check_resampling(stack)
    stack = _with_nodata(replace(stack, skipped=skipped), options.nodata_values)
    aoi = None if options.aoi is None else str(options.aoi)
    stack = replace(stack, area=read_area(stack.grid, bounds=options.bounds, src_path=aoi))
    check_size(stack.extent, stack.image.describe(), remedy="choose a part with `bounds` or `aoi`")
    return coregister(stack)[0] if options.coregister == "shift" else stack


def _check_resampling(stack: Stack) -> None:
    """Refuse a resampling method that gives other results on stored values than on the values that they stand for."""
    for layer in stack.aux:
        scaling, name = layer.scaling, None if stack.resampling is None else stack.resampling.name
        if (name == "rms" and (scaling.offsets != 0).any()) or (name in ("q1", "q3") and (scaling.scales < 0).any()):
            raise UsageError(
                f"`resampling={name!r}` cannot be used for {layer.describe()}, whose values are declared with "
                f"{scaling.describe()}; use another method, or write the values out first: "
                "gdal_translate -unscale -ot Float32"
            )


def _with_nodata(stack: Stack, given: Mapping[str, float | None]) -> Stack:
    """The stack with the nodata values that were given or found; warn of values that look wrong."""
    aux = tuple(replace(layer, nodata=given.get(layer.modality)) for layer in stack.aux)
    image = replace(stack.image, fill=given.get(stack.image.modality))
    # NOTE: for s2fin align the passive image is only a grid
    is_known = image.modality in given or image.option is not None
    stack = replace(stack, image=image, aux=aux)
    found = find_undeclared(stack, may_be_filled=not is_known)
    if found.fill is not None:
        _warn_of_fill(image, found.fill)
    for layer, void in found.voids:
        _warn_of_void(layer, void)
    _warn_of_implausible(stack, found)
    _warn_of_negative(stack, found)
    fill = image.fill if found.fill is None or found.fill.is_declared_otherwise else found.fill.value
    return replace(stack, image=replace(image, fill=fill))


def _warn_of_void(layer: Layer, void: Void) -> None:
    """Warn of a value that may stand for no data."""
    logger.warning(
        "%s: %.1f %% of the pixels hold %g in band %s, far from all other values (%g to %g), which is not a declared "
        "nodata value; if these pixels have no data, give `nodata=\"%s:%g\"`",
        layer.describe(), 100 * void.share, void.value, layer.describe_bands(void.numbers), *void.others,
        layer.modality, void.value,
    )  # fmt: skip


def _warn_of_implausible(stack: Stack, found: Undeclared) -> None:
    """Warn of bands whose values are outside the ranges that are plausible for their modality.

    Whole numbers without a declared scale are in a sensor's own units, so any value is plausible. A layer with voids
    already caused another warning.
    """
    warned_of = {layer.modality for layer, _ in found.voids}
    for layer, bands in stack.slices():
        modality, scaling = MODALITIES[layer.modality], layer.scaling
        is_stored_as_integers = scaling.is_identity and np.issubdtype(layer.dtype, np.integer)
        if not modality.plausible or is_stored_as_integers or layer.modality in warned_of:
            continue
        values = found.pixels[:, bands].T.copy()
        scaling.apply(values)
        statistics = band_statistics(values.T)
        ranges = zip(statistics.low.tolist(), statistics.high.tolist(), strict=True)
        odd = {
            number: (low, high)
            for number, (low, high) in zip(layer.numbers, ranges, strict=True)
            if np.isfinite(low) and not modality.is_plausible(low, high)
        }
        if odd:
            lows, highs = zip(*odd.values(), strict=True)
            logger.warning(
                "%s: band %s has values of about %.4g to %.4g, but %s are plausible; check the unit, the scale and the "
                "nodata value",
                layer.describe(), layer.describe_bands(list(odd)), min(lows), max(highs), modality.describe_plausible(),
            )  # fmt: skip


def _warn_of_negative(stack: Stack, found: Undeclared) -> None:
    """Warn of bands of an optical image that are negative in large parts because of a declared offset."""
    for layer, bands in stack.slices():
        scaling = layer.scaling
        is_grid_only = layer.option is not None
        if is_grid_only or MODALITIES[layer.modality].role is not Role.PASSIVE or not (scaling.offsets < 0).any():
            continue
        values = found.pixels[:, bands].T.copy()
        if found.fill is not None and layer is stack.image:
            values[values == np.float32(found.fill.value)] = np.nan
        scaling.apply(values)
        has_data = np.maximum(np.isfinite(values).sum(axis=1), 1)
        shares = np.where(scaling.offsets < 0, (values < 0).sum(axis=1) / has_data, 0)
        odd = {number: share for number, share in zip(layer.numbers, shares.tolist(), strict=True) if share > NEGATIVE}
        if odd:
            logger.warning(
                "%s: up to %.0f %% of the pixels of band %s are negative with the declared offset, which may have been "
                "applied to the stored values already; if so, remove it from the file, or give offset=0 with a STAC "
                "item",
                layer.describe(), 100 * max(odd.values()), layer.describe_bands(list(odd)),
            )  # fmt: skip


def _warn_of_fill(image: Layer, fill: Fill) -> None:
    """Report how a value that fills the passive image's border is treated."""
    share = f"{100 * fill.share:.1f} % of the pixels"
    found = f"{image.describe()}: {share} hold {fill.value:g} in all bands, on the border too"
    if fill.is_declared_otherwise:
        logger.warning(
            "%s, although the file declares in another way where it has no data; if these pixels have none either, "
            "give `nodata=\"%s:%g\"`", found, image.modality, fill.value,
        )  # fmt: skip
    else:
        logger.warning(
            '%s, and no nodata value is declared; they are treated as no data (`nodata="none"` keeps them)', found
        )


def _read_infos(src_paths: Sequence[str]) -> list[RasterInfo]:
    """Descriptions of the rasters of an image, with warnings of what is doubtful in them."""
    infos = [read_info(name) for path in src_paths for name in rasters_of(path)]
    # NOTE: files of one item may have the same doubts
    for doubt in dict.fromkeys(doubt for info in infos for doubt in info.doubts):
        logger.warning("%s", doubt)
    for note in dict.fromkeys(note for info in infos for note in info.notes):
        logger.info("%s", note)
    return infos


def _choose(layer: Layer, numbers: Sequence[int] | None) -> Layer:
    """The layer with the bands that the user chose, or all of them."""
    if numbers is None:
        return layer
    missing = [number for number in numbers if number > layer.count]
    if missing:
        raise RasterError(f"`bidx` has band {missing[0]} of {layer.describe()}, which has {layer.count}; choose others")
    return replace(layer, numbers=tuple(numbers), is_chosen=True)


def check_reference(info: RasterInfo, name: str) -> None:
    """Refuse a raster whose grid no map can have.

    Raises:
        GeoreferencingError: it is rotated, or its pixels have no position as `check_placed` says.
    """
    check_placed(info, name)
    grid = info.grid
    if grid.is_rotated:
        a, b, _, d, e, _ = grid.transform[:6]
        is_array = copy_at(info.src_path) is not None
        remedy = "array.rio.reproject(array.rio.crs)" if is_array else "gdalwarp -r near IN.tif OUT.tif"
        raise GeoreferencingError(
            f"{name} has a rotated grid (a={a:.6g}, b={b:.6g}, d={d:.6g}, e={e:.6g}), and no map can have it; "
            f"make it north-up first with: {remedy}"
        )


def _check_together(image: RasterInfo, other: RasterInfo, *, names: tuple[str, str]) -> None:
    """Refuse rasters that cannot be co-registered; warn of those that match in part only.

    Args:
        image: the raster whose grid is the map's.
        other: another one.
        names: both, for messages.
    """
    image_name, other_name = names
    check_placed(other, other_name)
    grid, own = image.grid, other.grid
    placed = Placed(other_name, other.src_path, own.crs)
    check_transformable(placed, Placed(image_name, image.src_path, grid.crs))
    if grid.crs is None:
        check_without_crs(grid, own, names=(image_name, other_name))
        return
    covered = share_covered(grid, own)
    if covered == 0:
        raise GeoreferencingError(
            f"{other_name} does not overlap {image_name}: in {crs_name(grid.crs)} it covers "
            f"{describe_bounds(bounds_on(own, grid))}, and the image {describe_bounds(grid.bounds)}; "
            "check the CRS of both, or give an image of the same place"
        )
    if covered < 1:
        logger.log(
            logging.WARNING if covered < MOST_OF_IT else logging.INFO,
            "%s covers %.1f %% of %s; the rest of the map will have no data",
            other_name, 100 * covered, image_name,
        )  # fmt: skip
    warn_of_inaccuracy(placed, grid)
