"""Presence labels of regions, moved with the image, beside stock heatmaps."""

import cv2
import numpy as np
from mmpose.codecs import MSRAHeatmap
from mmpose.structures.bbox import get_warp_matrix

from mmpose_pretext.registry import KEYPOINT_CODECS


@KEYPOINT_CODECS.register_module()
class PresenceLabel(MSRAHeatmap):
    """Represent a person by the presence of K keypoints in M regions, and by heatmaps.

    The regions come from :class:`mmpose_pretext.PresenceWindows` or
    :class:`mmpose_pretext.PresenceDataset`, in the image as it was loaded. They go
    through what ``RandomFlip`` and ``TopdownAffine`` did to the image, in one affine
    map; a flip also swaps the labels of left and right. Samples without places have
    heatmaps of 0 and the weights 0. Decoding is that of
    :class:`mmpose.codecs.MSRAHeatmap`.

    Encoded:

        - heatmaps (np.ndarray): Shape (K, H, W), where [W, H] is ``heatmap_size``.
        - keypoint_weights (np.ndarray): Shape (1, K).
        - presence (np.ndarray): Shape (1, M, K): 1 present, 0 absent, -1 unknown.
        - presence_windows (np.ndarray): Shape (1, M, 4, 2), the corners in pixels
          of the heatmap, whose first pixel has its centre at 0.

    The last two are left out if the sample has no presence labels.

    Args:
        input_size: Size of the network's input [w, h] in pixels.
        heatmap_size: Size of the heatmaps [W, H] in pixels.
        sigma: Standard deviation of the Gaussian, in heatmap pixels.
        min_visible: A keypoint present in a region may be in the part of it that the
            crop cuts off. If less than this share of the region is within the
            crop, "present" becomes "unknown"; "absent" stays true.
        **kwargs: See :class:`mmpose.codecs.MSRAHeatmap`.

    Raises:
        ValueError: If ``min_visible`` is outside [0, 1], or the image was flipped
            other than horizontally.
    """

    auxiliary_encode_keys = {
        'presence', 'presence_windows', 'flip', 'flip_direction', 'flip_indices',
        'img_shape', 'input_center', 'input_scale', 'bbox_rotation',
    }  # fmt: skip
    label_mapping_table = dict(
        keypoint_weights='keypoint_weights',
        presence='presence',
        presence_windows='presence_windows',
    )

    def __init__(
        self,
        input_size: tuple[int, int],
        heatmap_size: tuple[int, int],
        sigma: float,
        min_visible: float = 0.75,
        **kwargs,
    ) -> None:
        super().__init__(input_size, heatmap_size, sigma, **kwargs)
        if not 0 <= min_visible <= 1:
            raise ValueError(f'min_visible must be in [0, 1], but got {min_visible!r}')
        self.min_visible = min_visible

    def encode(
        self,
        keypoints: np.ndarray,
        keypoints_visible: np.ndarray | None = None,
        presence: np.ndarray | None = None,
        presence_windows: np.ndarray | None = None,
        flip: bool | None = False,
        flip_direction: str | None = None,
        flip_indices: list[int] | None = None,
        img_shape: tuple[int, int] | None = None,
        input_center: np.ndarray | None = None,
        input_scale: np.ndarray | None = None,
        bbox_rotation: np.ndarray | None = None,
    ) -> dict[str, np.ndarray]:
        """Encode one person.

        Args:
            keypoints: Shape (1, K, 2), in pixels of the input.
            keypoints_visible: Shape (1, K).
            presence: Shape (M, K).
            presence_windows: Shape (M, 4, 2), in pixels of the image.
            flip: Whether the image was flipped.
            flip_direction: How.
            flip_indices: The K indices of the mirrored keypoints.
            img_shape: Height and width of the image.
            input_center: Shape (2,), centre of the crop in the (flipped) image.
            input_scale: Shape (2,), its width and height in the image.
            bbox_rotation: Shape (1,), its rotation in degrees.

        Returns:
            What the class encodes.
        """
        encoded = super().encode(keypoints, keypoints_visible)
        if presence is None:
            return encoded
        corners = np.asarray(presence_windows, dtype=np.float64)
        if flip:
            if flip_direction != 'horizontal':
                raise ValueError(
                    'PresenceLabel can follow horizontal flips only, but the image was '
                    f'flipped by flip_direction={flip_direction!r}'
                )
            corners = corners.copy()
            corners[..., 0] = img_shape[1] - 1 - corners[..., 0]
            presence = presence[:, flip_indices]
        rotation = 0.0 if bbox_rotation is None else bbox_rotation[0]
        matrix = get_warp_matrix(input_center, input_scale, rotation, self.input_size)
        corners = cv2.transform(corners, matrix)
        visible = self._visible_share(corners) >= self.min_visible
        presence = np.where((presence == 1) & ~visible[:, None], -1, presence)
        encoded['presence'] = presence[None].astype(np.float32)
        encoded['presence_windows'] = (corners / self.scale_factor)[None].astype(
            np.float32
        )
        return encoded

    def _visible_share(self, corners: np.ndarray) -> np.ndarray:
        """Return which share of each of M regions is within the crop, shape (M,)."""
        steps = (np.arange(8) + 0.5) / 8
        x, y = (v.ravel()[:, None] for v in np.meshgrid(steps, steps))
        weights = np.hstack([(1 - x) * (1 - y), x * (1 - y), x * y, (1 - x) * y])
        points = weights @ corners  # (M, 64, 2): a grid in each region
        inside = (points >= 0) & (points < np.array(self.input_size))
        return inside.all(axis=-1).mean(axis=-1)
