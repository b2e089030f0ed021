import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from mmengine.registry import init_default_scope
from pose_3d_files import (
    CENTRE,
    FOCAL,
    H36M_NAMES,
    muco_person,
    pose,
    project,
    write_h36m,
    write_muco,
    write_mupots,
)

from mmpose_pretext.datasets import (
    Human36mImageDataset,
    LabelFraction,
    MuCo3DHPDataset,
    MuPoTS3DDataset,
    SyntheticPose3DDataset,
)
from mmpose_pretext.synthetic import SceneConfig, make_dataset

SHAPES = dict(
    keypoints=(1, 17, 2),
    keypoints_visible=(1, 17),
    keypoints_cam=(1, 17, 3),
    keypoints_cam_visible=(1, 17),
    focal=(1, 2),
    principal_pt=(1, 2),
    bbox=(1, 4),
    bbox_score=(1,),
)


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('mmpose')


def check(sample):
    """What all of the datasets have in common."""
    for key, shape in SHAPES.items():
        assert sample[key].shape == shape, key
        assert sample[key].dtype == np.float32, key
    points, seen = sample['keypoints_cam'][0], sample['keypoints_visible'][0] > 0
    pixels = points[:, :2] / points[:, 2:] * sample['focal'] + sample['principal_pt']
    np.testing.assert_allclose(pixels[seen], sample['keypoints'][0][seen], atol=0.05)
    assert isinstance(sample['raw_ann_info']['action'], str)
    assert len(sample['flip_indices']) == 17
    assert sample['instance_mapping_table']['focal'] == 'focal'


class TestSynthetic:
    @pytest.fixture(scope='class')
    def folder(self, tmp_path_factory):
        folder = tmp_path_factory.mktemp('synthetic')
        make_dataset(folder, 3, SceneConfig((96, 96), (1, 2)), split='val')
        return folder

    def build(self, folder, **kwargs):
        return SyntheticPose3DDataset(
            data_root=str(folder),
            ann_file='annotations/person_keypoints_val.json',
            data_prefix=dict(img='images/'),
            **kwargs,
        )

    def test_samples(self, folder):
        dataset = self.build(folder)
        content = json.loads(Path(dataset.ann_file).read_text())
        assert len(dataset) == len(content['annotations'])
        for sample, annotation in zip(dataset, content['annotations'], strict=True):
            check(sample)
            assert os.path.exists(sample['img_path'])
            np.testing.assert_allclose(
                sample['keypoints_cam'][0], annotation['keypoints_3d'], rtol=1e-6
            )
            hidden = np.array(annotation['keypoints_3d_visible']) == 0
            np.testing.assert_array_equal(sample['keypoints_visible'][0] == 0, hidden)
            assert sample['keypoints_cam_visible'].all()
            assert sample['keypoints_cam'][0, 0, 2] == pytest.approx(
                annotation['root_depth']
            )

    def test_label_fraction(self, folder):
        part = LabelFraction(self.build(folder), fraction=0.3)
        assert len({sample['img_id'] for sample in part}) == 1
        check(part[0])

    @pytest.mark.parametrize(
        ('change', 'message'),
        [
            (lambda c: c['images'][0].pop('camera'), 'has no intrinsics'),
            (lambda c: c['images'][0]['camera'].update(fx=0), 'fx and fy more'),
            (lambda c: c['images'].pop(0), 'not among the images'),
            (lambda c: c['annotations'][0].pop('keypoints_3d'), "lacks 'keypoints_3d'"),
            (
                lambda c: c['annotations'][0].update(keypoints_3d=[[0, 0, 1]]),
                r'keypoints_3d of shape \(1, 3\), but its category names 17',
            ),
            (lambda c: c.update(annotations=[]), 'has no person to use'),
        ],
    )
    def test_refused(self, folder, tmp_path, change, message):
        name = 'annotations/person_keypoints_val.json'
        content = json.loads((folder / name).read_text())
        change(content)
        (tmp_path / 'annotations').mkdir()
        (tmp_path / name).write_text(json.dumps(content))
        with pytest.raises(ValueError, match=message):
            self.build(tmp_path)

    def test_truncated_and_missing(self, folder, tmp_path):
        with pytest.raises(FileNotFoundError, match=r'person_keypoints_val\.json'):
            self.build(tmp_path)
        name = 'annotations/person_keypoints_val.json'
        (tmp_path / 'annotations').mkdir()
        (tmp_path / name).write_text((folder / name).read_text()[:500])
        with pytest.raises(ValueError, match='no complete json'):
            self.build(tmp_path)

    def test_missing_image(self, folder, tmp_path):
        name = 'annotations/person_keypoints_val.json'
        (tmp_path / 'annotations').mkdir()
        (tmp_path / name).write_text((folder / name).read_text())
        pipeline = [dict(type='mmpose_pretext.LoadImageStrict')]
        dataset = self.build(tmp_path, pipeline=pipeline)
        with pytest.raises(ValueError, match=r'val_000000\.jpg cannot be read'):
            dataset[0]

    @pytest.mark.parametrize('name', ['data_mode', 'bbox_file'])
    def test_no_such_argument(self, folder, name):
        with pytest.raises(TypeError, match=name):
            self.build(folder, **{name: 'bottomup'})


