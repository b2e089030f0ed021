from dataclasses import replace

import numpy as np
import pytest

from mmpose_pretext.synthetic import (
    Camera,
    SceneConfig,
    annotate,
    render,
    sample_pose,
    sample_scene,
)
from mmpose_pretext.synthetic.body import body_solids, coco_points, sample_outfit
from mmpose_pretext.synthetic.render import Solids, looks
from mmpose_pretext.synthetic.scene import place

NOSE, L_SHOULDER, R_SHOULDER, L_HIP, R_HIP, L_KNEE, R_KNEE = 0, 5, 6, 11, 12, 13, 14
LABELS = ('keypoints', 'keypoints_3d', 'keypoints_3d_visible')


def box(centre, half):
    return Solids.boxes(
        np.array([centre], float), np.array([half], float), np.zeros(1), looks(1)
    )


def make_scene(*people, things=()):
    """Standing people, each given as (yaw, x, z), on a plain ground."""
    rng = np.random.default_rng(0)
    scene = sample_scene(rng, SceneConfig((96, 128), (1, 1)))
    pose, outfit = sample_pose(rng, 'stand'), sample_outfit(rng)
    outfit.long_hair = False
    poses = [place(pose, *person) for person in people]
    bodies = [body_solids(p, outfit, i) for i, p in enumerate(poses)]
    solids = Solids.join([box((0, -1, 0), (400, 1, 400)), *bodies, *things])
    camera = Camera((96, 128), 200.0, 1.2, 0.05)
    return replace(scene, camera=camera, people=poses, solids=solids)


def label(scene):
    rendering = render(scene)
    return annotate(scene, rendering), rendering


def test_front_and_back_and_left_and_right():
    (front,), _ = label(make_scene((180, 0, 4)))
    (back,), _ = label(make_scene((0, 0, 4)))
    assert front['keypoints'][L_SHOULDER, 0] > front['keypoints'][R_SHOULDER, 0] + 10
    assert back['keypoints'][L_SHOULDER, 0] < back['keypoints'][R_SHOULDER, 0] - 10
    body = [L_SHOULDER, R_SHOULDER, L_HIP, R_HIP, L_KNEE, R_KNEE]
    for person, face in ((front, 2), (back, 1)):
        assert (person['keypoints'][body, 2] == 2).all()
        assert (person['keypoints'][:3, 2] == face).all()


def test_own_body_hides_the_far_side():
    (side,), _ = label(make_scene((-90, 0, 4)))  # its right side is near
    seen = side['keypoints'][:, 2]
    assert (seen[[R_SHOULDER, R_HIP]] == 2).all()
    assert (seen[[L_SHOULDER, L_HIP]] == 1).all()


@pytest.mark.parametrize('near', [0, 1])
def test_near_person_hides_the_far_one(near):
    spots = [(180, 0, 4), (180, 0.06, 5)]
    people, rendering = label(make_scene(*(spots if near == 0 else spots[::-1])))
    front, back = people[near], people[1 - near]
    assert (front['keypoints'][[L_HIP, R_HIP, L_KNEE], 2] == 2).all()
    assert back['keypoints'][L_HIP, 2] == 1
    assert (back['keypoints'][:, 2] == 1).sum() > 9
    assert (back['keypoints_3d_visible'] > 0).all()
    x, y = np.rint(front['keypoints'][L_HIP, :2]).astype(int)
    assert rendering.person[y, x] == near
    alone = label(make_scene((180, 0.06, 5)))[0][0]
    assert back['area'] < 0.6 * alone['area']


def test_thing_hides_the_legs():
    wall = box((0, 0.35, 3), (1, 0.35, 0.1))
    (person,), rendering = label(make_scene((180, 0, 4), things=[wall]))
    assert (person['keypoints'][[L_KNEE, R_KNEE], 2] == 1).all()
    assert (person['keypoints'][[L_SHOULDER, L_HIP], 2] == 2).all()
    free = label(make_scene((180, 0, 4)))[0][0]
    assert person['bbox'][3] < free['bbox'][3]
    assert (rendering.person[-20:] == -1).all()


def test_hidden_person_has_no_label():
    wall = box((0, 2, 3), (3, 2, 0.1))
    assert label(make_scene((180, 0, 4), things=[wall]))[0] == []


def test_keypoints_outside_the_image_are_zero():
    (person,), _ = label(make_scene((180, 0.85, 4)))
    outside = person['keypoints'][:, 2] == 0
    assert outside.any()
    assert not outside.all()
    assert (person['keypoints'][outside] == 0).all()
    assert (person['keypoints_3d'][:, 2] > 3).all()


