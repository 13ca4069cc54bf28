"""The recipe: the numbers of training that are not options, and that a test or a benchmark may change."""

from __future__ import annotations

from dataclasses import dataclass, field

from s2fin_cli.teaching.recipe import EnsembleRecipe


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """Which pixels are learnt from.

    Attributes:
        scene_cells: cells all over the scene whose pixels the teacher labels, at most.
        scene_pixels: approximately how many pixels are drawn in them; the other pixels of the cells are labelled too.
        scene_bytes: memory that they may take.
        label_cells: cells with labels that the network learns from, at most.
        label_bytes: memory that they may take.
        noise_cells: cells that the noise of the spectra is estimated from, at most.
        teacher_labels: labelled pixels of one class that the teacher learns from, at most: more would only cost time.
    """

    scene_cells: int = 512
    scene_pixels: int = 16384
    scene_bytes: int = 512 << 20
    label_cells: int = 512
    label_bytes: int = 512 << 20
    noise_cells: int = 48
    teacher_labels: int = 200


@dataclass(frozen=True, kw_only=True)
class HoldingOut:
    """Which labelled pixels are held out.

    Attributes:
        reach: pixels beyond a window within which pixels share much of their surroundings; the side of held-out blocks
            is a multiple of it.
        fewest: with fewer labelled pixels in the median class, none are held out: training would miss them, and they
            would reveal little.
    """

    reach: int = 6
    fewest: int = 40


@dataclass(frozen=True, kw_only=True)
class Dense:
    """What is different if labels are dense.

    Attributes:
        within: labels are dense if half of the scene's pixels have one within this many pixels.
        block_size: pixels a side that a window predicts: fewer, as there is more to copy.
        power: a class is drawn by this power of its size; otherwise all classes are drawn equally often.
        rate: factor of the learning rate.
        steps: factor of the most steps of a round.
    """

    within: float = 6.0
    block_size: int = 3
    power: float = 0.5
    rate: float = 2.0
    steps: int = 4


@dataclass(frozen=True, kw_only=True)
class ContextSteps:
    """How AFCM is trained alone, at first.

    Attributes:
        steps: how many steps.
        pixels: pixels of a step.
        rate: peak learning rate.
    """

    steps: int = 300
    pixels: int = 1024
    rate: float = 8e-3


@dataclass(frozen=True, kw_only=True)
class Steps:
    """How the whole network learns.

    Attributes:
        fewest, of_class, most: steps of a round at least, at least for each class, and at most.
        labels_of_step: between these, a round has a step for each of this many labels, because with more labels the
            teacher has more to pass on.
        label_weight: how much more a labelled pixel counts in the loss than one without a label.
        weight_decay: weight decay of the optimiser.
        warmup: share of the steps in which the learning rate rises.
        average_decay: decay of the moving average of the weights, which becomes the result.
        gradient_norm: longer gradients are shortened to this norm.
        windows_to_temper: windows on which the scale of the trained network's logits is chosen.
    """

    fewest: int = 16
    of_class: int = 1
    most: int = 20
    labels_of_step: int = 8
    label_weight: float = 4.0
    weight_decay: float = 0.02
    warmup: float = 0.1
    average_decay: float = 0.95
    gradient_norm: float = 5.0
    windows_to_temper: int = 256


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """Standard deviations of the random changes to a window, in units of a band's own.

    Attributes:
        gain: deviation of the factor of all bands.
        band_gain: deviation of the factor of each band.
        offset: deviation of the offset of all bands.
        noise: deviation of the noise of each value.
    """

    gain: float = 0.05
    band_gain: float = 0.03
    offset: float = 0.05
    noise: float = 0.03


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a network is trained, apart from the options.

    Attributes:
        ensemble: recipe of the default teacher.
        sampling: which pixels are learnt from.
        holding_out: which labelled pixels are held out.
        dense: what is different if labels are dense.
        context: how AFCM is trained alone.
        steps: how the whole network is trained.
        augmentation: random changes to windows.
        label_smoothing: share of a label's probability that is spread over all classes.
        refit_share: share of the rounds that suffices if the network resumes from training on a part of the labels.
    """

    ensemble: EnsembleRecipe = field(default_factory=EnsembleRecipe)
    sampling: Sampling = field(default_factory=Sampling)
    holding_out: HoldingOut = field(default_factory=HoldingOut)
    dense: Dense = field(default_factory=Dense)
    context: ContextSteps = field(default_factory=ContextSteps)
    steps: Steps = field(default_factory=Steps)
    augmentation: Augmentation = field(default_factory=Augmentation)
    label_smoothing: float = 0.01
    refit_share: float = 0.4
