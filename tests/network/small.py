"""Small networks, their inputs, and how windows are cut from a tile."""

from typing import Any

import torch
from torch import Tensor, nn

from s2fin import S2Fin, S2FinConfig, StemMaps
from s2fin.config import PARTS

SMALL: dict[str, Any] = {
    "width": 16, "map_width": 8, "deep_width": 12, "state_size": 4, "context_size": 7, "context_width": 24,
}  # fmt: skip

#: The set of configurations: each part left out, and each alternative.
VARIANTS: dict[str, dict[str, Any]] = {
    "default": {},
    **{f"no-{part}": {part: False} for part in PARTS},
    "plain": dict.fromkeys(PARTS, False),
    "hard": {"frequency_mask": "hard"},
    "spatial": {"resonance": "spatial"},
    "dense-attention": {"topk": 1.0},
    "two-layers": {"depth": 2},
    "one-map-token": {"map_tokens": 1},
    "one-component": {"components": 1},
    "narrow-context": {"context_size": 3},
    "wide-context": {"context_size": 31},
    "one-image": {"aux_from_image": True, "aux_channels": 3, "components": 3},
}


def config(**options: Any) -> S2FinConfig:
    return S2FinConfig(**{"in_channels": 20, "aux_channels": 2, "num_classes": 5, "patch_size": 7, **SMALL, **options})


def seeded(cfg: S2FinConfig, seed: int = 0) -> S2Fin:
    torch.manual_seed(seed)
    return S2Fin(cfg).eval()


def inputs(model: S2Fin, batch: int = 3, side: int | None = None) -> tuple[Tensor, Tensor | None]:
    cfg, side = model.cfg, side or model.input_size
    generator = torch.Generator().manual_seed(7)
    dtype = model.image_mean.dtype
    image = torch.randn(batch, cfg.in_channels, side, side, generator=generator).to(dtype)
    aux = torch.randn(batch, cfg.aux_channels, side, side, generator=generator).to(dtype)
    return image, None if cfg.aux_from_image else aux


def square_of(image: Tensor, aux: Tensor | None, top: int, left: int, side: int) -> tuple[Tensor, Tensor | None]:
    """A square of both images."""
    square = (..., slice(top, top + side), slice(left, left + side))
    return image[square], None if aux is None else aux[square]


def tile_of(model: S2Fin, rows: int, cols: int) -> tuple[Tensor, Tensor | None]:
    """A tile (1, C, H, W) of rows x cols pixels, with the margin that its windows need."""
    side = max(rows, cols) + model.input_size - 1
    image, aux = inputs(model, batch=1, side=side)
    height, width = rows + model.input_size - 1, cols + model.input_size - 1
    return image[..., :height, :width], None if aux is None else aux[..., :height, :width]


def stem_of(model: S2Fin, x: Tensor, a: Tensor, *, border: int = 0, stride: int = 1) -> StemMaps:
    """The stem over standardised images (B, C, H, W) with their margin."""
    return model.stem(model.near(x), model.near(a), model.context(x, a), border=border, stride=stride)


def by_tile(model: S2Fin, image: Tensor, aux: Tensor | None, *, stride: int) -> Tensor:
    """Logits (rows, cols, stride^2, classes) of a tile's windows, gathered as the engine does."""
    maps = stem_of(model, *model.standardize(image, aux), border=model.cfg.patch_size // 2, stride=stride)
    rows, cols = ((side - model.input_size + 1) // stride for side in image.shape[-2:])
    logits = []
    for i in range(rows):
        for j in range(cols):
            top, left = i * stride + stride // 2, j * stride + stride // 2
            square = (..., slice(top, top + model.cfg.patch_size), slice(left, left + model.cfg.patch_size))
            windows = maps.image[square], maps.aux[square], maps.logits[square]
            logits.append(model.classify_windows(maps.tokens[..., i, j], *windows, model.block(stride))[0])
    return torch.stack(logits).view(rows, cols, stride**2, -1)


def afcm_inputs(model: S2Fin, image: Tensor, aux: Tensor | None) -> tuple[Tensor, Tensor]:
    """The values and the context of the pixels of patches' windows."""
    x, a = model.standardize(image, aux)
    values = model.values(model.near(x), model.near(a))[..., 1:-1, 1:-1]
    return values.permute(0, 2, 3, 1), model.context(x, a)


def randn(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64)


def shaken(module: nn.Module) -> nn.Module:
    """Move every parameter off its initial value, so that none hides behind a zero or a one."""
    module.double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return module.eval()
