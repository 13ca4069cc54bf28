"""The description of a model: everything but its weights."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

from rasterio.crs import CRS

from s2fin import S2FinConfig
from s2fin_cli.core.classes import LandCoverClass
from s2fin_cli.labels.sketch import LabelSketch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from s2fin_cli.geo.grid import Grid

#: Key of a model's training under which the pixels of its labels are, as `LabelSketch.to_dict` gives them.
LABEL_SKETCH = "label_sketch"
#: Key of a model's training under which the model is that it started from, if it did: name of the "file"; "model", the
#: id of its STAC item; whose "statistics" standardise the scene ("model" or "scene"); "labels_right", the share of the
#: labels at which it had the right class; and "learnt_from", sketches of the labels that it and the models before it
#: learnt from, each with the WKT of its "crs".
STARTED_FROM = "started_from"


@dataclass(frozen=True)
class BandSet:
    """The bands of one modality that a model was trained on.

    Attributes:
        modality: a name in `s2fin_cli.core.modality.MODALITIES`.
        count: data bands in the training raster.
        indexes: 1-based numbers, among the data bands, of those in use.
        dtype: the training raster's data type.
        band_names: descriptions of the bands in use, empty where there is none.
        wavelengths: centre wavelengths in nm of the bands in use, or None.
        mean, std, low, high: mean, standard deviation, 2nd and 98th percentile of each band in use.
        scales, offsets: declared for the bands in use; the values are what was stored times the scale, plus the offset.
        colors: colours that the bands in use are marked as, empty for none.
    """

    modality: str
    count: int
    indexes: tuple[int, ...]
    dtype: str
    band_names: tuple[str, ...]
    wavelengths: tuple[float, ...] | None
    mean: tuple[float, ...]
    std: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    scales: tuple[float, ...]
    offsets: tuple[float, ...]
    colors: tuple[str, ...]

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Build from what `dataclasses.asdict` and JSON made of it."""
        fields: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in values.items()}
        return cls(**fields)


@dataclass(frozen=True)
class ModelInfo:
    """The description of a model: everything but its weights.

    Attributes:
        architecture: configuration of the network, as `S2FinConfig.to_dict` gives it.
        bands: the modalities it was trained on, the passive image first.
        classes: its classes, in the order of the logits.
        training: how it was trained and validated, plain JSON values.
        crs: WKT of the training grid's CRS, or None.
        res: pixel width and height of the training grid in CRS units.
        footprint: outline of the training grid, GeoJSON in longitude and latitude, or None where it has no CRS.
        versions: versions of s2fin and torch.
        findings: what a report shows of the training besides that, plain JSON values as `training/description.py` makes
            them; None in a model that was written without.
    """

    architecture: dict[str, Any]
    bands: tuple[BandSet, ...]
    classes: tuple[LandCoverClass, ...]
    training: dict[str, Any]
    crs: str | None
    res: tuple[float, float]
    footprint: dict[str, Any] | None
    versions: dict[str, str]
    findings: dict[str, Any] | None = None

    @property
    def patch_size(self) -> int:
        """Pixels a side of the window that is classified."""
        return int(self.architecture["patch_size"])

    @property
    def input_size(self) -> int:
        """Pixels a side of the surroundings that the network sees."""
        return S2FinConfig.from_dict(self.architecture).input_size

    @property
    def learnt_from(self) -> list[dict[str, Any]]:
        """Sketches of the labels that it and the models that it started from learnt from, see `STARTED_FROM`."""
        earlier = (self.training.get(STARTED_FROM) or {}).get("learnt_from", [])
        own = self.training.get(LABEL_SKETCH)  # None in a model of an earlier version
        return [*earlier, *([] if own is None else [{"sketch": own, "crs": self.crs}])]

    def label_sketch(self, grid: Grid) -> LabelSketch | None:
        """The sketch of the labels that it was trained on; None if they cannot be at the same places on a grid."""
        values = self.training.get(LABEL_SKETCH)
        return None if values is None else _sketch_on(grid, values, self.crs)

    def label_sketches(self, grid: Grid) -> list[LabelSketch]:
        """Those of `learnt_from` that may be at the same places on a grid."""
        found = [_sketch_on(grid, part["sketch"], part["crs"]) for part in self.learnt_from]
        return [sketch for sketch in found if sketch is not None]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Build from what `to_dict` gave.

        Raises:
            KeyError, TypeError: something is missing or unknown.
        """
        return cls(
            architecture=dict(values["architecture"]),
            bands=tuple(BandSet.from_dict(bands) for bands in values["bands"]),
            classes=tuple(LandCoverClass(c["id"], c["name"], tuple(c["color"])) for c in values["classes"]),
            training=dict(values["training"]),
            crs=values["crs"],
            res=(values["res"][0], values["res"][1]),
            footprint=values["footprint"],
            versions=dict(values["versions"]),
            findings=None if values.get("findings") is None else dict(values["findings"]),
        )


def _sketch_on(grid: Grid, values: Mapping[str, Any], crs: str | None) -> LabelSketch | None:
    """A sketch of labels in a CRS; None if they cannot be at the same places on a grid."""
    sketch = LabelSketch.from_dict(values)
    return sketch if sketch.may_hold(grid, None if crs is None else CRS.from_wkt(crs)) else None
