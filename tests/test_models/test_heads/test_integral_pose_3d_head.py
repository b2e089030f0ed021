import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from mmpose.structures import PoseDataSample

from mmpose_pretext.models import IntegralPose3DHead

K = 3
CODEC = dict(
    type='mmpose_pretext.IntegralPose3D',
    input_size=(32, 48),
    heatmap_size=(8, 12, 5),
    depth_range=1000.0,
)


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('mmpose')


def head(**kwargs):
    torch.manual_seed(0)
    result = IntegralPose3DHead(
        4, K, deconv_out_channels=None, decoder=CODEC, **kwargs
    ).eval()
    result.init_weights()
    torch.nn.init.normal_(result.final_layer.weight, std=0.5)
    return result


def feats(seed=0, batch=2):
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(batch, 4, 12, 8, generator=generator),)


def samples(batch=2):
    generator = torch.Generator().manual_seed(1)
    result = []
    for _ in range(batch):
        labels = InstanceData(
            keypoint_labels=torch.rand(1, K, 3, generator=generator) * 5,
            keypoint_weights=torch.ones(1, K, 3),
            root_depth_labels=torch.rand(1, 1, generator=generator),
            root_depth_weights=torch.ones(1, 1),
        )
        result.append(
            PoseDataSample(
                gt_instance_labels=labels, metainfo=dict(flip_indices=[0, 2, 1])
            )
        )
    return result


def expected(volume):
    """Place of a volume of shape (D, H, W), by the definition."""
    weights = volume.double().exp()
    weights /= weights.sum()
    grid = torch.stack(
        torch.meshgrid(*(torch.arange(n) for n in volume.shape), indexing='ij')
    )
    z, y, x = (grid * weights).sum(dim=(1, 2, 3)).tolist()
    return x, y, z


def test_predictions_are_those_of_the_volumes():
    model = head()
    volumes, roots = model(feats())
    assert volumes.shape == (2, K, 5, 12, 8)
    assert roots is None
    instances = model.predict(feats(), samples())
    for b, instance in enumerate(instances):
        assert instance.keypoints.shape == (1, K, 3)
        assert (instance.keypoint_scores == 1).all()
        for k in range(K):
            x, y, z = expected(volumes[b, k].detach())
            by_hand = (4 * x + 1.5, 4 * y + 1.5, 200 * z + 100 - 500)
            np.testing.assert_allclose(instance.keypoints[0, k], by_hand, atol=1e-3)


def test_loss_by_hand():
    model = head(root_depth=True)
    batch = samples()
    batch[0].gt_instance_labels.keypoint_weights[0, 1] = 0
    batch[1].gt_instance_labels.keypoint_weights[..., 2] = 0  # 2D-only
    batch[1].gt_instance_labels.root_depth_weights[:] = 0
    losses = model.loss(feats(), batch)
    volumes, roots = model(feats())
    total = 0.0
    for b, sample in enumerate(batch):
        labels = sample.gt_instance_labels
        for k in range(K):
            for c, place in enumerate(expected(volumes[b, k].detach())):
                error = abs(place - labels.keypoint_labels[0, k, c].item())
                total += error * labels.keypoint_weights[0, k, c].item()
    assert losses['loss_kpt'].item() == pytest.approx(total / (2 * K * 3), rel=1e-4)
    gap = roots[0, 0] - batch[0].gt_instance_labels.root_depth_labels[0, 0]
    assert losses['loss_root_depth'].item() == pytest.approx(abs(gap.item()) / 2)


def test_loss_of_marginals():
    loss = dict(type='mmpose_pretext.MarginalHeatmapLoss', sigma=0.8, loss_weight=2.0)
    batch = samples()
    batch[0].gt_instance_labels.keypoint_weights[0, 1] = 0
    model = head(marginal_loss=loss)
    losses = model.loss(feats(), batch)
    probabilities = model(feats())[0].flatten(2).softmax(dim=2).view(2, K, 5, 12, 8)
    labels = [sample.gt_instance_labels for sample in batch]
    expected_loss = model.marginal_loss(
        [probabilities.sum(dim=dim) for dim in ((2, 3), (2, 4), (3, 4))],
        torch.cat([label.keypoint_labels for label in labels]),
        torch.cat([label.keypoint_weights for label in labels]),
    )
    torch.testing.assert_close(losses['loss_marginal'], expected_loss)
    without = head().loss(feats(), batch)
    assert set(without) == {'loss_kpt'}
    torch.testing.assert_close(losses['loss_kpt'], without['loss_kpt'])


