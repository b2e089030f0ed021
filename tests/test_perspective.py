import numpy as np
import pytest
from mmpose.datasets.datasets.utils import parse_pose_metainfo

from mmpose_pretext.perspective import (
    BONE_LENGTHS,
    HEIGHT,
    filter_people,
    find_bones,
    ground_point,
    label_people,
    limb_order,
    pair_labels,
    person_scale,
)
from mmpose_pretext.synthetic import Camera, sample_pose
from mmpose_pretext.synthetic.body import coco_points
from mmpose_pretext.synthetic.scene import place
from mmpose_pretext.synthetic.skeleton import H36M_JOINTS, PROPORTIONS

COCO = [
    'nose', 'left_eye', 'right_eye', 'left_ear', 'right_ear', 'left_shoulder',
    'right_shoulder', 'left_elbow', 'right_elbow', 'left_wrist', 'right_wrist',
    'left_hip', 'right_hip', 'left_knee', 'right_knee', 'left_ankle', 'right_ankle',
]  # fmt: skip
BONES, LENGTHS = find_bones(COCO)
SIDES = ('left', 'right')


def standing(scale, foot=(100, 500), **places):
    """Keypoints (17, 2) of a person seen from the front, arms down."""
    y = dict(nose=1.55, eye=1.6, ear=1.58)
    heights = [
        ('ankle', 0.05),
        ('knee', 0.05 + HEIGHT * 0.246),
        ('hip', 0.05 + HEIGHT * (0.246 + 0.245)),
        ('shoulder', 0.05 + HEIGHT * (0.246 + 0.245 + 0.288)),
        ('elbow', 0.05 + HEIGHT * (0.246 + 0.245 + 0.288 - 0.186)),
        ('wrist', 0.05 + HEIGHT * (0.246 + 0.245 + 0.288 - 0.186 - 0.146)),
    ]
    y.update(heights)
    x = {'left': 0.2, 'right': -0.2}
    points = np.array([(x.get(n.split('_')[0], 0), -y[n.split('_')[-1]]) for n in COCO])
    for name, place_ in places.items():
        points[COCO.index(name)] = place_
    return np.array(foot) + scale * points


def everything(people):
    return np.ones(np.shape(people)[:2])


@pytest.mark.parametrize(
    'layout', ['coco', 'mpii', 'crowdpose', 'posetrack18', 'h36m', 'mpi_inf_3dhp']
)
def test_all_layouts_have_the_ten_bones(layout):
    path = f'configs/_base_/datasets/{layout}.py'
    names = list(parse_pose_metainfo(dict(from_file=path))['keypoint_name2id'])
    bones, lengths = find_bones(names)
    assert bones.shape == (10, 2)
    for (a, b), length in zip(bones, lengths, strict=True):
        side, first = names[a].split('_')
        other, second = names[b].replace('foot', 'ankle').split('_')
        assert side == other
        assert length == HEIGHT * BONE_LENGTHS[first, second]


def test_lengths_are_those_of_the_synthetic_people():
    expected = {
        ('shoulder', 'elbow'): PROPORTIONS['upper_arm'],
        ('elbow', 'wrist'): PROPORTIONS['forearm'],
        ('shoulder', 'hip'): 0.288,
        ('hip', 'knee'): PROPORTIONS['thigh'],
        ('knee', 'ankle'): PROPORTIONS['shank'],
    }
    assert BONE_LENGTHS == expected


def test_few_known_bones():
    bones, lengths = find_bones(['left_knee', 'x', 'left_ankle', 'left_hip'])
    assert bones.tolist() == [[3, 0], [0, 2]]
    assert len(lengths) == 2
    for names in ([], ['left_knee', 'left_ankle', 'right_hip', 'nose']):
        with pytest.raises(ValueError, match='two bones or more'):
            find_bones(names)


def slow_scale(keypoints, visible):
    scales = []
    for (a, b), length in zip(BONES, LENGTHS, strict=True):
        if visible[a] > 0 and visible[b] > 0:
            scales.append(np.hypot(*(keypoints[a] - keypoints[b])) / length)
    scales.sort(reverse=True)
    if len(scales) < 2:
        return np.nan, 0
    return scales[1], scales[1] / scales[0] * (1 - 2 ** (1 - len(scales)))