def test_boxes_and_areas_are_those_of_the_visible_pixels():
    for seed in range(3):
        config = SceneConfig((96, 80), (2, 4))
        people, rendering = label(sample_scene(np.random.default_rng(seed), config))
        assert rendering.image.shape == (80, 96, 3)
        assert rendering.image.dtype == np.uint8
        for person in people:
            pixels = [
                (x, y)
                for y in range(80)
                for x in range(96)
                if rendering.person[y, x] == person['person']
            ]
            x0, y0 = (min(p[i] for p in pixels) for i in (0, 1))
            x1, y1 = (max(p[i] for p in pixels) for i in (0, 1))
            assert person['bbox'] == [x0, y0, x1 - x0 + 1, y1 - y0 + 1]
            assert person['area'] == len(pixels)


def test_scenes_are_drawn_from_the_generator_alone():
    config = SceneConfig((64, 64), (1, 3))
    images = [
        render(sample_scene(np.random.default_rng(s), config)).image for s in (5, 5, 6)
    ]
    assert (images[0] == images[1]).all()
    assert (images[0] != images[2]).any()


def test_plain_scenes_show_nothing_but_people_and_ground():
    def standing(rng):
        return sample_pose(rng, 'stand')

    for seed in range(4):
        configs = [SceneConfig((96, 96), (1, 3), plain) for plain in (True, False)]
        scenes = [
            sample_scene(np.random.default_rng(seed), config, standing)
            for config in configs
        ]
        owners = scenes[0].solids.owner
        assert (owners < 0).sum() == 1  # the ground
        assert (scenes[1].solids.owner < 0).sum() > 1
        for plain, full in zip(*(s.people for s in scenes), strict=True):
            np.testing.assert_array_equal(plain.joints, full.joints)
        images = [[render(replace(s, noise=n)).image for n in (0, 9)] for s in scenes]
        assert (images[0][0] == images[0][1]).all()
        assert (images[1][0] != images[1][1]).any()


def test_painted_parts_have_colours_of_their_own():
    config = SceneConfig((96, 96), (2, 2), painted=True)
    scenes = [sample_scene(np.random.default_rng(seed), config) for seed in range(3)]
    people = [
        s.solids.look[s.solids.owner == i]['colour'] for s in scenes for i in range(2)
    ]
    parts = min(map(len, people))  # long hair is a part more
    for colours in people:
        np.testing.assert_array_equal(colours[:parts], people[0][:parts])
        gaps = np.abs(colours[:, None] - colours).max(axis=2)
        assert gaps[~np.eye(len(colours), dtype=bool)].min() > 0.05
    same = sample_scene(np.random.default_rng(0), SceneConfig((96, 96), (2, 2)))
    for painted, dressed in zip(scenes[0].people, same.people, strict=True):
        np.testing.assert_array_equal(painted.joints, dressed.joints)


def test_visible_keypoints_lie_on_the_persons_pixels():
    rng = np.random.default_rng(11)
    on = total = 0
    for _ in range(6):
        scene = sample_scene(rng, SceneConfig((160, 160), (1, 3)))
        people, rendering = label(scene)
        for person in people:
            x, y, v = person['keypoints'].T
            x, y = np.rint([x, y]).astype(int)[:, v == 2]
            on += (rendering.person[y, x] == person['person']).sum()
            total += len(x)
    assert total > 60
    assert on > 0.97 * total


def test_face_points_surround_the_head():
    pose = sample_pose(np.random.default_rng(0), 'stand')
    nose, left_eye, right_eye, left_ear, right_ear = coco_points(pose)[:5]
    assert (nose - (left_ear + right_ear) / 2) @ pose.face > 0.05
    left = np.cross([0, 1, 0], pose.face)
    assert (left_eye - right_eye) @ left > 0.03
    assert (left_ear - right_ear) @ left > 0.1


@pytest.mark.parametrize(
    ('kwargs', 'message'),
    [
        ({'image_size': (16, 256)}, r'32x32.*\(16, 256\)'),
        ({'people': (3, 2)}, r'MIN <= MAX.*\(3, 2\)'),
        ({'people': (0, 2)}, r'1 <= MIN'),
        ({'people': (1, 99)}, r'<= 12'),
    ],
)
def test_impossible_scenes_are_refused(kwargs, message):
    with pytest.raises(ValueError, match=message):
        SceneConfig(**kwargs)
