import io
import json
import os
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from mmpose_pretext.datasets import MCPCDataset
from mmpose_pretext.datasets.mcpc_dataset import MCPC_KEYPOINTS, SOURCE_KEYPOINTS
from mmpose_pretext.perspective import FILTERS, find_bones, person_scale

SIZE = 320, 240
NAMES = dict(
    coco=MCPC_KEYPOINTS[:17],
    posetrack18=(
        *('nose', 'head_bottom', 'head_top', 'left_ear', 'right_ear'),
        *MCPC_KEYPOINTS[5:17],
    ),
    crowdpose=(*MCPC_KEYPOINTS[5:17], 'head', 'neck'),
    mpii=(
        *('right_ankle', 'right_knee', 'right_hip', 'left_hip', 'left_knee'),
        *('left_ankle', 'pelvis', 'thorax', 'upper_neck', 'head_top', 'right_wrist'),
        *('right_elbow', 'right_shoulder', 'left_shoulder', 'left_elbow', 'left_wrist'),
    ),
)
SYNONYMS = dict(head_bottom='neck', upper_neck='neck', head='head_top')
# (side, height) in metres; the lengths of bones are those of an adult
JOINTS = dict(
    shoulder=(0.19, 1.38),
    elbow=(0.19, 1.07),
    wrist=(0.19, 0.82),
    hip=(0.13, 0.9),
    knee=(0.13, 0.48),
    ankle=(0.13, 0.07),
    eye=(0.03, 1.6),
    ear=(0.07, 1.58),
)
MIDDLE = dict(nose=1.56, neck=1.45, head_top=1.69, pelvis=0.9, thorax=1.4)


@pytest.fixture(scope='module')
def tool(load_tool):
    return load_tool('dataset_converters/build_mcpc.py')


def foot(scale):
    """Return the y of the ground below a person: lower in the image when closer."""
    return 200 + 0.3 * scale


def keypoint(name, x, scale):
    """Place a keypoint of an upright person."""
    side, _, joint = name.partition('_')
    if joint in JOINTS:
        offset, height = JOINTS[joint]
        x += (offset if side == 'left' else -offset) * scale
    else:
        height = MIDDLE[name]
    return x, foot(scale) - height * scale


def keypoints_of(source, *args):
    """Return the keypoints (K, 2) of a person in the order of a source."""
    return np.array([keypoint(SYNONYMS.get(n, n), *args) for n in NAMES[source]])


def picture(seed):
    """Make a smooth image that no other seed gives."""
    noise = np.random.default_rng(seed).integers(0, 256, (12, 16, 3)).astype(np.uint8)
    return Image.fromarray(cv2.resize(noise, SIZE, interpolation=cv2.INTER_CUBIC))


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))


