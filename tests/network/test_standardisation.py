"""Standardisation, components, and refused inputs."""

import pytest
import torch

from s2fin import Standardizer
from tests.network.small import VARIANTS, config, inputs, seeded, stem_of


@pytest.mark.parametrize("variant", ["default", "one-image"])
def test_a_standardizer_needs_no_network(variant: str) -> None:
    model = seeded(config(**VARIANTS[variant]))
    cfg, (image, aux) = model.cfg, inputs(model)
    statistics = [torch.randn(20).tolist(), [2.0] * 19 + [0.0]]
    if aux is not None:
        statistics += [[3.0, 4.0], [0.5, 0.0]]
    components = torch.randn(cfg.components, 20).tolist()
    model.set_statistics(*statistics, components=components)
    standardizer = Standardizer.from_statistics(*statistics, components=components)
    assert standardizer.bands == 20
    assert standardizer.device == torch.device("cpu")
    results = [s(image, aux) for s in (standardizer, standardizer.to(torch.device("cpu")), model.standardizer)]
    for one, two in zip(zip(*results, strict=True), model.standardize(image, aux), strict=True):
        assert all(torch.equal(part, two) for part in one)


@pytest.mark.parametrize(
    ("statistics", "message"),
    [
        (([0.0, 0.0], [1.0], [0.0], [1.0]), r"image_std must have shape \(2,\), got \(1,\)"),
        (([0.0, 0.0], [1.0, 1.0], [0.0], [float("inf")]), "aux_std must be finite"),
        (([0.0, 0.0], [1.0, 1.0], [0.0]), "need aux_mean and aux_std"),
    ],
)
def test_a_standardizer_refuses_wrong_statistics(statistics: tuple[list[float], ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Standardizer.from_statistics(*statistics, components=[[1.0, 0.0]])


def test_standardize_scales_and_fills() -> None:
    model = seeded(config(in_channels=2, aux_channels=1, components=2))
    model.set_statistics([10.0, 5.0], [2.0, 0.0], torch.tensor([1.0]), torch.tensor([4.0]))
    image = torch.tensor([14.0, 6.0]).view(1, 2, 1, 1).expand(1, 2, 3, 4).clone()
    image[0, :, 1, 1] = float("nan")
    x, a = model.standardize(image, torch.full((1, 1, 3, 4), float("nan")))
    # a deviation of 0 counts as 1; components are the bands themselves until others are set
    assert x[0, :, 0, 0].tolist() == [2.0, 1.0, 2.0, 1.0]
    assert x[0, :, 1, 1].tolist() == [0.0, 0.0, 0.0, 0.0]
    assert a.shape == (1, 1, 3, 4)
    assert (a == 0).all()


def test_missing_values_give_finite_logits_and_gradients() -> None:
    model = seeded(config())
    image, aux = inputs(model)
    assert aux is not None
    image[0], aux[0] = float("nan"), float("nan")
    image[1, :, :3], aux[2, 0, 4:] = float("nan"), float("inf")
    logits = model(image, aux)
    torch.autograd.backward(logits.sum())
    assert logits.isfinite().all()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_missing_value_is_the_mean() -> None:
    model = seeded(config())
    mean = torch.arange(20.0)
    model.set_statistics(mean, torch.ones(20), [3.0, 4.0], [1.0, 1.0])
    image, aux = inputs(model)
    filled = image.clone()
    centre = model.input_size // 2
    # the context, what is classified, its window
    for row, col in ((0, 1), (2, 5), (centre, centre), (centre, centre + 2)):
        image[:, :, row, col] = float("nan")
        filled[:, :, row, col] = mean
    torch.testing.assert_close(model(image, aux), model(filled, aux))


@pytest.mark.parametrize(
    ("statistics", "message"),
    [
        (([0.0], [1.0, 1.0], [0.0], [1.0]), "image_mean must have shape"),
        (([0.0, 0.0], [1.0, -1.0], [0.0], [1.0]), "image_std must be finite"),
        (([0.0, 0.0], [1.0, 1.0], [float("nan")], [1.0]), "aux_mean must be finite"),
        (([0.0, 0.0], [1.0, 1.0]), "need aux_mean"),
        (([0.0, 0.0], [1.0, 1.0], [0.0]), "need aux_mean and aux_std"),
    ],
)
def test_refuses_wrong_statistics(statistics: tuple[list[float], ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        seeded(config(in_channels=2, aux_channels=1)).set_statistics(*statistics)


@pytest.mark.parametrize(
    ("components", "message"),
    [
        ([[1.0, 0.0]] * 2, r"components must have shape \(3, 2\), got \(2, 2\)"),
        ([[1.0, 0.0, 0.0]] * 3, r"components must have shape \(3, 2\), got \(3, 3\)"),
        ([[1.0, float("inf")]] * 3, "components must be finite"),
    ],
)
def test_refuses_wrong_components(components: list[list[float]], message: str) -> None:
    model = seeded(config(in_channels=2, aux_channels=1, components=3))
    with pytest.raises(ValueError, match=message):
        model.set_statistics([0.0] * 2, [1.0] * 2, [0.0], [1.0], components=components)


def test_statistics_travel_with_the_weights() -> None:
    model, other = seeded(config(), seed=1), seeded(config(), seed=2)
    components = torch.randn(12, 20)
    model.set_statistics([1.0] * 20, [2.0] * 20, [3.0] * 2, [4.0] * 2, components=components)
    other.load_state_dict(model.state_dict())
    assert torch.equal(other.components, components)
    torch.testing.assert_close(other(*inputs(model)), model(*inputs(model)), rtol=0, atol=0)
    assert all(value.is_floating_point() for value in model.state_dict().values())


def test_components_are_projected_from_the_standardised_bands() -> None:
    model = seeded(config(in_channels=4, components=3)).double()
    projection = torch.randn(3, 4).double()
    model.set_statistics([1.0] * 4, [2.0] * 4, [0.0] * 2, [1.0] * 2, components=projection)
    image, aux = inputs(model)
    image[0, :, 2, 3] = float("nan")
    image[1, 2, 5] = float("nan")  # a band that is missing counts as its mean, and leaves the others' share
    image[2, 0, 0, 0] = 1e30  # an undeclared nodata value
    x, a = model.standardize(image, aux)
    bands = torch.where(image.abs() < 1e6, (image - 1) / 2, 0.0)
    torch.testing.assert_close(x[:, :4], bands, rtol=0, atol=1e-12)
    torch.testing.assert_close(x[:, 4:], torch.einsum("kc,bchw->bkhw", projection, bands), rtol=0, atol=1e-12)
    assert (x[0, :, 2, 3] == 0).all()
    torch.testing.assert_close(a, aux)
    # what is set stays until other components are given
    model.set_statistics([0.0] * 4, [1.0] * 4, [0.0] * 2, [1.0] * 2)
    assert torch.equal(model.components, projection)


def test_components_reach_the_map_and_not_the_tokens() -> None:
    model = seeded(config(afcm=False)).double()  # which lets the images know of each other
    statistics = [0.0] * 20, [1.0] * 20, [0.0] * 2, [1.0] * 2
    before = stem_of(model, *model.standardize(*inputs(model)))
    model.set_statistics(*statistics, components=torch.randn(12, 20))
    after = stem_of(model, *model.standardize(*inputs(model)))
    assert torch.equal(after.tokens, before.tokens)
    assert torch.equal(after.aux, before.aux)
    assert (after.image - before.image).abs().max() > 1e-2


def test_components_of_one_image_serve_as_the_second() -> None:
    model = seeded(config(in_channels=4, aux_channels=2, components=2, aux_from_image=True))
    projection = torch.randn(2, 4)
    model.set_statistics([1.0] * 4, [2.0] * 4, components=projection)
    image, _ = inputs(model)
    image[0, :, 2, 3] = float("nan")
    x, a = model.standardize(image)
    assert torch.equal(a, x[:, 4:])
    expected = torch.einsum("kc,bchw->bkhw", projection, ((image - 1) / 2).nan_to_num(0.0))
    torch.testing.assert_close(a, expected)
    assert model(image).shape == (3, 5)
    with pytest.raises(ValueError, match="aux must be None"):
        model(image, a)
    with pytest.raises(ValueError, match="one image needs neither"):
        model.set_statistics([1.0] * 4, [2.0] * 4, [0.0] * 2, [1.0] * 2)


def test_refuses_inputs_that_do_not_fit() -> None:
    model = seeded(config())
    image, aux = inputs(model)
    with pytest.raises(ValueError, match=r"image must be \(B, 20, H, W\), got \(3, 19, 13, 13\)"):
        model(image[:, 1:], aux)
    with pytest.raises(ValueError, match="13 x 13 pixels, got 12 x 13"):
        model(image[:, :, 1:], aux)
    with pytest.raises(ValueError, match="needs a second image"):
        model(image)
