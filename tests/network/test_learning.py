"""A small network learns a problem that needs both images."""

import torch

from s2fin import S2Fin, S2FinConfig


def problem(count: int, config: S2FinConfig, side: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Four classes: two spectra (a bump at one of two bands) times two textures (checkers or stripes) of the aux."""
    labels = torch.arange(count) % config.num_classes
    spectra = torch.zeros(2, config.in_channels)
    spectra[0, 3], spectra[1, 8] = 1.0, 1.0
    image = spectra[labels // 2][:, :, None, None] + 0.5 * torch.randn(count, config.in_channels, side, side)
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    checkers, stripes = (-1.0) ** (rows + columns), (-1.0) ** (rows // 2)
    texture = torch.stack([checkers, stripes])[labels % 2][:, None]
    flipped = (torch.randint(0, 2, (count, 1, 1, 1)) * 2 - 1) * texture
    return image, 100 + 10 * flipped + 5 * torch.randn(count, 1, side, side), labels


def test_overfits_spectrum_and_texture() -> None:
    torch.manual_seed(0)
    cfg = S2FinConfig(
        in_channels=12, aux_channels=1, num_classes=4, patch_size=7, context_size=7,
        width=32, map_width=16, deep_width=24, dropout=0.0,
    )  # fmt: skip
    model = S2Fin(cfg)
    model.set_statistics([0.0] * 12, [0.5] * 12, [100.0], [11.0])
    image, aux, labels = problem(128, cfg, model.input_size)
    optimiser = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for _ in range(40):
        optimiser.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(image, aux), labels)
        torch.autograd.backward(loss)
        optimiser.step()
    assert loss.item() < 0.05
    image, aux, labels = problem(64, cfg, model.input_size)
    model.eval()
    accuracy = (model(image, aux).argmax(1) == labels).float().mean()
    assert accuracy > 0.9
