import numpy as np
import pytest
from mmengine.dataset import Compose
from mmengine.registry import init_default_scope
from mmpose.datasets.transforms import BottomupRandomAffine, RandomFlip

from mmpose_pretext.datasets.transforms import check_pipeline

FLIP = dict(type='RandomFlip', prob=1.0)
MASK = dict(type='BottomupGetHeatmapMask')
MOSAIC = dict(type='Mosaic', img_scale=(64, 64))
CODEC = dict(
    type='mmpose_pretext.RelativeDepthLabel',
    input_size=(64, 64),
    heatmap_size=(16, 16),
    sigma=1.0,
)


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('mmpose')


def affine(*size):
    return dict(type='BottomupRandomAffine', input_size=size)


@pytest.mark.parametrize(
    'transforms',
    [
        [FLIP, affine(64, 96)],
        [affine(64, 64), FLIP],
        [affine(64, 64), FLIP, MASK],
        [affine(64, 96), MASK],
        [FLIP, dict(type='BottomupResize', input_size=(64, 64))],
        [dict(type='PhotometricDistortion'), lambda results: results],
    ],
)
def test_global_maps_flips_and_colours_pass(transforms):
    pipeline = [dict(type='LoadImage'), *transforms]
    pipeline += [dict(type='GenerateTarget', encoder=CODEC)]
    check_pipeline(pipeline)
    check_pipeline(Compose(pipeline))
    # and that was not for want of looking
    with pytest.raises(ValueError, match='^Mosaic cannot be used'):
        check_pipeline([*pipeline, MOSAIC])


@pytest.mark.parametrize(
    'config',
    [
        dict(type='TopdownAffine', input_size=(64, 64)),
        dict(type='GetBBoxCenterScale'),
        dict(type='RandomBBoxTransform'),
        dict(type='RandomHalfBody'),
        MOSAIC,
        dict(type='YOLOXMixUp', img_scale=(64, 64)),
        dict(type='FilterAnnotations'),
        dict(type='BottomupRandomCrop', crop_size=(64, 64)),
        dict(type='BottomupRandomChoiceResize', scales=[(64, 64)]),
        dict(type='mmdet.CopyPaste'),
    ],
    ids=lambda config: config['type'],
)
def test_what_breaks_labels_is_refused_by_name(config):
    name = config['type'].split('.')[-1]
    with pytest.raises(ValueError, match=f'^{name} cannot be used') as info:
        check_pipeline([dict(type='LoadImage'), config])
    assert 'use BottomupRandomAffine or BottomupResize' in str(info.value)


@pytest.mark.parametrize(
    'wrapper',
    [
        dict(type='RandomApply', transforms=[FLIP, MOSAIC]),
        dict(type='RandomChoice', transforms=[[FLIP], [FLIP, MOSAIC]]),
        dict(type='TransformBroadcaster', transforms=[MOSAIC]),
    ],
    ids=lambda config: config['type'],
)
def test_wrappers_are_looked_into(wrapper):
    with pytest.raises(ValueError, match='Mosaic cannot be used'):
        check_pipeline([wrapper])


def test_subclasses_are_refused():
    class Mosaic:  # by any package
        def __call__(self, results):
            return results

    class MyMosaic(Mosaic):
        pass

    with pytest.raises(ValueError, match='MyMosaic cannot be used'):
        check_pipeline([MyMosaic()])


def test_udp_is_refused():
    resize = dict(type='BottomupResize', input_size=(64, 64), use_udp=True)
    with pytest.raises(ValueError, match='use_udp=False'):
        check_pipeline([resize])


@pytest.mark.parametrize(
    'resize', [affine(64, 96), dict(type='BottomupResize', input_size=(64, 64))]
)
def test_flips_must_come_first(resize):
    with pytest.raises(ValueError, match=f'must come before {resize["type"]}'):
        check_pipeline([resize, FLIP])


@pytest.mark.parametrize(
    ('transforms', 'named'),
    [
        ([FLIP, affine(64, 64)], 'RandomFlip and BottomupRandomAffine'),
        ([dict(type='BottomupResize', input_size=(64, 64))], 'BottomupResize'),
        ([], 'none'),
    ],
)
def test_masks_follow_one_order_only(transforms, named):
    with pytest.raises(ValueError, match=f'but got {named}: the mask would'):
        check_pipeline([*transforms, MASK])


def test_why_flips_must_come_first():
    """After an affine map to 64 x 96, a stock flip goes about the height."""
    np.random.seed(0)
    results = dict(
        img=np.zeros((96, 64, 3), dtype=np.uint8),
        img_shape=(96, 64),
        keypoints=np.array([[[10.0, 20.0]]]),
        keypoints_visible=np.ones((1, 1)),
        flip_indices=[0],
    )
    results = BottomupRandomAffine((64, 96), shift_prob=0, scale_prob=0, rotate_prob=0)(
        results
    )
    np.testing.assert_allclose(results['keypoints'], [[[10, 20]]])
    flipped = RandomFlip(prob=1.0)(results)
    assert flipped['keypoints'][0, 0, 0] != 64 - 1 - 10
