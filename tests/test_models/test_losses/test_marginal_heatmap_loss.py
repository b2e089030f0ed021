import math

import pytest
import torch

from mmpose_pretext.models.losses import MarginalHeatmapLoss


def reference(marginals, labels, weights, sigma):
    """Go through people, keypoints, coordinates and voxels."""
    total = 0
    for b, people in enumerate(labels.tolist()):
        for k, place in enumerate(people):
            for c, label in enumerate(place):
                found = marginals[c][b, k].tolist()
                gauss = [
                    math.exp(-((i - label) ** 2) / (2 * sigma**2))
                    for i in range(len(found))
                ]
                gauss = [g / sum(gauss) for g in gauss]
                total += weights[b, k, c].item() * sum(
                    g * math.log(g / p) for g, p in zip(gauss, found, strict=True)
                )
    return total / labels.numel()


def batch():
    generator = torch.Generator().manual_seed(0)
    marginals = [
        torch.randn(2, 3, n, generator=generator).softmax(dim=2) for n in (8, 6, 5)
    ]
    labels = torch.rand(2, 3, 3, generator=generator) * 4
    weights = (torch.rand(2, 3, 3, generator=generator) < 0.7).float()
    return marginals, labels, weights


@pytest.mark.parametrize('sigma', [0.7, 2.0])
def test_agrees_with_plain_loops(sigma):
    loss = MarginalHeatmapLoss(sigma, loss_weight=3)(*batch())
    assert loss.item() == pytest.approx(3 * reference(*batch(), sigma), rel=1e-4)


def test_the_gaussians_themselves_have_no_loss():
    _, labels, weights = batch()
    gaussians = [
        (-((torch.arange(n) - labels[:, :, c, None]) ** 2) / 2).softmax(dim=2)
        for c, n in enumerate((8, 6, 5))
    ]
    loss = MarginalHeatmapLoss()(gaussians, labels, weights)
    assert loss.item() == pytest.approx(0, abs=1e-6)


def test_unlabelled_coordinates_have_no_gradient():
    marginals, labels, weights = batch()
    for marginal in marginals:
        marginal.requires_grad_()
    MarginalHeatmapLoss()(marginals, labels, weights).backward()
    for c, marginal in enumerate(marginals):
        assert ((marginal.grad.abs().sum(dim=2) > 0) == (weights[..., c] > 0)).all()


def test_probabilities_of_zero_stay_finite():
    marginals, labels, weights = batch()
    for marginal in marginals:
        marginal[..., :2] = 0
    assert MarginalHeatmapLoss()(marginals, labels, weights).isfinite()


def test_sigma_is_checked():
    with pytest.raises(ValueError, match='sigma must be more than 0 voxels, but got 0'):
        MarginalHeatmapLoss(sigma=0)