def test_scale_equals_a_loop_over_people_and_bones():
    rng = np.random.default_rng(0)
    keypoints = rng.uniform(0, 300, (200, 17, 2))
    visible = (rng.random((200, 17)) < rng.random((200, 1))) * 2
    keypoints[visible == 0] = np.nan
    scale, confidence = person_scale(keypoints, visible, BONES, LENGTHS)
    expected = [slow_scale(k, v) for k, v in zip(keypoints, visible, strict=True)]
    assert 20 < np.isnan(scale).sum() < 180
    np.testing.assert_allclose(np.stack([scale, confidence], 1), expected)


def test_scale_of_a_person_parallel_to_the_image():
    scale, confidence = person_scale([standing(80)], np.ones((1, 17)), BONES, LENGTHS)
    np.testing.assert_allclose(scale, 80)
    np.testing.assert_allclose(confidence, 1, atol=0.002)


def test_nobody():
    empty, unseen = np.empty((0, 17, 2)), np.empty((0, 17))
    scale, confidence = person_scale(empty, unseen, BONES, LENGTHS)
    assert scale.shape == confidence.shape == (0,)
    assert ground_point(empty, unseen, COCO).shape == (0,)
    assert all(m.shape == (0,) for m in filter_people(empty, unseen, COCO).values())
    for people in (np.empty(0), np.ones(1)):
        pairs, relation, confidence = pair_labels(people, people)
        assert pairs.shape == (0, 2)
        assert relation.shape == confidence.shape == (0,)


def test_points_of_the_ground():
    people = np.stack([standing(80), standing(40), standing(40), standing(40)])
    visible = everything(people)
    visible[1, COCO.index('left_ankle')] = 0
    visible[2, [COCO.index(f'{side}_ankle') for side in SIDES]] = 0
    people[3, COCO.index('left_wrist')] = 10, 600
    ground = ground_point(people, visible, COCO)
    np.testing.assert_allclose(ground, [496, 498, np.nan, 600])


def slow_pairs(scale, confidence, ground, tau, cues):
    out = []
    for i in range(len(scale)):
        for j in range(i + 1, len(scale)):
            ratio = scale[i] / scale[j]
            sigma = 0.1
            if 'scale' not in cues:
                # both scales from the horizon, which solves a quadratic equation
                gap = (ground[i] - ground[j]) / np.sqrt(scale[i] * scale[j]) / 1.5
                ratio = (gap / 2 + np.sqrt(gap**2 / 4 + 1)) ** 2
                sigma = 0.04 / 1.5
            if ratio > tau:
                relation = -1  # i is closer
            elif ratio < 1 / tau:
                relation = 1
            else:
                continue
            lower = ground[i] - ground[j]
            if len(cues) == 2 and lower * relation > 0:
                continue
            # 2 P - 1, P the logistic distribution function
            evidence = abs(np.log(ratio)) * confidence[i] * confidence[j]
            p = 1 / (1 + np.exp(-1.7 * evidence / sigma))
            out.append((i, j, relation, 2 * p - 1))
    return np.array(out).reshape(-1, 4)


@pytest.mark.parametrize('cues', [('scale',), ('scale', 'ground'), ('ground',)])
@pytest.mark.parametrize('tau', [1.0, 1.1, 1.5])
def test_pairs_equal_a_loop(tau, cues):
    rng = np.random.default_rng(1)
    scale, confidence = rng.uniform(50, 100, 30), rng.random(30)
    ground = rng.uniform(300, 400, 30)
    scale[rng.random(30) < 0.1] = np.nan
    ground[rng.random(30) < 0.2] = np.nan
    pairs, relation, weight = pair_labels(scale, confidence, ground, tau, cues)
    expected = slow_pairs(scale, confidence, ground, tau, cues)
    assert 20 < len(expected) < 435
    np.testing.assert_array_equal(pairs, expected[:, :2])
    np.testing.assert_array_equal(relation, expected[:, 2])
    np.testing.assert_allclose(weight, expected[:, 3])
    assert (weight > 0).all()
    assert pairs.dtype.kind == relation.dtype.kind == 'i'


def test_order_of_synthetic_people():
    """The person at twice the depth is farther, by all layouts and cues."""
    rng = np.random.default_rng(2)
    camera = Camera((640, 480), 500.0, 1.5, 0.1)
    for _ in range(20):
        bodies = [
            place(sample_pose(rng, 'walk'), rng.uniform(0, 360), x, z)
            for x, z in ((-0.5, 9), (0.5, 4.5))
        ]
        for names, points in (
            (COCO, [coco_points(pose) for pose in bodies]),
            (H36M_JOINTS, [pose.joints for pose in bodies]),
        ):
            pixels = camera.project(camera.to_camera(np.stack(points)))
            visible = everything(pixels)
            scale, confidence = person_scale(pixels, visible, *find_bones(names))
            ground = ground_point(pixels, visible, names)
            for cues in (('scale', 'ground'), ('ground',)):
                pairs, relation, _ = pair_labels(scale, confidence, ground, 1.1, cues)
                assert pairs.tolist() == [[0, 1]]
                assert relation.tolist() == [1]


