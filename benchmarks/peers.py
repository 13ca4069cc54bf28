"""The classifiers that one would take instead of s2fin, fitted to the same training pixels and tuned on them alone.

Hyper-parameters are chosen by cross-validation or out-of-bag on the training pixels. What is the same for all scenes
was chosen by trial, in favour of the peers, on single draws of some of these scenes: so their figures are not
independent of it either.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy.ndimage import uniform_filter
from scipy.special import softmax
from sklearn.decomposition import PCA
from sklearn.ensemble import ExtraTreesClassifier, GradientBoostingClassifier, RandomForestClassifier
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from torch import Tensor, nn
from torch.nn import functional as F

from s2fin_cli.core.device import pick_device

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from s2fin_cli.labels.labels import LabelledPixels
    from scenes import LoadedScene

#: Pixels a side of the window that context features and patches are taken from: s2fin's own.
WINDOW = 11
TREES = 500
COMPONENTS = 3
#: Sides of the squares around a pixel that the ensemble of trees sees, and for an image of more bands than so many, how
#: many components of them it sees there.
SCALES, MANY_BANDS, SCALED_COMPONENTS = (3, 7, 15, 31), 16, 10
#: The baseline to beat: a plain ensemble on the same features of both images.
ENSEMBLE = "ET+GB"
#: Version of the peers, which measured results carry. Raise it by one when what any of them gives may change, and make
#: their results again (`accuracy.py --refresh`).
PEERS_VERSION = 1

#: From features (n, ...) to probabilities (n, classes).
Predict = Callable[["NDArray[np.float32]"], "NDArray[np.float64]"]


class SceneFeatures:
    """Features of a scene's pixels: computed once for the whole scene, then indexed.

    Args:
        loaded: the scene.
    """

    def __init__(self, loaded: LoadedScene) -> None:
        self.loaded = loaded

    def at(self, kind: str, pixels: LabelledPixels) -> NDArray[np.float32]:
        """Features of n pixels.

        Args:
            kind: "bands": (n, bands) of all images; "context": these with mean and standard deviation of the window
                around, (n, 3 * bands); "scales": these with mean and standard deviation of four squares around, of an
                image with many bands those of its components; "patches": standardised, (n, channels, 11, 11), the
                second image's at the end.
            pixels: which.
        """
        rows, cols = pixels.rows, pixels.cols
        if kind == "patches":
            return np.ascontiguousarray(self._windows[:, rows, cols].swapaxes(0, 1))
        bands = self.loaded.image[:, rows, cols].T
        if kind == "scales":
            return np.hstack([bands, self._scales[self._numbers[rows, cols]]])
        return np.hstack([bands, self._context[:, rows, cols].T]) if kind == "context" else bands

    @cached_property
    def _context(self) -> NDArray[np.float32]:
        """Mean and standard deviation of each pixel's window, (2 * bands, height, width)."""
        context = [surroundings(band, WINDOW) for band in self.loaded.image]
        return np.stack(context, axis=1).reshape(-1, *self.loaded.image.shape[1:])

    @cached_property
    def _numbers(self) -> NDArray[np.int64]:
        """The number of each labelled pixel, (height, width): a whole scene's surroundings would not fit in memory."""
        labelled = np.zeros(self.loaded.image.shape[1:], dtype=bool)
        for pixels in (self.loaded.labels, *(self.loaded.fixed or ())):
            labelled[pixels.rows, pixels.cols] = True
        return np.where(labelled, labelled.cumsum().reshape(labelled.shape) - 1, -1)

    @cached_property
    def _scales(self) -> NDArray[np.float32]:
        """Mean and standard deviation of the squares around the labelled pixels, (labelled pixels, features)."""
        scene, labelled = self.loaded, self._numbers >= 0
        found = []
        for image in np.split(scene.image, [scene.image_bands]):
            for band in image if len(image) <= MANY_BANDS else components_of(image):
                found += [part[labelled] for scale in SCALES for part in surroundings(band, scale)]
        return np.stack(found, axis=1)

    @cached_property
    def _windows(self) -> NDArray[np.float32]:
        """View (channels, height, width, 11, 11) of the standardised images, mirrored at the edges."""
        scene = self.loaded
        values = standardised(scene.image)
        if scene.image_bands == len(values):  # one image alone: the second branch gets principal components, as s2fin's
            pixels = values.reshape(len(values), -1).T
            components = PCA(COMPONENTS, whiten=True, svd_solver="covariance_eigh").fit_transform(pixels)
            values = np.concatenate([values, components.T.reshape(-1, *values.shape[1:])])
        half = WINDOW // 2
        padded = np.pad(values.astype(np.float32), ((0, 0), (half, half), (half, half)), mode="symmetric")
        return np.lib.stride_tricks.sliding_window_view(padded, (WINDOW, WINDOW), axis=(1, 2))


