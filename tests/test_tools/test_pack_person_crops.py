import json

import cv2
import lmdb
import numpy as np
import pytest
from mmengine.fileio import LmdbBackend
from mmengine.registry import DefaultScope
from mmpose.datasets import CocoDataset
from mmpose.datasets.transforms import (
    GetBBoxCenterScale,
    RandomBBoxTransform,
    TopdownAffine,
)

from mmpose_pretext.datasets import PersonCropDataset

WIDTH, HEIGHT = 480, 400
# Boxes (x, y, w, h) by photograph: of moderate size, wide, at the border, larger than
# the input of the network, and outside the photograph.
BOXES = {
    1: [(180, 120, 60, 110), (200, 150, 120, 50)],
    2: [(0, 0, 70, 90), (60, 20, 260, 370), (500, 10, 50, 50)],
    3: [(100, 100, 40, 60)],
}


@pytest.fixture(scope='module')
def tool(load_tool):
    return load_tool('dataset_converters/pack_person_crops.py')


def make_photograph(seed):
    """Smooth colours, so that resampling changes little."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (12, 14, 3), dtype=np.uint8)
    return cv2.resize(small, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)


@pytest.fixture
def photographs(tmp_path):
    """A folder of photographs and the content of its annotation file."""
    folder = tmp_path / 'photographs'
    folder.mkdir()
    rng = np.random.default_rng(0)
    images, annotations = [], []
    for image_id, boxes in BOXES.items():
        name = f'{image_id}.png'
        assert cv2.imwrite(str(folder / name), make_photograph(image_id))
        images.append(dict(id=image_id, file_name=name, width=WIDTH, height=HEIGHT))
        for box in boxes:
            points = np.zeros((17, 3))
            points[:, :2] = (box[:2] + rng.random((17, 2)) * box[2:]).round(1)
            points[:, 2] = rng.integers(1, 3, 17)
            points[3:6] = 0
            annotations.append(
                dict(
                    id=100 + len(annotations),
                    image_id=image_id,
                    category_id=1,
                    iscrowd=0,
                    bbox=list(box),
                    area=0.5 * box[2] * box[3],
                    num_keypoints=14,
                    keypoints=points.ravel().tolist(),
                    segmentation=[[0, 0, 1, 0, 1, 1]],
                )
            )
    annotations[-1].update(num_keypoints=0, keypoints=[0] * 51)
    crowd = dict(annotations[0], id=99, iscrowd=1)
    content = dict(
        images=images,
        annotations=[crowd, *annotations],
        categories=[dict(id=1, name='person')],
    )
    return folder, content


@pytest.fixture
def run(tool, photographs, tmp_path, monkeypatch):
    """Run the tool on the photographs, with one photograph a commit."""
    folder, content = photographs
    ann_file = tmp_path / 'annotations.json'

    def run_tool(*options, out='out', content=content):
        ann_file.write_text(json.dumps(content))
        argv = [str(ann_file), str(folder), str(tmp_path / out), '--workers', '0']
        return tool.main([*argv, *options])

    run_tool.ann_file, run_tool.folder, run_tool.out = ann_file, folder, tmp_path
    monkeypatch.setattr(tool, 'PHOTOGRAPHS_PER_COMMIT', 1)
    return run_tool


def read_all(out):
    with lmdb.open(str(out / 'crops.lmdb'), readonly=True) as env:
        with env.begin() as transaction:
            return dict(transaction.cursor())


def read_json(out):
    return json.loads((out / 'crops.json').read_text())


def packed_source(out):
    return dict(ann_file=str(out / 'crops.json'), data_prefix=dict(img='')), dict(
        type='LoadImage',
        backend_args=dict(backend='lmdb', db_path=str(out / 'crops.lmdb')),
    )


class FixedView:
    """The extreme view of RandomBBoxTransform without rotation and shift."""

    def __init__(self, zoom):
        self.zoom = zoom

    def __call__(self, results):
        results['bbox_scale'] = results['bbox_scale'] * self.zoom
        return results


@pytest.mark.parametrize('zoom', [0.6, 1.0, 1.5])
def test_stock_pipeline_sees_the_same(run, tmp_path, zoom):
    assert run('--quality', '100') == 0
    packed, load_packed = packed_source(tmp_path / 'out')
    photographs = dict(
        ann_file=str(run.ann_file), data_prefix=dict(img=str(run.folder))
    )
    with DefaultScope.overwrite_default_scope('mmpose'):
        before, after = (
            CocoDataset(
                **source,
                pipeline=[
                    load,
                    dict(type='GetBBoxCenterScale'),
                    FixedView(zoom),
                    dict(type='TopdownAffine', input_size=(192, 256)),
                ],
            )
            for source, load in (
                (photographs, dict(type='LoadImage')),
                (packed, load_packed),
            )
        )
    assert len(before) == len(after) == 4  # not the crowd and those without keypoints
    for old, new in zip(before, after, strict=True):
        assert old['id'] == new['raw_ann_info']['orig_ann_id']
        assert old['img_id'] == new['raw_ann_info']['orig_image_id']
        difference = np.abs(old['img'].astype(float) - new['img'])
        assert difference.mean() < 1.5
        labelled = old['keypoints_visible'] > 0
        np.testing.assert_array_equal(labelled, new['keypoints_visible'] > 0)
        np.testing.assert_allclose(
            old['transformed_keypoints'][labelled],
            new['transformed_keypoints'][labelled],
            atol=0.8,
        )


@pytest.mark.parametrize(
    ('margin', 'low', 'high'), [(1.25, 0.05, 1), (1.875, 0, 0.01), (2.75, 0, 0)]
)
def test_share_of_augmented_views_that_the_margin_loses(tool, margin, low, high):
    """Holds the tool's help to what it says about --margin."""
    photograph = np.full((800, 800, 3), 255, np.uint8)
    box = np.array([370.0, 360, 430, 440])
    crop, scale, shift = tool.crop_person(photograph, box, margin, (192, 256))
    bbox = (box.reshape(2, 2) * scale + shift).astype(np.float32).reshape(1, 4)
    augment = RandomBBoxTransform(), TopdownAffine(input_size=(192, 256))
    np.random.seed(0)  # what the transforms draw from
    black = []
    for _ in range(300):
        results = GetBBoxCenterScale()(dict(img=crop, bbox=bbox))
        for transform in augment:
            results = transform(results)
        black.append((results['img'] == 0).mean())
    assert low <= np.mean(black) <= high