class Data:
    """Data sets of two people an image, one at 100 and one at 60 pixels a metre.

    Images are given by number and picture.
    """

    people = ((60.0, 100.0), (200.0, 60.0))

    def __init__(self, root):
        self.root = root

    def images(self, folder, pictures, quality=95, size=SIZE):
        for number, seed in pictures.items():
            path = self.root / folder / f'{number:06d}.jpg'
            path.parent.mkdir(parents=True, exist_ok=True)
            picture(seed).resize(size).save(path, quality=quality)

    def file(self, source, split):
        return (
            self.root
            / dict(
                coco=f'coco/annotations/person_keypoints_{split}2017.json',
                mpii=f'mpii/annotations/mpii_{split}.json',
                posetrack18=f'posetrack18/annotations/posetrack18_{split}.json',
                crowdpose=f'crowdpose/annotations/mmpose_crowdpose_{split}.json',
            )[source]
        )

    def add(self, source, split='train', people=people, size=SIZE, **pictures):
        """Write a part; pictures are named n1=..., n2=..., by their numbers."""
        pictures = {int(name[1:]): seed for name, seed in pictures.items()}
        folder = dict(
            coco=f'coco/{split}2017',
            mpii='mpii/images',
            posetrack18=f'posetrack18/images/{split}/video',
            crowdpose='crowdpose/images',
        )[source]
        self.images(folder, pictures, size=size)
        if source == 'mpii':
            content = [
                self.mpii_person(number, *person)
                for number in pictures
                for person in people
            ]
        else:
            prefix = f'images/{split}/video/' if source == 'posetrack18' else ''
            content = dict(
                images=[
                    dict(
                        id=number,
                        file_name=f'{prefix}{number:06d}.jpg',
                        width=size[0],
                        height=size[1],
                    )
                    for number in pictures
                ],
                annotations=[
                    self.coco_person(source, 10 * i + number, number, *person)
                    for i, person in enumerate(people)  # not together
                    for number in pictures
                ],
                categories=[dict(id=1, name='person', keypoints=NAMES[source])],
            )
        write(self.file(source, split), content)
        return self

    @staticmethod
    def mpii_person(number, x, scale):
        return dict(
            image=f'{number:06d}.jpg',
            joints=(keypoints_of('mpii', x, scale) + 1).tolist(),
            joints_vis=[1] * 16,
            center=[x + 1, foot(scale) + 1 - 0.85 * scale],
            scale=1.7 * scale / 200,
        )

    @staticmethod
    def coco_person(source, id_, image_id, x, scale):
        points = keypoints_of(source, x, scale)
        v = [
            0 if name.endswith('_ear') and source != 'coco' else 2
            for name in NAMES[source]
        ]
        keypoints = np.column_stack([points, v])
        keypoints[keypoints[:, 2] == 0] = 0
        return dict(
            id=id_,
            image_id=image_id,
            category_id=1,
            iscrowd=0,
            num_keypoints=len(points),
            keypoints=keypoints.ravel().tolist(),
            bbox=[x - 30, foot(scale) - 1.7 * scale, 60, 1.7 * scale],
            segmentation=[[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]],
        )

    def edit(self, source, change, split='train'):
        path = self.file(source, split)
        content = json.loads(path.read_text())
        write(path, change(content) or content)


@pytest.fixture
def data(tmp_path):
    return Data(tmp_path / 'data')


@pytest.fixture
def run(tool, data, tmp_path, capsys):
    def run_tool(*options):
        code = tool.main([str(data.root), '--out', str(tmp_path / 'out'), *options])
        captured = capsys.readouterr()
        return code, ' '.join(captured.out.split()), captured.err

    return run_tool


@pytest.fixture
def load(tmp_path):
    def load_json(split='train'):
        path = tmp_path / 'out' / f'mcpc_{split}.json'
        return json.loads(path.read_text()) if path.exists() else None

    return load_json


def names(content):
    return [image['file_name'] for image in content['images']]


@pytest.mark.parametrize('source', SOURCE_KEYPOINTS)
def test_one_source(data, run, load, source):
    data.add(source, n7=0)
    code, out, _ = run()
    assert code == 0
    missing = [s for s in SOURCE_KEYPOINTS if s != source]
    assert all(f'{s} train is left out' in out for s in missing)
    assert f'{source} val is not kept out of training' in out
    content = load()
    (image,) = content['images']
    assert data.root.joinpath(image['file_name']).is_file()
    assert (image['width'], image['height']) == SIZE
    assert image['source'] == source
    assert image['source_id'] == ('000007' if source == 'mpii' else '7')

    assert content['categories'][0]['keypoints'] == list(MCPC_KEYPOINTS)
    bones = find_bones(MCPC_KEYPOINTS)
    for (x, size), found in zip(data.people, content['annotations'], strict=True):
        points = np.reshape(found['keypoints'], (19, 3))
        for name, (*place, v) in zip(MCPC_KEYPOINTS, points, strict=True):
            labelled = name in SOURCE_KEYPOINTS[source]
            assert v == 2 * labelled
            expected = keypoint(name, x, size) if labelled else (0, 0)
            assert place == pytest.approx(expected, abs=0.01)
        assert found['num_keypoints'] == len(SOURCE_KEYPOINTS[source])
        expected = person_scale(points[None, :, :2], points[None, :, 2], *bones)
        scales = found['scale'], found['scale_confidence']
        np.testing.assert_allclose(scales, np.ravel(expected), rtol=1e-3)
        assert found['scale'] == pytest.approx(size, rel=0.1)
        left, top, width, height = found['bbox']
        assert left <= x <= left + width
        assert top == pytest.approx(foot(size) - 1.7 * size, abs=0.1)
        assert height == pytest.approx(1.7 * size, abs=0.1)
        assert found['image_id'] == image['id']
    (i, j, relation, confidence), *more = image['pairs']
    assert not more
    assert [i, j] == [a['id'] for a in content['annotations']]
    assert relation == -1  # the first is closer
    assert 0.5 < confidence <= 1


