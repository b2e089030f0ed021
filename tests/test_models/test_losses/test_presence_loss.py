import math

import numpy as np
import pytest
import torch

from mmpose_pretext.models.layers import window_coverage
from mmpose_pretext.models.losses import (
    JointWindowLoss,
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


def corners(*boxes):
    return torch.tensor(
        [[[(a, b), (c, b), (c, d), (a, d)] for a, b, c, d in boxes]], dtype=torch.float
    )


def joint_reference(maps, coverage, labels, error):
    """Sum over places, one by one."""
    losses = []
    for b, k in np.ndindex(maps.shape[:2]):
        answers = [(m, y) for m, y in enumerate(labels[b, :, k].tolist()) if y >= 0]
        if not answers:
            continue
        weights = [math.exp(z) for z in maps[b, k].ravel().tolist()]
        weights.append(float(len(weights)))  # outside
        shares = [[*c.ravel().tolist(), 0.0] for c in coverage[b]]
        likelihood = 0.0
        for place, weight in enumerate(weights):
            term = weight / sum(weights)
            for m, y in answers:
                c = min(max(shares[m][place], error), 1 - error)
                term *= c if y else 1 - c
            likelihood += term
        losses.append(-math.log(likelihood))
    return sum(losses) / max(len(losses), 1)


def test_joint_loss_agrees_with_plain_python():
    torch.manual_seed(0)
    maps = torch.randn(2, 3, 4, 5)
    windows = corners((-0.5, -0.5, 4.5, 3.5), (0.2, 0.4, 3, 2.1), (2, 1, 4, 3))
    windows = windows.expand(2, -1, -1, -1)
    labels = torch.randint(-1, 2, (2, 3, 3)).float()
    labels[1, :, 2] = -1
    loss = JointWindowLoss(error_rate=0.01)(maps, windows, labels)
    coverage = window_coverage(windows, (4, 5))
    expected = joint_reference(maps, coverage, labels, 0.01)
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_joint_loss_comes_to_the_cross_entropy_of_places():
    """A window of one pixel says what the place says, in value and in gradient."""
    maps = torch.randn(1, 1, 6, 4, generator=torch.manual_seed(1), requires_grad=True)
    place = torch.zeros(1, 1, 6, 4)
    place[0, 0, 3, 2] = 1
    exact = PlaceCrossEntropyLoss()(maps, place, torch.ones(1, 1))
    window = corners((1.5, 2.5, 2.5, 3.5))
    joint = JointWindowLoss(error_rate=1e-6)(maps, window, torch.ones(1, 1, 1))
    torch.testing.assert_close(joint, exact, rtol=1e-3, atol=0)
    gradients = [torch.autograd.grad(loss, maps)[0] for loss in (joint, exact)]
    torch.testing.assert_close(*gradients, rtol=0, atol=1e-3)


def test_joint_loss_takes_the_answers_of_a_keypoint_together():
    """Half of the mass in each of two places that two windows rule out by turns."""
    maps = torch.full((1, 1, 4, 4), -20.0)
    maps[0, 0, 1, 0] = maps[0, 0, 1, 3] = 9.0
    windows = corners((-0.5, -0.5, 1.5, 3.5), (-0.5, -0.5, 0.5, 3.5))
    agree = torch.tensor([[[1.0], [1.0]]])  # at the left
    contradict = torch.tensor([[[0.0], [1.0]]])  # in the half, but not in the whole
    one_by_one, joint = WindowMassLoss(), JointWindowLoss()
    assert one_by_one(maps, windows, agree).item() == pytest.approx(
        one_by_one(maps, windows, contradict).item(), abs=1e-2
    )
    assert joint(maps, windows, agree).item() == pytest.approx(math.log(2), abs=1e-2)
    assert joint(maps, windows, contradict).item() > 6  # an answer in 1000 is wrong


def test_joint_loss_ignores_unknown_answers():
    maps = torch.randn(1, 2, 4, 4, requires_grad=True)
    windows = corners((-0.5, -0.5, 1.5, 3.5))
    loss = JointWindowLoss()(maps, windows, -torch.ones(1, 1, 2))
    loss.backward()
    assert loss == 0
    assert maps.grad.abs().max() == 0


@pytest.mark.parametrize('error_rate', [0, 0.5, -1])
def test_joint_loss_refuses_error_rates(error_rate):
    with pytest.raises(ValueError, match=r'error_rate must be in \(0, 0.5\), but got'):
        JointWindowLoss(error_rate=error_rate)


def test_window_mass_finds_the_place_that_the_windows_share():
    """Descend on a free map: its mass must go to where all present windows meet."""
    maps = torch.zeros(1, 1, 8, 8, requires_grad=True)
    boxes = [(-0.5, -0.5, 4.5, 4.5), (2.5, -0.5, 7.5, 4.5), (-0.5, 2.5, 7.5, 7.5)]
    windows = corners(*boxes)
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

    loss = PlaceCrossEntropyLoss(average='all')
    assert loss(maps, heatmaps, weights).item() == expected
    weights = torch.tensor([[1.0, 0.0]])
    assert loss(maps, heatmaps, weights).item() == pytest.approx(first / 2, rel=1e-5)
    assert loss(maps, heatmaps * 0, weights * 0) == 0


def test_unknown_average_is_refused():
    with pytest.raises(ValueError, match="'known' or 'all', but got 'batch'"):
        PlaceCrossEntropyLoss(average='batch')
