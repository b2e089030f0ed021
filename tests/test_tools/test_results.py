import json
import re
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
POSE = 'td-hm_res18-half_scratch_1xb16-30e_synthetic-96x64'


@pytest.fixture
def tool(load_tool):
    return load_tool('benchmarks/results.py')


def test_collect_and_table(tool, demo_dir, tmp_path):
    out = tmp_path / 'results' / '1.json'
    work_dir = str(demo_dir / 'work_dirs' / POSE)
    assert tool.main(['collect', work_dir, str(out), '--label', 'a run']) == 0
    result = json.loads(out.read_text())
    assert result['config'] == POSE
    assert result['seed'] == 0
    assert result['epochs'] == 1
    assert result['iterations'] == 2
    assert result['images'] == 4
    assert result['curve'][-1]['coco/AP'] == result['metrics']['coco/AP']
    readme = tmp_path / 'README.md'
    readme.write_text(
        'before\n<!-- table: results pck@0.1/PCK coco/AP -->\nold\n'
        '<!-- end of table -->\nafter\n'
    )
    assert tool.main(['tables', str(readme)]) == 0
    lines = readme.read_text().splitlines()
    assert lines[0] == 'before'
    assert lines[-1] == 'after'
    assert 'old' not in lines
    pck = f'{100 * result["metrics"]["pck@0.1/PCK"]:.1f}'
    assert lines[4].startswith(f'| a run | `{POSE}` | 0 | 4 | {pck} |')
    text = readme.read_text()
    assert tool.main(['tables', str(readme)]) == 0
    assert readme.read_text() == text


def test_images_of_several_gpus(tool, demo_dir, tmp_path, capsys):
    work_dir = tmp_path / 'run'
    shutil.copytree(demo_dir / 'work_dirs' / POSE, work_dir)
    (log,) = work_dir.glob('*/*.log')
    text = log.read_text()
    assert text.count('GPU number: 1\n') == 1
    log.write_text(text.replace('GPU number: 1\n', 'GPU number: 8\n'))
    out = tmp_path / '1.json'
    assert tool.main(['collect', str(work_dir), str(out), '--label', 'a run']) == 0
    assert json.loads(out.read_text())['images'] == 8 * 4
    resumed = log.parent.with_name('later')
    resumed.mkdir()
    (resumed / 'later.log').write_text(text)
    argv = ['collect', str(work_dir), str(tmp_path / '2.json'), '--label', 'a run']
    assert tool.main(argv) == 1
    assert 'trained by 1 and 8 processes' in capsys.readouterr().err


def test_refusals(tool, demo_dir, tmp_path, capsys):
    out = tmp_path / '1.json'
    out.write_text('precious')
    work_dir = str(demo_dir / 'work_dirs' / POSE)
    assert tool.main(['collect', work_dir, str(out), '--label', 'x']) == 1
    assert 'exists; --force' in capsys.readouterr().err
    assert out.read_text() == 'precious'
    new = str(tmp_path / 'new.json')
    assert tool.main(['collect', str(tmp_path), new, '--label', 'x']) == 1
    assert 'must hold one config' in capsys.readouterr().err
    readme = tmp_path / 'README.md'
    for text, message in (
        ('no block', 'has no block'),
        ('<!-- table: none a/b -->\n<!-- end of table -->', 'holds no json file'),
        ('<!-- table: full a/b -->\n<!-- end of table -->', "no metric 'a/b', but c/d"),
    ):
        (tmp_path / 'full').mkdir(exist_ok=True)
        (tmp_path / 'full' / '1.json').write_text('{"metrics": {"c/d": 1}}')
        readme.write_text(text)
        assert tool.main(['tables', str(readme)]) == 1
        assert message in capsys.readouterr().err
        assert readme.read_text() == text


@pytest.fixture
def models(tmp_path):
    """A table of two models, of two runs and of one, and how to change a run."""

    def write(path, evaluated_on='set', iterations=4, **metrics):
        (tmp_path / 'results' / path).parent.mkdir(parents=True, exist_ok=True)
        run = dict(metrics=metrics, info=dict(evaluated_on=evaluated_on))
        run['iterations'] = iterations
        (tmp_path / 'results' / path).write_text(json.dumps(run))

    write('2_net_four-windows/0.json', pck=0.25, ap=0.5)
    write('2_net_four-windows/1.json', pck=0.27, ap=0.5)
    write('10_random/0.json', pck=0.01)
    readme = tmp_path / 'README.md'
    readme.write_text('<!-- models: results pck ap -->\n<!-- end of models -->')
    return readme, write


def test_table_of_models(tool, models):
    readme, _ = models
    assert tool.main(['tables', str(readme)]) == 0
    assert readme.read_text().splitlines()[1:-1] == [
        '| model | seeds | pck | ap |',
        '|---|---:|---:|---:|',
        '| random | 1 | 1.0 | - |',
        '| net, four-windows | 2 | 26.0 ± 1.4 | 50.0 ± 0.0 |',
    ]


def test_lengths_are_no_shares(tool, models):
    readme, write = models
    write('10_random/0.json', pck=0.01, ap=0.9, mm=120.25)
    write('2_net_four-windows/1.json', pck=0.27, ap=0.5, mm=0.5)
    write('2_net_four-windows/0.json', pck=0.25, ap=0.5, mm=1.5)
    readme.write_text('<!-- models: results pck mm -->\n<!-- end of models -->')
    assert tool.main(['tables', str(readme)]) == 0
    assert readme.read_text().splitlines()[3:-1] == [
        '| random | 1 | 1.0 | 120.2 |',
        '| net, four-windows | 2 | 26.0 ± 1.4 | 1.0 ± 0.7 |',
    ]


@pytest.mark.parametrize(
    ('path', 'change', 'message'),
    [
        ('10_random/1.json', dict(pck=1, ap=1), "only some results in .* have 'ap'"),
        ('10_random/0.json', dict(evaluated_on='b', pck=1), 'different sets'),
        ('9_empty/x.txt', dict(), '9_empty holds no json file'),
        ('10_random/1.json', dict(pck=1, iterations=5), 'cannot be seeds of one'),
    ],
)
def test_models_that_cannot_be_compared(tool, models, capsys, path, change, message):
    readme, write = models
    write(path, **change)
    assert tool.main(['tables', str(readme)]) == 1
    assert re.search(message, capsys.readouterr().err)


def test_unknown_metric_of_models(tool, models, capsys):
    readme, _ = models
    readme.write_text('<!-- models: results pkc -->\n<!-- end of models -->')
    assert tool.main(['tables', str(readme)]) == 1
    assert "has the metric 'pkc'" in capsys.readouterr().err


@pytest.mark.parametrize(
    'readme',
    [p for p in sorted(ROOT.glob('configs/*/*.md')) if '<!-- end of' in p.read_text()],
)
def test_tables_of_the_documentation_are_those_of_the_results(tool, readme):
    assert readme.read_text() == tool.fill_tables(readme)
    for block in tool.STUDY_BLOCK.finditer(readme.read_text()):
        folder = readme.parent / block['folder']
        summary = tool.summarize(tool.read_study(folder), block['metric'])
        plot = tool.plot_path(folder, block['metric'])
        assert tool.plot_is_current(summary, plot)
