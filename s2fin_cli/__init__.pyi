"""s2fin: land-cover maps from two co-located rasters and a few labels.

Each command of the command line is a function of the same name here, with the same options and defaults.
"""

# Written by `python -m tests.stub` from s2fin_cli/workflows/functions.py; do not edit.

from collections.abc import Sequence

from xarray import Dataset

from s2fin_cli.core.options import StrPath
from s2fin_cli.core.progress import Progress, Stop
from s2fin_cli.workflows.align import AlignResult
from s2fin_cli.workflows.assemble import AssembleResult
from s2fin_cli.workflows.classify import ClassifyResult
from s2fin_cli.workflows.classify_all import ClassifyAllResult
from s2fin_cli.workflows.compare import CompareResult
from s2fin_cli.workflows.convert import ConvertResult
from s2fin_cli.workflows.demo import DemoResult
from s2fin_cli.workflows.doctor import DoctorResult
from s2fin_cli.workflows.evaluate import EvaluateResult
from s2fin_cli.workflows.in_memory import Features, Image, Labels
from s2fin_cli.workflows.inspect import InspectResult
from s2fin_cli.workflows.report import ReportResult
from s2fin_cli.workflows.sample import SampleResult
from s2fin_cli.workflows.split import SplitResult
from s2fin_cli.workflows.suggest import SuggestResult
from s2fin_cli.workflows.train import TrainResult

__all__ = [
    "__version__",
    "align",
    "assemble",
    "classify",
    "classify_all",
    "compare",
    "convert",
    "demo",
    "doctor",
    "evaluate",
    "inspect",
    "predict",
    "report",
    "sample",
    "split",
    "suggest",
    "train",
]

__version__: str

def align(
    *,
    hsi: Image | Sequence[Image] | None = None,
    msi: Image | Sequence[Image] | None = None,
    lidar: Image | Sequence[Image] | None = None,
    dsm: Image | Sequence[Image] | None = None,
    sar: Image | Sequence[Image] | None = None,
    thermal: Image | Sequence[Image] | None = None,
    bidx: Sequence[str] = (),
    nodata: float | str | Sequence[float | str] | None = (),
    bounds: Sequence[float] | None = None,
    aoi: Features | None = None,
    resampling: str | None = None,
    coregister: str = "off",
    device: str = "auto",
    like: Image,
    output: StrPath,
    overwrite: bool = False,
    progress: Progress | None = None,
    stop: Stop | None = None,
) -> AlignResult:
    """Warp an image onto the grid of another and write it.

    Images may be an `xarray.DataArray` instead of a path, features a `geopandas.GeoDataFrame`, labels either.

    Args:
        hsi: hyperspectral image; the passive image, whose grid (that of its finest file) becomes the map's. Each image
            is a path, or a sequence of paths whose bands are stacked.
        msi: multispectral image; the passive image if there is no `hsi`, else part of the second image.
        lidar: LiDAR raster, e.g. heights above ground; part of the second image.
        dsm: surface or terrain heights; part of the second image.
        sar: SAR image; part of the second image.
        thermal: thermal infrared image; part of the second image.
        bidx: bands to use, each "[MODALITY:]BANDS", e.g. "1..5,8" or "lidar:1"; without a modality, of the passive
            image. Bands are numbered from 1 through all files of a modality.
        nodata: stored values that stand for no data, besides those that the files declare, each "[MODALITY:]VALUE".
            Without a modality, of the passive image, where all bands must hold it; of another image, of each band by
            itself. "none" for no such value. If none is given or declared for the passive image, s2fin looks for a
            value that fills its border.
        bounds: area of interest: left, bottom, right and top in the passive image's CRS.
        aoi: area of interest: a vector file of polygons, clipped to `bounds` if both are given. A pixel is inside if
            its centre is.
        resampling: how the second image is warped onto the passive image's grid, one of nearest, bilinear, cubic,
            cubic_spline, lanczos, average, mode, med, q1, q3 or rms; None averages much finer rasters and interpolates
            others bilinearly.
        coregister: "shift" measures the offset of the other images from the passive one, and shifts those where the
            measurement is reliable; "off" trusts the georeferencing.
        device: "cpu", "cuda", or "auto", which uses CUDA if it is available.
        like: image whose grid the other gets; it takes the place of `hsi`.
        output: aligned image to write, a GeoTIFF.
        overwrite: whether an existing `output` may be replaced.
        progress: called as the work advances, see `s2fin_cli.core.progress.Progress`.
        stop: ends the work at its next step once it is set, see `s2fin_cli.core.progress.Stop`.

    Returns:
        where the aligned image is, and what offset was measured.

    Raises:
        S2finError: something is wrong with the options, inputs or outputs; nothing is written.
    """

