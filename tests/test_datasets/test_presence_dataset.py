import json
import re

import numpy as np
import pytest
from mmengine.dataset import pseudo_collate
from mmengine.logging import MMLogger
from mmengine.registry import DATASETS, DefaultScope
from PIL import Image

from mmpose_pretext.datasets import PresenceDataset
from mmpose_pretext.datasets.presence_dataset import check_presence, grow_box

METAINFO = dict(
    dataset_name='three',
    keypoint_info={
        0: dict(name='nose', id=0, type='upper', swap=''),
        1: dict(name='left_knee', id=1, type='lower', swap='right_knee'),
        2: dict(name='right_knee', id=2, type='lower', swap='left_knee'),
    },
    skeleton_info={},
    joint_weights=[1.0] * 3,
    sigmas=[0.1] * 3,
)
BOX = 'box_x1,box_y1,box_x2,box_y2'
WINDOW = 'window_x1,window_y1,window_x2,window_y2'
HEADER = f'image,{BOX},{WINDOW},nose,left_knee,right_knee'
ROWS = [
    'a.png,10,5,30,35,12,6,20,15.5,1,0,',
    'sub/b.png,0,0,20,40,,,,,1,1,0',
    'a.png,10,5,30,35,8,4,31,36,0,1,1',
    'a.png,0,0,9,40,,,,,,,',
    'sub/b.png,0,0,20,40,0,0,20,20,1,0.0,0',
    'a.png,10.0,5,30,35,,,,,1,1,1',
]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / 'photos' / 'sub').mkdir(parents=True)
    pixels = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    for name in ('a.png', 'sub/b.png'):
        Image.fromarray(pixels).save(tmp_path / 'photos' / name)
    return tmp_path


@pytest.fixture
def load(folder):
    """Write a file and load it; kwargs go to the dataset."""

    def load_text(*lines, name='presence.csv', **kwargs):
        (folder / name).write_text('\n'.join(lines) + '\n')
        kwargs = dict(metainfo=METAINFO) | kwargs
        return PresenceDataset(
            ann_file=name,
            data_root=str(folder),
            data_prefix=dict(img='photos'),
            **kwargs,
        )

    return load_text


@pytest.fixture
def log(caplog):
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    yield caplog
    logger.removeHandler(caplog.handler)


def infos(dataset):
    return [dataset.get_data_info(i) for i in range(len(dataset))]


def test_samples(load, folder):
    first, other, without = infos(load(HEADER, *ROWS))
    assert first['img_path'] == str(folder / 'photos' / 'a.png')
    assert other['img_path'] == str(folder / 'photos' / 'sub/b.png')
    assert [s['id'] for s in (first, other, without)] == [0, 1, 2]
    assert [s['img_id'] for s in (first, other, without)] == [0, 1, 0]
    np.testing.assert_array_equal(first['bbox'], [[10, 5, 30, 35]])
    np.testing.assert_array_equal(without['bbox'], [[0, 0, 9, 40]])
    # the row of the whole box comes first, though it is the last of the file
    np.testing.assert_array_equal(first['presence'], [[1, 1, 1], [1, 0, -1], [0, 1, 1]])
    np.testing.assert_array_equal(
        first['presence_windows'][:2],
        [
            [[10, 5], [30, 5], [30, 35], [10, 35]],
            [[12, 6], [20, 6], [20, 15.5], [12, 15.5]],
        ],
    )
    # padded to three regions
    np.testing.assert_array_equal(
        other['presence'], [[1, 1, 0], [1, 0, 0], [-1, -1, -1]]
    )
    assert not other['presence_windows'][2].any()
    assert (without['presence'] == -1).all()
    for sample in (first, other, without):
        assert sample['presence_windows'].shape == (3, 4, 2)
        assert not sample['keypoints'].any()
        assert not sample['keypoints_visible'].any()
        for key, shape in (
            ('presence', (3, 3)),
            ('bbox', (1, 4)),
            ('bbox_score', (1,)),
            ('keypoints', (1, 3, 2)),
            ('keypoints_visible', (1, 3)),
        ):
            assert sample[key].shape == shape
            assert sample[key].dtype == np.float32
        assert sample['flip_indices'] == [0, 2, 1]
        assert sample['dataset_name'] == 'three'


