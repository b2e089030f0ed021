import json

import cv2
import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.structures import InstanceData

from mmpose_pretext.datasets import PersonCropDataset

CONFIG = """
_base_ = 'mmdet::rtmdet/rtmdet_tiny_8xb32-300e_coco.py'
model = dict(
    backbone=dict(widen_factor=0.125, init_cfg=None, norm_cfg=dict(type='BN')),
    neck=dict(in_channels=[32, 64, 128], out_channels=16, norm_cfg=dict(type='BN')),
    bbox_head=dict(
        in_channels=16, feat_channels=16, num_classes=3, norm_cfg=dict(type='BN')),
    test_cfg=dict(max_per_img=20))
test_dataloader = dict(dataset=dict(pipeline=[
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(64, 64), keep_ratio=True),
    dict(type='Pad', size=(64, 64), pad_val=dict(img=(114, 114, 114))),
    dict(
        type='PackDetInputs',
        meta_keys=('img_path', 'ori_shape', 'img_shape', 'scale_factor'))]))
"""
NAMES = ['a.jpg', 'b.png', 'sub/c.jpg', 'sub/d.jpg']


@pytest.fixture(autouse=True, scope='module')
def default_scope():
    """Undo that the inferencer makes mmdet the default scope."""
    before = DefaultScope._instance_dict.copy()
    yield
    DefaultScope._instance_dict.clear()
    DefaultScope._instance_dict.update(before)


@pytest.fixture(scope='module')
def tool(load_tool):
    return load_tool('dataset_converters/detect_people.py')


@pytest.fixture(scope='module')
def detector(tmp_path_factory):
    """A config, and a checkpoint of random weights."""
    folder = tmp_path_factory.mktemp('detector')
    config = folder / 'config.py'
    config.write_text(CONFIG)
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmdet'):
        model = MODELS.build(Config.fromfile(config).model)
    state = model.state_dict()
    for key, value in state.items():  # spread the scores
        if key.startswith('bbox_head.rtm_cls') and key.endswith('weight'):
            value.normal_()
    save(folder / 'checkpoint.pth', state)
    return config, folder / 'checkpoint.pth'


def save(path, state, classes=('dog', 'Person', 'cat')):
    torch.save(
        dict(state_dict=state, meta=dict(dataset_meta=dict(CLASSES=classes))), path
    )


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / 'images'
    (folder / 'sub').mkdir(parents=True)
    rng = np.random.default_rng(0)
    for index, name in enumerate(NAMES):
        img = rng.integers(0, 256, (50 + 10 * index, 80, 3), dtype=np.uint8)
        assert cv2.imwrite(str(folder / name), img)
    (folder / 'notes.txt').write_text('no image')
    return folder


@pytest.fixture
def run(tool, detector, images, tmp_path):
    def run_tool(*options, out='people.json', detector=detector):
        argv = [images, *detector, tmp_path / out, '--device', 'cpu']
        argv += ['--score-thr', '0', '--batch-size', '2', *options]
        return tool.main(list(map(str, argv)))

    return run_tool


def test_dataset_reads_what_was_found(run, images, tmp_path, capsys):
    assert run() == 0
    path = tmp_path / 'people.json'
    content = json.loads(path.read_text())
    assert [image['file_name'] for image in content['images']] == NAMES
    assert [image['height'] for image in content['images']] == [50, 60, 70, 80]
    assert len({ann['id'] for ann in content['annotations']}) == len(
        content['annotations']
    )
    dataset = PersonCropDataset(
        ann_file=str(path),
        data_prefix=dict(img=str(images)),
        pipeline=[dict(type='mmpose.LoadImage')],
    )
    assert len(dataset) == len(content['annotations']) > 0
    for sample, ann in zip(dataset, content['annotations'], strict=True):
        assert sample['bbox_score'] == np.float32(ann['score'])
        height, width = sample['img_shape']
        assert (sample['bbox'] <= [width, height, width, height]).all()
    assert [path.name for path in tmp_path.glob('people.json*')] == ['people.json']
    assert f'{len(dataset)} people on 4 images' in capsys.readouterr().out


def test_boxes_of_one_image(tool):
    prediction = DetDataSample(
        pred_instances=InstanceData(
            bboxes=torch.tensor(
                [
                    [10.0, 20, 30, 60],  # a person
                    [-5.0, -5, 20, 20],  # reaches over the border
                    [10.0, 20, 30, 60],  # another class
                    [10.0, 20, 30, 60],  # low score
                    [90.0, 90, 120, 120],  # outside of the image
                ]
            ),
            labels=torch.tensor([1, 1, 0, 1, 1]),
            scores=torch.tensor([0.9, 0.5, 0.9, 0.49, 0.9]),
        )
    )
    assert tool.to_boxes(prediction, 1, 0.5, width=80, height=50) == [
        [10, 20, 20, 30, 0.9],
        [0, 0, 20, 20, 0.5],
    ]