def assemble(
    *,
    output: StrPath,
    polygons: StrPath | None = None,
    confidence: StrPath | None = None,
    probabilities: StrPath | None = None,
    uncertainty: StrPath | None = None,
    report: StrPath | None = None,
    vector: bool = True,
    mmu: int = 1,
    simplify: float | None = None,
    format: str = "GTiff",
    co: Sequence[str] = (),
    scaled: bool = False,
    stac: bool = False,
    overwrite: bool = False,
    work: StrPath,
    mixed: bool = False,
    progress: Progress | None = None,
    stop: Stop | None = None,
) -> AssembleResult:
    """Assemble a map from the shards that `classify` made.

    Args:
        output: the map to write, a GeoTIFF; its QGIS style is written beside it with the suffix `.qml`. Like all
            outputs of a map it may be in an object store, as in "s3://bucket/map.tif".
        polygons: where to write the polygons, in the format of the suffix, .gpkg, .shp, .fgb, .geojson, .parquet, .tab
            or .sqlite; None is beside the map, with the suffix `.gpkg`.
        confidence: where to write the probability of each pixel's class, if anywhere.
        probabilities: where to write the probabilities of all classes, if anywhere.
        uncertainty: where to write how uncertain the class of each pixel is, if anywhere: entropy, margin, disagreement
            of the teacher's members, and dissimilarity to the training data.
        report: where to write a report on the map, if anywhere: a `.html`, `.json`, `.csv` or `.md` file.
        vector: whether to write polygons.
        mmu: minimum mapping unit of the polygons in pixels; smaller areas are merged into their largest neighbours.
        simplify: how far the polygons' borders may move, approximately, in CRS units; neighbours stay joined. None
            keeps the pixels' borders.
        format: how the rasters are written, one of GTiff or COG.
        co: GDAL's creation options of the rasters, each "NAME=VALUE".
        scaled: whether confidence and probabilities are stored as bytes, 250 for 1.
        stac: whether to write a STAC item of the map, beside it with the suffix `.json`.
        overwrite: whether existing outputs may be replaced.
        work: folder of the shards, which `s2fin classify` was given as `work`.
        mixed: whether shards of different processors, devices or versions of software may be combined, in which case
            the last bits of the confidence may differ.
        progress: called as the work advances, see `s2fin_cli.core.progress.Progress`.
        stop: ends the work at its next step once it is set, see `s2fin_cli.core.progress.Stop`.

    Returns:
        where the outputs are, and how many pixels each class has.

    Raises:
        S2finError: something is wrong with the options, inputs or outputs; nothing is written.
    """

def classify(
    *,
    hsi: Image | Sequence[Image] | None = None,
    msi: Image | Sequence[Image] | None = None,
    lidar: Image | Sequence[Image] | None = None,
    dsm: Image | Sequence[Image] | None = None,
    sar: Image | Sequence[Image] | None = None,
    thermal: Image | Sequence[Image] | None = None,
    bidx: Sequence[str] = (),
    nodata: float | str | Sequence[float | str] | None = (),
    bounds: Sequence[float] | None = None,
    aoi: Features | None = None,
    resampling: str | None = None,
    coregister: str = "off",
    device: str = "auto",
    output: StrPath,
    polygons: StrPath | None = None,
    confidence: StrPath | None = None,
    probabilities: StrPath | None = None,
    uncertainty: StrPath | None = None,
    report: StrPath | None = None,
    vector: bool = True,
    mmu: int = 1,
    simplify: float | None = None,
    format: str = "GTiff",
    co: Sequence[str] = (),
    scaled: bool = False,
    stac: bool = False,
    overwrite: bool = False,
    smooth: bool = False,
    prior: Sequence[str] = (),
    precision: str = "float32",
    model: StrPath | None = None,
    stride: int | None = None,
    on_read_error: str = "fail",
    tile_size: int | None = None,
    work: StrPath | None = None,
    workers: int | None = None,
    scheduler: str | None = None,
    shard_size: int | None = None,
    mixed: bool = False,
    shard: str | None = None,
    progress: Progress | None = None,
    stop: Stop | None = None,
) -> ClassifyResult:
    """Classify a scene with a trained model and write the map.

    Images may be an `xarray.DataArray` instead of a path, features a `geopandas.GeoDataFrame`, labels either.

    Args:
        hsi: hyperspectral image; the passive image, whose grid (that of its finest file) becomes the map's. Each image
            is a path, or a sequence of paths whose bands are stacked.
        msi: multispectral image; the passive image if there is no `hsi`, else part of the second image.
        lidar: LiDAR raster, e.g. heights above ground; part of the second image.
        dsm: surface or terrain heights; part of the second image.
        sar: SAR image; part of the second image.
        thermal: thermal infrared image; part of the second image.
        bidx: bands to use, each "[MODALITY:]BANDS", e.g. "1..5,8" or "lidar:1"; without a modality, of the passive
            image. Bands are numbered from 1 through all files of a modality.
        nodata: stored values that stand for no data, besides those that the files declare, each "[MODALITY:]VALUE".
            Without a modality, of the passive image, where all bands must hold it; of another image, of each band by
            itself. "none" for no such value. If none is given or declared for the passive image, s2fin looks for a
            value that fills its border.
        bounds: area of interest: left, bottom, right and top in the passive image's CRS.
        aoi: area of interest: a vector file of polygons, clipped to `bounds` if both are given. A pixel is inside if
            its centre is.
        resampling: how the second image is warped onto the passive image's grid, one of nearest, bilinear, cubic,
            cubic_spline, lanczos, average, mode, med, q1, q3 or rms; None averages much finer rasters and interpolates
            others bilinearly.
        coregister: "shift" measures the offset of the other images from the passive one, and shifts those where the
            measurement is reliable; "off" trusts the georeferencing.
        device: "cpu", "cuda", or "auto", which uses CUDA if it is available.
        output: the map to write, a GeoTIFF; its QGIS style is written beside it with the suffix `.qml`. Like all
            outputs of a map it may be in an object store, as in "s3://bucket/map.tif".
        polygons: where to write the polygons, in the format of the suffix, .gpkg, .shp, .fgb, .geojson, .parquet, .tab
            or .sqlite; None is beside the map, with the suffix `.gpkg`.
        confidence: where to write the probability of each pixel's class, if anywhere.
        probabilities: where to write the probabilities of all classes, if anywhere.
        uncertainty: where to write how uncertain the class of each pixel is, if anywhere: entropy, margin, disagreement
            of the teacher's members, and dissimilarity to the training data.
        report: where to write a report on the map, if anywhere: a `.html`, `.json`, `.csv` or `.md` file.
        vector: whether to write polygons.
        mmu: minimum mapping unit of the polygons in pixels; smaller areas are merged into their largest neighbours.
        simplify: how far the polygons' borders may move, approximately, in CRS units; neighbours stay joined. None
            keeps the pixels' borders.
        format: how the rasters are written, one of GTiff or COG.
        co: GDAL's creation options of the rasters, each "NAME=VALUE".
        scaled: whether confidence and probabilities are stored as bytes, 250 for 1.
        stac: whether to write a STAC item of the map, beside it with the suffix `.json`.
        overwrite: whether existing outputs may be replaced.
        smooth: whether to average each pixel's probabilities with those of similar pixels nearby.
        prior: approximate share of the mapped area that classes cover, each "CLASS=PERCENT" with a class's name or
            number; the other classes share the rest.
        precision: precision of the network's matrix products, one of float32 or bfloat16; its frequency parts are
            always float32.
        model: model file; None takes `model.s2fin` in the current directory, else `$S2FIN_MODEL`.
        stride: pixels from one window to the next, odd: the side of the output block that each window predicts. None
            takes what the model was trained for: 5, or 3 where its labels were dense.
        on_read_error: what happens to a storage block of an image that cannot be read, as in a damaged file: "fail", or
            "skip", so that its pixels have no data, with a warning.
        tile_size: side in pixels of the tiles that are read and computed at a time; of a raster stored in strips, the
            same number of pixels in wider tiles. None takes 256, and 640 on CUDA.
        work: folder that keeps the finished shards of the map, which is made if it is missing: the same command then
            continues where an earlier one ended. None keeps nothing.
        workers: number of processes that make shards side by side; None makes them in this process. With CUDA, at most
            one for each device.
        scheduler: address of the scheduler of a Dask cluster whose workers make the shards, e.g. "tcp://host:8786"; it
            needs `work`, on a disk that all machines share.
        shard_size: side in pixels of the shards, rounded up to whole batches of windows, 16 strides each. None takes
            what `work` was begun with, else up to 1280 by the size of the map.
        mixed: whether shards of different processors, devices or versions of software may be combined, in which case
            the last bits of the confidence may differ.
        shard: part of the shards to make, "I/N" for part I of N, without writing the map; it needs `work`. None makes
            all that are missing and writes the map.
        progress: called as the work advances, see `s2fin_cli.core.progress.Progress`.
        stop: ends the work at its next step once it is set, see `s2fin_cli.core.progress.Stop`.

    Returns:
        where the outputs are, and how many pixels each class has.

    Raises:
        S2finError: something is wrong with the options, inputs or outputs; nothing is written.
    """

