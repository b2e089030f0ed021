import math

import numpy as np
import pytest
import torch
from mmengine.dataset import Compose, pseudo_collate
from mmengine.registry import MODELS, init_default_scope
from mmengine.structures import InstanceData, PixelData
from mmpose.models.heads import HeatmapHead
from mmpose.structures import PoseDataSample

from mmpose_pretext.codecs import RelativeDepthLabel
from mmpose_pretext.models.heads import RelativeDepthHead
from mmpose_pretext.models.heads.relative_depth_head import read_depths

CODEC = dict(input_size=(40, 32), heatmap_size=(10, 8), sigma=1.0)
DECODER = dict(type='mmpose_pretext.RelativeDepthLabel', **CODEC)
DECONV = dict(deconv_out_channels=(8,), deconv_kernel_sizes=(4,))


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('mmpose')
    torch.manual_seed(0)


def make_head(**kwargs):
    head = RelativeDepthHead(6, 3, decoder=DECODER, **(DECONV | kwargs))
    torch.nn.init.normal_(head.depth_layer.weight)  # much larger than it begins
    return head


def feats(batch=2):
    return (torch.randn(batch, 6, 4, 5),)


def sample(points, visible, pairs=(), relations=(), confidences=None, **kwargs):
    encoded = RelativeDepthLabel(**CODEC).encode(
        np.array(points, dtype=np.float32),
        np.array(visible, dtype=np.float32),
        pairs,
        relations,
        confidences,
        flip_indices=[0, 2, 1],
        **kwargs,
    )
    result = PoseDataSample(metainfo=dict(flip_indices=[0, 2, 1]))
    result.gt_fields = PixelData(heatmaps=torch.from_numpy(encoded.pop('heatmaps')))
    result.gt_instance_labels = InstanceData(**encoded).to_tensor()
    return result


def samples():
    """Return two images: three people with two pairs, two people with one."""
    rng = np.random.default_rng(0)
    points = rng.uniform((0, 0), (39, 31), (5, 3, 2))
    return [
        sample(
            points[:3],
            [[1, 1, 1], [1, 0, 1], [0, 1, 0]],
            [[0, 1], [2, 1]],
            [1, -1],
            [0.5, 1],
        ),
        sample(points[3:], [[1, 0, 0], [1, 1, 1]], [[1, 0]], [1], [0.8]),
    ]


def slow_read(image, x, y):
    """Interpolate between four pixels; beyond the outer ones go on as they end."""
    x = min(max(x, 0), image.shape[1] - 1)
    y = min(max(y, 0), image.shape[0] - 1)
    left, top = min(int(x), image.shape[1] - 2), min(int(y), image.shape[0] - 2)
    a, b = x - left, y - top
    upper = (1 - a) * image[top, left] + a * image[top, left + 1]
    lower = (1 - a) * image[top + 1, left] + a * image[top + 1, left + 1]
    return (1 - b) * upper + b * lower


@pytest.mark.parametrize('maps', [1, 3])
def test_depths_are_read_between_the_pixels(maps):
    depth_maps = torch.randn(2, maps, 8, 10)
    points = torch.rand(2, 4, 3, 2) * torch.tensor([12.0, 10.0]) - 1
    points[0, 0, 0] = torch.tensor([7.0, 2.0])
    depths = read_depths(depth_maps, points)
    assert depths.shape == (2, 4, 3)
    assert depths[0, 0, 0] == pytest.approx(depth_maps[0, 0, 2, 7].item(), abs=1e-5)
    for b in range(2):
        for n in range(4):
            for k in range(3):
                image = depth_maps[b, k if maps > 1 else 0].numpy()
                expected = slow_read(image, *points[b, n, k].tolist())
                assert depths[b, n, k].item() == pytest.approx(expected, abs=1e-5)


def test_the_heatmap_branch_is_the_stock_head():
    stock = HeatmapHead(6, 3, decoder=DECODER, **DECONV).eval()
    head = make_head().eval()
    missing, unexpected = head.load_state_dict(stock.state_dict(), strict=False)
    assert missing == ['depth_layer.weight', 'depth_layer.bias']
    assert unexpected == []
    inputs, batch = feats(), samples()
    torch.testing.assert_close(head(inputs)[0], stock(inputs))
    losses = head.loss(inputs, batch)
    assert losses['loss_kpt'] == stock.loss(inputs, batch)['loss_kpt']
    assert losses['loss_kpt'] > 0


