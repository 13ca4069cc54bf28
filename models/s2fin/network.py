"""The S2Fin network: standardisation, stem, stages, head.

Published (arXiv 2510.04628): the three inputs, the pairwise fusion by depth of the network (AFCM shallow, SSAF
intermediate, HFRM deep), HFSET on the spectra, cross-entropy on the centre pixel. The convolution blocks between these
parts, the sizes, the head and all equations are this project's reconstruction, see `docs/network.md`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from s2fin.afcm import context_of
from s2fin.config import S2FinConfig
from s2fin.head import Head
from s2fin.hfset import HFSET
from s2fin.layout import crop, flatten, pick
from s2fin.stages import WindowStages
from s2fin.standardizer import Floats, Standardizer, checked_statistic
from s2fin.stem import MapStem, StemMaps, TokenEmbedding

#: Pixels of a tile whose tokens are refined at a time: bounds memory, and keeps the work within a CPU's cache.
TOKEN_CHUNK = 512
#: The same on other devices, which would be idle most of the time with small pieces of work.
DEVICE_TOKEN_CHUNK = 1 << 14
#: The layers that compute logits: they have a row of weights for each class.
LOGIT_LAYERS = ("head.classify", "map_stem.afcm.classify")


class S2Fin(nn.Module):
    """The network, from raw values to logits.

    `forward` classifies the centre of patches. For a tile, `standardize`, `context` and `stem` run once, then
    `classify_windows` on windows cut from the stem's maps. Both give the same logits, because the stem pads nothing.

    Each part draws or sets its own parameters when it is made (`reset_parameters`, as in torch): the weights depend
    only on torch's seed and the configuration.

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
        # NOTE: a single token has no spectral axis, so HFSET has nothing to filter or attend to
        layers = cfg.depth if cfg.hfset and cfg.num_tokens > 1 else 0
        self.hfset = nn.Sequential(*(_hfset(cfg) for _ in range(layers)))
        self.map_stem = MapStem(cfg)
        self.stages = WindowStages(cfg)
        self.head = Head(cfg)

    # ---- patches -----------------------------------------------------------------------------------------------------

    def forward(self, image: Tensor, aux: Tensor | None = None) -> Tensor:
        """Compute logits (B, num_classes) of raw patches (B, C, S, S), S = `input_size`."""
        return self.classify_patches(*self.standardize(image, aux))

    def classify_patches(self, x: Tensor, a: Tensor) -> Tensor:
        """Compute logits (B, num_classes) of standardised patches (B, C, S, S), S = `input_size`.

        Raises:
            ValueError: the patches have another side.
        """
        side = self.input_size
        if x.shape[-2:] != (side, side):
            raise ValueError(f"patches must be {side} x {side} pixels, got {x.shape[-2]} x {x.shape[-1]}")
        return self.classify_parts(self.near(x), self.near(a), self.context(x, a), self.block(1))[:, 0]

    def classify_parts(self, x: Tensor, a: Tensor, context: Tensor, positions: Tensor) -> Tensor:
        """Compute logits (B, n, num_classes) of pixels of the windows at the centres of patches.

        Args:
            x: near parts of the image's standardised patches, see `near`.
            a: near parts of the second image's.
            context: (B, P, P, C''), of the windows' pixels, see `context`.
            positions: positions of the pixels in the window, as in `classify_windows`.
        """
        maps = self.stem(x, a, context, border=self.cfg.patch_size // 2)
        return self.classify_windows(maps.tokens[..., 0, 0], maps.image, maps.aux, maps.logits, positions)

    # ---- standardisation ---------------------------------------------------------------------------------------------

    @property
    def standardizer(self) -> Standardizer:
        """The standardizer of raw values, with the present statistics."""
        second = (None, None) if self.cfg.aux_from_image else (self.aux_mean, self.aux_std)
        return Standardizer(self.image_mean, self.image_std, self.components, *second)

    def standardize(self, image: Tensor, aux: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Scale raw values (B, C, H, W) of both images to mean 0 and deviation 1; values that are not finite become 0.

        The first result has the image's components after its bands. With `aux_from_image`, `aux` must be None, and
        the second result is the components alone.

        Raises:
            ValueError: the number of bands is not the network's, or `aux` is missing, or given where it must not be.
        """
        return self.standardizer(image, aux)

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
            image_mean: means of the passive image's bands.
            image_std: standard deviations of the passive image's bands.
            aux_mean: means of the second image's bands; None with `aux_from_image`.
            aux_std: standard deviations of the second image's bands; None with `aux_from_image`.
            components: weights of the standardised bands in each component, (components, in_channels); None keeps the
                present ones, at first the leading bands themselves.

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

    # ---- inputs of the stem ------------------------------------------------------------------------------------------

    def near(self, values: Tensor) -> Tensor:
        """Crop standardised patches, or a tile with its margin, (B, C, H, W), to the pixels seen band by band."""
        return crop(values, (self.input_size - self.cfg.near_size) // 2)

    def context(self, x: Tensor, a: Tensor) -> Tensor:
        """Compute the context of each pixel of standardised images (B, C, H, W): statistics of its surroundings.

        It is that of the components and of the second image, see `s2fin.afcm.context_of`.

        Returns:
            (B, h, w, C''), h = H - `context_size` + 1 and w = W - `context_size` + 1.
        """
        components = x[:, self.cfg.in_channels :]
        sources = components if self.cfg.aux_from_image else torch.cat([components, a], dim=1)
        return context_of(sources.permute(0, 2, 3, 1), self.cfg.context_scales)

    def values(self, x: Tensor, a: Tensor) -> Tensor:
        """Join the pixels' own values (B, C, ...) that AFCM takes, of standardised images (B, C', ...)."""
        return self.map_stem.values(x, a)

    # ---- tiles -------------------------------------------------------------------------------------------------------

    def stem(self, x: Tensor, a: Tensor, context: Tensor, *, border: int = 0, stride: int = 1) -> StemMaps:
        """Compute each pixel's tokens and features, of near parts (B, C, h + 2, w + 2) of standardised images.

        The maps are views of channels-last memory, so that one pixel's values are contiguous.

        Args:
            x: the passive image.
            a: the second image.
            context: (B, h, w, C''), of the same pixels.
            border: pixels at the maps' edges that get no tokens, which are most of the work and needed at windows'
                centres only: theirs is a map of (h - 2 border, w - 2 border).
            stride: odd; within the border, the central pixel of each `stride` x `stride` block gets tokens.
        """
        centres = crop(x, border)[..., stride // 2 :, stride // 2 :]
        return StemMaps(self.tokens(centres, stride=stride).permute(0, 3, 4, 1, 2), *self.map_stem(x, a, context))

    def tokens(self, x: Tensor, *, stride: int = 1) -> Tensor:
        """Compute the tokens (B, h, w, N, d) of a standardised image (B, C + components, h + 2, w + 2).

        With a stride they are those of every `stride`-th pixel, from the first one.
        """
        embedded: Tensor = self.embedding(x[:, : self.cfg.in_channels], stride=stride)
        if not len(self.hfset):
            return embedded
        chunks = torch.split(embedded.flatten(0, 2), TOKEN_CHUNK if x.device.type == "cpu" else DEVICE_TOKEN_CHUNK)
        return torch.cat([self.hfset(chunk) for chunk in chunks]).view_as(embedded)

    def classify_windows(self, tokens: Tensor, image: Tensor, aux: Tensor, logits: Tensor, positions: Tensor) -> Tensor:
        """Compute logits (B, n, num_classes) of pixels of windows.

        Args:
            tokens: tokens of the windows' centre pixels, (B, N, d).
            image: windows of the stem's map of the image, (B, D, P, P); fastest in channels-last memory.
            aux: windows of the stem's map of the second image, as `image`.
            logits: windows of the stem's logits, (B, num_classes, P, P), to which those of the windows are added.
            positions: positions of the pixels, row * P + column: the same in all windows (n,), see `block`, or each
                window's own (B, n). Training covers those of the central `block_size` x `block_size`.
        """
        return self.classify_pixels(tokens, image, aux, pick(flatten(logits), positions), positions)

    def classify_pixels(self, tokens: Tensor, image: Tensor, aux: Tensor, logits: Tensor, positions: Tensor) -> Tensor:
        """Compute what `classify_windows` does, given the stem's logits of the pixels only, (B, n, num_classes)."""
        of_windows: Tensor = self.head(self.stages(tokens, flatten(image), flatten(aux)), positions)
        # bfloat16 would round the sum to multiples of 0.06, and classes that differ by less would become equal
        dtype = torch.promote_types(of_windows.dtype, torch.float32)
        return of_windows.to(dtype) + logits.to(dtype)

    def block(self, size: int) -> Tensor:
        """Positions (size * size,) of a window's central block of odd size, row by row, for `classify_windows`."""
        side = self.cfg.patch_size
        axis = torch.arange(size, device=self.image_mean.device) + (side - size) // 2
        return (axis[:, None] * side + axis).flatten()

    # ---- AFCM alone --------------------------------------------------------------------------------------------------

    def classify_context(self, values: Tensor, context: Tensor) -> Tensor:
        """Compute AFCM's own logits (..., num_classes) of single pixels.

        Args:
            values: (..., C), see `values`.
            context: (..., C''), see `context`.

        Raises:
            ValueError: the network has no AFCM.
        """
        if self.map_stem.afcm is None:
            raise ValueError("a network without AFCM has no logits of single pixels")
        logits: Tensor = self.map_stem.afcm.classify(self.map_stem.afcm(values, context))
        return logits

    def context_parameters(self) -> Iterator[nn.Parameter]:
        """The parameters that `classify_context` depends on; none without AFCM."""
        if self.map_stem.afcm is not None:
            yield from self.map_stem.afcm.parameters()

    def set_context_statistics(self, values: Tensor, context: Tensor) -> None:
        """Make AFCM scale its inputs by means and deviations over pixels, (n, C) and (n, C''); nothing without AFCM."""
        if self.map_stem.afcm is not None:
            self.map_stem.afcm.set_statistics(values, context)

    # ---- logits ------------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def scale_logits(self, factor: float) -> None:
        """Multiply all logits."""
        afcm = self.map_stem.afcm
        for layer in (self.head.classify, *([] if afcm is None else [afcm.classify])):
            layer.weight.mul_(factor)
            layer.bias.mul_(factor)

    def with_classes(self, positions: Sequence[int]) -> S2Fin:
        """A network that knows some of this one's classes and gives the same logits for them.

        Args:
            positions: positions of the classes among this network's, at least two, in the order of the new one.
        """
        network = S2Fin(dataclasses.replace(self.cfg, num_classes=len(positions))).to(self.image_mean)
        chosen = torch.tensor(positions, device=self.image_mean.device)
        weights = {
            name: tensor[chosen] if name.rpartition(".")[0] in LOGIT_LAYERS else tensor
            for name, tensor in self.state_dict().items()
        }
        network.load_state_dict(weights)
        return network.train(self.training)

    @torch.no_grad()
    def shift_logits(self, offsets: Tensor) -> None:
        """Add `offsets` (num_classes,) to the logits."""
        self.head.classify.bias.add_(offsets)


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
