"""A plain convolutional network with a branch for each image, which is one of the peers."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from peer_features import Predict, Samples
from s2fin_cli.core.device import pick_device

if TYPE_CHECKING:
    from numpy.typing import NDArray

BATCH_SIZE = 64
LEARNING_RATE = 5e-4
WEIGHT_DECAY = 0.2
LABEL_SMOOTHING = 0.1


@dataclass(frozen=True)
class CNNSettings:
    """Size and training of the network.

    Attributes:
        widths: channels of the three convolutions, which by default give about as many parameters as s2fin has.
        band_dropout: probability that a band is left out of a patch.
        dropout: probability that a feature is left out before the classifier.
        steps: number of steps of training.
        settling_steps: batches from which the statistics of its normalisation are taken at the end; 0 keeps those of
            training.
    """

    widths: tuple[int, int, int] = (64, 128, 128)
    band_dropout: float = 0.2
    dropout: float = 0.5
    steps: int = 600
    settling_steps: int = 30


class TwoBranchCNN(nn.Module):
    """A plain CNN for each image, and a linear layer on the outputs of both.

    Args:
        patches: training patches (n, channels, 11, 11), by whose bands' means and deviations all are standardised.
        image_bands: how many of the channels are the passive image's.
        classes: number of classes.
        settings: its size.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, patches: Tensor, *, image_bands: int, classes: int, settings: CNNSettings) -> None:
        super().__init__()
        self.bands = [image_bands, patches.shape[1] - image_bands]
        std, mean = torch.std_mean(patches, dim=(0, 2, 3), keepdim=True)
        self.register_buffer("mean", mean)
        self.register_buffer("std", torch.where(std > 0, std, 1))
        self.branches = nn.ModuleList(_branch(bands, settings.widths) for bands in self.bands)
        self.drop = nn.Dropout2d(settings.band_dropout)
        self.classify = nn.Sequential(nn.Dropout(settings.dropout), nn.Linear(2 * settings.widths[-1] * 4 * 4, classes))

    def forward(self, patches: Tensor) -> Tensor:
        """Give logits (B, classes) of patches (B, channels, 11, 11)."""
        values = self.drop((patches - self.mean) / self.std)
        parts = zip(self.branches, torch.split(values, self.bands, dim=1), strict=True)
        logits: Tensor = self.classify(torch.cat([branch(part) for branch, part in parts], dim=1))
        return logits


def _branch(bands: int, widths: tuple[int, int, int]) -> nn.Sequential:
    """Three convolutions: 11 x 11 pixels to 9 x 9, 7 x 7, and, after pooling, 4 x 4."""
    layers: list[nn.Module] = []
    for before, after, padding in zip((bands, *widths), widths, (0, 0, 1), strict=False):
        layers += [nn.Conv2d(before, after, 3, padding=padding, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
    layers.insert(6, nn.MaxPool2d(2, ceil_mode=True))
    return nn.Sequential(*layers, nn.Flatten())


def fit_cnn(samples: Samples, seed: int, settings: CNNSettings | None = None) -> Predict:
    """Train a two-branch CNN on class-balanced batches of rotated and flipped patches, for a fixed number of steps."""
    settings, device = settings or CNNSettings(), pick_device("auto")
    patches = torch.from_numpy(samples.features).to(device, memory_format=torch.channels_last)
    targets = torch.from_numpy(samples.targets).to(device)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = TwoBranchCNN(
            patches, image_bands=samples.image_bands, classes=int(samples.targets.max()) + 1, settings=settings
        )
        network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        _train(network, patches, targets, steps=settings.steps)
        _settle(network, patches, targets, steps=settings.settling_steps)

    @torch.inference_mode()
    def predict(features: NDArray[np.float32]) -> NDArray[np.float64]:
        logits = network(torch.from_numpy(features).to(device, memory_format=torch.channels_last))
        return np.asarray(logits.double().softmax(dim=1).cpu().numpy())

    return predict


def _train(network: nn.Module, patches: Tensor, targets: Tensor, *, steps: int) -> None:
    optimiser = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=LEARNING_RATE, total_steps=steps)
    for _ in range(steps):
        drawn = _drawn(targets)
        logits = network(_turned(patches[drawn]))
        loss = F.cross_entropy(logits, targets[drawn], label_smoothing=LABEL_SMOOTHING)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()


def _drawn(targets: Tensor) -> Tensor:
    """Positions of a batch of training pixels, each class equally often on average."""
    weights = 1 / targets.bincount()[targets].double()
    return torch.multinomial(weights, BATCH_SIZE, replacement=True)


@torch.no_grad()
def _settle(network: nn.Module, patches: Tensor, targets: Tensor, *, steps: int) -> None:
    """Normalise by batches of patches with all bands, if the network then classifies its training pixels better.

    NOTE: bands are dropped in training, so the running statistics are those of other values than are classified later.
    With highly correlated bands, the network then misclassified a third of its own training pixels. If it classified
    these correctly with the running statistics, the maps were better with them.
    """
    if steps == 0:
        network.eval()
        return
    share_right, before = _share_right(network, patches, targets), copy.deepcopy(network.state_dict())
    for module in network.train().modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None  # the mean of all batches
        elif isinstance(module, nn.Dropout | nn.Dropout2d):
            module.eval()
    for _ in range(steps):
        network(_turned(patches[_drawn(targets)]))
    if _share_right(network, patches, targets) <= share_right:
        network.load_state_dict(before)


def _share_right(network: nn.Module, patches: Tensor, targets: Tensor) -> float:
    """Share of pixels that a network classifies correctly; the network is in evaluation mode afterwards."""
    return float((network.eval()(patches).argmax(dim=1) == targets).double().mean())


def _turned(batch: Tensor) -> Tensor:
    """A batch in random order, an eighth of it in each of the square's eight orientations."""
    parts = [torch.rot90(part, index % 4, dims=(2, 3)) for index, part in enumerate(batch.chunk(8))]
    turned = torch.cat([part.flip(3) if index >= 4 else part for index, part in enumerate(parts)])
    return turned.contiguous(memory_format=torch.channels_last)
