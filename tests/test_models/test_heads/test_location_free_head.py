import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData, PixelData
from mmpose.registry import MODELS
from mmpose.structures import PoseDataSample

from mmpose_pretext.models.heads import LocationFreeHead

METAINFO = dict(
    dataset_name='three',
    keypoint_info={
        0: dict(name='head', id=0, color=[0, 0, 0], type='upper', swap=''),
        1: dict(name='left', id=1, color=[0, 0, 0], type='lower', swap='right'),
        2: dict(name='right', id=2, color=[0, 0, 0], type='lower', swap='left'),
    },
    skeleton_info={
        0: dict(link=('head', 'left'), id=0, color=[0, 0, 0]),
        1: dict(link=('head', 'right'), id=1, color=[0, 0, 0]),
    },
    joint_weights=[1.0, 1.0, 1.0],
    sigmas=[0.1, 0.1, 0.1],
)
DECODER = dict(
    type='mmpose_pretext.PresenceLabel',
    input_size=(32, 32),
    heatmap_size=(8, 8),
    sigma=1.0,
)
FULL = dict(context=dict(), context_indices=(0, 1), prototypes=dict())
JOINT = dict(type='mmpose_pretext.JointWindowLoss')
PARTS = dict(
    cam=dict(),
    context=dict(context=dict(), context_indices=(0, 1)),
    prototypes=FULL | dict(prototypes=dict(relation='none')),
    full=FULL,
)


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('mmpose')
    torch.manual_seed(0)


def make_head(**kwargs):
    kwargs = (
        dict(
            in_channels=[8, 16],
            metainfo=METAINFO,
            deconv_out_channels=(16,),
            deconv_kernel_sizes=(4,),
            dims=32,
            decoder=DECODER,
        )
        | kwargs
    )
    head = LocationFreeHead(**kwargs)
    head.init_weights()
    return head


def feats(batch=2):
    return torch.randn(batch, 8, 8, 8), torch.randn(batch, 16, 4, 4)


def samples(batch=2, presence=True, located=True):
    result = []
    for _ in range(batch):
        sample = PoseDataSample(
            metainfo=dict(
                input_center=np.array([16, 16]),
                input_scale=np.array([32, 32]),
                input_size=(32, 32),
                flip_indices=[0, 2, 1],
            )
        )
        sample.gt_instances = InstanceData(
            bboxes=np.zeros((1, 4)), bbox_scores=np.ones(1)
        )
        labels = dict(keypoint_weights=torch.full((1, 3), float(located)))
        if presence:
            labels['presence'] = torch.randint(-1, 2, (1, 4, 3)).float()
            boxes = [(-0.5, -0.5, 7.5, 7.5), (0, 0, 4, 4), (3, 2, 7, 6), (1, 4, 5, 7)]
            labels['presence_windows'] = torch.tensor(
                [[[(a, b), (c, b), (c, d), (a, d)] for a, b, c, d in boxes]]
            ).float()
        sample.gt_instance_labels = InstanceData(**labels)
        sample.gt_fields = PixelData(heatmaps=torch.rand(3, 8, 8))
        result.append(sample)
    return result


@pytest.mark.parametrize(
    'parts',
    [
        dict(cam_index=0),
        FULL | dict(cam_index=0),
        FULL | dict(context=dict(num_layers=0), prototypes=dict(num_layers=0)),
        FULL | dict(context=dict(guidance='gate')),
        FULL | dict(branch_weights=dict(location=0), place_loss=None),
        dict(conv_out_channels=(8,), conv_kernel_sizes=(1,)),
    ],
)
def test_every_parameter_gets_a_gradient(parts):
    """Else DistributedDataParallel stops in the second step."""
    head = make_head(**parts)
    losses = head.loss(feats(), samples())
    sum(loss for name, loss in losses.items() if 'loss' in name).backward()
    assert [n for n, p in head.named_parameters() if p.grad is None] == []


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_mixed_precision(dtype):
    head = make_head(cam=dict(pooling='mass'), **FULL)
    inputs, batch = feats(), samples()
    plain = head.loss(inputs, batch)
    with torch.autocast('cpu', dtype):
        mixed = head.loss(inputs, batch)
    for name, loss in mixed.items():
        assert loss.item() == pytest.approx(plain[name].item(), abs=0.1), name
    with torch.autocast('cpu', dtype), torch.no_grad():
        instances = head.eval().predict(inputs, batch)
    assert np.isfinite(instances[0].keypoint_scores).all()


