import numpy as np

from mmpose_pretext.codecs import JigsawHeatmap
from mmpose_pretext.datasets.transforms.jigsaw_shuffle import shuffle_patches
from mmpose_pretext.visualization import draw_heatmaps, draw_puzzle
from mmpose_pretext.visualization.jigsaw import RIGHT, WRONG, patch_colors

GRID = (4, 3)


def test_draw_puzzle():
    rng = np.random.RandomState(0)
    original = rng.randint(0, 255, (128, 96, 3)).astype(np.uint8)
    permutation = rng.permutation(12)
    answer = permutation.copy()
    answer[[2, 7]] = answer[[7, 2]]
    puzzle = shuffle_patches(original, permutation, GRID)
    heatmaps = np.zeros((12, 32, 24), dtype=np.float32)
    picture = draw_puzzle(
        original, puzzle, heatmaps, heatmaps, permutation, answer, GRID
    )
    assert picture.shape == (128, 5 * 96 + 4 * 4, 3)
    np.testing.assert_array_equal(picture[:, :96], original)
    np.testing.assert_array_equal(picture[:, 100:196], puzzle)
    solved = picture[:, -96:]
    for patch in range(12):
        y, x = patch // 3 * 32, patch % 3 * 32
        inside = np.s_[y + 4 : y + 28, x + 4 : x + 28]
        wrong = patch in (2, 7)
        np.testing.assert_array_equal(solved[y + 1, x + 16], WRONG if wrong else RIGHT)
        assert np.array_equal(solved[inside], original[inside]) != wrong


def test_heatmaps_have_the_color_of_their_patch():
    codec = JigsawHeatmap((96, 128), (24, 32), sigma=1.5, grid=GRID)
    centers = np.array([[[15.5, 15.5], [79.5, 111.5]] + [[47.5, 47.5]] * 10])
    heatmaps = codec.encode(centers.astype(np.float32))['heatmaps']
    drawn = draw_heatmaps(np.zeros((128, 96, 3), dtype=np.uint8), heatmaps[:2])
    colors = patch_colors(2)
    for (x, y), color in zip([(16, 16), (80, 112)], colors, strict=True):
        peak = drawn[y, x].astype(int)
        np.testing.assert_allclose(peak / peak.max(), color / color.max(), atol=0.1)
    assert drawn[64, 48].max() == 0


def test_colors_differ():
    assert len({tuple(color) for color in patch_colors(48)}) == 48
