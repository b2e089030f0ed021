"""How often the left is taken for the right."""

import numpy as np
from mmpose.evaluation.functional.keypoint_eval import _calc_distances
from mmpose.evaluation.metrics import PCKAccuracy

from mmpose_pretext.registry import METRICS


@METRICS.register_module()
class LeftRightConfusion(PCKAccuracy):
    """Share of predictions that are right for the mirrored keypoint instead.

    The dataset's ``flip_indices`` name the mirrored keypoint of each; those that
    are their own (nose, neck) are left out. A prediction counts if the keypoint and
    its mirrored one are both annotated, and is right for a place if its distance to
    it, divided by the size that MMPose's ``PCKAccuracy`` takes, is below ``thr``.

    Metrics, as shares of all predictions that count:

    - confusion: Right for the mirrored keypoint's place and not for its own.
    - correct: Right for its own place. Those that are right for both are here.

    Both are NaN if no prediction counts.

    Args:
        thr: Threshold of the normalized distance.
        norm_item: Size to normalize by: ``'bbox'``, the longer side of the annotated
            box, ``'head'`` or ``'torso'``.
        collect_device: See :class:`mmengine.evaluator.BaseMetric`.
        prefix: Prefix of the metrics' names. Default: ``left_right``.

    Raises:
        KeyError: If ``norm_item`` is none of these.
        ValueError: In the evaluation, if the dataset has no mirrored keypoints.
    """

    default_prefix = 'left_right'

    def __init__(
        self,
        thr: float = 0.1,
        norm_item: str = 'bbox',
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(thr, norm_item, collect_device, prefix)
        if len(self.norm_item) != 1:
            raise ValueError(f'norm_item must be one item, but got {norm_item!r}')

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """Compare the predictions of the dataset with both places."""
        mirrored = np.array(self.dataset_meta['flip_indices'])
        own = np.flatnonzero(mirrored != np.arange(len(mirrored)))
        if len(own) == 0:
            raise ValueError(
                'LeftRightConfusion needs keypoints with a mirrored partner, but '
                "by the dataset's flip_indices (the swap entries of keypoint_info "
                'in its metainfo) each is its own'
            )
        other = mirrored[own]
        pred, gt, mask, size = (
            np.concatenate([result[key] for result in results])
            for key in ('pred_coords', 'gt_coords', 'mask', f'{self.norm_item[0]}_size')
        )
        # MMPose's own distances: float32, -1 for what does not count. One call for
        # both places, since it overwrites sizes of zero.
        both = mask[:, own] & mask[:, other]
        distances = _calc_distances(
            np.tile(pred[:, own], (1, 2, 1)),
            gt[:, np.concatenate([own, other])],
            np.tile(both, (1, 2)),
            size,
        )
        to_own, to_other = distances.reshape(2, -1)
        counts = to_own != -1
        correct = to_own[counts] < self.thr
        confused = (to_other[counts] < self.thr) & ~correct
        total = counts.sum() or np.nan
        return dict(
            confusion=float(confused.sum() / total),
            correct=float(correct.sum() / total),
        )
