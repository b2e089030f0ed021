import json
import math
import re
import time

import cv2
import numpy as np
import pytest

from mmpose_pretext.synthetic import (
    MotionCapture,
    SceneConfig,
    dataset,
    make_dataset,
)
from mmpose_pretext.synthetic.skeleton import H36M_JOINTS, sample_pose

CONFIG = SceneConfig((96, 80), (1, 3))
SHARED = {
    'left_shoulder': 'left_shoulder', 'right_shoulder': 'right_shoulder',
    'left_elbow': 'left_elbow', 'right_elbow': 'right_elbow',
    'left_wrist': 'left_wrist', 'right_wrist': 'right_wrist',
    'left_hip': 'left_hip', 'right_hip': 'right_hip',
    'left_knee': 'left_knee', 'right_knee': 'right_knee',
    'left_ankle': 'left_foot', 'right_ankle': 'right_foot',
}  # fmt: skip


@pytest.fixture(scope='module')
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp('made')
    path = make_dataset(folder, 9, CONFIG, seed=3)
    return folder, json.loads(path.read_text())


def files(folder):
    return {
        str(p.relative_to(folder)): p.read_bytes()
        for p in folder.rglob('*')
        if p.is_file()
    }


def test_bytes_depend_on_the_seed_only(made, tmp_path):
    folder, _ = made
    make_dataset(tmp_path / 'two', 9, CONFIG, seed=3, workers=2)
    assert files(tmp_path / 'two') == files(folder)
    make_dataset(tmp_path / 'first', 1, CONFIG, seed=3)
    name = 'images/train_000000.jpg'
    assert files(tmp_path / 'first')[name] == files(folder)[name]
    make_dataset(tmp_path / 'other', 1, CONFIG, seed=4)
    assert files(tmp_path / 'other')[name] != files(folder)[name]


def test_json_has_no_digits_that_differ_between_processors(made):
    folder, _ = made
    text = (folder / 'annotations/person_keypoints_train.json').read_text()
    numbers = re.findall(r'\d+\.(\d+)', text)
    assert max(map(len, numbers)) == 6, 'of the camera; the rest has fewer'


def test_workers_start_after_opencv_has_used_threads(made, tmp_path):
    folder, _ = made
    before = cv2.getNumThreads()
    cv2.setNumThreads(2)
    try:
        cv2.resize(np.zeros((2000, 2000, 3), np.uint8), (3000, 3000))
        time.sleep(1)  # OpenCV's threads wait actively at first
        make_dataset(tmp_path, 9, CONFIG, seed=3, workers=2)
        assert cv2.getNumThreads() == 2
    finally:
        cv2.setNumThreads(before)
    assert files(tmp_path) == files(folder)


def test_splits_differ_and_share_a_folder(tmp_path):
    for split in ('train', 'val'):
        make_dataset(tmp_path, 1, CONFIG, split=split)
    found = files(tmp_path)
    assert len(found) == 4
    assert found['images/train_000000.jpg'] != found['images/val_000000.jpg']


def test_pycocotools_reads_it(made):
    from pycocotools.coco import COCO

    folder, content = made
    coco = COCO(str(folder / 'annotations' / 'person_keypoints_train.json'))
    assert len(coco.getImgIds()) == 9
    (category,) = coco.loadCats(coco.getCatIds())
    assert category['name'] == 'person'
    assert len(category['keypoints']) == 17
    assert len(category['skeleton']) == 19
    assert category['keypoints_3d'] == list(H36M_JOINTS)
    for image in coco.loadImgs(coco.getImgIds()):
        picture = cv2.imread(str(folder / 'images' / image['file_name']))
        assert picture.shape == (image['height'], image['width'], 3) == (80, 96, 3)
        people = coco.loadAnns(coco.getAnnIds(image['id']))
        assert 1 <= len(people) <= 3
    assert content['info']['seed'] == 3


def test_annotations_hold_what_coco_holds(made):
    for ann in made[1]['annotations']:
        points = np.array(ann['keypoints']).reshape(17, 3)
        assert set(points[:, 2]) <= {0, 1, 2}
        assert (points[points[:, 2] == 0] == 0).all()
        assert ann['num_keypoints'] == (points[:, 2] > 0).sum()
        x, y, w, h = ann['bbox']
        assert x >= 0 and y >= 0 and x + w <= 96 and y + h <= 80  # noqa: PT018
        assert 0 < ann['area'] <= w * h
        assert ann['iscrowd'] == 0
        assert ann['root_depth'] == ann['keypoints_3d'][0][2]
        assert set(ann['keypoints_3d_visible']) <= {0, 1, 2}