class TestMuCo:
    def test_sample(self, tmp_path):
        points = pose(21)
        write_muco(tmp_path / 'm.json', muco_person(5, 2, points))
        dataset = MuCo3DHPDataset(ann_file=str(tmp_path / 'm.json'))
        assert len(dataset) == 1
        sample = dataset[0]
        check(sample)
        np.testing.assert_allclose(sample['keypoints_cam'][0], points[:17], rtol=1e-6)
        assert sample['id'] == 5
        assert sample['img_id'] == 2
        assert sample['img_path'] == 'augmented_set/2.jpg'
        assert sample['raw_ann_info']['action'] == 'augmented_set'
        names = dataset.metainfo['keypoint_id2name']
        assert (names[14], names[0], names[16]) == ('pelvis', 'head_top', 'head')

    def people(self):
        """Roots at x = 0, 300 and 900 mm; the second is the nearest."""
        result = []
        for i, (x, depth) in enumerate([(0, 5000), (300, 4000), (900, 6000)]):
            points = pose(21, depth)
            points[14] = (x, 0, depth)
            result.append(muco_person(i, 1, points))
        return result

    @pytest.mark.parametrize(
        ('distance', 'used'),
        [(500.0, [1, 2]), (None, [0, 1, 2]), (200.0, [0, 1, 2]), (700.0, [1])],
    )
    def test_people_who_stand_in_each_other(self, tmp_path, distance, used):
        write_muco(tmp_path / 'm.json', *self.people())
        dataset = MuCo3DHPDataset(
            ann_file=str(tmp_path / 'm.json'), min_distance=distance
        )
        assert [sample['id'] for sample in dataset] == used
        left = dataset.counts['people too near another, left out']
        assert left == 3 - len(used)

    def test_unknown_roots(self, tmp_path):
        people = self.people()
        people[1]['keypoints_cam'][14] = [float('nan')] * 3
        write_muco(tmp_path / 'm.json', *people)
        dataset = MuCo3DHPDataset(ann_file=str(tmp_path / 'm.json'))
        assert [sample['id'] for sample in dataset] == [0, 1, 2]  # 900 mm apart
        assert dataset[1]['keypoints_cam_visible'][0, 14] == 0

    def test_empty_boxes(self, tmp_path):
        people = self.people()
        people[2]['bbox'][2] = 0
        write_muco(tmp_path / 'm.json', *people)
        dataset = MuCo3DHPDataset(ann_file=str(tmp_path / 'm.json'))
        assert [sample['id'] for sample in dataset] == [1]
        assert dataset.counts['people without a box, left out'] == 1

    def test_nan_joints(self, tmp_path):
        points = pose(21)
        points[3] = np.nan
        broken = muco_person(1, 1, pose(21))
        broken['keypoints_cam'][3] = [float('nan')] * 3
        gone = muco_person(2, 2, pose(21))
        gone['keypoints_img'] = [[float('nan')] * 2] * 21
        write_muco(tmp_path / 'm.json', broken, gone)
        dataset = MuCo3DHPDataset(ann_file=str(tmp_path / 'm.json'))
        assert [sample['id'] for sample in dataset] == [1]
        assert (
            dataset[0]['keypoints_cam_visible'][0].tolist() == [1] * 3 + [0] + [1] * 13
        )
        assert dataset[0]['keypoints_visible'].all()
        assert np.isfinite(dataset[0]['keypoints_cam']).all()
        assert dataset.counts['people with keypoints that are not finite'] == 2
        assert dataset.counts['people without a keypoint, left out'] == 1

    def test_missing_intrinsics(self, tmp_path):
        write_muco(tmp_path / 'm.json', muco_person(5, 2, pose(21)))
        content = json.loads((tmp_path / 'm.json').read_text())
        del content['images'][1]['f']
        (tmp_path / 'm.json').write_text(json.dumps(content))
        with pytest.raises(ValueError, match=r'annotation 5 of augmented_set/2\.jpg'):
            MuCo3DHPDataset(ann_file=str(tmp_path / 'm.json'))
        write_muco(tmp_path / 'm.json', muco_person(5, 2, pose(21)), f=[1000])
        with pytest.raises(ValueError, match='must be the four numbers fx, fy, cx'):
            MuCo3DHPDataset(ann_file=str(tmp_path / 'm.json'))

    @pytest.mark.parametrize(
        ('count', 'message'), [(16, 'metainfo has 17 keypoints'), (9, 'is not what')]
    )
    def test_too_few_keypoints(self, tmp_path, count, message):
        write_muco(tmp_path / 'm.json', muco_person(5, 2, pose(count)))
        with pytest.raises(ValueError, match=message):
            MuCo3DHPDataset(ann_file=str(tmp_path / 'm.json'))