@pytest.mark.parametrize('maps', [False, True], ids=['one map', 'map a keypoint'])
def test_coordinates_count_from_the_middle(maps):
    inputs = feats()
    plain = make_head(depth_per_keypoint=maps).eval()
    head = make_head(coordinates=True, depth_per_keypoint=maps).eval()
    state = plain.state_dict()
    x, y = 3.0, -0.5  # what the layer makes of them
    state['depth_layer.weight'] = torch.cat(
        [
            state['depth_layer.weight'],
            torch.tensor([x, y])[None, :, None, None].expand(3 if maps else 1, 2, 1, 1),
        ],
        dim=1,
    )
    head.load_state_dict(state)
    heatmaps, depths = head(inputs)
    assert depths.shape == (2, 3 if maps else 1, 8, 10)
    torch.testing.assert_close(heatmaps, plain(inputs)[0])
    added = depths - plain(inputs)[1]
    for row in range(8):
        for column in range(10):
            expected = x * (column - 4.5) + y * (row - 3.5)
            assert added[:, :, row, column].tolist() == [
                [pytest.approx(expected, abs=1e-4)] * len(added[0])
            ] * len(added)


def test_heatmaps_without_a_weight_teach_nothing():
    batch = samples()
    for item in batch:
        item.gt_instance_labels.keypoint_weights[:, 1] = 0
    head = make_head()
    head.loss(feats(), batch)['loss_kpt'].backward()
    learned = head.final_layer.weight.grad.abs().amax(dim=(1, 2, 3)) > 0
    assert learned.tolist() == [True, False, True]


def test_masked_places_teach_nothing():
    batch = samples()
    for item in batch:
        mask = np.ones((1, 8, 10), dtype=bool)
        mask[:, :, :6] = False
        item.gt_fields.heatmap_mask = torch.from_numpy(mask)
    head, inputs = make_head().eval(), feats()
    expected = head.loss(inputs, batch)['loss_kpt']
    for item in batch:
        item.gt_fields.heatmaps[:, :, :6] = 9
    assert head.loss(inputs, batch)['loss_kpt'] == expected
    for item in batch:
        item.gt_fields.heatmaps[:, :, 6:] = 9
    assert head.loss(inputs, batch)['loss_kpt'] > expected


@pytest.mark.parametrize('maps', [False, True], ids=['one map', 'map a keypoint'])
@pytest.mark.parametrize(
    ('pairs_of', 'person_depth'),
    [('person', 'mean'), ('person', 'nearest'), ('keypoint', 'mean')],
)
def test_losses_are_those_of_plain_loops(pairs_of, person_depth, maps):
    head = make_head(
        pairs_of=pairs_of, person_depth=person_depth, depth_per_keypoint=maps
    ).eval()
    inputs, batch = feats(), samples()
    losses = head.loss(inputs, batch)
    assert set(losses) == {'loss_kpt', 'loss_depth', 'acc_depth'}
    depth_maps = head(inputs)[1].detach().numpy()
    images, correct = [], []
    for image, item in zip(depth_maps, batch, strict=True):
        labels = {k: v[0].tolist() for k, v in item.gt_instance_labels.items()}
        depths = [
            [
                slow_read(image[k if maps else 0], *point) if seen else None
                for k, (point, seen) in enumerate(zip(points, flags, strict=True))
            ]
            for points, flags in zip(
                labels['depth_points'], labels['depth_points_visible'], strict=True
            )
        ]
        if pairs_of == 'person':
            one = np.mean if person_depth == 'mean' else min
            depths = [[one([z for z in zs if z is not None])] for zs in depths]
        each = []
        for (i, j), r, c in zip(
            labels['depth_pairs'],
            labels['depth_relations'],
            labels['depth_confidences'],
            strict=True,
        ):
            gaps = [
                a - b
                for a, b in zip(depths[i], depths[j], strict=True)
                if a is not None and b is not None
            ]
            if gaps:
                each.append(c * np.mean([math.log1p(math.exp(-r * g)) for g in gaps]))
                correct.append(np.mean([r * g > 0 for g in gaps]))
        images.append(np.mean(each))
    # people 2 and 1 share no keypoint
    assert len(correct) == (3 if pairs_of == 'person' else 2)
    assert losses['loss_depth'].item() == pytest.approx(np.mean(images), rel=1e-4)
    assert losses['acc_depth'].item() == pytest.approx(np.mean(correct))


