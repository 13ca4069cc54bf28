"""Standardisation: from raw values of both images to bands of mean 0 and deviation 1, and spectral components."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

Floats = Sequence[float] | Tensor

#: A standardised value beyond this is not a measurement but an undeclared nodata value (-3.4e38, 1e30), and would spoil
#: all windows that contain it.
MAX_SCALED = 1e6


@dataclass(frozen=True)
class Standardizer:
    """Statistics of a scene, by which its raw values are standardised; see `from_statistics`.

    Attributes:
        image_mean, image_std: means and deviations of the passive image's bands, float32 (bands, 1, 1); no deviation is
            0.
        components: what each spectral component takes from the standardised bands, float32 (components, bands).
        aux_mean, aux_std: means and deviations of the second image's bands, float32 (bands, 1, 1), or None where there
            is one image only.
    """

    image_mean: Tensor
    image_std: Tensor
    components: Tensor
    aux_mean: Tensor | None = None
    aux_std: Tensor | None = None

    @classmethod
    def from_statistics(
        cls,
        image_mean: Floats,
        image_std: Floats,
        aux_mean: Floats | None = None,
        aux_std: Floats | None = None,
        *,
        components: Tensor | Sequence[Sequence[float]],
    ) -> Self:
        """Make one from means, deviations (0 counts as 1) and the components' projection (components, bands).

        Raises:
            ValueError: lengths differ, a value is not finite, or a deviation is negative.
        """
        bands = len(image_mean)
        image = torch.empty(bands, 1, 1)
        given: dict[str, Tensor] = {
            "image_mean": checked_statistic("image_mean", image_mean, like=image),
            "image_std": checked_statistic("image_std", image_std, like=image),
            "components": checked_statistic("components", components, like=torch.empty(len(components), bands)),
        }
        if (aux_mean is None) != (aux_std is None):
            raise ValueError("two images need aux_mean and aux_std, and one image needs neither")
        if aux_mean is not None and aux_std is not None:
            second = torch.empty(len(aux_mean), 1, 1)
            given["aux_mean"] = checked_statistic("aux_mean", aux_mean, like=second)
            given["aux_std"] = checked_statistic("aux_std", aux_std, like=second)
        return cls(**given)

    @property
    def bands(self) -> int:
        """How many bands the passive image has."""
        return len(self.image_mean)

    @property
    def device(self) -> torch.device:
        """The device of the statistics, on which values have to be."""
        return self.image_mean.device

    def to(self, device: torch.device) -> Self:
        """The same on a device."""
        second = (None if part is None else part.to(device) for part in (self.aux_mean, self.aux_std))
        return type(self)(self.image_mean.to(device), self.image_std.to(device), self.components.to(device), *second)

    def __call__(self, image: Tensor, aux: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Scale raw values (B, C, H, W) of both images to mean 0 and deviation 1; what is not finite becomes 0.

        Returns:
            the image's bands with its components behind them, and the second image's bands; with one image only, the
            second result is the components alone.

        Raises:
            ValueError: the number of bands differs, or `aux` is missing, or given although it must not be.
        """
        _check_bands("image", image, self.bands)
        x = _scaled(image, self.image_mean, self.image_std)
        # components of many bands are small differences of large sums, beyond half precision
        with torch.autocast(x.device.type, enabled=False):
            components = torch.tensordot(self.components, x, dims=([1], [1])).transpose(0, 1)
        x = torch.cat([x, components], dim=1)
        if self.aux_mean is None or self.aux_std is None:
            if aux is not None:
                raise ValueError("the second image is derived from the first: aux must be None")
            return x, components
        if aux is None:
            raise ValueError("standardising needs a second image, got None")
        _check_bands("aux", aux, len(self.aux_mean))
        return x, _scaled(aux, self.aux_mean, self.aux_std)


def checked_statistic(name: str, value: Floats | Sequence[Sequence[float]], *, like: Tensor) -> Tensor:
    """A statistic in the shape and type of a tensor; a deviation of 0 becomes 1.

    Raises:
        ValueError: the shape is another one, a value is not finite, or a deviation is negative.
    """
    tensor = torch.as_tensor(value, dtype=torch.float64).to(like)
    if tensor.shape != like.shape[: tensor.ndim] or tensor.numel() != like.numel():
        raise ValueError(f"{name} must have shape {tuple(like.squeeze().shape)}, got {tuple(tensor.shape)}")
    if not tensor.isfinite().all() or (name.endswith("std") and (tensor < 0).any()):
        raise ValueError(f"{name} must be finite, and a deviation not negative, got {tensor.tolist()}")
    if name.endswith("std"):
        tensor = torch.where(tensor == 0, torch.ones_like(tensor), tensor)
    return tensor.view_as(like)


def _scaled(values: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    # the difference is taken in the wider of both number formats (float64 rasters), the result is the statistics'
    scaled = ((values - mean) / std).to(mean.dtype)
    # written so that NaN, which compares to nothing, counts as missing too
    return torch.where(scaled.abs() < MAX_SCALED, scaled, torch.zeros_like(scaled))


def _check_bands(name: str, values: Tensor, bands: int) -> None:
    if values.ndim != 4 or values.shape[1] != bands:
        raise ValueError(f"{name} must be (B, {bands}, H, W), got {tuple(values.shape)}")
