import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS

from mmpose_pretext.synthetic import SceneConfig, make_dataset

ROOT = Path(__file__).parents[2]
CONFIG = (
    ROOT / 'configs/synthetic/integral-pose3d_res18-half_1xb16-12e_synthetic-64x64.py'
)
PRETRAINING = ROOT / 'configs/synthetic/wsp_res18-half_1xb8-12e_synthetic-128x128.py'


@pytest.fixture(scope='module')
def tool(load_tool):
    return load_tool('benchmarks/depth_probe.py')


@pytest.fixture(scope='module')
def people(load_tool, tmp_path_factory):
    """Images of several people with labels, and a config of WSP."""
    folder = tmp_path_factory.mktemp('order')
    scene = SceneConfig((128, 128), (2, 4))
    label = load_tool('dataset_converters/label_relative_depth.py')
    for seed, split in enumerate(('train', 'test')):
        annotations = make_dataset(folder, 4, scene, split=split, seed=seed)
        assert label.main([str(annotations), str(folder / f'{split}.json')]) == 0
    cfg = Config.fromfile(PRETRAINING)
    for loader in (cfg.train_dataloader, cfg.test_dataloader):
        loader.update(batch_size=3, num_workers=0, persistent_workers=False)
        loader.dataset.data_root = str(folder)
    cfg.train_dataloader.dataset.ann_file = 'train.json'
    cfg.test_dataloader.dataset.ann_file = 'test.json'
    cfg.dump(folder / 'wsp.py')
    return folder


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """Ten training images of a person each, six test images, and a config."""
    folder = tmp_path_factory.mktemp('depth_probe')
    scene = SceneConfig((128, 128), (1, 1))
    make_dataset(folder, 10, scene, split='train', seed=1)
    make_dataset(folder, 6, scene, split='val', seed=2)
    cfg = Config.fromfile(CONFIG)
    for loader in (cfg.train_dataloader, cfg.test_dataloader):
        loader.update(batch_size=4, num_workers=0, persistent_workers=False)
        loader.dataset.data_root = str(folder)
    cfg.dump(folder / 'pose3d.py')
    return folder


def save_pretraining(path, **head):
    """Write a network of WSP with random weights, whose map of depth is 5."""
    init_default_scope('mmpose')
    cfg = Config.fromfile(PRETRAINING).model
    cfg.head.update(head)
    torch.manual_seed(0)
    model = MODELS.build(cfg)
    torch.nn.init.zeros_(model.head.depth_layer.weight)
    torch.nn.init.constant_(model.head.depth_layer.bias, 5)
    torch.save(dict(state_dict=model.state_dict()), path)
    return str(path)


def probe(tool, config, out, *options):
    assert tool.main([str(config), '--out', str(out), *options]) == 0
    return json.loads(out.read_text())


def depths_by_hand(data, split):
    """Return depths behind the root of the people who are within their crop."""
    content = json.loads(
        (data / f'annotations/person_keypoints_{split}.json').read_text()
    )
    depths = []
    for person in content['annotations']:
        camera = content['images'][person['image_id']]['camera']
        points = np.array(person['keypoints_3d'])
        depth = points[:, 2]
        x, y = (
            camera[f'f{axis}'] * points[:, i] / depth + camera[f'c{axis}']
            for i, axis in enumerate('xy')
        )
        left, top, width, height = person['bbox']
        half = 1.25 * max(width, height) / 2
        far = np.abs([x - left - width / 2, y - top - height / 2]).max()
        if all(person['keypoints_3d_visible']) and far < half:
            depths.append(depth - depth[0])
    return np.array(depths)


def slow_ridge(x, y, new, strength):
    x, new = (np.column_stack([part, np.ones(len(part))]) for part in (x, new))
    penalty = strength * np.diag([1.0] * (x.shape[1] - 1) + [0.0])
    return new @ np.linalg.solve(x.T @ x + penalty, x.T @ y)


def slow_leave_one_out(x, y, strength):
    kept = [np.arange(len(x)) != i for i in range(len(x))]
    predicted = [slow_ridge(x[k], y[k], x[~k], strength)[0] for k in kept]
    return np.mean((np.array(predicted) - y) ** 2)


@pytest.mark.parametrize('num_features', [3, 30])
def test_leave_one_out_leaves_one_out(tool, num_features):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(12, num_features)), rng.normal(2, size=(12, 2))
    expected = [slow_leave_one_out(x, y, strength) for strength in tool.STRENGTHS]
    assert tool.leave_one_out(x, y) == pytest.approx(expected)