def test_depth_that_is_not_known_has_no_gradient():
    model = head(root_depth=True)
    batch = samples(1)
    batch[0].gt_instance_labels.keypoint_weights[..., 2] = 0
    batch[0].gt_instance_labels.root_depth_weights[:] = 0

    def gradient():
        model.zero_grad()
        sum(model.loss(feats(batch=1), batch).values()).backward()
        return model.final_layer.weight.grad.clone()

    before = gradient()
    batch[0].gt_instance_labels.keypoint_labels[..., 2] += 100
    batch[0].gt_instance_labels.root_depth_labels += 100
    torch.testing.assert_close(gradient(), before)
    assert before.abs().max() > 0
    assert model.root_layer.weight.grad.abs().max() == 0


def test_flip_test_is_the_mean_of_both():
    """Flipped features of a network without a preference change nothing."""
    model = head(root_depth=True)
    upright = feats()
    batch = samples()
    with torch.no_grad():  # keypoints 1 and 2 become each other's mirror
        weight = model.final_layer.weight.view(K, 5, 4)
        weight[0] = weight[1] = weight[2]
    mirrored = tuple(f.flip(-1) for f in upright)
    plain = model.predict(upright, batch)
    both = model.predict([upright, mirrored], batch, dict(flip_test=True))
    for one, two in zip(plain, both, strict=True):
        np.testing.assert_allclose(two.keypoints, one.keypoints, atol=1e-3)
        np.testing.assert_allclose(two.root_depths, one.root_depths, rtol=1e-5)


def test_flip_test_changes_left_and_right():
    model = head(root_depth=True)
    flipped = feats(2)
    both = model.predict([feats(1), flipped], samples(), dict(flip_test=True))
    volumes, roots = model(feats(1))
    mirrored, other_roots = model(flipped)
    mirrored = mirrored.flip(-1)[:, [0, 2, 1]]
    logarithms = ((roots + other_roots) / 2)[:, 0].tolist()
    for b in range(2):
        root_depth = both[b].root_depths[0]
        assert np.log(root_depth) == pytest.approx(logarithms[b], abs=1e-5)
        for k in range(K):
            x1, _, z1 = expected(volumes[b, k].detach())
            x2, _, z2 = expected(mirrored[b, k].detach())
            x, _, z = both[b].keypoints[0, k]
            assert x == pytest.approx(4 * (x1 + x2) / 2 + 1.5, abs=1e-3)
            assert z == pytest.approx(200 * (z1 + z2) / 2 - 400, abs=1e-2)


def test_root_depth():
    model = head(root_depth=True)
    assert model.predicts_root_depth
    assert not head().predicts_root_depth
    features = feats()
    instance = model.predict(features, samples())[1]
    pooled = features[0][1].mean(dim=(1, 2))
    by_hand = (model.root_layer.weight @ pooled + model.root_layer.bias).exp()
    np.testing.assert_allclose(instance.root_depths, by_hand.detach(), rtol=1e-5)


def test_learns():
    model = head(root_depth=True).train()
    optimizer = torch.optim.Adam(model.parameters(), 0.1)
    batch = samples()
    losses = []
    for _ in range(60):
        loss = sum(model.loss(feats(), batch).values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.3 * losses[0]


def test_stock_checkpoints_of_deconvolutions_fit():
    from mmpose.models.heads import HeatmapHead

    settings = dict(deconv_out_channels=(6,), deconv_kernel_sizes=(4,))
    stock = HeatmapHead(4, K, **settings)
    model = IntegralPose3DHead(4, K, decoder=CODEC, **settings)
    names = [n for n in stock.state_dict() if n.startswith('deconv_layers')]
    assert names
    for name in names:
        assert model.state_dict()[name].shape == stock.state_dict()[name].shape


def test_feature_map_of_another_size():
    with pytest.raises(ValueError, match=r'volumes of \(9, 12, 5\) voxels'):
        head()((torch.zeros(1, 4, 12, 9),))


def test_no_decoder():
    with pytest.raises(ValueError, match='needs decoder'):
        IntegralPose3DHead(4, K)
