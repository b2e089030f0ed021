import math

import pytest
import torch

from mmpose_pretext.models.losses import (
    PlaceCrossEntropyLoss,
    PresenceLoss,
    WindowMassLoss,
)


def reference(p, y, gamma_present=0, gamma_absent=0, margin=0):
    losses = []
    for prob, label in zip(p.ravel().tolist(), y.ravel().tolist(), strict=True):
        shifted = max(prob - margin, 0)
        if label == 1:
            losses.append(-((1 - prob) ** gamma_present) * math.log(prob))
        elif label == 0:
            losses.append(-(shifted**gamma_absent) * math.log(1 - shifted))
    return sum(losses) / max(len(losses), 1)


@pytest.mark.parametrize(
    'kwargs',
    [
        dict(),
        dict(gamma_absent=4.0, gamma_present=1.0),
        dict(gamma_absent=2.0, margin=0.05),
        dict(gamma_absent=4.0, gamma_present=1.0, margin=0.2),
    ],
)
def test_presence_loss_agrees_with_plain_python(kwargs):
    torch.manual_seed(0)
    p = torch.rand(4, 3, 5) * 0.98 + 0.01
    y = torch.randint(-1, 2, (4, 3, 5)).float()
    loss = PresenceLoss(**kwargs)(p.log(), (1 - p).log(), y)
    assert loss.item() == pytest.approx(reference(p, y, **kwargs), rel=1e-4)


def test_unknown_labels_cost_and_teach_nothing():
    p = torch.rand(2, 3, requires_grad=True)
    loss = PresenceLoss()(p.log(), (1 - p).log(), -torch.ones(2, 3))
    loss.backward()
    assert loss == 0
    assert p.grad.abs().max() == 0


def test_window_mass_finds_the_place_that_the_windows_share():
    """Descend on a free map: its mass must go to where all present windows meet."""
    maps = torch.zeros(1, 1, 8, 8, requires_grad=True)
    boxes = [(-0.5, -0.5, 4.5, 4.5), (2.5, -0.5, 7.5, 4.5), (-0.5, 2.5, 7.5, 7.5)]
    windows = torch.tensor([[[(a, b), (c, b), (c, d), (a, d)] for a, b, c, d in boxes]])
    optimizer = torch.optim.Adam([maps], lr=0.5)
    for _ in range(100):
        optimizer.zero_grad()
        WindowMassLoss()(maps, windows, torch.ones(1, 3, 1)).backward()
        optimizer.step()
    mass = maps.detach().exp() / (maps.detach().exp().sum() + 64)
    assert mass[0, 0, 3:5, 3:5].sum() > 0.95


def test_absence_everywhere_goes_outside():
    maps = torch.zeros(1, 1, 4, 4, requires_grad=True)
    whole = torch.tensor([[[(-0.5, -0.5), (3.5, -0.5), (3.5, 3.5), (-0.5, 3.5)]]])
    loss = WindowMassLoss()(maps, whole, torch.zeros(1, 1, 1))
    assert loss.item() == pytest.approx(math.log(2), rel=1e-5)
    loss.backward()
    assert (maps.grad > 0).all()


def test_places_by_hand():
    maps = torch.tensor([[[[1.0, 2.0], [0.0, -1.0]], [[5.0, 5.0], [5.0, 5.0]]]])
    heatmaps = torch.tensor([[[[0.0, 1.0], [1.0, 0.0]], [[1.0, 0.0], [0.0, 0.0]]]])
    total = math.e + math.e**2 + 1 + math.exp(-1) + 4
    first = -(math.log(math.e**2 / total) + math.log(1 / total)) / 2
    second = -math.log(math.e**5 / (4 * math.e**5 + 4))
    loss = PlaceCrossEntropyLoss()
    weights = torch.tensor([[1.0, 0.0]])
    assert loss(maps, heatmaps, weights).item() == pytest.approx(first, rel=1e-5)
    weights = torch.tensor([[1.0, 1.0]])
    expected = pytest.approx((first + second) / 2, rel=1e-5)
    assert loss(maps, heatmaps, weights).item() == expected
    assert loss(maps, heatmaps * 0, weights * 0) == 0