class TestMuPoTS:
    def test_samples(self, tmp_path):
        people = [
            muco_person(1, 1, pose(17), is_valid=1, keypoints_vis=[0] * 17),
            muco_person(2, 1, pose(17), is_valid=0),
            muco_person(3, 1, pose(17, 4100)),
        ]
        write_mupots(tmp_path / 'm.json', *people)
        dataset = MuPoTS3DDataset(ann_file=str(tmp_path / 'm.json'), test_mode=True)
        assert [sample['id'] for sample in dataset] == [1, 3]
        check(dataset[0])
        assert dataset[0]['keypoints_visible'].all()
        assert dataset[0]['raw_ann_info']['action'] == 'TS1'
        assert dataset.counts['people that are not valid, left out'] == 1

    def test_missing_intrinsics(self, tmp_path):
        write_mupots(tmp_path / 'm.json', muco_person(1, 1, pose(17)), intrinsic=None)
        with pytest.raises(ValueError, match='no intrinsics'):
            MuPoTS3DDataset(ann_file=str(tmp_path / 'm.json'))

    @pytest.mark.parametrize('intrinsic', [[1000, 60, 40], [1] * 5, [[1, 2], 3, 4]])
    def test_other_intrinsics(self, tmp_path, intrinsic):
        person = muco_person(1, 1, pose(17))
        write_mupots(tmp_path / 'm.json', person, intrinsic=intrinsic)
        with pytest.raises(ValueError, match=r'm\.json.*(four numbers|another kind)'):
            MuPoTS3DDataset(ann_file=str(tmp_path / 'm.json'))

    @pytest.mark.parametrize('content', ['[]', '{"images": [1], "annotations": []}'])
    def test_other_json(self, tmp_path, content):
        (tmp_path / 'm.json').write_text(content)
        with pytest.raises(ValueError, match=r'm\.json is not what MuPoTS3DDataset'):
            MuPoTS3DDataset(ann_file=str(tmp_path / 'm.json'))

    def test_no_min_distance(self, tmp_path):
        with pytest.raises(TypeError, match='min_distance'):
            MuPoTS3DDataset(ann_file='m.json', min_distance=500)


