import hashlib
import json

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS
from tiny_run import CONFIG, write_config


@pytest.fixture(scope='module')
def tool(load_tool):
    return load_tool('benchmarks/evaluate.py')


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Config and checkpoint of an untrained network, within the current folder."""
    config = write_config(tmp_path)
    init_default_scope('mmpose')
    torch.manual_seed(0)
    model = MODELS.build(Config.fromfile(config).model)
    checkpoint = tmp_path / 'iter_7.pth'
    meta = dict(seed=3, iter=7)
    torch.save(dict(state_dict=model.state_dict(), meta=meta), checkpoint)
    monkeypatch.chdir(tmp_path)
    return [str(config), str(checkpoint)]


def evaluate(tool, run, out, *options):
    name = f'visualizer.name={out.stem}_{out.parent.name}'  # one a process
    options = ['--cfg-options', name, *options]
    assert tool.main([*run, '--out', str(out), *options]) == 0
    return json.loads(out.read_text())


def test_writes_a_result(tool, load_tool, run, tmp_path):
    annotations = tmp_path / 'people.json'
    content = dict(
        images=[
            dict(id=i, file_name=f'{i}.png', width=48, height=64) for i in range(3)
        ],
        annotations=[
            dict(id=i, image_id=i, category_id=1, iscrowd=0, bbox=[8, 8, 32, 48])
            for i in range(3)
        ],
        categories=[dict(id=1, name='person')],
    )
    annotations.write_text(json.dumps(content))
    out = tmp_path / 'results' / '1_untrained' / '0.json'
    result = evaluate(tool, run, out, 'test_dataloader.dataset.ann_file=people.json')
    checkpoint = tmp_path / 'iter_7.pth'
    digest = hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    assert result['checkpoint'] == dict(file='iter_7.pth', sha256=digest)
    assert (result['config'], result['seed'], result['iterations']) == ('tiny', 3, 7)
    assert result['cfg_options']['test_dataloader.dataset.ann_file'] == 'people.json'
    (evaluated,) = result['info']['evaluated_on']
    assert evaluated['sha256'] == hashlib.sha256(annotations.read_bytes()).hexdigest()
    assert result['versions']['torch'] == torch.__version__
    assert 0 <= result['metrics']['jigsaw/cell_accuracy'] <= 1

    table = load_tool('benchmarks/results.py').compare_models(
        tmp_path / 'results', ['jigsaw/cell_accuracy']
    )
    value = 100 * result['metrics']['jigsaw/cell_accuracy']
    assert table.splitlines()[-1] == f'| untrained | 1 | {value:.1f} |'


def test_checkpoint_and_options_reach_the_network(tool, run, tmp_path):
    """Weights are the file's, whatever the seed; a grey image has another answer."""
    grey = 'model.data_preprocessor.std=[1e9,1e9,1e9]'
    first, grey, other_seed = (
        evaluate(tool, run, tmp_path / f'{i}.json', *options)['metrics']
        for i, options in enumerate(
            [['randomness.seed=1'], ['randomness.seed=1', grey], ['randomness.seed=2']]
        )
    )
    assert first == other_seed
    assert first != grey


@pytest.mark.parametrize(
    ('change', 'line'),
    [
        ('missing', 'missing in the file: 1 (backbone.conv1.weight)'),
        (
            'shape',
            'of another shape: 1 (backbone.conv1.weight: (64, 1, 7, 7) in the file, '
            '(64, 3, 7, 7) wanted)',
        ),
    ],
)
def test_checkpoint_of_another_network(tool, run, tmp_path, capsys, change, line):
    checkpoint = torch.load(run[1])
    weight = checkpoint['state_dict'].pop('backbone.conv1.weight')
    if change == 'shape':
        checkpoint['state_dict']['backbone.conv1.weight'] = weight[:, :1]
    torch.save(checkpoint, run[1])
    out = tmp_path / 'out.json'
    name = f'visualizer.name={change}'
    assert tool.main([*run, '--out', str(out), '--cfg-options', name]) == 1
    printed = capsys.readouterr().err
    assert f'evaluate.py: {run[1]} is of another network than {run[0]}: ' in printed
    assert line in [text.strip() for text in printed.splitlines()]
    assert not out.exists()


def test_overwrites_when_asked_to(tool, run, tmp_path, capsys):
    out = tmp_path / 'mine.json'
    out.write_text('mine')
    assert tool.main([*run, '--out', str(out)]) == 1
    assert capsys.readouterr().err == (
        f'evaluate.py: {out} exists; --force overwrites it\n'
    )
    assert out.read_text() == 'mine'
    assert tool.main([*run, '--out', str(out), '--force']) == 0
    assert json.loads(out.read_text())['config'] == 'tiny'


@pytest.mark.parametrize(
    ('argv', 'message'),
    [
        ([str(CONFIG), 'nothing.pth'], "checkpoint 'nothing.pth' is not a file"),
        (
            [str(CONFIG), __file__, '--cfg-options', 'test_dataloader.batchsize=1'],
            "unknown config option 'test_dataloader.batchsize'; did you mean "
            'test_dataloader.batch_size',
        ),
        (
            [str(CONFIG), __file__, '--cfg-options', 'test_evaluator=None'],
            'has no test_evaluator, which an evaluation needs',
        ),
    ],
)
def test_wrong_arguments(tool, tmp_path, capsys, argv, message):
    out = tmp_path / 'out.json'
    assert tool.main([*argv, '--out', str(out)]) == 1
    printed = capsys.readouterr().err
    assert message in printed
    assert printed.count('\n') == 1
    assert not out.exists()