def test_ground_alone_tells_the_ratio_of_depths():
    """By a level camera at the height that is assumed, and whatever the scales say."""
    depth = np.array([10, 11, 20])
    scale, ground = 600 / depth, 240 + 600 * 1.5 / depth

    def label(scale, tau):
        pairs, relation, _ = pair_labels(scale, np.ones(3), ground, tau, ('ground',))
        return [*map(tuple, pairs.tolist())], relation.tolist()

    assert label(scale, 1.099) == ([(0, 1), (0, 2), (1, 2)], [-1, -1, -1])
    assert label(scale, 1.101) == ([(0, 2), (1, 2)], [-1, -1])
    assert label(np.array([60, 70, 65]), 1) == ([(0, 1), (0, 2), (1, 2)], [-1, -1, -1])


def test_filters():
    sitting = dict(left_knee=(0.25, -0.9), right_knee=(-0.25, -0.9))
    people = np.stack(
        [
            standing(80),
            standing(80),  # hidden below the hips, and an arm
            standing(20),
            standing(80, **sitting),
            standing(80, left_knee=(0.25, -0.9), left_ankle=(0.3, -0.6)),  # a kick
            standing(80, left_wrist=(1.5, -1)),  # an error
            standing(80),  # nothing
            standing(80, **sitting),  # without hips
        ]
    )
    visible = everything(people)
    legs = [COCO.index(f'{side}_{n}') for side in SIDES for n in ('knee', 'ankle')]
    visible[1, [*legs, COCO.index('left_shoulder')]] = 0
    visible[6] = 0
    visible[7, [COCO.index(f'{side}_hip') for side in SIDES]] = 0
    rejected = filter_people(people, visible, COCO)
    assert {k: np.flatnonzero(v).tolist() for k, v in rejected.items()} == {
        'truncated': [6],
        'tiny': [2],
        'seated': [3],
        'inconsistent': [5],
    }
    rejected = filter_people(
        people, visible, COCO, 5, 200, max_disagreement=100, min_thigh_drop=1.1
    )
    assert {k: np.flatnonzero(v).tolist() for k, v in rejected.items()} == {
        'truncated': [1, 6],
        'tiny': [0, 1, 2, 3, 4, 5, 7],
        'seated': [0, 2, 3, 4, 5],
        'inconsistent': [],
    }


def test_labels_of_images_are_those_of_each_image():
    """Two images; the tiny person is in no pair, and one without bones has no scale."""
    people = np.stack(
        [
            standing(90),
            standing(60, foot=(9, 480)),
            standing(45, foot=(9, 520)),
            standing(70),
        ]
        + [standing(20), standing(120, foot=(50, 600))]
    )
    visible = everything(people)
    visible[3] = 0
    found = label_people(people, visible, [4, 0, 2], COCO, 1.2, ('scale',), ('tiny',))
    assert [p[:3] for p in found.pairs[0]] == [[0, 1, -1], [0, 2, -1], [1, 2, -1]]
    assert found.pairs[1:] == [[], []]
    assert found.usable.tolist() == [True, True, True, False, False, True]
    assert found.rejected['tiny'].tolist() == [False] * 4 + [True, False]
    scale, confidence = person_scale(people, visible, BONES, LENGTHS)
    for n, person in enumerate(found.people):
        if n == 3:
            assert person == dict(scale=None, scale_confidence=0)
        else:
            assert person['scale'] == pytest.approx(scale[n], abs=1e-3)
            assert person['scale_confidence'] == pytest.approx(confidence[n], abs=1e-4)
    _, _, certainties = pair_labels(scale[:3], confidence[:3])
    found_confidences = [p[3] for p in found.pairs[0]]
    np.testing.assert_allclose(found_confidences, certainties, atol=1e-4)
    # the third one stands lower than the two before it
    found = label_people(people, visible, [4, 0, 2], COCO, filters=())
    assert [p[:3] for p in found.pairs[0]] == [[0, 1, -1]]
    assert [p[:3] for p in found.pairs[2]] == [[0, 1, 1]]


