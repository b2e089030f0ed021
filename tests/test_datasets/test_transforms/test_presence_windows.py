"""Presence labels from places, under a budget, and the places forgotten."""

import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from mmpose.datasets.transforms import (
    GenerateTarget,
    GetBBoxCenterScale,
    PackPoseInputs,
    RandomBBoxTransform,
    RandomFlip,
    TopdownAffine,
)

from mmpose_pretext.datasets.transforms.presence_windows import (
    PresenceWindows,
    draw_windows,
    window_rng,
)

FLIP = [1, 0, 2, 4, 3]
CODEC = dict(
    type='mmpose_pretext.PresenceLabel',
    input_size=(48, 64),
    heatmap_size=(12, 16),
    sigma=1.0,
)


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('mmpose')


def person(points, visible=(1, 1, 1, 1, 1), **kwargs):
    rng = np.random.default_rng(0)
    points = np.array(points, dtype=np.float32)[None]
    return dict(
        img=rng.integers(0, 255, (100, 80, 3), dtype=np.uint8),
        img_shape=(100, 80),
        id=7,
        bbox=np.array([[20, 20, 60, 80]], dtype=np.float32),
        bbox_score=np.ones(1, dtype=np.float32),
        keypoints=points,
        keypoints_visible=np.array(visible, dtype=np.float32)[None],
        flip_indices=FLIP,
        num_keypoints=5,
        area=np.array([float(points.sum())]),
        raw_ann_info=dict(keypoints=points.ravel().tolist()),
        **kwargs,
    )


POINTS = [(30, 30), (50, 30), (40, 50), (30, 75), (50, 75)]


def test_labels_agree_with_a_look_at_each_point():
    rng = np.random.default_rng(0)
    for index in range(20):
        points = rng.uniform(0, 80, (5, 2))
        visible = rng.integers(0, 3, 5)
        sample = person(points, visible) | dict(id=index)
        sample = GetBBoxCenterScale()(sample)
        result = PresenceWindows('windows', 6)(sample)
        assert result['presence'].shape == (7, 5)
        for corners, labels in zip(
            result['presence_windows'], result['presence'], strict=True
        ):
            (x1, y1), (x2, _), (_, y2), (x4, y4) = corners
            assert (x4, y4) == (x1, y2)
            for (x, y), seen, label in zip(points, visible, labels, strict=True):
                inside = x1 <= x < x2 and y1 <= y < y2
                assert label == (seen > 0 and inside)


def test_region_0_is_the_padded_box_within_the_image():
    sample = GetBBoxCenterScale(padding=1.25)(person(POINTS))
    corners = PresenceWindows('strict')(sample)['presence_windows']
    box = [[15, 12.5], [65, 12.5], [65, 87.5], [15, 87.5]]
    np.testing.assert_allclose(corners, [box])
    sample = GetBBoxCenterScale(padding=3.0)(person(POINTS))
    corners = PresenceWindows('strict')(sample)['presence_windows']
    np.testing.assert_allclose(corners[0, [0, 2]], [[0, 0], [80, 100]])


def test_unannotated_keypoints():
    sample = GetBBoxCenterScale()(person(POINTS, visible=(0, 1, 2, 1, 1)))
    labels = PresenceWindows('strict')(dict(sample))['presence'][0]
    assert labels.tolist() == [0, 1, 1, 1, 1]
    unknown = PresenceWindows('strict', unannotated='unknown')
    assert unknown(dict(sample))['presence'][0].tolist() == [-1, 1, 1, 1, 1]


def test_windows_are_drawn_once_for_a_person():
    def windows(transform, **kwargs):
        sample = GetBBoxCenterScale()(person(POINTS) | kwargs)
        return transform(sample)['presence_windows']

    fixed = PresenceWindows('windows', 4)
    np.testing.assert_array_equal(windows(fixed), windows(fixed))
    assert not np.array_equal(windows(fixed)[1:], windows(fixed, id=8)[1:])
    other = PresenceWindows('windows', 4, seed=1)
    assert not np.array_equal(windows(fixed)[1:], windows(other)[1:])
    fresh = PresenceWindows('unlimited', 4)
    np.random.seed(0)
    first = windows(fresh)
    assert not np.array_equal(first[1:], windows(fresh)[1:])
    np.random.seed(0)
    np.testing.assert_array_equal(windows(fresh), first)


def test_shapes_of_windows():
    windows = draw_windows(np.random.default_rng(0), 5000, (0.06, 0.5))
    width, height = (windows[:, 2:] - windows[:, :2]).T
    assert windows.min() >= 0
    assert windows.max() <= 1 + 1e-9
    assert (width * height).min() >= 0.06 - 1e-9
    assert (width * height).max() <= 0.5 + 1e-9
    assert np.log(width / height).mean() == pytest.approx(0, abs=0.02)
    np.testing.assert_allclose(
        windows[:, :2].mean(0), windows[:, 3:1:-1].mean(0) * -1 + 1, atol=0.02
    )
    whole = draw_windows(np.random.default_rng(0), 3, (1, 1))
    np.testing.assert_allclose(whole, [[0, 0, 1, 1]] * 3)
    a, b = window_rng(0, 'x').random(3), window_rng(0, 'x').random(3)
    assert (a == b).all()


def run(points, seed, **kwargs):
    """Return all that the model gets, in training, after a random pipeline."""
    np.random.seed(seed)
    sample = person(points, **kwargs)
    for transform in (
        GetBBoxCenterScale(),
        PresenceWindows('windows', 3),
        RandomFlip(),
        TopdownAffine(input_size=(48, 64)),
        GenerateTarget(encoder=CODEC),
        PackPoseInputs(),
    ):
        sample = transform(sample)
    return sample