def test_window_loss_takes_the_place_of_pooling():
    torch.manual_seed(0)
    pooled = make_head(cam=dict(pooling='mass'), **FULL)
    torch.manual_seed(0)
    joint = make_head(cam=dict(pooling='mass'), window_loss=JOINT, **FULL)
    inputs, batch = feats(), samples()
    expected, losses = pooled.loss(inputs, batch), joint.loss(inputs, batch)
    for name in ('loss_kpt', 'loss_presence_prototype'):
        assert losses[name] == expected[name]
    maps = joint.branches(inputs)
    labels = torch.cat([s.gt_instance_labels.presence for s in batch])
    windows = torch.cat([s.gt_instance_labels.presence_windows for s in batch])
    for name in ('cam', 'location'):
        loss = losses[f'loss_presence_{name}']
        torch.testing.assert_close(loss, joint.window_loss(maps[name], windows, labels))
        assert loss != expected[f'loss_presence_{name}']
    sum(loss for name, loss in losses.items() if 'loss' in name).backward()
    assert [n for n, p in joint.named_parameters() if p.grad is None] == []
    without = make_head(
        cam=dict(pooling='mass'), window_loss=JOINT, presence_loss=None, **FULL
    )
    assert set(without.loss(inputs, batch)) == {'loss_kpt', 'acc_pose'}


def test_compiled_branches_are_the_same():
    head = make_head(**FULL).eval()
    inputs = feats()
    compiled = torch.compile(head.branches, backend='eager', fullgraph=True)
    with torch.no_grad():
        for name, expected in head.branches(inputs).items():
            torch.testing.assert_close(compiled(inputs)[name], expected)


def test_accuracy_of_logits_below_0():
    head = make_head(cam=dict(pooling='mass'))
    batch = samples(1)
    batch[0].gt_fields.heatmaps = torch.zeros(3, 8, 8)
    batch[0].gt_fields.heatmaps[:, 2, 5] = 1
    head.branches = lambda feats: dict.fromkeys(
        ('cam', 'location'), batch[0].gt_fields.heatmaps[None] - 3
    )
    assert head.loss(None, batch)['acc_pose'] == 1


def test_people_with_more_and_fewer_regions():
    head = make_head(cam=dict(pooling='mass'), **FULL).eval()
    inputs, batch = feats(), samples()
    labels = batch[1].gt_instance_labels
    fewer = InstanceData(
        presence=labels.presence[:, :2],
        presence_windows=labels.presence_windows[:, :2],
        keypoint_weights=labels.keypoint_weights,
    )
    labels.presence[:, 2:] = -1
    expected = head.loss(inputs, batch)
    predicted = head.predict(inputs, batch)
    batch[1].gt_instance_labels = fewer
    for name, loss in head.loss(inputs, batch).items():
        assert loss == expected[name]
    instances = head.predict(inputs, batch)
    np.testing.assert_array_equal(instances[0].presence, predicted[0].presence)
    np.testing.assert_array_equal(instances[1].presence, predicted[1].presence[:, :2])


@pytest.mark.parametrize('parts', [dict(), FULL])
def test_feature_maps_that_do_not_fit(parts):
    head = make_head(**parts)
    with pytest.raises(ValueError, match='names 2 feature maps, but .* gives 1'):
        head(feats()[:1])
    x, y = feats()
    for run in (head.loss, head.predict):
        with pytest.raises(ValueError, match=r'maps have the size \(4, 8\)'):
            run((x, y[..., :2]), samples())


