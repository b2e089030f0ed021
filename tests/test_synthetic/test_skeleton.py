import numpy as np
import pytest

from mmpose_pretext.synthetic import skeleton
from mmpose_pretext.synthetic.skeleton import (
    ACTIONS,
    ANGLES,
    H36M_JOINTS,
    LIMITS,
    PROPORTIONS,
    forward_kinematics,
    sample_angles,
    sample_pose,
)

J = {name: i for i, name in enumerate(H36M_JOINTS)}
BONES = {
    'thigh': [('right_hip', 'right_knee'), ('left_hip', 'left_knee')],
    'shank': [('right_knee', 'right_foot'), ('left_knee', 'left_foot')],
    'upper_arm': [('right_shoulder', 'right_elbow'), ('left_shoulder', 'left_elbow')],
    'forearm': [('right_elbow', 'right_wrist'), ('left_elbow', 'left_wrist')],
    'lumbar': [('root', 'spine')],
    'thoracic': [('spine', 'thorax')],
    'neck': [('thorax', 'neck_base')],
    'head': [('neck_base', 'head')],
}


def bend(**degrees):
    angles = np.zeros(24)
    for name, value in degrees.items():
        angles[ANGLES.index(name)] = value
    return forward_kinematics(angles, 1.0, PROPORTIONS)


@pytest.mark.parametrize('action', ACTIONS)
def test_angles_stay_in_their_limits(action):
    rng = np.random.default_rng(0)
    low, high = np.array(
        [LIMITS[name.removeprefix('left_').removeprefix('right_')] for name in ANGLES]
    ).T
    for _ in range(50):
        angles = sample_angles(rng, action)
        assert (angles >= low).all()
        assert (angles <= high).all()


def test_upright_body_has_the_given_height_and_faces_forward():
    joints, face = bend()
    assert joints[J['head'], 1] - joints[J['left_foot'], 1] + PROPORTIONS[
        'ankle'
    ] == pytest.approx(1, abs=0.01)
    np.testing.assert_allclose(face, [0, 0, 1])
    np.testing.assert_allclose(joints[:, 2], 0, atol=1e-12)
    assert joints[J['left_hip'], 0] > 0 > joints[J['right_shoulder'], 0]


@pytest.mark.parametrize(
    ('angle', 'joint', 'axis', 'sign'),
    [
        ('left_knee', 'left_foot', 2, -1),
        ('right_elbow', 'right_wrist', 2, 1),
        ('left_hip_flex', 'left_knee', 2, 1),
        ('left_shoulder_flex', 'left_wrist', 2, 1),
        ('left_shoulder_abd', 'left_wrist', 0, 1),
        ('right_shoulder_abd', 'right_wrist', 0, -1),
        ('right_hip_abd', 'right_foot', 0, -1),
        ('lean', 'head', 2, 1),
        ('spine_flex', 'head', 2, 1),
        ('neck_flex', 'head', 2, 1),
    ],
)
def test_joints_bend_the_way_they_do_in_people(angle, joint, axis, sign):
    rest, _ = bend()
    bent, _ = bend(**{angle: 40})
    assert sign * (bent - rest)[J[joint], axis] > 0.05


def test_inward_turn_brings_the_forearm_before_the_belly():
    joints, _ = bend(left_elbow=90, left_shoulder_turn=60)
    assert joints[J['left_wrist'], 0] < joints[J['left_elbow'], 0] - 0.1
    joints, _ = bend(right_elbow=90, right_shoulder_turn=60)
    assert joints[J['right_wrist'], 0] > joints[J['right_elbow'], 0] + 0.1


@pytest.mark.parametrize('action', ACTIONS)
def test_poses_stand_on_the_ground_with_human_bones(action):
    rng = np.random.default_rng(1)
    for _ in range(5):
        pose = sample_pose(rng, action)
        joints = pose.joints
        assert pose.action == action
        assert 1.1 < pose.height < 2.05
        assert 0 <= joints[:, 1].min() < 0.08 * pose.height
        for bone, pairs in BONES.items():
            lengths = [np.linalg.norm(joints[J[a]] - joints[J[b]]) for a, b in pairs]
            np.testing.assert_allclose(lengths, lengths[0])
            assert lengths[0] / pose.height == pytest.approx(PROPORTIONS[bone], rel=0.2)
        if action not in ('sit', 'run'):
            assert joints[[3, 6], 1].min() < 0.1 * pose.height  # on its feet
        if action in ('stand', 'walk', 'hands_on_hips'):
            trunk = joints[J['thorax']] - joints[J['root']]
            assert trunk[1] > 0.93 * np.linalg.norm(trunk)


def test_mass_is_above_the_feet():
    rng = np.random.default_rng(2)
    for action in ('stand', 'bend', 'crouch', 'arms_up'):
        pose = sample_pose(rng, action)
        mass = skeleton._MASS @ pose.joints / skeleton._MASS.sum()
        feet = pose.joints[[3, 6]][:, [0, 2]]
        reach = np.linalg.norm(mass[[0, 2]] - feet, axis=1).min()
        assert reach < 0.2 * pose.height


def test_heights_vary_and_unknown_actions_are_refused():
    rng = np.random.default_rng(3)
    heights = [sample_pose(rng).height for _ in range(100)]
    assert 1.5 < np.median(heights) < 1.8
    assert min(heights) < 1.5 < 1.8 < max(heights)
    with pytest.raises(ValueError, match="'fly'"):
        sample_pose(rng, 'fly')