def test_person_without_a_row_of_the_whole_box(load):
    (sample,) = infos(load(HEADER, ROWS[0]))
    np.testing.assert_array_equal(sample['presence'], [[-1, -1, -1], [1, 0, -1]])
    np.testing.assert_array_equal(
        sample['presence_windows'][0], [[10, 5], [30, 5], [30, 35], [10, 35]]
    )


def test_json_is_the_same_as_csv(load):
    def entry(image, box, window, *answers):
        names = ('nose', 'left_knee', 'right_knee')
        presence = dict(zip(names, answers, strict=True))
        return dict(image=image, box=box, window=window, presence=presence)

    a, b = [10, 5, 30, 35], [0, 0, 20, 40]
    content = [
        entry('a.png', a, [12, 6, 20, 15.5], 1, 0, None),
        entry('sub/b.png', b, None, 1, 1, 0),
        entry('a.png', a, [8, 4, 31, 36], 0, 1, 1),
        dict(image='a.png', box=[0, 0, 9, 40]),
        entry('sub/b.png', b, [0, 0, 20, 20], 1, 0, 0),
        entry('a.png', a, None, 1, 1, 1),
    ]
    from_json = infos(load(json.dumps(content), name='presence.json'))
    for old, new in zip(infos(load(HEADER, *ROWS)), from_json, strict=True):
        assert old.keys() == new.keys()
        for key in old:
            np.testing.assert_array_equal(old[key], new[key])


def test_what_spreadsheets_and_appending_leave(load):
    expected = infos(load(HEADER, *ROWS))
    lines = ['\ufeff' + HEADER, *ROWS[:2], '', HEADER, *ROWS[2:], ',' * 11]
    found = infos(load(*[line.replace(',', ' , ') for line in lines]))
    for old, new in zip(expected, found, strict=True):
        np.testing.assert_array_equal(old['presence'], new['presence'])
        np.testing.assert_array_equal(old['presence_windows'], new['presence_windows'])


def test_rows_of_a_region_are_one(load):
    empty = 'a.png,0,0,9,40,,,,,,,'
    window = 'a.png,0,0,9,40,1,1,8,8,'
    rows = [empty, f'{window}1,,', empty, 'a.png,0,0,9,40,,,,,1,,0', f'{window},0,']
    (sample,) = load(HEADER, *rows)
    assert sample['presence'].tolist() == [[1, -1, 0], [1, 0, -1]]
    with pytest.raises(ValueError, match=r'row 7: an earlier .* answer for left_knee;'):
        load(HEADER, *rows, f'{window},1,')


def test_columns_may_be_left_out_and_reordered(load, log):
    (sample,) = infos(load(f'left_knee,{BOX},image', '1,0,0,9,9,a.png'))
    np.testing.assert_array_equal(sample['presence'], [[-1, 1, -1]])
    assert sample['presence_windows'].shape == (1, 4, 2)
    assert 'does not label nose, right_knee; they are unknown' in log.text
    assert '1 people with 1 answers, 1.0 a person' in log.text


def test_warning_of_what_cannot_be_learned(load, log):
    load(HEADER, *ROWS)
    assert 'cannot be learned' not in log.text
    load(HEADER, ROWS[1], ROWS[4])
    warnings = [r.getMessage() for r in log.records if r.levelname == 'WARNING']
    assert len(warnings) == 2
    assert (
        'no absent label for nose: they cannot be learned from presence' in warnings[0]
    )
    assert 'no present label for right_knee: they cannot be learned' in warnings[1]
    assert all('presence.csv' in warning for warning in warnings)


def test_check_presence():
    names = ['a', 'b', 'c']
    assert check_presence(np.array([[[0, 1, 0]], [[1, 0, 1]]]), names) == []
    present, absent = check_presence(np.array([[1, 0, -1], [1, -1, -1]]), names)
    assert present.startswith('no absent label for a, c: ')
    assert absent.startswith('no present label for b, c: ')
    with pytest.raises(ValueError, match=r'shape \(1, 2\).* number of names, 3'):
        check_presence(np.zeros((1, 2)), names)


def test_grow_box_is_that_of_the_pipeline():
    from mmpose.datasets.transforms import GetBBoxCenterScale

    box = np.array([[10.0, 20, 50, 40]])
    results = GetBBoxCenterScale()(dict(bbox=box))
    center, scale = results['bbox_center'], results['bbox_scale']
    np.testing.assert_allclose(
        grow_box(box), np.hstack([center - scale / 2, center + scale / 2])
    )


