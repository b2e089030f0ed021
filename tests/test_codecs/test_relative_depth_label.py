import cv2
import numpy as np
import pytest
from mmengine.registry import init_default_scope
from mmpose.codecs import MSRAHeatmap
from mmpose.datasets.transforms import (
    BottomupRandomAffine,
    BottomupResize,
    GenerateTarget,
    PackPoseInputs,
    RandomFlip,
)

from mmpose_pretext.codecs import RelativeDepthLabel

CODEC = dict(input_size=(64, 96), heatmap_size=(16, 24), sigma=1.0)
FLIP = [0, 2, 1]


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('mmpose')


def people(count=3, seed=0):
    rng = np.random.default_rng(seed)
    points = rng.uniform((0, 0), (63, 95), (count, 3, 2)).astype(np.float32)
    return points, np.ones((count, 3), dtype=np.float32)


def pairs(*rows):
    table = np.array(rows, dtype=np.float64).reshape(-1, 4)
    return dict(
        depth_pairs=table[:, :2].astype(int),
        depth_relations=table[:, 2],
        depth_confidences=table[:, 3],
    )


LABELS = pairs((0, 1, 1, 0.5), (0, 2, -1, 1.0), (1, 2, -1, 0.9))


def test_heatmaps_are_the_largest_of_each_persons():
    keypoints, visible = people(4)
    visible[0, 1] = visible[2] = 0
    encoded = RelativeDepthLabel(**CODEC).encode(keypoints, visible)
    stock = MSRAHeatmap(**CODEC)
    single = [
        stock.encode(keypoints[n : n + 1], visible[n : n + 1])['heatmaps']
        for n in range(4)
    ]
    np.testing.assert_allclose(encoded['heatmaps'], np.max(single, axis=0), atol=1e-6)
    np.testing.assert_array_equal(encoded['keypoint_weights'], [[1, 1, 1]])
    for k in range(3):
        peak = encoded['depth_points'][0, 3, k].round().astype(int)
        assert encoded['heatmaps'][k, peak[1], peak[0]] == 1


def test_keypoints_that_the_source_does_not_label_have_no_weight():
    encoded = RelativeDepthLabel(**CODEC).encode(
        *people(), keypoints_labelled=np.array([1, 0, 0])
    )
    np.testing.assert_array_equal(encoded['keypoint_weights'], [[1, 0, 0]])
    assert encoded['keypoint_weights'].dtype == np.float32


def test_pairs_without_anything_to_see_are_left_out():
    keypoints, visible = people()
    keypoints[1] = [(-5, 20), (64, 20), (30, 96)]  # out of the 64 x 96 input
    keypoints[2, 0] = (63, 95)  # the last pixel of it
    visible[2, 1:] = 0
    keypoints[2, 1] = np.nan
    encoded = RelativeDepthLabel(**CODEC).encode(keypoints, visible, **LABELS)
    np.testing.assert_array_equal(encoded['depth_pairs'], [[[0, 2]]])
    np.testing.assert_array_equal(encoded['depth_relations'], [[-1]])
    np.testing.assert_array_equal(encoded['depth_confidences'], [[1]])
    np.testing.assert_array_equal(
        encoded['depth_points_visible'], [[[1, 1, 1], [0, 0, 0], [1, 0, 0]]]
    )
    np.testing.assert_allclose(encoded['depth_points'][0, 2, 0], (15.75, 23.75))
    assert (encoded['depth_points'][~encoded['depth_points_visible']] == 0).all()


def test_without_labels_there_are_no_pairs():
    encoded = RelativeDepthLabel(**CODEC).encode(*people())
    assert encoded['depth_pairs'].shape == (1, 0, 2)
    assert encoded['depth_relations'].shape == (1, 0)
    assert encoded['depth_confidences'].shape == (1, 0)
    some = {k: v for k, v in LABELS.items() if k != 'depth_confidences'}
    encoded = RelativeDepthLabel(**CODEC).encode(people()[0], **some)
    np.testing.assert_array_equal(encoded['depth_confidences'], [[1, 1, 1]])


def test_limbs_keep_their_names_when_they_are_mirrored():
    keypoints, visible = people()
    visible[1, 2] = 0
    order = np.array([[0, 0.5, -0.5], [0, 0.5, -0.5], [0, -0.7, 0.7]], np.float32)
    codec = RelativeDepthLabel(**CODEC)
    labels = dict(limb_order=order, flip_indices=FLIP)
    encoded = codec.encode(keypoints, visible, **labels)['depth_limb_order']
    assert encoded.dtype == np.float32
    order[1] = 0  # one of two is not visible
    np.testing.assert_array_equal(encoded, order[None])
    encoded = codec.encode(keypoints, visible, flip=True, **labels)
    np.testing.assert_array_equal(encoded['depth_limb_order'], order[None, :, FLIP])
    encoded = codec.encode(keypoints, visible)['depth_limb_order']
    np.testing.assert_array_equal(encoded, np.zeros((1, 3, 3)))


