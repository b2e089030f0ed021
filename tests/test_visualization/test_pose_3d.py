import numpy as np
import pytest
from mmengine.structures import InstanceData
from mmpose.structures import PoseDataSample

from mmpose_pretext.visualization import pose_3d


@pytest.mark.parametrize('unknown', [0, 2])
def test_unknown_keypoints_are_not_drawn(monkeypatch, unknown):
    """They are stored as zeros, metres from the person."""
    drawn = []
    visualizer = pose_3d.Pose3dLocalVisualizer
    monkeypatch.setattr(visualizer, 'set_dataset_meta', lambda *_: None)
    monkeypatch.setattr(visualizer, 'get_image', lambda _: None)
    monkeypatch.setattr(
        visualizer,
        'add_datasample',
        lambda _, name, img, sample, **kwargs: drawn.append((sample, kwargs)),
    )
    pose = np.array([[[0, 0, 4000], [100, 0, 4100], [0, 200, 3900]]], dtype=np.float32)
    visible = np.ones((1, 3), dtype=np.float32)
    sample = PoseDataSample(
        pred_instances=InstanceData(
            keypoints=pose.copy(),
            keypoint_scores=np.ones((1, 3)),
            transformed_keypoints=np.zeros((1, 3, 2)),
        )
    )
    pose[0, unknown] = visible[0, unknown] = 0
    sample.gt_instances = InstanceData(
        keypoints_cam=pose, keypoints_cam_visible=visible
    )
    pose_3d.draw_pose_3d(np.zeros((64, 64, 3), dtype=np.uint8), sample, {}, root=0)
    ((poses, options),) = drawn
    np.testing.assert_allclose(poses.pred_instances.keypoints[0, 1], [-0.1, -0.1, 0.85])
    assert options['draw_gt'] == (unknown != 0)  # no root, no aligned pose
    if options['draw_gt']:
        target = poses.gt_instances.lifting_target[0]
        assert np.isnan(target[2]).all()
        np.testing.assert_allclose(target[1], [-0.1, -0.1, 0.85], atol=1e-6)