def classify_all(
    *,
    scenes: StrPath,
    output: StrPath,
    images: Sequence[str] = (),
    with_confidence: bool = False,
    with_probabilities: bool = False,
    with_uncertainty: bool = False,
    with_report: bool = False,
    vector_format: str = "gpkg",
    bidx: Sequence[str] = (),
    nodata: float | str | Sequence[float | str] | None = (),
    bounds: Sequence[float] | None = None,
    aoi: Features | None = None,
    resampling: str | None = None,
    coregister: str = "off",
    device: str = "auto",
    vector: bool = True,
    mmu: int = 1,
    simplify: float | None = None,
    format: str = "GTiff",
    co: Sequence[str] = (),
    scaled: bool = False,
    stac: bool = False,
    overwrite: bool = False,
    smooth: bool = False,
    prior: Sequence[str] = (),
    precision: str = "float32",
    model: StrPath | None = None,
    stride: int | None = None,
    on_read_error: str = "fail",
    tile_size: int | None = None,
    work: StrPath | None = None,
    workers: int | None = None,
    scheduler: str | None = None,
    shard_size: int | None = None,
    mixed: bool = False,
    progress: Progress | None = None,
    stop: Stop | None = None,
) -> ClassifyAllResult:
    """Classify many scenes with a trained model and write their maps.

    Images may be an `xarray.DataArray` instead of a path, features a `geopandas.GeoDataFrame`, labels either.

    Args:
        scenes: a CSV table with a row for each scene and columns named like the images, and `name` and `aoi` if wanted;
            a folder; or a STAC item collection.
        output: folder for the maps, which is made if it is missing: `NAME.tif` and the like of each scene, and the
            report `scenes.json`.
        images: which files of a folder, or which assets of STAC items, are which image, each "MODALITY=FILES": a
            pattern like "hsi={name}_hsi.tif", in which {name} stands for the scene's name, or keys of assets like
            "msi=B02,B03". Without any, files are `NAME/MODALITY.tif`, and assets have the names of the images.
        with_confidence: whether to write the probability of each pixel's class, `NAME_confidence.tif`.
        with_probabilities: whether to write the probabilities of all classes, `NAME_probabilities.tif`.
        with_uncertainty: whether to write how uncertain the class of each pixel is, `NAME_uncertainty.tif`.
        with_report: whether to write a report on the map, `NAME.html`.
        vector_format: format of the polygons, one of gpkg, shp, fgb, geojson, parquet, tab or sqlite.
        bidx: bands to use, each "[MODALITY:]BANDS", e.g. "1..5,8" or "lidar:1"; without a modality, of the passive
            image. Bands are numbered from 1 through all files of a modality.
        nodata: stored values that stand for no data, besides those that the files declare, each "[MODALITY:]VALUE".
            Without a modality, of the passive image, where all bands must hold it; of another image, of each band by
            itself. "none" for no such value. If none is given or declared for the passive image, s2fin looks for a
            value that fills its border.
        bounds: area of interest: left, bottom, right and top in the passive image's CRS.
        aoi: area of interest: a vector file of polygons, clipped to `bounds` if both are given. A pixel is inside if
            its centre is.
        resampling: how the second image is warped onto the passive image's grid, one of nearest, bilinear, cubic,
            cubic_spline, lanczos, average, mode, med, q1, q3 or rms; None averages much finer rasters and interpolates
            others bilinearly.
        coregister: "shift" measures the offset of the other images from the passive one, and shifts those where the
            measurement is reliable; "off" trusts the georeferencing.
        device: "cpu", "cuda", or "auto", which uses CUDA if it is available.
        vector: whether to write polygons.
        mmu: minimum mapping unit of the polygons in pixels; smaller areas are merged into their largest neighbours.
        simplify: how far the polygons' borders may move, approximately, in CRS units; neighbours stay joined. None
            keeps the pixels' borders.
        format: how the rasters are written, one of GTiff or COG.
        co: GDAL's creation options of the rasters, each "NAME=VALUE".
        scaled: whether confidence and probabilities are stored as bytes, 250 for 1.
        stac: whether to write a STAC item of the map, beside it with the suffix `.json`.
        overwrite: whether existing outputs may be replaced.
        smooth: whether to average each pixel's probabilities with those of similar pixels nearby.
        prior: approximate share of the mapped area that classes cover, each "CLASS=PERCENT" with a class's name or
            number; the other classes share the rest.
        precision: precision of the network's matrix products, one of float32 or bfloat16; its frequency parts are
            always float32.
        model: model file; None takes `model.s2fin` in the current directory, else `$S2FIN_MODEL`.
        stride: pixels from one window to the next, odd: the side of the output block that each window predicts. None
            takes what the model was trained for: 5, or 3 where its labels were dense.
        on_read_error: what happens to a storage block of an image that cannot be read, as in a damaged file: "fail", or
            "skip", so that its pixels have no data, with a warning.
        tile_size: side in pixels of the tiles that are read and computed at a time; of a raster stored in strips, the
            same number of pixels in wider tiles. None takes 256, and 640 on CUDA.
        work: folder that keeps the finished shards of the map, which is made if it is missing: the same command then
            continues where an earlier one ended. None keeps nothing.
        workers: number of processes that make shards side by side; None makes them in this process. With CUDA, at most
            one for each device.
        scheduler: address of the scheduler of a Dask cluster whose workers make the shards, e.g. "tcp://host:8786"; it
            needs `work`, on a disk that all machines share.
        shard_size: side in pixels of the shards, rounded up to whole batches of windows, 16 strides each. None takes
            what `work` was begun with, else up to 1280 by the size of the map.
        mixed: whether shards of different processors, devices or versions of software may be combined, in which case
            the last bits of the confidence may differ.
        progress: called as the work advances, see `s2fin_cli.core.progress.Progress`.
        stop: ends the work at its next step once it is set, see `s2fin_cli.core.progress.Stop`.

    Returns:
        what became of each scene.

    Raises:
        S2finError: something is wrong with the options, inputs or outputs; nothing is written.
    """