def photo(size=(150, 120)):
    """Return a sample whose only bright spots are the keypoints, all different."""
    height, width = size
    rng = np.random.default_rng(0)
    keypoints = rng.uniform((45, 45), (75, 105), (2, 3, 2)).round().astype(np.float32)
    image = np.zeros((height, width, 3), dtype=np.uint8)
    cv2.circle(image, tuple(int(v) for v in keypoints[1, 0]), 4, (255, 255, 255), -1)
    return dict(
        img=image,
        img_path='street.jpg',
        img_shape=size,
        ori_shape=size,
        keypoints=keypoints,
        keypoints_visible=np.ones((2, 3), dtype=np.float32),
        bbox=np.array([[0, 0, 50, 50], [0, 0, 60, 60]], dtype=np.float32),
        bbox_score=np.ones(2, dtype=np.float32),
        flip_indices=FLIP,
        depths=np.array([3.0, np.nan], dtype=np.float32),
        keypoint_depths=np.array([[3, 3.1, 3.2], [np.nan] * 3], dtype=np.float32),
        keypoints_labelled=np.ones(3, dtype=np.float32),
        limb_order=np.array([[0, 0.5, -0.5], [0, 0, 0]], dtype=np.float32),
        **pairs((0, 1, -1, 0.7)),
    )


AFFINE = BottomupRandomAffine(input_size=(64, 96), shift_factor=0.05, rotate_factor=30)


@pytest.mark.parametrize('flip', [[], [RandomFlip(prob=1.0)]], ids=['upright', 'flip'])
@pytest.mark.parametrize(
    'resize',
    [AFFINE, BottomupResize(input_size=(64, 96))],
    ids=['BottomupRandomAffine', 'BottomupResize'],
)
def test_points_move_with_the_pixels_of_the_image(resize, flip):
    for seed in range(5):
        np.random.seed(seed)
        results = photo()
        for transform in (*flip, resize):
            results = transform(results)
        target = GenerateTarget(dict(type='mmpose_pretext.RelativeDepthLabel', **CODEC))
        encoded = target(results)
        points, limbs = encoded['depth_points'][0], encoded['depth_limb_order'][0]
        assert limbs.tolist() == [[0, -0.5, 0.5] if flip else [0, 0.5, -0.5], [0] * 3]
        rows, columns = np.nonzero(results['img'][..., 0] > 127)
        spot = np.array([columns.mean(), rows.mean()])
        np.testing.assert_allclose(points[1, 0] * 4, spot, atol=0.75)
        assert results['depth_relations'] == [[-1]]


def test_what_is_packed():
    results = photo()
    for transform in (
        BottomupResize(input_size=(64, 96)),
        GenerateTarget(dict(type='mmpose_pretext.RelativeDepthLabel', **CODEC)),
        PackPoseInputs(),
    ):
        results = transform(results)
    sample = results['data_samples']
    shapes = {k: tuple(v.shape) for k, v in sample.gt_instance_labels.items()}
    assert shapes == dict(
        keypoint_weights=(1, 3),
        depth_points=(1, 2, 3, 2),
        depth_points_visible=(1, 2, 3),
        depth_pairs=(1, 1, 2),
        depth_relations=(1, 1),
        depth_confidences=(1, 1),
        depth_limb_order=(1, 2, 3),
    )
    assert sample.gt_fields.heatmaps.shape == (3, 24, 16)
    np.testing.assert_array_equal(sample.gt_instances.depths, [3, np.nan])
    assert sample.gt_instances.keypoint_depths.shape == (2, 3)
    # as stock, in the image
    np.testing.assert_array_equal(sample.gt_instances.keypoints, photo()['keypoints'])


def nan_point():
    keypoints, _ = people()
    keypoints[1, 1, 0] = np.nan
    return keypoints


@pytest.mark.parametrize(
    ('changed', 'message'),
    [
        (dict(keypoints=np.zeros((0, 3, 2))), 'street.jpg has no people'),
        (dict(keypoints=nan_point()), 'keypoint of street.jpg is NaN'),
        (dict(input_size=(96, 64)), r'\(96, 64\), but input_size .* \(64, 96\)'),
        (dict(keypoints_labelled=np.ones(4)), r'must have the shape \(3,\), but'),
        (dict(depth_pairs=[[0, 3]] * 3), 'a person 3, but there are 3'),
        (dict(depth_pairs=[[0, 1]]), 'as many depth_relations'),
        (dict(depth_confidences=np.ones(2)), 'as many depth_relations'),
        (dict(depth_relations=np.array([1, 0, 1])), 'must be 1 .farther. or -1'),
        (dict(limb_order=np.zeros((3, 3))), 'street.jpg needs flip_indices'),
    ],
)
def test_bad_input_is_named(changed, message):
    arguments = dict(keypoints=people()[0], img_path='street.jpg') | LABELS | changed
    with pytest.raises(ValueError, match=message) as info:
        RelativeDepthLabel(**CODEC).encode(**arguments)
    assert 'street.jpg' in str(info.value)
