import json

import pytest


@pytest.fixture
def tool(load_tool):
    return load_tool('dataset_converters/split_annotations.py')


@pytest.fixture
def ann_file(tmp_path):
    content = dict(
        info='kept',
        images=[dict(id=i, file_name=f'{i}.jpg') for i in range(20)],
        annotations=[dict(id=i, image_id=i // 2) for i in range(40)],
        categories=[dict(id=1)],
    )
    path = tmp_path / 'all.json'
    path.write_text(json.dumps(content))
    return path


def test_splits_by_images(tool, ann_file, tmp_path, capsys):
    outs = [tmp_path / 'new' / 'a.json', tmp_path / 'b.json']
    argv = [str(ann_file), *map(str, outs), '--fraction', '0.75']
    assert tool.main(argv) == 0
    assert '15 images, 30 annotations' in capsys.readouterr().out
    parts = [json.loads(out.read_text()) for out in outs]
    whole = json.loads(ann_file.read_text())
    for key in ('images', 'annotations'):
        both = sorted(parts[0][key] + parts[1][key], key=lambda e: e['id'])
        assert both == whole[key]
    for part, count in zip(parts, (15, 5), strict=True):
        assert len(part['images']) == count
        assert {a['image_id'] for a in part['annotations']} == {
            image['id'] for image in part['images']
        }
        assert part['info'] == 'kept'
        assert part['categories'] == whole['categories']
    before = outs[0].read_text()
    assert tool.main([*argv, '--seed', '1', '--force']) == 0
    assert outs[0].read_text() != before


def test_refusals(tool, ann_file, tmp_path, capsys):
    a, b = str(tmp_path / 'a.json'), str(tmp_path / 'b.json')
    (tmp_path / 'list.json').write_text('[]')
    for argv, message in (
        ([ann_file, a, b, '--fraction', '1'], '--fraction must be in (0, 1)'),
        ([ann_file, a, b, '--fraction', '0.999'], '20 images cannot be split at'),
        ([ann_file, a, a], 'must be different'),
        ([ann_file, ann_file, b], 'exists; --force overwrites it'),
        ([ann_file, ann_file, b, '--force'], 'must be different'),
        ([tmp_path / 'none.json', a, b], 'none.json'),
        ([tmp_path / 'list.json', a, b], 'list.json: it is no COCO-style json'),
    ):
        before = ann_file.read_text()
        assert tool.main([*map(str, argv)]) == 1
        error = capsys.readouterr().err
        assert message in error
        assert len(error.splitlines()) == 1
        assert ann_file.read_text() == before
        assert not (tmp_path / 'a.json').exists()