def compare(
    *,
    vector: bool = True,
    mmu: int = 1,
    simplify: float | None = None,
    format: str = "GTiff",
    co: Sequence[str] = (),
    before: Image,
    after: Image,
    output: StrPath | None = None,
    polygons: StrPath | None = None,
    reference: Labels | None = None,
    label_field: str | None = None,
    report: StrPath | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
    stop: Stop | None = None,
) -> CompareResult:
    """Compare two class maps and write what changed.

    Images may be an `xarray.DataArray` instead of a path, features a `geopandas.GeoDataFrame`, labels either.

    Args:
        vector: whether to write polygons.
        mmu: minimum mapping unit of the polygons in pixels; smaller areas are merged into their largest neighbours.
        simplify: how far the polygons' borders may move, approximately, in CRS units; neighbours stay joined. None
            keeps the pixels' borders.
        format: how the rasters are written, one of GTiff or COG.
        co: GDAL's creation options of the rasters, each "NAME=VALUE".
        before: class map of the earlier date.
        after: class map of the later date, on the same grid.
        output: change map to write, a GeoTIFF; its QGIS style is written beside it with the suffix `.qml`. None writes
            none, and no polygons.
        polygons: where to write the polygons of the changes, in the format of the suffix, .gpkg, .shp, .fgb, .geojson,
            .parquet, .tab or .sqlite; None is beside the change map, with the suffix `.gpkg`.
        reference: points with interpreted transitions, a random sample within each transition of the change map as
            `s2fin sample` draws it; then the areas that really changed are estimated, with margins of 95 % confidence.
        label_field: field of the reference that holds transitions; None takes its fields `before` and `after`, else the
            only possible field.
        report: report to write, a `.json`, `.csv` or `.md` file; None for none.
        overwrite: whether existing outputs may be replaced.
        progress: called as the work advances, see `s2fin_cli.core.progress.Progress`.
        stop: ends the work at its next step once it is set, see `s2fin_cli.core.progress.Stop`.

    Returns:
        what changed, and where the files are.

    Raises:
        S2finError: something is wrong with the options, inputs or outputs; nothing is written.
    """

