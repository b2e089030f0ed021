import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from mmengine.config import Config
from mmpose.apis import inference_topdown, init_model

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / 'configs' / 'location_free'
FULL = 'locfree_res18_1xb8-14e_lspet-fit-128x96'
CAM = 'locfree-cam_res18_1xb8-14e_lspet-fit-128x96'


@pytest.fixture
def tool(load_tool):
    return load_tool('visualizations/activation_maps.py')


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Two small networks with random weights, and images."""
    folder = tmp_path_factory.mktemp('activation_maps')
    for name in (FULL, CAM):
        cfg = Config.fromfile(CONFIGS / f'{name}.py')
        cfg.model.backbone.update(base_channels=16, stem_channels=16)
        channels = [64, 128][-len(cfg.model.head.in_channels) :]
        cfg.model.head.update(in_channels=channels, deconv_out_channels=(16, 16, 16))
        cfg.dump(folder / f'{name}.py')
        torch.manual_seed(0)
        model = init_model(folder / f'{name}.py', device='cpu')
        for parameter in model.head.parameters():
            torch.nn.init.normal_(parameter, std=0.2)
        torch.save(dict(state_dict=model.state_dict()), folder / f'{name}.pth')
    rng = np.random.default_rng(0)
    (folder / 'img' / 'sub').mkdir(parents=True)
    for name in ('a.png', 'a.jpg', 'sub/b.jpg'):
        img = rng.integers(0, 255, (60, 80, 3), dtype=np.uint8)
        cv2.imwrite(str(folder / 'img' / name), img)
    return folder


def arguments(folder, name, image, out, *others):
    run = [str(folder / f'{name}.py'), str(folder / f'{name}.pth')]
    return [*run, str(image), '--out', str(out), *others]


def test_pictures(tool, folder, tmp_path, capsys):
    argv = arguments(folder, FULL, folder / 'img' / 'a.jpg', tmp_path / 'new')
    picture = tmp_path / 'new' / 'a_0.png'
    assert tool.main(argv) == 0
    assert capsys.readouterr().out == f'{picture}\n'
    six = cv2.imread(str(picture))
    assert tool.main(argv) == 1
    assert f'{picture} exists; --force overwrites it' in capsys.readouterr().err
    assert tool.main([*argv, '--force', '--keypoints', 'neck', 'left_knee']) == 0
    assert cv2.imread(str(picture)).shape[0] < six.shape[0]


def test_what_is_drawn(tool, folder, tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        tool, 'draw_activations', lambda *args: drawn.append(args) or Figure()
    )
    red = np.zeros((100, 75, 3), dtype=np.uint8)
    red[..., 2] = 255
    image = tmp_path / 'red.png'
    cv2.imwrite(str(image), red)
    for name in (FULL, CAM):
        argv = arguments(folder, name, image, tmp_path, '--force')
        assert tool.main([*argv, '--keypoints', 'right_hip']) == 0
    img, maps, points, presence, keypoints, _, guidance = drawn[0]
    assert img.shape == (128, 96, 3)
    assert img[64, 48].tolist() == [255, 0, 0]
    assert img[0, 0].tolist() == [0, 0, 0]  # the padding about the box
    assert list(maps) == ['CAM', 'attention', 'similarity', 'final map']
    assert {m.shape for m in maps.values()} == {(14, 32, 24)}
    assert guidance.shape == (32, 24)
    assert keypoints == [7]
    assert list(drawn[1][1]) == ['CAM', 'final map']
    assert drawn[1][-1] is None

    # as MMPose would predict it
    model = tool.load_model(
        *arguments(folder, FULL, image, tmp_path)[:2], 'LocationFreeHead'
    )
    model.test_cfg['flip_test'] = False
    pipeline = model.cfg.test_dataloader.dataset.pipeline
    pipeline[:] = [s for s in pipeline if s.type.split('.')[-1] not in tool.LABELLING]
    (sample,) = inference_topdown(model, str(image))
    scale = np.array([75, 100]) * 1.25
    in_image = points / [96, 128] * scale + np.array([75, 100]) / 2 - scale / 2
    np.testing.assert_allclose(sample.pred_instances.keypoints[0], in_image, atol=1e-3)
    np.testing.assert_allclose(sample.pred_instances.presence[0, 0], presence, 1e-5)
    peaks = maps['final map'].max(axis=(1, 2))
    np.testing.assert_allclose(
        sample.pred_instances.keypoint_scores[0], peaks, rtol=1e-5
    )


def write_boxes(path, boxes):
    names = ['a.jpg', 'a.png', 'sub/b.jpg']
    content = dict(
        images=[
            dict(id=i, file_name=name, width=80, height=60)
            for i, name in enumerate(names)
        ],
        annotations=[
            dict(id=i, image_id=image, bbox=box, category_id=1)
            for i, (image, box) in enumerate(boxes)
        ],
    )
    path.write_text(json.dumps(content))
    return str(path)


def test_people(tool, folder, tmp_path):
    img, out = folder / 'img', Path('out')
    people = tool.find_people(img)
    names = [str(path) for path in tool.picture_paths(people, img, out)]
    assert names == ['out/a_0.png', 'out/a_1.png', 'out/sub/b_0.png']
    boxes = [(0, [5, 6, 20, 30]), (0, [30, 6, 20, 30]), (2, [0, 0, 80, 60])]
    ann_file = write_boxes(tmp_path / 'boxes.json', boxes)
    people = tool.find_people(img, ann_file)
    names = [str(path) for path in tool.picture_paths(people, img, out)]
    assert names == ['out/a_0.png', 'out/a_1.png', 'out/sub/b_0.png']
    people = tool.find_people(img / 'a.jpg', ann_file)
    assert [p['bbox'].tolist() for p in people] == [[[5, 6, 25, 36]], [[30, 6, 50, 36]]]
    with pytest.raises(ValueError, match='boxes.json names no person on .*a.png'):
        tool.find_people(img / 'a.png', ann_file)


def test_boxes_are_cropped(tool, folder, tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        tool, 'draw_activations', lambda *args: drawn.append(args[0]) or Figure()
    )
    ann_file = write_boxes(tmp_path / 'boxes.json', [(1, [20, 10, 24, 32])])
    argv = arguments(folder, CAM, folder / 'img', tmp_path, '--ann-file', ann_file)
    assert tool.main(argv) == 0
    img = cv2.imread(str(folder / 'img' / 'a.png'))[..., ::-1]
    # a box of 24x32, padded to 30x40, becomes 96x128
    x, y = np.meshgrid(np.arange(8, 90), np.arange(8, 120))
    expected = cv2.remap(
        img.astype(np.float32),
        (x * 30 / 96 + 32 - 15).astype(np.float32),
        (y * 40 / 128 + 26 - 20).astype(np.float32),
        cv2.INTER_LINEAR,
    )
    crop = drawn[0][8:120, 8:90]
    np.testing.assert_allclose(crop, expected, atol=8)  # fixed point interpolation


def test_keypoints_from_all_over_the_body(tool):
    few = dict(num_keypoints=3)
    assert tool.choose_keypoints(few) == [0, 1, 2]
    assert tool.choose_keypoints(dict(num_keypoints=16)) == [0, 3, 6, 9, 12, 15]


def test_bad_input(tool, folder, tmp_path, capsys):
    image = folder / 'img' / 'a.jpg'
    (tmp_path / 'empty').mkdir()
    for name, content in (('bad.jpg', b'no image'), ('bad.pth', b'no checkpoint')):
        (tmp_path / name).write_bytes(content)
    stock = (
        ROOT / 'configs/hsjp/benchmarks/td-hm_res18_scratch_1xb32-14e_lspet-128x96.py'
    )
    out = tmp_path / 'out'
    argv = arguments(folder, CAM, image, out)
    for arguments_, message in (
        (['none.py', *argv[1:]], 'none.py does not exist'),
        ([argv[0], 'none.pth', *argv[2:]], 'none.pth does not exist'),
        ([argv[0], str(tmp_path / 'bad.pth'), *argv[2:]], 'bad.pth is damaged or not'),
        (
            [argv[0], str(folder / f'{FULL}.pth'), *argv[2:]],
            f'{FULL}.pth does not fit {argv[0]}: coverage',
        ),
        (
            [str(stock), *argv[1:]],
            'has the head HeatmapHead, but this needs a LocationFreeHead',
        ),
        (arguments(folder, CAM, tmp_path / 'none.jpg', out), 'none.jpg does not exist'),
        (
            arguments(folder, CAM, tmp_path / 'bad.jpg', out),
            'bad.jpg cannot be decoded',
        ),
        (arguments(folder, CAM, tmp_path / 'empty', out), 'empty holds no image (.jpg'),
        ([*argv, '--ann-file', 'none.json'], 'none.json does not exist'),
        (
            [*argv, '--keypoints', 'neck', 'nose', 'tail'],
            '--keypoints has nose, tail, but the keypoints are: left_shoulder, ',
        ),
    ):
        assert tool.main(arguments_) == 1
        error = capsys.readouterr().err
        assert error.startswith('activation_maps.py: ')
        assert message in error
    assert not out.exists()