def test_interrupted_run_goes_on(run, images, tmp_path, capsys):
    assert run(out='whole.json') == 0
    third = images / 'sub' / 'c.jpg'
    data = third.read_bytes()
    third.write_bytes(data[:-100])
    assert run() == 1
    error = capsys.readouterr().err
    assert 'c.jpg is truncated' in error
    assert '--skip-bad' in error
    assert not (tmp_path / 'people.json').exists()

    partial = tmp_path / 'people.json.partial.jsonl'
    assert len(partial.read_text().splitlines()) == 3  # settings and two images
    with partial.open('a') as file:
        file.write('{"file_name": "sub/c.j')  # killed while writing
    third.write_bytes(data)
    whole = json.loads((tmp_path / 'whole.json').read_text())
    (images / 'a.jpg').write_bytes(b'no image')  # shows that it is not read again
    assert run() == 0
    assert 'going on: 2 images' in capsys.readouterr().out
    assert json.loads((tmp_path / 'people.json').read_text()) == whole
    assert not partial.exists()


def test_settings_killed_before_the_first_line(tool, tmp_path):
    path = tmp_path / 'partial.jsonl'
    path.write_text('{"score_t')
    tool.Partial(path, dict(score_thr=0.3))
    assert tool.Partial(path, dict(score_thr=0.3)).results == {}
    with pytest.raises(FileExistsError, match='other score_thr'):
        tool.Partial(path, dict(score_thr=0.4))


def test_other_settings_are_refused(run, images, tmp_path, capsys):
    (images / 'sub' / 'd.jpg').unlink()
    (images / 'sub' / 'd.jpg').write_bytes(b'no image')
    assert run() == 1
    assert run('--score-thr', '0.01') == 1
    assert 'begun with other score_thr' in capsys.readouterr().err
    assert run('--score-thr', '0.01', '--skip-bad', '--force') == 0
    content = json.loads((tmp_path / 'people.json').read_text())
    assert min(ann['score'] for ann in content['annotations']) >= 0.01


def test_skip_bad(run, images, tmp_path, capsys):
    for name in NAMES[2:]:  # a whole batch
        (images / name).write_bytes(b'no image')
    assert run('--skip-bad') == 0
    output = capsys.readouterr()
    assert '2 images were skipped' in output.out
    assert 'c.jpg' in output.err
    assert 'd.jpg' in output.err
    content = json.loads((tmp_path / 'people.json').read_text())
    assert [image['file_name'] for image in content['images']] == NAMES[:2]


def test_existing_output_is_kept(run, tmp_path, capsys):
    path = tmp_path / 'people.json'
    path.write_text('mine')
    assert run() == 1
    assert '--force' in capsys.readouterr().err
    assert path.read_text() == 'mine'
    assert run('--force') == 0
    assert json.loads(path.read_text())['images']


def test_nobody_found(run, tmp_path, capsys):
    assert run('--score-thr', '1') == 0
    assert 'lower --score-thr' in capsys.readouterr().err


def test_model_that_does_not_know_people(run, detector, tmp_path, capsys):
    config, checkpoint = detector
    other = tmp_path / 'pets.pth'
    save(other, torch.load(checkpoint)['state_dict'], ('dog', 'cat', 'bird'))
    assert run(detector=(config, other)) == 1
    assert 'its classes are: dog, cat, bird' in capsys.readouterr().err


def test_checkpoint_that_does_not_fit(run, detector, tmp_path, capsys):
    config, checkpoint = detector
    state = torch.load(checkpoint)['state_dict']
    del state['backbone.stem.0.conv.weight']
    other = tmp_path / 'other.pth'
    save(other, state)
    assert run(detector=(config, other)) == 1
    error = capsys.readouterr().err
    assert '1 of ' in error
    assert 'backbone.stem.0.conv.weight' in error

    other.write_bytes(b'no checkpoint')
    assert run(detector=(config, other)) == 1
    assert str(other) in capsys.readouterr().err


@pytest.mark.parametrize('which', [0, 1])
def test_missing_files(run, detector, tmp_path, which, capsys):
    paths = list(detector)
    paths[which] = tmp_path / 'gone'
    assert run(detector=paths) == 1
    assert 'gone does not exist' in capsys.readouterr().err


def test_no_images(tool, tmp_path):
    with pytest.raises(FileNotFoundError, match='not a folder'):
        tool.list_images(tmp_path / 'gone')
    with pytest.raises(FileNotFoundError, match='holds no image'):
        tool.list_images(tmp_path)


def test_interrupt(tool, run, monkeypatch, capsys):
    def interrupt(args):
        raise KeyboardInterrupt

    monkeypatch.setattr(tool, 'run', interrupt)
    assert run() == 130
    assert 'same command' in capsys.readouterr().err


@pytest.mark.parametrize(
    'options', [['--nms'], ['--batch-size', '0'], ['--score-thr', '2']]
)
def test_bad_options(run, options, capsys):
    with pytest.raises(SystemExit) as info:
        run(*options)
    assert info.value.code == 2
    assert options[0] in capsys.readouterr().err
