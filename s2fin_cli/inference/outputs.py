"""The files of one classification, and the STAC item that describes them."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rasterio
import torch

from s2fin_cli.core.classes import map_encoding
from s2fin_cli.core.files import companions
from s2fin_cli.core.formats import by_driver
from s2fin_cli.core.version import __version__
from s2fin_cli.model.file import read_item
from s2fin_cli.model.stac import Written, class_objects, map_item
from s2fin_cli.raster.classmap import check_raster_path
from s2fin_cli.vector.write import check_vector_path

if TYPE_CHECKING:
    from collections.abc import Sequence

    from s2fin_cli.core.classes import LandCoverClass
    from s2fin_cli.core.options import MapOptions, StrPath
    from s2fin_cli.model.info import ModelInfo
    from s2fin_cli.stack.stack import Stack


#: How scaled probabilities are stored: 250 is 1.
SCALED: dict[str, Any] = {"dtype": "uint8", "nodata": 255, "scale": 0.004}


@dataclass(frozen=True)
class Outputs:
    """The files of one classification, None for those that are not asked for."""

    map: Path
    style: Path
    polygons: Path | None
    confidence: Path | None
    probabilities: Path | None
    stac: Path | None

    @classmethod
    def of(cls, options: MapOptions) -> Outputs:
        """The files that options ask for.

        Raises:
            UsageError: a raster is not to be a GeoTIFF, or polygons are to have a format that is not known.
        """
        class_map = Path(options.output)
        check_raster_path(class_map)
        polygons = (_path(options.polygons) or class_map.with_suffix(".gpkg")) if options.vector else None
        if polygons is not None:
            check_vector_path(polygons)
        others = (_path(options.confidence), _path(options.probabilities))
        for path in others:
            if path is not None:
                check_raster_path(path)
        found = cls(class_map, class_map.with_suffix(".qml"), polygons, *others, None)
        return replace(found, stac=found.stac_beside) if options.stac else found

    @property
    def stac_beside(self) -> Path:
        """Where a STAC item of the map lies if there is one."""
        return self.map.with_suffix(".json")

    @property
    def wanted(self) -> list[Path]:
        """The files to write."""
        return [path for path in vars(self).values() if path is not None]

    def at(self, places: Sequence[Path]) -> Outputs:
        """The same files at other places, which are in the order of `wanted`."""
        moved = dict(zip(self.wanted, places, strict=True))
        return replace(self, **{name: moved[path] for name, path in vars(self).items() if path is not None})


def _path(given: StrPath | None) -> Path | None:
    return None if given is None else Path(given)


def write_item(
    outputs: Outputs,
    *,
    written: Outputs,
    stack: Stack,
    info: ModelInfo,
    model_path: Path,
    stride: int,
    options: MapOptions,
) -> None:
    """Write the STAC item of a classification.

    Args:
        outputs: what the files will be called.
        written: where they are now, and where to write the item.
        stack: what was classified.
        info: the model.
        model_path: its file.
        stride: of the classification.
        options: its others.
    """
    assert outputs.stac is not None  # noqa: S101  the caller saw to it
    assert written.stac is not None  # noqa: S101
    made_by = {f"{name} (training)": version for name, version in info.versions.items()}
    item = map_item(
        outputs.stac,
        stack.grid.crop(stack.extent),
        _assets(outputs, written, info.classes, options),
        inputs=[(layer.modality, raster.src_path) for layer in stack.layers for raster in layer.rasters],
        model=(model_path, read_item(model_path)["id"]),
        acquired=stack.image.finest.acquired,
        lineage=f"classified by s2fin with a stride of {stride} pixels, {options.precision}"
        + ", smoothed" * options.smooth
        + (f", with a prior of {', '.join(options.prior)}" if options.prior else ""),
        software={
            "s2fin": __version__, "torch": torch.__version__, "GDAL": rasterio.__gdal_version__, **made_by,
        },
    )  # fmt: skip
    written.stac.write_text(json.dumps(item, indent=2) + "\n", encoding="utf-8")


def _assets(
    outputs: Outputs, written: Outputs, classes: tuple[LandCoverClass, ...], options: MapOptions
) -> dict[str, Written]:
    """The files of a classification, for its STAC item."""
    named = {"classification:classes": class_objects(classes)}
    raster = {"type": by_driver(options.format).media_type}
    stored: dict[str, Any] = {**raster, "data_type": "float32", "nodata": "nan"}
    if options.scaled:
        stored |= {"data_type": SCALED["dtype"], "nodata": SCALED["nodata"], "raster:scale": SCALED["scale"]}
    nodata = map_encoding([c.id for c in classes])[1]
    kinds: dict[str, tuple[str, tuple[str, ...], dict[str, Any]]] = {
        "map": ("Class map", ("data",), {**raster, "nodata": nodata, **named}),
        "style": ("Style for QGIS", ("metadata",), {}),
        "polygons": ("Polygons of the classes", ("data",), named),
        "confidence": ("Probability of each pixel's class", ("data",), stored),
        "probabilities": ("Probabilities of all classes", ("data",), stored),
    }
    found = {}
    for name, (title, roles, fields) in kinds.items():
        path, source = getattr(outputs, name), getattr(written, name)
        if path is not None:
            found[name] = Written(title, roles, path, source, fields)
            found |= _beside(name, title, path, source)
    return found


def _beside(name: str, title: str, path: Path, source: Path) -> dict[str, Written]:
    """What belongs to a file and lies beside it: GDAL's sidecar, and the parts of its dataset."""
    found = {}
    for own, now in zip(companions(path), companions(source), strict=True):
        if now.exists():
            kind = own.name.removeprefix(path.stem).removeprefix(path.suffix)
            found[f"{name}{kind.replace('.', '-')}"] = Written(f"{title}: {kind[1:]}", ("metadata",), own, now, {})
    return found
