"""How QGIS shows the commands and their options: what click does not know of them.

`qgis_plugin.describe` takes all else from click: names, defaults, choices and help. It refuses an option that is not
here, and an entry here that no option has.
"""

from __future__ import annotations

from dataclasses import dataclass

#: Kinds of options that are read from layers, files or folders.
INPUTS = ("raster", "rasters", "vector", "labels", "file", "folder")
#: Kinds that follow from click's own types.
PLAIN = ("bool", "int", "float", "enum", "text", "texts")


@dataclass(frozen=True)
class Command:
    """A command in QGIS's toolbox.

    Attributes:
        title: its name there.
        group: the group that it stands in.
        page: the page of the documentation about it, in docs/how-to/.
        tags: further words to find it by.
    """

    title: str
    group: str
    page: str
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Option:
    """An option in QGIS's dialog.

    Attributes:
        title: its name there.
        kind: one of `INPUTS` or of `OUTPUTS` in `s2fin/commands.py`, "field", "extent" or "distance"; None for one of
            `PLAIN`, which follow from click.
        advanced: whether it stands among the advanced parameters.
        limits: least and greatest number, None for none. They are never narrower than those of the command.
        parents: of a field, the option of the layer that has it; of an extent or a distance, the options of the images
            whose CRS it is in, the first one given.
        geometry: of a vector layer, what its features are: "point", "polygon" or "any".
        files: of a file, what QGIS calls such files, and their suffix: "Models (*.s2fin)".
        made: whether QGIS offers to write an output that need not be written.
        turns_off: of an output, the option of the command for not writing it.
        role: of an output, what it is to `s2fin/results.py`, if not what it is called.
        required: whether it must be given, where QGIS is stricter than the command.
        default: the default, where it is not that of the command.
    """

    title: str
    kind: str | None = None
    advanced: bool = False
    limits: tuple[float | None, float | None] = (None, None)
    parents: tuple[str, ...] = ()
    geometry: str = "any"
    files: str | None = None
    made: bool = False
    turns_off: str | None = None
    role: str | None = None
    required: bool = False
    default: object = None


#: The commands in the toolbox, in the order of their use.
COMMANDS = {
    "train": Command("Train a model", "Mapping", "train", ("classification", "deep learning", "land cover", "labels")),
    "classify": Command("Classify a scene", "Mapping", "classify", ("classification", "land cover", "map", "predict")),
    "suggest": Command("Suggest places to label", "Mapping", "suggest", ("active learning", "labels", "sampling")),
    "report": Command("Report on a map", "Assessment", "report", ("html", "accuracy", "area")),
    "sample": Command("Draw a stratified sample", "Assessment", "assess", ("points", "random", "reference")),
    "evaluate": Command("Assess accuracy", "Assessment", "assess", ("accuracy", "confusion matrix", "kappa", "area")),
    "compare": Command("Compare two maps", "Assessment", "compare", ("change detection", "transitions")),
    "align": Command("Align an image", "Preparation", "align", ("warp", "coregistration", "resample", "grid")),
    "split": Command("Split labels", "Preparation", "measure", ("training", "test", "validation", "labels")),
}

#: Commands that the toolbox does not have, and why.
NOT_IN_QGIS = {
    "convert": "makes GeoTIFFs of MATLAB files, which QGIS does not open",
    "classify-all": "QGIS runs an algorithm on many scenes by its own batch processing",
    "assemble": "puts together what tasks of a job array made, of which QGIS starts none",
    "inspect": "prints what a file holds, which QGIS shows in the properties of a layer",
    "demo": "writes a folder of its own for newcomers to the command line",
    "doctor": "examines an installation, on the command line",
}

#: Options that no dialog has, and why.
NOT_SHOWN = {
    "as_json": "the plugin reads the messages",
    "quiet": "QGIS shows all messages in the log of a run",
    "shard": "makes no map, but a part of one for a job array",
}

_PASSIVE = ("hsi", "msi")
_LIKE = ("like",)
_MODEL_FILES = "s2fin models (*.s2fin)"
_REPORT_FILES = "Reports (*.html *.json *.csv *.md)"
_AT_LEAST_0, _AT_LEAST_1 = (0, None), (1, None)