def convert(
    *,
    src: StrPath,
    output: StrPath,
    variable: str | None = None,
    crs: str | None = None,
    transform: Sequence[float] | None = None,
    wavelengths: StrPath | None = None,
    classes: StrPath | None = None,
    overwrite: bool = False,
) -> ConvertResult:
    """Convert an array of a MATLAB file to a GeoTIFF.

    Args:
        src: MATLAB file, version 5 or 7.3.
        output: GeoTIFF to write.
        variable: array to convert, with dots between the fields of structures; None takes the only possible one.
        crs: CRS of the array, as a code or WKT; None for none.
        transform: affine transform of the grid in rasterio's order: a, b, c, d, e, f.
        wavelengths: wavelengths of the bands: a text file of numbers in nanometres, or a variable of the MATLAB file.
        classes: CSV table of classes: the array holds labels, and becomes a label raster with names and colours.
        overwrite: whether an existing `output` may be replaced.

    Returns:
        where the GeoTIFF is, and the array's shape.

    Raises:
        S2finError: something is wrong with the options, inputs or outputs; nothing is written.
    """

def demo(
    *,
    output: StrPath = "demo",
    overwrite: bool = False,
    progress: Progress | None = None,
    stop: Stop | None = None,
) -> DemoResult:
    """Train on the example scene, classify it and assess the map.

    Args:
        output: folder for the results, created if missing.
        overwrite: whether existing results may be replaced.
        progress: called as the work advances, see `s2fin_cli.core.progress.Progress`.
        stop: ends the work at its next step once it is set, see `s2fin_cli.core.progress.Stop`.

    Returns:
        where the results are, and the map's accuracy.

    Raises:
        S2finError: something is wrong with the options, inputs or outputs; nothing is written.
    """

def doctor(
    *,
    device: str = "auto",
    self_test: bool = True,
    progress: Progress | None = None,
    stop: Stop | None = None,
) -> DoctorResult:
    """Examine the installation, and find out whether it works.

    Args:
        device: what the self test computes with: "cpu", "cuda", or "auto", which uses CUDA if it is available.
        self_test: whether a network is compared with itself in double precision, and a small scene is mapped.
        progress: called as the work advances, see `s2fin_cli.core.progress.Progress`.
        stop: ends the work at its next step once it is set, see `s2fin_cli.core.progress.Stop`.

    Returns:
        what was found of each part, and what to do about it.

    Raises:
        S2finError: something is wrong with the options, inputs or outputs; nothing is written.
    """

def evaluate(
    *,
    map: Image,
    reference: Labels | Sequence[Labels],
    label_field: str | None = None,
    stratified: bool = False,
    output: StrPath | None = None,
    overwrite: bool = False,
) -> EvaluateResult:
    """Assess a map's accuracy against reference labels.

    Images may be an `xarray.DataArray` instead of a path, features a `geopandas.GeoDataFrame`, labels either.

    Args:
        map: class map to assess: a raster of whole numbers, in floating point too.
        reference: reference labels: a vector file of polygons or points, or a raster of class numbers; or a sequence of
            such files. Where several files label a pixel, the last file decides.
        label_field: class field of a vector reference; None takes the only possible field. Of several files, those
            without such a field go by their own.
        stratified: whether the reference is a random sample within each class of the map, as `s2fin sample` draws it;
            then accuracies and class areas of the whole map are estimated, with margins of 95 % confidence.
        output: report to write, a `.html`, `.json`, `.csv` or `.md` file; None for none.
        overwrite: whether an existing `output` may be replaced.

    Returns:
        a report of the map's classes, areas and accuracy.

    Raises:
        S2finError: something is wrong with the options, inputs or outputs; nothing is written.
    """

def inspect(
    *,
    src: StrPath,
    stac: StrPath | None = None,
    overwrite: bool = False,
) -> InspectResult:
    """Describe a raster, a vector file or a model file.

    Args:
        src: raster, model file, vector file or STAC file to describe.
        stac: where to write the STAC item that a model carries, a `.json` file; None for none.
        overwrite: whether an existing `stac` may be replaced.

    Returns:
        what the file holds.

    Raises:
        S2finError: something is wrong with the options, inputs or outputs; nothing is written.
    """

