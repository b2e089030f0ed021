import math

import pytest
import torch

from mmpose_pretext.models.losses import RelativeDepthLoss


def reference(depths, visible, pairs, relations, confidences, normalize=False):
    """Go through images, pairs and keypoints."""
    images = []
    for b in range(len(depths)):
        gaps, labels = [], []
        for (i, j), r, c in zip(
            pairs[b].tolist(), relations[b], confidences[b], strict=True
        ):
            shared = [
                (depths[b, i, k] - depths[b, j, k]).item()
                for k in range(depths.shape[2])
                if visible[b, i, k] and visible[b, j, k]
            ]
            if r != 0 and shared:
                gaps.append(shared)
                labels.append((r.item(), c.item()))
        scale = 1
        if normalize and gaps:
            scale = sum(sum(map(abs, g)) / len(g) for g in gaps) / len(gaps)
        losses = [
            c * sum(math.log1p(math.exp(-r * gap / scale)) for gap in g) / len(g)
            for g, (r, c) in zip(gaps, labels, strict=True)
        ]
        if losses:
            images.append(sum(losses) / len(losses))
    return sum(images) / max(len(images), 1)


def batch(keypoints, images=4, people=6, num_pairs=9):
    torch.manual_seed(0)
    return dict(
        depths=torch.randn(images, people, keypoints),
        visible=torch.rand(images, people, keypoints) < 0.7,
        pairs=torch.randint(0, people, (images, num_pairs, 2)),
        relations=torch.randint(-1, 2, (images, num_pairs)).float(),
        confidences=torch.rand(images, num_pairs),
    )


@pytest.mark.parametrize('normalize', [False, True])
@pytest.mark.parametrize('keypoints', [1, 5])
def test_agrees_with_plain_loops(keypoints, normalize):
    data = batch(keypoints)
    data['relations'][1] = 0  # an image without pairs
    data['visible'][2] = False  # one without anything to see
    loss = RelativeDepthLoss(normalize=normalize, loss_weight=3)(**data)
    expected = 3 * reference(**data, normalize=normalize)
    assert expected > 0.5
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_by_hand():
    data = dict(
        depths=torch.tensor([[[2.0], [5.0], [4.0]]]),
        visible=torch.ones(1, 3, 1, dtype=torch.bool),
        pairs=torch.tensor([[[0, 1], [2, 1]]]),
        relations=torch.tensor([[-1.0, 1.0]]),
        confidences=torch.tensor([[1.0, 0.5]]),
    )
    right, wrong = math.log1p(math.exp(-3)), math.log1p(math.exp(1))
    loss = RelativeDepthLoss()(**data)
    assert loss.item() == pytest.approx((right + 0.5 * wrong) / 2, rel=1e-5)


@pytest.mark.parametrize('normalize', [False, True])
@pytest.mark.parametrize('num_pairs', [0, 4])
def test_no_labelled_pair_costs_and_teaches_nothing(num_pairs, normalize):
    data = batch(1, num_pairs=num_pairs)
    data['relations'].zero_()
    depths = data['depths'].requires_grad_()
    loss = RelativeDepthLoss(normalize=normalize)(**data)
    loss.backward()
    assert loss == 0
    assert depths.grad.abs().max() == 0


def test_padding_changes_nothing():
    data = batch(3)
    padded = batch(3, images=5, people=8, num_pairs=12)
    for name, values in data.items():
        padded[name].zero_()
        padded[name][tuple(slice(n) for n in values.shape)] = values
    loss = RelativeDepthLoss(normalize=True)
    torch.testing.assert_close(loss(**padded), loss(**data))


def test_scale_of_depths_matters_only_without_normalisation():
    data = batch(1)
    larger = data | dict(depths=10 * data['depths'])
    normalized, plain = RelativeDepthLoss(normalize=True), RelativeDepthLoss()
    torch.testing.assert_close(normalized(**data), normalized(**larger))
    assert plain(**larger) > 2 * plain(**data)
    data['depths'] = torch.ones_like(data['depths'], requires_grad=True)
    loss = normalized(**data)
    loss.backward()
    assert loss.isfinite()
    assert data['depths'].grad.isfinite().all()


@pytest.mark.parametrize('normalize', [False, True])
def test_descent_finds_the_order(normalize):
    order = torch.tensor([3, 0, 4, 1, 2])
    i, j = torch.triu_indices(5, 5, 1)
    data = dict(
        depths=torch.zeros(1, 5, 1, requires_grad=True),
        visible=torch.ones(1, 5, 1, dtype=torch.bool),
        pairs=torch.stack([i, j], dim=1)[None],
        relations=torch.sign(order[i] - order[j])[None].float(),
        confidences=torch.ones(1, 10),
    )
    optimizer = torch.optim.Adam([data['depths']], lr=0.1)
    for _ in range(50):
        optimizer.zero_grad()
        RelativeDepthLoss(normalize=normalize)(**data).backward()
        optimizer.step()
    assert data['depths'].squeeze().argsort().argsort().tolist() == order.tolist()


def test_autocast_computes_in_float32():
    data = batch(1)
    data['depths'] = data['depths'].bfloat16()
    expected = RelativeDepthLoss()(**data | dict(depths=data['depths'].float()))
    with torch.autocast('cpu', torch.bfloat16):
        loss = RelativeDepthLoss()(**data)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, expected)