def test_pretraining_reads_everybody(run, tmp_path):
    assert run() == 0
    source, load = packed_source(tmp_path / 'out')
    with DefaultScope.overwrite_default_scope('mmpose'):
        dataset = PersonCropDataset(**source, pipeline=[load])
    assert len(dataset) == 5
    for sample in dataset:
        box, (height, width) = sample['bbox'][0], sample['img_shape']
        assert (box >= 0).all()
        assert (box <= [width, height, width, height]).all()


def test_labels_move_with_the_crop(run, tmp_path, photographs):
    assert run() == 0
    content = read_json(tmp_path / 'out')
    original = {ann['id']: ann for ann in photographs[1]['annotations']}
    by_id = {ann['orig_ann_id']: ann for ann in content['annotations']}
    images = {image['id']: image for image in content['images']}

    # 60 x 110 is 82.5 x 110 with the input's aspect ratio; the square of 1.875 * 110
    # around (210, 175) begins at x = 106.9, y = 71.9 and is not shrunk
    ann = by_id[100]
    assert ann['bbox'] == [180 - 106, 120 - 71, 60, 110]
    assert ann['area'] == original[100]['area']
    assert images[ann['image_id']]['width'] == 208
    old, new = (np.reshape(a['keypoints'], (17, 3)) for a in (original[100], ann))
    np.testing.assert_array_equal(old[:, 2], new[:, 2])
    assert (new[3:6] == 0).all()
    labelled = new[:, 2] > 0
    np.testing.assert_allclose(
        new[labelled, :2], old[labelled, :2] - [106, 71], atol=0.01
    )
    # 260 x 370 is shrunk to 256 pixels of height, and its area by the square of that
    ann = by_id[103]
    assert ann['bbox'][3] == pytest.approx(256, abs=1)
    assert ann['area'] == pytest.approx(0.5 * 260 * 370 * (256 / 370) ** 2, rel=0.01)
    assert 'segmentation' not in ann