def predict(
    *,
    hsi: Image | Sequence[Image] | None = None,
    msi: Image | Sequence[Image] | None = None,
    lidar: Image | Sequence[Image] | None = None,
    dsm: Image | Sequence[Image] | None = None,
    sar: Image | Sequence[Image] | None = None,
    thermal: Image | Sequence[Image] | None = None,
    bidx: Sequence[str] = (),
    nodata: float | str | Sequence[float | str] | None = (),
    bounds: Sequence[float] | None = None,
    aoi: Features | None = None,
    resampling: str | None = None,
    coregister: str = "off",
    device: str = "auto",
    smooth: bool = False,
    prior: Sequence[str] = (),
    precision: str = "float32",
    model: StrPath | None = None,
    stride: int | None = None,
    on_read_error: str = "fail",
    tile_size: int | None = None,
    probabilities: bool = False,
    uncertainty: bool = False,
    progress: Progress | None = None,
    stop: Stop | None = None,
) -> Dataset:
    """Classify a scene with a trained model into memory, and write no file.

    Images may be an `xarray.DataArray` instead of a path, features a `geopandas.GeoDataFrame`, labels either.

    Args:
        hsi: hyperspectral image; the passive image, whose grid (that of its finest file) becomes the map's. Each image
            is a path, or a sequence of paths whose bands are stacked.
        msi: multispectral image; the passive image if there is no `hsi`, else part of the second image.
        lidar: LiDAR raster, e.g. heights above ground; part of the second image.
        dsm: surface or terrain heights; part of the second image.
        sar: SAR image; part of the second image.
        thermal: thermal infrared image; part of the second image.
        bidx: bands to use, each "[MODALITY:]BANDS", e.g. "1..5,8" or "lidar:1"; without a modality, of the passive
            image. Bands are numbered from 1 through all files of a modality.
        nodata: stored values that stand for no data, besides those that the files declare, each "[MODALITY:]VALUE".
            Without a modality, of the passive image, where all bands must hold it; of another image, of each band by
            itself. "none" for no such value. If none is given or declared for the passive image, s2fin looks for a
            value that fills its border.
        bounds: area of interest: left, bottom, right and top in the passive image's CRS.
        aoi: area of interest: a vector file of polygons, clipped to `bounds` if both are given. A pixel is inside if
            its centre is.
        resampling: how the second image is warped onto the passive image's grid, one of nearest, bilinear, cubic,
            cubic_spline, lanczos, average, mode, med, q1, q3 or rms; None averages much finer rasters and interpolates
            others bilinearly.
        coregister: "shift" measures the offset of the other images from the passive one, and shifts those where the
            measurement is reliable; "off" trusts the georeferencing.
        device: "cpu", "cuda", or "auto", which uses CUDA if it is available.
        smooth: whether to average each pixel's probabilities with those of similar pixels nearby.
        prior: approximate share of the mapped area that classes cover, each "CLASS=PERCENT" with a class's name or
            number; the other classes share the rest.
        precision: precision of the network's matrix products, one of float32 or bfloat16; its frequency parts are
            always float32.
        model: model file; None takes `model.s2fin` in the current directory, else `$S2FIN_MODEL`.
        stride: pixels from one window to the next, odd: the side of the output block that each window predicts. None
            takes what the model was trained for: 5, or 3 where its labels were dense.
        on_read_error: what happens to a storage block of an image that cannot be read, as in a damaged file: "fail", or
            "skip", so that its pixels have no data, with a warning.
        tile_size: side in pixels of the tiles that are read and computed at a time; of a raster stored in strips, the
            same number of pixels in wider tiles. None takes 256, and 640 on CUDA.
        probabilities: whether the dataset has the probabilities of all classes too.
        uncertainty: whether the dataset also says how uncertain the class of each pixel is: entropy, margin,
            disagreement of the teacher's members, and dissimilarity to the training data.
        progress: called as the work advances, see `s2fin_cli.core.progress.Progress`.
        stop: ends the work at its next step once it is set, see `s2fin_cli.core.progress.Stop`.

    Returns:
        the class of each pixel, its probability and what else was asked for.

    Raises:
        S2finError: something is wrong with the options, inputs or outputs; nothing is written.
    """

def report(
    *,
    hsi: Image | Sequence[Image] | None = None,
    msi: Image | Sequence[Image] | None = None,
    lidar: Image | Sequence[Image] | None = None,
    dsm: Image | Sequence[Image] | None = None,
    sar: Image | Sequence[Image] | None = None,
    thermal: Image | Sequence[Image] | None = None,
    map: Image,
    model: StrPath | None = None,
    confidence: Image | None = None,
    uncertainty: Image | None = None,
    suggestions: Features | None = None,
    reference: Labels | Sequence[Labels] | None = None,
    label_field: str | None = None,
    stratified: bool = False,
    output: StrPath = "report.html",
    overwrite: bool = False,
) -> ReportResult:
    """Report on a map in one file: what it shows, how accurate it is, how it was made.

    Images may be an `xarray.DataArray` instead of a path, features a `geopandas.GeoDataFrame`, labels either.

    Args:
        hsi: hyperspectral image; the passive image, whose grid (that of its finest file) becomes the map's. Each image
            is a path, or a sequence of paths whose bands are stacked.
        msi: multispectral image; the passive image if there is no `hsi`, else part of the second image.
        lidar: LiDAR raster, e.g. heights above ground; part of the second image.
        dsm: surface or terrain heights; part of the second image.
        sar: SAR image; part of the second image.
        thermal: thermal infrared image; part of the second image.
        map: class map to report on.
        model: model that made the map; None takes the one that the map names, if it is still there.
        confidence: confidence that was written with the map; None for none.
        uncertainty: uncertainty that was written with the map, which tells where it looks unlike all training data;
            None for none.
        suggestions: points that `s2fin suggest` wrote for the map's images, to show with pictures; None for none.
        reference: reference labels: a vector file of polygons or points, or a raster of class numbers; or a sequence of
            such files. Where several files label a pixel, the last file decides. None for none.
        label_field: class field of a vector reference; None takes the only possible field.
        stratified: whether the reference is a random sample within each class of the map, as `s2fin sample` draws it;
            then accuracies and class areas of the whole map are estimated, with margins of 95 % confidence.
        output: report to write, a `.html`, `.json`, `.csv` or `.md` file.
        overwrite: whether an existing `output` may be replaced.

    Returns:
        the report, and where it is.

    Raises:
        S2finError: something is wrong with the options, inputs or outputs; nothing is written.
    """

def sample(
    *,
    map: Image,
    output: StrPath,
    size: int = 500,
    least: int = 50,
    seed: int = 0,
    overwrite: bool = False,
) -> SampleResult:
    """Draw a stratified random sample of a map for interpreters.

    Images may be an `xarray.DataArray` instead of a path, features a `geopandas.GeoDataFrame`, labels either.

    Args:
        map: class map to sample.
        output: points to write, in the format of the suffix, .gpkg, .shp, .fgb, .geojson, .parquet, .tab or .sqlite.
        size: number of points in all; more if `least` requires more.
        least: fewest points per class; a class with fewer pixels has all of them sampled.
        seed: seed of the random draw.
        overwrite: whether an existing `output` may be replaced.

    Returns:
        where the points are, and how many each class has.

    Raises:
        S2finError: something is wrong with the options, inputs or outputs; nothing is written.
    """

