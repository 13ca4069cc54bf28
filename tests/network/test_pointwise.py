"""Linear maps against those of torch."""

import pytest
import torch
from torch import nn

from s2fin.pointwise import Linear, apply_matrix
from s2fin.selection import nth_largest


@pytest.mark.parametrize("shape", [(3, 8), (3, 5, 8), (1, 5, 8), (2, 4, 3, 8)])
def test_linear_is_that_of_torch(shape: tuple[int, ...]) -> None:
    one, two = Linear(8, 6), nn.Linear(8, 6)
    two.load_state_dict(one.state_dict())
    x = torch.randn(shape)
    torch.testing.assert_close(one(x), two(x))
    torch.testing.assert_close(one(x.mT.contiguous().mT), two(x))
    for layer in (one, two):
        torch.autograd.backward(layer(x).square().sum())
    assert one.weight.grad is not None
    assert one.bias.grad is not None
    torch.testing.assert_close(one.weight.grad, two.weight.grad)
    torch.testing.assert_close(one.bias.grad, two.bias.grad)


def test_apply_matrix_is_a_product() -> None:
    matrix, signal = torch.randn(6, 9), torch.randn(4, 9, 5)
    torch.testing.assert_close(apply_matrix(matrix, signal), matrix @ signal)
    torch.testing.assert_close(apply_matrix(matrix.double(), signal.double()), matrix.double() @ signal.double())


@pytest.mark.parametrize("length", [1, 2, 3, 7, 16, 20, 33, 70])
def test_the_nth_largest_is_that_of_sorted_rows(length: int) -> None:
    values = torch.randn(4, 3, length, generator=torch.Generator().manual_seed(length)).round(decimals=1)
    in_order = values.sort(dim=-1, descending=True).values
    for n in range(1, length + 1):
        assert torch.equal(nth_largest(values, n), in_order[..., n - 1 : n])