def test_backend_reads_the_key(run, tmp_path):
    assert run() == 0
    backend = LmdbBackend(str(tmp_path / 'out' / 'crops.lmdb'))
    image = read_json(tmp_path / 'out')['images'][0]
    jpeg = np.frombuffer(backend.get(image['file_name']), np.uint8)
    crop = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)
    assert crop.shape[:2] == (image['height'], image['width'])
    np.testing.assert_allclose(
        crop.mean(axis=(0, 1)),
        make_photograph(1)[71:279, 106:314].mean(axis=(0, 1)),
        atol=1,
    )


def test_interrupted_run_goes_on(run, tmp_path, photographs, capsys):
    assert run(out='whole') == 0
    second = photographs[0] / '2.png'
    data = second.read_bytes()
    second.write_bytes(data[:-100])
    assert run() == 1
    error = capsys.readouterr().err
    assert '2.png is truncated' in error
    assert '--skip-bad' in error
    out = tmp_path / 'out'
    assert not (out / 'crops.json').exists()
    partial = read_all(out)
    assert {b'000000001.jpg', b'000000002.jpg'} <= set(partial)
    assert b'000000003.jpg' not in partial

    second.write_bytes(data)
    (photographs[0] / '1.png').unlink()  # shows that it is not read again
    assert run() == 0
    assert 'going on: 2 people' in capsys.readouterr().out
    assert read_all(out) == read_all(tmp_path / 'whole')
    assert read_json(out) == read_json(tmp_path / 'whole')

    time = (out / 'crops.json').stat().st_mtime_ns
    assert run() == 0
    assert 'is complete' in capsys.readouterr().out
    assert (out / 'crops.json').stat().st_mtime_ns == time


@pytest.mark.parametrize(
    ('options', 'name'),
    [
        (['--margin', '2'], 'margin'),
        (['--quality', '90'], 'quality'),
        (['--input-size', '288', '384'], 'input_size'),
        (['--min-bbox-size', '60'], 'people'),
    ],
)
def test_other_arguments_are_refused(run, tmp_path, options, name, capsys):
    assert run() == 0
    before = read_all(tmp_path / 'out')
    assert run(*options) == 1
    assert f'begun with other {name}' in capsys.readouterr().err
    assert read_all(tmp_path / 'out') == before
    assert run(*options, '--force') == 0
    assert read_all(tmp_path / 'out') != before


def test_other_labels_are_refused(run, tmp_path, photographs, capsys):
    assert run() == 0
    photographs[1]['annotations'][1]['keypoints'][0] += 1
    assert run() == 1
    assert 'begun with other people' in capsys.readouterr().err


def test_skip_bad_counts_and_tries_again(run, tmp_path, photographs, capsys):
    second = photographs[0] / '2.png'
    data = second.read_bytes()
    second.unlink()
    assert run('--skip-bad') == 0
    output = capsys.readouterr()
    assert '3 of 5 people' in output.out
    assert '1 images were skipped' in output.out
    assert '2.png' in output.err
    assert {a['orig_image_id'] for a in read_json(tmp_path / 'out')['annotations']} == {
        1,
        3,
    }
    second.write_bytes(data)
    assert run() == 0
    assert len(read_json(tmp_path / 'out')['images']) == 5


def test_image_of_another_size(run, photographs, capsys):
    cv2.imwrite(str(photographs[0] / '3.png'), make_photograph(3)[:100])
    assert run() == 1
    error = capsys.readouterr().err
    assert f'3.png has {WIDTH}x100 pixels' in error
    assert f'{WIDTH}x{HEIGHT}' in error


