import json
import math

import numpy as np
import pytest

from mmpose_pretext.datasets import MCPCDataset
from mmpose_pretext.synthetic import SceneConfig, make_dataset

METAINFO = dict(from_file='configs/_base_/datasets/coco.py')


@pytest.fixture
def tool(load_tool):
    return load_tool('dataset_converters/label_relative_depth.py')


@pytest.fixture(scope='module')
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp('crowd')
    return make_dataset(folder, 8, SceneConfig((192, 192), (3, 5)), seed=1)


def test_synthetic_people(tool, source, tmp_path, capsys):
    out = tmp_path / 'new' / 'train.json'
    assert tool.main([str(source), str(out)]) == 0
    before, content = (json.loads(path.read_text()) for path in (source, out))
    dataset = MCPCDataset(str(out), metainfo=METAINFO)
    assert len(dataset) == 8
    depths = np.concatenate([sample['depths'] for sample in dataset])
    by_image = sorted(before['annotations'], key=lambda a: a['image_id'])
    np.testing.assert_allclose(depths, [a['root_depth'] / 1000 for a in by_image])
    names = content['categories'][0]['keypoints']
    joints = content['categories'][0]['keypoints_3d']
    knees = [a['keypoints_3d'][joints.index('left_knee')][2] for a in by_image]
    depths = np.concatenate([sample['keypoint_depths'] for sample in dataset])
    np.testing.assert_allclose(depths[:, names.index('left_knee')] * 1000, knees, 1e-4)
    # Human3.6M's foot is COCO's ankle, and its poses have no ears
    feet = [a['keypoints_3d'][joints.index('left_foot')][2] for a in by_image]
    np.testing.assert_allclose(depths[:, names.index('left_ankle')] * 1000, feet, 1e-4)
    assert np.isnan(depths[:, names.index('left_ear')]).all()
    right = []
    for sample in dataset:
        i, j = sample['depth_pairs'].T
        gaps = sample['depths'][i] - sample['depths'][j]
        right += (np.sign(gaps) == sample['depth_relations']).tolist()
    assert len(right) > 9
    assert np.mean(right) > 0.9
    said = capsys.readouterr().out
    assert f'8 images, {len(by_image)} people' in said
    assert f'{len(right)} labelled pairs' in said

    # everything else is as it was
    assert content['info'].pop('relative_depth') == dict(
        tau=1.1, cues=['scale', 'ground'], filters=['truncated', 'tiny', 'inconsistent']
    )
    for image in content['images']:
        del image['pairs']
    for annotation in content['annotations']:
        for key in ('scale', 'scale_confidence', 'depth', 'keypoint_depths'):
            del annotation[key]
    assert content == before


def test_options(tool, source, tmp_path, capsys):
    out = tmp_path / 'train.json'
    argv = [str(source), str(out)]

    def count(*options):
        assert tool.main([*argv, *options, '--force']) == 0
        return sum(len(i['pairs']) for i in json.loads(out.read_text())['images'])

    every = count('--tau', '1', '--cues', 'scale', '--filters')
    assert every > count('--tau', '1.3', '--cues', 'scale', '--filters')
    assert every > count('--tau', '1', '--cues', 'scale', '--filters', 'tiny')
    assert count('--limbs') == count()
    before = json.loads(out.read_text())
    count('--limbs')
    content = json.loads(out.read_text())
    assert content['info']['relative_depth'].pop('limbs') is True
    orders = [a.pop('limb_order') for a in content['annotations'] if 'limb_order' in a]
    assert 0 < len(orders) <= len(content['annotations'])
    assert np.shape(orders)[1] == 17
    assert np.any(orders)
    assert content == before
    assert tool.main(argv) == 1
    assert f'{out} exists; --force replaces it' in capsys.readouterr().err
    assert tool.main([*argv, '--tau', '0.5', '--force']) == 1
    assert 'tau must be 1 or more, got 0.5' in capsys.readouterr().err


