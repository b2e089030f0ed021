"""Keypoints in a volume around the root: x and y in the crop, z in millimetres."""

import numpy as np
from mmpose.codecs.base import BaseKeypointCodec

from mmpose_pretext.registry import KEYPOINT_CODECS

REFERENCE_SIZE = 2000.0
"""Size in mm of a person who fills the crop: 2 m, of Moon et al., 2019."""


@KEYPOINT_CODECS.register_module()
class IntegralPose3D(BaseKeypointCodec):
    """Represent a person's keypoints by coordinates in a volume of voxels.

    The volume's x and y are those of the network's input, its z is the depth behind
    the root, in millimetres: Sun et al., *Integral Human Pose Regression*, 2018
    (arXiv 1711.08229), section 3; the depth range and what is masked follow Moon et
    al., *Camera Distance-aware Top-down Approach*, 2019 (arXiv 1907.11346).

    The middle of the first voxel has the coordinate 0, so voxels and pixels of the
    input meet at the volume's borders::

        x_voxel = (x_input + 0.5) * W / w - 0.5
        z_voxel = (z / depth_range + 0.5) * D - 0.5

    A mirrored input has then a mirrored volume, without a shift.

    Encoded:

        - keypoint_labels (np.ndarray): Shape (1, K, 3), in voxels.
        - keypoint_weights (np.ndarray): Shape (1, K, 3). 0 where the keypoint is
          not labelled or outside the input; for z, also where it or the root has no
          depth, and where it is beyond the range. So 2D-only samples train x and y.
        - root_depth_labels (np.ndarray): Shape (1, 1), logarithm of the root's depth
          divided by :meth:`reference_depth`.
        - root_depth_weights (np.ndarray): Shape (1, 1). 0 without depth or intrinsics.

    ``keypoints_cam``, ``keypoints_cam_visible``, ``focal`` and ``principal_pt`` go to
    the sample's ``gt_instances``, if the dataset gives them.

    Args:
        input_size: Size of the network's input [w, h] in pixels.
        heatmap_size: Size of the volume [W, H, D] in voxels.
        depth_range: Depth of the volume in mm, half of it before the root.
        root_index: Index of the root keypoint.

    Raises:
        ValueError: If a size or the range is not positive; in :meth:`encode`, if there
            is not one person, or what is labelled is not finite.
    """

    auxiliary_encode_keys = {
        'keypoints_cam', 'keypoints_cam_visible', 'focal', 'input_scale', 'img_path',
    }  # fmt: skip
    # these replace the tables of PackPoseInputs
    instance_mapping_table = dict(
        bbox='bboxes',
        bbox_score='bbox_scores',
        keypoints='keypoints',
        keypoints_visible='keypoints_visible',
        keypoints_cam='keypoints_cam',
        keypoints_cam_visible='keypoints_cam_visible',
        focal='focal',
        principal_pt='principal_pt',
    )
    label_mapping_table = dict(
        keypoint_labels='keypoint_labels',
        keypoint_weights='keypoint_weights',
        root_depth_labels='root_depth_labels',
        root_depth_weights='root_depth_weights',
    )

    def __init__(
        self,
        input_size: tuple[int, int],
        heatmap_size: tuple[int, int, int],
        depth_range: float = 2000.0,
        root_index: int = 0,
    ) -> None:
        super().__init__()
        for name, size, length in (
            ('input_size', input_size, 2),
            ('heatmap_size', heatmap_size, 3),
        ):
            if len(size) != length or min(size) <= 0:
                raise ValueError(
                    f'{name} must be {length} positive numbers, but got {size!r}'
                )
        if depth_range <= 0:
            raise ValueError(f'depth_range must be more than 0, but got {depth_range}')
        self.input_size = tuple(input_size)
        self.heatmap_size = tuple(heatmap_size)
        self.depth_range = depth_range
        self.root_index = root_index
        # of x, y in pixels of the input and z in mm; see the formulas above
        self._size = np.array(self.heatmap_size, dtype=np.float32)
        self._scale = self._size / np.array([*input_size, depth_range], np.float32)
        self._start = np.array([-0.5, -0.5, -depth_range / 2], dtype=np.float32)

    def encode(
        self,
        keypoints: np.ndarray,
        keypoints_visible: np.ndarray | None = None,
        keypoints_cam: np.ndarray | None = None,
        keypoints_cam_visible: np.ndarray | None = None,
        focal: np.ndarray | None = None,
        input_scale: np.ndarray | None = None,
        img_path: str | None = None,
    ) -> dict[str, np.ndarray]:
        """Encode a person.

        Args:
            keypoints: Shape (1, K, 2), in pixels of the input.
            keypoints_visible: Shape (1, K), or (1, K, 2) as ``KeypointConverter``
                leaves it, with a weight behind. Default: all are.
            keypoints_cam: Shape (1, K, 3), in mm in camera space: x to the right, y
                down, z forward. Default: none, the sample is 2D-only.
            keypoints_cam_visible: Shape (1, K). Default: all are.
            focal: Shape (1, 2), focal lengths in pixels of the image.
            input_scale: Shape (2,), width and height of the crop, in the image.
            img_path: The image's file, named in errors.

        Returns:
            What the class encodes.
        """
        if len(keypoints) != 1:
            raise ValueError(
                f'IntegralPose3D takes one person a sample, but got {len(keypoints)} '
                f'({img_path}); datasets need data_mode="topdown"'
            )
        num_keypoints = keypoints.shape[1]
        visible, weight = np.ones((2, num_keypoints), dtype=np.float32)
        if keypoints_visible is not None:
            visible = keypoints_visible[0].astype(np.float32)
            if visible.ndim == 2:
                if keypoints_cam is not None:
                    raise ValueError(
                        f'keypoints were reordered by KeypointConverter ({img_path}), '
                        'but not keypoints_cam, so depths would be those of other '
                        'keypoints; it is for data without poses in 3D'
                    )
                visible, weight = visible.T
        points = np.zeros((num_keypoints, 3), dtype=np.float32)
        points[:, :2] = keypoints[0, :, :2]
        has_depth = np.zeros(num_keypoints, dtype=bool)
        root_depth = 0.0
        if keypoints_cam is not None:
            has_depth[:] = True
            if keypoints_cam_visible is not None:
                has_depth = keypoints_cam_visible[0] > 0
            if has_depth[self.root_index]:
                root_depth = float(keypoints_cam[0, self.root_index, 2])
                points[:, 2] = keypoints_cam[0, :, 2] - root_depth
            else:
                has_depth[:] = False
        known = np.stack([visible > 0, visible > 0, has_depth], axis=1)
        if not np.isfinite(points[known]).all():
            raise ValueError(
                f'a labelled keypoint is not a finite number ({img_path}); give it a '
                'visibility of 0'
            )
        labels = (np.where(known, points, 0) - self._start) * self._scale - 0.5
        inside = (labels >= -0.5) & (labels <= self._size - 0.5)
        valid = known & inside
        valid[:, :2] = valid[:, :2].all(axis=1, keepdims=True)
        valid[:, 2] &= valid[:, 0]
        encoded = dict(
            keypoint_labels=np.where(known, labels, 0).astype(np.float32)[None],
            keypoint_weights=(valid * weight[:, None])[None],
            root_depth_labels=np.zeros((1, 1), dtype=np.float32),
            root_depth_weights=np.zeros((1, 1), dtype=np.float32),
        )
        if root_depth > 0 and focal is not None and input_scale is not None:
            reference = self.reference_depth(focal, input_scale)
            encoded['root_depth_labels'][0] = np.log(root_depth / reference)
            encoded['root_depth_weights'][0] = 1
        return encoded

    def decode(self, encoded: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Decode coordinates.

        Args:
            encoded: Shape (N, K, 3), in voxels.

        Returns:
            keypoints: Shape (N, K, 3): x and y in pixels of the input, z in mm behind
                the root.
            scores: Shape (N, K), all 1: regression has no score.
        """
        keypoints = (encoded + 0.5) / self._scale + self._start
        return keypoints, np.ones(encoded.shape[:2], dtype=np.float32)

    @staticmethod
    def reference_depth(focal: np.ndarray, input_scale: np.ndarray) -> np.ndarray:
        """Depth at which a thing of the crop's size has :data:`REFERENCE_SIZE`.

        ``sqrt(fx * fy * A_real / A_image)``, equation 2 of Moon et al., 2019.

        Args:
            focal: Shape (..., 2), focal lengths in pixels of the image.
            input_scale: Shape (2,), width and height of the crop, in the image.

        Returns:
            Shape (...), in mm.
        """
        return REFERENCE_SIZE * np.sqrt(np.prod(focal, -1) / np.prod(input_scale))