def test_regress(tool):
    """Two groups: the strength and the scale of the second are the best ones."""
    rng = np.random.default_rng(1)
    sizes = (40, 4), (9, 4), (40, 2), (9, 2)
    first, new_first, second, new_second = (
        rng.normal(3, 2, size=size) for size in sizes
    )
    y = first[:, :2] + 5 * second + 0.1 * rng.normal(size=(40, 2))

    def standardize(part, like):
        return (part - like.mean(axis=0)) / like.std(axis=0)

    best = np.inf, None
    for scale in tool.BRANCH_SCALES:
        x, new = (
            np.column_stack([standardize(one, first), scale * standardize(two, second)])
            for one, two in ((first, second), (new_first, new_second))
        )
        for strength in tool.STRENGTHS:
            error = slow_leave_one_out(x, y, strength)
            if error < best[0]:
                best = error, slow_ridge(x, y, new, strength)
    predicted = tool.regress([(first, new_first), (second, new_second)], y)
    np.testing.assert_allclose(predicted, best[1], rtol=1e-5)


def test_writes_a_result(tool, load_tool, data, tmp_path):
    checkpoint = save_pretraining(tmp_path / 'wsp.pth')
    out = tmp_path / 'probes' / '1_wsp' / '0.json'
    options = ['--checkpoint', checkpoint, '--fractions', '0.5', '1']
    result = probe(tool, data / 'pose3d.py', out, *options)
    assert result['checkpoint']['file'] == 'wsp.pth'
    metrics = result['metrics']
    assert set(metrics) == {
        f'{fraction}/{target}/{source}'
        for fraction in ('50pct', '100pct')
        for target in ('z', 'log_root')
        for source in ('constant', 'features', 'branch', 'features+branch')
    }
    train, test = (depths_by_hand(data, split) for split in ('train', 'val'))
    assert result['info']['people']['100pct'] == len(train) > 6
    assert result['info']['people_test'] == len(test) > 3
    error = np.abs(test - train.mean(axis=0)).mean()
    assert metrics['100pct/z/constant'] == pytest.approx(error, rel=1e-4)
    # a map of depth that is the same everywhere knows as much as a constant
    for target in ('z', 'log_root'):
        constant = metrics[f'100pct/{target}/constant']
        assert metrics[f'100pct/{target}/branch'] == pytest.approx(constant)
    table = load_tool('benchmarks/results.py').compare_models(
        tmp_path / 'probes', ['100pct/z/features']
    )
    assert f'| wsp | 1 | {metrics["100pct/z/features"]:.1f} |' in table


def test_random_weights_have_no_branch(tool, data, tmp_path):
    first, again, other = (
        probe(
            tool,
            data / 'pose3d.py',
            tmp_path / f'{i}.json',
            *('--seed', seed, '--fractions', '1'),
        )
        for i, seed in enumerate('112')
    )
    assert not any('branch' in name for name in first['metrics'])
    assert first['metrics'] == again['metrics']
    for name, same in (('constant', True), ('features', False)):
        one, two = (r['metrics'][f'100pct/z/{name}'] for r in (first, other))
        assert (one == two) == same


def test_order_in_metres(tool, people, tmp_path):
    """A map of depth that is the same everywhere leaves the focal length."""
    checkpoint = save_pretraining(tmp_path / 'wsp.pth')
    options = ['--checkpoint', checkpoint, '--fractions', '1']
    result = probe(tool, people / 'wsp.py', tmp_path / 'metres.json', *options)
    metrics = result['metrics']
    rows = {}
    for split in ('train', 'test'):
        content = json.loads((people / f'{split}.json').read_text())
        focal = {image['id']: image['camera']['fy'] for image in content['images']}
        rows[split] = np.array(
            [
                (np.log(focal[p['image_id']]), np.log(p['scale']), p['depth'])
                for p in content['annotations']
                if p['num_keypoints'] and p['scale']
            ]
        )
    train, test = rows['train'], rows['test']
    assert result['info']['people'] == {'100pct': len(train)}
    assert result['info']['people_test'] == len(test)

    def error(predicted):
        return pytest.approx(1000 * np.abs(predicted - test[:, 2]).mean(), rel=1e-4)

    assert metrics['100pct/depth/constant'] == error(np.median(train[:, 2]))
    focal = np.polyfit(train[:, 0], np.log(train[:, 2]), 1)
    assert metrics['100pct/depth/branch'] == error(
        np.exp(np.polyval(focal, test[:, 0]))
    )
    shift = np.mean(np.log(train[:, 2]) - train[:, 0] + train[:, 1])
    rule = np.exp(test[:, 0] - test[:, 1] + shift)
    assert metrics['100pct/depth/scale'] == error(rule)