def test_all_sources(data, run, load, tmp_path):
    for number, source in enumerate(SOURCE_KEYPOINTS):
        data.add(source, n1=10 * number, n2=10 * number + 1)
        data.add(source, 'val', n3=10 * number + 2)
    code, out, err = run()
    assert (code, err) == (0, '')
    assert 'left out' not in out
    assert '8 images, 16 people (16 usable)' in out
    assert 'over 53,000 images, 220,000 people' in out
    assert not (tmp_path / 'out' / 'mcpc.partial').exists()
    dataset = MCPCDataset(
        ann_file=str(tmp_path / 'out' / 'mcpc_train.json'),
        data_root='',
        data_prefix=dict(img=str(data.root)),
    )
    assert len(dataset) == 8
    for sample in dataset:
        assert Path(sample['img_path']).is_file()
        assert sample['depth_pairs'].tolist() == [[0, 1]]
        visible = sample['keypoints_visible']
        assert (visible == sample['keypoints_labelled']).all()
    assert [Path(name).stem for name in names(load('val'))] == ['000003'] * 4
    assert load('val')['images'][0]['source'] == 'coco'


def test_images_need_two_usable_people(data, run, load):
    crowd = dict(iscrowd=1, keypoints=[0] * 51, num_keypoints=0)

    def change(content):
        people = content['annotations']
        people[3].update(crowd)  # 1 is left with one person
        people[4]['keypoints'][15:18] = 0, 0, 0  # 2 keeps two

        def squat(person):  # knees as high as the hips
            points = person['keypoints']
            points[3 * 13 + 1] = points[3 * 14 + 1] = points[3 * 11 + 1]

        squat(people[5])  # 3 is left with one usable person
        third = Data.coco_person('coco', 99, 2, 270.0, 10.0)
        people.append(third)  # too small

    data.add('coco', n1=1, n2=2, n3=3).edit('coco', change)
    code, out, _ = run('--filters', *FILTERS)
    assert code == 0
    content = load()
    assert names(content) == ['coco/train2017/000002.jpg']
    assert [a['scale'] > 30 for a in content['annotations']] == [True, True, False]
    assert len(content['images'][0]['pairs']) == 1
    assert '1 images, 3 people (2 usable)' in out
    for row in (
        '│ images listed │ 3 │ 3 │',
        '│ ... of 2 or more people │ 2 │ 2 │',
        '│ people │ 6 │ 6 │',
        '│ ... tiny │ 1 │ 1 │',
        '│ ... seated │ 1 │ 1 │',
        '│ images in the json │ 1 │ 1 │',
    ):
        assert row in out
    run('--filters', 'truncated', '--cues', 'scale', '--force')
    content = load()
    assert len(content['images']) == 2
    assert [len(image['pairs']) for image in content['images']] == [3, 1]


