"""The views of the ensemble's members: each uses its own choice of a pixel's features."""

from __future__ import annotations

from typing import TYPE_CHECKING

from s2fin_cli.stack.guide import FEW_BANDS
from s2fin_cli.teaching.features import SCALES, SHAPE_SCALES, START, Features

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

#: The scales that reveal little about where a pixel is.
NEAR_SCALES = (3, 7)


def see_differences(features: Features) -> list[NDArray[np.float32]]:
    """Both images' values at all scales, and how these differ."""
    kind = "bands" if features["bands"].shape[1] <= FEW_BANDS else "components"
    own = [*_values(features), *_differences(features, kind)]
    return [*own, *_scales(features, "aux"), *_differences(features, "aux")]


def see_components(features: Features) -> list[NDArray[np.float32]]:
    """The image's components and the second image's values at all scales."""
    return [*_scales(features, "components"), *_scales(features, "aux")]


def see_shapes(features: Features) -> list[NDArray[np.float32]]:
    """Both images' values at all scales, and the shape of the image's spectra."""
    shapes = [features["shape"], *(features[f"shape mean {scale}"] for scale in SHAPE_SCALES)]
    return [*_values(features), *shapes, *_scales(features, "aux")]


def see_near(features: Features) -> list[NDArray[np.float32]]:
    """Both images' values at the near scales, and the shape of the image's spectra."""
    shapes = [features["shape"], features[f"shape mean {NEAR_SCALES[0]}"]]
    return [*_values(features, NEAR_SCALES), *shapes, *_scales(features, "aux", NEAR_SCALES)]


def see_pixel(features: Features) -> list[NDArray[np.float32]]:
    """Both images' values at the pixel alone, and the shape of its spectrum."""
    return [features["bands"], features["shape"], *_scales(features, "aux", ())]


def see_position(features: Features) -> list[NDArray[np.float32]]:
    """Row and column."""
    return [features["position"]]


def see_components_and_position(features: Features) -> list[NDArray[np.float32]]:
    """The position, and means of the image's components and of the second image at all scales."""
    means = [features[f"{kind} mean {s}"] for kind in ("components", "aux") if kind in features for s in SCALES]
    return [features["position"], *means]


def see_start(features: Features) -> list[NDArray[np.float32]]:
    """The probabilities of the model to start from."""
    return [features[START]]


def _scales(features: Features, kind: str, scales: Sequence[int] = SCALES) -> list[NDArray[np.float32]]:
    """Values of a kind, and their means and deviations at scales; none if there is no such kind."""
    if kind not in features:
        return []
    around = [features[f"{kind} {what} {scale}"] for scale in scales for what in ("mean", "deviation")]
    return [features[kind], *around]


def _values(features: Features, scales: Sequence[int] = SCALES) -> list[NDArray[np.float32]]:
    """The image's bands with their surroundings, or with those of the components if there are many bands."""
    if features["bands"].shape[1] <= FEW_BANDS:
        return _scales(features, "bands", scales)
    return [features["bands"], *_scales(features, "components", scales)]


def _differences(features: Features, kind: str) -> list[NDArray[np.float32]]:
    """How means at one scale differ from those at the next one, and values from means at the largest."""
    if kind not in features:
        return []
    means = [features[kind], *(features[f"{kind} mean {scale}"] for scale in SCALES)]
    return [near - far for near, far in zip(means, [*means[1:], means[0]], strict=True)]
