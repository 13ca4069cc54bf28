"""What a raster or a model file holds, in words and as plain JSON values."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text
from safetensors import SafetensorError, safe_open

from s2fin_cli.core.errors import UsageError
from s2fin_cli.core.files import check_outputs, staged
from s2fin_cli.geo.crs import crs_name
from s2fin_cli.model.file import read_info as read_model_info
from s2fin_cli.model.file import read_item
from s2fin_cli.model.stac import model_item_beside
from s2fin_cli.raster.class_names import read_class_names
from s2fin_cli.raster.info import read_info
from s2fin_cli.raster.scaling import Scaling
from s2fin_cli.stack.fill import find_undeclared
from s2fin_cli.stack.layer import Layer
from s2fin_cli.stack.sampling import sample_pixels
from s2fin_cli.stack.stack import Stack
from s2fin_cli.stack.statistics import band_statistics
from s2fin_cli.workflows.members import input_files

if TYPE_CHECKING:
    from rich.console import Console

    from s2fin_cli.core.options import StrPath


def describe(src_path: StrPath) -> dict[str, Any]:
    """Describe a raster or a model file.

    Returns:
        plain JSON values; `kind` is "raster" or "model". Where a model's `training` says `refitted`, its `validation`
        figures belong to the run before the final training on all labels; `cross_validation` is of the ensemble that
        taught the network, not of the network.

    Raises:
        RasterError: it is neither.
        ModelFileError: it is a model that is damaged.
    """
    path = str(src_path)
    return _describe_model(path) if _is_model(path) else _describe_raster(path)


def write_item(src_path: StrPath, dst_path: StrPath, *, overwrite: bool = False) -> None:
    """Write the STAC item of a model file, with the way to that file, its size and its checksum.

    Raises:
        UsageError: the item's name does not end in .json.
        ModelFileError: it is no model file, or damaged.
        OutputError: the item cannot or must not be written.
    """
    target, model = Path(dst_path), Path(src_path)
    if target.suffix.lower() not in (".json", ".geojson"):
        raise UsageError(f"{target} cannot be written: a STAC item is JSON; give a name that ends in .json")
    check_outputs([target], overwrite=overwrite, inputs=input_files([src_path]))
    item = model_item_beside(read_item(model), model, target.absolute().parent)
    with staged([target], overwrite=overwrite) as (tmp_path,):
        tmp_path.write_text(json.dumps(item, indent=2) + "\n", encoding="utf-8")


def _is_model(src_path: str) -> bool:
    if src_path.endswith(".s2fin"):
        return True
    try:
        with safe_open(src_path, framework="pt"):
            return True
    except (SafetensorError, OSError):
        return False


def _describe_model(src_path: str) -> dict[str, Any]:
    return {"kind": "model", "path": src_path, **read_model_info(src_path).to_dict()}


def _describe_raster(src_path: str) -> dict[str, Any]:
    info = read_info(src_path)
    grid = info.grid
    stack = Stack(Layer.of("raster", [info]))
    pixels = sample_pixels(stack.as_stored())
    undeclared = find_undeclared(stack, pixels)
    fill, voids = undeclared.fill, [void for _, void in undeclared.voids]
    stack.image.scaling.apply(pixels.T)
    # NOTE: a path would fold the slashes of a name like /vsicurl/https://...; such a raster is shown without names.
    names = read_class_names(src_path)
    statistics = band_statistics(pixels)
    bands = [
        {
            "index": index,
            "name": info.band_names[i] or None,
            "wavelength_nm": None if info.wavelengths is None else info.wavelengths[i],
            "scale": info.scales[i],
            "offset": info.offsets[i],
            "valid": round(float((pixels[:, i] == pixels[:, i]).mean()), 4),  # NaN is not equal to itself
            **{
                name: None if values[i] != values[i] else round(float(values[i]), 6)
                for name, values in vars(statistics).items()
            },
        }
        for i, index in enumerate(info.indexes)
    ]
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
        "doubts": list(info.doubts),
        "voids": [{"value": void.value, "share": round(void.share, 4), "bands": list(void.numbers)} for void in voids],
        "mask_bands": list(info.alpha_indexes),
        "bad_bands": list(info.bad_indexes),
        "sampled_pixels": len(pixels),
        "bands": bands,
        "classes": {str(class_id): name for class_id, name in names.items()},
    }


def _plain(nodata: float | None) -> float | str | None:
    """JSON has no NaN and no infinity."""
    return nodata if nodata is None or math.isfinite(nodata) else str(nodata)


def print_description(description: dict[str, Any], console: Console) -> None:
    """Print a description for people."""
    if description["kind"] == "model":
        _print_model(description, console)
    else:
        _print_raster(description, console)


def _print_raster(raster: dict[str, Any], console: Console) -> None:
    left, bottom, right, top = (f"{value:.10g}" for value in raster["bounds"])
    rows = {
        "raster": f"{raster['path']} ({raster['driver']})",
        "size": f"{raster['width']} x {raster['height']} px, {len(raster['bands'])} bands of {raster['dtype']}",
        "CRS": raster["crs"] or "none",
        "pixel size": " x ".join(f"{value:.8g}" for value in raster["res"]),
        "extent": f"x {left} to {right}, y {bottom} to {top}",
        "nodata": "none declared" if raster["nodata"] is None else str(raster["nodata"]),
    }
    if raster["border_fill"] is not None:
        rows["nodata"] += f", but {raster['border_fill']:g} fills the border in all bands"
    scaling = Scaling.of(*([band[key] for band in raster["bands"]] for key in ("scale", "offset")))
    if not scaling.is_identity:
        rows["declared"] = f"{scaling.describe()}; the figures below are stored * scale + offset"
    for void in raster["voids"]:
        where = f"{100 * void['share']:.1f} % of band {', '.join(map(str, void['bands']))}"
        rows["nodata"] += f", but {void['value']:g}, far from all other values, fills {where}"
    for number, doubt in enumerate(raster["doubts"], start=1):
        rows["doubtful" + " " * (number - 1)] = doubt.removeprefix(f"{raster['path']} ")
    if raster["mask_bands"]:
        rows["mask"] = f"band {', '.join(map(str, raster['mask_bands']))} (alpha)"
    if raster["bad_bands"]:
        rows["declared bad"] = f"bands {', '.join(map(str, raster['bad_bands']))}"
    if raster["classes"]:
        rows["classes"] = ", ".join(f"{class_id} {name}" for class_id, name in raster["classes"].items())
    _print_rows(rows, console)
    table = Table("band", "name", "nm", "valid %", "mean", "std", "2 %", "98 %", box=None, header_style="bold")
    for band in raster["bands"]:
        figures = ["-" if band[key] is None else f"{band[key]:.6g}" for key in ("mean", "std", "low", "high")]
        wavelength = "" if band["wavelength_nm"] is None else f"{band['wavelength_nm']:.1f}"
        table.add_row(str(band["index"]), Text(band["name"] or ""), wavelength, f"{100 * band['valid']:.1f}", *figures)
    console.print(table)
    console.print(f"figures from {raster['sampled_pixels']} sampled pixels")


def _print_model(model: dict[str, Any], console: Console) -> None:
    training, architecture = model["training"], model["architecture"]
    images = [f"--{b['modality']} ({len(b['indexes'])} of {b['count']} bands, {b['dtype']})" for b in model["bands"]]
    rows = {
        "model": model["path"],
        "images": ", ".join(images),
        "patch": f"{architecture['patch_size']} x {architecture['patch_size']} px of "
        + " x ".join(f"{value:.8g}" for value in model["res"]),
        "training": f"{training['train_pixels']} pixels, {training['epochs']} epochs, seed {training['seed']}",
        "split": f"{training['split']}, {training['validation_pixels']} pixels held out",
        "versions": ", ".join(f"{name} {version}" for name, version in model["versions"].items()),
    }
    if training["validation"] is not None:
        rows["validation"] = _figures(training["validation"])
        if training.get("refitted"):
            rows["validation"] += ", before the final training on all labels"
    elif training.get("cross_validation") is not None:
        rows["cross-validation"] = _figures(training["cross_validation"]) + ", of the ensemble that taught the network"
    _print_rows(rows, console)
    table = Table("class", "name", "colour", "labelled pixels", box=None, header_style="bold")
    for land_cover in model["classes"]:
        red, green, blue = land_cover["color"]
        swatch = Text("    ", style=f"on rgb({red},{green},{blue})")
        labelled = training["labelled_pixels"].get(land_cover["name"], "")
        table.add_row(str(land_cover["id"]), Text(land_cover["name"]), swatch, str(labelled))
    console.print(table)


_FIGURES = (("OA", "overall_accuracy"), ("AA", "average_accuracy"), ("kappa", "kappa"))


def _figures(accuracy: dict[str, Any]) -> str:
    figures = {name: accuracy[key] for name, key in _FIGURES}
    return ", ".join(f"{name} {value:.3f}" for name, value in figures.items() if value is not None)


def _print_rows(rows: dict[str, str], console: Console) -> None:
    table = Table(box=None, show_header=False)
    for name, value in rows.items():
        table.add_row(Text(name, style="bold"), Text(value))
    console.print(table)