#: Options by name; where one means another thing in a command, by "command.name".
OPTIONS = {
    # ---- images ------------------------------------------------------------------------------------------------------
    "hsi": Option("Hyperspectral image", "rasters"),
    "msi": Option("Multispectral image", "rasters"),
    "lidar": Option("LiDAR raster", "rasters"),
    "dsm": Option("Surface or terrain heights", "rasters"),
    "sar": Option("SAR image", "rasters"),
    "thermal": Option("Thermal image", "rasters"),
    "like": Option("Image whose grid is taken", "raster"),
    "bidx": Option("Bands to use", advanced=True),
    "nodata": Option("Values without data", advanced=True),
    "bounds": Option("Area of interest (extent)", "extent", parents=_PASSIVE),
    "align.bounds": Option("Area of interest (extent)", "extent", parents=_LIKE),
    "aoi": Option("Area of interest (polygons)", "vector", geometry="polygon"),
    "resampling": Option("Resampling method", advanced=True),
    "coregister": Option("Coregistration", advanced=True),
    "align.coregister": Option("Coregistration"),
    "device": Option("Device", advanced=True),
    # ---- labels ------------------------------------------------------------------------------------------------------
    "labels": Option("Labels", "labels"),
    "label_field": Option("Class field", "field", parents=("labels",)),
    "evaluate.label_field": Option("Class field", "field", parents=("reference",)),
    "report.label_field": Option("Class field of the reference", "field", parents=("reference",)),
    "compare.label_field": Option("Field of the transitions", "field", parents=("reference",)),
    "label_buffer": Option("Buffer around points and lines", "distance", True, (0, None), _PASSIVE),
    "split.label_buffer": Option("Buffer around points and lines", "distance", True, (0, None), _LIKE),
    "classes": Option("Class table", "file", advanced=True, files="Tables (*.csv)"),
    "on_conflict": Option("Where labels of different classes overlap", advanced=True),
    "reference": Option("Reference labels", "labels"),
    "compare.reference": Option("Reference points", "vector", geometry="point"),
    "stratified": Option("The reference is a stratified random sample"),
    # ---- training ----------------------------------------------------------------------------------------------------
    "patch_size": Option("Patch size (side of a window in pixels)", advanced=True, limits=(5, 21)),
    "epochs": Option("Epochs (rounds of training)", advanced=True, limits=_AT_LEAST_1),
    "batch_size": Option("Batch size (windows per step)", advanced=True, limits=_AT_LEAST_1),
    "learning_rate": Option("Learning rate", advanced=True, limits=(0, 1)),
    "labels_per_class": Option("Most training pixels of one class", advanced=True, limits=_AT_LEAST_1),
    "split": Option("How validation pixels are held out", advanced=True),
    "validation": Option("Share of the labels held out for validation", advanced=True, limits=(0, 1)),
    "refit": Option("Train the final model on all labels", advanced=True),
    "seed": Option("Random seed", advanced=True, limits=_AT_LEAST_0),
    "init": Option("Model to start from", "file", files=_MODEL_FILES),
    "train.output": Option("Model", "file_out", files=_MODEL_FILES),
    "train.report": Option("Report on the training", "file_out", files=_REPORT_FILES),
    # ---- maps --------------------------------------------------------------------------------------------------------
    "model": Option("Model", "file", files=_MODEL_FILES, required=True),
    "report.model": Option("Model that made the map", "file", files=_MODEL_FILES),
    "output": Option("Class map", "raster_out", role="map"),
    "polygons": Option("Polygons", "vector_out", geometry="polygon", made=True, turns_off="vector"),
    "compare.polygons": Option(
        "Polygons of the changes", "vector_out", geometry="polygon", made=True, turns_off="vector"
    ),
    "mmu": Option("Minimum mapping unit of the polygons in pixels", limits=_AT_LEAST_1),
    "simplify": Option("Smooth the polygons' borders by", "distance", True, (0, None), _PASSIVE),
    "compare.simplify": Option("Smooth the polygons' borders by", "distance", True, (0, None), ("before",)),
    "classify.confidence": Option("Confidence", "raster_out"),
    "classify.probabilities": Option("Probabilities", "raster_out"),
    "classify.uncertainty": Option("Uncertainty", "raster_out"),
    "classify.report": Option("Report", "file_out", files=_REPORT_FILES),
    "scaled": Option("Store confidence and probabilities as bytes", advanced=True),
    "stac": Option("Write a STAC item beside the map", advanced=True),
    "format": Option("Raster format", advanced=True),
    "co": Option("Creation options of the rasters", advanced=True),
    "stride": Option("Pixels from one window to the next", advanced=True, limits=_AT_LEAST_1),
    "smooth": Option("Smooth the map"),
    "prior": Option("Class priors (known shares of the area)", advanced=True),
    "precision": Option("Precision", advanced=True),
    "on_read_error": Option("Where an image cannot be read", advanced=True),
    "tile_size": Option("Side of a tile in pixels", advanced=True, limits=(16, None)),
    "work": Option("Folder that keeps finished shards", "folder", advanced=True),
    "workers": Option("Processes that make shards", advanced=True, limits=_AT_LEAST_1),
    "scheduler": Option("Address of a Dask cluster", advanced=True),
    "shard_size": Option("Side of a shard in pixels", advanced=True, limits=(16, None)),
    "mixed": Option("Combine shards of different machines", advanced=True),
    # ---- assessment --------------------------------------------------------------------------------------------------
    "map": Option("Class map", "raster"),
    "evaluate.output": Option("Report", "file_out", files=_REPORT_FILES, made=True),
    "report.output": Option("Report", "file_out", files=_REPORT_FILES),
    "report.confidence": Option("Confidence", "raster"),
    "report.uncertainty": Option("Uncertainty", "raster"),
    "suggestions": Option("Suggested places", "vector", geometry="point"),
    "sample.output": Option("Points", "vector_out", geometry="point", role="sample"),
    "size": Option("Number of points", limits=_AT_LEAST_1),
    "least": Option("Fewest points per class", limits=_AT_LEAST_1),
    "before": Option("Map of the earlier date", "raster"),
    "after": Option("Map of the later date", "raster"),
    "compare.output": Option("Change map", "raster_out", made=True, role="change"),
    "compare.report": Option("Report", "file_out", files="Reports (*.json *.csv *.md)"),
    # ---- suggestions, images, splits ---------------------------------------------------------------------------------
    "suggest.probabilities": Option("Probabilities of the map", "raster", advanced=True),
    "suggest.output": Option("Places to label", "vector_out", geometry="point", role="suggestions"),
    "number": Option("Number of places", limits=_AT_LEAST_1),
    "distance": Option("Fewest pixels between places", limits=(1, 1e6)),
    "align.output": Option("Aligned image", "raster_out", role="aligned"),
    "train": Option("Training labels", "raster_out"),
    "test": Option("Test labels", "raster_out"),
    "picture": Option("Picture of both", "file_out", files="Pictures (*.png)"),
    "method": Option("What is kept together"),
    "share": Option("Share of the test pixels", limits=(0, 1)),
    "split.distance": Option("Fewest pixels from training to test pixels", limits=_AT_LEAST_0),
    # ---- runs --------------------------------------------------------------------------------------------------------
    # QGIS asks before it replaces a file; points in which somebody filled in classes need more than that
    "overwrite": Option("Replace existing outputs", default=True),
    "sample.overwrite": Option("Replace existing points"),
    "suggest.overwrite": Option("Replace existing points"),
    "verbose": Option("Show details", advanced=True),
}

