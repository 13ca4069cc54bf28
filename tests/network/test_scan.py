"""The selective scan against the sequential one."""

import pytest
import torch

from s2fin.scan import SelectiveScan, scan_kernel
from tests.network.small import randn, shaken


def test_scan_kernel_decays_and_never_overflows() -> None:
    step = torch.full((2, 1, 1, 30), 50.0)
    kernel = scan_kernel(-step, step)
    assert kernel.isfinite().all()
    torch.testing.assert_close(kernel[0, 0], torch.eye(30) * 100)


@pytest.mark.parametrize("length", [1, 2, 24])
def test_selective_scan_is_the_sequential_one(length: int) -> None:
    module = shaken(SelectiveScan(8, state_size=3, heads=2))
    assert isinstance(module, SelectiveScan)
    x, dt, key, query = randn(2, length, 16), randn(2, length, 4), randn(2, length, 3), randn(2, length, 3)
    expected = torch.zeros(2, length, 16).double()
    for b in range(2):
        for direction in range(2):
            for h in range(2):
                state = torch.zeros(3, 8).double()
                order = range(length) if direction == 0 else range(length - 1, -1, -1)
                for t in order:
                    bias, rate = module.step_bias[direction, h], torch.exp(module.log_decay[direction, h])
                    step = torch.log1p(torch.exp(dt[b, t, 2 * direction + h] + bias))
                    taken = torch.outer(key[b, t], x[b, t, 8 * h : 8 * h + 8])
                    state = torch.exp(-rate * step) * state + step * taken
                    expected[b, t, 8 * h : 8 * h + 8] += query[b, t] @ state
    torch.testing.assert_close(module.scan(x, dt, key=key, query=query), expected + module.skip * x)