def split(
    *,
    labels: Labels | Sequence[Labels],
    label_field: str | None = None,
    label_buffer: float | None = None,
    classes: StrPath | None = None,
    on_conflict: str = "drop",
    like: Image,
    train: StrPath,
    test: StrPath,
    picture: StrPath | None = None,
    method: str = "auto",
    share: float = 0.5,
    distance: int = 19,
    seed: int = 0,
    overwrite: bool = False,
) -> SplitResult:
    """Split labels into spatially separate training and test labels.

    Images may be an `xarray.DataArray` instead of a path, features a `geopandas.GeoDataFrame`, labels either.

    Args:
        labels: vector file of polygons, lines or points, or a raster of whole numbers; or a sequence of such files.
            Where several files label a pixel, the last file decides. Features without a class are skipped.
        label_field: class field of the vector file; None takes the only possible field. Of several files, those without
            such a field go by their own.
        label_buffer: buffer around points and lines, in CRS units of the grid; None takes the pixel that holds a point,
            and half a pixel around a line.
        classes: CSV table of the classes with the columns id, name and color; labels of other classes are skipped.
        on_conflict: what happens to pixels that features of different classes cover, one of drop, error, first or last.
            Where files disagree, the last file wins; with "first", the first file wins; with "error", the run stops.
        like: image whose grid the label rasters get.
        train: training labels to write, a GeoTIFF.
        test: test labels to write, a GeoTIFF.
        picture: PNG of both to write, if any.
        method: what is kept together: "polygons", "blocks" of pixels, nothing ("random"), or "auto": polygons for
            polygons, else blocks.
        share: share of each class's pixels to test on, as nearly as whole polygons or blocks allow.
        distance: training pixels closer than this to a test pixel are dropped, in pixels. The default is more than the
            network sees with its default patch size.
        seed: seed of the random split.
        overwrite: whether existing outputs may be replaced.

    Returns:
        where both label rasters are, and how many pixels each class has in them.

    Raises:
        S2finError: something is wrong with the options, inputs or outputs; nothing is written.
    """

def suggest(
    *,
    hsi: Image | Sequence[Image] | None = None,
    msi: Image | Sequence[Image] | None = None,
    lidar: Image | Sequence[Image] | None = None,
    dsm: Image | Sequence[Image] | None = None,
    sar: Image | Sequence[Image] | None = None,
    thermal: Image | Sequence[Image] | None = None,
    bidx: Sequence[str] = (),
    nodata: float | str | Sequence[float | str] | None = (),
    bounds: Sequence[float] | None = None,
    aoi: Features | None = None,
    resampling: str | None = None,
    coregister: str = "off",
    device: str = "auto",
    labels: Labels | Sequence[Labels] = (),
    label_field: str | None = None,
    label_buffer: float | None = None,
    classes: StrPath | None = None,
    on_conflict: str = "drop",
    model: StrPath | None = None,
    probabilities: Image | None = None,
    output: StrPath,
    number: int = 50,
    distance: float = 8.0,
    seed: int = 0,
    overwrite: bool = False,
    progress: Progress | None = None,
    stop: Stop | None = None,
) -> SuggestResult:
    """Suggest the places of a scene where a label is worth most.

    Images may be an `xarray.DataArray` instead of a path, features a `geopandas.GeoDataFrame`, labels either.

    Args:
        hsi: hyperspectral image; the passive image, whose grid (that of its finest file) becomes the map's. Each image
            is a path, or a sequence of paths whose bands are stacked.
        msi: multispectral image; the passive image if there is no `hsi`, else part of the second image.
        lidar: LiDAR raster, e.g. heights above ground; part of the second image.
        dsm: surface or terrain heights; part of the second image.
        sar: SAR image; part of the second image.
        thermal: thermal infrared image; part of the second image.
        bidx: bands to use, each "[MODALITY:]BANDS", e.g. "1..5,8" or "lidar:1"; without a modality, of the passive
            image. Bands are numbered from 1 through all files of a modality.
        nodata: stored values that stand for no data, besides those that the files declare, each "[MODALITY:]VALUE".
            Without a modality, of the passive image, where all bands must hold it; of another image, of each band by
            itself. "none" for no such value. If none is given or declared for the passive image, s2fin looks for a
            value that fills its border.
        bounds: area of interest: left, bottom, right and top in the passive image's CRS.
        aoi: area of interest: a vector file of polygons, clipped to `bounds` if both are given. A pixel is inside if
            its centre is.
        resampling: how the second image is warped onto the passive image's grid, one of nearest, bilinear, cubic,
            cubic_spline, lanczos, average, mode, med, q1, q3 or rms; None averages much finer rasters and interpolates
            others bilinearly.
        coregister: "shift" measures the offset of the other images from the passive one, and shifts those where the
            measurement is reliable; "off" trusts the georeferencing.
        device: "cpu", "cuda", or "auto", which uses CUDA if it is available.
        labels: labels that there are already, as of training: a file, or a sequence of files. Where several files label
            a pixel, the last file decides. With labels, places are also chosen where classifiers trained on them
            disagree or where pixels look unlike the labels; no place near a label is suggested. Empty for none: then
            the model alone decides.
        label_field: class field of the vector file; None takes the only possible field. Of several files, those without
            such a field go by their own.
        label_buffer: buffer around points and lines, in CRS units of the grid; None takes the pixel that holds a point,
            and half a pixel around a line.
        classes: CSV table of the classes with the columns id, name and color; labels of other classes are skipped.
        on_conflict: what happens to pixels that features of different classes cover, one of drop, error, first or last.
            Where files disagree, the last file wins; with "first", the first file wins; with "error", the run stops.
        model: model file; None takes `model.s2fin` in the current directory, else `$S2FIN_MODEL`.
        probabilities: probabilities that `classify` wrote of these images with this model; None computes them where
            they are needed.
        output: points to write, in the format of the suffix, .gpkg, .shp, .fgb, .geojson, .parquet, .tab or .sqlite;
            their QGIS style is written beside them with the suffix `.qml`.
        number: how many places to suggest.
        distance: fewest pixels of the passive image's grid from one place to the next and to the labels, in rows or in
            columns.
        seed: seed of every random choice.
        overwrite: whether an existing `output` may be replaced.
        progress: called as the work advances, see `s2fin_cli.core.progress.Progress`.
        stop: ends the work at its next step once it is set, see `s2fin_cli.core.progress.Stop`.

    Returns:
        where the points are, and why each place was chosen.

    Raises:
        S2finError: something is wrong with the options, inputs or outputs; nothing is written.
    """

