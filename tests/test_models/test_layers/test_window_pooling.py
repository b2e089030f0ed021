import math

import numpy as np
import pytest
import torch

from mmpose_pretext.models.layers import (
    log_distribution,
    pool_windows,
    window_coverage,
)

H, W = 7, 5


def corners(x1, y1, x2, y2, degrees=0.0):
    points = np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]], dtype=float)
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    centre = points.mean(axis=0)
    return (points - centre) @ np.array([[c, s], [-s, c]]) + centre


def test_coverage_of_upright_windows_is_the_area():
    rng = np.random.default_rng(0)
    boxes = [
        np.concatenate([a := rng.uniform(-2, 4, 2), a + rng.uniform(1, 4, 2)])
        for _ in range(30)
    ]
    windows = torch.tensor(np.stack([corners(*box) for box in boxes]))[None]
    covered = window_coverage(windows, (H, W))[0]
    for (x1, y1, x2, y2), coverage in zip(boxes, covered, strict=True):
        for y in range(H):
            for x in range(W):
                width = max(0, min(x2, x + 0.5) - max(x1, x - 0.5))
                height = max(0, min(y2, y + 0.5) - max(y1, y - 0.5))
                assert coverage[y, x] == pytest.approx(width * height, abs=1e-6)
    mirrored = windows[:, :, [1, 0, 3, 2]]  # as after a flip
    torch.testing.assert_close(window_coverage(mirrored, (H, W))[0], covered)


def test_coverage_of_rotated_windows_is_nearly_the_area():
    for degrees in (10, 45, 80, 200):
        window = torch.tensor(corners(4, 5, 16, 13, degrees))[None, None]
        coverage = window_coverage(window, (24, 24))[0, 0]
        steps = (torch.arange(24 * 8) + 0.5) / 8 - 0.5
        fine = torch.stack(torch.meshgrid(steps, steps, indexing='xy'), dim=-1)
        corner, x, y = window[0, 0, 0], window[0, 0, 1], window[0, 0, 3]
        u = ((fine - corner) @ (x - corner)) / (x - corner).norm() ** 2
        v = ((fine - corner) @ (y - corner)) / (y - corner).norm() ** 2
        inside = ((u >= 0) & (u < 1) & (v >= 0) & (v < 1)).double()
        slow = inside.unflatten(0, (24, 8)).unflatten(2, (24, 8)).mean(dim=(1, 3))
        assert (coverage - slow).abs().max() < 0.2
        assert coverage.sum() == pytest.approx(slow.sum().item(), rel=0.02)


def test_padded_windows_cover_nothing():
    assert window_coverage(torch.zeros(1, 2, 4, 2), (H, W)).sum() == 0


def test_distribution_and_its_outside_bin():
    maps = torch.randn(2, 3, H, W, dtype=torch.float64).float()
    weights = maps.double().exp()
    total = weights.sum(dim=(2, 3), keepdim=True) + H * W
    torch.testing.assert_close(log_distribution(maps).exp(), (weights / total).float())
    inside = log_distribution(torch.zeros(1, 1, 9, 9)).exp().sum()
    assert inside == pytest.approx(0.5, rel=1e-5)


def reference(z, m, pooling):
    """Pool one map in one window, in plain Python."""
    pixels = list(zip(z.ravel().tolist(), m.ravel().tolist(), strict=True))
    if pooling == 'mass':
        total = sum(math.exp(a) for a, _ in pixels) + len(pixels)
        return sum(w * math.exp(a) for a, w in pixels) / total
    if pooling == 'noisy_or':
        absent = math.prod((1 / (1 + math.exp(a))) ** w for a, w in pixels)
        return 1 - absent
    if pooling == 'average':
        logit = sum(w * a for a, w in pixels) / sum(w for _, w in pixels)
    elif pooling == 'lse':
        mean = sum(w * math.exp(4 * a) for a, w in pixels) / sum(w for _, w in pixels)
        logit = math.log(mean) / 4
    else:
        best = sorted((a for a, w in pixels if w >= 0.5), reverse=True)[:10]
        logit = sum(best) / len(best)
    return 1 / (1 + math.exp(-logit))