def moved(points):
    """Move points at random, but over no side of a window."""
    windows = PresenceWindows('windows', 3)(GetBBoxCenterScale()(person(points)))
    sides = windows['presence_windows'][:, [0, 2]]
    rng = np.random.default_rng(1)
    result = []
    for point in np.array(points, dtype=np.float32):
        new = []
        for axis in range(2):
            stops = np.sort(sides[:, :, axis].ravel())
            above = stops[stops > point[axis]]
            below = stops[stops <= point[axis]]
            low = below.max() if len(below) else 0
            high = above.min() if len(above) else 79
            new.append(low + (high - low) * rng.uniform(0.01, 0.99))
        result.append(new)
    return result


def same(a, b):
    """Whether two packed samples are equal to the bit, whatever is in them."""
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, np.ndarray):
        return np.array_equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if hasattr(a, 'all_items'):
        return same(dict(a.all_items()), dict(b.all_items()))
    return a == b


@pytest.mark.parametrize('seed', range(4))
def test_places_do_not_matter_but_for_the_answers(seed):
    packed, other = run(POINTS, seed), run(moved(POINTS), seed)
    assert same(packed, other)
    assert not same(packed, run(np.array(POINTS)[::-1].copy() + 7, seed))


def test_located_samples_keep_their_places():
    packed = run(POINTS, 0, located=True)['data_samples']
    assert packed.gt_instance_labels.keypoint_weights.tolist() == [[1] * 5]
    assert packed.gt_fields.heatmaps.amax(dim=(1, 2)).min() == 1
    packed = run(POINTS, 0, located=False)['data_samples']
    assert packed.gt_instance_labels.keypoint_weights.tolist() == [[0] * 5]
    assert packed.gt_fields.heatmaps.abs().max() == 0


def test_inferencers_can_use_the_pipeline():
    """They give an image and a box, and nothing that is annotated."""
    sample = person(POINTS)
    for key in ('keypoints', 'keypoints_visible', 'id', 'area', 'raw_ann_info'):
        del sample[key]
    for transform in (
        GetBBoxCenterScale(),
        PresenceWindows('windows', 3, keep_locations=True),
        TopdownAffine(input_size=(48, 64)),
        GenerateTarget(encoder=CODEC),
        PackPoseInputs(),
    ):
        sample = transform(sample)
    labels = sample['data_samples'].gt_instance_labels
    assert (labels.keypoint_weights == 0).all()
    assert 'presence' not in labels


def test_flip_swaps_left_and_right():
    transforms = (GetBBoxCenterScale(), PresenceWindows('windows', 5))
    affine, codec = TopdownAffine(input_size=(48, 64)), GenerateTarget(encoder=CODEC)

    def encode(direction_prob):
        sample = person(POINTS)
        for transform in (*transforms, RandomFlip(prob=direction_prob), affine, codec):
            sample = transform(sample)
        return sample['presence'][0], sample['presence_windows'][0]

    (labels, corners), (flipped, mirrored) = encode(0.0), encode(1.0)
    np.testing.assert_array_equal(flipped, labels[:, FLIP])
    # the crop is symmetric about its own middle, in pixels of the heatmap
    np.testing.assert_allclose(mirrored[..., 1], corners[..., 1], atol=1e-4)
    total = mirrored[..., 0] + corners[..., 0]
    np.testing.assert_allclose(total, total[0, 0], atol=1e-4)


@pytest.mark.parametrize(
    ('kwargs', 'message'),
    [
        (dict(budget='free'), "budget must be one of .*'free'"),
        (dict(budget='windows'), 'num_windows=0'),
        (dict(budget='strict', num_windows=3), 'num_windows=3'),
        (dict(budget='unlimited', num_windows=-1), 'num_windows=-1'),
        (dict(budget='strict', area=(0.5, 0.2)), r'\(0.5, 0.2\)'),
        (dict(budget='strict', unannotated='maybe'), "'maybe'"),
    ],
)
def test_bad_arguments(kwargs, message):
    with pytest.raises(ValueError, match=message):
        PresenceWindows(**kwargs)


def test_several_people_are_refused():
    sample = dict(bbox_center=np.zeros((2, 2)), bbox_scale=np.ones((2, 2)))
    with pytest.raises(ValueError, match=r'\(2, 2\)'):
        PresenceWindows('strict')(sample | dict(keypoints=0, keypoints_visible=0))


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(presence=np.ones((1, 5))), 'has presence labels already'),
        (dict(flip=False), 'right after GetBBoxCenterScale'),
        (dict(bbox_rotation=np.zeros(1)), 'right after GetBBoxCenterScale'),
        (dict(id=None), "the dataset needs the key 'id'"),
    ],
)
def test_places_in_a_pipeline_that_are_refused(change, message):
    sample = GetBBoxCenterScale()(person(POINTS)) | change
    with pytest.raises(ValueError, match=message):
        PresenceWindows('windows', 2)(sample)


def test_stock_augmentation_tells_that_it_was_before():
    """The keys that are looked for are those of MMPose's transforms."""
    sample = GetBBoxCenterScale()(person(POINTS))
    assert not {'flip', 'bbox_rotation'} & set(sample)
    assert 'flip' in RandomFlip(prob=0.0)(dict(sample))
    assert 'bbox_rotation' in RandomBBoxTransform()(dict(sample))


def test_repr_names_the_arguments():
    assert "budget='windows', num_windows=4" in repr(PresenceWindows('windows', 4))
