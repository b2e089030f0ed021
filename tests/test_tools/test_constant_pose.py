import json
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import DefaultScope

CONFIG = (
    Path(__file__).parents[2]
    / 'configs/synthetic/td-hm_res18-half_scratch_1xb16-30e_synthetic-96x64.py'
)
# places in the box of the people in the training set; visibility below
BASE = np.linspace([0.1, 0.3], [0.9, 0.7], 17)
TRAIN = [BASE - 0.05, BASE + 0.4, BASE]
TRAIN_BOXES = [(0, 0, 100, 50), (20, 40, 60, 120), (100, 10, 40, 40)]


def person(place, box, id_, visible=None):
    points = np.array(box[:2]) + place * box[2:]
    visible = np.full(17, 2) if visible is None else np.array(visible)
    points = np.column_stack([points, np.ones(17)]) * (visible > 0)[:, None]
    points[:, 2] = visible
    return dict(
        id=id_,
        image_id=id_,
        category_id=1,
        iscrowd=0,
        bbox=list(box),
        area=box[2] * box[3],
        num_keypoints=int((visible > 0).sum()),
        keypoints=points.ravel().tolist(),
    )


def write(path, annotations):
    content = dict(
        images=[
            dict(id=a['id'], file_name=f'{a["id"]}.jpg', width=500, height=500)
            for a in annotations
        ],
        annotations=annotations,
        categories=[dict(id=1, name='person')],
    )
    path.write_text(json.dumps(content))


@pytest.fixture(scope='module')
def tool(load_tool):
    return load_tool('benchmarks/constant_pose.py')


@pytest.fixture
def data(tmp_path):
    """Annotations without any image, and a config of them."""
    visible = np.full((3, 17), 2)
    visible[0, 14] = 0  # the median of two people
    visible[:2, 15] = 0  # of one
    visible[:, 16] = 0  # of none
    annotations = [
        person(place, box, i + 1, seen)
        for i, (place, box, seen) in enumerate(
            zip(TRAIN, TRAIN_BOXES, visible, strict=True)
        )
    ]
    write(tmp_path / 'train.json', annotations)
    seen = np.full(17, 2)
    seen[14:] = 0
    write(
        tmp_path / 'test.json',
        [
            person(BASE, (30, 20, 80, 160), 1, seen),
            # 30 of 200 pixels away
            person(BASE + [0, 0.15], (0, 0, 50, 200), 2, seen),
        ],
    )
    cfg = Config.fromfile(CONFIG)
    for loader, name in (('train_dataloader', 'train'), ('test_dataloader', 'test')):
        cfg[loader].dataset.update(
            data_root=str(tmp_path),
            ann_file=f'{name}.json',
            data_prefix=dict(img='images/'),
        )
    cfg.val_dataloader = cfg.test_dataloader
    cfg.test_evaluator = cfg.val_evaluator = dict(
        type='Evaluator',
        metrics=[
            dict(type='CocoMetric', ann_file=str(tmp_path / 'test.json')),
            dict(type='PCKAccuracy', thr=0.1, prefix='pck@0.1'),
            dict(type='PCKAccuracy', thr=0.2, prefix='pck@0.2'),
            dict(type='mmpose_pretext.PresenceAP'),
            dict(type='mmpose_pretext.LeftRightConfusion', thr=0.2),
        ],
    )
    cfg.dump(tmp_path / 'tiny.py')
    return tmp_path


def run(tool, data, *options, pose='median'):
    return tool.main([str(data / 'tiny.py'), '--pose', pose, *map(str, options)])


def build(tool, data, name):
    cfg = Config.fromfile(data / 'tiny.py')
    with DefaultScope.overwrite_default_scope('mmpose'):
        return tool.build_dataset(cfg[f'{name}_dataloader'].dataset)


def test_median_pose_is_in_the_box(tool, data):
    pose = tool.median_pose(list(tool.people(build(tool, data, 'train'))))
    expected = BASE.copy()
    expected[14] += 0.2
    expected[16] = 0.5
    np.testing.assert_allclose(pose, expected, atol=1e-6)


def test_predictions_are_those_of_an_estimator(tool, data):
    test = build(tool, data, 'test')
    pose = np.tile([0.25, 0.75], (17, 1))
    first, second = tool.predict(test, [pose, pose + 1])
    pred = first.pred_instances
    assert pred.keypoints.shape == (1, 17, 2)
    np.testing.assert_allclose(pred.keypoints[0, 3], [30 + 20, 20 + 120])
    np.testing.assert_allclose(second.pred_instances.keypoints[0, 3], [62.5, 350])
    assert pred.keypoint_scores.shape == (1, 17)
    assert (pred.keypoint_scores == 1).all()
    gt = first.gt_instances
    np.testing.assert_allclose(gt.bboxes, [[30, 20, 110, 180]])
    np.testing.assert_allclose(gt.keypoints[0, 0], [30 + 8, 20 + 48])
    assert first.img_id == 1


