"""Whether a file holds features or a raster."""

from __future__ import annotations

from pathlib import Path

from s2fin_cli.core.formats import VECTOR_SUFFIXES
from s2fin_cli.core.names import is_dataset_name
from s2fin_cli.vector.layers import layers_of
from s2fin_cli.vector.sources import is_parquet, is_text_table, raster_driver


def is_vector(src_path: str | Path) -> bool:
    """Whether a file of labels is one of features or a table of points, and not a raster.

    A file with features is one of features, even if a raster driver accepts it too.

    Raises:
        RasterError: a container that holds several rasters and nothing else.
    """
    if not is_dataset_name(src_path):
        path = Path(src_path)
        if not path.exists() or path.suffix.lower() in VECTOR_SUFFIXES or is_parquet(path) or is_text_table(path):
            return True
    try:
        layers = layers_of(src_path)
    except Exception:  # noqa: BLE001 - pyogrio's, or a decoding error
        layers = []
    if any(layer.has_geometries and layer.count for layer in layers):
        return True
    driver = raster_driver(src_path)
    return driver is None or (bool(layers) and driver != layers[0].driver)