def test_projection_of_3d_joints_is_the_2d_keypoint(made):
    content = made[1]
    names = content['categories'][0]['keypoints']
    cameras = {i['id']: i['camera'] for i in content['images']}
    checked = 0
    for ann in content['annotations']:
        camera = cameras[ann['image_id']]
        for two_d, three_d in SHARED.items():
            x, y, v = ann['keypoints'][3 * names.index(two_d) :][:3]
            xyz = ann['keypoints_3d'][H36M_JOINTS.index(three_d)]
            u = camera['fx'] * xyz[0] / xyz[2] + camera['cx']
            w = camera['fy'] * xyz[1] / xyz[2] + camera['cy']
            seen = ann['keypoints_3d_visible'][H36M_JOINTS.index(three_d)]
            assert seen == v
            if v:
                assert abs(u - x) < 0.01
                assert abs(w - y) < 0.01
                checked += 1
    assert checked > 60


def test_camera_height_and_pitch_put_the_feet_on_the_ground(made):
    cameras = {i['id']: i['camera'] for i in made[1]['images']}
    for ann in made[1]['annotations']:
        camera = cameras[ann['image_id']]
        cos, sin = math.cos(camera['pitch']), math.sin(camera['pitch'])
        heights = [
            camera['height'] - (cos * y + sin * z) / 1000
            for _, y, z in ann['keypoints_3d']
        ]
        assert 0 <= min(heights) < 0.15
        assert 0.5 < max(heights) < 2.7


def test_motion_capture_keeps_clip_and_frame(tmp_path):
    rng = np.random.default_rng(0)
    poses = [sample_pose(rng, 'walk').joints for _ in range(4)]
    np.savez(tmp_path / 'm.npz', poses=poses, clip=np.array([7, 7, 9, 9]))
    motion = MotionCapture(tmp_path / 'm.npz')
    path = make_dataset(tmp_path / 'out', 3, CONFIG, motion=motion)
    content = json.loads(path.read_text())
    assert content['info']['poses'] == {'file': 'm.npz', 'split': None}
    for ann in content['annotations']:
        assert ann['action'] == 'mocap'
        assert ann['clip'] == [7, 7, 9, 9][ann['pose_index']]
        bones = []
        for joints in (np.array(ann['keypoints_3d']), poses[ann['pose_index']]):
            bones.append(np.linalg.norm(np.diff(joints[[1, 2, 3]], axis=0), axis=1))
        np.testing.assert_allclose(
            bones[0] / bones[0][0], bones[1] / bones[1][0], rtol=1e-3
        )


def test_existing_split_is_kept_unless_forced(tmp_path):
    make_dataset(tmp_path, 2, CONFIG)
    (tmp_path / 'images' / 'holiday.jpg').write_bytes(b'mine')
    before = files(tmp_path)
    with pytest.raises(FileExistsError, match="already holds the split 'train';"):
        make_dataset(tmp_path, 1, CONFIG, seed=1)
    assert files(tmp_path) == before
    make_dataset(tmp_path, 1, CONFIG, seed=1, force=True)
    after = files(tmp_path)
    assert set(before) - set(after) == {'images/train_000001.jpg'}
    assert after['images/holiday.jpg'] == b'mine'
    assert after['images/train_000000.jpg'] != before['images/train_000000.jpg']


def test_interrupted_run_leaves_no_json(tmp_path):
    calls = []

    class Interrupted:
        source = None

        def sample(self, rng):
            calls.append(1)
            if len(calls) > 6:
                raise KeyboardInterrupt
            return sample_pose(rng)

    make_dataset(tmp_path, 1, CONFIG)
    with pytest.raises(KeyboardInterrupt):
        make_dataset(tmp_path, 50, CONFIG, motion=Interrupted(), force=True)
    assert not list((tmp_path / 'annotations').iterdir())
    assert list((tmp_path / 'images').iterdir())
    with pytest.raises(FileExistsError, match='unfinished'):
        make_dataset(tmp_path, 1, CONFIG)


@pytest.mark.parametrize(
    ('kwargs', 'message'),
    [
        ({'num_images': 0}, 'num_images must be at least 1, got 0'),
        ({'workers': 0}, 'workers must be at least 1, got 0'),
        ({'seed': -1}, 'seed must be at least 0, got -1'),
        ({'split': '../x'}, r"split must be .*'\.\./x'"),
    ],
)
def test_bad_arguments_are_named(tmp_path, kwargs, message):
    with pytest.raises(ValueError, match=message):
        make_dataset(tmp_path, **{'num_images': 1, **kwargs})


def test_too_many_people_for_the_image(tmp_path, monkeypatch):
    monkeypatch.setattr(dataset, '_ATTEMPTS', 2)
    with pytest.raises(ValueError, match=r'12 people do not fit .*\(32, 32\)'):
        make_dataset(tmp_path, 1, SceneConfig((32, 32), (12, 12)))


def test_unwritable_image_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(cv2, 'imwrite', lambda *args: False)
    with pytest.raises(OSError, match=r'could not write .*train_000000\.jpg'):
        make_dataset(tmp_path, 1, CONFIG)
