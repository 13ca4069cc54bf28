"""The configuration of an S2Fin network: its sizes, and which of its parts are switched on.

The parts are the published ones (arXiv 2510.04628); all sizes and defaults are this project's choice.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

FREQUENCY_MASKS = ("soft", "hard")
RESONANCES = ("frequency", "spatial")
POSITIVE = (
    "in_channels", "aux_channels", "width", "map_width", "deep_width", "max_tokens",
    "depth", "heads", "state_size", "map_tokens", "components", "block_size", "context_width",
)  # fmt: skip
#: The most layers of HFSET, and the largest of all other sizes: what a raster can have of bands and a map of classes.
MAX_DEPTH, MAX_SIZE = 64, 65_536
MIN_PATCH_SIZE = 5
MAX_PATCH_SIZE = 21
#: Sides of the squares whose means and deviations AFCM fuses, in pixels.
CONTEXT_SCALES = (3, 7, 15, 31)
#: Pixels that the stem's convolution needs on each side.
HALO = 1


@dataclass(frozen=True, kw_only=True)
class S2FinConfig:
    """Sizes and switches of a network; immutable, validated on creation.

    A new switch is a field here and a condition where its part is made; `PARTS` and the tests over all configurations
    include it automatically.

    Attributes:
        in_channels: bands of the passive image (hyperspectral or multispectral).
        aux_channels: bands of the second image (LiDAR, SAR), or of the projection that stands in for it.
        num_classes: classes, so logits.
        patch_size: pixels along one side of a window; odd, 5 to 21.
        block_size: pixels along one side of the central block of a window whose pixels the head classifies; odd, at
            most `patch_size`.
        components: spectral components of the passive image, fixed projections of its bands, which its map also sees.
        context_size: pixels along one side of the surroundings that AFCM fuses: 3, 7, 15 or 31.
        context_width: width of AFCM's hidden layers.
        width: channels of a spectral token.
        map_width: channels of the feature maps at the resolution of the pixels.
        deep_width: channels of the feature maps at half that resolution.
        max_tokens: the bands are divided into at most this many contiguous groups, one token per group.
        depth: HFSET layers.
        heads: attention heads in HFSET, and heads of the selective scan.
        topk: share of the keys that each query of the sparse attention keeps, 0 to 1 (at least two keys).
        state_size: size of the selective scan's state.
        map_tokens: tokens that each feature map is pooled to in the head, one for each scale.
        temperature: softness of the frequency masks, in units of the highest frequency.
        dropout: probability, in HFSET's feed-forward part and before the classifier.
        hfset, afcm, ssaf, hfrm, scan: whether the network has that part; without it, its inputs pass unchanged.
        frequency_mask: "soft" masks have trainable thresholds, "hard" ones have the same thresholds, fixed.
        resonance: where HFRM compares the images, "frequency" (phase) or "spatial" (high-pass detail, by pixel).
        aux_from_image: there is only one image, and its components serve as the second (our extension).
    """

    in_channels: int
    aux_channels: int
    num_classes: int
    patch_size: int = 7
    block_size: int = 5
    components: int = 12
    context_size: int = 31
    context_width: int = 128
    width: int = 80
    map_width: int = 48
    deep_width: int = 96
    max_tokens: int = 16
    depth: int = 1
    heads: int = 4
    topk: float = 0.5
    state_size: int = 16
    map_tokens: int = 4
    temperature: float = 0.05
    dropout: float = 0.1
    hfset: bool = True
    afcm: bool = True
    ssaf: bool = True
    hfrm: bool = True
    scan: bool = True
    frequency_mask: str = "soft"
    resonance: str = "frequency"
    aux_from_image: bool = False

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            _check_type(field.name, getattr(self, field.name), str(field.type))
        for name in POSITIVE:
            most = MAX_DEPTH if name == "depth" else MAX_SIZE
            _require(1 <= getattr(self, name) <= most, name, getattr(self, name), f"at least 1 and at most {most}")
        in_range = 2 <= self.num_classes <= MAX_SIZE
        _require(in_range, "num_classes", self.num_classes, f"at least 2 and at most {MAX_SIZE}")
        size = self.patch_size
        in_range = MIN_PATCH_SIZE <= size <= MAX_PATCH_SIZE and size % 2 == 1
        _require(in_range, "patch_size", size, f"an odd number from {MIN_PATCH_SIZE} to {MAX_PATCH_SIZE}")
        sizes = ", ".join(map(str, CONTEXT_SCALES))
        _require(self.context_size in CONTEXT_SCALES, "context_size", self.context_size, f"one of {sizes}")
        in_patch = self.block_size <= self.patch_size and self.block_size % 2 == 1
        _require(in_patch, "block_size", self.block_size, f"odd and at most patch_size ({self.patch_size})")
        if self.aux_from_image:
            _require(self.aux_channels == self.components, "aux_channels", self.aux_channels, "as many as components")
        _require(self.width % self.heads == 0, "width", self.width, f"a multiple of heads ({self.heads})")
        _require(0.0 < self.topk <= 1.0, "topk", self.topk, "above 0 and at most 1")
        _require(0.0 < self.temperature <= 1.0, "temperature", self.temperature, "above 0 and at most 1")
        _require(0.0 <= self.dropout < 1.0, "dropout", self.dropout, "at least 0 and below 1")
        _require(
            self.frequency_mask in FREQUENCY_MASKS, "frequency_mask", self.frequency_mask, _any_of(FREQUENCY_MASKS)
        )
        _require(self.resonance in RESONANCES, "resonance", self.resonance, _any_of(RESONANCES))

    @property
    def context_scales(self) -> tuple[int, ...]:
        """Sides of the squares that AFCM fuses."""
        return CONTEXT_SCALES[: CONTEXT_SCALES.index(self.context_size) + 1]

    @property
    def context_channels(self) -> int:
        """Channels whose surroundings AFCM fuses: the image's components, and the second image's bands."""
        return self.components + (0 if self.aux_from_image else self.aux_channels)

    @property
    def deep_size(self) -> int:
        """Side of a window's maps at half the resolution."""
        return self.patch_size // 2 + 1

    @property
    def near_size(self) -> int:
        """Side of the part of a patch that is seen band by band."""
        return self.patch_size + 2 * HALO

    @property
    def input_size(self) -> int:
        """Side of the patch that one window needs: a square of `context_size` around each of its pixels.

        NOTE: the same without AFCM, although less would do: leaving out a part must not change the training samples.
        """
        return self.patch_size + self.context_size - 1

    @property
    def group_size(self) -> int:
        """Bands in one spectral token (the last token may have fewer)."""
        return -(-self.in_channels // self.max_tokens)

    @property
    def num_tokens(self) -> int:
        """Spectral tokens of one pixel, 1 to `max_tokens`."""
        return -(-self.in_channels // self.group_size)

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as plain JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Make a configuration from the result of `to_dict`.

        Raises:
            ValueError: a key is unknown or a required one is missing (the message names it), or a value is wrong.
        """
        fields = {field.name: field for field in dataclasses.fields(cls)}
        unknown = sorted(set(values) - set(fields))
        if unknown:
            raise ValueError(f"unknown network options: {', '.join(unknown)}")
        missing = [name for name, f in fields.items() if f.default is dataclasses.MISSING and name not in values]
        if missing:
            raise ValueError(f"missing network options: {', '.join(missing)}")
        return cls(**values)


#: The switches of the parts, which are on by default.
PARTS = tuple(field.name for field in dataclasses.fields(S2FinConfig) if field.default is True)


def _require(condition: bool, name: str, value: object, wanted: str) -> None:
    if not condition:
        raise ValueError(f"{name} must be {wanted}, got {value!r}")


def _check_type(name: str, value: object, kind: str) -> None:
    # bool is an int in Python, but True is not a number of bands
    number = isinstance(value, int | float) and not isinstance(value, bool)
    fits = {
        "int": number and isinstance(value, int),
        "float": number,
        "bool": isinstance(value, bool),
        "str": isinstance(value, str),
    }
    _require(fits[kind], name, value, f"of type {kind}")


def _any_of(names: tuple[str, ...]) -> str:
    return " or ".join(repr(name) for name in names)