@pytest.mark.parametrize('maps', [False, True], ids=['one map', 'map a keypoint'])
def test_loss_of_limbs_is_that_of_a_plain_loop(maps):
    rng = np.random.default_rng(0)
    points = rng.uniform((0, 0), (39, 31), (5, 3, 2))
    orders = np.array([[0.7], [-0.45], [0.0], [0.45], [0.7]]) * [0, 1, -1]
    visible = np.ones((5, 3))
    visible[4, 2] = 0
    batch = [
        sample(points[own], visible[own], limb_order=orders[own])
        for own in (slice(3), slice(3, 5))
    ]
    loss = dict(type='mmpose_pretext.RelativeDepthLoss', loss_weight=2.0)
    head = make_head(limb_loss=loss, depth_per_keypoint=maps).eval()
    inputs = feats()
    losses = head.loss(inputs, batch)
    depth_maps = head(inputs)[1].detach().numpy()
    images, correct = [[], []], []
    for n, (image, left) in enumerate(zip([0, 0, 0, 1, 1], orders[:, 1], strict=True)):
        if left and visible[n].all():
            a, b = (
                slow_read(depth_maps[image, k if maps else 0], *points[n, k] / 4)
                for k in (1, 2)
            )
            gap = (a - b) * np.sign(left)
            images[image].append(abs(left) * math.log1p(math.exp(-gap)))
            correct.append(gap > 0)
    assert list(map(len, images)) == [2, 1]
    expected = 2 * np.mean([np.mean(each) for each in images])
    assert losses['loss_limbs'].item() == pytest.approx(expected, rel=1e-4)
    assert losses['acc_limbs'].item() == pytest.approx(np.mean(correct))
    losses['loss_limbs'].backward()
    assert head.depth_layer.weight.grad.abs().max() > 0
    plain = make_head(depth_per_keypoint=maps).eval()
    plain.load_state_dict(head.state_dict())
    kept = {k: v for k, v in losses.items() if 'limbs' not in k}
    assert plain.loss(inputs, batch) == kept


@pytest.mark.parametrize('pairs_of', ['person', 'keypoint'])
def test_a_batch_without_pairs_has_a_gradient_of_0(pairs_of):
    item = sample([[(5, 5)] * 3] * 2, np.ones((2, 3)))
    head = make_head(pairs_of=pairs_of)
    losses = head.loss(feats(), [item, item])
    losses['loss_depth'].backward()
    assert losses['loss_depth'] == 0
    assert losses['acc_depth'] == 0
    assert head.depth_layer.weight.grad.abs().max() == 0
    assert head.deconv_layers[0].weight.grad.abs().max() == 0


def test_heatmaps_only():
    head = make_head(
        depth_loss=dict(type='mmpose_pretext.RelativeDepthLoss', loss_weight=0.0)
    )
    inputs, batch = feats(), samples()
    losses = head.loss(inputs, batch)
    (losses['loss_kpt'] + losses['loss_depth']).backward()
    gradient = head.deconv_layers[0].weight.grad.clone()
    head.zero_grad()
    head.loss(inputs, batch)['loss_kpt'].backward()
    torch.testing.assert_close(gradient, head.deconv_layers[0].weight.grad)
    assert head.depth_layer.weight.grad is None


@pytest.mark.parametrize('maps', [False, True], ids=['one map', 'map a keypoint'])
@pytest.mark.parametrize('pairs_of', ['person', 'keypoint'])
def test_it_learns_the_order_and_predicts_it(pairs_of, maps):
    head = RelativeDepthHead(
        6, 3, decoder=DECODER, pairs_of=pairs_of, depth_per_keypoint=maps, **DECONV
    )
    head.init_weights()
    inputs = feats()
    batch = samples()
    if pairs_of == 'keypoint':
        for item in batch:
            item.gt_instance_labels.depth_points_visible[:] = True
    optimizer = torch.optim.Adam(head.parameters(), lr=0.01)
    for _ in range(60):
        losses = head.loss(inputs, batch)
        optimizer.zero_grad()
        losses['loss_depth'].backward()
        optimizer.step()
    assert losses['acc_depth'] == 1
    with torch.no_grad():
        first, second = head.predict(inputs, batch)
    assert first.depths[0] > first.depths[1]
    assert first.depths[2] < first.depths[0]
    assert second.depths[1] > second.depths[0]


@pytest.mark.parametrize('person_depth', ['mean', 'nearest'])
@pytest.mark.parametrize('maps', [False, True], ids=['one map', 'map a keypoint'])
def test_prediction(maps, person_depth):
    head = make_head(depth_per_keypoint=maps, person_depth=person_depth).eval()
    inputs, batch = feats(), samples()
    with torch.no_grad():
        (first, second), fields = head.predict(
            inputs, batch, dict(output_heatmaps=True)
        )
    labels = batch[0].gt_instance_labels
    assert second.keypoints.shape == (2, 3, 2)
    np.testing.assert_allclose(first.keypoints, labels.depth_points[0].numpy() * 4)
    np.testing.assert_array_equal(
        first.keypoint_scores, [[1, 1, 1], [1, 0, 1], [0, 1, 0]]
    )
    np.testing.assert_array_equal(
        np.isnan(first.keypoint_depths), first.keypoint_scores == 0
    )
    assert first.depths.shape == (3,)
    one = np.nanmean if person_depth == 'mean' else np.nanmin
    np.testing.assert_allclose(
        first.depths, one(first.keypoint_depths, axis=1), rtol=1e-5
    )
    for k in range(3):
        x, y = labels.depth_points[0, 0, k].tolist()
        image = fields[0].depths[k if maps else 0].numpy()
        expected = pytest.approx(slow_read(image, x, y), abs=1e-5)
        assert first.keypoint_depths[0, k] == expected
    assert fields[1].heatmaps.shape == (3, 8, 10)


