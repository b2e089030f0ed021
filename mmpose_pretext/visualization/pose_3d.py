"""Pictures of poses in 3D."""

from unittest import mock

import cv2
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from mmengine.structures import InstanceData
from mmpose.structures import PoseDataSample
from mmpose.visualization import Pose3dLocalVisualizer


def draw_pose_3d(
    img: np.ndarray, sample: PoseDataSample, metainfo: dict, root: int
) -> np.ndarray:
    """Draw a person's predicted pose beside the image, and the true one if known.

    By MMPose's ``Pose3dLocalVisualizer``: the skeleton in the image, the prediction,
    and the truth, both root-aligned, in a space of 1.7 m, seen from a side.

    Args:
        img: Shape (H, W, 3), RGB, uint8.
        sample: A prediction of :class:`mmpose_pretext.TopdownPose3DEstimator`.
        metainfo: Metainfo of the dataset.
        root: Index of the root keypoint.

    Returns:
        The picture, RGB, uint8; small images are enlarged.
    """
    predicted, true = sample.pred_instances, sample.gt_instances
    poses = PoseDataSample(
        pred_instances=InstanceData(
            keypoints=_upright(predicted.keypoints, root),
            keypoint_scores=predicted.keypoint_scores,
        )
    )
    draw_true = 'keypoints_cam' in true and bool(true.keypoints_cam_visible[0, root])
    if draw_true:
        target = _upright(true.keypoints_cam, root)
        target[true.keypoints_cam_visible == 0] = np.nan  # which is not drawn
        poses.gt_instances = InstanceData(
            lifting_target=target,
            lifting_target_visible=true.keypoints_cam_visible,
        )
    scale = max(1, round(512 / max(img.shape[:2])))
    img = cv2.resize(img, None, fx=scale, fy=scale)
    places = PoseDataSample(
        pred_instances=InstanceData(
            keypoints=(predicted.transformed_keypoints + 0.5) * scale - 0.5,
            keypoint_scores=predicted.keypoint_scores,
        )
    )
    # MMPose's drawing by OpenCV fails with NumPy >= 2.4
    visualizer = Pose3dLocalVisualizer(backend='matplotlib')
    visualizer.set_dataset_meta(metainfo)
    # MMPose 1.3.2 calls what matplotlib 3.10 took away
    lost = not hasattr(FigureCanvasAgg, 'tostring_rgb')
    with mock.patch.object(FigureCanvasAgg, 'tostring_rgb', _rgb, create=lost):
        visualizer.add_datasample(
            'pose',
            img,
            poses,
            det_data_sample=places,
            draw_gt=draw_true,
            convert_keypoint=False,
            kpt_thr=0.0,
        )
    return visualizer.get_image()


def _upright(points: np.ndarray, root: int) -> np.ndarray:
    """Turn camera space in mm into metres with z up and the root at 0.85 m."""
    points = points - points[:, root, None]
    return -points[..., [0, 2, 1]] / 1000 + [0, 0, 0.85]


def _rgb(canvas: FigureCanvasAgg) -> bytes:
    return np.asarray(canvas.buffer_rgba())[..., :3].tobytes()
