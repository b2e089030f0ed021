import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from mmpose.datasets.transforms import (
    BottomupRandomAffine,
    GenerateTarget,
    PackPoseInputs,
    RandomFlip,
)

from mmpose_pretext.datasets.transforms import BottomupPolygonMask

CODEC = dict(
    type='mmpose_pretext.RelativeDepthLabel',
    input_size=(64, 64),
    heatmap_size=(16, 16),
    sigma=1.0,
)


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('mmpose')


def box(x1, y1, x2, y2):
    return [[x1, y1, x2, y1, x2, y2, x1, y2]]


def test_boxes_that_overlap_are_one_mask():
    results = BottomupPolygonMask()(
        dict(
            img_shape=(20, 30),
            input_size=(30, 20),
            invalid_segs=[box(2, 3, 10.4, 9), box(8, 5, 50, 12)],
        )
    )
    valid = np.ones((20, 30), dtype=bool)
    valid[3:10, 2:11] = valid[5:13, 8:] = False
    np.testing.assert_array_equal(results['heatmap_mask'], valid)


def pack(invalid):
    """Put a person's keypoint, and a mask around it, through a training pipeline."""
    rng = np.random.default_rng(0)
    x, y = rng.uniform(50, 70, 2)
    results = dict(
        img=np.zeros((120, 120, 3), dtype=np.uint8),
        img_shape=(120, 120),
        keypoints=np.array([[[x, y]]]),
        keypoints_visible=np.ones((1, 1), dtype=np.float32),
        flip_indices=[0],
        invalid_segs=[box(x - 15, y - 15, x + 15, y + 15)] if invalid else [],
    )
    for transform in (
        BottomupRandomAffine(input_size=(64, 64), shift_factor=0.05),
        RandomFlip(prob=1.0),
        GenerateTarget(CODEC),
        BottomupPolygonMask(),
        PackPoseInputs(),
    ):
        results = transform(results)
    return results['data_samples']


@pytest.mark.parametrize('seed', range(5))
def test_mask_moves_with_the_image_and_is_packed(seed):
    np.random.seed(seed)
    sample = pack(invalid=True)
    np.random.seed(seed)
    (without,) = pack(invalid=False).gt_fields.heatmap_mask  # as stock: the padding
    (mask,) = sample.gt_fields.heatmap_mask
    rows, columns = (without & ~mask).nonzero().double().T
    assert 8 < len(rows) < 120
    point = sample.gt_instance_labels.depth_points[0, 0, 0]
    centre = torch.stack([columns.mean(), rows.mean()])
    np.testing.assert_allclose(centre, point, atol=0.75)
