"""The small DFTs against torch.fft, and the masks against their formula."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from s2fin.frequency import MATRIX_LIMIT, HighPass, dft_matrices, irdft, radial_frequency, rdft

#: On both sides of `MATRIX_LIMIT`, and at it.
SHAPES = [(1,), (2,), (12,), (16,), (3, 3), (5, 5), (6, 6), (11, 11), (16, 16), (257,), (15, 18), (21, 21)]


@pytest.mark.parametrize("shape", SHAPES)
def test_transform_is_that_of_torch(shape: tuple[int, ...]) -> None:
    signal = torch.randn(2, math.prod(shape), 3, dtype=torch.float64)
    axes = tuple(range(1, len(shape) + 1))
    expected = torch.fft.rfftn(signal.view(2, *shape, 3), dim=axes, norm="ortho").reshape(2, -1, 3)
    spectrum = rdft(signal, shape)
    torch.testing.assert_close(torch.complex(spectrum[:, 0], spectrum[:, 1]), expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(irdft(spectrum, shape), signal, rtol=0, atol=1e-12)


@settings(max_examples=25)
@given(height=st.integers(1, 18), width=st.integers(1, 18))
def test_inverse_of_a_masked_spectrum_is_that_of_torch(height: int, width: int) -> None:
    signal = torch.randn(1, height * width, 2, dtype=torch.float64)
    mask = torch.rand(height * (width // 2 + 1), 2, dtype=torch.float64)
    # real filters have masks that agree at opposite frequencies; radial masks do
    mask = radial_frequency((height, width), torch.float64, signal.device)[:, None] * mask[0]
    spectrum = torch.fft.rfft2(signal.view(height, width, 2), dim=(0, 1))
    filtered = torch.fft.irfft2(spectrum * mask.view(height, -1, 2), s=(height, width), dim=(0, 1))
    result = irdft(rdft(signal, (height, width)) * mask, (height, width))
    torch.testing.assert_close(result.view(height, width, 2), filtered, rtol=0, atol=1e-12)


def test_shapes_are_on_both_sides_of_the_limit() -> None:
    """So that matrices and FFTs are both compared with torch's."""
    sizes = {math.prod(shape) for shape in SHAPES}
    assert MATRIX_LIMIT in sizes
    assert MATRIX_LIMIT + 1 in sizes


def test_matrices_made_in_inference_mode_serve_training() -> None:
    dft_matrices.cache_clear()
    signal = torch.randn(1, 25, 2)
    with torch.inference_mode():
        irdft(rdft(signal, (5, 5)), (5, 5))
    weight = torch.ones(2, requires_grad=True)
    torch.autograd.backward(irdft(rdft(signal * weight, (5, 5)), (5, 5)).square().sum())
    assert weight.grad is not None


def test_radial_frequency_is_scaled_to_its_largest() -> None:
    radius = radial_frequency((11, 11), torch.float64, torch.device("cpu")).view(11, 6)
    expected = torch.tensor([[math.hypot(min(v, 11 - v), u) for u in range(6)] for v in range(11)], dtype=torch.float64)
    torch.testing.assert_close(radius, expected / math.hypot(5, 5))
    assert radial_frequency((1,), torch.float64, torch.device("cpu")).tolist() == [0.0]


def test_soft_mask_is_its_formula_and_trains_its_threshold() -> None:
    mask = HighPass(4, temperature=0.05, hard=False, lowest=0.2, highest=0.5).double()
    radius = radial_frequency((6, 6), torch.float64, torch.device("cpu"))
    expected = [[1 / (1 + math.exp(-(r - float(t)) / 0.05)) for t in mask.threshold.detach()] for r in radius]
    torch.testing.assert_close(mask((6, 6)), torch.tensor(expected, dtype=torch.float64))
    assert mask.threshold[0].item() == pytest.approx(0.2)
    assert mask.threshold[-1].item() == pytest.approx(0.5)
    torch.autograd.backward(mask((6, 6)).sum())
    assert mask.theta.grad is not None
    assert (mask.theta.grad != 0).all()


def test_hard_mask_is_zero_or_one_and_has_no_parameter() -> None:
    mask = HighPass(3, temperature=0.05, hard=True, lowest=0.2, highest=0.5)
    assert not list(mask.parameters())
    assert "theta" in mask.state_dict()
    radius = radial_frequency((6, 6), torch.float32, torch.device("cpu"))[:, None]
    assert torch.equal(mask((6, 6)), (radius > torch.tensor([0.2, 0.35, 0.5])).float())


def test_a_sharp_soft_mask_is_the_hard_one() -> None:
    soft = HighPass(3, temperature=1e-4, hard=False, lowest=0.21, highest=0.52)
    hard = HighPass(3, temperature=1e-4, hard=True, lowest=0.21, highest=0.52)
    torch.testing.assert_close(soft((11, 11)), hard((11, 11)))