def surroundings(band: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """Mean and standard deviation of the square around each pixel of a band (height, width), mirrored at the edges."""
    offset = band.mean(dtype=np.float64)
    values = band - offset  # float64, and near 0, so that the difference of squares is exact enough
    mean = uniform_filter(values, side, mode="mirror")
    variance = uniform_filter(values**2, side, mode="mirror") - mean**2
    return np.stack([mean + offset, np.sqrt(variance.clip(0))]).astype(np.float32)


def standardised(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """An image (bands, height, width) whose bands have mean 0 and deviation 1."""
    scale = image.std(axis=(1, 2), keepdims=True)
    return np.asarray((image - image.mean(axis=(1, 2), keepdims=True)) / np.where(scale > 0, scale, 1))


def components_of(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """The first principal components (10, height, width) of an image's standardised bands."""
    pixels = standardised(image).reshape(len(image), -1).T
    components = PCA(SCALED_COMPONENTS, svd_solver="covariance_eigh").fit_transform(pixels)
    return np.asarray(components.T.reshape(-1, *image.shape[1:]))


@dataclass(frozen=True)
class Samples:
    """What a peer is fitted to.

    Attributes:
        features: (n, ...), of the kind that it asks for.
        targets: int64 (n,), positions of the classes, all of 0 to classes - 1.
        image_bands: how many of the channels of patches are the passive image's.
    """

    features: NDArray[np.float32]
    targets: NDArray[np.int64]
    image_bands: int

    @property
    def smallest(self) -> int:
        """Labels of the class with the fewest."""
        return int(np.bincount(self.targets).min())


@dataclass(frozen=True)
class Peer:
    """A classifier: the kind of features it takes, and the function of samples and a seed that fits it."""

    kind: str
    fit: Callable[[Samples, int], Predict]


def _folds(samples: Samples, most: int, seed: int) -> StratifiedKFold:
    return StratifiedKFold(max(2, min(most, samples.smallest)), shuffle=True, random_state=seed)


# ---- trees and margins -----------------------------------------------------------------------------------------------


def fit_random_forest(samples: Samples, seed: int) -> Predict:
    """Random forest; the share of features tried at a split is the one with the better out-of-bag accuracy."""
    forests = [
        RandomForestClassifier(
            TREES, max_features=share, oob_score=True, random_state=seed, n_jobs=torch.get_num_threads()
        ).fit(samples.features, samples.targets)
        for share in ("sqrt", 0.3)
    ]
    best: Predict = max(forests, key=lambda forest: forest.oob_score_).predict_proba
    return best


def fit_svm(samples: Samples, seed: int) -> Predict:
    """SVM with an RBF kernel on standardised features; C and gamma by cross-validation, probabilities by softmax.

    NOTE: the usual values come first in the grid, as the first of equals is taken. Ties of the votes are broken by the
    decision values, so that the most probable class is the one that the SVM predicts.
    """
    pipeline = make_pipeline(StandardScaler(), SVC(C=100, break_ties=True, random_state=seed))
    scale = 1 / samples.features.shape[1]  # scikit-learn's "scale" for features of variance 1
    grid = {"svc__C": [100, 10, 1000, 1], "svc__gamma": [scale, scale / 4, scale * 4]}
    if samples.smallest > 1:
        pipeline = GridSearchCV(pipeline, grid, cv=_folds(samples, 5, seed))
    pipeline.fit(samples.features, samples.targets)

    def predict(features: NDArray[np.float32]) -> NDArray[np.float64]:
        values = pipeline.decision_function(features)
        if values.ndim == 1:  # two classes have one value, positive for the second
            values = np.column_stack([-values, values]) / 2
        probabilities: NDArray[np.float64] = softmax(values, axis=1)
        return probabilities

    return predict


def fit_boosting(samples: Samples, seed: int) -> Predict:
    """Gradient boosting of small trees, each on a part of the samples and features; the rest by cross-validation.

    NOTE: with tens of labels, scikit-learn's histogram boosting was up to 30 points worse where every tree sees all
    features, and no better and no faster where it does not.
    """
    boosting = GradientBoostingClassifier(
        n_estimators=100, max_leaf_nodes=4, max_features="sqrt", subsample=0.7, random_state=seed
    )
    grid: dict[str, list[Any]] = {"learning_rate": [0.1, 0.05], "max_leaf_nodes": [4, 8], "min_samples_leaf": [1, 4]}
    if samples.smallest > 1:
        boosting = GridSearchCV(boosting, grid, cv=_folds(samples, 3, seed))
    boosting.fit(samples.features, samples.targets)
    predict: Predict = boosting.predict_proba
    return predict


def fit_ensemble(samples: Samples, seed: int) -> Predict:
    """Extra trees and gradient boosting, whose probabilities are averaged: what ten lines of scikit-learn give.

    NOTE: this boosting and its smallest leaf were the best on average of six on two scenes (`wetland_bc_s2_dem` and
    `zion_landsat_dem`, seeds 100 to 102), histogram boosting among them.
    """
    trees = ExtraTreesClassifier(TREES, max_features="sqrt", random_state=seed, n_jobs=torch.get_num_threads())
    boosting = GradientBoostingClassifier(
        max_leaf_nodes=4, min_samples_leaf=3, max_features="sqrt", subsample=0.7, random_state=seed
    )
    models = [model.fit(samples.features, samples.targets) for model in (trees, boosting)]
    return lambda features: np.mean([model.predict_proba(features) for model in models], axis=0)


# ---- convolutional network -------------------------------------------------------------------------------------------

STEPS = 600
#: Batches from which the statistics of its normalisation are taken in the end.
SETTLING_STEPS = 30
BATCH_SIZE = 64
LEARNING_RATE = 5e-4
WEIGHT_DECAY = 0.2
LABEL_SMOOTHING = 0.1
#: Probability that a band is left out of a patch, and that a feature is before the classifier.
BAND_DROPOUT, DROPOUT = 0.2, 0.5
#: Channels of the three convolutions, which give about as many parameters as s2fin has.
WIDTHS = (64, 128, 128)


class TwoBranchCNN(nn.Module):
    """A plain CNN for each image, and a linear layer on what both give.

    Args:
        patches: training patches (n, channels, 11, 11), by whose bands' means and deviations all are standardised.
        image_bands: how many of the channels are the passive image's.
        classes: logits.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, patches: Tensor, image_bands: int, classes: int) -> None:
        super().__init__()
        self.bands = [image_bands, patches.shape[1] - image_bands]
        std, mean = torch.std_mean(patches, dim=(0, 2, 3), keepdim=True)
        self.register_buffer("mean", mean)
        self.register_buffer("std", torch.where(std > 0, std, 1))
        self.branches = nn.ModuleList(_branch(bands) for bands in self.bands)
        self.drop = nn.Dropout2d(BAND_DROPOUT)
        self.classify = nn.Sequential(nn.Dropout(DROPOUT), nn.Linear(2 * WIDTHS[-1] * 4 * 4, classes))

    def forward(self, patches: Tensor) -> Tensor:
        """Give logits (B, classes) of patches (B, channels, 11, 11)."""
        values = self.drop((patches - self.mean) / self.std)
        parts = zip(self.branches, torch.split(values, self.bands, dim=1), strict=True)
        logits: Tensor = self.classify(torch.cat([branch(part) for branch, part in parts], dim=1))
        return logits


def _branch(bands: int) -> nn.Sequential:
    """Three convolutions: 11 x 11 pixels to 9 x 9, 7 x 7, and, after pooling, 4 x 4."""
    layers: list[nn.Module] = []
    for before, after, padding in zip((bands, *WIDTHS), WIDTHS, (0, 0, 1), strict=False):
        layers += [nn.Conv2d(before, after, 3, padding=padding, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
    layers.insert(6, nn.MaxPool2d(2, ceil_mode=True))
    return nn.Sequential(*layers, nn.Flatten())


def fit_cnn(samples: Samples, seed: int) -> Predict:
    """Two-branch CNN on class-balanced batches of turned and flipped patches, for a fixed number of steps."""
    device = pick_device("auto")
    patches = torch.from_numpy(samples.features).to(device, memory_format=torch.channels_last)
    targets = torch.from_numpy(samples.targets).to(device)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = TwoBranchCNN(patches, samples.image_bands, int(samples.targets.max()) + 1)
        network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        _train(network, patches, targets)
        _settle(network, patches, targets)

    @torch.inference_mode()
    def predict(features: NDArray[np.float32]) -> NDArray[np.float64]:
        logits = network(torch.from_numpy(features).to(device, memory_format=torch.channels_last))
        return np.asarray(logits.double().softmax(dim=1).cpu().numpy())

    return predict


def _train(network: nn.Module, patches: Tensor, targets: Tensor) -> None:
    optimiser = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=LEARNING_RATE, total_steps=STEPS)
    for _ in range(STEPS):
        drawn = _drawn(targets)
        logits = network(_turned(patches[drawn]))
        loss = F.cross_entropy(logits, targets[drawn], label_smoothing=LABEL_SMOOTHING)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()


def _drawn(targets: Tensor) -> Tensor:
    """Positions of a batch of training pixels, each class as often as another in the mean."""
    weights = 1 / targets.bincount()[targets].double()
    return torch.multinomial(weights, BATCH_SIZE, replacement=True)


@torch.no_grad()
def _settle(network: nn.Module, patches: Tensor, targets: Tensor) -> None:
    """Normalise batches by patches with all of their bands, if the network classifies its training pixels better so.

    NOTE: in training bands are left out, so that the running statistics are of other values than those that are
    classified. Where bands are alike, the network then got a third of its own training pixels wrong. Where it got them
    right as it was, what it was gave the better maps.
    """
    share_right, before = _share_right(network, patches, targets), copy.deepcopy(network.state_dict())
    for module in network.train().modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None  # the mean of all batches
        elif isinstance(module, nn.Dropout | nn.Dropout2d):
            module.eval()
    for _ in range(SETTLING_STEPS):
        network(_turned(patches[_drawn(targets)]))
    if _share_right(network, patches, targets) <= share_right:
        network.load_state_dict(before)


def _share_right(network: nn.Module, patches: Tensor, targets: Tensor) -> float:
    """Share of pixels that a network classifies correctly; it is no longer in training afterwards."""
    return float((network.eval()(patches).argmax(dim=1) == targets).double().mean())


def _turned(batch: Tensor) -> Tensor:
    """A batch in random order, an eighth of it in each of the square's eight orientations."""
    parts = [torch.rot90(part, index % 4, dims=(2, 3)) for index, part in enumerate(batch.chunk(8))]
    turned = torch.cat([part.flip(3) if index >= 4 else part for index, part in enumerate(parts)])
    return turned.contiguous(memory_format=torch.channels_last)


PEERS = {
    "RF": Peer("bands", fit_random_forest),
    "SVM": Peer("bands", fit_svm),
    "RF+ctx": Peer("context", fit_random_forest),
    "GB+ctx": Peer("context", fit_boosting),
    "CNN": Peer("patches", fit_cnn),
    ENSEMBLE: Peer("scales", fit_ensemble),
}