class TestHuman36m:
    def build(self, folder, subjects='test', **kwargs):
        return Human36mImageDataset(
            data_root=str(folder),
            ann_file='h36m.npz',
            camera_param_file='cameras.pkl',
            data_prefix=dict(img='images/'),
            subjects=subjects,
            **kwargs,
        )

    def test_samples(self, tmp_path):
        poses, pixels = write_h36m(tmp_path)
        dataset = self.build(tmp_path)
        assert [sample['id'] for sample in dataset] == [3, 4]
        for sample in dataset:
            check(sample)
            i = sample['id']
            np.testing.assert_allclose(sample['keypoints_cam'][0], poses[i], rtol=1e-5)
            x, y = pixels[i, 0]
            # 100 * 0.4 pixels to each side, with MMPose's margin
            half = np.array([-1, -1, 1, 1]) * 40 / 1.2
            np.testing.assert_allclose(
                sample['bbox'][0], [x, y, x, y] + half, rtol=1e-5
            )
            assert sample['img_path'] == f'{tmp_path}/images/{H36M_NAMES[i]}'
        assert dataset[0]['raw_ann_info'] == dict(action='SittingDown', subject='S9')
        assert dataset[1]['raw_ann_info'] == dict(action='Eating', subject='S11')

    @pytest.mark.parametrize(
        ('subjects', 'step', 'ids'),
        [
            (['S1'], 1, [0, 1, 2]),
            (['S1'], 5, [0, 1, 2]),
            (['S1'], 10, [0, 2]),
            (['S9', 'S1'], 65, [0, 3]),
        ],
    )
    def test_subjects_and_frames(self, tmp_path, subjects, step, ids):
        write_h36m(tmp_path)
        dataset = self.build(tmp_path, subjects, frame_step=step)
        assert [sample['id'] for sample in dataset] == ids

    @pytest.mark.parametrize(
        'subjects', ['val', ['S2'], ['S9', 'X'], []], ids=['name', 'S2', 'X', 'none']
    )
    def test_unknown_subjects(self, tmp_path, subjects):
        write_h36m(tmp_path)
        with pytest.raises(ValueError, match='S1, S5, S6, S7, S8, S9, S11'):
            self.build(tmp_path, subjects)

    def test_subject_is_not_in_the_file(self, tmp_path):
        write_h36m(tmp_path)
        with pytest.raises(ValueError, match=r'no image of S5, S6, S7, S8; it has S1'):
            self.build(tmp_path, 'train')

    @pytest.mark.parametrize(
        ('arrays', 'message'),
        [
            (dict(scale=np.ones(4)), "not of the same frames.*'scale': 4"),
            (dict(imgname=np.array(['a.jpg'] * 5)), "'a.jpg' is no image of Human3.6M"),
            (dict(imgname=np.array(H36M_NAMES[:1] * 5)), 'twice'),
        ],
        ids=['lengths', 'names', 'twice'],
    )
    def test_refused_arrays(self, tmp_path, arrays, message):
        write_h36m(tmp_path, **arrays)
        with pytest.raises(ValueError, match=message):
            self.build(tmp_path)

    def test_missing_camera(self, tmp_path):
        write_h36m(tmp_path, cameras={})
        with pytest.raises(ValueError, match=r'_000002\.jpg: the image has no intr'):
            self.build(tmp_path)

    def test_nan_and_unlabelled_joints(self, tmp_path):
        poses = np.stack([pose(17) for _ in range(5)]) / 1000
        content = np.concatenate([poses, np.ones((5, 17, 1))], axis=2)
        content[3, 4, 1] = np.nan
        content[3, 5, 3] = 0
        write_h36m(tmp_path, S=content)
        sample = self.build(tmp_path)[0]
        visible = sample['keypoints_cam_visible'][0]
        assert np.flatnonzero(visible == 0).tolist() == [4, 5]
        assert sample['keypoints_visible'].all()

    def test_files(self, tmp_path):
        write_h36m(tmp_path)
        (tmp_path / 'cameras.pkl').rename(tmp_path / 'other.pkl')
        with pytest.raises(FileNotFoundError, match=r'param_file .*cameras\.pkl'):
            self.build(tmp_path)
        whole = (tmp_path / 'h36m.npz').read_bytes()
        (tmp_path / 'other.pkl').rename(tmp_path / 'cameras.pkl')
        (tmp_path / 'h36m.npz').write_bytes(whole[:100])
        with pytest.raises(ValueError, match='no complete npz'):
            self.build(tmp_path)
        whole = (tmp_path / 'cameras.pkl').read_bytes()
        for content in (whole[:50], b'', b'no pickle'):
            (tmp_path / 'cameras.pkl').write_bytes(content)
            with pytest.raises(ValueError, match=r'cameras\.pkl is no complete pickle'):
                self.build(tmp_path)
        (tmp_path / 'cameras.pkl').write_bytes(pickle.dumps([1]))
        with pytest.raises(ValueError, match=r'cameras\.pkl must hold .* a list'):
            self.build(tmp_path)

    def test_frame_step(self, tmp_path):
        write_h36m(tmp_path)
        with pytest.raises(ValueError, match='frame_step must be at least 1'):
            self.build(tmp_path, frame_step=0)
        with pytest.raises(ValueError, match='bbox_padding must be more than 0'):
            self.build(tmp_path, bbox_padding=0)
        # S1 has the frames 1, 6 and 11
        message = r'every 5th frame, of which frame_step=64 would keep one in 64\. Give'
        with pytest.raises(ValueError, match=message):
            self.build(tmp_path, ['S1'], frame_step=64)

    def test_boxes_that_are_not_finite(self, tmp_path):
        write_h36m(tmp_path, scale=np.array([np.nan, 0.4, 0.4, 0.4, 0.4]))
        dataset = self.build(tmp_path, ['S1'])
        assert [sample['id'] for sample in dataset] == [1, 2]
        assert dataset.counts['people whose box is not finite, left out'] == 1

    @pytest.mark.skipif(not os.environ.get('PRETEXT_DATA'), reason='wants PRETEXT_DATA')
    def test_real_file(self):
        folder = Path(os.environ['PRETEXT_DATA']) / 'fixtures/h36m'
        dataset = Human36mImageDataset(
            data_root=str(folder),
            ann_file='test_h36m_body3d.npz',
            camera_param_file='cameras.pkl',
            subjects=['S1', 'S5', 'S7', 'S8'],
        )
        assert len(dataset) == 4
        actions = [sample['raw_ann_info']['action'] for sample in dataset]
        assert actions == ['Directions', 'SittingDown', 'Greeting', 'WalkDog']
        for sample in dataset:
            points = sample['keypoints_cam'][0]
            pixels = (
                points[:, :2] / points[:, 2:] * sample['focal'] + sample['principal_pt']
            )
            # the real lens distorts by a few pixels of 1,000
            np.testing.assert_allclose(pixels, sample['keypoints'][0], atol=8)
            x1, y1, x2, y2 = sample['bbox'][0]
            # the square around them, without the margin
            points = sample['keypoints'][0]
            assert (points > (x1 - 0.1, y1 - 0.1)).all()
            assert (points < (x2 + 0.1, y2 + 0.1)).all()
            assert x2 - x1 == pytest.approx(np.ptp(points, axis=0).max(), rel=1e-4)


def test_made_files_are_consistent():
    np.testing.assert_allclose(project(pose(3))[0], CENTRE)
    assert FOCAL[0] != FOCAL[1]
