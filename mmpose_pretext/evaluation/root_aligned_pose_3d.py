"""Errors of poses in 3D, with the roots laid on each other."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from mmpose.utils.tensor_utils import to_numpy

from mmpose_pretext.evaluation.relative_depth_accuracy import (
    in_order,
    left_right_pairs,
)
from mmpose_pretext.registry import METRICS

_MM = dict(mm=1.0, m=1000.0)


@METRICS.register_module()
class RootAlignedPose3D(BaseMetric):
    """MPJPE, PA-MPJPE, 3DPCK and AUC of root-aligned poses.

    Predictions are ``pred_instances.keypoints`` of shape (1, K, 3); truth is
    ``gt_instances.keypoints_cam`` with ``keypoints_cam_visible``, as of
    :class:`mmpose_pretext.TopdownPose3DEstimator` and its datasets, or
    ``lifting_target`` with ``lifting_target_visible``, as of MMPose's ``PoseLifter``
    and ``Human36mDataset``. The root of each is moved to 0; each labelled keypoint of
    the dataset then counts the same, the root with an error of 0 too, as is usual for
    Human3.6M; ``scored`` leaves some out.

    Metrics; lengths are in mm, shares between 0 and 1:

    - MPJPE: Mean distance of predicted and true keypoints. Lower is better.
    - PA-MPJPE: The same after the similarity (rotation, translation, scale) that fits
      the prediction best to the truth, in the sense of least squares, per person. Lower
      is better.
    - 3DPCK: Share of keypoints whose distance is less than ``thr``.
    - AUC: Mean of that share over 31 thresholds from 0 to ``thr``, so each 5 mm
      by default, as of MPI-INF-3DHP. The evaluation code of MPI-INF-3DHP and MuPoTS-3D
      scores 14 of the 17 keypoints, without pelvis, spine and head, which is
      ``scored=range(14)`` of the ``mupots`` metainfo. MuPoTS-3D's also averages over
      its sequences, which ``by_action`` gives one by one, and gives all bones the true
      length first, which is not done here.
    - root_depth_error: Mean of the roots' absolute error of depth, if predictions have
      ``root_depths``. It is the one that sees the place. Lower is better.
    - MPJPE_true_root_depth: MPJPE of predictions that have ``root_depths``, with the
      true depth of the root in place of the predicted one, as of
      ``test_cfg.root_depth='annotated'``. The size of a person in camera space goes
      with the depth, so MPJPE has both errors in it, and this one has the pose's.
    - xy_error_true_root_depth, z_error_true_root_depth: Means of the parts of these
      distances across the camera's axis and along it, so what of the pose's error
      lies in the image, and what in depth.
    - left_right_order: Of the left and the right keypoint of one name, by the dataset's
      ``flip_indices``, the share whose order in depth is the true one, the same
      wherever the root is.
    - MPJPE/NAME, PA-MPJPE/NAME, ...: With ``by_action`` those of each action, where
      samples have ``raw_ann_info['action']``, or ``target_img_path`` as of Human3.6M;
      with ``by_joint`` those of each keypoint. root_depth_error, xy_error_*,
      z_error_* and left_right_order have none of these.

    People whose root is not labelled, or none of the scored keypoints, are left out,
    and counted in a warning.

    Args:
        root_index: Index of the root keypoint.
        scored: Indices of the keypoints that count, in all of the metrics but
            root_depth_error, and that PA-MPJPE fits. Default: all.
        thr: Threshold of 3DPCK in mm.
        unit: Unit of predictions and truth, ``'mm'`` or ``'m'``.
        by_action: Whether to give the metrics of each action.
        by_joint: Whether to give the metrics of each keypoint.
        collect_device: See :class:`mmengine.evaluator.BaseMetric`.
        prefix: Prefix of the metrics' names. Default: ``pose3d``.

    Raises:
        ValueError: If an argument is out of range; in the evaluation, if a sample has
            no pose in 3D, the shapes differ, a prediction is not finite, or nobody's
            root is labelled.
    """

    default_prefix = 'pose3d'

    def __init__(
        self,
        root_index: int = 0,
        scored: Sequence[int] | None = None,
        thr: float = 150.0,
        unit: str = 'mm',
        by_action: bool = False,
        by_joint: bool = False,
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        if unit not in _MM:
            raise ValueError(f'unit must be one of {(*_MM,)}, but got {unit!r}')
        if thr <= 0:
            raise ValueError(f'thr must be more than 0, but got {thr}')
        if scored is not None and (not len(scored) or min(scored) < 0):
            raise ValueError(
                f'scored must be indices of keypoints, from 0, but got {scored!r}'
            )
        self.root_index = root_index
        self.scored = None if scored is None else [*scored]
        self.thr = thr
        self.scale = _MM[unit]
        self.by_action = by_action
        self.by_joint = by_joint

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Collect poses of a batch."""
        for sample in data_samples:
            true, predicted = sample['gt_instances'], sample['pred_instances']
            for name in ('keypoints_cam', 'lifting_target'):
                if name in true:
                    break
            else:
                raise ValueError(
                    f'{_place(sample)} has no pose in 3D: gt_instances need '
                    'keypoints_cam or lifting_target. 2D-only data is for training'
                )
            poses = to_numpy(true[name]).astype(np.float64)
            visible = to_numpy(true[f'{name}_visible']).reshape(poses.shape[:2])
            points = to_numpy(predicted['keypoints']).astype(np.float64)
            points = points.reshape(-1, *points.shape[-2:])
            if points.shape != poses.shape:
                raise ValueError(
                    f'{_place(sample)}: predictions have the shape {points.shape}, but '
                    f'{name} has {poses.shape}'
                )
            if not np.isfinite(points).all():
                raise ValueError(
                    f'{_place(sample)}: the prediction is not finite, so the network '
                    'has diverged; look at the losses in the log'
                )
            result = dict(
                predicted=points * self.scale,
                true=poses * self.scale,
                visible=visible > 0,
                action=[_action(sample)] * len(poses),
            )
            if 'root_depths' in predicted:
                depth = to_numpy(predicted['root_depths']).astype(np.float64)
                result['root_depth'] = depth * self.scale
            self.results.append(result)

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """Compute the errors of the dataset."""
        predicted, true, visible = (
            np.concatenate([result[key] for result in results])
            for key in ('predicted', 'true', 'visible')
        )
        rooted = visible[:, self.root_index]
        if self.scored is not None:
            if max(self.scored) >= visible.shape[1]:
                raise ValueError(
                    f'RootAlignedPose3D: scored has {max(self.scored)}, but there are '
                    f'{visible.shape[1]} keypoints'
                )
            visible = visible & np.isin(np.arange(visible.shape[1]), self.scored)
            rooted = rooted & visible.any(axis=1)
        if not rooted.any():
            raise ValueError(
                'RootAlignedPose3D: nobody has a labelled root and a keypoint that is '
                f'scored (root_index={self.root_index}, scored={self.scored})'
            )
        if not rooted.all():
            print_log(
                f'RootAlignedPose3D: {(~rooted).sum()} of {len(rooted)} people are '
                'left out, since their root or all that is scored is not labelled',
                'current',
                level=logging.WARNING,
            )
        predicted, true, visible = predicted[rooted], true[rooted], visible[rooted]
        errors = {
            'MPJPE': joint_errors(predicted, true, self.root_index),
            'PA-MPJPE': aligned_errors(predicted, true, visible),
        }
        places = {}
        if all('root_depth' in result for result in results):
            depth = np.concatenate([result['root_depth'] for result in results])[rooted]
            behind = true[:, self.root_index, 2] - depth
            places['root_depth_error'] = float(np.abs(behind).mean())
            moved = move_in_depth(predicted, behind)
            errors['MPJPE_true_root_depth'] = joint_errors(moved, true, self.root_index)
            for name, axes in (('xy', [0, 1]), ('z', [2])):
                parts = joint_errors(moved[..., axes], true[..., axes], self.root_index)
                places[f'{name}_error_true_root_depth'] = float(parts[visible].mean())
        metrics = self._summary(errors, visible) | places
        right, _ = in_order(
            predicted[..., 2],
            np.where(visible, true[..., 2], np.nan),
            *left_right_pairs(self.dataset_meta),
        )
        if right.size:
            metrics['left_right_order'] = float(right.mean())
        groups = {}
        if self.by_action:
            actions = np.array(
                [a or '' for result in results for a in result['action']]
            )
            for action in sorted({*actions[rooted].tolist()} - {''}):
                groups[action] = visible & (actions[rooted] == action)[:, None]
        if self.by_joint:
            for index, name in self.dataset_meta['keypoint_id2name'].items():
                groups[name] = visible & (np.arange(visible.shape[1]) == index)
        for group, mask in groups.items():
            for name, value in self._summary(errors, mask).items():
                metrics[f'{name}/{group}'] = value
        return metrics

    def _summary(
        self, errors: dict[str, np.ndarray], mask: np.ndarray
    ) -> dict[str, float]:
        """Average errors of shape (N, K) where the mask is True; NaN if nowhere."""
        if not mask.any():
            return dict.fromkeys((*errors, '3DPCK', 'AUC'), float('nan'))
        summary = {name: float(error[mask].mean()) for name, error in errors.items()}
        distances = errors['MPJPE'][mask]
        thresholds = np.linspace(0, self.thr, 31)
        summary['3DPCK'] = float((distances < self.thr).mean())
        summary['AUC'] = float((distances[:, None] < thresholds).mean())
        return summary


