"""The S2Fin network: stem, shallow, intermediate and deep stage, head.

Published (arXiv 2510.04628): the three inputs, the pairwise fusion by depth of the network (AFCM shallow, SSAF
intermediate, HFRM deep), HFSET on the spectra, cross-entropy on the centre pixel. The convolution blocks between these
parts, the sizes, the head and all equations are this project's reconstruction, see `docs/network.md`.

Inside a window, maps are (B, H * W, C): channels last is what linear layers, LayerNorm and the small DFTs work on
without a transposition. LayerNorm only, no BatchNorm: a window's result must not depend on its batch, nor differ
between training on patches and evaluation over a tile.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from s2fin.afcm import AFCM, context_of
from s2fin.config import HALO, S2FinConfig
from s2fin.hfrm import HFRM
from s2fin.hfset import HFSET
from s2fin.pointwise import Linear
from s2fin.scan import SelectiveScan
from s2fin.ssaf import SSAF
from s2fin.standardizer import Floats, Standardizer, checked_statistic

#: Pixels of a tile whose tokens are refined at a time: bounds memory, and keeps the work within a CPU's cache.
TOKEN_CHUNK = 512
#: Likewise on other devices, where small pieces of work would leave most of the device idle.
DEVICE_TOKEN_CHUNK = 1 << 14


class StageMaps(NamedTuple):
    """What the stages give for each window.

    Attributes:
        tokens: (B, N, d).
        image, aux: deep maps (B, p * p, D') of half the resolution.
        fine: the maps (B, P * P, D) of both images that the deep ones were made of.
    """

    tokens: Tensor
    image: Tensor
    aux: Tensor
    fine: tuple[Tensor, Tensor]


class StemMaps(NamedTuple):
    """What the stem gives for each pixel.

    Attributes:
        tokens: (B, N, d, h, w).
        image, aux: maps (B, D, h, w) of both images.
        logits: (B, num_classes, h, w), AFCM's own of each pixel; 0 without it.
    """

    tokens: Tensor
    image: Tensor
    aux: Tensor
    logits: Tensor


# ---- blocks ------------------------------------------------------------------------------------------------------


class TokenEmbedding(nn.Module):
    """Embeds each contiguous group of bands, over the 3 x 3 neighbourhood, as one token, and adds its position."""

    def __init__(self, cfg: S2FinConfig) -> None:
        super().__init__()
        self.shape = (cfg.num_tokens, cfg.width)
        self.missing = cfg.num_tokens * cfg.group_size - cfg.in_channels
        channels = cfg.num_tokens * cfg.group_size
        self.conv = nn.Conv2d(channels, cfg.num_tokens * cfg.width, 3, groups=cfg.num_tokens)
        self.position = nn.Parameter(torch.randn(self.shape) * 0.02)

    def forward(self, x: Tensor, *, stride: int = 1) -> Tensor:
        """Give tokens (B, h, w, N, d) of an image (B, C, h + 2, w + 2), or of every so many of its pixels."""
        x = nn.functional.pad(x, (0, 0, 0, 0, 0, self.missing)) if self.missing else x
        tokens = nn.functional.conv2d(x, self.conv.weight, self.conv.bias, stride, groups=self.conv.groups)
        return tokens.permute(0, 2, 3, 1).reshape(*tokens.shape[:1], *tokens.shape[2:], *self.shape) + self.position


class MapStem(nn.Module):
    """Mixes the bands of each pixel of both images, convolves over 3 x 3, and adds AFCM's output; no padding.

    Equation (ours), for both images x_m: y_m = GELU(U_m x_m); out_m = LN(V_m GELU(conv(y_m)) + W_m AFCM), AFCM
    what it gives at the pixel, which has logits of its own too.
    NOTE: over a tile this runs once a pixel, and the stages once a pixel of each window, which is 49 times as often at
    the default size; so the wide layers, and all that looks beyond the window, are here.
    """

    def __init__(self, cfg: S2FinConfig) -> None:
        super().__init__()
        channels, width = (cfg.in_channels + cfg.components, cfg.aux_channels), cfg.map_width
        self.mix = nn.ModuleList(nn.Sequential(Linear(count, width), nn.GELU()) for count in channels)
        self.conv = nn.ModuleList(nn.Conv2d(width, 2 * width, 3) for _ in channels)
        self.narrow = nn.ModuleList(nn.Sequential(nn.GELU(), Linear(2 * width, width)) for _ in channels)
        self.afcm = _afcm(cfg) if cfg.afcm else None
        self.add = nn.ModuleList(Linear(cfg.context_width, width) for _ in channels if cfg.afcm)
        self.num_classes, self.has_second = cfg.num_classes, not cfg.aux_from_image
        self.norm = nn.ModuleList(nn.LayerNorm(width) for _ in channels)

    def forward(self, x: Tensor, a: Tensor, context: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Give maps (B, D, h, w) and logits (B, num_classes, h, w), stored channels last.

        Args:
            x: the image (B, C, h + 2, w + 2).
            a: the second image (B, C, h + 2, w + 2).
            context: of the pixels, (B, h, w, C').
        """
        mixed = [mix(part.permute(0, 2, 3, 1)) for mix, part in zip(self.mix, (x, a), strict=True)]
        near = [_convolved(conv, part) for conv, part in zip(self.conv, mixed, strict=True)]
        maps = [narrow(part) for narrow, part in zip(self.narrow, near, strict=True)]
        if self.afcm is None:
            logits = context.new_zeros(*context.shape[:3], self.num_classes)
        else:
            values = self.values(_cropped(x, HALO), _cropped(a, HALO)).permute(0, 2, 3, 1)
            fused = self.afcm(values, context)
            maps = [own + add(fused) for own, add in zip(maps, self.add, strict=True)]
            logits = self.afcm.classify(fused)
        image, aux = (norm(part).permute(0, 3, 1, 2) for norm, part in zip(self.norm, maps, strict=True))
        return image, aux, logits.permute(0, 3, 1, 2)

    def values(self, x: Tensor, a: Tensor) -> Tensor:
        """Give the channels (B, C, ...) that AFCM takes: not those of a second image that is made of the first."""
        return torch.cat([x, a], dim=1) if self.has_second else x


class ConvBlock(nn.Module):
    """A residual block on maps (B, H * W, C): depthwise 3 x 3, LayerNorm, and two linear layers around a GELU."""

    def __init__(self, channels: int, *, expansion: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.mlp = nn.Sequential(
            nn.LayerNorm(channels),
            Linear(channels, expansion * channels),
            nn.GELU(),
            Linear(expansion * channels, channels),
        )

    def forward(self, maps: Tensor, shape: tuple[int, int]) -> Tensor:
        """Give maps (B, H * W, C) over `shape` (H, W)."""
        block: Tensor = maps + self.mlp(_flat(self.depthwise(_planes(maps, shape))))
        return block


class Halve(nn.Module):
    """A 3 x 3 convolution of stride 2: maps (B, H * W, C) to (B, ceil(H / 2) * ceil(W / 2), C'), then LayerNorm.

    NOTE: with odd sides, the window's centre stays the centre of the halved window.
    """

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, out_channels, 3, stride=2, padding=1)
        self.norm = nn.LayerNorm(out_channels)

    def forward(self, maps: Tensor, shape: tuple[int, int]) -> Tensor:
        """Halve maps over `shape` (H, W)."""
        halved: Tensor = self.norm(_flat(self.conv(_planes(maps, shape))))
        return halved


class CentredPooling(nn.Module):
    """Pools a map around its centre, the pixel to classify, at several trained scales.

    Equation (ours): token k is the mean of the positions, weighted by softmax(-r^2 / (2 sigma_k^2)), r in positions
    from the centre; sigma starts spread from half a position to the whole window.
    """

    radius_squared: Tensor

    def __init__(self, side: int, count: int) -> None:
        super().__init__()
        axis = torch.arange(side, dtype=torch.float32) - (side - 1) / 2
        self.register_buffer("radius_squared", (axis[:, None] ** 2 + axis**2).flatten(), persistent=False)
        self.log_sigma = nn.Parameter(torch.linspace(0.5, side / 2, count).log())

    def forward(self, maps: Tensor) -> Tensor:
        """Give tokens (B, count, C) of maps (B, side * side, C)."""
        weights = torch.softmax(-0.5 * self.radius_squared * torch.exp(-2 * self.log_sigma)[:, None], dim=1)
        return weights @ maps


# ---- stages ------------------------------------------------------------------------------------------------------


class WindowStages(nn.Module):
    """The stages on a window's two maps: blocks, SSAF and halving, HFRM and blocks.

    A part that is switched off passes its inputs on.
    """

    def __init__(self, cfg: S2FinConfig) -> None:
        super().__init__()
        hard = cfg.frequency_mask == "hard"
        width, deep, soft = cfg.map_width, cfg.deep_width, cfg.temperature
        self.shape = (cfg.patch_size, cfg.patch_size)
        self.deep_shape = (cfg.patch_size // 2 + 1, cfg.patch_size // 2 + 1)
        self.shallow = nn.ModuleList(ConvBlock(width, expansion=1) for _ in range(2))
        self.ssaf = SSAF(cfg.width, width) if cfg.ssaf else None
        self.halve = nn.ModuleList(Halve(width, deep) for _ in range(2))
        spatial = cfg.resonance == "spatial"
        self.hfrm = HFRM(deep, temperature=soft, hard=hard, spatial=spatial) if cfg.hfrm else None
        self.deep = nn.ModuleList(ConvBlock(deep, expansion=2) for _ in range(2))

    def forward(self, tokens: Tensor, image: Tensor, aux: Tensor) -> StageMaps:
        """Take tokens (B, N, d) and maps (B, P * P, D)."""
        image, aux = (block(maps, self.shape) for block, maps in zip(self.shallow, (image, aux), strict=True))
        if self.ssaf is not None:
            tokens, image, aux = self.ssaf(tokens, image, aux)
        fine = image, aux
        image, aux = (halve(maps, self.shape) for halve, maps in zip(self.halve, (image, aux), strict=True))
        if self.hfrm is not None:
            image, aux = self.hfrm(image, aux, self.deep_shape)
        image, aux = (block(maps, self.deep_shape) for block, maps in zip(self.deep, (image, aux), strict=True))
        return StageMaps(tokens, image, aux, fine)


class Head(nn.Module):
    """Classifies pixels of a window, by what they look like and by what the window is.

    Equation (ours): both deep maps are pooled to tokens, the sequence of all tokens is scanned, and m are the three
    sources' means. The logits of a pixel are W GELU(W_x LN[X_1; X_2] + W_m LN(m)), X_1 and X_2 the fine maps there;
    AFCM's are added to them.
    NOTE: so a window serves a block of pixels, and what a single pixel looks like reaches the logits on a short way.
    """

    def __init__(self, cfg: S2FinConfig) -> None:
        super().__init__()
        side = cfg.patch_size // 2 + 1
        self.sizes = [cfg.num_tokens, cfg.map_tokens, cfg.map_tokens]
        self.pool = nn.ModuleList(CentredPooling(side, cfg.map_tokens) for _ in range(2))
        self.project = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(cfg.deep_width), Linear(cfg.deep_width, cfg.width)) for _ in range(2)
        )
        self.position = nn.Parameter(torch.randn(2 * cfg.map_tokens, cfg.width) * 0.02)
        self.scan = SelectiveScan(cfg.width, state_size=cfg.state_size, heads=cfg.heads) if cfg.scan else None
        self.of_window = nn.Sequential(nn.LayerNorm(3 * cfg.width), Linear(3 * cfg.width, cfg.deep_width))
        self.of_pixel = nn.Sequential(nn.LayerNorm(2 * cfg.map_width), Linear(2 * cfg.map_width, cfg.deep_width))
        self.act = nn.GELU()
        self.dropout = nn.Dropout(cfg.dropout)
        self.classify = Linear(cfg.deep_width, cfg.num_classes)

    def forward(self, maps: StageMaps, positions: Tensor) -> Tensor:
        """Give logits (B, n, num_classes) at positions of the windows, (n,) or, each window its own, (B, n)."""
        fine = torch.cat([_picked(part, positions) for part in maps.fine], dim=2)
        hidden = self.of_pixel(fine) + self.of_window(self.sources(maps)).unsqueeze(1)
        logits: Tensor = self.classify(self.dropout(self.act(hidden)))
        return logits

    def sources(self, maps: StageMaps) -> Tensor:
        """Give the means (B, 3 d) of the tokens of each source: spectrum, image, second image."""
        pooled = [
            project(pool(part))
            for project, pool, part in zip(self.project, self.pool, (maps.image, maps.aux), strict=True)
        ]
        sequence = torch.cat([maps.tokens, torch.cat(pooled, dim=1) + self.position], dim=1)
        if self.scan is not None:
            sequence = self.scan(sequence)
        return torch.cat([source.mean(dim=1) for source in torch.split(sequence, self.sizes, dim=1)], dim=1)