def train(
    *,
    hsi: Image | Sequence[Image] | None = None,
    msi: Image | Sequence[Image] | None = None,
    lidar: Image | Sequence[Image] | None = None,
    dsm: Image | Sequence[Image] | None = None,
    sar: Image | Sequence[Image] | None = None,
    thermal: Image | Sequence[Image] | None = None,
    bidx: Sequence[str] = (),
    nodata: float | str | Sequence[float | str] | None = (),
    bounds: Sequence[float] | None = None,
    aoi: Features | None = None,
    resampling: str | None = None,
    coregister: str = "off",
    device: str = "auto",
    labels: Labels | Sequence[Labels],
    label_field: str | None = None,
    label_buffer: float | None = None,
    classes: StrPath | None = None,
    on_conflict: str = "drop",
    output: StrPath = "model.s2fin",
    init: StrPath | None = None,
    report: StrPath | None = None,
    overwrite: bool = False,
    patch_size: int = 7,
    epochs: int = 10,
    batch_size: int = 64,
    learning_rate: float = 0.004,
    labels_per_class: int = 1000,
    split: str = "auto",
    validation: float = 0.25,
    refit: bool = True,
    seed: int = 0,
    progress: Progress | None = None,
    stop: Stop | None = None,
) -> TrainResult:
    """Train a model on images and labels and write it.

    Images may be an `xarray.DataArray` instead of a path, features a `geopandas.GeoDataFrame`, labels either.

    Args:
        hsi: hyperspectral image; the passive image, whose grid (that of its finest file) becomes the map's. Each image
            is a path, or a sequence of paths whose bands are stacked.
        msi: multispectral image; the passive image if there is no `hsi`, else part of the second image.
        lidar: LiDAR raster, e.g. heights above ground; part of the second image.
        dsm: surface or terrain heights; part of the second image.
        sar: SAR image; part of the second image.
        thermal: thermal infrared image; part of the second image.
        bidx: bands to use, each "[MODALITY:]BANDS", e.g. "1..5,8" or "lidar:1"; without a modality, of the passive
            image. Bands are numbered from 1 through all files of a modality.
        nodata: stored values that stand for no data, besides those that the files declare, each "[MODALITY:]VALUE".
            Without a modality, of the passive image, where all bands must hold it; of another image, of each band by
            itself. "none" for no such value. If none is given or declared for the passive image, s2fin looks for a
            value that fills its border.
        bounds: area of interest: left, bottom, right and top in the passive image's CRS.
        aoi: area of interest: a vector file of polygons, clipped to `bounds` if both are given. A pixel is inside if
            its centre is.
        resampling: how the second image is warped onto the passive image's grid, one of nearest, bilinear, cubic,
            cubic_spline, lanczos, average, mode, med, q1, q3 or rms; None averages much finer rasters and interpolates
            others bilinearly.
        coregister: "shift" measures the offset of the other images from the passive one, and shifts those where the
            measurement is reliable; "off" trusts the georeferencing.
        device: "cpu", "cuda", or "auto", which uses CUDA if it is available.
        labels: vector file of polygons, lines or points, or a raster of whole numbers; or a sequence of such files.
            Where several files label a pixel, the last file decides. Features without a class are skipped.
        label_field: class field of the vector file; None takes the only possible field. Of several files, those without
            such a field go by their own.
        label_buffer: buffer around points and lines, in CRS units of the grid; None takes the pixel that holds a point,
            and half a pixel around a line.
        classes: CSV table of the classes with the columns id, name and color; labels of other classes are skipped.
        on_conflict: what happens to pixels that features of different classes cover, one of drop, error, first or last.
            Where files disagree, the last file wins; with "first", the first file wins; with "error", the run stops.
        output: model file to write.
        init: model file of another scene with the same images, bands and classes to start from; None for none.
        report: where to write a report of what training found, if anywhere: a `.html`, `.json`, `.csv` or `.md` file.
        overwrite: whether an existing `output` may be replaced.
        patch_size: side in pixels of the window around each pixel, odd, 5 to 21.
        epochs: rounds of training; one is 16 to 80 steps, not a pass over all training pixels.
        batch_size: windows per step.
        learning_rate: peak learning rate of the one-cycle schedule; doubled where labels are dense.
        labels_per_class: most training pixels of one class, and most validation pixels.
        split: how validation pixels are held out: "polygons" (whole polygons), "blocks" (of pixels, with a buffer),
            "random" (single pixels, which overestimates the accuracy), or "auto": polygons for polygons, else blocks.
        validation: share of the labelled pixels to hold out, 0 for none.
        refit: whether to train the final model on all labels after validation.
        seed: seed of every random choice.
        progress: called as the work advances, see `s2fin_cli.core.progress.Progress`.
        stop: ends the work at its next step once it is set, see `s2fin_cli.core.progress.Stop`.

    Returns:
        where the model is, and how accurate it is on the pixels held out.

    Raises:
        S2finError: something is wrong with the options, inputs or outputs; nothing is written.
    """
