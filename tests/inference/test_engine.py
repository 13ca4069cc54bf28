from __future__ import annotations

import contextlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from s2fin import S2Fin, S2FinConfig, StemMaps
from s2fin_cli.core.errors import S2finError
from s2fin_cli.core.images import Images
from s2fin_cli.inference.engine import Engine, batches_for
from s2fin_cli.model.file import read_model

NUM_CLASSES = 7
CLASSES = torch.arange(float(NUM_CLASSES))


class PixelNetwork:
    """Stands in for the network: the class of a pixel is the image's value there.

    It checks that the tokens, the second image's windows, the logits' and the context lie where the image's windows do.
    """

    #: Pixels that the context needs beyond those that the stem's convolution needs.
    farther = 3

    def __init__(self, patch_size: int = 5, *, most_batches: int | None = None) -> None:
        """Take the side of the windows, and above how many batches at once memory runs out.

        Attributes:
            computed: of each group of batches, the image's values at their first pixels.
        """
        self.cfg = SimpleNamespace(patch_size=patch_size, num_classes=NUM_CLASSES)
        self.input_size = patch_size + 2 + 2 * self.farther
        self.image_mean = torch.zeros(1)
        self.most_batches = most_batches
        self.computed: list[list[float]] = []

    def to(self, device: torch.device) -> PixelNetwork:
        return self

    def eval(self) -> PixelNetwork:
        return self

    def standardize(self, image: Tensor, aux: Tensor | None) -> tuple[Tensor, Tensor]:
        assert aux is not None
        first = self.input_size // 2
        self.computed.append(image[:, 0, first, first].tolist())
        if self.most_batches is not None and len(image) > self.most_batches:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return image, aux

    def near(self, values: Tensor) -> Tensor:
        return values[..., self.farther : -self.farther, self.farther : -self.farther]

    def context(self, x: Tensor, a: Tensor) -> Tensor:
        """The pixel in the middle of each square."""
        inner = slice(self.farther + 1, -self.farther - 1)
        return torch.cat([x, a], dim=1)[..., inner, inner].permute(0, 2, 3, 1)

    def stem(self, x: Tensor, a: Tensor, context: Tensor, *, border: int, stride: int) -> StemMaps:
        inner = torch.cat([x, a], dim=1)[..., 1:-1, 1:-1]
        assert torch.equal(context.permute(0, 3, 1, 2).nan_to_num(-1.0), inner.nan_to_num(-1.0))
        centres = slice(1 + border + stride // 2, -1 - border, stride)
        image, aux = inner.chunk(2, dim=1)
        return StemMaps(x[:, None, :, centres, centres], image, aux, image + CLASSES[:, None, None])

    def block(self, size: int) -> Tensor:
        return S2Fin.block(cast("S2Fin", self), size)

    def classify_pixels(self, tokens: Tensor, image: Tensor, aux: Tensor, logits: Tensor, positions: Tensor) -> Tensor:
        centre = self.cfg.patch_size // 2
        there = image[:, 0, centre, centre].isfinite()
        assert torch.equal(image[there, 0, centre, centre], tokens[there, 0, 0])
        values, others = (part.flatten(2)[:, 0, positions] for part in (image, aux))
        there = values.isfinite()
        assert torch.equal(-values[there], others[there])
        assert torch.equal(logits[there], values[there][:, None] + CLASSES)
        return 50.0 * torch.nn.functional.one_hot(values.nan_to_num().long(), NUM_CLASSES)


def make_engine(network: object, device: str = "cpu", *, stride: int = 1, batches_at_once: int | None = None) -> Engine:
    return Engine(cast("S2Fin", network), torch.device(device), stride=stride, batches_at_once=batches_at_once)


def classify_in_tiles(engine: Engine, values: NDArray[np.float32], tile_size: int) -> NDArray[np.int64]:
    """The classes of an image, tile by tile, as the pipeline does it."""
    height, width = values.shape
    padded = np.pad(values, engine.margin, mode="symmetric")
    result = np.full(values.shape, -1)
    for row in range(0, height, tile_size):
        for col in range(0, width, tile_size):
            h, w = min(tile_size, height - row), min(tile_size, width - col)
            part = torch.from_numpy(padded[row : row + h + 2 * engine.margin, col : col + w + 2 * engine.margin])[None]
            probs = engine.predict(Images(part, -part), torch.ones(h, w, dtype=torch.bool))
            assert probs.shape == (NUM_CLASSES, h, w)
            result[row : row + h, col : col + w] = probs.argmax(dim=0).numpy()
    return result


@settings(max_examples=30)
@given(
    height=st.integers(1, 60),
    width=st.integers(1, 60),
    tile_size=st.integers(1, 70),
    patch_size=st.sampled_from([5, 11, 21]),
    stride=st.sampled_from([1, 3, 5]),
    at_once=st.sampled_from([None, 1, 3, 64]),
)
def test_a_network_that_sees_the_pixel_gives_the_image_back(
    height: int, width: int, tile_size: int, patch_size: int, stride: int, at_once: int | None
) -> None:
    values = np.random.default_rng(height * width).integers(NUM_CLASSES, size=(height, width)).astype(np.float32)
    engine = make_engine(PixelNetwork(patch_size), stride=stride, batches_at_once=at_once)
    assert np.array_equal(classify_in_tiles(engine, values, max(tile_size, 8)), values)


@pytest.mark.parametrize("shape", [(1, 1), (1, 60), (60, 1), (16, 16), (17, 15)])
def test_strips_and_single_pixels(shape: tuple[int, int]) -> None:
    values = np.random.default_rng(0).integers(NUM_CLASSES, size=shape).astype(np.float32)
    assert np.array_equal(classify_in_tiles(make_engine(PixelNetwork()), values, 16), values)


@pytest.mark.parametrize("stride", [1, 3])
def test_batches_and_windows_without_a_valid_pixel_are_skipped(stride: int) -> None:
    network = PixelNetwork()
    engine = make_engine(network, stride=stride)
    size = engine.batch_side
    side = 2 * size + 2 * stride
    numbers = torch.arange(9.0).view(3, 3) % NUM_CLASSES
    cells = numbers.repeat_interleave(size, 0).repeat_interleave(size, 1)
    values = torch.nn.functional.pad(cells[None], (engine.margin,) * 4)[
        :, : side + 2 * engine.margin, : side + 2 * engine.margin
    ]
    valid = torch.zeros(side, side, dtype=torch.bool)
    valid[0, size] = valid[-1, 0] = True
    probs = engine.predict(Images(values, -values), valid)
    assert network.computed == [[numbers[0, 1]], [numbers[2, 0]]]
    expected = torch.zeros(side, side)
    expected[:stride, size : size + stride] = expected[-stride:, :stride] = 1
    assert probs.sum(dim=0).allclose(expected)
    assert probs[:, 0, size].argmax() == numbers[0, 1]
    assert probs[:, -1, 0].argmax() == numbers[2, 0]
    nothing = engine.predict(Images(values, -values), torch.zeros_like(valid))
    assert nothing.shape == (NUM_CLASSES, side, side)
    assert (nothing == 0).all()
    assert len(network.computed) == 2


def test_threads_give_what_one_thread_gives() -> None:
    network = make_network(in_channels=3, context_size=7)
    images = tile_for(network, 50, 37)
    valid = torch.rand(50, 37, generator=torch.Generator().manual_seed(0)) > 0.3
    engine, threads, results = make_engine(network, stride=3), torch.get_num_threads(), []
    try:
        for count in (1, 3):
            torch.set_num_threads(count)
            results.append(engine.predict(images, valid))
            assert torch.get_num_threads() == count
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(*results)


def test_running_out_of_memory_halves_the_batch_and_goes_on() -> None:
    values = np.random.default_rng(0).integers(NUM_CLASSES, size=(60, 60)).astype(np.float32)
    network = PixelNetwork(most_batches=2)
    engine = make_engine(network, batches_at_once=8)
    assert np.array_equal(classify_in_tiles(engine, values, 64), values)
    assert [len(batch) for batch in network.computed] == [8, 4, *[2] * 8]
    assert engine.batches_at_once == 2


def test_too_little_memory_for_one_batch_is_an_error_for_the_user() -> None:
    engine = make_engine(PixelNetwork(most_batches=0), batches_at_once=1)
    values = torch.ones(1, 1 + 2 * engine.margin, 1 + 2 * engine.margin)
    with pytest.raises(S2finError, match=r"too little memory .* `device=\"cpu\"`"):
        engine.predict(Images(values, -values), torch.ones(1, 1, dtype=torch.bool))


def test_an_error_in_a_batch_leaves_torch_its_threads() -> None:
    values = torch.ones(1, 60, 60)
    engine, threads = make_engine(PixelNetwork(most_batches=0)), torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        with pytest.raises(torch.OutOfMemoryError):
            engine.predict(Images(values, -values), torch.ones(48, 48, dtype=torch.bool))
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(threads)


def tile_for(network: S2Fin, height: int, width: int, *, seed: int = 0) -> Images[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    shape = (height + network.input_size - 1, width + network.input_size - 1)
    image = torch.randn(network.cfg.in_channels, *shape, generator=generator) * 50 + 150
    aux = torch.randn(network.cfg.aux_channels, *shape, generator=generator) * 5
    for row, col in ((3, 4), (network.input_size // 2 + 2, network.input_size // 2 + 5)):
        image[:, row, col] = torch.nan
    return Images(image, None if network.cfg.aux_from_image else aux)


def patch_by_patch(network: S2Fin, images: Images[Tensor]) -> Tensor:
    """Probabilities (classes, h, w) from explicit patches around each pixel."""
    size = network.input_size

    def patches(part: Tensor) -> Tensor:
        windows = part.unfold(1, size, 1).unfold(2, size, 1)
        return windows.permute(1, 2, 0, 3, 4).flatten(0, 1).contiguous()

    with torch.inference_mode():
        logits = network(*images.map(patches))
    height, width = (side - size + 1 for side in images.image.shape[1:])
    return cast("Tensor", logits.softmax(dim=1)).view(height, width, -1).permute(2, 0, 1)


def make_network(**changes: Any) -> S2Fin:
    torch.manual_seed(1)
    config = S2FinConfig(**{"in_channels": 20, "aux_channels": 2, "num_classes": 4, "patch_size": 7, **changes})
    network = S2Fin(config)
    torch.nn.init.normal_(network.head.classify.weight, std=0.5)  # so that the probabilities differ clearly
    return network.eval()


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"patch_size": 11, "in_channels": 3},
        {"afcm": False},
        {"context_size": 3},
        {"context_size": 15, "patch_size": 5},
        {"aux_from_image": True, "components": 4, "aux_channels": 4},
    ],
)
def test_the_dense_result_is_the_one_patch_by_patch(changes: dict[str, Any]) -> None:
    network = make_network(**changes)
    images = tile_for(network, 21, 18)
    probs = make_engine(network).predict(images, torch.ones(21, 18, dtype=torch.bool))
    expected = patch_by_patch(network, images)
    assert probs.std() > 0.01
    assert (probs - expected).abs().max() < 1e-5


@pytest.mark.parametrize(("stride", "patch_size", "context_size"), [(3, 5, 31), (5, 7, 31), (5, 5, 7), (5, 7, 3)])
def test_with_a_stride_the_window_in_the_middle_of_a_block_predicts_its_pixels(
    stride: int, patch_size: int, context_size: int
) -> None:
    network = make_network(patch_size=patch_size, in_channels=3, context_size=context_size)
    network.set_statistics([150.0] * 3, [50.0] * 3, [0.0] * 2, [5.0] * 2)
    for parameter in network.head.of_pixel.parameters():  # so that pixels of a block differ clearly
        torch.nn.init.normal_(parameter, std=0.2)
    side, half = 2 * stride, network.input_size // 2
    images = tile_for(network, side, side)
    probs = make_engine(network, stride=stride).predict(images, torch.ones(side, side, dtype=torch.bool))
    with torch.inference_mode():
        for row, col in ((0, 0), (stride, 0), (0, stride), (stride, stride)):
            top, left = row + stride // 2, col + stride // 2
            patch = (part[None, :, top : top + 2 * half + 1, left : left + 2 * half + 1] for part in images.parts())
            x, a = network.standardize(*patch)
            parts = network.near(x), network.near(a), network.context(x, a)
            logits = network.classify_parts(*parts, network.block(stride))
            expected = logits[0].softmax(dim=1).T.reshape(-1, stride, stride)
            assert expected.std(dim=(1, 2)).max() > 1e-3
            assert (probs[:, row : row + stride, col : col + stride] - expected).abs().max() < 1e-5


def test_the_dense_result_of_the_trained_model_is_the_one_patch_by_patch(model: Path) -> None:
    network, _ = read_model(model)
    images = tile_for(network, 16, 20)
    probs = make_engine(network).predict(images, torch.ones(16, 20, dtype=torch.bool))
    assert (probs - patch_by_patch(network, images)).abs().max() < 1e-5


def test_the_margin_is_what_the_patch_and_the_context_of_its_pixels_need() -> None:
    margins = [
        make_engine(make_network(patch_size=patch_size, context_size=context_size)).margin
        for patch_size, context_size in ((7, 31), (11, 15), (5, 3), (21, 7))
    ]
    assert margins == [3 + 15, 5 + 7, 2 + 1, 10 + 3]
    assert make_engine(make_network()).margin == 18
    assert make_engine(make_network(afcm=False)).margin == 18, "the same batches serve with a part left out"


@pytest.mark.parametrize(("free", "batches"), [(0, 1), (300 << 20, 1), (1 << 30, 4), (80 << 30, 16)])
def test_a_device_with_less_free_memory_computes_fewer_batches_at_once(free: int, batches: int) -> None:
    assert batches_for(free) == batches


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("patch_size", [5, 11])
def test_cuda_and_cpu_agree(patch_size: int) -> None:
    images = tile_for(make_network(patch_size=patch_size), 40, 37)
    valid = torch.ones(40, 37, dtype=torch.bool)
    on_cpu, on_cuda = (
        make_engine(make_network(patch_size=patch_size), device).predict(images, valid) for device in ("cpu", "cuda")
    )
    assert (on_cpu - on_cuda).abs().max() < 5e-3  # CUDA may compute convolutions with ten bits of mantissa
    assert (on_cpu.argmax(dim=0) == on_cuda.argmax(dim=0)).float().mean() > 0.99


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_tile_that_was_put_on_the_device_gives_what_it_gives_from_the_host() -> None:
    engine = make_engine(make_network(), "cuda", stride=3)
    images = tile_for(engine.network, 70, 61)
    valid = torch.rand(70, 61) > 0.3
    there = images.map(engine.put)
    assert [part.device.type for part in there.parts()] == ["cuda", "cuda"]
    assert torch.equal(there.image.cpu().nan_to_num(-1), images.image.nan_to_num(-1))
    assert torch.equal(engine.predict(there, valid), engine.predict(images, valid))


def test_values_stay_where_they_are_when_the_device_has_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    values = torch.ones(1, 20, 20)
    assert make_engine(PixelNetwork()).put(values) is values  # it computes there

    def no_room(self: Tensor) -> Tensor:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(torch.cuda, "Stream", lambda device: f"a stream on {device}")
    monkeypatch.setattr(torch.cuda, "stream", contextlib.nullcontext)
    monkeypatch.setattr(Tensor, "pin_memory", no_room)
    assert make_engine(PixelNetwork(), "cuda", batches_at_once=1).put(values) is values


def test_a_tile_is_padded_on_the_cpu_when_the_device_has_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).integers(NUM_CLASSES, size=(20, 33)).astype(np.float32)
    pad = torch.nn.functional.pad
    refused: list[torch.Size] = []

    def refuse_once(part: Tensor, *how: Any, **more: Any) -> Tensor:
        if not refused:
            refused.append(part.shape)
            raise torch.OutOfMemoryError
        return pad(part, *how, **more)

    monkeypatch.setattr(torch.nn.functional, "pad", refuse_once)
    assert np.array_equal(classify_in_tiles(make_engine(PixelNetwork()), values, 64), values)
    assert len(refused) == 1


class Huge:
    """A network that no device has room for."""

    def to(self, device: torch.device) -> Huge:
        raise torch.OutOfMemoryError("CUDA out of memory")


def test_a_network_that_the_device_has_no_room_for() -> None:
    with pytest.raises(S2finError, match='too little free memory for the model; free some, or use `device="cpu"`'):
        make_engine(Huge())


def test_a_fixed_number_of_batches_is_never_lowered() -> None:
    engine = make_engine(PixelNetwork(most_batches=2), batches_at_once=8)
    values = torch.ones(1, 32 + 2 * engine.margin, 32 + 2 * engine.margin)
    images = Images(values, -values)
    engine.fix_batches(4)
    with pytest.raises(S2finError, match=r"memory ran out while 4 batches .*; free memory of the device and give"):
        engine.predict(images, torch.ones(32, 32, dtype=torch.bool))
    assert engine.batches_at_once == 4
    engine.fix_batches(None)
    engine.predict(images, torch.ones(32, 32, dtype=torch.bool))
    assert engine.batches_at_once == 2
