"""How often the depth order of two people is predicted right."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from mmengine.evaluator import BaseMetric
from mmpose.utils.tensor_utils import to_numpy

from mmpose_pretext.registry import METRICS


@METRICS.register_module()
class RelativeDepthAccuracy(BaseMetric):
    """Share of pairs whose order of depth is predicted right. Higher is better.

    A data sample needs the predictions ``depths`` of shape (N,) and
    ``keypoint_depths`` of shape (N, K), larger when farther, of
    :class:`mmpose_pretext.RelativeDepthHead`, and the labels of
    :class:`mmpose_pretext.RelativeDepthLabel`; people that have nothing visible within
    the input do not count. All pairs of the dataset weigh the same. A random order has
    about 0.5; equal or NaN predictions are wrong.

    Metrics, as far as the dataset has what they need:

    - label_accuracy: Of the labelled pairs, against their labels.
    - accuracy: Of all pairs of people of an image, against ``gt_instances.depths``,
      their true depths, of shape (N,) in metres, NaN where unknown. Equal depths do
      not count. Of these pairs:
    - accuracy/labelled, accuracy/unlabelled: Those that have a label, and those
      that the rule of the labels leaves out.
    - accuracy/0-0.5, ..., accuracy/2-inf: Those whose true depths differ by so many
      metres.
    - within_accuracy: Of all pairs of keypoints of one person, both visible, against
      ``gt_instances.keypoint_depths`` of shape (N, K), as above.
    - within_accuracy/left_right: Those of the left and the right keypoint of one name,
      by the dataset's ``flip_indices``.

    Args:
        gap_bins: Edges between the bins of depth gaps, in metres, rising. A bin has
            its lower edge.
        collect_device: See :class:`mmengine.evaluator.BaseMetric`.
        prefix: Prefix of the metrics' names. Default: ``depth``.

    Raises:
        ValueError: If ``gap_bins`` are not positive and rising; in the evaluation, if a
            sample has no labels or no predictions, or no pair of the dataset counts.
    """

    default_prefix = 'depth'

    def __init__(
        self,
        gap_bins: Sequence[float] = (0.5, 1.0, 2.0),
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.gap_bins = tuple(gap_bins)
        if (np.diff(self.gap_bins, prepend=0) <= 0).any():
            raise ValueError(
                f'gap_bins must be positive and rising, but got {gap_bins!r}'
            )

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Collect which pairs of a batch are in order."""
        for sample in data_samples:
            labels = sample.get('gt_instance_labels', {})
            predicted = sample['pred_instances']
            true = sample.get('gt_instances', {})
            for holder, name, source in (
                (labels, 'depth_pairs', 'mmpose_pretext.RelativeDepthLabel'),
                (predicted, 'depths', 'mmpose_pretext.RelativeDepthHead'),
            ):
                if name not in holder:
                    raise ValueError(
                        f'RelativeDepthAccuracy needs {name}, but a sample has none: '
                        f'they are those of {source}'
                    )
            visible, pairs, relations = (
                to_numpy(labels[name])[0]
                for name in ('depth_points_visible', 'depth_pairs', 'depth_relations')
            )
            depths = to_numpy(predicted['depths'])
            gaps = depths[pairs[:, 0]] - depths[pairs[:, 1]]
            result = dict(label=np.sign(gaps) == relations)
            if 'depths' in true:
                i, j = np.triu_indices(len(visible), 1)
                known = np.where(visible.any(axis=1), to_numpy(true['depths']), np.nan)
                labelled = np.zeros((len(visible),) * 2, dtype=bool)
                labelled[pairs[:, 0], pairs[:, 1]] = True
                labelled |= labelled.T
                result['between'], counts = in_order(depths, known, i, j)
                result['gap'] = np.abs(known[i] - known[j])[counts]
                result['labelled'] = labelled[i, j][counts]
            if 'keypoint_depths' in true and 'keypoint_depths' in predicted:
                i, j = np.triu_indices(visible.shape[1], 1)
                known = np.where(visible, to_numpy(true['keypoint_depths']), np.nan)
                depths = to_numpy(predicted['keypoint_depths'])
                result['within'], _ = in_order(depths, known, i, j)
                sides = left_right_pairs(self.dataset_meta)
                result['left_right'], _ = in_order(depths, known, *sides)
            self.results.append(result)

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """Average over the pairs of the dataset."""
        correct = {
            name: np.concatenate([r[name] for r in results if name in r] or [[]])
            for name in ('label', 'between', 'gap', 'labelled', 'within', 'left_right')
        }
        between, labelled = correct['between'], correct['labelled'].astype(bool)
        shares = {
            'label_accuracy': correct['label'],
            'accuracy': between,
            'accuracy/labelled': between[labelled],
            'accuracy/unlabelled': between[~labelled],
        }
        bins = np.digitize(correct['gap'], self.gap_bins)
        for index, (lower, upper) in enumerate(pairwise((0, *self.gap_bins, np.inf))):
            shares[f'accuracy/{lower:g}-{upper:g}'] = between[bins == index]
        shares['within_accuracy'] = correct['within']
        shares['within_accuracy/left_right'] = correct['left_right']
        metrics = {k: np.mean(v).item() for k, v in shares.items() if len(v)}
        if not metrics:
            raise ValueError(
                'RelativeDepthAccuracy: the dataset has neither a labelled pair nor '
                'two people of known depth in an image'
            )
        return metrics


def in_order(
    predicted: np.ndarray, true: np.ndarray, i: np.ndarray, j: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Compare the order of the last dimension's elements i and j.

    Returns:
        Which are in order, of the pairs that count, shape (M,); and which pairs count:
        those of known and different true depth, boolean, of shape (..., P).
    """
    gaps = true[..., i] - true[..., j]
    counts = np.isfinite(gaps) & (gaps != 0)
    correct = np.sign(predicted[..., i] - predicted[..., j]) == np.sign(gaps)
    return correct[counts], counts


def left_right_pairs(dataset_meta: dict | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the pairs of keypoints that ``flip_indices`` of a dataset exchange.

    Args:
        dataset_meta: Its metainfo. Without ``flip_indices`` there are no pairs.

    Returns:
        Indices of the one and of the other keypoint of each pair, both of shape (P,).
    """
    mirror = np.asarray((dataset_meta or {}).get('flip_indices', ()), dtype=int)
    one = np.flatnonzero(np.arange(len(mirror)) < mirror)
    return one, mirror[one]