FLIP = dict(type='RandomFlip', prob=1.0)
CODEC = dict(type='MSRAHeatmap', input_size=(24, 32), heatmap_size=(6, 8), sigma=1)


@pytest.mark.parametrize(
    'augment',
    [[FLIP], [FLIP, dict(type='RandomHalfBody'), dict(type='RandomBBoxTransform')]],
)
@pytest.mark.parametrize('targets', [[], [dict(type='GenerateTarget', encoder=CODEC)]])
def test_stock_pipeline(load, augment, targets):
    with DefaultScope.overwrite_default_scope('mmpose'):
        dataset = load(
            HEADER,
            *ROWS,
            pipeline=[
                dict(type='LoadImage'),
                dict(type='GetBBoxCenterScale'),
                *augment,
                dict(type='TopdownAffine', input_size=(24, 32)),
                *targets,
                dict(type='PackPoseInputs'),
            ],
        )
    batch = pseudo_collate([dataset[i] for i in range(3)])
    assert [image.shape for image in batch['inputs']] == [(3, 32, 24)] * 3
    for i, sample in enumerate(batch['data_samples']):
        assert sample.id == i
        assert sample.flip
        assert sample.flip_indices == [0, 2, 1]
        if targets:  # no place is known
            assert not sample.gt_instance_labels.keypoint_weights.any()


def test_registered_with_metainfo_of_a_file(folder):
    (folder / 'p.csv').write_text(f'image,{BOX},left_ankle\na.png,0,0,9,9,0\n')
    dataset = DATASETS.build(
        dict(
            type='mmpose_pretext.PresenceDataset',
            ann_file=str(folder / 'p.csv'),
            data_prefix=dict(img=str(folder / 'photos')),
            metainfo=dict(from_file='configs/_base_/datasets/coco.py'),
            test_mode=True,
        )
    )
    assert dataset.metainfo['dataset_name'] == 'coco'
    presence = dataset.get_data_info(0)['presence']
    assert presence.shape == (1, 17)
    assert presence[0, 15] == 0
    assert (np.delete(presence[0], 15) == -1).all()


@pytest.mark.parametrize(
    ('lines', 'message'),
    [
        (
            [HEADER.replace('left_knee', 'left_kne')],
            "presence.csv has the unknown column 'left_kne'; did you mean 'left_knee'?",
        ),
        ([HEADER + ',zzz'], "the unknown column 'zzz' There may be image, box_x1"),
        ([HEADER + ',nose'], 'more than one column nose'),
        (['image,box_x1,box_x2,nose'], 'presence.csv has no column box_y1, box_y2'),
        ([HEADER.replace('window_x2,', '')], 'has no column window_x2'),
        ([''], 'has no column image, box_x1'),
        ([HEADER], 'presence.csv has no row; it needs one a labelled region'),
        (
            [HEADER, ROWS[0], ROWS[1][:-1] + '2'],
            "csv, row 3: right_knee is '2', but must",
        ),
        (
            [HEADER, ROWS[1][:-1] + 'yes'],
            "right_knee is 'yes', but must be 1 (present)",
        ),
        ([HEADER, ROWS[1][:-1] + 'nan'], "right_knee is 'nan'"),
        ([HEADER, ROWS[1][:-1] + '-1'], "right_knee is '-1'"),
        ([HEADER, ROWS[1] + ',1'], 'row 2 has 13 cells, but the header has 12'),
        ([HEADER, ',1,1,2,2,,,,,1,1,1'], "row 2: image is '', not a path"),
        (
            [HEADER, 'a.png,1,1,2,,,,,,1,1,1'],
            "row 2: box is ['1', '1', '2', ''], but must be four numbers",
        ),
        ([HEADER, 'a.png,1,1,x,2,,,,,1,1,1'], "'x', '2'], but must be four numbers"),
        (
            [HEADER, 'a.png,1,1,inf,2,,,,,1,1,1'],
            "'inf', '2'], but must be four numbers",
        ),
        (
            [HEADER, 'a.png,3,1,2,2,,,,,1,1,1'],
            "row 2: box ['3', '1', '2', '2'] is empty",
        ),
        ([HEADER, 'a.png,1,2,2,2,,,,,1,1,1'], 'it needs x1 < x2 and y1 < y2'),
        ([HEADER, 'a.png,0,0,9,9,,,,,,,'], 'presence.csv has no answer'),
        (
            [HEADER, 'a.png,0,0,9,9,1,1,2,,1,1,1'],
            "row 2: window is ['1', '1', '2', ''], but must",
        ),
        (
            [HEADER, 'a.png,0,0,9,9,1,1,1,4,1,1,1'],
            "window ['1', '1', '1', '4'] is empty",
        ),
        (
            [HEADER, 'a.png,0,0,10,10,12,0,20,10,1,1,1'],
            "window ['12', '0', '20', '10'] does not overlap the box ['0', '0', '10', "
            "'10'] of its person",
        ),
    ],
)
def test_bad_csv(load, lines, message):
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        load(*lines)
    assert 'presence.csv' in str(error.value)


