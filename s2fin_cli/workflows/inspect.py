"""Descriptions of rasters, vector files, model files and STAC files, as plain JSON values."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open

from s2fin_cli.core.errors import GeoreferencingError, InputError, UsageError
from s2fin_cli.core.figures import known
from s2fin_cli.core.files import check_outputs, staged
from s2fin_cli.core.formats import VECTOR_OUTPUT_SUFFIXES, VECTOR_SUFFIXES
from s2fin_cli.core.names import is_dataset_name
from s2fin_cli.core.run_record import RunRecord
from s2fin_cli.geo.crs import crs_name
from s2fin_cli.model.file import read_info as read_model_info
from s2fin_cli.model.file import read_item, read_parts
from s2fin_cli.model.model_item import model_item_beside
from s2fin_cli.model.stac import write_item_file
from s2fin_cli.raster.class_names import read_class_names
from s2fin_cli.raster.info import read_info
from s2fin_cli.stac.reference import find_reference
from s2fin_cli.stack.assembly import check_reference
from s2fin_cli.stack.fill import find_undeclared
from s2fin_cli.stack.layer import Layer
from s2fin_cli.stack.sampling import sample_pixels
from s2fin_cli.stack.stack import Stack
from s2fin_cli.stack.statistics import band_statistics
from s2fin_cli.stack.useless import useless_bands
from s2fin_cli.vector.description import describe_vector
from s2fin_cli.vector.layers import is_vector
from s2fin_cli.workflows.input_files import input_files
from s2fin_cli.workflows.inspect_stac import describe_stac

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from s2fin_cli.core.options import StrPath
    from s2fin_cli.raster.raster_info import RasterInfo
    from s2fin_cli.stack.statistics import BandStatistics
    from s2fin_cli.workflows.options.inspect import InspectOptions


@dataclass(frozen=True)
class InspectResult:
    """The result of an inspection.

    Attributes:
        description: plain JSON values, see `describe`.
        stac: path of the STAC item, if one was requested.
    """

    description: dict[str, Any]
    stac: Path | None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values for scripts."""
        return self.description


def run(options: InspectOptions) -> InspectResult:
    """Describe a raster, a vector file, a model file or a STAC file, and write a model's STAC item if requested.

    Args:
        options: the options.

    Raises:
        S2finError: the file cannot be described, or the item cannot be written.
    """
    stac = None if options.stac is None else Path(options.stac)
    if stac is not None:
        _write_item(options.src, stac, overwrite=options.overwrite)
    return InspectResult(describe(options.src), stac)


def describe(src_path: StrPath) -> dict[str, Any]:
    """Describe a raster, a vector file, a model file or a STAC file.

    Returns:
        plain JSON values; `kind` is "raster", "vector", "model" or "stac", see `describe_stac`. Where a model's
        `training` says `refitted`, its `validation` figures belong to the run before the final training on all labels;
        `cross_validation` is of the ensemble that taught the network, not of the network. `reference` says what a
        model keeps of its training data for `uncertainty`; None in a model of an earlier version.

    Raises:
        RasterError: it is none of them.
        InputError: it is a vector file or a STAC file that cannot be read.
        ModelFileError: it is a model that is damaged.
    """
    path = str(src_path)
    if (stac := find_reference(path)) is not None:
        return describe_stac(stac, _describe_raster)
    if _is_model(path):
        _, info, reference = read_parts(path)
        kept = None if reference is None else reference.to_dict()
        return {"kind": "model", "path": path, **info.to_dict(), "reference": kept}
    if (is_dataset_name(path) or os.path.exists(path)) and is_vector(path):
        try:
            return describe_vector(path)
        except InputError:
            if Path(path).suffix.lower() in (*VECTOR_SUFFIXES, *VECTOR_OUTPUT_SUFFIXES):
                raise
    return _describe_raster(path)  # which refuses what is neither


