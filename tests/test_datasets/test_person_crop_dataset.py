import json

import numpy as np
import pytest
from mmengine.registry import DATASETS
from PIL import Image

from mmpose_pretext.datasets import PersonCropDataset


def write(path, content):
    path.write_text(json.dumps(content))
    return str(path)


def person(id_, bbox, **kwargs):
    return dict(id=id_, image_id=1, category_id=1, bbox=bbox, **kwargs)


IMAGES = [
    dict(id=1, file_name='a.jpg', width=100, height=80),
    dict(id=2, file_name='b.jpg', width=50, height=50),
]


@pytest.fixture
def ann_file(tmp_path):
    keypoints = [5, 5, 2, 6, 6, 1, 0, 0, 0]
    return write(
        tmp_path / 'people.json',
        dict(
            images=IMAGES,
            annotations=[
                person(10, [10, 20, 30, 40], keypoints=keypoints),
                person(11, [60, 10, 80, 200]),  # reaches out of the image
                person(12, [0, 0, 50, 50], iscrowd=1),
                person(13, [100, 0, 20, 20]),  # outside
                person(14, [5, 5, 0, 10]),  # no width
                person(15, [1, 1, 4, 60]),
                dict(id=16, image_id=2, category_id=2, bbox=[0, 0, 50, 50]),
                dict(id=17, image_id=2, category_id=1),  # no box
            ],
        ),
    )


def ids(dataset):
    return [dataset.get_data_info(i)['id'] for i in range(len(dataset))]


def test_every_person_with_a_box(ann_file, caplog):
    from mmengine.logging import MMLogger

    MMLogger.get_current_instance().addHandler(caplog.handler)
    dataset = PersonCropDataset(ann_file=ann_file, data_prefix=dict(img='photos'))
    MMLogger.get_current_instance().removeHandler(caplog.handler)
    assert ids(dataset) == [10, 11, 15]
    info = dataset.get_data_info(1)
    assert info['img_path'] == 'photos/a.jpg'
    assert info['img_id'] == 1
    np.testing.assert_array_equal(info['bbox'], [[60, 10, 100, 80]])
    np.testing.assert_array_equal(info['bbox_score'], [1])
    assert '3 of 8 people are used' in caplog.text
    assert '1 crowds' in caplog.text
    assert '2 with an empty box or one outside its image' in caplog.text
    assert '1 not of category 1' in caplog.text
    assert '1 without a box' in caplog.text


def test_filters(ann_file):
    assert ids(PersonCropDataset(ann_file=ann_file, min_bbox_size=5)) == [10, 11]
    assert ids(PersonCropDataset(ann_file=ann_file, min_bbox_size=31)) == [11]
    assert ids(PersonCropDataset(ann_file=ann_file, min_keypoints=2)) == [10]
    assert ids(PersonCropDataset(ann_file=ann_file, category_id=2)) == [16]
    with pytest.raises(
        ValueError, match='no person is left.*8 boxes.*than 3 keypoints'
    ):
        PersonCropDataset(ann_file=ann_file, min_keypoints=3)


def test_boxes_of_a_detector(tmp_path, ann_file):
    detections = [
        dict(image_id=2, category_id=1, bbox=[1, 2, 30, 40], score=0.9),
        dict(image_id=1, category_id=1, bbox=[1, 2, 30, 40], score=0.2),
        dict(image_id=1, category_id=3, bbox=[1, 2, 30, 40], score=0.9),
    ]
    bbox_file = write(tmp_path / 'detections.json', detections)
    dataset = PersonCropDataset(
        ann_file=ann_file, bbox_file=bbox_file, bbox_score_thr=0.5
    )
    assert len(dataset) == 1
    np.testing.assert_array_equal(dataset[0]['bbox'], [[1, 2, 31, 42]])
    np.testing.assert_allclose(dataset[0]['bbox_score'], [0.9])
    assert dataset[0]['img_path'] == 'b.jpg'


def test_folder_of_crops(tmp_path):
    (tmp_path / 'sub').mkdir()
    Image.new('RGB', (30, 60)).save(tmp_path / 'sub' / 'one.jpg')
    Image.new('RGB', (20, 10)).save(tmp_path / 'two.PNG')
    (tmp_path / 'notes.txt').write_text('no image')
    dataset = PersonCropDataset(data_prefix=dict(img=str(tmp_path)))
    assert len(dataset) == 2
    np.testing.assert_array_equal(dataset[0]['bbox'], [[0, 0, 30, 60]])
    assert dataset[0]['img_path'] == f'{tmp_path}/sub/one.jpg'
    large = PersonCropDataset(data_prefix=dict(img=str(tmp_path)), min_bbox_size=30)
    assert len(large) == 1


def test_folder_of_photographs_that_are_turned_by_their_exif_data(tmp_path):
    image = Image.new('RGB', (30, 60))
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(tmp_path / 'turned.jpg', exif=exif)
    load = dict(type='mmpose_pretext.LoadImageStrict')
    sample = PersonCropDataset(data_prefix=dict(img=str(tmp_path)), pipeline=[load])[0]
    assert sample['img'].shape == (30, 60, 3)
    np.testing.assert_array_equal(sample['bbox'], [[0, 0, 60, 30]])


