"""The number of weights, and how they start."""

import pytest
import torch

from s2fin import S2Fin, S2FinConfig
from s2fin.initialisation import Classifier, ResidualLinear
from s2fin.pointwise import Linear
from tests.network.small import VARIANTS, config, seeded


@pytest.mark.parametrize("in_channels", [12, 144])
def test_parameter_budget(in_channels: int) -> None:
    model = S2Fin(S2FinConfig(in_channels=in_channels, aux_channels=1, num_classes=15))
    count = sum(parameter.numel() for parameter in model.parameters())
    low = 500_000 if in_channels == 144 else 350_000
    assert low <= count <= 800_000


def test_same_seed_gives_the_same_weights() -> None:
    one, two, three = (seeded(config(), seed=seed).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert any(not torch.equal(one[name], three[name]) for name in one)


@pytest.mark.parametrize("variant", VARIANTS)
def test_each_part_resets_its_own_parameters(variant: str) -> None:
    """Together the parts reset all of them: to the same values, or to other draws with the same spread."""
    model = seeded(config(**VARIANTS[variant]))
    fresh = {name: value.detach().clone() for name, value in model.named_parameters()}
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(9.0)
    for module in model.modules():
        reset = getattr(module, "reset_parameters", None)
        if callable(reset):
            reset()
    for name, value in model.named_parameters():
        assert value.max() < 9, name
        if value.numel() > 30 and not torch.equal(value, fresh[name]):
            assert value.std().item() == pytest.approx(fresh[name].std().item(), rel=0.4), name


def test_residual_branches_and_the_classifier_start_small() -> None:
    torch.manual_seed(4)
    plain = Linear(30, 20)
    torch.manual_seed(4)
    small = ResidualLinear(30, 20)
    torch.testing.assert_close(small.weight, 0.3 * plain.weight, rtol=0, atol=0)
    torch.testing.assert_close(small.bias, 0.3 * plain.bias, rtol=0, atol=0)
    classifier = Classifier(300, 20)
    assert classifier.weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert (classifier.bias == 0).all()


def test_parts_that_start_small() -> None:
    modules = dict(seeded(config(depth=2)).named_modules())
    small = {name for name, module in modules.items() if isinstance(module, ResidualLinear)}
    blocks = {f"stages.{stage}.{image}.mlp.3" for stage in ("shallow", "deep") for image in (0, 1)}
    hfset = {f"hfset.{layer}.{part}" for layer in (0, 1) for part in ("out", "ffn.4")}
    assert small == {*hfset, *blocks, "stages.ssaf.out.0", "stages.ssaf.out.1", "head.scan.out"}
    assert [name for name, module in modules.items() if isinstance(module, Classifier)] == ["head.classify"]