@pytest.mark.parametrize('parts', PARTS)
@pytest.mark.parametrize('pooling', ['average', 'topk', 'lse', 'noisy_or', 'mass'])
def test_every_part_learns_and_predicts(parts, pooling):
    head = make_head(cam=dict(pooling=pooling), **PARTS[parts])
    losses = head.loss(feats(), samples())
    expected = {'loss_presence_location', 'loss_kpt', 'acc_pose'}
    if parts != 'cam':
        expected.add('loss_presence_cam')
    if parts in ('prototypes', 'full'):
        expected.add('loss_presence_prototype')
    assert set(losses) == expected
    sum(loss for name, loss in losses.items() if 'loss' in name).backward()
    no_gradient = [n for n, p in head.named_parameters() if p.grad is None]
    assert no_gradient == []
    head.eval()
    with torch.no_grad():
        instances = head.predict(feats(), samples())
    assert instances[0].keypoints.shape == (1, 3, 2)
    assert instances[0].keypoint_scores.shape == (1, 3)
    assert instances[0].presence.shape == (1, 4, 3)
    for values in (instances[0].keypoint_scores, instances[0].presence):
        assert ((values >= 0) & (values <= 1)).all()


def test_locations_do_not_matter_without_weights():
    head = make_head(cam=dict(pooling='mass'), **FULL)
    inputs, batch = feats(), samples(located=False)
    first = head.loss(inputs, batch)
    for sample in batch:
        sample.gt_fields.heatmaps = torch.rand(3, 8, 8)
    second = head.loss(inputs, batch)
    assert first['loss_kpt'] == second['loss_kpt'] == 0
    assert first['loss_presence_location'] == second['loss_presence_location']


def test_what_the_box_shows_is_absent_around_it():
    """By the loss, with regions that say so, of maps that are free otherwise."""
    batch = samples(1)
    labels = batch[0].gt_instance_labels
    corners = [(0.5, 0.5), (5.5, 0.5), (5.5, 6.5), (0.5, 6.5)]
    labels.presence_windows = torch.tensor([[corners]])
    labels.presence = torch.tensor([[[1.0, 0.0, -1.0]]])
    head = make_head(cam=dict(pooling='average'), place_loss=None)
    maps = torch.randn(1, 3, 8, 8, requires_grad=True)
    head.branches = lambda feats: dict(cam=maps, location=maps)
    loss = head.loss(None, batch)['loss_presence_location']
    inside = maps[0, :2, 1:7, 1:6].mean(dim=(1, 2))
    around = (maps[0, 0].sum() - maps[0, 0, 1:7, 1:6].sum()) / 34
    logits, answers = torch.cat([inside, around[None]]), torch.tensor([1.0, 0.0, 0.0])
    expected = torch.nn.functional.binary_cross_entropy_with_logits(logits, answers)
    torch.testing.assert_close(loss, expected)
    (gradient,) = torch.autograd.grad(loss, maps)
    assert (gradient[0, 0, 0] > 0).all()  # the evidence around goes down
    assert (gradient[0, 1:, 0] == 0).all()  # unknown: it is not in the box

    whole = torch.tensor([(-0.5, -0.5), (7.5, -0.5), (7.5, 7.5), (-0.5, 7.5)])
    labels.presence_windows = whole[None, None]
    loss = head.loss(None, batch)['loss_presence_location']
    means = maps[0, :2].mean(dim=(1, 2))
    expected = torch.nn.functional.binary_cross_entropy_with_logits(means, answers[:2])
    torch.testing.assert_close(loss, expected)


@pytest.mark.parametrize(
    ('pooling', 'argument', 'asked'),
    [('topk', None, 5), ('topk', False, 4), ('mass', None, 4), ('mass', True, 5)],
)
def test_whether_to_ask_around_the_box(pooling, argument, asked):
    head = make_head(cam=dict(pooling=pooling), absent_outside_box=argument)
    regions = []
    pool = head.cam.pool
    head.cam.pool = lambda *args: regions.append(args[1].shape[1]) or pool(*args)
    head.loss(feats(), samples())
    assert regions == [asked]


