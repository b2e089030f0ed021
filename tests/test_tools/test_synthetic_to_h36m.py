import numpy as np
import pytest

from mmpose_pretext.datasets import Human36mImageDataset, SyntheticPose3DDataset
from mmpose_pretext.synthetic import SceneConfig, make_dataset


@pytest.fixture
def tool(load_tool):
    return load_tool('dataset_converters/synthetic_to_h36m.py')


@pytest.fixture(scope='module')
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp('people')
    return make_dataset(folder, 3, SceneConfig((96, 96), (1, 2)))


def test_the_same_people(tool, source, tmp_path, capsys):
    out = tmp_path / 'new/people.npz'
    links = tmp_path / 'new/images'
    arguments = [str(source), str(out), '--subject', 'S9', '--link-images', str(links)]
    assert tool.main(arguments) == 0
    ours = SyntheticPose3DDataset(
        ann_file=str(source), data_prefix=dict(img=str(source.parents[1] / 'images'))
    )
    assert f'people.npz: {len(ours)} people' in capsys.readouterr().out
    theirs = Human36mImageDataset(
        ann_file=str(out),
        camera_param_file=str(out.with_name('people_cameras.pkl')),
        data_prefix=dict(img=str(links)),
        subjects=['S9'],
    )
    assert len(theirs) == len(ours)
    for one, two in zip(ours, theirs, strict=True):
        for key in ('keypoints', 'keypoints_cam', 'focal', 'principal_pt'):
            np.testing.assert_allclose(two[key], one[key], rtol=1e-5, atol=1e-3)
        for key in ('keypoints_visible', 'keypoints_cam_visible'):
            np.testing.assert_array_equal(two[key], one[key])
        action = one['raw_ann_info']['action'].replace('_', '')
        assert two['raw_ann_info']['action'] == action
        image = (links / two['img_path'].rsplit('/', 1)[1]).resolve()
        assert str(image) == one['img_path']


def test_files_are_kept(tool, source, tmp_path, capsys):
    (tmp_path / 'people_cameras.pkl').write_text('mine')
    arguments = [str(source), str(tmp_path / 'people.npz')]
    assert tool.main(arguments) == 1
    assert 'people_cameras.pkl exists; --force replaces it' in capsys.readouterr().err
    assert (tmp_path / 'people_cameras.pkl').read_text() == 'mine'
    assert tool.main([*arguments, '--force']) == 0


def test_links_of_another_split_are_kept(tool, source, tmp_path, capsys):
    other = make_dataset(tmp_path, 3, SceneConfig((96, 96), (1, 2)), split='val')
    arguments = ['--link-images', str(tmp_path / 'links')]
    assert tool.main([str(source), str(tmp_path / 'train.npz'), *arguments]) == 0
    before = {path: path.resolve() for path in (tmp_path / 'links').iterdir()}
    arguments = [str(other), str(tmp_path / 'val.npz'), *arguments]
    assert tool.main(arguments) == 1
    assert 'use another --subject' in capsys.readouterr().err
    assert all(path.resolve() == image for path, image in before.items())
    assert not (tmp_path / 'val.npz').exists()
    assert tool.main([*arguments, '--force']) == 0
    links = [path.resolve() for path in (tmp_path / 'links').iterdir()]
    assert any('val_' in image.name for image in links)


def test_missing(tool, tmp_path, capsys):
    assert tool.main([str(tmp_path / 'no.json'), str(tmp_path / 'a.npz')]) == 1
    assert 'does not exist' in capsys.readouterr().err
