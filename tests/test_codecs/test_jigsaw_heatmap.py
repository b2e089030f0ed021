import numpy as np
import pytest
from mmpose.codecs import MSRAHeatmap

from mmpose_pretext.codecs import JigsawHeatmap

SIZES = dict(input_size=(192, 256), heatmap_size=(48, 64), sigma=2)


def centers_of_cells(grid, input_size):
    """Centres (x, y) of the cells, row by row, one after the other."""
    rows, cols = grid
    cell_w, cell_h = input_size[0] / cols, input_size[1] / rows
    return np.array(
        [
            [(c + 0.5) * cell_w - 0.5, (r + 0.5) * cell_h - 0.5]
            for r in range(rows)
            for c in range(cols)
        ],
        dtype=np.float32,
    )[None]


@pytest.mark.parametrize('grid', [(2, 2), (4, 3), (8, 6), (64, 48)])
def test_maximum_lies_in_the_cell_of_the_patch(grid):
    codec = JigsawHeatmap(**SIZES, grid=grid)
    num = grid[0] * grid[1]
    permutation = np.random.RandomState(0).permutation(num)
    keypoints = centers_of_cells(grid, SIZES['input_size'])[:, permutation]
    heatmaps = codec.encode(keypoints)['heatmaps']
    assert heatmaps.shape == (num, 64, 48)
    for heatmap, cell in zip(heatmaps, permutation, strict=True):
        row, col = np.unravel_index(heatmap.argmax(), heatmap.shape)
        assert row // (64 // grid[0]) == cell // grid[1]
        assert col // (48 // grid[1]) == cell % grid[1]
    np.testing.assert_array_equal(codec.decode_permutation(heatmaps), permutation)


def test_encodes_as_the_stock_codec():
    keypoints = centers_of_cells((4, 3), SIZES['input_size'])
    ours = JigsawHeatmap(**SIZES, grid=(4, 3)).encode(keypoints)
    stock = MSRAHeatmap(**SIZES).encode(keypoints)
    np.testing.assert_array_equal(ours['heatmaps'], stock['heatmaps'])
    np.testing.assert_array_equal(ours['keypoint_weights'], stock['keypoint_weights'])


def test_decode_does_not_leave_the_cell_of_the_maximum():
    codec = JigsawHeatmap(**SIZES, grid=(4, 3))
    heatmaps = np.zeros((12, 64, 48), dtype=np.float32)
    heatmaps[:, 16, 16] = 1.0  # the first pixel of cell (1, 1) ...
    heatmaps[:, 15, 16] = heatmaps[:, 16, 15] = 0.9  # ... pulled to its neighbours
    keypoints, scores = codec.decode(heatmaps)
    np.testing.assert_array_equal(keypoints, np.full((1, 12, 2), 64))
    np.testing.assert_array_equal(scores, np.ones((1, 12)))


def test_decode_permutation_is_the_best_of_all():
    from itertools import permutations

    grid = (2, 3)
    codec = JigsawHeatmap((96, 128), (24, 32), sigma=1.5, grid=grid)
    heatmaps = np.random.RandomState(1).rand(6, 32, 24)
    best, best_score = None, -np.inf
    for permutation in permutations(range(6)):
        score = 0.0
        for heatmap, cell in zip(heatmaps, permutation, strict=True):
            row, col = divmod(cell, 3)
            score += heatmap[row * 16 : row * 16 + 16, col * 8 : col * 8 + 8].max()
        if score > best_score:
            best, best_score = permutation, score
    np.testing.assert_array_equal(codec.decode_permutation(heatmaps), best)


@pytest.mark.parametrize(
    ('grid', 'proposed'),
    [
        ((5, 3), r'\(4, 3\), \(8, 3\)$'),
        ((4, 5), r'\(4, 4\), \(4, 6\)$'),
        ((100, 3), r'\(64, 3\)$'),
        # a cell of 10.67 x 10.67 input pixels that is no whole heatmap pixel
        ((24, 18), r'\(16, 16\), \(16, 24\), \(32, 16\), \(32, 24\)$'),
    ],
)
def test_grid_that_does_not_fit_proposes_the_nearest(grid, proposed):
    with pytest.raises(ValueError, match=r'grid=.*whole number.*' + proposed):
        JigsawHeatmap(**SIZES, grid=grid)


@pytest.mark.parametrize('grid', [(4,), (0, 3), (1, 1), (4.0, 3), '43', 4, None])
def test_grid_that_is_no_grid(grid):
    with pytest.raises(ValueError, match='grid must be two positive integers'):
        JigsawHeatmap(**SIZES, grid=grid)