def test_score_is_presence_times_peak():
    head = make_head(cam=dict(pooling='mass'))
    maps = torch.full((1, 3, 8, 8), -20.0)
    maps[0, 0, 3, 4] = 20  # certainly there
    maps[0, 1, 5, 2] = np.log(64)  # as likely there as outside
    head.forward = lambda feats: maps
    instance = head.predict(None, samples(1, presence=False))[0]
    np.testing.assert_allclose(instance.keypoints[0, :2], [[16, 12], [8, 20]])
    assert instance.keypoint_scores[0, 0] == 1
    assert instance.keypoint_scores[0, 2] < 1e-6
    presence = [[[1.0, 0.5, 0.0]]]
    np.testing.assert_allclose(instance.presence, presence, atol=1e-4)


def test_flip_test_mirrors_and_swaps():
    head = make_head(cam=dict(pooling='mass'))
    upright = torch.zeros(1, 3, 8, 8)
    upright[0, 0, 1, 1], upright[0, 1, 2, 6], upright[0, 2, 4, 1] = 9, 9, 9
    mirrored = upright[:, [0, 2, 1]].flip(3)
    head.forward = lambda feats: feats[0]
    cfg = dict(flip_test=True, output_heatmaps=True)
    instances, fields = head.predict([(upright,), (mirrored,)], samples(1), cfg)
    plain = head.predict((upright,), samples(1))
    np.testing.assert_allclose(instances[0].keypoints, plain[0].keypoints)
    np.testing.assert_allclose(instances[0].presence, plain[0].presence, rtol=1e-5)
    assert fields[0].heatmaps.shape == (3, 8, 8)