#: What the texts of the command line say that is different in QGIS; an empty text is left out.
WORDS = {
    "If an image is in several files, repeat its option.": "If an image is in several files, choose all of "
    "them, in the order of their bands.",
    "if it is in several files, repeat its option.": "if it is in several files, choose all of them.",
    " An image may also be assets of a STAC item: item.json#assets=red,nir.": "",
    "; repeat it for several files": "",
    "; repeat it for each class that you know, with 0 to exclude one": ", one class a line, with 0 to exclude one",
    "; or s3://bucket/map.tif": "",
    " [default: ./model.s2fin, else $S2FIN_MODEL]": "",
    " [default: beside the map, .gpkg]": "",
    " [default: beside the change map, .gpkg]": "",
    "(--hsi, else --msi)": "(the hyperspectral one, else the multispectral one)",
    "besides --like": "besides the one whose grid is taken",
    "With --coregister shift, its offset from --like is measured and, where the measurement is reliable, corrected; "
    "--json shows what was measured in which window.": "With coregistration by shift, its offset from the other is "
    "measured and, where the measurement is reliable, corrected.",
    "in the CRS of --like": "in any CRS",
    "in the CRS of the passive image": "in any CRS",
    "onto the grid of --like": "onto the grid of the other",
    "from --like": "from the other",
    "it needs --work on a disk": "it needs the folder of shards on a disk",
    "Probabilities that s2fin classify --probabilities wrote": "Probabilities that “Classify a scene” wrote",
    "s2fin evaluate --stratified estimates": "“Assess accuracy” estimates",
    "as s2fin sample draws it": "as “Draw a stratified sample” draws it",
    "s2fin sample": "“Draw a stratified sample”",
    "s2fin suggest": "“Suggest places to label”",
    "s2fin classify": "“Classify a scene”",
    "give the file to s2fin train as a further --labels": "train again with them as further labels",
    "give them as --reference": "give them as reference points",
}