@pytest.mark.parametrize('pooling', ['average', 'topk', 'lse', 'noisy_or', 'mass'])
def test_poolings_agree_with_plain_python(pooling):
    torch.manual_seed(0)
    maps = torch.randn(2, 3, H, W)
    windows = [
        corners(-1, 0, 3, 4.3),
        corners(0.2, 2, 4, 6),
        corners(1, 1, 2.4, 3.2, 30),
    ]
    windows = torch.tensor(np.stack(windows)).float().expand(2, 3, 4, 2)
    coverage = window_coverage(windows, (H, W))
    present, absent = pool_windows(maps, coverage, pooling)
    assert present.shape == (2, 3, 3)
    for b in range(2):
        for m in range(3):
            for k in range(3):
                expected = reference(maps[b, k], coverage[b, m], pooling)
                assert present[b, m, k].exp() == pytest.approx(expected, rel=1e-4)
                assert absent[b, m, k].exp() == pytest.approx(1 - expected, rel=1e-4)


@pytest.mark.parametrize('pooling', ['average', 'topk', 'lse', 'noisy_or', 'mass'])
@pytest.mark.parametrize('scale', [0.0, 200.0])
def test_gradients_are_finite(pooling, scale):
    maps = (torch.randn(1, 2, H, W) * scale).requires_grad_()
    windows = torch.tensor(np.stack([corners(0, 0, 2, 2), np.zeros((4, 2))])).float()
    pooled = pool_windows(maps, window_coverage(windows[None], (H, W)), pooling)
    sum(p.sum() for p in pooled).backward()
    assert all(p.isfinite().all() for p in pooled)
    assert maps.grad.isfinite().all()


@pytest.mark.parametrize('pooling', ['average', 'topk', 'lse', 'noisy_or', 'mass'])
@pytest.mark.parametrize('label', [0, 1])
def test_no_answer_is_too_wrong_to_learn_from(pooling, label):
    """A network that is sure and wrong gets a gradient of 1 or more."""
    logit = -30.0 if label else 30.0
    maps = torch.full((1, 1, 8, 8), -40.0)
    maps[..., :4] = logit  # in the window
    if pooling == 'mass' and label:
        maps[..., 6, 6] = 30  # the mass is elsewhere
    maps.requires_grad_()
    windows = torch.tensor(corners(-0.5, -0.5, 3.5, 7.5))[None, None]
    pooled = pool_windows(maps, window_coverage(windows, (8, 8)), pooling)
    loss = -pooled[1 - label].sum()
    loss.backward()
    assert loss > 20
    gradient = maps.grad[..., :4].sum()
    assert (-gradient if label else gradient) > 0.99


@pytest.mark.parametrize('sharpness', [1.0, 4.0, 20.0, 50.0])
def test_log_sum_exp_of_a_window_does_not_know_of_a_peak_elsewhere(sharpness):
    maps = torch.full((1, 1, 8, 8), -15.0)
    maps[..., 6, 6] = 15
    maps.requires_grad_()
    windows = torch.tensor(corners(-0.5, -0.5, 3.5, 3.5))[None, None]
    coverage = window_coverage(windows, (8, 8))
    present, absent = pool_windows(maps, coverage, 'lse', sharpness=sharpness)
    assert (present - absent).item() == pytest.approx(-15, rel=1e-4)
    present.sum().backward()
    assert maps.grad[..., :4, :4].sum() == pytest.approx(1, abs=1e-4)


def test_sharpness_of_0():
    with pytest.raises(ValueError, match='sharpness must be more than 0'):
        pool_windows(
            torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2), 'lse', sharpness=0
        )


def test_unknown_pooling():
    with pytest.raises(ValueError, match="'max'"):
        pool_windows(torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2), 'max')