def joint_errors(predicted: np.ndarray, true: np.ndarray, root: int) -> np.ndarray:
    """Return distances of root-aligned keypoints.

    Args:
        predicted: Shape (N, K, D), usually of 3 coordinates.
        true: Shape (N, K, D), in the same unit.
        root: Index of the root.

    Returns:
        Shape (N, K).
    """
    gaps = predicted - true
    return np.linalg.norm(gaps - gaps[:, root, None], axis=2)


def move_in_depth(poses: np.ndarray, behind: np.ndarray) -> np.ndarray:
    """Move poses away from a pinhole camera; each keypoint stays on its ray.

    Args:
        poses: Shape (N, K, 3), in camera space.
        behind: Shape (N,), in the same unit.

    Returns:
        Shape (N, K, 3): (x, y, z) is moved to (x (z + b) / z, y (z + b) / z, z + b). x
        and y of what is not before the camera stay.
    """
    z = poses[..., 2:]
    moved = z + behind[:, None, None]
    ratio = np.divide(moved, z, out=np.ones_like(z), where=z > 0)
    return np.concatenate([poses[..., :2] * ratio, moved], axis=-1)


def aligned_errors(
    predicted: np.ndarray, true: np.ndarray, visible: np.ndarray
) -> np.ndarray:
    """Return distances after the best similarity of each person's keypoints.

    Umeyama, *Least-squares estimation of transformation parameters between two point
    patterns*, 1991, equations 39 to 43, of the visible keypoints only, and without
    reflection.

    Args:
        predicted: Shape (N, K, 3).
        true: Shape (N, K, 3), in the same unit.
        visible: Boolean, of shape (N, K), at least one a person.

    Returns:
        Shape (N, K). Predictions at one place stay so, at the truth's mean.
    """
    weights = visible[..., None] / visible.sum(axis=1)[:, None, None]
    mean_predicted = (predicted * weights).sum(axis=1, keepdims=True)
    mean_true = (true * weights).sum(axis=1, keepdims=True)
    source, target = predicted - mean_predicted, true - mean_true
    covariance = np.swapaxes(target * weights, 1, 2) @ source
    u, sizes, vt = np.linalg.svd(covariance)
    sign = np.sign(np.linalg.det(u) * np.linalg.det(vt))
    sizes[:, 2] *= sign
    u[:, :, 2] *= sign[:, None]
    variance = (source**2 * weights).sum(axis=(1, 2))
    scale = sizes.sum(axis=1) / np.where(variance > 0, variance, 1)
    moved = source @ np.swapaxes(u @ vt, 1, 2) * scale[:, None, None]
    return np.linalg.norm(moved - target, axis=2)


def _action(sample: dict) -> str | None:
    action = (sample.get('raw_ann_info') or {}).get('action')
    if action is None and 'target_img_path' in sample:
        # as S1_Directions_1.54138969_000001.jpg
        parts = Path(str(sample['target_img_path'][0])).name.split('.')[0].split('_')
        action = parts[1] if len(parts) > 1 else None
    return action


def _place(sample: dict) -> str:
    """Name a sample in an error."""
    return f'sample {sample.get("id")} of {sample.get("img_path", "the dataset")}'
