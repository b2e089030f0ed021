"""From a person's crop to a pose in camera space."""

import logging

import numpy as np
from mmengine.logging import print_log
from mmengine.structures import InstanceData
from mmpose.models.pose_estimators import TopdownPoseEstimator
from mmpose.structures import PoseDataSample
from mmpose.utils.typing import ConfigType, InstanceList, PixelDataList, SampleList

from mmpose_pretext.registry import MODELS

ROOT_DEPTHS = ('predicted', 'annotated')


@MODELS.register_module()
class TopdownPose3DEstimator(TopdownPoseEstimator):
    """Top-down estimator of poses in camera space.

    A head such as :class:`mmpose_pretext.IntegralPose3DHead` predicts x and y in the
    crop and z behind the root. With the intrinsics of the sample (``focal`` and
    ``principal_pt``, of shape (1, 2), in pixels) and the depth of the root, Z, a pixel
    (x, y) is at ``((x - cx) / fx, (y - cy) / fy, 1) * (Z + z)``, by the pinhole camera
    without distortion.

    Predicted instances have:

        - keypoints: Shape (1, K, 3), in mm in camera space: x to the right, y down,
          z forward.
        - transformed_keypoints: Shape (1, K, 2), in pixels of the image. MMPose's
          visualizers draw them.
        - keypoint_scores: Shape (1, K).
        - root_depths: Shape (1,), in mm.

    Args:
        backbone: Config of the backbone.
        test_cfg: ``flip_test``; ``root_depth``: ``'predicted'``, by the head, or
            ``'annotated'``, that of the dataset, as protocols that do not judge it do;
            ``fallback_focal``: focal length in pixels for samples without intrinsics,
            whose principal point is then taken to be the image's centre. It is made
            up, and so are metres measured with it; a warning says so once.
        **kwargs: See :class:`mmpose.models.TopdownPoseEstimator`: ``neck``, ``head``,
            ``train_cfg``, ``data_preprocessor``, ``init_cfg``, ``metainfo``.

    Raises:
        ValueError: If ``root_depth`` is neither of these, or is to be predicted by a
            head that does not, or ``output_keypoint_indices`` is given; in prediction,
            if a sample has no intrinsics and there is no ``fallback_focal``, or no
            annotated root.
    """

    def __init__(
        self, backbone: ConfigType, test_cfg: ConfigType | None = None, **kwargs
    ) -> None:
        super().__init__(backbone, test_cfg=test_cfg, **kwargs)
        self.root_depth = self.test_cfg.get('root_depth', 'predicted')
        if self.root_depth not in ROOT_DEPTHS:
            raise ValueError(
                f'test_cfg.root_depth must be one of {ROOT_DEPTHS}, but got '
                f'{self.root_depth!r}'
            )
        if self.root_depth == 'predicted' and not self.head.predicts_root_depth:
            raise ValueError(
                "test_cfg.root_depth is 'predicted', but the head does not predict "
                "it; give the head root_depth=True, or set it to 'annotated'"
            )
        if 'output_keypoint_indices' in self.test_cfg:
            raise ValueError(
                'test_cfg.output_keypoint_indices is not for TopdownPose3DEstimator: '
                'the root would be lost'
            )
        self._warned = False

    def add_pred_to_datasample(
        self,
        batch_pred_instances: InstanceList,
        batch_pred_fields: PixelDataList | None,
        batch_data_samples: SampleList,
    ) -> SampleList:
        """Move predictions into camera space, and add them to the samples.

        Args:
            batch_pred_instances: B predictions of the head.
            batch_pred_fields: Not used.
            batch_data_samples: B samples.

        Returns:
            The samples, with ``pred_instances``.
        """
        samples = super().add_pred_to_datasample(
            batch_pred_instances, batch_pred_fields, batch_data_samples
        )
        for sample in samples:
            predicted = sample.pred_instances
            focal, principal_pt = self._intrinsics(sample)
            depth = self._root_depth(sample, predicted, focal)
            pixels, z = predicted.keypoints[..., :2], predicted.keypoints[..., 2:]
            predicted.transformed_keypoints = pixels.copy()
            predicted.keypoints = np.concatenate(
                [(pixels - principal_pt) / focal * (depth + z), depth + z], axis=-1
            ).astype(np.float32)
            if self.root_depth == 'predicted':
                predicted.root_depths = np.array([depth], dtype=np.float32)
            elif 'root_depths' in predicted:  # nothing to be judged
                del predicted.root_depths
        return samples

    def _intrinsics(self, sample: PoseDataSample) -> tuple[np.ndarray, np.ndarray]:
        """Return focal lengths and principal point, each of shape (2,)."""
        true = sample.gt_instances
        if 'focal' in true and 'principal_pt' in true:
            return true.focal[0], true.principal_pt[0]
        focal = self.test_cfg.get('fallback_focal')
        if focal is None:
            raise ValueError(
                f'{_place(sample)} has no intrinsics: its dataset must give focal and '
                'principal_pt of shape (1, 2), in pixels; test_cfg.fallback_focal '
                'takes a guess instead'
            )
        if not self._warned:
            self._warned = True
            print_log(
                f'{_place(sample)} has no intrinsics: fallback_focal of {focal} '
                'pixels is made up, so places in camera space are, too',
                'current',
                level=logging.WARNING,
            )
        height, width = sample.ori_shape
        return np.array([focal, focal]), np.array([(width - 1) / 2, (height - 1) / 2])

    def _root_depth(
        self, sample: PoseDataSample, predicted: InstanceData, focal: np.ndarray
    ) -> float:
        if self.root_depth == 'predicted':
            reference = self.head.decoder.reference_depth(focal, sample.input_scale)
            return float(predicted.root_depths[0] * reference)
        true, root = sample.gt_instances, self.head.decoder.root_index
        if 'keypoints_cam' not in true or not true.keypoints_cam_visible[0, root]:
            raise ValueError(
                f'{_place(sample)} has no annotated root, but '
                "test_cfg.root_depth is 'annotated'; such samples cannot be evaluated "
                'in 3D'
            )
        return float(true.keypoints_cam[0, root, 2])


def _place(sample: PoseDataSample) -> str:
    """Name a sample in an error."""
    if sample.get('img_path') is None:  # inference on an array
        return 'an image'
    return f'{sample.img_path} (id {sample.get("id")})'