def test_options_of_labels(data, run, load):
    """The far person stands lower: the ground cue contradicts, or tells the order."""

    def change(content):
        points = np.reshape(content['annotations'][1]['keypoints'], (17, 3))
        points[:, 1] += 20
        content['annotations'][1]['keypoints'] = points.ravel().tolist()

    data.add('coco', n1=1).edit('coco', change)
    counts = []
    for options in (
        *(['--cues', 'scale'], ['--cues', 'scale', '--tau', '2']),
        *(['--cues', 'ground', '--tau', '1'], []),
    ):
        assert run(*options, '--force')[0] == 0
        counts.append(len(load()['images'][0]['pairs']))
    assert counts == [1, 0, 1, 0]
    assert load()['info'] == dict(
        description='MCPC',
        tau=1.1,
        cues=['scale', 'ground'],
        filters=['truncated', 'tiny', 'inconsistent'],
        limbs=False,
    )
    assert not any('limb_order' in person for person in load()['annotations'])
    assert run('--limbs', '--force')[0] == 0
    assert load()['info']['limbs'] is True
    assert all(len(person['limb_order']) == 19 for person in load()['annotations'])
    for bad in (['--tau', '0.9'], ['--tau', 'nan'], ['--cues', 'size']):
        with pytest.raises(SystemExit):
            run(*bad)


def test_copies(data, run, load):
    """An image is in one json once, under whatever name, format or size."""
    data.add('coco', n1=1, n2=2, n3=3)
    data.add('coco', 'val', n4=4)
    data.add('crowdpose', n11=1, n12=12, n14=4)
    data.add('crowdpose', 'test', n23=3)
    copy = data.root / 'crowdpose/images/000011.jpg'
    picture(1).resize((160, 120)).resize(SIZE).save(copy, quality=50)
    code, out, _ = run()
    assert code == 0
    assert names(load()) == [
        'coco/train2017/000001.jpg',
        'coco/train2017/000002.jpg',
        'crowdpose/images/000012.jpg',
    ]
    assert names(load('val')) == ['coco/val2017/000004.jpg']
    assert (
        'mcpc_train.json: 1 copies of an earlier source: '
        'crowdpose/images/000011.jpg is coco/train2017/000001.jpg'
    ) in out
    assert (
        'mcpc_train.json: 2 held out, by hash: '
        'coco/train2017/000003.jpg is crowdpose/images/000023.jpg, '
        'crowdpose/images/000014.jpg is coco/val2017/000004.jpg'
    ) in out
    ids = [a['image_id'] for a in load()['annotations']]
    assert ids == [1, 1, 2, 2, 3, 3]


def test_validation_images_by_name(data, run, load):
    """A single source needs no hash."""
    data.add('mpii', n1=1, n2=2).add('mpii', 'val', n2=2)
    assert run()[0] == 0
    assert names(load()) == ['mpii/images/000001.jpg']
    assert names(load('val')) == ['mpii/images/000002.jpg']
    data.file('mpii', 'val').unlink()
    assert run('--force')[0] == 0
    assert len(load()['images']) == 2
    assert load('val') is None  # its image is for training now


def test_missing_validation_images_are_said(data, run, load):
    data.add('coco', n1=1).add('crowdpose', 'test', n2=2, n3=1)
    (data.root / 'crowdpose/images/000002.jpg').unlink()
    code, out, _ = run()
    assert code == 0
    name = 'crowdpose/images/000002.jpg'
    assert f'left out of crowdpose test: 1 image missing: {name}' in out
    assert load()['images'] == []  # it is the other one
    assert 'Copies of them under other names cannot be kept out' in out


def test_images_that_were_missing_are_looked_for_again(data, run, load):
    """Else a copy of a validation image could get into training."""
    data.add('coco', n1=1).add('coco', 'val', n3=3).add('crowdpose', n13=3, n14=4)
    images = data.root / 'crowdpose/images', data.root / 'coco/val2017'
    for folder in images:
        folder.rename(folder.with_suffix('.later'))
    images[1].mkdir()  # half unpacked
    data.images('coco/val2017', {9: 9})
    assert run()[0] == 1
    images[1].with_suffix('.later').rename(images[1].with_suffix('.now'))
    for path in images[1].with_suffix('.now').iterdir():
        path.rename(images[1] / path.name)
    images[0].with_suffix('.later').rename(images[0])
    assert run()[0] == 0
    assert names(load()) == ['coco/train2017/000001.jpg', 'crowdpose/images/000014.jpg']


