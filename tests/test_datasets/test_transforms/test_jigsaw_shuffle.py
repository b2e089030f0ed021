import itertools

import numpy as np
import pytest
import torch
from mmpose.datasets.transforms import GenerateTarget, PackPoseInputs

from mmpose_pretext.datasets.transforms import JigsawShuffle
from mmpose_pretext.datasets.transforms.jigsaw_shuffle import (
    permutation_set,
    shuffle_patches,
)


def make_results(height=128, width=96, sample_idx=0, seed=0):
    img = np.random.RandomState(seed).randint(0, 256, (height, width, 3))
    return dict(
        img=img.astype(np.uint8),
        input_size=(width, height),
        input_center=np.array([200.0, 150.0], dtype=np.float32),
        input_scale=np.array([2.0 * width, 2.0 * height], dtype=np.float32),
        sample_idx=sample_idx,
    )


def shuffle_slowly(img, permutation, grid, shifts):
    rows, cols = grid
    h, w = img.shape[0] // rows, img.shape[1] // cols
    out = np.empty_like(img)
    for k, cell in enumerate(permutation):
        y, x = (k // cols) * h, (k % cols) * w
        if shifts is not None:
            x = min(max(x + shifts[k][0], 0), img.shape[1] - w)
            y = min(max(y + shifts[k][1], 0), img.shape[0] - h)
        to_y, to_x = (cell // cols) * h, (cell % cols) * w
        out[to_y : to_y + h, to_x : to_x + w] = img[y : y + h, x : x + w]
    return out


@pytest.mark.parametrize('grid', [(2, 2), (4, 3), (1, 6), (8, 6)])
@pytest.mark.parametrize('jitter', [0, 7])
def test_equals_the_slow_reference(grid, jitter):
    rng = np.random.RandomState(3)
    img = make_results()['img']
    num = grid[0] * grid[1]
    shifts = rng.randint(-jitter, jitter + 1, (num, 2)) if jitter else None
    permutation = rng.permutation(num)
    np.testing.assert_array_equal(
        shuffle_patches(img, permutation, grid, shifts),
        shuffle_slowly(img, permutation, grid, shifts),
    )


def test_keypoint_k_is_where_patch_k_lies():
    results = make_results()
    before = results['img'].copy()
    np.random.seed(0)
    results = JigsawShuffle(grid=(4, 3)).transform(results)
    assert not np.array_equal(results['img'], before)
    assert results['transformed_keypoints'].shape == (1, 12, 2)
    for k, (x, y) in enumerate(results['transformed_keypoints'][0]):
        left, top = int(x - 15.5), int(y - 15.5)
        row, col = divmod(k, 3)
        np.testing.assert_array_equal(
            results['img'][top : top + 32, left : left + 32],
            before[row * 32 : row * 32 + 32, col * 32 : col * 32 + 32],
        )
    # the same point in the photograph, as the estimator maps its predictions
    np.testing.assert_allclose(
        results['keypoints'],
        results['transformed_keypoints'] * 2 + np.array([200 - 96, 150 - 128]),
    )
    np.testing.assert_array_equal(results['keypoints_visible'], np.ones((1, 12)))


def test_stock_generate_target_encodes_it():
    codec = dict(
        type='mmpose_pretext.JigsawHeatmap',
        input_size=(96, 128),
        heatmap_size=(24, 32),
        sigma=1.5,
        grid=(4, 3),
    )
    np.random.seed(0)
    results = JigsawShuffle(grid=(4, 3)).transform(make_results())
    results = GenerateTarget(encoder=codec).transform(results)
    peaks = results['heatmaps'].reshape(12, -1).argmax(axis=1)
    cells = peaks // 24 // 8 * 3 + peaks % 24 // 8
    np.testing.assert_array_equal(cells, results['jigsaw_permutation'])


def test_permutations_are_uniform():
    np.random.seed(0)
    transform = JigsawShuffle(grid=(2, 2))
    img = np.zeros((4, 4, 3), dtype=np.uint8)
    counts = np.zeros((4, 4))
    for _ in range(2000):
        results = transform.transform(make_results() | dict(img=img, input_size=(4, 4)))
        counts[np.arange(4), results['jigsaw_permutation']] += 1
    # 500 expected, standard deviation 19
    assert np.abs(counts - 500).max() < 100


def test_exclude_identity():
    np.random.seed(0)
    kept, excluded = set(), set()
    for _ in range(100):
        for found, exclude in ((kept, False), (excluded, True)):
            transform = JigsawShuffle(grid=(1, 2), exclude_identity=exclude)
            results = transform.transform(make_results())
            found.add(tuple(results['jigsaw_permutation']))
    assert kept == {(0, 1), (1, 0)}
    assert excluded == {(1, 0)}


def test_seed_fixes_the_puzzle_of_a_sample():
    transform = JigsawShuffle(grid=(4, 3), seed=7, jitter=4, color_jitter=0.3)
    first = transform.transform(make_results(sample_idx=5))
    np.random.seed(123)
    again = transform.transform(make_results(sample_idx=5))
    other = transform.transform(make_results(sample_idx=6))
    np.testing.assert_array_equal(first['img'], again['img'])
    assert not np.array_equal(first['jigsaw_permutation'], other['jigsaw_permutation'])


def test_without_seed_it_draws_from_numpys_global_generator():
    transform = JigsawShuffle(grid=(4, 3))
    np.random.seed(5)
    first = [transform.transform(make_results())['jigsaw_permutation'] for _ in '12']
    np.random.seed(5)
    again = [transform.transform(make_results())['jigsaw_permutation'] for _ in '12']
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first[0], first[1])


@pytest.mark.parametrize('gap', [1, 6])
def test_gap_is_filled_between_patches_only(gap):
    results = make_results()
    results['img'][:] = 255
    results['img'][:64] = 0  # mean 127
    np.random.seed(0)
    img = JigsawShuffle(grid=(4, 3), gap=gap).transform(results)['img']
    fill = (img == 127).all(axis=-1)
    for start in range(0, 128, 32):
        inner = slice(start + gap // 2, start + 32 - (gap - gap // 2))
        assert not fill[inner, gap // 2 : 32 - (gap - gap // 2)].any()
        assert fill[start : start + gap // 2].all()
        assert fill[start + 32 - (gap - gap // 2) : start + 32].all()


def test_color_jitter_multiplies_each_patch_and_channel():
    results = make_results()
    results['img'][:] = 100
    np.random.seed(0)
    img = JigsawShuffle(grid=(4, 3), color_jitter=0.2).transform(results)['img']
    cells = img.reshape(4, 32, 3, 32, 3)
    values = cells[:, 0, :, 0]
    np.testing.assert_array_equal(
        cells, np.broadcast_to(values[:, None, :, None], cells.shape)
    )
    assert len(np.unique(values)) > 15
    assert values.min() >= 80
    assert values.max() <= 120
    bright = make_results()
    bright['img'][:] = 250
    out = JigsawShuffle(grid=(4, 3), color_jitter=1.0).transform(bright)['img']
    assert out.max() == 255  # clipped, not wrapped around


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (dict(grid=(4, 5)), r'grid=\(4, 5\).*96x128.*columns that divide 96'),
        (dict(grid=(3, 3)), 'rows that divide 128'),
        (dict(grid=(4, 3), gap=32), 'gap=32 pixels leaves nothing of a cell of 32x32'),
    ],
)
def test_crop_that_does_not_fit(arguments, message):
    transform = JigsawShuffle(**arguments)
    with pytest.raises(ValueError, match=message):
        transform.transform(make_results())


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (dict(grid=(4, 0)), 'grid must be'),
        (dict(grid=(4, 3), gap=-1), 'gap must be.*got -1'),
        (dict(grid=(4, 3), jitter=1.5), 'jitter must be.*got 1.5'),
        (dict(grid=(4, 3), color_jitter=2), 'color_jitter must be in .*got 2'),
        (dict(grid=(1, 3), num_permutations=7), 'num_permutations .* 3 .* 6, .*got 7'),
        (dict(grid=(4, 3), num_permutations=1), 'num_permutations must be.*got 1'),
        (dict(grid=(4, 3), num_permutations=9.5), 'num_permutations must.*got 9.5'),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        JigsawShuffle(**arguments)


def test_repr_names_the_arguments():
    assert 'grid=(4, 3), gap=2' in repr(JigsawShuffle(grid=(4, 3), gap=2))


def hamming(first, second):
    return sum(a != b for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize(
    ('num_patches', 'num_permutations'), [(2, 2), (4, 24), (5, 60)]
)
def test_permutation_set_equals_the_slow_greedy_choice(num_patches, num_permutations):
    chosen = list(map(tuple, permutation_set(num_patches, num_permutations, seed=3)))
    assert len(chosen) == num_permutations
    left = set(itertools.permutations(range(num_patches)))
    left.remove(chosen[0])
    for n in range(1, num_permutations):

        def key(permutation, before=chosen[:n]):
            distances = [hamming(permutation, other) for other in before]
            return sum(distances), min(distances)

        assert key(chosen[n]) == max(map(key, left))
        left.remove(chosen[n])


def test_permutations_of_many_patches_are_far_apart():
    chosen = permutation_set(12, 100)
    assert chosen.shape == (100, 12)
    np.testing.assert_array_equal(np.sort(chosen), np.tile(np.arange(12), (100, 1)))
    distances = [hamming(p, q) for p, q in itertools.combinations(chosen.tolist(), 2)]
    assert (
        np.mean(distances) > 11.1
    )  # of random permutations: 11.00, standard error 0.01
    assert min(distances) == 7  # of 100 random permutations: mostly 6


def test_permutation_set_is_that_of_its_seed():
    """A trained network knows the permutations by their index."""
    first = permutation_set(12, 3, seed=0)
    expected = [
        [9, 4, 6, 11, 3, 0, 2, 5, 1, 10, 7, 8],
        [3, 1, 8, 5, 11, 9, 0, 10, 4, 6, 2, 7],
        [0, 5, 7, 2, 9, 11, 4, 6, 3, 8, 10, 1],
    ]
    np.testing.assert_array_equal(first, expected)
    np.testing.assert_array_equal(permutation_set(12, 5, seed=0)[:3], first)
    assert not np.array_equal(permutation_set(12, 3, seed=1), first)


def test_duplicates_among_the_candidates_are_not_chosen():
    # 50,000 draws of 9! = 362,880 repeat some
    chosen = permutation_set(9, 1000, seed=0)
    assert len(np.unique(chosen, axis=0)) == 1000


def test_label_names_the_permutation_of_the_picture():
    transform = JigsawShuffle(grid=(4, 3), num_permutations=7, permutation_seed=2)
    permutations = permutation_set(12, 7, seed=2)
    np.random.seed(0)
    seen = set()
    for _ in range(60):
        results = make_results()
        before = results['img'].copy()
        results = transform.transform(results)
        assert results['pretext_label'].dtype == np.int64
        assert results['pretext_label'].shape == (1,)
        permutation = permutations[results['pretext_label'].item()]
        np.testing.assert_array_equal(
            results['img'], shuffle_slowly(before, permutation, (4, 3), None)
        )
        np.testing.assert_array_equal(results['jigsaw_permutation'], permutation)
        seen.add(results['pretext_label'].item())
    assert seen == set(range(7))


def test_stock_packing_finds_the_label():
    np.random.seed(0)
    results = JigsawShuffle(grid=(4, 3), num_permutations=7).transform(make_results())
    sample = PackPoseInputs().transform(results)['data_samples']
    labels = sample.gt_instance_labels.pretext_labels
    assert labels.dtype == torch.int64
    assert labels.tolist() == results['pretext_label'].tolist()


def test_seed_fixes_the_label_of_a_sample():
    transform = JigsawShuffle(grid=(4, 3), num_permutations=20, seed=7)
    draws = []
    for global_seed in (1, 2):
        np.random.seed(global_seed)
        results = [transform.transform(make_results(sample_idx=n)) for n in range(9)]
        draws.append([result['pretext_label'].item() for result in results])
    assert draws[0] == draws[1]
    assert len(set(draws[0])) > 1


def test_exclude_identity_from_a_permutation_set():
    np.random.seed(0)
    transform = JigsawShuffle(grid=(1, 2), num_permutations=2, exclude_identity=True)
    for _ in range(20):
        results = transform.transform(make_results())
        np.testing.assert_array_equal(results['jigsaw_permutation'], [1, 0])


def test_without_num_permutations_nothing_has_changed():
    """The puzzle that a seed gave before there were permutation sets."""
    results = JigsawShuffle(grid=(4, 3), seed=7).transform(make_results(sample_idx=5))
    expected = np.random.RandomState([7, 5]).permutation(12)
    np.testing.assert_array_equal(results['jigsaw_permutation'], expected)
    assert 'pretext_label' not in results
    assert 'label_mapping_table' not in results
