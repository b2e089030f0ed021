"""How many patches of a puzzle are put into the right cell."""

from collections.abc import Sequence

import numpy as np
from mmengine.evaluator import BaseMetric

from mmpose_pretext.registry import METRICS


@METRICS.register_module()
class JigsawAccuracy(BaseMetric):
    """Cell accuracy and mean patch distance of jigsaw puzzles.

    The predicted place of a patch is the cell in which its keypoint falls. The
    data samples need the metainfo ``jigsaw_grid``, ``jigsaw_permutation``,
    ``input_center`` and ``input_scale`` (list them in ``meta_keys`` of
    ``PackPoseInputs``).

    Metrics, with G the set of the P cells of the grid:

    - cell_accuracy: Fraction of patches whose predicted cell is the right one.
    - cell_distance: Mean Euclidean distance, in cells, from the predicted to the
      right cell.
    - solved: Fraction of puzzles without a wrong patch.
    - chance_accuracy: 1 / P.
    - chance_distance: Mean distance of two cells drawn independently from G.

    Args:
        collect_device: See :class:`mmengine.evaluator.BaseMetric`.
        prefix: Prefix of the metrics' names. Default: ``jigsaw``.
    """

    default_prefix = 'jigsaw'

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Collect the predicted and the right cells of a batch of puzzles."""
        for sample in data_samples:
            grid = np.array(sample['jigsaw_grid'])
            keypoints = np.asarray(sample['pred_instances']['keypoints'])[0, :, :2]
            # fraction of the crop, (x, y) -> (row, col); the small number keeps a
            # maximum in the first row of heatmap pixels of a cell in that cell
            place = (keypoints - sample['input_center']) / sample['input_scale'] + 0.5
            pred = np.floor(place[:, ::-1] * grid + 1e-3).astype(int)
            right = np.stack(np.divmod(sample['jigsaw_permutation'], grid[1]), axis=-1)
            self.results.append(dict(grid=grid, pred=pred, right=right))

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """Average over the patches and puzzles of the dataset."""
        distances = np.stack(
            [np.linalg.norm(r['pred'] - r['right'], axis=-1) for r in results]
        )
        correct = distances == 0
        cells = np.stack(np.indices(results[0]['grid']), axis=-1).reshape(-1, 2)
        apart = np.linalg.norm(cells[:, None] - cells, axis=-1)
        return dict(
            cell_accuracy=correct.mean().item(),
            cell_distance=distances.mean().item(),
            solved=correct.all(axis=1).mean().item(),
            chance_accuracy=1 / len(cells),
            chance_distance=apart.mean().item(),
        )