def test_images_are_decoded_only_if_sources_share_some(data, run, tool, monkeypatch):
    decoded = []

    def spy(path, with_hash):
        decoded.append((path.parts[-3], with_hash))
        return look(path, with_hash)

    look = tool.look
    monkeypatch.setattr(tool, 'look', spy)
    data.add('coco', n1=1).add('mpii', n1=2)
    assert run()[0] == 0
    assert sorted(decoded) == [('coco', False), ('mpii', False)]
    decoded.clear()
    data.add('posetrack18', n1=3)  # of videos, as MPII
    assert run('--force')[0] == 0
    assert sorted(decoded) == [('coco', False), ('mpii', True), ('train', True)]


def test_counted_skips(data, run, load):
    data.add('coco', n1=1, n2=2, n3=3, n4=4, n5=5)
    data.add('crowdpose', n1=6)

    def change(content):
        people = content['annotations']
        people[0]['keypoints'][3] = float('nan')  # image 1
        people[1]['keypoints'][4] = None  # image 2
        people.append(dict(people[2], id=77, bbox=[1, 2, 0, 3]))  # image 3
        people.append(dict(id=78, image_id=3, category_id=1, bbox=[1, 2, 3, 4]))
        people.append(dict(people[2], id=79, category_id=2))

    data.edit('coco', change)
    folder = data.root / 'coco/train2017'
    (folder / '000004.jpg').unlink()
    path = folder / '000005.jpg'
    path.write_bytes(path.read_bytes()[:-500])
    picture(6).resize((100, 100)).save(data.root / 'crowdpose/images/000001.jpg')
    code, out, _ = run()
    assert code == 0
    content = load()
    assert names(content) == ['coco/train2017/000003.jpg']
    assert len(content['annotations']) == 2
    file = data.file('coco', 'train')
    for message in (
        'left out of coco train: 2 NaN in keypoints: 000001.jpg, 000002.jpg',
        'left out of coco train: 1 empty box: 000003.jpg',
        f'1 without keypoints or box: annotation 78 of {file}',
        f'1 of another category: annotation 79 of {file}',
        'coco train: 1 image missing: coco/train2017/000004.jpg',
        'coco train: 1 image unreadable: coco/train2017/000005.jpg',
        'crowdpose train: 1 image of another size: crowdpose/images/000001.jpg',
    ):
        assert message in out


def test_nan_in_mpii(data, run, load):
    def change(content):
        content[0]['joints'][3][0] = float('nan')
        content[2]['joints'][3][0] = float('nan')
        content[2]['joints_vis'][3] = 0  # and unlabelled

    data.add('mpii', n1=1, n2=2).edit('mpii', change)
    assert '1 NaN in keypoints: 000001.jpg' in run()[1]
    assert names(load()) == ['mpii/images/000002.jpg']


def cut(content):
    return json.dumps(content)[:-100]


def drop(key):
    def change(content):
        for entry in content if isinstance(content, list) else [content]:
            entry.pop(key)

    return change


def spoil_annotation(**kwargs):
    return lambda content: content['annotations'][0].update(kwargs)