def _write_item(src_path: StrPath, dst_path: Path, *, overwrite: bool) -> None:
    """Write the STAC item of a model file, with the path to that file, its size and its checksum.

    Raises:
        UsageError: the item's name does not end in .json.
        ModelFileError: it is no model file, or damaged.
        OutputError: the item cannot or must not be written.
    """
    model = Path(src_path)
    if dst_path.suffix.lower() not in (".json", ".geojson"):
        raise UsageError(f"{dst_path} cannot be written: a STAC item is JSON; give a name that ends in .json")
    check_outputs([dst_path], overwrite=overwrite, inputs=input_files([src_path]))
    run = (read_model_info(model).findings or {}).get("run")
    starts = [] if run is None else RunRecord.from_dict(run).paths_of("init")
    item = model_item_beside(
        read_item(model), model, folder=dst_path.absolute().parent, start_path=next(iter(starts), None)
    )
    with staged([dst_path], overwrite=overwrite) as (tmp_path,):
        write_item_file(tmp_path, item)


def _is_model(src_path: str) -> bool:
    if src_path.endswith(".s2fin"):
        return True
    try:
        with safe_open(src_path, framework="pt"):
            return True
    except (SafetensorError, OSError):
        return False


def _describe_raster(src_path: str) -> dict[str, Any]:
    info = read_info(src_path)
    grid = info.grid
    stack = Stack(Layer.of("raster", [info]))
    pixels = sample_pixels(stack.as_stored())
    undeclared = find_undeclared(stack, pixels)
    fill, voids = undeclared.fill, [void for _, void in undeclared.voids]
    stack.image.scaling.apply(pixels.T)
    statistics = band_statistics(pixels)
    # NOTE: a path would fold the slashes of a name like /vsicurl/https://...; such a raster is shown without names.
    names = read_class_names(src_path)
    return {
        "kind": "raster",
        "path": src_path,
        "driver": info.driver,
        "width": grid.width,
        "height": grid.height,
        "crs": None if grid.crs is None else crs_name(grid.crs),
        "transform": list(grid.transform[:6]),
        "res": list(grid.res),
        "bounds": list(grid.bounds),
        "dtype": info.dtype,
        "nodata": _plain(info.nodata),
        "border_fill": None if fill is None else fill.value,
        "doubts": [*info.doubts, *_doubts(stack.image, statistics)],
        "notes": list(info.notes),
        "voids": [{"value": void.value, "share": round(void.share, 4), "bands": list(void.numbers)} for void in voids],
        "mask_bands": list(info.alpha_indexes),
        "bad_bands": list(info.bad_indexes),
        "sampled_pixels": len(pixels),
        "bands": _describe_bands(info, pixels, statistics),
        "classes": {str(class_id): name for class_id, name in names.items()},
    }


def _doubts(layer: Layer, statistics: BandStatistics) -> Iterator[str]:
    """What training and classification refuse or skip of a raster, besides what its header says."""
    (info,) = layer.rasters
    try:
        check_reference(info, info.src_path)
    except GeoreferencingError as error:
        yield str(error)
    for reason, numbers in useless_bands(layer, statistics).items():
        yield f"{info.src_path} has bands {reason}: {layer.describe_bands(numbers)}"


def _describe_bands(info: RasterInfo, pixels: NDArray[np.float32], statistics: BandStatistics) -> list[dict[str, Any]]:
    """The data bands of a raster, with statistics of sampled pixels (n, bands)."""
    return [
        {
            "index": index,
            "name": info.band_names[i] or None,
            "wavelength_nm": None if info.wavelengths is None else info.wavelengths[i],
            "scale": info.scales[i],
            "offset": info.offsets[i],
            "valid": round(float((pixels[:, i] == pixels[:, i]).mean()), 4),  # NaN is not equal to itself
            **{name: known(round(float(values[i]), 6)) for name, values in vars(statistics).items()},
        }
        for i, index in enumerate(info.indexes)
    ]


def _plain(nodata: float | None) -> float | str | None:
    """JSON has no NaN and no infinity."""
    return nodata if nodata is None or math.isfinite(nodata) else str(nodata)
