"""How well the presence of keypoints is classified."""

import logging
from collections.abc import Sequence

import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log

from mmpose_pretext.registry import METRICS


def average_precision(scores: np.ndarray, present: np.ndarray) -> float:
    """Area under the precision-recall curve, as the sum of its steps.

    AP = sum_n (R_n - R_(n-1)) P_n over the distinct scores in falling order, with
    the precision P_n and the recall R_n of all that score at least the n-th. Items
    of equal score thus come in together, and their order changes nothing. This is
    the definition of ``sklearn.metrics.average_precision_score``.

    Args:
        scores: Scores, of shape (N, ).
        present: Which items are positive, boolean, of shape (N, ). At least one.

    Returns:
        The average precision, in (0, 1]; NaN if a score is.
    """
    if np.isnan(scores).any():
        return float('nan')
    order = np.argsort(-scores, kind='stable')
    scores, present = scores[order], present[order]
    # the last item of each group of equal scores
    last = np.append(np.flatnonzero(scores[1:] != scores[:-1]), len(scores) - 1)
    found = np.cumsum(present)[last]
    precision = found / (last + 1)
    return float(np.sum(np.diff(found, prepend=0) * precision) / found[-1])


@METRICS.register_module()
class PresenceAP(BaseMetric):
    """Average precision of the presence of keypoints in labelled regions.

    A data sample needs, for the M labelled regions of a person and K keypoints,
    ``gt_instance_labels.presence`` of shape (1, M, K), with 1 for present, 0 for
    absent and -1 for unknown, and the predicted probabilities
    ``pred_instances.presence`` of the same shape. M may differ between people.

    Unknown labels are ignored. A keypoint without any present or any absent label
    has no average precision: it is left out, and named once in a warning.

    Metrics:

    - mAP: Mean over the keypoints of :func:`average_precision` over all regions.
    - base_rate: Mean over the same keypoints of the share of present labels, which
      is the average precision of one score for all and, about, of a random order.
      A model that learned nothing is there.
    - AP/<name>: Average precision of each keypoint, if ``per_keypoint``.

    Args:
        per_keypoint: Whether to report each keypoint as well.
        collect_device: See :class:`mmengine.evaluator.BaseMetric`.
        prefix: Prefix of the metrics' names. Default: ``presence``.

    Raises:
        ValueError: In the evaluation, if a sample has no labels or no predictions,
            or their shapes differ.
    """

    default_prefix = 'presence'

    def __init__(
        self,
        per_keypoint: bool = False,
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.per_keypoint = per_keypoint
        self._warned = False

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Collect the labels and predictions of a batch of people."""
        for sample in data_samples:
            labels = sample.get('gt_instance_labels', {}).get('presence')
            scores = sample['pred_instances'].get('presence')
            if labels is None:
                raise ValueError(
                    'PresenceAP needs presence labels, but a sample has none; add '
                    "dict(type='mmpose_pretext.PresenceWindows', "
                    'keep_locations=True, ...) and '
                    "dict(type='GenerateTarget', encoder=dict("
                    "type='mmpose_pretext.PresenceLabel', ...)) to the pipeline of "
                    'the evaluated dataset'
                )
            if scores is None:
                raise ValueError(
                    'PresenceAP needs predictions, but the head gives no '
                    'pred_instances.presence'
                )
            labels, scores = (
                torch.as_tensor(a).cpu().numpy() for a in (labels, scores)
            )
            if labels.shape != scores.shape:
                raise ValueError(
                    f'presence labels are of shape {labels.shape}, but predictions of '
                    f'shape {scores.shape}; both must be (1, M, K)'
                )
            self.results.append(dict(labels=labels[0], scores=scores[0]))

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """Rank the regions of the dataset by each keypoint's probability."""
        labels = np.concatenate([result['labels'] for result in results])
        scores = np.concatenate([result['scores'] for result in results])
        names = self.dataset_meta['keypoint_id2name']
        present, known = labels == 1, labels != -1
        precisions, rates, undefined = {}, [], []
        for index in range(labels.shape[1]):
            positive = present[known[:, index], index]
            if positive.any() and not positive.all():
                precisions[names[index]] = average_precision(
                    scores[known[:, index], index], positive
                )
                rates.append(positive.mean())
            else:
                undefined.append(names[index])
        if undefined and not self._warned:
            self._warned = True
            print_log(
                'no average precision of keypoints without any present or any absent '
                f'label: {", ".join(undefined)}; they are left out of the mean',
                logger='current',
                level=logging.WARNING,
            )
        metrics = dict.fromkeys(('mAP', 'base_rate'), float('nan'))
        if precisions:
            metrics['mAP'] = np.mean(list(precisions.values())).item()
            metrics['base_rate'] = np.mean(rates).item()
        if self.per_keypoint:
            metrics.update({f'AP/{name}': ap for name, ap in precisions.items()})
        return metrics
