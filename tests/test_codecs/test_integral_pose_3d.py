import numpy as np
import pytest

from mmpose_pretext.codecs import IntegralPose3D

CODEC = dict(input_size=(64, 96), heatmap_size=(16, 24, 10), depth_range=1000.0)


def person(seed=0):
    rng = np.random.default_rng(seed)
    points = rng.uniform((0, 0), (63, 95), (1, 4, 2)).astype(np.float32)
    pose = rng.uniform(-400, 400, (1, 4, 3)).astype(np.float32)
    pose[..., 2] += 3000
    pose[0, 0, 2] = 3000
    return points, pose


def encode(codec=None, **kwargs):
    points, pose = person()
    inputs = dict(
        keypoints=points,
        keypoints_visible=np.ones((1, 4), dtype=np.float32),
        keypoints_cam=pose,
        keypoints_cam_visible=np.ones((1, 4), dtype=np.float32),
        focal=np.array([[500.0, 400.0]]),
        input_scale=np.array([100.0, 150.0]),
        img_path='a.jpg',
    )
    inputs.update(kwargs)
    return (codec or IntegralPose3D(**CODEC)).encode(**inputs)


def test_labels_by_hand():
    points, pose = person()
    points[0, 1] = (-0.5, 95.5)  # outer edges of the first column and the last row
    pose[0, 1, 2] = 3000 - 500  # the volume's front
    pose[0, 2, 2] = 3000 + 50  # the middle of the sixth of ten slices of 100 mm
    encoded = encode(keypoints=points, keypoints_cam=pose)
    labels = encoded['keypoint_labels']
    np.testing.assert_allclose(labels[0, 1], (-0.5, 23.5, -0.5), atol=1e-5)
    assert labels[0, 2, 2] == pytest.approx(5)
    assert labels[0, 0, 2] == pytest.approx(4.5)  # the root is in the middle
    assert (encoded['keypoint_weights'] == 1).all()
    # a person of 2 m fills 100 x 150 pixels at 2000 * sqrt(500 * 400 / 15000) mm
    ratio = 3000 / (2000 * np.sqrt(500 * 400 / 15000))
    assert encoded['root_depth_labels'][0, 0] == pytest.approx(np.log(ratio))
    assert encoded['root_depth_weights'] == 1
    for value in encoded.values():
        assert value.dtype == np.float32


def test_round_trip():
    codec = IntegralPose3D(**CODEC)
    points, pose = person()
    keypoints, scores = codec.decode(encode(codec)['keypoint_labels'])
    np.testing.assert_allclose(keypoints[..., :2], points, atol=1e-3)
    np.testing.assert_allclose(keypoints[..., 2], pose[..., 2] - 3000, atol=1e-2)
    assert (scores == 1).all()
    assert scores.shape == (1, 4)


def test_mirrored_input_has_the_mirrored_volume():
    points, _ = person()
    mirrored = points * [-1, 1] + [63, 0]
    label = encode()['keypoint_labels']
    flipped = encode(keypoints=mirrored)['keypoint_labels']
    np.testing.assert_allclose(flipped[..., 0], 15 - label[..., 0], atol=1e-4)
    np.testing.assert_allclose(flipped[..., 1:], label[..., 1:])


def test_weights():
    points, pose = person()
    points[0, 1, 0] = 64  # outside: neither place nor depth can be told
    pose[0, 2, 2] = 3000 + 501  # beyond the range
    points[0, 3] = np.nan
    visible = np.array([[1, 1, 1, 0]], dtype=np.float32)
    weights = encode(keypoints=points, keypoints_cam=pose, keypoints_visible=visible)
    np.testing.assert_array_equal(
        weights['keypoint_weights'][0], [[1, 1, 1], [0, 0, 0], [1, 1, 0], [0, 0, 0]]
    )
    assert np.isfinite(weights['keypoint_labels']).all()


def test_2d_only():
    encoded = encode(
        keypoints_cam=None, keypoints_cam_visible=None, focal=None, input_scale=None
    )
    np.testing.assert_array_equal(encoded['keypoint_weights'][0], [[1, 1, 0]] * 4)
    assert encoded['root_depth_weights'] == 0


def test_keypoint_converter_gives_visibility_and_weight():
    visible = np.ones((1, 4, 2), dtype=np.float32)
    visible[0, 1, 1] = 0.5
    visible[0, 2, 0] = 0
    weights = encode(keypoints_visible=visible, keypoints_cam=None)['keypoint_weights']
    expected = [[1, 1, 0], [0.5, 0.5, 0], [0] * 3, [1, 1, 0]]
    np.testing.assert_array_equal(weights[0], expected)
    # it reorders keypoints only, so z would be that of others
    with pytest.raises(ValueError, match='reordered by KeypointConverter'):
        encode(keypoints_visible=visible)


def test_pose_without_root_has_no_depth():
    visible = np.array([[0, 1, 1, 1]], dtype=np.float32)
    encoded = encode(keypoints_cam_visible=visible)
    np.testing.assert_array_equal(encoded['keypoint_weights'][0], [[1, 1, 0]] * 4)
    assert encoded['root_depth_weights'] == 0


def test_no_intrinsics_no_root_depth():
    assert encode(focal=None)['root_depth_weights'] == 0
    assert encode(focal=None)['keypoint_weights'].all()


@pytest.mark.parametrize('name', ['keypoints', 'keypoints_cam'])
def test_not_finite(name):
    points, pose = person()
    {'keypoints': points, 'keypoints_cam': pose}[name][0, 1, -1] = np.nan
    with pytest.raises(ValueError, match=r'not a finite number \(a\.jpg\)'):
        encode(keypoints=points, keypoints_cam=pose)


def test_two_people():
    with pytest.raises(ValueError, match='one person a sample, but got 2'):
        encode(keypoints=np.zeros((2, 4, 2)))


@pytest.mark.parametrize(
    'wrong',
    [
        dict(heatmap_size=(16, 24)),
        dict(heatmap_size=(16, 24, 0)),
        dict(input_size=(0, 4)),
        dict(depth_range=0),
    ],
)
def test_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        IntegralPose3D(**{**CODEC, **wrong})
