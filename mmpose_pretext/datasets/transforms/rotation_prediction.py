"""Turn a crop by a multiple of 90 degrees, which is to be predicted."""

import numpy as np
from mmcv.transforms import BaseTransform

from mmpose_pretext.registry import TRANSFORMS


@TRANSFORMS.register_module()
class RandomQuarterTurn(BaseTransform):
    """Turn a person's box by 0, 90, 180 or 270 degrees, and label the turn.

    The label of rotation prediction (Gidaris et al., arXiv 1803.07728) for crops that
    :class:`mmpose.datasets.transforms.TopdownAffine` cuts afterwards: the crop is
    turned as by ``np.rot90(crop, k)``, counterclockwise, in the one interpolation that
    cuts it. The box becomes a square on its longer side. Thus it is visible as a whole
    and has the same magnification after every turn, also in a crop that is not square:
    otherwise the sharpness of the picture would betray the parity of k. In a crop of
    3:4, a person whose box is tall appears up to 0.75 times as large as without.

    Place it between :class:`mmpose.datasets.transforms.RandomBBoxTransform`, which
    would overwrite the rotation, and ``TopdownAffine``. Other rotations make labels
    ambiguous: leave them out (``rotate_prob=0``).

    Required Keys:

        - bbox_scale
        - bbox_rotation (optional)
        - sample_idx (only with ``seed``)

    Modified Keys:

        - bbox_scale: Shape (1, 2), both the longer side in pixels.
        - bbox_rotation: Shape (1,), in degrees, plus 90 k.

    Added Keys:

        - pretext_label: Shape (1,), int64, the number k of quarter turns.
        - label_mapping_table: Makes ``PackPoseInputs`` pack the label as
          ``gt_instance_labels.pretext_labels``.

    Args:
        seed: If given, the turn depends on this seed and the index of the sample
            only: fixed labels for validation. Default: drawn from NumPy's global
            generator, which MMEngine seeds in each worker.

    Raises:
        ValueError: If a sample has other than one box.
    """

    def __init__(self, seed: int | None = None) -> None:
        self.seed = seed

    def transform(self, results: dict) -> dict:
        """Turn ``results['bbox_rotation']`` and set the label."""
        scale = results['bbox_scale']
        if scale.shape != (1, 2):
            raise ValueError(
                'bbox_scale must have the shape (1, 2), one box a sample, but it is '
                f'{scale.shape}; use it in a top-down pipeline, after '
                'GetBBoxCenterScale'
            )
        rng = np.random  # the generator that MMEngine seeds
        if self.seed is not None:
            rng = np.random.RandomState([self.seed, results['sample_idx']])
        label = rng.randint(4)
        results['bbox_scale'] = np.full_like(scale, scale.max())
        rotation = results.get('bbox_rotation', np.zeros(1, dtype=np.float32))
        results['bbox_rotation'] = rotation + np.float32(90 * label)
        results['pretext_label'] = np.array([label], dtype=np.int64)
        results['label_mapping_table'] = dict(pretext_label='pretext_labels')
        return results

    def __repr__(self) -> str:
        """Return the arguments."""
        return f'{type(self).__name__}(seed={self.seed})'