@pytest.mark.parametrize(
    ('source', 'change', 'message'),
    [
        ('coco', cut, 'is damaged or truncated'),
        ('mpii', cut, 'is damaged or truncated'),
        ('coco', lambda content: [1], 'is no COCO-style json of coco'),
        ('coco', drop('annotations'), 'is no COCO-style json of coco'),
        ('mpii', lambda content: dict(images=[]), 'is no json of MPII'),
        ('mpii', drop('image'), 'is no json of MPII'),
        (
            'coco',
            lambda content: content['categories'][0].pop('keypoints') and None,
            'no category with keypoints',
        ),
        (
            'coco',
            lambda content: content['categories'][0].update(keypoints=['nose']),
            'it is no file of coco, which has left_eye',
        ),
        ('crowdpose', spoil_annotation(keypoints=[1] * 51), '51 numbers as keypoints'),
        ('posetrack18', spoil_annotation(keypoints=['a'] * 51), 'convert string'),
        ('coco', spoil_annotation(bbox=[1, 2, 3]), r'annotation 1 .* the box \[1, 2'),
        ('coco', spoil_annotation(image_id=5), 'annotations of image 5, but does not'),
        (
            'coco',
            lambda content: content['images'][0].pop('file_name') and None,
            "an entry has no 'file_name'",
        ),
        (
            'mpii',
            lambda content: content[0]['joints'].pop() and None,
            r'person 0 .* joints of shape \(15, 2\)',
        ),
    ],
)
def test_bad_files(data, run, load, source, change, message):
    data.add(source, n1=1).edit(source, change)
    code, _, err = run()
    assert code == 1
    assert re.search(message, err)
    assert str(data.file(source, 'train')) in err
    assert load() is None


def test_no_images(data, run):
    data.add('coco', n1=1)
    (data.root / 'coco/train2017/000001.jpg').unlink()
    code, _, err = run()
    assert code == 1
    assert 'none of the 1 images of' in err
    assert str(data.root / 'coco/train2017') in err


def test_no_source(data, run):
    code, _, err = run()
    assert code == 1
    assert f'{data.root} has no annotation file of a training set' in err


def test_goes_on(data, run, load, tool, monkeypatch):
    """What was read before an interruption is not read again."""
    data.add('coco', n1=1).add('crowdpose', n1=2)
    read = []

    def spy(path):
        read.append(path.name)
        if interrupted and 'crowdpose' in path.name:
            raise KeyboardInterrupt
        return load_json(path)

    load_json = tool.load_json
    monkeypatch.setattr(tool, 'load_json', spy)
    interrupted = True
    code, _, err = run()
    assert code == 130
    assert 'the same command goes on' in err
    assert len(read) == 2
    interrupted = False
    code, out, _ = run()
    assert code == 0
    assert 'coco train is read already' in out
    assert read[2:] == ['mmpose_crowdpose_train.json']
    resumed = load()
    assert run('--force')[0] == 0
    assert resumed == load()


def test_other_settings_start_anew(data, run, load):
    data.add('coco', n1=1).add('crowdpose', n1=2)
    whole = data.file('crowdpose', 'train').read_text()
    write(data.file('crowdpose', 'train'), '{')
    assert run()[0] == 1
    write(data.file('crowdpose', 'train'), whole)
    code, out, _ = run('--tau', '5')
    assert code == 0
    assert 'read already' not in out
    assert [image['pairs'] for image in load()['images']] == [[], []]


def test_output_is_kept(data, run, load):
    data.add('coco', n1=1)
    assert run()[0] == 0
    before = load()
    data.add('coco', n1=1, n2=2)
    code, _, err = run()
    assert code == 1
    assert 'mcpc_train.json exists; --force replaces it' in err
    assert load() == before
    assert run('--force')[0] == 0
    assert len(load()['images']) == 2


def test_label_equals_one_image_at_a_time(tool):
    rng = np.random.default_rng(0)
    photos = []
    for count in (3, 0, 1, 15):
        points = np.zeros((count, 19, 3))
        for person in points:
            person[:17, :2] = keypoints_of('coco', 100, rng.uniform(30, 130))
            person[:17, :2] += rng.normal(0, 2, (17, 2))
            person[:17, 2] = rng.integers(0, 9, 17) > 0
        boxes = np.tile([1.0, 2, 3, 4], (count, 1))
        crowd = rng.integers(0, 4, count) == 0
        photos.append(tool.Photo('a.jpg', '1', SIZE, points, boxes, crowd))
    labels = tool.Labels(1.1, ('scale', 'ground'), FILTERS)
    log, slow_log = tool.Log(), tool.Log()
    fast = list(tool.label(photos, labels, log))
    slow = [next(tool.label([photo], labels, slow_log)) for photo in photos]
    assert fast == slow
    assert log.counts == slow_log.counts
    assert [len(found['annotations']) for found in fast] == [3, 0, 1, 15]
    assert sum(len(found['pairs']) for found in fast) > 5