@pytest.mark.parametrize('person_depth', ['mean', 'nearest'])
def test_a_person_of_whom_nothing_is_visible_has_no_depth(person_depth):
    batch = [sample([[(5, 5)] * 3] * 2, [[0, 0, 0], [1, 1, 1]], [[0, 1]], [1])]
    head = make_head(person_depth=person_depth).eval()
    with torch.no_grad():
        (instance,) = head.predict(feats(1), batch)
    assert np.isnan(instance.depths).tolist() == [True, False]
    assert head.loss(feats(1), batch)['loss_depth'] == 0


@pytest.mark.parametrize('maps', [False, True], ids=['one map', 'map a keypoint'])
def test_flip_test_averages_with_the_mirrored_map(maps):
    head = make_head(depth_per_keypoint=maps).eval()
    upright, flipped = feats(), feats()
    batch = samples()
    options = dict(flip_test=True, output_heatmaps=True)
    with torch.no_grad():
        _, fields = head.predict([upright, flipped], batch, options)
        heatmaps, depths = head(upright)
        mirrored_heatmaps, mirrored = (m.flip(3) for m in head(flipped))
    order = [0, 2, 1]
    if maps:
        mirrored = mirrored[:, order]
    for b in range(2):
        expected = (heatmaps[b] + mirrored_heatmaps[b, order]) / 2
        torch.testing.assert_close(fields[b].heatmaps, expected)
        torch.testing.assert_close(fields[b].depths, (depths[b] + mirrored[b]) / 2)


def test_autocast_reads_depth_in_float32():
    head, inputs, batch = make_head(), feats(), samples()
    expected = head.loss(inputs, batch)
    with torch.autocast('cpu', torch.bfloat16):
        losses = head.loss(inputs, batch)
    assert losses['loss_depth'].dtype == torch.float32
    torch.testing.assert_close(
        losses['loss_depth'], expected['loss_depth'], rtol=0.1, atol=0.05
    )


def test_stock_estimator_gives_the_points_of_the_image():
    codec = dict(DECODER, input_size=(64, 64), heatmap_size=(16, 16))
    pipeline = Compose(
        [
            dict(type='BottomupResize', input_size=(64, 64)),
            dict(type='GenerateTarget', encoder=codec),
            dict(type='PackPoseInputs'),
        ]
    )
    points = np.random.default_rng(0).uniform((0, 0), (99, 49), (2, 3, 2))
    image = dict(
        img=np.zeros((50, 100, 3), dtype=np.uint8),
        ori_shape=(50, 100),
        keypoints=points,
        keypoints_visible=np.ones((2, 3), dtype=np.float32),
        flip_indices=[0, 2, 1],
    )
    head = dict(
        type='mmpose_pretext.RelativeDepthHead',
        in_channels=512,
        out_channels=3,
        deconv_out_channels=(8, 8, 8),
        decoder=codec,
    )
    model = MODELS.build(
        dict(
            type='BottomupPoseEstimator',
            data_preprocessor=dict(type='PoseDataPreprocessor'),
            backbone=dict(type='ResNet', depth=18),
            head=head,
            test_cfg=dict(flip_test=True),
        )
    )
    with torch.no_grad():
        (result,) = model.eval().test_step(pseudo_collate([pipeline(image)]))
    np.testing.assert_allclose(result.pred_instances.keypoints, points, atol=1e-3)
    assert result.pred_instances.depths.shape == (2,)


def test_samples_without_labels():
    item = PoseDataSample(metainfo=dict(flip_indices=[0, 2, 1]))
    for bare in (item, item.new(data=dict(gt_instance_labels=InstanceData()))):
        with pytest.raises(ValueError, match='GenerateTarget') as info:
            make_head().eval().predict(feats(1), [bare])
        assert 'mmpose_pretext.RelativeDepthLabel' in str(info.value)
    batch = samples()
    del batch[1].gt_instance_labels.depth_pairs
    with pytest.raises(ValueError, match=r'no gt_instance_labels\.depth_pairs'):
        make_head().loss(feats(), batch)


@pytest.mark.parametrize('name', ['pairs_of', 'person_depth'])
def test_unknown_choices(name):
    with pytest.raises(ValueError, match=rf"{name} must be one of .* got 'joint'"):
        make_head(**{name: 'joint'})