def test_window_in_the_margin_of_the_network_is_accepted(load):
    (sample,) = infos(load(HEADER, 'a.png,0,0,10,10,10,0,11,10,1,1,1'))
    np.testing.assert_array_equal(sample['presence_windows'][1, 0], [10, 0])


ENTRY = dict(image='a.png', box=[0, 0, 9, 9])


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ({}, 'presence.json must be a list of labelled regions, but it is a dict'),
        ([], 'presence.json has no row'),
        ([ENTRY, 3], 'presence.json, row 2 must be an object with "image"'),
        ([ENTRY | dict(presence=[1])], 'row 1 must be an object with "image"'),
        ([ENTRY | dict(windw=None)], "key 'windw'; did you mean 'window'?"),
        ([ENTRY | dict(presence=dict(nos=1))], "keypoint 'nos'; did you mean 'nose'?"),
        ([ENTRY | dict(presence=dict(nose=2))], 'row 1: nose is 2, but must be 1'),
        ([ENTRY | dict(presence=dict(nose=[]))], 'row 1: nose is [], but must be 1'),
        ([dict(image='a.png')], 'row 1 has no key box'),
        ([dict(image=3, box=[0, 0, 9, 9])], 'row 1: image is 3, not a path'),
        ([ENTRY | dict(box=[1, 2, 3])], 'row 1: box is [1, 2, 3], but must be four'),
        ([ENTRY | dict(box='1234')], "row 1: box is '1234', but must be four"),
        ([ENTRY | dict(box=3)], 'row 1: box is 3, but must be four'),
        ([ENTRY | dict(window=[])], 'row 1: window is [], but must be four'),
    ],
)
def test_bad_json(load, content, message):
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        load(json.dumps(content), name='presence.json')
    assert 'presence.json' in str(error.value)


def test_bad_files(load, folder):
    kwargs = dict(metainfo=METAINFO, data_prefix=dict(img='photos'))
    with pytest.raises(FileNotFoundError, match='presence file none.csv does not'):
        PresenceDataset(ann_file='none.csv', **kwargs)
    for name in ('', 'presence.txt'):
        with pytest.raises(ValueError, match=f'.csv or .json file, but got .*{name}'):
            PresenceDataset(ann_file=name, **kwargs)
    with pytest.raises(ValueError, match='presence.json is no valid json'):
        load('[', name='presence.json')
    (folder / 'latin.csv').write_bytes('é'.encode('latin-1'))
    with pytest.raises(ValueError, match='latin.csv is no UTF-8 text'):
        PresenceDataset(ann_file=str(folder / 'latin.csv'), **kwargs)


def test_missing_images(load):
    rows = [f'{i}.png,0,0,9,9,,,,,1,1,1' for i in range(5)]
    message = r"5 of 6 images of .*presence.csv do not exist in .*photos': "
    with pytest.raises(
        FileNotFoundError, match=message + r'0.png, 1.png, 2.png, \.\.\.; '
    ):
        load(HEADER, *rows, ROWS[0])
    assert len(load(HEADER, *rows, ROWS[0], check_images=False)) == 6


def test_bad_arguments(load):
    with pytest.raises(ValueError, match='metainfo must name the keypoints.*None'):
        load(HEADER, metainfo=None)
    with pytest.raises(TypeError, match="no argument 'data_mode'"):
        load(HEADER, data_mode='bottomup')