def test_blur_finds_the_place_with_most_mass_around_it():
    head = make_head(cam=dict(pooling='mass'))
    maps = torch.full((1, 3, 8, 8), -30.0)
    maps[0, :, 1, 1] = 5.1  # one pixel is higher than each of nine
    maps[0, :, 4:7, 4:7] = 5.0
    head.forward = lambda feats: feats[0]
    highest = head.predict((maps,), samples(1, presence=False))[0]
    np.testing.assert_allclose(highest.keypoints[0, 0] // 4, [1, 1])
    cfg = dict(blur=True, output_heatmaps=True)
    instances, fields = head.predict((maps,), samples(1, presence=False), cfg)
    # the codec moves by a quarter of a pixel of the map
    np.testing.assert_allclose(instances[0].keypoints[0], [[20, 20]] * 3, atol=1)
    np.testing.assert_allclose(instances[0].presence, highest.presence)
    # the slow and obvious way: the expected value of the Gaussian around the keypoint
    p = F.pad(maps[0, 0].flatten(), (0, 1), value=math.log(64)).softmax(0)[:-1]
    places = torch.cartesian_prod(torch.arange(8.0), torch.arange(8.0))
    gaussians = (-(torch.cdist(places, places) ** 2) / 2).exp()
    expected = 2 * (p[:, None] * gaussians).sum(dim=0).view(8, 8)
    torch.testing.assert_close(fields[0].heatmaps[0], expected, rtol=0, atol=1e-3)


def test_blurred_gaussian_has_the_peak_1():
    head = make_head(cam=dict(pooling='mass'))
    x, y = torch.meshgrid(torch.arange(8.0), torch.arange(8.0), indexing='xy')
    maps = 20 - ((x - 4) ** 2 + (y - 4) ** 2) / 2
    maps = maps.expand(1, 3, 8, 8)
    for blur in (False, True):
        heatmaps = head.heatmaps(maps, torch.ones(1, 3), blur)
        assert heatmaps.amax().item() == pytest.approx(1, rel=0.01)


def test_blur_needs_a_distribution():
    with pytest.raises(ValueError, match="pooling='mass'., but pooling is 'topk'"):
        make_head().eval().predict(feats(), samples(), dict(blur=True))


def test_receptive_field_of_the_cam():
    """With cam_index=0 and a kernel of 1 a place sees only itself."""
    head = make_head(cam_index=0).eval()
    early, late = feats(1)
    changed = early.clone()
    changed[..., 2, 2] += 1
    difference = (head((early, late)) - head((changed, late))).abs().amax(dim=(0, 1))
    assert difference[2, 2] > 0
    difference[2, 2] = 0
    assert difference.max() == 0


def test_presence_labels_are_asked_for():
    with pytest.raises(ValueError, match='PresenceWindows'):
        make_head().loss(feats(), samples(presence=False))
    losses = make_head(presence_loss=None).loss(feats(), samples(presence=False))
    assert set(losses) == {'loss_kpt', 'acc_pose'}


@pytest.mark.parametrize(
    ('kwargs', 'message'),
    [
        (dict(location_index=2), 'location_index=2, but the backbone gives 2'),
        (dict(cam_index=5), 'cam_index=5'),
        (dict(context={}, context_indices=(0, 3)), r'context_indices\[1\]=3'),
        (dict(context={}), 'needs context_indices'),
        (dict(prototypes={}), 'prototypes need the tokens'),
        (dict(presence_loss=None, place_loss=None), 'cannot both be None'),
        (dict(branch_weights=dict(heat=1)), "'heat'"),
        (dict(branch_weights=dict(location=0), place_loss=None), 'location=0'),
        (
            dict(
                branch_weights=dict(location=0, prototype=0),
                place_loss=None,
                context={},
                context_indices=(0,),
                prototypes={},
            ),
            'location=0 and prototype=0',
        ),
        (dict(cam=dict(topk=0)), 'topk must be at least 1'),
        (dict(window_loss=JOINT), "needs cam=dict.pooling='mass'., but .* 'topk'"),
        (dict(metainfo=None), 'metainfo=None must be that of a dataset'),
        (dict(cam_index=0, decoder=None), 'cam_index=0 without a context'),
        (dict(cam=dict(sharpness=0)), 'sharpness must be more than 0'),
        (dict(metainfo=dict(dataset_name='x')), 'keypoint_info'),
    ],
)
def test_bad_arguments(kwargs, message):
    with pytest.raises(ValueError, match=message):
        make_head(**kwargs)


def test_stock_estimator_with_hrnet_takes_all_four_branches():
    extra = dict(
        stage1=dict(
            num_modules=1, num_branches=1, block='BOTTLENECK',
            num_blocks=(1,), num_channels=(8,),
        ),
        stage2=dict(
            num_modules=1, num_branches=2, block='BASIC',
            num_blocks=(1, 1), num_channels=(8, 16),
        ),
        stage3=dict(
            num_modules=1, num_branches=3, block='BASIC',
            num_blocks=(1, 1, 1), num_channels=(8, 16, 32),
        ),
        stage4=dict(
            num_modules=1, num_branches=4, block='BASIC',
            num_blocks=(1, 1, 1, 1), num_channels=(8, 16, 32, 64),
            multiscale_output=True,
        ),
    )  # fmt: skip
    model = MODELS.build(
        dict(
            type='TopdownPoseEstimator',
            backbone=dict(type='HRNet', in_channels=3, extra=extra),
            head=dict(
                type='mmpose_pretext.LocationFreeHead',
                in_channels=[8, 16, 32, 64],
                metainfo=METAINFO,
                location_index=0,
                deconv_out_channels=None,
                context=dict(),
                context_indices=(1, 2, 3),
                prototypes=dict(),
                dims=32,
                decoder=DECODER,
            ),
            test_cfg=dict(flip_test=True, flip_mode='heatmap', shift_heatmap=False),
        )
    )
    model.eval()
    batch = samples(1)
    with torch.no_grad():
        result = model(torch.randn(1, 3, 32, 32), batch, mode='predict')
    assert result[0].pred_instances.keypoints.shape == (1, 3, 2)
