import json
import math

import numpy as np
import pytest
from mmpose.datasets.datasets.utils import parse_pose_metainfo

from mmpose_pretext.datasets import MCPCDataset
from mmpose_pretext.datasets.mcpc_dataset import MCPC_KEYPOINTS, SOURCE_KEYPOINTS
from mmpose_pretext.registry import DATASETS


def person(id_, image_id, x=10.0, v=2, **kwargs):
    keypoints = [x, 20, v] * 19
    return dict(
        id=id_,
        image_id=image_id,
        category_id=1,
        iscrowd=0,
        bbox=[x, 10, 20, 30],
        area=100.0,
        num_keypoints=19 if v else 0,
        keypoints=keypoints,
        scale=100.0,
        scale_confidence=0.5,
        **kwargs,
    )


@pytest.fixture
def content():
    return dict(
        images=[
            dict(
                id=1,
                file_name='coco/a.jpg',
                width=100,
                height=80,
                source='coco',
                source_id='7',
                pairs=[[12, 11, 1, 0.25], [11, 14, -1, 1.0]],
            ),
            dict(id=2, file_name='b.jpg', width=100, height=80, pairs=[]),
        ],
        annotations=[
            person(11, 1, x=10),
            person(21, 2),  # images' people are not always together
            person(
                12,
                1,
                x=30,
                depth=4.5,
                keypoint_depths=[None] * 18 + [4.25],
                limb_order=[0] * 7 + [0.45, -0.45] + [0] * 10,
            ),
            person(13, 1, x=50, v=0),
            person(14, 1, x=70),
        ],
        categories=[dict(id=1, name='person', keypoints=list(MCPC_KEYPOINTS))],
    )


@pytest.fixture
def build(tmp_path, content):
    def build_dataset(**kwargs):
        path = tmp_path / 'mcpc.json'
        path.write_text(json.dumps(content))
        return MCPCDataset(ann_file=str(path), data_prefix=dict(img='imgs'), **kwargs)

    return build_dataset


def test_sample(build):
    dataset = build()
    assert len(dataset) == 2
    sample = dataset[0]
    assert sample['img_path'] == 'imgs/coco/a.jpg'
    assert sample['id'] == [11, 12, 13, 14]
    assert sample['keypoints'].shape == (4, 19, 2)
    assert sample['keypoints'][:, 0, 0].tolist() == [10, 30, 50, 70]
    assert sample['keypoints_visible'][:, 3].tolist() == [1, 1, 0, 1]
    assert sample['depth_pairs'].tolist() == [[1, 0], [0, 3]]
    assert sample['depth_relations'].tolist() == [1, -1]
    assert sample['depth_confidences'].tolist() == [0.25, 1]
    assert sample['depths'].shape == (4,)
    assert sample['depths'][1] == 4.5
    assert np.isnan(sample['depths'][[0, 2, 3]]).all()
    assert sample['keypoint_depths'].shape == (4, 19)
    assert np.argwhere(np.isfinite(sample['keypoint_depths'])).tolist() == [[1, 18]]
    assert sample['keypoint_depths'][1, 18] == 4.25
    assert sample['limb_order'].shape == (4, 19)
    assert np.argwhere(sample['limb_order']).tolist() == [[1, 7], [1, 8]]
    assert sample['limb_order'][1, 7] == np.float32(0.45)
    assert sample['keypoints_labelled'].tolist() == [1] * 17 + [0] * 2
    types = [
        sample[key].dtype.name
        for key in ('depth_pairs', 'depth_relations', 'depth_confidences', 'depths')
    ]
    assert types == ['int64', 'float32', 'float32', 'float32']


def test_image_without_pairs_or_source(build):
    sample = build()[1]
    assert sample['depth_pairs'].shape == (0, 2)
    assert sample['depth_relations'].shape == (0,)
    assert sample['depth_confidences'].shape == (0,)
    assert sample['keypoints_labelled'].tolist() == [1] * 19