def test_metrics_of_the_median_and_result_file(tool, load_tool, data, capsys):
    out = data / 'results' / '1.json'
    assert run(tool, data, '--out', out) == 0
    printed = capsys.readouterr().out
    assert 'left out, as they need more than places: mmpose_pretext.PresenceAP' in (
        printed
    )
    result = json.loads(out.read_text())
    assert result['metrics'].items() >= {'pck@0.1/PCK': 0.5, 'pck@0.2/PCK': 1.0}.items()
    assert result['metrics']['left_right/correct'] == 1
    assert 0 < result['metrics']['coco/AP'] < 1
    assert not any(name.startswith('presence') for name in result['metrics'])
    assert result['images'] == 3
    (used,) = result['info']['evaluated_on']
    assert used['file'] == str(data / 'test.json')
    results = load_tool('benchmarks/results.py')
    table = results.make_table(out.parent, ['pck@0.1/PCK', 'pck@0.2/PCK'])
    row = '| always the median pose | `tiny` | 0 | 3 | 50.0 | 100.0 |'
    assert table.splitlines()[-1] == row
    assert run(tool, data, '--out', out) == 1
    assert 'exists; --force overwrites it' in capsys.readouterr().err
    assert run(tool, data, '--out', out, '--force', '--seed', 5) == 0
    again = json.loads(out.read_text())
    assert again['metrics'] == result['metrics']


def test_random_places_are_seeded_and_uniform_in_the_box(tool, data, monkeypatch):
    # many people in one box
    write(
        data / 'test.json', [person(BASE, (30, 20, 80, 160), i) for i in range(1, 201)]
    )
    samples = {}
    predict = tool.predict

    def recorded(*args):
        return samples.setdefault(seed, predict(*args))

    monkeypatch.setattr(tool, 'predict', recorded)
    metrics = {}
    for seed in (0, 1):
        assert run(tool, data, '--seed', seed, '--out', data / 'r', pose='random') == 0
        result = json.loads((data / 'r').read_text())
        (data / 'r').unlink()
        assert (result['seed'], result['images']) == (seed, 0)
        assert result['label'] == 'random place in the box'
        metrics[seed] = result['metrics']
    places = np.stack([s.pred_instances.keypoints[0] for s in samples[0]])
    assert (places >= [30, 20]).all()
    assert (places <= [110, 180]).all()
    # of each keypoint, over 200 people: standard error 0.02 of the box
    places = (places - [30, 20]) / [80, 160]
    np.testing.assert_allclose(places.mean(axis=0), 0.5, atol=0.09)
    np.testing.assert_allclose(places.std(axis=0), 12**-0.5, atol=0.05)
    assert abs(np.corrcoef(places[:, 0].T)[0, 1]) < 0.25
    assert metrics[0] != metrics[1]
    assert run(tool, data, '--seed', '1', '--out', data / 'r', pose='random') == 0
    assert json.loads((data / 'r').read_text())['metrics'] == metrics[1]


def test_places_that_training_does_not_know_are_not_used(tool, data):
    cfg = Config.fromfile(data / 'tiny.py')
    cfg.train_dataloader.dataset = dict(
        type='mmpose_pretext.LabelFraction',
        fraction=0.3,
        keep_rest=True,
        dataset=cfg.train_dataloader.dataset,
    )
    cfg.dump(data / 'tiny.py')
    assert run(tool, data, '--out', data / 'few.json') == 0
    assert json.loads((data / 'few.json').read_text())['images'] == 1


def test_options_change_the_config(tool, data, capsys):
    (data / 'test.json').rename(data / 'other.json')
    path = data / 'other.json'
    options = [
        '--cfg-options',
        'test_dataloader.dataset.ann_file=other.json',
        f'test_evaluator.metrics.0.ann_file={path}',
    ]
    assert run(tool, data, *options) == 0
    assert run(tool, data, '--cfg-options', 'test_dataloader.dataset.anfile=x') == 1
    error = capsys.readouterr().err
    assert 'did you mean test_dataloader.dataset.ann_file' in error


def test_errors_name_what_is_missing(tool, data, capsys):
    assert tool.main(['td-hm_gone', '--pose', 'median']) == 1
    assert "config 'td-hm_gone' is neither a file" in capsys.readouterr().err

    (data / 'train.json').unlink()
    assert run(tool, data) == 1
    assert str(data / 'train.json') in capsys.readouterr().err
    assert run(tool, data, pose='random') == 0

    cfg = Config.fromfile(data / 'tiny.py')
    evaluator = dict(type='mmpose_pretext.PresenceAP')
    cfg.test_evaluator = evaluator
    cfg.dump(data / 'tiny.py')
    assert run(tool, data, pose='random') == 1
    assert 'has no metric that looks at places only' in capsys.readouterr().err


def test_other_data_are_refused(tool, data, capsys):
    path = data / 'tiny.py'
    cfg = Config.fromfile(path)
    cfg.test_dataloader.dataset.data_mode = 'bottomup'
    annotations = [person(BASE, (30, 20, 80, 160), i) for i in (1, 2)]
    content = dict(
        images=[dict(id=1, file_name='1.jpg', width=500, height=500)],
        annotations=[dict(a, image_id=1) for a in annotations],
        categories=[dict(id=1, name='person')],
    )
    (data / 'test.json').write_text(json.dumps(content))
    cfg.dump(path)
    assert run(tool, data, pose='random') == 1
    assert 'sample 0 of the CocoDataset must be one person' in capsys.readouterr().err

    cfg = Config.fromfile(path)
    cfg.test_dataloader.dataset.data_mode = 'topdown'
    cfg.train_dataloader.dataset.type = 'CrowdPoseDataset'
    cfg.dump(path)
    assert run(tool, data) == 1
    assert 'must have the same keypoints' in capsys.readouterr().err
