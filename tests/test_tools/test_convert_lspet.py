import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmpose.datasets import CrowdPoseDataset
from scipy.io import savemat


@pytest.fixture(scope='module')
def tool(load_tool):
    return load_tool('dataset_converters/convert_lspet.py')


WIDTH, HEIGHT = 100, 80
# Joint r of image n lies at (10 + 2 r, 20 + 4 r), counted from 1.
JOINTS = np.stack([10 + 2.0 * np.arange(14), 20 + 4.0 * np.arange(14)], axis=1)
PUBLISHED_ORDER = (  # in the README of the archive; head top is top_head in CrowdPose
    'right_ankle right_knee right_hip left_hip left_knee left_ankle right_wrist '
    'right_elbow right_shoulder left_shoulder left_elbow left_wrist neck top_head'
).split()
USED = {1, 2, 8499, 8500, 9249}
NOT_USED = {3, 8573, 9250}


@pytest.fixture
def archive(tmp_path):
    root = tmp_path / 'archive'
    (root / 'images').mkdir(parents=True)
    joints = np.zeros((14, 3, 10000))
    for number in USED | NOT_USED:
        joints[:, :2, number - 1] = JOINTS
        joints[:, 2, number - 1] = 1
        image = np.full((HEIGHT, WIDTH, 3), number % 250, np.uint8)
        assert cv2.imwrite(str(root / 'images' / f'im{number:05d}.jpg'), image)
    joints[0, 2, 1] = 0  # image 2 has 13 joints,
    joints[:2, 2, 2] = 0  # image 3 has 12
    savemat(root / 'joints.mat', dict(joints=joints))
    return root


def numbers(path):
    return {image['id'] for image in json.loads(path.read_text())['images']}


def test_split_and_values(tool, archive, tmp_path):
    out = tmp_path / 'out'
    assert tool.main([str(archive), str(out)]) == 0
    assert numbers(out / 'lspet_train.json') == {1, 2, 8499}
    assert numbers(out / 'lspet_val.json') == {8500, 9249}

    content = json.loads((out / 'lspet_train.json').read_text())
    first, second, _ = content['annotations']
    names = content['categories'][0]['keypoints']
    points = np.reshape(first['keypoints'], (14, 3))
    for row, name in enumerate(PUBLISHED_ORDER):
        expected = [9 + 2 * row, 19 + 4 * row, 2]
        assert points[names.index(name)].tolist() == expected
    # extent x 9..35, y 19..71; 15 % of 52 is 7.8; 71 + 7.8 lies inside
    assert first['bbox'] == [1.2, 11.2, 41.6, 67.6]
    assert first['area'] == round(0.53 * 41.6 * 67.6, 1)
    assert first['num_keypoints'] == 14
    assert second['num_keypoints'] == 13
    assert second['keypoints'][3 * 11 : 3 * 12] == [0, 0, 0]


def test_box_is_clipped(tool):
    joints = np.concatenate([JOINTS, np.ones((14, 1))], axis=1)
    box = tool.make_annotation(1, joints, 37, 60)['bbox']
    assert box[0] == 2.2
    assert box[0] + box[2] == 37
    assert box[1] + box[3] == pytest.approx(60)


def test_stock_dataset_reads_it(tool, archive, tmp_path):
    out = tmp_path / 'out'
    assert tool.main([str(archive), str(out), '--copy']) == 0
    for split, count in (('train', 3), ('val', 2)):
        dataset = CrowdPoseDataset(
            ann_file=f'lspet_{split}.json',
            data_root=str(out),
            data_prefix=dict(img=f'{split}/'),
            pipeline=[dict(type='mmpose.LoadImage')],
        )
        assert len(dataset) == count
        assert dataset[0]['img'].shape == (HEIGHT, WIDTH, 3)


@pytest.mark.parametrize('copy', [True, False])
def test_images_are_placed_and_kept(tool, archive, tmp_path, copy, capsys):
    out = tmp_path / 'out'
    argv = [str(archive), str(out)] + ['--copy'] * copy
    assert tool.main(argv) == 0
    placed = out / 'train' / 'im00001.jpg'
    assert placed.is_symlink() != copy
    assert placed.read_bytes() == (archive / 'images' / 'im00001.jpg').read_bytes()
    assert tool.main(argv) == 0  # again: nothing to do

    placed.unlink()
    placed.write_bytes(b'of the user')
    assert tool.main(argv) == 1
    assert str(placed) in capsys.readouterr().err
    assert placed.read_bytes() == b'of the user'


def test_split_folders_in_place(tool, archive):
    for split, split_numbers in (('train', {1, 2, 8499}), ('val', {8500, 9249})):
        (archive / split).mkdir()
        for number in split_numbers:
            name = f'im{number:05d}.jpg'
            (archive / 'images' / name).rename(archive / split / name)
    assert tool.main([str(archive), str(archive)]) == 0
    assert numbers(archive / 'lspet_train.json') == {1, 2, 8499}
    assert not (archive / 'train' / 'im00001.jpg').is_symlink()


def test_a_dangling_link_is_made_anew(tool, archive, tmp_path):
    out = tmp_path / 'out'
    (out / 'train').mkdir(parents=True)
    (out / 'train' / 'im00001.jpg').symlink_to('gone.jpg')
    assert tool.main([str(archive), str(out)]) == 0
    assert (out / 'train' / 'im00001.jpg').exists()


def test_json_is_replaced_only_by_force(tool, archive, tmp_path, capsys):
    out = tmp_path / 'out'
    out.mkdir()
    path = out / 'lspet_train.json'
    path.write_text('{}')
    assert tool.main([str(archive), str(out)]) == 1
    assert '--force' in capsys.readouterr().err
    assert path.read_text() == '{}'
    assert tool.main([str(archive), str(out), '--force']) == 0
    assert numbers(path) == {1, 2, 8499}


@pytest.mark.parametrize(
    ('break_it', 'message'),
    [
        (lambda root: (root / 'joints.mat').unlink(), 'joints.mat does not exist'),
        (lambda root: (root / 'joints.mat').write_bytes(b'x'), 'no readable MATLAB'),
        (
            lambda root: savemat(root / 'joints.mat', dict(joints=np.zeros((3, 14)))),
            r'holds shape (3, 14)',
        ),
        (lambda root: savemat(root / 'joints.mat', dict(a=1)), 'holds none'),
        (lambda root: (root / 'images' / 'im00002.jpg').unlink(), 'im00002.jpg'),
        (
            lambda root: os.truncate(root / 'images' / 'im08500.jpg', 400),
            'im08500.jpg cannot be read',
        ),
    ],
)
def test_bad_input(tool, archive, tmp_path, break_it, message, capsys):
    break_it(archive)
    assert tool.main([str(archive), str(tmp_path / 'out')]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count('\n') == 1


def test_unknown_option(tool, archive):
    with pytest.raises(SystemExit) as info:
        tool.main([str(archive), 'out', '--links'])
    assert info.value.code == 2


@pytest.mark.skipif(not os.environ.get('PRETEXT_DATA'), reason='needs PRETEXT_DATA')
def test_reproduces_the_json_of_our_runs(tool, tmp_path):
    data = Path(os.environ['PRETEXT_DATA']) / 'lspet'
    assert tool.main([str(data), str(tmp_path)]) == 0
    for name in ('lspet_train.json', 'lspet_val.json'):
        assert (tmp_path / name).read_bytes() == (data / name).read_bytes()