def test_shuffled_relations(build, content):
    """They are a random order of the people, right half of the time."""
    image, person_11 = content['images'][0], content['annotations'][0]
    first, others = np.triu_indices(6, 1)
    pairs = np.stack([first, others], axis=1)
    content['images'] = [
        dict(image, id=n, pairs=[[*pair, 1, 0.5] for pair in (pairs + 8 * n).tolist()])
        for n in range(400)
    ]
    content['annotations'] = [
        dict(person_11, id=8 * n + i, image_id=n) for n in range(400) for i in range(6)
    ]
    true, shuffled, again, other = (
        build(shuffle_relations=seed) for seed in (None, 0, 0, 1)
    )
    relations = np.stack([shuffled[n]['depth_relations'] for n in range(400)])
    assert relations.dtype == np.float32
    assert abs(relations.mean(axis=0)).max() < 0.2  # 4 standard deviations
    order = np.zeros((400, 6))
    for pair, (i, j) in enumerate(zip(first, others, strict=True)):
        order[:, i] += relations[:, pair]
        order[:, j] -= relations[:, pair]
    assert (np.sort(order) == [-5, -3, -1, 1, 3, 5]).all()
    for n in range(400):
        for key in ('depth_pairs', 'depth_confidences'):
            assert (shuffled[n][key] == true[n][key]).all()
        assert (again[n]['depth_relations'] == relations[n]).all()
    assert any((other[n]['depth_relations'] != relations[n]).any() for n in range(9))
    content['annotations'] = [
        dict(ann, limb_order=[0] * 7 + [1, -1] + [0] * 10)
        for ann in content['annotations']
    ]
    dataset = build(shuffle_relations=0)
    sides = np.concatenate([dataset[n]['limb_order'][:, 7:9] for n in range(400)])
    assert (sides[:, 0] == -sides[:, 1]).all()
    assert abs(sides[:, 0].mean()) < 0.08  # 4 standard deviations
    assert (dataset[0]['depth_relations'] == relations[0]).all()
    with pytest.raises(ValueError, match='shuffle_relations=3 is for training only'):
        build(shuffle_relations=3, test_mode=True)


def test_transforms_of_single_people_are_refused(build):
    pipeline = [dict(type='mmpose.LoadImage'), dict(type='mmpose.RandomHalfBody')]
    with pytest.raises(ValueError, match='RandomHalfBody cannot be used'):
        build(pipeline=pipeline)


def test_unlabelled_people_can_be_masked(build):
    """BottomupGetHeatmapMask of MMPose takes the loss away in these polygons."""
    (polygons,) = build()[0]['invalid_segs']
    assert polygons == [[50, 10, 70, 10, 70, 40, 50, 40]]


def test_builds_by_name(build, tmp_path):
    build()
    cfg = dict(type='mmpose_pretext.MCPCDataset', ann_file='mcpc.json')
    assert len(DATASETS.build(dict(cfg, data_root=str(tmp_path)))) == 2
    test_mode = DATASETS.build(dict(cfg, data_root=str(tmp_path), test_mode=True))
    assert len(test_mode) == 2


def test_metainfo():
    info = MCPCDataset(lazy_init=True).metainfo
    assert info['dataset_name'] == 'mcpc'
    assert tuple(info['keypoint_name2id']) == MCPC_KEYPOINTS
    assert list(info['keypoint_id2name']) == list(range(19))
    names = [info['keypoint_id2name'][i] for i in info['flip_indices']]
    sides = {'left': 'right', 'right': 'left'}
    assert names == [
        '_'.join(sides.get(part, part) for part in name.split('_'))
        for name in MCPC_KEYPOINTS
    ]
    coco = parse_pose_metainfo(dict(from_file='configs/_base_/datasets/coco.py'))
    assert MCPC_KEYPOINTS[:17] == tuple(coco['keypoint_name2id'])
    for key in ('sigmas', 'dataset_keypoint_weights', 'keypoint_colors'):
        np.testing.assert_array_equal(info[key][:17], coco[key])
        assert len(info[key]) == 19
    assert all({*names} <= {*MCPC_KEYPOINTS} for names in SOURCE_KEYPOINTS.values())


