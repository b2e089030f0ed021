import csv
import json
import re
import shutil
import subprocess

import cv2
import numpy as np
import pytest

from mmpose_pretext.datasets import PresenceDataset

# Enough of a browser for the script of a sheet: it clicks what CLICKS says, by the
# number of the region and the text at the start of a button, then downloads.
BROWSER = r"""
class Element {
  constructor() { this.children = []; this.style = {}; }
  append(child) { this.children.push(child); }
  click() { if (this.download) console.log(this.href); else this.onclick(); }
}
const elements = {};
globalThis.window = {};
globalThis.document = {
  createElement: () => new Element(),
  getElementById: id => elements[id] ??= new Element(),
};
globalThis.Blob = class { constructor(parts) { this.text = parts.join(''); } };
globalThis.URL = {createObjectURL: blob => JSON.stringify(blob.text)};
SCRIPT
const buttons = element => [element, ...element.children.flatMap(buttons)]
  .filter(e => e.onclick || e.children.length === 0);
for (const [region, text] of CLICKS) {
  const found = buttons(elements.regions.children[region])
    .filter(e => e.onclick && e.textContent.startsWith(text));
  if (found.length !== 1) throw new Error(found.length + ' buttons ' + text);
  found[0].click();
}
elements.download.click();
console.log(JSON.stringify(elements.count.textContent));
"""
NAMES = ['nose', 'left_knee', 'right_knee']


@pytest.fixture(scope='module')
def tool(load_tool):
    return load_tool('dataset_converters/make_presence_windows.py')


@pytest.fixture
def photos(tmp_path):
    """Images in which the place of a pixel is its colour, in B and G."""
    folder = tmp_path / 'photos, of "people"'
    folder.mkdir()
    place = np.indices((100, 120)).transpose(1, 2, 0)[..., ::-1] * 2
    img = np.dstack([place, np.zeros((100, 120))]).astype(np.uint8)
    for name in ('a, "1".png', 'b.png'):
        cv2.imwrite(str(folder / name), img)
    return folder


@pytest.fixture
def ann_file(tmp_path):
    def image(id_, name):
        return dict(id=id_, file_name=name, width=120, height=100)

    def person(id_, image_id, *bbox, **kwargs):
        return dict(id=id_, image_id=image_id, category_id=1, bbox=bbox, **kwargs)

    content = dict(
        images=[image(1, 'a, "1".png'), image(2, 'b.png')],
        annotations=[
            person(1, 1, 20.25, 30, 40, 50, keypoints=[1, 2, 2] * 17),
            person(2, 1, 90, 0, 50, 60.5),  # reaches out of the image
            person(3, 2, 10, 20, 30, 40),
            person(4, 2, 10, 20, 30, 40),  # the same again
            person(5, 2, 0, 0, 90, 90, iscrowd=1),
        ],
    )
    path = tmp_path / 'people.json'
    path.write_text(json.dumps(content))
    return path


@pytest.fixture
def run(tool, tmp_path, photos, ann_file):
    def run_tool(*options, source=ann_file, prefix=photos, out='out'):
        argv = [str(source), '--out', str(tmp_path / out), *options]
        return tool.main([*argv, '--img-prefix', str(prefix)] if prefix else argv)

    return run_tool


@pytest.fixture
def metainfo(tmp_path):
    """File of a metainfo with three keypoints."""
    info = dict(
        dataset_name='three',
        keypoint_info={i: dict(name=name, id=i) for i, name in enumerate(NAMES)},
        skeleton_info={},
        joint_weights=[1.0] * 3,
        sigmas=[0.1] * 3,
    )
    path = tmp_path / 'three.py'
    path.write_text(f'dataset_info = {info!r}\n')
    return path


def rows(path):
    with open(path, newline='') as file:
        return list(csv.DictReader(file))


def corners(row, what):
    return [float(row[f'{what}_{name}'] or 'nan') for name in ('x1', 'y1', 'x2', 'y2')]


def data_of(page):
    return json.loads(re.search(r'const data = (.*);\n', page.read_text()).group(1))


