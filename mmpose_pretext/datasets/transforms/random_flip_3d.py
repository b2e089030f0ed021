"""Mirror an image, its keypoints and its poses in camera space."""

import numpy as np
from mmpose.datasets.transforms import RandomFlip

from mmpose_pretext.registry import TRANSFORMS


@TRANSFORMS.register_module()
class RandomFlip3D(RandomFlip):
    """Flip the image from left to right, and with it what is known in 3D.

    A point (x, y, z) of camera space is seen in the mirrored image as (-x, y, z) by a
    camera whose principal point is mirrored, too; left and right keypoints change
    places. Samples without the 3D keys are flipped as MMPose does.

    Required Keys:

        - those of :class:`mmpose.datasets.transforms.RandomFlip`

    Modified Keys:

        - those of :class:`mmpose.datasets.transforms.RandomFlip`
        - keypoints_cam (optional)
        - keypoints_cam_visible (optional)
        - principal_pt (optional)

    Args:
        prob: Probability of the flip.

    Raises:
        ValueError: If the image has been cropped: intrinsics are those of the whole.
    """

    def __init__(self, prob: float = 0.5) -> None:
        super().__init__(prob, direction='horizontal')

    def transform(self, results: dict) -> dict:
        """Flip a sample.

        Args:
            results: The sample.

        Returns:
            The sample.
        """
        if 'input_size' in results:
            raise ValueError(
                'RandomFlip3D must come before the crop (TopdownAffine) in the '
                'pipeline: it mirrors the intrinsics of the whole image'
            )
        results = super().transform(results)
        if not results['flip']:
            return results
        order = results['flip_indices']
        if 'keypoints_cam' in results:
            mirror = np.array([-1, 1, 1], dtype=results['keypoints_cam'].dtype)
            results['keypoints_cam'] = results['keypoints_cam'][:, order] * mirror
        if 'keypoints_cam_visible' in results:
            visible = results['keypoints_cam_visible']
            results['keypoints_cam_visible'] = visible[:, order]
        if 'principal_pt' in results:
            principal_pt = results['principal_pt'].copy()
            principal_pt[:, 0] = results['img_shape'][1] - 1 - principal_pt[:, 0]
            results['principal_pt'] = principal_pt
        return results
