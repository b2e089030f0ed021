import math

import numpy as np
import pytest
from mmengine.registry import METRICS

GRID = (2, 3)


def sample(permutation, predicted, input_size=(96, 64)):
    """A puzzle in which patch k is predicted at the centre of ``predicted[k]``."""
    center, scale = np.array([50.0, 70.0]), np.array([48.0, 32.0])
    keypoints = []
    for cell in predicted:
        row, col = divmod(cell, GRID[1])
        x = (col + 0.5) / GRID[1] * scale[0] + center[0] - scale[0] / 2
        y = (row + 0.5) / GRID[0] * scale[1] + center[1] - scale[1] / 2
        keypoints.append([x, y])
    return dict(
        jigsaw_grid=GRID,
        jigsaw_permutation=np.array(permutation),
        input_center=center,
        input_scale=scale,
        pred_instances=dict(keypoints=np.array(keypoints)[None]),
    )


def evaluate(samples):
    metric = METRICS.build(dict(type='mmpose_pretext.JigsawAccuracy'))
    metric.process({}, samples)
    return metric.evaluate(len(samples))


def test_by_hand():
    result = evaluate(
        [
            sample([3, 1, 2, 0, 5, 4], [3, 1, 2, 0, 5, 4]),
            # two wrong: cell 0 for 5 (1 row and 2 columns away), 5 for 4 (1 column)
            sample([0, 1, 2, 3, 5, 4], [0, 1, 2, 3, 0, 5]),
        ]
    )
    assert result['jigsaw/cell_accuracy'] == pytest.approx(10 / 12)
    assert result['jigsaw/cell_distance'] == pytest.approx((math.sqrt(5) + 1) / 12)
    assert result['jigsaw/solved'] == 0.5
    assert result['jigsaw/chance_accuracy'] == pytest.approx(1 / 6)


def test_chance_is_what_random_answers_reach():
    rng = np.random.RandomState(0)
    result = evaluate(
        [sample(rng.permutation(6), rng.randint(0, 6, 6)) for _ in range(2000)]
    )
    for name in ('accuracy', 'distance'):
        assert result[f'jigsaw/cell_{name}'] == pytest.approx(
            result[f'jigsaw/chance_{name}'], rel=0.1
        )


@pytest.mark.parametrize(('pixel', 'cell'), [((0, 0), 0), ((8, 0), 1), ((7, 16), 3)])
def test_maxima_at_the_border_of_a_cell(pixel, cell):
    """Pixels (x, y) of a 24x32 heatmap with 3x2 cells of 8x16, after rounding."""
    for seed in range(20):
        rng = np.random.RandomState(seed)
        center = rng.uniform(0, 500, 2).astype(np.float32)
        scale = (rng.uniform(50, 500) * np.array([0.75, 1.0])).astype(np.float32)
        place = np.array(pixel, dtype=np.float32) * 4 / np.array([96, 128])
        keypoints = place * scale + center - 0.5 * scale
        data = sample([0, 1, 2, 3, 4, 5], range(6)) | dict(
            input_center=center,
            input_scale=scale,
            jigsaw_permutation=np.full(6, cell),
            pred_instances=dict(keypoints=np.tile(keypoints, (1, 6, 1))),
        )
        assert evaluate([data])['jigsaw/cell_accuracy'] == 1