def test_other_layouts_are_matched_by_name(build, content):
    names = ['neck', 'nose', 'left_knee']
    metainfo = dict(
        dataset_name='three',
        keypoint_info={i: dict(name=name, id=i) for i, name in enumerate(names)},
        skeleton_info={},
        joint_weights=[1.0] * 3,
        sigmas=[0.1] * 3,
    )
    for annotation in content['annotations']:
        annotation['keypoints'] = annotation['keypoints'][:9]
        annotation.pop('keypoint_depths', None)
        annotation.pop('limb_order', None)
    sample = build(metainfo=metainfo)[0]
    assert sample['keypoints_labelled'].tolist() == [0, 1, 1]


def spoil(content, what):
    image, annotations = content['images'][0], content['annotations']
    if what == 'stranger':
        image['pairs'][0][1] = 21
    elif what == 'relation':
        image['pairs'][1][2] = 0
    elif what == 'confidence':
        image['pairs'][1][3] = 0.0
    elif what == 'NaN confidence':
        image['pairs'][1][3] = math.nan
    elif what == 'pair':
        image['pairs'] = [[11, 12]]
    elif what == 'source':
        image['source'] = 'kinect'
    elif what == 'NaN keypoint':
        annotations[2]['keypoints'][3] = math.nan
    elif what == 'count':
        annotations[2]['keypoints'] = annotations[2]['keypoints'][:51]
    elif what.startswith('limbs'):
        order = dict(few=[0] * 18, large=[2, -2], one=[1, 0])[what.split()[1]]
        annotations[2]['limb_order'] = (
            order if len(order) == 18 else [0] * 7 + order + [0] * 10
        )
    elif what == 'no people':
        annotations.clear()


@pytest.mark.parametrize(
    ('what', 'message'),
    [
        ('stranger', 'a.jpg.* name annotation 21, but .* 11, 12, 13, 14'),
        ('relation', r'a.jpg: relations of pairs must be 1 \(farther\)'),
        ('confidence', 'a.jpg: confidences of pairs'),
        ('NaN confidence', 'a.jpg: confidences of pairs'),
        ('pair', 'a.jpg: cannot reshape'),
        ('source', "a.jpg: source is 'kinect', but must be one of coco, mpii"),
        ('NaN keypoint', 'annotation 12 are not finite'),
        ('count', 'annotation 12 has 17 keypoints, but the metainfo has 19'),
        ('limbs few', 'limb_order of annotation 12 must have 19 values'),
        ('limbs large', 'limb_order of annotation 12 must have 19 values from -1'),
        ('limbs one', 'limb_order of annotation 12 .* its opposite of the right'),
        ('no people', 'has no image with people'),
    ],
)
def test_bad_content(build, content, what, message):
    spoil(content, what)
    with pytest.raises(ValueError, match=message) as error:
        build()
    assert 'mcpc.json' in str(error.value)


def test_bad_file(tmp_path):
    path = tmp_path / 'mcpc.json'
    with pytest.raises(FileNotFoundError, match='mcpc.json does not exist; .*build_mc'):
        MCPCDataset(ann_file=str(path))
    for text in ('{"images": [{"id', '[]', '{"images": [{}], "annotations": []}'):
        path.write_text(text)
        with pytest.raises(ValueError, match='mcpc.json is no readable json'):
            MCPCDataset(ann_file=str(path))


@pytest.mark.parametrize('name', ['bbox_file', 'data_mode'])
def test_other_modes_are_refused(name):
    with pytest.raises(TypeError, match=f'no argument {name!r}'):
        MCPCDataset(lazy_init=True, **{name: 'topdown'})
