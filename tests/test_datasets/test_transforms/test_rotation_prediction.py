import numpy as np
import pytest
import torch
from mmpose.datasets.transforms import (
    GetBBoxCenterScale,
    PackPoseInputs,
    RandomBBoxTransform,
    TopdownAffine,
)

from mmpose_pretext.datasets.transforms import RandomQuarterTurn


def turned(label, **results):
    """Apply a transform whose draw is known."""
    for sample_idx in range(100):
        transformed = RandomQuarterTurn(seed=0).transform(
            {**results, 'sample_idx': sample_idx}
        )
        if transformed['pretext_label'].item() == label:
            return transformed
    raise AssertionError(f'{label} is never drawn')


def corners(box):
    x1, y1, x2, y2 = box
    return np.array([[[x1, y1], [x2, y1], [x2, y2], [x1, y2]]], dtype=np.float32)


def square(img):
    """The largest central square about (width / 2, height / 2), where OpenCV turns."""
    (height, width), half = img.shape[:2], min(img.shape[:2]) // 2 - 1
    y, x = height // 2, width // 2
    return img[y - half : y + half + 1, x - half : x + half + 1]


@pytest.mark.parametrize('input_size', [(64, 64), (48, 64), (64, 48)])
@pytest.mark.parametrize('label', [0, 1, 2, 3])
def test_equals_rot90_of_the_upright_crop(input_size, label):
    rng = np.random.RandomState(0)
    img = rng.randint(0, 256, (150, 140, 3)).astype(np.uint8)
    side = min(input_size)  # one pixel of the crop is one pixel of the photograph
    results = dict(
        img=img,
        bbox_center=np.array([[70, 75]], dtype=np.float32),
        bbox_scale=np.array([[0.6 * side, side]], dtype=np.float32),
    )
    crop = TopdownAffine(input_size).transform(turned(label, **results))['img']
    assert crop.shape == (input_size[1], input_size[0], 3)
    half = side // 2 - 1
    upright = img[75 - half : 75 + half + 1, 70 - half : 70 + half + 1]
    np.testing.assert_array_equal(square(crop), np.rot90(upright, label))


@pytest.mark.parametrize('input_size', [(64, 64), (48, 64), (64, 48)])
@pytest.mark.parametrize(
    'box', [(20, 10, 50, 110), (10, 40, 120, 60), (30, 30, 70, 70)]
)
def test_the_whole_box_stays_visible_at_the_same_magnification(input_size, box):
    lengths = []
    for label in range(4):
        results = dict(
            img=np.zeros((150, 140, 3), dtype=np.uint8),
            bbox=np.array([box], dtype=np.float32),
            keypoints=corners(box),
        )
        results = GetBBoxCenterScale(padding=1.0).transform(results)
        results = TopdownAffine(input_size).transform(turned(label, **results))
        points = results['transformed_keypoints'][0]
        assert (points > -1e-3).all()
        assert (points < np.array(input_size) + 1e-3).all()
        lengths.append(np.linalg.norm(np.diff(points, axis=0), axis=1))
        # counterclockwise: the top edge of the box becomes the left one, bottom, right
        start, end = points[:2]
        direction = (end - start) / np.linalg.norm(end - start)
        expected = [(1, 0), (0, -1), (-1, 0), (0, 1)][label]
        np.testing.assert_allclose(direction, expected, atol=1e-4)
    np.testing.assert_allclose(lengths, np.broadcast_to(lengths[0], (4, 3)), rtol=1e-4)


def test_it_adds_to_a_rotation():
    np.random.seed(0)
    results = dict(
        bbox_center=np.array([[50, 50]], dtype=np.float32),
        bbox_scale=np.array([[30, 40]], dtype=np.float32),
    )
    transform = RandomBBoxTransform(rotate_factor=10, rotate_prob=1.0)
    results = transform.transform(results)
    before, scale = results['bbox_rotation'], results['bbox_scale']
    after = turned(3, **results)
    assert before.item() != 0
    np.testing.assert_allclose(after['bbox_rotation'], before + 270)
    assert after['bbox_rotation'].shape == (1,)
    np.testing.assert_array_equal(after['bbox_scale'], [[scale.max(), scale.max()]])
    np.testing.assert_array_equal(results['bbox_scale'], scale)  # not in place


def test_labels_are_uniform_and_of_numpys_global_generator():
    transform = RandomQuarterTurn()
    draws = []
    for _ in range(2):
        np.random.seed(0)
        boxes = [dict(bbox_scale=np.ones((1, 2))) for _ in range(1000)]
        results = [transform.transform(box) for box in boxes]
        draws.append([result['pretext_label'].item() for result in results])
        for result, label in zip(results, draws[-1], strict=True):
            assert result['bbox_rotation'].item() == 90 * label
    assert draws[0] == draws[1]
    # 250 expected, standard deviation 14
    assert np.abs(np.bincount(draws[0], minlength=4) - 250).max() < 60


def test_seed_fixes_the_label_of_a_sample():
    def labels(seed):
        transform = RandomQuarterTurn(seed=seed)
        results = [dict(bbox_scale=np.ones((1, 2)), sample_idx=i) for i in range(50)]
        return [transform.transform(r)['pretext_label'].item() for r in results]

    np.random.seed(1)
    first = labels(7)
    np.random.seed(2)
    assert labels(7) == first
    assert labels(8) != first
    assert set(first) == {0, 1, 2, 3}


def test_stock_packing_finds_the_label():
    results = turned(2, bbox_scale=np.ones((1, 2), dtype=np.float32))
    results['img'] = np.zeros((4, 4, 3), dtype=np.uint8)
    sample = PackPoseInputs().transform(results)['data_samples']
    labels = sample.gt_instance_labels.pretext_labels
    assert labels.dtype == torch.int64
    assert labels.tolist() == [2]


def test_it_refuses_several_boxes():
    with pytest.raises(ValueError, match=r'bbox_scale must .*\(1, 2\).* \(3, 2\)'):
        RandomQuarterTurn().transform(dict(bbox_scale=np.ones((3, 2))))


def test_repr_names_the_argument():
    assert repr(RandomQuarterTurn(seed=3)) == 'RandomQuarterTurn(seed=3)'