def test_true_limbs(tool, source, tmp_path, capsys):
    out = tmp_path / 'train.json'
    assert tool.main([str(source), str(out), '--limbs', '--true-limbs']) == 0
    content = json.loads(out.read_text())
    assert content['info']['relative_depth']['limbs'] == 'true'
    names = content['categories'][0]['keypoints']
    for person in content['annotations']:
        order = dict(zip(names, person['limb_order'], strict=True))
        depth = dict(zip(names, person['keypoint_depths'], strict=True))
        for limb in ('shoulder', 'elbow', 'wrist', 'hip', 'knee', 'ankle'):
            left, right = f'left_{limb}', f'right_{limb}'
            # +1: farther than the other one
            assert order[left] == (1 if depth[left] > depth[right] else -1)
            assert order[right] == -order[left]
        assert order['nose'] == order['left_ear'] == 0
    assert len(MCPCDataset(str(out), metainfo=METAINFO)) == 8
    content = json.loads(source.read_text())
    del content['annotations'][1]['keypoints_3d']
    (tmp_path / 'in.json').write_text(json.dumps(content))
    argv = [str(tmp_path / 'in.json'), str(out), '--true-limbs', '--force']
    assert tool.main(argv) == 1
    error = capsys.readouterr().err
    assert 'in.json: --true-limbs needs true depths, but annotation 1 has no' in error


def test_who_is_no_person(tool):
    """Crowds, things, people without keypoints and of unknown images stay as is."""
    names = ['left_shoulder', 'left_hip', 'left_knee', 'left_ankle']

    def person(id_, size, image_id=1, category_id=1, **kwargs):
        points = [[9, 9 + size * y, 2] for y in range(4)]
        keypoints = np.ravel(points).tolist()
        place = dict(id=id_, image_id=image_id, category_id=category_id)
        return place | dict(keypoints=keypoints) | kwargs

    others = [
        person(3, 50, iscrowd=1),
        person(4, 50, category_id=2),
        dict(id=5, image_id=1, category_id=1),
        person(6, 50, image_id=7),
    ]
    content = dict(
        images=[dict(id=2, width=9, height=9), dict(id=1, width=9, height=9)],
        annotations=[person(8, 20), *others, person(7, 40)],
        categories=[dict(id=2), dict(id=1, keypoints=names)],
    )
    before = json.dumps(others)
    counts = tool.add_labels(content, 1.1, ['scale'], [])
    assert counts == dict(images=2, people=2, usable=2, pairs=1)
    assert json.dumps(others) == before
    assert content['images'][0]['pairs'] == []
    assert content['images'][1]['pairs'][0][:3] == [8, 7, 1]
    first, last = content['annotations'][0], content['annotations'][-1]
    assert last['scale'] == pytest.approx(2 * first['scale'], abs=1e-2)
    # from the keypoints, for datasets need one
    assert first['bbox'] == [9, 9, 1, 60]
    assert first['area'] == 60


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda c: c.pop('images'), 'needs the lists images, annotations, categories'),
        (lambda c: c['categories'][0].pop('keypoints'), 'no category has keypoints'),
        (
            lambda c: c['images'][1].pop('width'),
            'image 1 (train_000001.jpg) has no width',
        ),
        (lambda c: c['annotations'][2]['keypoints'].pop(), 'annotation 2 must be 17'),
        (
            lambda c: c['annotations'][2]['keypoints'].__setitem__(3, math.nan),
            'annotation 2 must be 17 times x, y, v, all finite',
        ),
        (lambda c: c['annotations'][2].pop('image_id'), "an entry has no 'image_id'"),
        (
            lambda c: c['annotations'][2]['keypoints_3d'].pop(),
            'keypoints_3d of annotation 2 are 16, but the category names 17',
        ),
        (
            lambda c: c['categories'][0].update(keypoints=[f'p{i}' for i in range(17)]),
            'both ends of two bones',
        ),
    ],
)
def test_bad_files(tool, source, tmp_path, capsys, change, message):
    content = json.loads(source.read_text())
    change(content)
    path, out = tmp_path / 'in.json', tmp_path / 'out.json'
    path.write_text(json.dumps(content))
    assert tool.main([str(path), str(out)]) == 1
    error = capsys.readouterr().err
    assert f'error: {path}' in error
    assert message in error
    path.write_text(path.read_text()[:-9])
    assert tool.main([str(path), str(out)]) == 1
    assert f'error: {path}' in capsys.readouterr().err
    assert tool.main([str(tmp_path / 'none.json'), str(out)]) == 1
    assert 'none.json' in capsys.readouterr().err
    assert not out.exists()