def read(path, photos, metainfo='configs/_base_/datasets/coco.py'):
    dataset = PresenceDataset(
        ann_file=str(path),
        data_prefix=dict(img=str(photos)),
        metainfo=dict(from_file=str(metainfo)),
    )
    return [dataset.get_data_info(i) for i in range(len(dataset))]


def read_with_an_answer(path, photos):
    """Read the CSV with its last cell of the first row filled in: 1."""
    header, first, *others = path.read_text().splitlines()
    filled = path.with_name('filled.csv')
    filled.write_text('\n'.join([header, f'{first}1', *others]))
    return read(filled, photos)


def test_csv_is_ready_to_fill_in(run, tmp_path, photos, capsys):
    assert run('--windows', '3') == 0
    output = capsys.readouterr().out
    assert '3 people, 12 regions, 68 answers a person' in output
    table = rows(tmp_path / 'out' / 'presence.csv')
    assert len(table) == 12
    assert [row['image'] for row in table[::4]] == ['a, "1".png'] * 2 + ['b.png']
    assert corners(table[0], 'box') == [20.25, 30, 60.25, 80]
    assert corners(table[4], 'box') == [90, 0, 120, 60.5]
    # the box grown by 1.25 and clipped to the image
    seen = (
        [15.25, 23.75, 65.25, 86.25],
        [86.25, 0, 120, 68.0625],
        [6.25, 15, 43.75, 65],
    )
    for i, row in enumerate(table):
        assert list(row)[9:12] == ['nose', 'left_eye', 'right_eye']
        assert set(list(row.values())[9:]) == {''}
        window = np.array(corners(row, 'window'))
        if i % 4:
            x1, y1, x2, y2 = seen[i // 4]
            assert (window[:2] >= [x1 - 0.01, y1 - 0.01]).all()
            assert (window[2:] <= [x2 + 0.01, y2 + 0.01]).all()
            part = np.prod(window[2:] - window[:2]) / ((x2 - x1) * (y2 - y1))
            assert 0.05 < part < 0.51
        else:
            assert np.isnan(window).all()

    with pytest.raises(ValueError, match='has no answer'):
        read(tmp_path / 'out' / 'presence.csv', photos)
    people = read_with_an_answer(tmp_path / 'out' / 'presence.csv', photos)
    assert len(people) == 3
    for person, whole in zip(people, table[::4], strict=True):
        assert person['presence'].shape == (4, 17)
        known = np.argwhere(person['presence'] != -1).tolist()
        assert known == ([[0, 16]] if person is people[0] else [])
        np.testing.assert_allclose(person['bbox'][0], corners(whole, 'box'))
        np.testing.assert_array_equal(
            person['presence_windows'][0, 0], person['bbox'][0, :2]
        )


def test_windows_depend_on_seed_and_person_only(run, tmp_path, ann_file):
    def table(out, *options):
        assert run(*options, out=out) == 0
        return (tmp_path / out / 'presence.csv').read_text().splitlines()

    first = table('first')
    assert table('again') == first
    other_seed = table('seed', '--seed', '1')
    # only the header and the whole boxes stay
    assert [i for i in range(len(first)) if first[i] == other_seed[i]] == [0, 1, 6, 11]

    content = json.loads(ann_file.read_text())
    content['annotations'] = content['annotations'][1:3]
    content['annotations'][0]['keypoints'] = [5, 5, 1] * 17
    ann_file.write_text(json.dumps(content))
    assert table('fewer') == [first[0], *first[6:]]


def test_key_is_written_in_the_csv(run, tmp_path):
    from mmpose_pretext.datasets.transforms.presence_windows import (
        draw_windows,
        window_rng,
    )

    assert run('--windows', '2', '--seed', '7') == 0
    table = rows(tmp_path / 'out' / 'presence.csv')
    windows = draw_windows(window_rng(7, 'a, "1".png:20.25,30,60.25,80'), 2)
    expected = [15.25, 23.75] * 2 + windows * ([50, 62.5] * 2)
    np.testing.assert_allclose(
        [corners(row, 'window') for row in table[1:3]], expected, atol=0.006
    )


def test_keypoints_are_never_read(run, tmp_path, ann_file):
    assert run(out='with') == 0
    content = json.loads(ann_file.read_text())
    del content['annotations'][0]['keypoints']
    ann_file.write_text(json.dumps(content))
    assert run(out='without') == 0
    for old in (tmp_path / 'with').rglob('*.*'):
        new = tmp_path / 'without' / old.relative_to(tmp_path / 'with')
        assert old.read_bytes() == new.read_bytes()


def test_sheets_show_the_windows(run, tmp_path):
    assert run('--windows', '2', '--per-sheet', '2') == 0
    sheets = tmp_path / 'out' / 'sheets'
    assert sorted(p.relative_to(sheets).as_posix() for p in sheets.rglob('*.*')) == [
        '0001.html',
        '0001/001.jpg',
        '0001/002.jpg',
        '0002.html',
        '0002/001.jpg',
    ]
    text = (sheets / '0001.html').read_text()
    assert not re.search('https?://|__[A-Z]+__', text)
    data = data_of(sheets / '0001.html')
    assert len(data['keypoints']) == 17
    assert data['file'] == 'presence-0001.csv'
    table = rows(tmp_path / 'out' / 'presence.csv')
    for region, row in zip(data['regions'], table[:6], strict=True):
        assert row['image'] in region['title']
        picture = cv2.imread(str(sheets / region['picture']))
        assert picture.shape[1::-1] == tuple(region['size'])
        assert max(picture.shape) == 360
        # The pixel in the middle of the outline is that in the middle of the region.
        left, top, width, height = np.array(region['place']) / 100
        middle = np.array([left + width / 2, top + height / 2]) * region['size']
        colour = picture[int(middle[1]), int(middle[0]), :2] / 2
        place = corners(row, 'window' if row['window_x1'] else 'box')
        expected = np.reshape(place, (2, 2)).mean(axis=0) - 0.5
        np.testing.assert_allclose(colour, expected, atol=1.5)
        size = np.array([width, height]) * region['size']
        scale = 360 / max(data_size(row))
        np.testing.assert_allclose(
            size, scale * np.subtract(place[2:], place[:2]), atol=1
        )


def data_size(row):
    """Width and height of the picture of a person in pixels of its image."""
    x1, y1, x2, y2 = corners(row, 'box')
    x, y = (x2 - x1) / 8, (y2 - y1) / 8
    x1, y1, x2, y2 = max(x1 - x, 0), max(y1 - y, 0), min(x2 + x, 120), min(y2 + y, 100)
    return np.ceil(x2) - np.floor(x1), np.ceil(y2) - np.floor(y1)


@pytest.mark.skipif(not shutil.which('node'), reason='needs node')
def test_clicks_become_a_csv(run, tmp_path, metainfo, photos):
    assert run('--windows', '1', '--metainfo', str(metainfo)) == 0
    page = (tmp_path / 'out' / 'sheets' / '0001.html').read_text()
    script = re.search(r'<script>(.*)</script>', page, re.DOTALL).group(1)
    clicks = [
        (0, 'all present'),
        (0, 'left_knee'),  # present to absent
        (1, 'nose'),
        (1, 'right_knee'),
        (1, 'right_knee'),
        (1, 'right_knee'),  # three times: unknown again
        (2, 'nose'),
        (2, 'the rest is absent'),
        (3, 'all present'),
        (3, 'clear'),
        (5, 'left_knee'),
        (5, 'left_knee'),
    ]
    program = BROWSER.replace('CLICKS', json.dumps(clicks)).replace('SCRIPT', script)
    result = subprocess.run(
        ['node', '-'], input=program, capture_output=True, text=True, check=True
    )
    text, count = map(json.loads, result.stdout.splitlines())
    assert count == '8 of 18 answers'
    (tmp_path / 'filled.csv').write_text(text)
    filled = rows(tmp_path / 'filled.csv')
    assert [[row[name] for name in NAMES] for row in filled] == [
        ['1', '0', '1'],
        ['1', '', ''],
        ['1', '0', '0'],
        ['', '', ''],
        ['', '', ''],
        ['', '0', ''],
    ]
    person, *_ = read(tmp_path / 'filled.csv', photos, metainfo)
    np.testing.assert_array_equal(person['presence'], [[1, 0, 1], [1, -1, -1]])
    blank = [row | dict.fromkeys(NAMES, '') for row in filled]
    assert blank == rows(tmp_path / 'out' / 'presence.csv')


def test_folder_of_people(run, tmp_path, photos):
    (photos / 'sub').mkdir()
    shutil.copy(photos / 'b.png', photos / 'sub' / '<b>.png')
    assert run('--windows', '0', source=photos, prefix=None) == 0
    table = rows(tmp_path / 'out' / 'presence.csv')
    assert [row['image'] for row in table] == ['a, "1".png', 'b.png', 'sub/<b>.png']
    assert all(corners(row, 'box') == [0, 0, 120, 100] for row in table)
    csv = tmp_path / 'out' / 'presence.csv'
    assert len(read_with_an_answer(csv, photos)) == 3
    page = tmp_path / 'out' / 'sheets' / '0001.html'
    assert '<b>.png' not in page.read_text()
    assert 'sub/<b>.png' in data_of(page)['regions'][2]['title']


def test_images_beside_the_json(run, tmp_path, photos, ann_file):
    shutil.copy(ann_file, photos / 'people.json')
    assert run(source=photos / 'people.json', prefix=None) == 0
    assert run(out='prefix') == 0
    texts = [(tmp_path / d / 'presence.csv').read_text() for d in ('out', 'prefix')]
    assert texts[0] == texts[1]


def test_nothing_is_overwritten(run, tmp_path, capsys):
    out = tmp_path / 'out'
    assert run('--per-sheet', '1') == 0
    (out / 'presence.csv').write_text('filled in')
    assert run() == 1
    assert 'presence.csv exists; --force overwrites it' in capsys.readouterr().err
    assert (out / 'presence.csv').read_text() == 'filled in'
    (out / 'presence.csv').unlink()
    assert run() == 1
    assert 'exists; --force overwrites it' in capsys.readouterr().err
    assert len(list(out.glob('sheets/*.html'))) == 3

    for name in ('presence-0001.csv', '0001-filled.csv'):
        (out / 'sheets' / name).write_text('downloaded')
    assert run('--force') == 0
    assert len(rows(out / 'presence.csv')) == 15
    assert sorted(path.name for path in out.glob('sheets/*')) == [
        '0001',
        '0001-filled.csv',
        '0001.html',
        'presence-0001.csv',
    ]


def test_refusals(run, tmp_path, photos, capsys):
    (tmp_path / 'list.json').write_text('[]')
    (tmp_path / 'empty').mkdir()
    for kwargs, message in (
        (dict(source=tmp_path / 'none.json'), 'none.json does not exist'),
        (dict(source=tmp_path / 'list.json'), 'list.json is no COCO-style json'),
        (dict(source=photos), '--img-prefix is for a json'),
        (dict(source=tmp_path / 'empty', prefix=None), 'no person is left'),
    ):
        assert run(**kwargs) == 1
        error = capsys.readouterr().err
        assert message in error
        assert error.startswith('make_presence_windows.py: ')
    assert run('--metainfo', 'none.py') == 1
    assert '"none.py" does not exist' in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()

    cv2.imwrite(str(photos / 'a, "1".png'), np.zeros((100, 80, 3), np.uint8))
    assert run() == 1
    error = capsys.readouterr().err
    assert '1".png has 80x100 pixels; the box [90.0, 0.0, 120.0, 60.5]' in error
    (photos / 'a, "1".png').unlink()
    assert run('--force') == 1
    assert '1".png cannot be read' in capsys.readouterr().err
    assert not (tmp_path / 'out' / 'presence.csv').exists()


@pytest.mark.parametrize('option', ['--windows=-1', '--per-sheet=0', '--window=x'])
def test_bad_options(run, option, capsys):
    with pytest.raises(SystemExit) as info:
        run(option)
    assert info.value.code == 2
    assert option.split('=')[0] in capsys.readouterr().err


def test_help_says_what_is_written(tool, capsys):
    with pytest.raises(SystemExit):
        tool.main(['--help'])
    text = capsys.readouterr().out
    for part in ('presence.csv', 'sheets/0001.html', 'never', '{image}:{x1},{y1}'):
        assert part in text
