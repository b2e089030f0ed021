import json

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import DefaultScope


@pytest.fixture(scope='module')
def tool(load_tool):
    return load_tool('benchmarks/pipeline_speed.py')


@pytest.fixture(scope='module')
def data(tmp_path_factory, load_tool):
    """Three photographs of two people each, and the packed crops."""
    root = tmp_path_factory.mktemp('data')
    rng = np.random.default_rng(0)
    images, annotations = [], []
    for image_id in range(1, 4):
        name = f'{image_id}.jpg'
        img = rng.integers(0, 256, (200, 300, 3), dtype=np.uint8)
        assert cv2.imwrite(str(root / name), img)
        images.append(dict(id=image_id, file_name=name, width=300, height=200))
        for x in (50, 150):
            points = np.full((17, 3), 2)
            points[:, :2] = rng.integers(60, 100, (17, 2))
            annotations.append(
                dict(
                    id=len(annotations) + 1,
                    image_id=image_id,
                    category_id=1,
                    iscrowd=0,
                    bbox=[x, 50, 40, 100],
                    area=2000,
                    num_keypoints=17,
                    keypoints=points.ravel().tolist(),
                )
            )
    content = dict(
        images=images, annotations=annotations, categories=[dict(id=1, name='person')]
    )
    (root / 'people.json').write_text(json.dumps(content))
    pack = load_tool('dataset_converters/pack_person_crops.py')
    argv = [root / 'people.json', root, root / 'packed', '--workers', '0']
    assert pack.main(list(map(str, argv))) == 0
    return root


def run(tool, data, *options, packed='packed'):
    argv = [data / 'people.json', data, data / packed, '--repeats', '2', *options]
    return tool.main(list(map(str, argv)))


def test_table_and_times(tool, data, tmp_path, capsys):
    out = tmp_path / 'new' / 'speed.json'
    threads = cv2.getNumThreads()
    assert run(tool, data, '--out', out) == 0
    assert cv2.getNumThreads() == threads
    content = json.loads(out.read_text())
    assert content['people'] == 6
    assert list(content['milliseconds']) == [
        'stock, photographs',
        'stock, packed crops',
        'HSJP, photographs',
        'HSJP, packed crops',
    ]
    for times in content['milliseconds'].values():
        assert len(times['total']) == 2
        for loading, total in zip(times['loading'], times['total'], strict=True):
            assert 0 < loading < total
    printed = capsys.readouterr().out
    assert '6 people, 2 repeats' in printed
    for name, value in content['ratios'].items():
        assert f'| {name} | {value:.2f}x |' in printed

    assert run(tool, data, '--out', out) == 1
    assert '--force' in capsys.readouterr().err
    assert run(tool, data, '--out', out, '--force') == 0


def test_both_sources_give_the_same_samples(tool, data):
    sources = [
        (data / 'people.json', str(data), None),
        (data / 'packed' / 'crops.json', '', data / 'packed' / 'crops.lmdb'),
    ]
    for file in (tool.STOCK, tool.HSJP):
        config = Config.fromfile(file).train_dataloader.dataset
        with DefaultScope.overwrite_default_scope('mmpose'):
            datasets = [tool.build_dataset(config, *source) for source in sources]
        assert [len(dataset) for dataset in datasets] == [6, 6]
        for dataset in datasets:
            assert dataset[0]['inputs'].shape == (3, 256, 192)
        assert config.pipeline[0].get('backend_args') is None


def test_ratios_are_those_of_the_times(tool):
    times = {
        'stock, photographs': dict(loading=[6, 40, 6], total=[10, 100, 12]),
        'stock, packed crops': dict(loading=[2, 5, 2], total=[4, 25, 6]),
        'HSJP, photographs': dict(loading=[6, 40, 6], total=[20, 200, 12]),
        'HSJP, packed crops': dict(loading=[1, 10, 2], total=[5, 20, 6]),
    }
    table, ratios = tool.summarize(times)
    assert list(ratios.values()) == [3, 2.5, 5, 0.5, 1, 2]
    assert '| stock, photographs | 6.00 | 12.00 | 83 |' in table


def test_packed_of_other_people(tool, data, capsys):
    path = data / 'fewer.json'
    content = json.loads((data / 'people.json').read_text())
    content['annotations'].pop()
    path.write_text(json.dumps(content))
    assert tool.main([str(path), str(data), str(data / 'packed')]) == 1
    assert 'different people' in capsys.readouterr().err


def test_missing_packed(tool, data, capsys):
    assert run(tool, data, packed='gone') == 1
    assert 'pack_person_crops.py' in capsys.readouterr().err


@pytest.mark.parametrize('options', [['--cold'], ['--repeats', '0']])
def test_bad_options(tool, data, options, capsys):
    with pytest.raises(SystemExit) as info:
        run(tool, data, *options)
    assert info.value.code == 2
    assert options[0] in capsys.readouterr().err