def hash_of(tool, image, **kwargs):
    file = io.BytesIO()
    image.save(file, 'JPEG', **kwargs)
    return tool.image_hash(Image.open(file))


def test_hash_tells_copies_from_other_images(tool):
    hashes = np.stack([hash_of(tool, picture(seed)) for seed in range(20)])
    assert hashes.shape == (20, 255)
    others = (hashes[:, None] != hashes).sum(2)[np.triu_indices(20, 1)]
    assert others.min() > 2 * tool.MAX_DISTANCE
    for image in (
        picture(3).resize((120, 90), Image.Resampling.LANCZOS),
        picture(3).resize((500, 375), Image.Resampling.BICUBIC),
    ):
        distance = (hash_of(tool, image, quality=60) != hashes[3]).sum()
        assert distance < tool.MAX_DISTANCE / 2


def test_find_copies_equals_a_loop(tool, monkeypatch):
    monkeypatch.setattr(tool, 'CHUNK', 4)
    rng = np.random.default_rng(0)
    others = rng.integers(0, 2, (9, 255)).astype(bool)
    hashes = others[rng.integers(0, 9, 30)]
    for row in hashes:  # 25 to 55 bits are turned
        row[rng.permutation(255)[: rng.integers(25, 56)]] ^= True
    expected = []
    for row in hashes:
        distances = [int((row != other).sum()) for other in others]
        nearest = int(np.argmin(distances))
        close = distances[nearest] <= tool.MAX_DISTANCE
        expected.append(nearest if close else -1)
    assert {*expected} > {-1}
    signs = [
        tool.unpack_hashes([np.packbits(row).tobytes().hex() for row in rows])
        for rows in (hashes, others)
    ]
    assert tool.find_copies(*signs).tolist() == expected
    none = tool.unpack_hashes([None, None])
    assert tool.find_copies(none, signs[1]).tolist() == [-1, -1]
    assert tool.find_copies(none, none).tolist() == [-1, -1]
    assert tool.find_copies(signs[0], none[:0]).tolist() == [-1] * 30
    assert tool.find_copies(none[:0], signs[0]).tolist() == []


def test_polygons_are_not_kept_in_memory(data, tool):
    data.add('coco', n1=1)
    content = tool.load_json(data.file('coco', 'train'))
    assert 'segmentation' not in content['annotations'][0]
    assert content['annotations'][0]['keypoints'].dtype == np.float32
    assert content['categories'][0]['keypoints'] == list(NAMES['coco'])


@pytest.mark.skipif(not os.environ.get('PRETEXT_DATA'), reason='needs PRETEXT_DATA')
def test_real_files(data, run, load):
    fixtures = Path(os.environ['PRETEXT_DATA']) / 'fixtures'
    for source, images, file in (
        ('coco', 'coco/train2017', 'coco/test_coco.json'),
        ('mpii', 'mpii/images', 'mpii/test_mpii.json'),
        (
            'posetrack18',
            'posetrack18/images',
            'posetrack18/annotations/test_posetrack18_val.json',
        ),
        ('crowdpose', 'crowdpose/images', 'crowdpose/test_crowdpose.json'),
    ):
        write(data.file(source, 'train'), (fixtures / file).read_text())
        below = 'posetrack18/images' if source == 'posetrack18' else source
        data.root.joinpath(images).symlink_to(fixtures / below)
    code, out, err = run('--filters')
    assert (code, err) == (0, '')
    assert '│ people │ 12 │ 5 │ 14 │ 4 │ 35 │' in out  # MPII has one an image
    content = load()
    assert {image['source'] for image in content['images']} == {
        *('coco', 'posetrack18', 'crowdpose')
    }
    for image in content['images']:
        with Image.open(data.root / image['file_name']) as opened:
            assert opened.size == (image['width'], image['height'])
    assert sum(len(image['pairs']) for image in content['images']) > 10
