"""How often a pretext's label is predicted."""

from collections.abc import Sequence

import numpy as np
from mmengine.evaluator import BaseMetric

from mmpose_pretext.registry import METRICS


@METRICS.register_module()
class PretextAccuracy(BaseMetric):
    """Accuracy of :class:`mmpose_pretext.PretextClassificationHead`.

    The labels are ``gt_instance_labels.pretext_labels``, which the transforms of the
    pretexts make.

    Metrics:

    - accuracy: Fraction of samples whose most likely class is the right one.
    - chance_accuracy: 1 / N for N classes, all equally frequent.

    Args:
        collect_device: See :class:`mmengine.evaluator.BaseMetric`.
        prefix: Prefix of the metrics' names. Default: ``pretext``.
    """

    default_prefix = 'pretext'

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Collect which samples of a batch are right."""
        for sample in data_samples:
            predicted = sample['pred_instances']
            right = sample['gt_instance_labels']['pretext_labels'].item()
            self.results.append(
                dict(
                    correct=predicted['labels'].item() == right,
                    num_classes=predicted['label_scores'].shape[1],
                )
            )

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """Average over the dataset."""
        return dict(
            accuracy=np.mean([result['correct'] for result in results]).item(),
            chance_accuracy=1 / results[0]['num_classes'],
        )