def test_workers_give_the_same(run, tmp_path):
    assert run() == 0
    assert run('--workers', '2', out='parallel') == 0
    assert read_all(tmp_path / 'out') == read_all(tmp_path / 'parallel')


def test_detector_results(run, tmp_path):
    results = [
        dict(image_id=3, category_id=1, bbox=[100, 100, 40, 60], score=0.25),
        dict(image_id=3, category_id=2, bbox=[1, 1, 40, 60], score=0.9),
    ]
    bbox_file = tmp_path / 'results.json'
    bbox_file.write_text(json.dumps(results))
    assert run('--bbox-file', str(bbox_file)) == 0
    (ann,) = read_json(tmp_path / 'out')['annotations']
    assert ann['score'] == 0.25
    assert ann['orig_image_id'] == 3
    assert 'keypoints' not in ann


def test_folder_of_people(tool, photographs, tmp_path):
    argv = ['-', str(photographs[0]), str(tmp_path / 'out'), '--workers', '0']
    assert tool.main(argv) == 0
    content = read_json(tmp_path / 'out')
    assert len(content['images']) == 3
    # as the box of a person, it is shrunk to the width of the input
    assert (content['images'][0]['width'], content['images'][0]['height']) == (192, 160)


@pytest.mark.parametrize('field', ['bbox', 'annotations'])
def test_json_without_boxes(run, photographs, tmp_path, field, capsys):
    content = photographs[1]
    if field == 'annotations':
        del content['annotations']
    else:
        for ann in content['annotations']:
            del ann['bbox']
    assert run() == 1
    error = capsys.readouterr().err
    assert 'no annotation with a "bbox"' in error
    assert error.startswith('error:')
    assert not (tmp_path / 'out').exists()


def test_all_boxes_empty(run, photographs, capsys):
    for ann in photographs[1]['annotations']:
        ann['bbox'][2] = 0
    assert run() == 1
    assert 'no person is left' in capsys.readouterr().err


def test_missing_annotation_file(tool, tmp_path, capsys):
    argv = [str(tmp_path / 'no.json'), str(tmp_path), str(tmp_path / 'out')]
    assert tool.main(argv) == 1
    assert 'no.json' in capsys.readouterr().err


def test_a_json_of_the_user_is_kept(run, tmp_path, capsys):
    (tmp_path / 'out').mkdir()
    path = tmp_path / 'out' / 'crops.json'
    path.write_text('{}')
    assert run() == 1
    assert '--force' in capsys.readouterr().err
    assert path.read_text() == '{}'
    assert run('--force') == 0
    assert len(read_json(tmp_path / 'out')['images']) == 5


def test_map_grows(tool, tmp_path):
    with lmdb.open(str(tmp_path), map_size=1 << 16) as env:
        tool.put(env, [(b'%d' % i, bytes(10000)) for i in range(50)])
        assert env.stat()['entries'] == 50
        # the file is not larger than what it holds: no sparse giant
        assert (tmp_path / 'data.mdb').stat().st_size < 1 << 20


def test_worker_uses_one_thread(tool):
    threads = cv2.getNumThreads()
    try:
        tool.use_one_thread(0)
        assert cv2.getNumThreads() == 1
    finally:
        cv2.setNumThreads(threads)


def test_interrupt(tool, run, monkeypatch, capsys):
    def interrupt(args):
        raise KeyboardInterrupt

    monkeypatch.setattr(tool, 'run', interrupt)
    assert run() == 130
    assert 'same command' in capsys.readouterr().err


@pytest.mark.parametrize(
    'options',
    [
        ['--jpeg'],
        ['--margin', '0.5'],
        ['--input-size', '0', '256'],
        ['--quality', '101'],
        ['--workers', '-1'],
    ],
)
def test_bad_options(run, options, capsys):
    with pytest.raises(SystemExit) as info:
        run(*options)
    assert info.value.code == 2
    assert options[0] in capsys.readouterr().err
