"""A scene with a made second image that separates classes: heights by class, beside a real image.

python benchmarks/made_heights.py SCENE OUTPUT

SCENE is a scene's name or folder, as for benchmarks/accuracy.py; OUTPUT becomes the folder of a new scene. Each class
gets one of four heights by chance, so that a height narrows down a pixel's class without determining it, and
pixels without a label get heights in patches. The heights of test pixels are made from their labels, so the accuracy
on such a scene only shows whether an informative second image is used.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import rasterio
from scipy.ndimage import gaussian_filter

from scenes import SCENE_FILE, SCENES, LoadedScene, Scene, load, read_scene

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Heights, in steps of one, the deviation of their noise, and how large the patches without labels are, in pixels.
HEIGHTS, NOISE, PATCH = 4, 0.3, 8.0


def heights_of(loaded: LoadedScene, generator: np.random.Generator) -> NDArray[np.float32]:
    """Heights (height, width) of a scene, in steps, with normally distributed noise."""
    shape, labels = loaded.stack.grid.shape, loaded.labels
    relief = gaussian_filter(generator.normal(size=shape), PATCH)
    heights = np.digitize(relief, np.quantile(relief, np.arange(1, HEIGHTS) / HEIGHTS)).astype(np.float64)
    ids, which = np.unique(labels.class_ids, return_inverse=True)
    heights[labels.rows, labels.cols] = generator.permuted(np.arange(len(ids)) % HEIGHTS)[which]
    return np.asarray(heights + generator.normal(scale=NOISE, size=shape), dtype=np.float32)


def write_scene(scene: Scene, folder: Path, *, seed: int = 0) -> None:
    """Write a scene's heights, and the description of a scene that has them as its second image.

    Raises:
        ValueError: the scene's image is in several files, which a description cannot name elsewhere.
    """
    if not scene.images:
        raise ValueError(f"{scene.name} has its image in several files; take a scene with one file")
    loaded = load(scene)
    grid = loaded.stack.grid
    heights = heights_of(loaded, np.random.default_rng(seed))
    folder.mkdir(parents=True, exist_ok=True)
    profile = {"driver": "GTiff", "dtype": "float32", "count": 1, "compress": "deflate"}
    placed = {"crs": grid.crs, "transform": grid.transform, "height": heights.shape[0], "width": heights.shape[1]}
    with rasterio.open(folder / "heights.tif", "w", **profile, **placed) as dst:
        dst.write(heights, 1)
    modality, image = next(iter(scene.images.items()))
    lines = [
        f'images = {{{modality} = "{(scene.folder / image).as_posix()}", dsm = "heights.tif"}}',
        f'labels = "{(scene.folder / scene.labels).as_posix()}"',
        *([f'label_field = "{scene.label_field}"'] if scene.label_field else []),
    ]
    (folder / SCENE_FILE).write_text("\n".join([*lines, ""]), encoding="utf-8")


def main() -> None:
    """Make one scene of another."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scene", help="a scene's name, or its folder")
    parser.add_argument("output", type=Path, help="folder of the new scene")
    args = parser.parse_args()
    known = {scene.name: scene for scene in SCENES}
    try:
        write_scene(known.get(args.scene) or read_scene(Path(args.scene)), args.output)
    except (OSError, ValueError) as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
