"""The STAC item that describes the files of one classification."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import rasterio
import torch

from s2fin_cli.core.classes import map_encoding
from s2fin_cli.core.formats import by_driver
from s2fin_cli.core.sidecars import written_beside
from s2fin_cli.core.version import __version__
from s2fin_cli.inference.uncertainty import BANDS as UNCERTAINTY
from s2fin_cli.model.file import read_item
from s2fin_cli.model.map_item import Provenance, Written, map_item
from s2fin_cli.model.stac import ITEM_MEDIA_TYPE, class_objects, write_item_file
from s2fin_cli.stac.images import tiles_of
from s2fin_cli.workflows.classify_outputs import SCALED

if TYPE_CHECKING:
    from pathlib import Path

    from s2fin_cli.workflows.classify_job import ClassifyJob
    from s2fin_cli.workflows.classify_outputs import Outputs


def write_item(job: ClassifyJob, written: Outputs) -> None:
    """Write the STAC item of a classification.

    Args:
        job: the job.
        written: the temporary paths of its files and of the item.
    """
    assert job.outputs.stac is not None  # noqa: S101  the caller saw to it
    assert written.stac is not None  # noqa: S101
    options = job.options
    made_by = {f"{name} (training)": version for name, version in job.info.versions.items()}
    item = map_item(
        job.outputs.stac,
        job.stack.grid.crop(job.stack.extent),
        files=_assets(job, written),
        provenance=Provenance(
            inputs=_inputs(job),
            model_path=job.model_path,
            model_id=read_item(job.model_path)["id"],
            acquired=job.stack.image.finest.acquired,
            lineage=f"classified by s2fin with a stride of {job.stride} pixels, {options.precision}"
            + ", smoothed" * options.smooth
            + (f", with a prior of {', '.join(options.prior)}" if options.prior else ""),
            software={
                "s2fin": __version__, "torch": torch.__version__, "GDAL": rasterio.__gdal_version__, **made_by,
            },
        ),
    )  # fmt: skip
    write_item_file(written.stac, item)


def _inputs(job: ClassifyJob) -> list[tuple[dict[str, str], str]]:
    """What a map was made from, as links: files, and STAC items by their own URL where they have one."""
    found: list[tuple[dict[str, str], str]] = []
    for modality, path in [(layer.modality, raster.src_path) for layer in job.stack.layers for raster in layer.rasters]:
        items = [tile.item for tile in tiles_of(path)]
        found += [
            ({"title": f"{modality}: item {item.id}", "type": ITEM_MEDIA_TYPE}, item.url or item.place)
            for item in items
        ] or [({"title": modality}, path)]
    return [link for number, link in enumerate(found) if link not in found[:number]]


def _assets(job: ClassifyJob, written: Outputs) -> dict[str, Written]:
    """The files of a classification, for its STAC item."""
    outputs, options, classes = job.outputs, job.options, job.info.classes
    named = {"classification:classes": class_objects(classes)}
    raster = {"type": by_driver(options.format).media_type}
    floats: dict[str, Any] = {**raster, "data_type": "float32", "nodata": "nan"}
    stored = dict(floats)
    if options.scaled:
        stored |= {"data_type": SCALED.dtype, "nodata": SCALED.nodata, "raster:scale": SCALED.scale}
    nodata = map_encoding(job.class_ids)[1]
    kinds: dict[str, tuple[str, tuple[str, ...], dict[str, Any]]] = {
        "map": ("Class map", ("data",), {**raster, "nodata": nodata, **named}),
        "style": ("Style for QGIS", ("metadata",), {}),
        "polygons": ("Polygons of the classes", ("data",), named),
        "confidence": ("Probability of each pixel's class", ("data",), stored),
        "probabilities": ("Probabilities of all classes", ("data",), stored),
        "uncertainty": (f"Uncertainty of each pixel's class: {', '.join(UNCERTAINTY)}", ("data",), floats),
    }
    found = {}
    for name, (title, roles, fields) in kinds.items():
        path, source = getattr(outputs, name), getattr(written, name)
        if path is not None:
            found[name] = Written(title, roles, path, source, fields)
            found |= _beside(name, title, path, source)
    return found


def _beside(name: str, title: str, path: Path, source: Path) -> dict[str, Written]:
    """The files that belong to a file and are beside it: GDAL's sidecar, and the other parts of its dataset."""
    found = {}
    for own, now in zip(written_beside(path), written_beside(source), strict=True):
        if now.exists():
            kind = own.name.removeprefix(path.stem).removeprefix(path.suffix)
            found[f"{name}{kind.replace('.', '-')}"] = Written(f"{title}: {kind[1:]}", ("metadata",), own, now, {})
    return found
