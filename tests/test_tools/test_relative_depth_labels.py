import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmpose_pretext.synthetic import MotionCapture, sample_pose
from mmpose_pretext.synthetic.skeleton import H36M_JOINTS, PROPORTIONS


@pytest.fixture(scope='module')
def tool(load_tool):
    return load_tool('benchmarks/relative_depth_labels.py')


@pytest.fixture(scope='module')
def poses(tmp_path_factory):
    """A file of walking people."""
    rng = np.random.default_rng(0)
    walks = [sample_pose(rng, 'walk').joints for _ in range(40)]
    path = tmp_path_factory.mktemp('mocap') / 'poses.npz'
    np.savez(path, poses=np.stack(walks), clip=np.arange(40) // 4)
    return path


K = np.array([[1500.0, 0, 960], [0, 1500, 540], [0, 0, 1]])
DISTORTION = [-0.2, 0.2, 0.0001, 0.001, 0.02]


@pytest.fixture(scope='module')
def panoptic(tmp_path_factory):
    """Bodies 3 and 5 m before a camera, one behind it, one beside it, one without hips.

    In centimetres; a second camera is of another type.
    """
    rng = np.random.default_rng(0)
    bodies = []
    for x, z in ((-40, 300), (50, 500), (0, -300), (900, 300), (0, 400)):
        joints = rng.normal(0, 40, (19, 3)) + [x, 0, z]
        bodies.append(np.column_stack([joints, np.full(19, 0.5)]))
    bodies[0][4] = -40, 0, 300, -1  # unknown though in view
    bodies[4][2] = 0, 0, 0, -1
    turn, _ = cv2.Rodrigues(np.array([0.1, 0.2, 0.3]))
    shift = np.array([[10.0], [20], [30]])
    for body in bodies:
        body[:, :3] = (body[:, :3] - shift.T) @ turn
    camera = dict(
        type='hd', resolution=[1920, 1080], K=K.tolist(), distCoef=DISTORTION,
        R=turn.tolist(), t=shift.tolist(),
    )  # fmt: skip
    folder = tmp_path_factory.mktemp('panoptic')
    frame = folder / 'band' / 'hdPose3d_stage1_coco19' / 'body3DScene_1.json'
    frame.parent.mkdir(parents=True)
    bodies = [dict(joints19=body.ravel().tolist()) for body in bodies]
    frame.write_text(json.dumps(dict(bodies=bodies)))
    calibration = dict(cameras=[camera, dict(camera, type='vga')])
    path = folder / 'band' / 'calibration_band.json'
    path.write_text(json.dumps(calibration))
    return folder


def run(tool, out, poses, panoptic, *options):
    argv = [out, '--poses', poses, '--panoptic', panoptic, '--scenes', 3, *options]
    return tool.main(list(map(str, argv)))


def draw(tool, poses, count=40, **options):
    rng = np.random.default_rng(0)
    motion = MotionCapture(poses)
    scenario = tool.Scenario(**options)
    return [tool.draw_people(rng, motion, scenario) for _ in range(count)]


def test_people_stand_where_the_truth_says(tool, poses):
    """Bones in metres, put at the root's depth, are about those of an adult."""
    scenes = draw(tool, poses, height_spread=0)
    depths = np.concatenate([depth for *_, depth in scenes])
    assert len(depths) == 40 * tool.PEOPLE
    assert 2.3 < depths.min() < 4
    assert 12 < depths.max() < 16
    for keypoints, visible, *_ in scenes:
        assert visible.all()
        assert ((keypoints >= 0) & (keypoints < tool.IMAGE_SIZE)).all()
    # same camera: the product of height in pixels and depth is about constant
    legs = PROPORTIONS['thigh'] + PROPORTIONS['shank']
    for keypoints, _, depths, depth in scenes:
        assert (depths[:, 0] == depth).all()
        assert (abs(depths - depth[:, None]) < 1.5).all()
        leg = np.linalg.norm(keypoints[:, 2] - keypoints[:, 1], axis=1)
        leg += np.linalg.norm(keypoints[:, 3] - keypoints[:, 2], axis=1)
        focal = np.median(leg * depth / (legs * tool.HEIGHT))
        low, high = (375 / np.tan(np.deg2rad(a) / 2) for a in (58, 24))
        assert 0.8 * low < focal < 1.1 * high


def test_scenarios_change_one_thing_each(tool, poses):
    plain = draw(tool, poses)[0]
    noisy = draw(tool, poses, noise=0.1)[0]
    box = np.sqrt(np.prod(np.ptp(plain[0][0], axis=0)))
    # the same person but for the noise; those after it differ
    error = (noisy[0][0] - plain[0][0]) / box
    assert 0.05 < error.std() < 0.15
    np.testing.assert_array_equal(noisy[2][0], plain[2][0])

    visible = np.concatenate([v for _, v, *_ in draw(tool, poses, truncated=True)])
    assert 0.5 < visible.mean() < 0.99
    assert visible.sum(1).min() >= tool.MIN_JOINTS

    def correct(rule='scale', count=40, **options):
        scenes = draw(tool, poses, count, **options)
        return tool.evaluate(scenes, H36M_JOINTS, [1.1])[f'{rule}@1.1/correct']

    adults = correct()
    assert adults > 0.97
    assert correct(children=0.5) < adults - 0.05
    assert correct(height_spread=0.15) < adults - 0.05
    rejected = tool.evaluate(draw(tool, poses, seated=1), H36M_JOINTS, [1])
    assert rejected['rejected/seated'] > 0.9
    assert tool.evaluate(draw(tool, poses), H36M_JOINTS, [1])['rejected/seated'] < 0.1
    labelled = [
        tool.evaluate(draw(tool, poses, stairs=s), H36M_JOINTS, [1])[
            'scale+ground@1/labelled'
        ]
        for s in (0, 1)
    ]
    assert labelled[1] < labelled[0] - 0.1


def figure(scale, ground=400.0):
    """Keypoints of a straight person, parallel to the image; and which are visible."""
    points = np.zeros((17, 2))
    for side in ('left', 'right'):
        place = {
            f'{side}_foot': 0, f'{side}_knee': 0.416, f'{side}_hip': 0.83,
            f'{side}_shoulder': 1.317,
        }  # fmt: skip
        for name, y in place.items():
            points[H36M_JOINTS.index(name)] = 100, ground - y * scale
    return points, (points > 0).any(1)


def test_rules_are_counted_by_hand(tool):
    people = [
        (*figure(100, 400), 5.0),
        (*figure(50, 300), 10.0),  # right by both cues
        (*figure(60, 410), 20.0),  # a tall person afar on a hill: both wrong
        (*figure(95, 390), 5.5),
        (*figure(10, 250), 50.0),  # tiny
    ]
    people = [(*seen, np.full(17, depth), depth) for *seen, depth in people]
    scene = tuple(map(np.stack, zip(*people, strict=True)))
    metrics = tool.evaluate([scene], H36M_JOINTS, [1.1, 1.5])
    # 10 pairs; (0, 3) differ by less than 1.1; (1, 2) is wrong
    assert metrics['scale@1.1/labelled'] == 0.9
    assert metrics['scale@1.1/correct'] == pytest.approx(8 / 9)
    # (1, 2) differ by less than 1.5
    assert metrics['scale@1.5/labelled'] == 0.8
    assert metrics['scale@1.5/correct'] == 1
    # the ground denies (0, 2) and (2, 3), and agrees with the wrong (1, 2)
    assert metrics['scale+ground@1.1/labelled'] == 0.7
    assert metrics['scale+ground@1.1/correct'] == pytest.approx(6 / 7)
    # and without the tiny person
    assert metrics['scale+ground+filters@1.1/labelled'] == pytest.approx(0.3)
    assert metrics['scale+ground+filters@1.1/correct'] == pytest.approx(2 / 3)
    # the less confident of all are (0, 3) and (1, 2)
    assert metrics['scale@confident80/labelled'] == 0.8
    assert metrics['scale@confident80/correct'] == 1
    # all that the ground leaves, of which (0, 3) is right
    assert metrics['scale+ground@confident80/labelled'] == 0.8
    assert metrics['scale+ground@confident80/correct'] == pytest.approx(7 / 8)
    rejected = {k: v for k, v in metrics.items() if k.startswith('rejected')}
    assert rejected == {
        'rejected/truncated': 0,
        'rejected/tiny': 0.2,
        'rejected/seated': 0,
        'rejected/inconsistent': 0,
    }
    assert tool.people_per_second([scene], H36M_JOINTS) > 0


def test_limbs_are_counted_by_hand(tool):
    """Legs of three people: right, with the knee wrong, without a label."""
    people = []
    for shorter, knee, foot in ((60, -0.2, -0.1), (60, 0.2, -0.1), (1, 0.2, 0.1)):
        points, visible = figure(100)
        points[H36M_JOINTS.index('right_foot'), 1] -= shorter - 1
        depths = np.full(17, 5.0)
        depths[H36M_JOINTS.index('left_knee')] += knee
        depths[H36M_JOINTS.index('left_foot')] += foot
        people.append((points, visible, depths, 5.0))
    scene = tuple(map(np.stack, zip(*people, strict=True)))
    metrics = tool.evaluate([scene], H36M_JOINTS, [1])
    found = {k[6:]: v for k, v in metrics.items() if k.startswith('limbs/')}
    assert found.pop('arm') == 0
    assert np.isnan([found.pop('elbow'), found.pop('wrist')]).all()
    assert found == dict(leg=pytest.approx(2 / 3), knee=0.5, ankle=1)


def test_no_labelled_pair_is_nan(tool):
    person = *figure(50), np.ones(17), 1.0
    scene = tuple(map(np.stack, zip(person, person, strict=True)))
    metrics = tool.evaluate([scene], H36M_JOINTS, [1.1])
    assert metrics['limbs/leg'] == 0
    assert np.isnan(metrics['limbs/knee'])
    assert metrics['scale@1.1/labelled'] == 0
    assert np.isnan(metrics['scale@1.1/correct'])


def test_panoptic_in_its_camera(tool, panoptic):
    (keypoints, visible, depths, depth), *others = tool.read_panoptic(panoptic)
    assert not others  # of the vga camera
    assert len(depth) == 2
    body = json.loads(next(panoptic.glob('*/hd*/*.json')).read_text())['bodies'][0]
    camera = json.loads((panoptic / 'band/calibration_band.json').read_text())
    camera = camera['cameras'][0]
    joints = np.array(body['joints19']).reshape(19, 4)
    rotation, _ = cv2.Rodrigues(np.array(camera['R']))
    expected, _ = cv2.projectPoints(
        joints[:, None, :3], rotation, np.array(camera['t']), K, np.array(DISTORTION)
    )
    seen = visible[0]
    assert not seen[4]
    assert seen.sum() > 8
    np.testing.assert_allclose(keypoints[0][seen], expected[seen, 0], atol=1e-6)
    np.testing.assert_allclose(
        depth[0], (joints[2, :3] @ np.array(camera['R'])[2] + 30) / 100
    )
    assert depth[0] < depth[1]
    assert np.isnan(depths[0]).tolist() == [k == 4 for k in range(19)]
    np.testing.assert_array_equal(depths[:, 2], depth)


def test_rows_are_read_by_the_table(tool, load_tool, tmp_path, poses, panoptic, capsys):
    out = tmp_path / 'new'
    assert run(tool, out, poses, panoptic) == 0
    printed = capsys.readouterr().out
    assert 'people/s' in printed
    assert '| adults on a common ground | `height_spread=0.05` | 0 | 3 | ' in printed
    results = load_tool('benchmarks/results.py')
    rows = results.make_table(out, ['scale@1.1/labelled']).splitlines()[2:]
    labels = [row.split(' | ')[0].removeprefix('| ') for row in rows]
    assert labels[: len(tool.SCENARIOS)] == list(tool.SCENARIOS)
    assert labels[-3:] == [
        'Panoptic, seated', 'synthetic, drawn poses', 'synthetic, real poses',
    ]  # fmt: skip
    contents = {file: json.loads(file.read_text()) for file in out.iterdir()}
    assert len(contents) == 12
    for file, content in contents.items():
        assert content['images'] == (1 if 'panoptic' in file.name else 3)
    first = contents[out / '01_adults-on-a-common-ground.json']
    assert first['people'] == 3 * tool.PEOPLE

    assert run(tool, out, poses, panoptic) == 1
    assert 'exists; --force overwrites it' in capsys.readouterr().err
    assert run(tool, out, poses, panoptic, '--force') == 0
    for file, content in contents.items():
        again = json.loads(file.read_text())['metrics']
        np.testing.assert_equal(again, content['metrics'])


def test_own_scenario(tool, tmp_path, poses, capsys):
    options = ['--label', 'Hm: cut', '--truncated', '--children', 0.5, '--tau', 1.07]
    assert run(tool, tmp_path / 'r', poses, tmp_path / 'gone', *options) == 0
    assert len(list((tmp_path / 'r').iterdir())) == 1
    result = json.loads((tmp_path / 'r' / '01_hm-cut.json').read_text())
    assert result['config'] == 'height_spread=0.05 children=0.5 truncated=True'
    assert 'scale@1.07/correct' in result['metrics']
    assert 'scale@1/correct' not in result['metrics']


def test_bad_input(tool, tmp_path, poses, panoptic, capsys):
    def error(*args):
        assert run(tool, tmp_path / 'r', *args) == 1
        assert not (tmp_path / 'r').exists()
        return capsys.readouterr().err

    assert f'no file {tmp_path / "gone"}' in error(tmp_path / 'gone', panoptic)
    assert f'{tmp_path} has no */hdPose3d' in error(poses, tmp_path)
    assert 'children must be within 0 and 1, got 2' in error(
        poses, panoptic, '--children', 2
    )
    assert 'noise must be within' in error(poses, panoptic, '--noise', 'nan')
    assert 'tau must be 1 or more, got 0.5' in error(poses, panoptic, '--tau', 0.5)
    with pytest.raises(SystemExit):
        tool.main([str(tmp_path), '--scenes', '0'])


@pytest.mark.skipif(not os.environ.get('PRETEXT_DATA'), reason='needs PRETEXT_DATA')
def test_labels_of_real_poses_reach_the_aim(tool):
    path = Path(os.environ['PRETEXT_DATA']) / 'mocap' / 'bandai_h36m17.npz'
    scenes = draw(tool, path, 200)
    metrics = tool.evaluate(scenes, H36M_JOINTS, tool.TAUS)
    assert metrics['scale@confident80/labelled'] == pytest.approx(0.8, abs=0.001)
    assert metrics['scale@confident80/correct'] > 0.995
    assert metrics['scale+ground@1.1/correct'] > 0.995