def test_order_errors(tool):
    """Depths that a predictor fits are told without an error."""
    rng = np.random.default_rng(0)
    sets = []
    for size in (20, 10):
        names = ('branch', 'focal', 'scale')
        sets.append({name: rng.normal(size=size) for name in names})
    for exact, weights in (
        ('branch', (2, 0.5, 0)),
        ('scale', (0, 1, -1)),
        ('scale+branch', (0.5, 1, -0.5)),
    ):
        for people in sets:
            values = people['branch'], people['focal'], people['scale']
            people['depth'] = np.exp(8 + np.dot(weights, values))
        errors = tool.order_errors(*sets)
        exact_ones = {'depth/scale+branch', f'depth/{exact}'}
        for name, value in errors.items():
            assert (value < 1e-6) == (name in exact_ones), name


def refused(tool, data, tmp_path, capsys, *options, config='pose3d.py'):
    arguments = [str(data / config), '--out', str(tmp_path / 'out.json'), *options]
    assert tool.main(arguments) == 1
    assert not (tmp_path / 'out.json').exists()
    return capsys.readouterr().err


def test_bad_input(tool, data, tmp_path, capsys):
    error = refused(tool, data, tmp_path, capsys, '--fractions', '0')
    assert '--fractions must be in (0, 1], but got 0.0' in error
    error = refused(tool, data, tmp_path, capsys, '--checkpoint', 'none.pth')
    assert 'none.pth' in error
    own_depths = save_pretraining(tmp_path / 'own.pth', depth_per_keypoint=True)
    error = refused(tool, data, tmp_path, capsys, '--checkpoint', own_depths)
    assert 'own.pth: head.depth_layer.weight must have the shape (1, 64, 1, 1)' in error
    assert 'has (17, 64, 1, 1)' in error

    cfg = Config.fromfile(data / 'pose3d.py')
    cfg.model.type = 'TopdownPoseEstimator'
    cfg.model.head = dict(
        type='HeatmapHead',
        in_channels=256,
        out_channels=17,
        decoder=dict(
            type='MSRAHeatmap', input_size=(64, 64), heatmap_size=(16, 16), sigma=1
        ),
    )
    cfg.dump(data / 'heatmaps.py')
    error = refused(tool, data, tmp_path, capsys, config='heatmaps.py')
    assert 'must be an IntegralPose3DHead or a RelativeDepthHead, but is a He' in error

    near = ['+model.head.decoder.depth_range=1']
    error = refused(tool, data, tmp_path, capsys, '--cfg-options', *near)
    assert 'person_keypoints_val.json has no person whose root' in error


def test_bad_input_for_the_order(tool, people, tmp_path, capsys):
    error = refused(tool, people, tmp_path, capsys, config='wsp.py')
    assert 'needs --checkpoint' in error
    checkpoint = save_pretraining(tmp_path / 'own.pth', depth_per_keypoint=True)
    own = '--checkpoint', checkpoint
    error = refused(tool, people, tmp_path, capsys, *own, config='wsp.py')
    assert 'own.pth: too few tensors fit' in error
    assert 'head.depth_layer.weight: (17, 64, 1, 1) in the file' in error

    fitting = '--checkpoint', save_pretraining(tmp_path / 'wsp.pth')
    for key, expected in (
        ('scale', 'nobody has a visible keypoint, a scale and a depth'),
        ('camera', 'has no camera'),
    ):
        content = json.loads((people / 'test.json').read_text())
        for item in content['images'] + content['annotations']:
            item.pop(key, None)
        (people / f'no_{key}.json').write_text(json.dumps(content))
        without = '--cfg-options', f'test_dataloader.dataset.ann_file=no_{key}.json'
        error = refused(
            tool, people, tmp_path, capsys, *fitting, *without, config='wsp.py'
        )
        assert f'no_{key}.json' in error
        assert expected in error


def test_nothing_is_overwritten(tool, data, tmp_path, capsys):
    (tmp_path / 'mine.json').write_text('mine')
    arguments = [str(data / 'pose3d.py'), '--out', str(tmp_path / 'mine.json')]
    assert tool.main(arguments) == 1
    assert '--force' in capsys.readouterr().err
    assert (tmp_path / 'mine.json').read_text() == 'mine'