# ---- model -------------------------------------------------------------------------------------------------------


class S2Fin(nn.Module):
    """The network, from raw values to logits.

    `forward` classifies the centre of patches. For a tile, `standardize` and `stem` run once, then `classify_windows`
    on the windows gathered from the stem's maps: the same function, because the stem pads nothing.

    Attributes:
        cfg: the configuration.
        input_size: side of the patches that `forward` takes.
    """

    image_mean: Tensor
    image_std: Tensor
    aux_mean: Tensor
    aux_std: Tensor
    components: Tensor

    def __init__(self, cfg: S2FinConfig) -> None:
        super().__init__()
        self.cfg = cfg
        self.input_size = cfg.input_size
        for name, channels in (("image", cfg.in_channels), ("aux", cfg.aux_channels)):
            self.register_buffer(f"{name}_mean", torch.zeros(channels, 1, 1))
            self.register_buffer(f"{name}_std", torch.ones(channels, 1, 1))
        self.register_buffer("components", torch.eye(cfg.components, cfg.in_channels))
        self.embedding = TokenEmbedding(cfg)
        # NOTE: a single band has no spectral axis, so nothing that HFSET could filter or attend to
        layers = cfg.depth if cfg.hfset and cfg.num_tokens > 1 else 0
        self.hfset = nn.Sequential(*(_hfset(cfg) for _ in range(layers)))
        self.map_stem = MapStem(cfg)
        self.stages = WindowStages(cfg)
        self.head = Head(cfg)
        initialise(self)

    def forward(self, image: Tensor, aux: Tensor | None = None) -> Tensor:
        """Give logits (B, num_classes) of raw patches (B, C, S, S), S = `input_size`."""
        return self.classify_patches(*self.standardize(image, aux))

    def classify_patches(self, x: Tensor, a: Tensor) -> Tensor:
        """Give logits (B, num_classes) of standardised patches (B, C, S, S), S = `input_size`."""
        side = self.input_size
        if x.shape[-2:] != (side, side):
            raise ValueError(f"patches must be {side} x {side} pixels, got {x.shape[-2]} x {x.shape[-1]}")
        return self.classify_parts(self.near(x), self.near(a), self.context(x, a), self.block(1))[:, 0]

    def classify_parts(self, x: Tensor, a: Tensor, context: Tensor, positions: Tensor) -> Tensor:
        """Give logits (B, n, num_classes) of pixels of the windows at the centres of patches.

        Args:
            x: near parts of the image's standardised patches, see `near`.
            a: near parts of the second image's.
            context: (B, P, P, C'), of the windows' pixels, see `context`.
            positions: which pixels, as for `classify_windows`.
        """
        maps = self.stem(x, a, context, border=self.cfg.patch_size // 2)
        return self.classify_windows(maps.tokens[..., 0, 0], maps.image, maps.aux, maps.logits, positions)

    def near(self, values: Tensor) -> Tensor:
        """Cut what is looked at band by band of standardised patches, or of a tile with their margin, (B, C, H, W)."""
        return _cropped(values, (self.input_size - self.cfg.near_size) // 2)

    def context(self, x: Tensor, a: Tensor) -> Tensor:
        """Give the context (B, h, w, C') of each pixel of standardised images (B, C, H, W), see `context_of`.

        It is that of the components and of the second image; h = H - `context_size` + 1, w likewise.
        """
        components = x[:, self.cfg.in_channels :]
        told = components if self.cfg.aux_from_image else torch.cat([components, a], dim=1)
        return context_of(told.permute(0, 2, 3, 1), self.cfg.context_scales)

    @property
    def standardizer(self) -> Standardizer:
        """What standardises raw values, with the statistics that are set."""
        alone = self.cfg.aux_from_image
        second = (None, None) if alone else (self.aux_mean, self.aux_std)
        return Standardizer(self.image_mean, self.image_std, self.components, *second)

    def standardize(self, image: Tensor, aux: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Scale raw values (B, C, H, W) of both images to mean 0 and deviation 1; what is not finite becomes 0.

        The first result has the image's components behind its bands. With `aux_from_image`, `aux` must be None, and
        the second result is the components alone.

        Raises:
            ValueError: the number of bands is not the network's, or `aux` is missing, or there where it must not be.
        """
        return self.standardizer(image, aux)

    def stem(self, x: Tensor, a: Tensor, context: Tensor, *, border: int = 0, stride: int = 1) -> StemMaps:
        """Give each pixel's tokens and features, of near parts (B, C, h + 2, w + 2) of standardised images.

        The maps are views of channels-last memory, so that one pixel's values lie together.

        Args:
            x: of the passive image.
            a: of the second image.
            context: (B, h, w, C''), of the same pixels.
            border: tokens are most of the work and needed at windows' centres only; they are left out this close to
                the maps' edges, so theirs is a map of (h - 2 border, w - 2 border).
            stride: odd; of what is left, the central pixel of each `stride` x `stride` block gets tokens.
        """
        centres = _cropped(x, border)[..., stride // 2 :, stride // 2 :]
        return StemMaps(self.tokens(centres, stride=stride).permute(0, 3, 4, 1, 2), *self.map_stem(x, a, context))

    def classify_windows(self, tokens: Tensor, image: Tensor, aux: Tensor, logits: Tensor, positions: Tensor) -> Tensor:
        """Give logits (B, n, num_classes) of pixels of windows.

        Args:
            tokens: of the windows' centre pixels, (B, N, d).
            image: windows of the stem's map of the image, (B, D, P, P); fastest in channels-last memory.
            aux: windows of the stem's map of the second image, likewise.
            logits: windows of the stem's logits, (B, num_classes, P, P), which the windows' are added to.
            positions: which pixels, row * P + column: the same of all windows (n,), see `block`, or each window its
                own (B, n). Trained are those of the central `block_size` x `block_size`.
        """
        of_windows: Tensor = self.head(self.stages(tokens, _flat(image), _flat(aux)), positions)
        # bfloat16 would round the sum to multiples of 0.06, and so classes that differ by less to the first of them
        dtype = torch.promote_types(of_windows.dtype, torch.float32)
        return of_windows.to(dtype) + _picked(_flat(logits), positions).to(dtype)

    def context_parameters(self) -> Iterator[nn.Parameter]:
        """The parameters that `classify_context` depends on; none without AFCM."""
        if self.map_stem.afcm is not None:
            yield from self.map_stem.afcm.parameters()

    def set_context_statistics(self, values: Tensor, context: Tensor) -> None:
        """Let AFCM scale what it takes by how it is spread over some pixels, (n, C) and (n, C')."""
        if self.map_stem.afcm is not None:
            self.map_stem.afcm.set_statistics(values, context)

    def classify_context(self, values: Tensor, context: Tensor) -> Tensor:
        """Give AFCM's own logits (..., num_classes) of single pixels.

        Args:
            values: (..., C), see `values`.
            context: (..., C'), see `context`.

        Raises:
            ValueError: the network has no AFCM.
        """
        if self.map_stem.afcm is None:
            raise ValueError("a network without AFCM has no logits of single pixels")
        logits: Tensor = self.map_stem.afcm.classify(self.map_stem.afcm(values, context))
        return logits

    def values(self, x: Tensor, a: Tensor) -> Tensor:
        """Give pixels' own values (B, C, ...) as AFCM takes them, of standardised images (B, C', ...)."""
        return self.map_stem.values(x, a)

    @torch.no_grad()
    def scale_logits(self, factor: float) -> None:
        """Multiply all logits."""
        afcm = self.map_stem.afcm
        for layer in (self.head.classify, *([] if afcm is None else [afcm.classify])):
            layer.weight.mul_(factor)
            layer.bias.mul_(factor)

    @torch.no_grad()
    def shift_logits(self, offsets: Tensor) -> None:
        """Add to the logits of each class, (num_classes,)."""
        self.head.classify.bias.add_(offsets)

    def block(self, size: int) -> Tensor:
        """Positions (size * size,) of a window's central block of odd size, row by row, for `classify_windows`."""
        side = self.cfg.patch_size
        axis = torch.arange(size, device=self.image_mean.device) + (side - size) // 2
        return (axis[:, None] * side + axis).flatten()

    @torch.no_grad()
    def set_statistics(
        self,
        image_mean: Floats,
        image_std: Floats,
        aux_mean: Floats | None = None,
        aux_std: Floats | None = None,
        *,
        components: Tensor | Sequence[Sequence[float]] | None = None,
    ) -> None:
        """Set the bands' means and standard deviations (0 counts as 1), and the components' projection.

        Args:
            image_mean: of the passive image's bands.
            image_std: likewise.
            aux_mean: of the second image's bands; none with `aux_from_image`.
            aux_std: likewise.
            components: what the components take from the standardised bands, (components, in_channels); None keeps
                what is set, at first the leading bands themselves.

        Raises:
            ValueError: a length is not the number of bands, a value is not finite, or a deviation is negative.
        """
        given: dict[str, Floats | Sequence[Sequence[float]] | None] = {
            "image_mean": image_mean,
            "image_std": image_std,
            "aux_mean": aux_mean,
            "aux_std": aux_std,
            "components": components,
        }
        if self.cfg.aux_from_image == (aux_mean is not None) or (aux_mean is None) != (aux_std is None):
            raise ValueError("two images need aux_mean and aux_std, and one image needs neither")
        for name, value in given.items():
            if value is not None:
                buffer = getattr(self, name)
                buffer.copy_(checked_statistic(name, value, like=buffer))

    def tokens(self, x: Tensor, *, stride: int = 1) -> Tensor:
        """Give the tokens (B, h, w, N, d) of a standardised image (B, C + components, h + 2, w + 2).

        With a stride they are those of every so many pixels, from the first one.
        """
        embedded: Tensor = self.embedding(x[:, : self.cfg.in_channels], stride=stride)
        if not len(self.hfset):
            return embedded
        chunks = torch.split(embedded.flatten(0, 2), TOKEN_CHUNK if x.device.type == "cpu" else DEVICE_TOKEN_CHUNK)
        return torch.cat([self.hfset(chunk) for chunk in chunks]).view_as(embedded)


# ---- initialisation ----------------------------------------------------------------------------------------------


@torch.no_grad()
def initialise(model: S2Fin) -> None:
    """Make residual branches and the classifier start small.

    NOTE: small and not zero, so that every parameter has a gradient from the first step; the remaining layers keep
    torch's own initialisation, whose biases spread the responses to a single band (LiDAR height) over its range.
    """
    for module in model.modules():
        if isinstance(module, HFSET):
            _shrink(module.out, module.ffn[-1])
        elif isinstance(module, ConvBlock):
            _shrink(module.mlp[-1])
        elif isinstance(module, SSAF):
            _shrink(*module.out)
        elif isinstance(module, SelectiveScan):
            _shrink(module.out)
    nn.init.normal_(model.head.classify.weight, std=0.02)
    nn.init.zeros_(model.head.classify.bias)


def _shrink(*layers: nn.Module) -> None:
    for layer in layers:
        for parameter in layer.parameters():
            parameter.mul_(0.3)


def _hfset(cfg: S2FinConfig) -> HFSET:
    return HFSET(
        cfg.width,
        num_tokens=cfg.num_tokens,
        heads=cfg.heads,
        topk=cfg.topk,
        temperature=cfg.temperature,
        hard=cfg.frequency_mask == "hard",
        dropout=cfg.dropout,
    )


def _afcm(cfg: S2FinConfig) -> AFCM:
    values = cfg.in_channels + cfg.components + (0 if cfg.aux_from_image else cfg.aux_channels)
    context = 2 * len(cfg.context_scales) * cfg.context_channels
    return AFCM(values + context, cfg.context_width, num_classes=cfg.num_classes)


def _cropped(planes: Tensor, border: int) -> Tensor:
    """Planes (..., H, W) without so many pixels at each edge."""
    return planes[..., border : planes.shape[-2] - border, border : planes.shape[-1] - border]


def _convolved(conv: nn.Module, maps: Tensor) -> Tensor:
    """What a convolution makes of maps (B, H, W, C), channels last too."""
    convolved: Tensor = conv(maps.permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last))
    return convolved.permute(0, 2, 3, 1)


def _flat(planes: Tensor) -> Tensor:
    """(B, C, H, W) to (B, H * W, C); no copy from channels-last memory."""
    return planes.permute(0, 2, 3, 1).flatten(1, 2)


def _picked(maps: Tensor, positions: Tensor) -> Tensor:
    """Values (B, n, C) of maps (B, m, C) at positions (n,), or at those of each map (B, n)."""
    if positions.ndim == 1:
        return maps[:, positions]
    return maps[torch.arange(len(maps), device=maps.device)[:, None], positions]


def _planes(maps: Tensor, shape: tuple[int, int]) -> Tensor:
    """(B, H * W, C) to (B, C, H, W), a view in channels-last memory."""
    return maps.view(maps.shape[0], *shape, maps.shape[2]).permute(0, 3, 1, 2)
