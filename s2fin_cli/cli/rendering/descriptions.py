"""Descriptions of rasters, vector files and models as tables on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from s2fin_cli.cli.commands.train import train
from s2fin_cli.cli.messages import with_flags
from s2fin_cli.cli.rendering.stac import print_stac
from s2fin_cli.core.errors import describe_bounds
from s2fin_cli.core.run_record import RunRecord
from s2fin_cli.raster.scaling import Scaling

if TYPE_CHECKING:
    from rich.console import Console

#: Figures of an accuracy, with the labels under which they are shown.
_FIGURES = (("OA", "overall_accuracy"), ("AA", "average_accuracy"), ("kappa", "kappa"))
#: Layer of a GeoPackage in which QGIS keeps its styles.
STYLES_LAYER = "layer_styles"
#: Types of fields by how numpy's or Arrow's name of them begins.
_TYPES = {
    "object": "text",
    "str": "text",
    "large_string": "text",
    "int": "whole number",
    "uint": "whole number",
    "float": "number",
    "double": "number",
    "decimal": "number",
    "bool": "true or false",
    "date": "date",
    "timestamp": "date",
}


def print_description(description: dict[str, Any], console: Console) -> None:
    """Print a description, as `workflows.inspect.describe` gives it.

    Args:
        description: what to print.
        console: where to.
    """
    _PRINTERS[description["kind"]](description, console)


def _print_raster(raster: dict[str, Any], console: Console) -> None:
    rows = {
        "raster": f"{raster['path']} ({raster['driver']})",
        "size": f"{raster['width']} x {raster['height']} px, {_bands(raster)} of {raster['dtype']}",
        "CRS": raster["crs"] or "none",
        "pixel size": " x ".join(f"{value:.8g}" for value in raster["res"]),
        "extent": describe_bounds(raster["bounds"]),
        "nodata": _nodata(raster),
        **_scaling(raster["bands"]),
        **_oddities(raster),
    }
    _print_rows(rows, console)
    has_wavelengths = any(band["wavelength_nm"] is not None for band in raster["bands"])
    known = ["band", "name", *["nm"] * has_wavelengths]
    table = Table(*known, "valid %", "mean", "std", "2 %", "98 %", box=None, header_style="bold")
    for band in raster["bands"]:
        figures = ["-" if band[key] is None else f"{band[key]:.6g}" for key in ("mean", "std", "low", "high")]
        wavelength = "-" if band["wavelength_nm"] is None else f"{band['wavelength_nm']:.1f}"
        named: list[str | Text] = [str(band["index"]), Text(band["name"] or ""), *[wavelength] * has_wavelengths]
        table.add_row(*named, f"{100 * band['valid']:.1f}", *figures)
    console.print(table)
    console.print(f"figures from {raster['sampled_pixels']} sampled pixels")


def _bands(raster: dict[str, Any]) -> str:
    count = len(raster["bands"])
    return f"{count} band" if count == 1 else f"{count} bands"


def _nodata(raster: dict[str, Any]) -> str:
    """Declared nodata values, and values that may stand for no data."""
    value = raster["nodata"]
    if isinstance(value, float) and "int" in raster["dtype"] and value.is_integer():
        value = int(value)
    text = "none declared" if value is None else str(value)
    if raster["border_fill"] is not None:
        text += f"; {raster['border_fill']:g} fills the border in all bands"
    for void in raster["voids"]:
        where = f"{100 * void['share']:.1f} % of band {', '.join(map(str, void['bands']))}"
        text += f"; {void['value']:g}, far from all other values, fills {where}"
    return text


def _scaling(bands: list[dict[str, Any]]) -> dict[str, str]:
    """The declared scales and offsets, where there are any."""
    scaling = Scaling.of(*([band[key] for band in bands] for key in ("scale", "offset")))
    if scaling.is_identity:
        return {}
    return {"declared": f"{scaling.describe()}; the figures below are stored * scale + offset"}


def _oddities(raster: dict[str, Any]) -> dict[str, str]:
    """Properties that only some rasters have."""
    # doubts name options of the commands that use a raster, which inspect itself does not have
    rows = {
        "doubtful" + " " * number: with_flags(doubt.removeprefix(f"{raster['path']} "), train.params)
        for number, doubt in enumerate(raster["doubts"])
    }
    rows |= {f"note{' ' * number}": note for number, note in enumerate(raster["notes"])}
    if raster["mask_bands"]:
        rows["mask"] = f"band {', '.join(map(str, raster['mask_bands']))} (alpha)"
    if raster["classes"]:
        rows["classes"] = ", ".join(f"{class_id} {name}" for class_id, name in raster["classes"].items())
    return rows


def _print_vector(vector: dict[str, Any], console: Console) -> None:
    console.print(Text.assemble(("vector file  ", "bold"), f"{vector['path']} ({vector['driver']})"))
    for layer in vector["layers"]:
        if layer["name"] == STYLES_LAYER:
            continue
        fields = ", ".join(f"{field['name']} ({_type_in_words(field['type'])})" for field in layer["fields"])
        rows = {
            "layer": layer["name"],
            "features": f"{layer['features']}, {layer['geometry'] or 'without geometries'}",
            "CRS": layer["crs"] or "none",
            "extent": "unknown" if layer["bounds"] is None else describe_bounds(layer["bounds"]),
            "fields": fields or "none",
        }
        console.print()
        _print_rows(rows, console)


def _course(training: dict[str, Any]) -> str:
    """On how many pixels and for how long a model was trained."""
    pixels, epochs = training["train_pixels"], training["epochs"]
    if training.get("refitted"):
        more = training.get("refit_epochs")
        on_all = "trained on all labels" + (f" for {more} more" if more else "")
        return f"validated after {epochs} epochs on {pixels} pixels, then {on_all}"
    return f"{pixels} pixels, {epochs} epochs"


def _type_in_words(kind: str) -> str:
    """The type of a field, which is given as numpy's or Arrow's name of it."""
    return next((words for start, words in _TYPES.items() if kind.lower().startswith(start)), kind)


def _print_model(model: dict[str, Any], console: Console) -> None:
    training, architecture = model["training"], model["architecture"]
    images = [f"--{b['modality']} ({len(b['indexes'])} of {b['count']} bands, {b['dtype']})" for b in model["bands"]]
    rows = {
        "model": model["path"],
        "images": ", ".join(images),
        "patch": f"{architecture['patch_size']} x {architecture['patch_size']} px of "
        + " x ".join(f"{value:.8g}" for value in model["res"]),
        **_label_files(model),
        "training": f"{_course(training)}, seed {training['seed']}",
        **_start(training),
        "split": f"{training['split']}, {training['validation_pixels']} pixels held out",
        "uncertainty": _reference(model["reference"]),
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


def _start(training: dict[str, Any]) -> dict[str, str]:
    """The model that training started from, if it did."""
    start = training.get("started_from")
    return {} if start is None else {"started from": f"{start['file']} ({start['model']})"}


def _reference(reference: dict[str, Any] | None) -> str:
    """What a model can tell of how unlike its training data pixels are."""
    if reference is None:
        return "no reference pixels; train again to use --uncertainty"
    return f"{reference['pixels']} reference pixels, dissimilarity index up to {reference['threshold']:.3g} is inside"


def _label_files(model: dict[str, Any]) -> dict[str, str]:
    """The label files, if the model holds the record of its run."""
    run = (model.get("findings") or {}).get("run")
    paths = [] if run is None else RunRecord.from_dict(run).paths_of("labels")
    return {"labels": ", ".join(paths)} if paths else {}


def _figures(accuracy: dict[str, Any]) -> str:
    figures = {name: accuracy[key] for name, key in _FIGURES}
    return ", ".join(f"{name} {value:.3f}" for name, value in figures.items() if value is not None)


def _print_rows(rows: dict[str, str], console: Console) -> None:
    table = Table(box=None, show_header=False)
    for name, value in rows.items():
        table.add_row(Text(name, style="bold"), Text(value))
    console.print(table)


def _print_stac(stac: dict[str, Any], console: Console) -> None:
    print_stac(stac, console, _print_raster)


_PRINTERS = {"raster": _print_raster, "vector": _print_vector, "model": _print_model, "stac": _print_stac}