@pytest.mark.parametrize('names', [COCO, list(H36M_JOINTS)], ids=['coco', 'h36m'])
def test_the_longer_limb_is_closer(names):
    """As a loop over people and limbs says."""
    rng = np.random.default_rng(0)
    people = rng.normal(size=(60, 17, 2))
    visible = rng.random((60, 17)) < 0.95
    ankle = 'ankle' if names is COCO else 'foot'
    limbs = dict(
        arm=('shoulder', 'elbow', 'wrist', 0.45), leg=('hip', 'knee', ankle, 0.7)
    )
    expected = np.zeros((60, 17))
    for n in range(60):
        for *joints, confidence in limbs.values():
            length, seen = {}, True
            for side in SIDES:
                top, middle, end = (names.index(f'{side}_{j}') for j in joints)
                upper = np.hypot(*(people[n, top] - people[n, middle]))
                length[side] = upper + np.hypot(*(people[n, middle] - people[n, end]))
                seen &= visible[n, [top, middle, end]].all()
            for side, other in (SIDES, SIDES[::-1]):
                for joint in joints[1:]:
                    if seen and length[side] > 1.2 * length[other]:
                        expected[n, names.index(f'{side}_{joint}')] = -confidence
                        expected[n, names.index(f'{other}_{joint}')] = confidence
    found = limb_order(people, visible, names, tau=1.2)
    assert found.tolist() == expected.tolist()
    assert 0.3 < (found != 0).sum() / (60 * 8) < 0.8
    assert not limb_order(people[:, :9], visible[:, :9], COCO[:9]).any()
    with pytest.raises(ValueError, match=r'tau must be 1 or more, got 0\.9'):
        limb_order(people, visible, names, tau=0.9)


def test_limbs_are_labelled_where_people_are_usable():
    bent = standing(80, left_knee=(0.2, -0.4), left_ankle=(0.2, -0.6))
    people = np.stack([bent, bent, bent])
    visible = everything(people)
    visible[1, 5:] = 0
    counts = [2, 1]
    found = label_people(people, visible, counts, COCO, filters=(), limbs=True).people
    assert 'limb_order' not in found[1]
    for person in (found[0], found[2]):
        named = {k: v for k, v in zip(COCO, person['limb_order'], strict=True) if v}
        assert named == dict(
            left_knee=0.7, left_ankle=0.7, right_knee=-0.7, right_ankle=-0.7
        )
    plain = label_people(people, visible, counts, COCO).people
    assert not any('limb_order' in person for person in plain)


def test_bad_keypoints():
    people, visible = standing(80)[None], np.ones((1, 17))
    functions = (
        lambda k, v: person_scale(k, v, BONES, LENGTHS),
        lambda k, v: ground_point(k, v, COCO),
        lambda k, v: filter_people(k, v, COCO),
        lambda k, v: limb_order(k, v, COCO),
    )
    for function in functions:
        with pytest.raises(ValueError, match=r'must have shape \(N, K, 2\)'):
            function(people[0], visible)
        with pytest.raises(ValueError, match=r'must have shape \(N, K, 2\)'):
            function(people, visible[:, :5])
        broken = people.copy()
        broken[0, 3, 1] = np.nan
        with pytest.raises(ValueError, match='keypoint 3 of person 0'):
            function(broken, visible)
        function(broken, np.arange(17)[None] != 3)
    for function in functions[1:]:
        with pytest.raises(ValueError, match='17 keypoint_names'):
            function(people[:, :16], visible[:, :16])


def test_bad_arguments_of_pairs():
    two = np.ones(2)
    for change, message in (
        (dict(confidence=np.ones(3)), r'one shape \(N,\)'),
        (dict(scale=np.ones((2, 2))), r'one shape \(N,\)'),
        (dict(scale=np.array([1, 0])), 'more than 0'),
        (dict(tau=0.9), 'tau must be 1 or more, got 0.9'),
        (dict(tau=np.nan), 'tau must be 1 or more'),
        (dict(cues=('size',)), "cues must be .*got \\('size',\\)"),
        (dict(cues=('ground',)), 'needs ground'),
        (dict(cues=('scale', 'size')), 'cues must be'),
        (dict(cues=('scale', 'ground')), 'needs ground'),
        (dict(cues=('scale', 'ground'), ground=np.ones(3)), 'needs ground'),
    ):
        with pytest.raises(ValueError, match=message):
            pair_labels(**{**dict(scale=two, confidence=two), **change})