def test_pipeline_with_a_puzzle(tmp_path):
    img = np.random.RandomState(0).randint(0, 255, (60, 40, 3), dtype=np.uint8)
    Image.fromarray(img).save(tmp_path / 'a.png')
    codec = dict(
        type='mmpose_pretext.JigsawHeatmap',
        input_size=(48, 64),
        heatmap_size=(12, 16),
        sigma=1,
        grid=(4, 3),
    )
    dataset = DATASETS.build(
        dict(
            type='mmpose_pretext.PersonCropDataset',
            data_prefix=dict(img=str(tmp_path)),
            pipeline=[
                dict(type='mmpose_pretext.LoadImageStrict'),
                dict(type='mmpose.GetBBoxCenterScale'),
                dict(type='mmpose.RandomFlip', prob=1.0),
                dict(type='mmpose.RandomBBoxTransform'),
                dict(type='mmpose.TopdownAffine', input_size=(48, 64)),
                dict(type='mmpose_pretext.JigsawShuffle', grid=(4, 3)),
                dict(type='mmpose.GenerateTarget', encoder=codec),
                dict(type='mmpose.PackPoseInputs'),
            ],
        )
    )
    sample = dataset[0]
    assert sample['inputs'].shape == (3, 64, 48)
    assert sample['data_samples'].gt_fields.heatmaps.shape == (12, 16, 12)
    assert sample['data_samples'].gt_instance_labels.keypoint_weights.shape == (1, 12)


def test_skipped_images_are_replaced_by_others(tmp_path):
    Image.new('RGB', (30, 60)).save(tmp_path / 'good.png')
    good = (tmp_path / 'good.png').read_bytes()
    (tmp_path / 'bad.png').write_bytes(good[:-20])
    np.random.seed(0)
    for on_error in ('skip', 'raise'):
        load = dict(type='mmpose_pretext.LoadImageStrict', on_error=on_error)
        dataset = PersonCropDataset(
            data_prefix=dict(img=str(tmp_path)), pipeline=[load]
        )
        assert dataset.get_data_info(0)['img_path'].endswith('bad.png')
        if on_error == 'skip':
            assert dataset[0]['img_path'].endswith('good.png')
        else:
            with pytest.raises(ValueError, match='bad.png is truncated'):
                dataset[0]


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (dict(images=IMAGES, annotations=[]), 'no annotation with a "bbox"'),
        (dict(images=IMAGES), 'no annotation with a "bbox"'),
        (dict(images=IMAGES, annotations=[dict(id=1, image_id=1)]), 'bbox_file'),
        ([1, 2], 'no COCO-style json'),
        (dict(annotations=[]), 'no list "images"'),
        (
            dict(
                images=IMAGES, annotations=[person(1, [0, 0, 9, 9]) | {'image_id': 7}]
            ),
            'image_id=7, which is not among the images',
        ),
        (
            dict(images=[dict(id=1)], annotations=[person(1, [0, 0, 9, 9])]),
            'image with id=1 must have "file_name", "width"',
        ),
        (
            dict(images=IMAGES, annotations=[person(1, [300, 0, 9, 9])]),
            'no person is left.*1 boxes.*outside its image',
        ),
    ],
)
def test_bad_ann_file(tmp_path, content, message):
    ann_file = write(tmp_path / 'bad.json', content)
    with pytest.raises(ValueError, match=message) as error:
        PersonCropDataset(ann_file=ann_file)
    assert 'bad.json' in str(error.value)


def test_bad_files(tmp_path, ann_file):
    with pytest.raises(FileNotFoundError, match='none.json does not exist'):
        PersonCropDataset(ann_file=str(tmp_path / 'none.json'))
    (tmp_path / 'cut.json').write_text('{"images": [')
    with pytest.raises(ValueError, match='cut.json is no valid json'):
        PersonCropDataset(ann_file=str(tmp_path / 'cut.json'))
    bbox_file = write(tmp_path / 'dict.json', dict(a=1))
    with pytest.raises(ValueError, match='dict.json must be a list of detections'):
        PersonCropDataset(ann_file=ann_file, bbox_file=bbox_file)
    with pytest.raises(ValueError, match='needs ann_file'):
        PersonCropDataset(bbox_file=bbox_file)
    with pytest.raises(FileNotFoundError, match="data_prefix.*'/none' is not a folder"):
        PersonCropDataset(data_prefix=dict(img='/none'))
    (tmp_path / 'empty').mkdir()
    with pytest.raises(ValueError, match='no person is left of .*empty'):
        PersonCropDataset(data_prefix=dict(img=str(tmp_path / 'empty')))
    (tmp_path / 'empty' / 'bad.jpg').write_text('no image')
    with pytest.raises(ValueError, match='bad.jpg cannot be read'):
        PersonCropDataset(data_prefix=dict(img=str(tmp_path / 'empty')))
