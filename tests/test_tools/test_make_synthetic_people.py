import json

import numpy as np
import pytest

from mmpose_pretext.synthetic.skeleton import sample_pose


@pytest.fixture
def tool(load_tool):
    return load_tool('dataset_converters/make_synthetic_people.py')


SMALL = ['--num-images', '2', '--image-size', '64', '48', '--people', '1', '2']


def test_makes_a_dataset(tool, tmp_path, capsys):
    out = tmp_path / 'people'
    assert tool.main([str(out), *SMALL, '--split', 'val', '--seed', '4']) == 0
    path = out / 'annotations' / 'person_keypoints_val.json'
    content = json.loads(path.read_text())
    assert [i['file_name'] for i in content['images']] == [
        'val_000000.jpg',
        'val_000001.jpg',
    ]
    assert content['images'][0]['width'] == 64
    assert content['images'][0]['height'] == 48
    assert content['info']['seed'] == 4
    assert content['info']['plain'] is content['info']['painted'] is False
    assert str(path) in capsys.readouterr().out
    assert tool.main([str(out), *SMALL, '--split', 'val']) == 1
    assert '--force' in capsys.readouterr().err
    for option in ('plain', 'painted'):
        again = [str(out), *SMALL, '--split', 'val', '--force', f'--{option}']
        assert tool.main(again) == 0
        info = json.loads(path.read_text())['info']
        assert [key for key in ('plain', 'painted') if info[key]] == [option]


def test_takes_motion_capture(tool, tmp_path):
    rng = np.random.default_rng(0)
    poses = [sample_pose(rng, 'walk').joints for _ in range(60)]
    np.savez(tmp_path / 'm.npz', poses=poses, clip=np.arange(60))
    argv = [str(tmp_path / 'out'), *SMALL, '--poses', str(tmp_path / 'm.npz')]
    assert tool.main([*argv, '--poses-split', 'val']) == 0
    path = tmp_path / 'out' / 'annotations' / 'person_keypoints_train.json'
    content = json.loads(path.read_text())
    assert content['info']['poses'] == {'file': 'm.npz', 'split': 'val'}
    from mmpose_pretext.synthetic.mocap import split_of_clip

    assert {split_of_clip(a['clip']) for a in content['annotations']} == {'val'}


@pytest.mark.parametrize(
    ('argv', 'message'),
    [
        (['--image-size', '8', '8'], 'at least 32x32'),
        (['--people', '4', '2'], 'MIN <= MAX'),
        (['--workers', '0'], 'workers must be at least 1'),
        (['--poses', 'none.npz'], 'no file none.npz'),
    ],
)
def test_mistakes_are_one_line(tool, tmp_path, capsys, argv, message):
    assert tool.main([str(tmp_path / 'out'), *argv]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count('\n') == 1
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize(
    ('argv', 'message'),
    [
        (['--colour', 'red'], 'unrecognized arguments'),
        (['--poses-split', 'val'], 'needs --poses'),
        (['--num-images', 'many'], 'invalid int'),
    ],
)
def test_wrong_usage(tool, tmp_path, capsys, argv, message):
    with pytest.raises(SystemExit) as stop:
        tool.main([str(tmp_path), *argv])
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


def test_help_explains(tool, capsys):
    with pytest.raises(SystemExit) as stop:
        tool.main(['--help'])
    assert stop.value.code == 0
    assert '--people MIN MAX' in capsys.readouterr().out
