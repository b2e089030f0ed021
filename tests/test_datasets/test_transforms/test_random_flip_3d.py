import numpy as np
import pytest
from mmpose.datasets.transforms import RandomFlip

from mmpose_pretext.datasets.transforms import RandomFlip3D


def sample():
    rng = np.random.default_rng(0)
    points = rng.uniform(-400, 400, (1, 3, 3)).astype(np.float32) + [0, 0, 3000]
    focal = np.array([[500.0, 400.0]], dtype=np.float32)
    principal_pt = np.array([[40.0, 30.0]], dtype=np.float32)
    return dict(
        img=rng.integers(0, 255, (60, 100, 3), dtype=np.uint8),
        img_shape=(60, 100),
        keypoints=points[..., :2] / points[..., 2:] * focal + principal_pt,
        keypoints_visible=np.array([[1, 0, 1]], dtype=np.float32),
        keypoints_cam=points,
        keypoints_cam_visible=np.array([[1, 1, 0]], dtype=np.float32),
        focal=focal,
        principal_pt=principal_pt,
        bbox=np.array([[10.0, 10, 50, 50]]),
        flip_indices=[0, 2, 1],
    )


def test_2d_and_3d_move_together():
    before = sample()
    after = RandomFlip3D(prob=1.0)(sample())
    assert after['flip']
    points = after['keypoints_cam']
    pixels = points[..., :2] / points[..., 2:] * after['focal'] + after['principal_pt']
    np.testing.assert_allclose(pixels, after['keypoints'], atol=1e-3)
    np.testing.assert_allclose(points[0, 1], before['keypoints_cam'][0, 2] * [-1, 1, 1])
    assert after['keypoints_cam_visible'].tolist() == [[1, 0, 1]]
    assert after['principal_pt'].tolist() == [[59, 30]]


def test_rest_is_the_stock_flip():
    stock = RandomFlip(prob=1.0)(sample())
    flat = {k: v for k, v in sample().items() if 'cam' not in k and k != 'principal_pt'}
    for after in (RandomFlip3D(prob=1.0)(sample()), RandomFlip3D(prob=1.0)(flat)):
        for key in ('img', 'keypoints', 'keypoints_visible', 'bbox', 'flip_direction'):
            np.testing.assert_array_equal(after[key], stock[key])


def test_no_flip():
    before, after = sample(), RandomFlip3D(prob=0.0)(sample())
    assert not after['flip']
    for key in before:
        np.testing.assert_array_equal(after[key], before[key])


def test_after_the_crop():
    with pytest.raises(ValueError, match='must come before the crop'):
        RandomFlip3D(prob=1.0)(dict(sample(), input_size=(32, 32)))
