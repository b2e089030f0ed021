#!/usr/bin/env python
r"""Draw the windows in which the presence of keypoints is to be labelled by hand.

    python tools/dataset_converters/make_presence_windows.py people.json \
        --img-prefix photographs --windows 4 --out presence

People come from the boxes of a COCO-style json (keypoints in it are never read), or
from a folder in which each image is one person. For each person there are 1 + W
regions: the whole box, and W windows within the box grown by 1.25, as
GetBBoxCenterScale grows it, and clipped to the image. Windows depend on --seed and on
the person's "{image}:{x1},{y1},{x2},{y2}", as written in the csv, only: other people
in the input change nothing.

Writes to the folder of --out:

    presence.csv          one row a region, as PresenceDataset reads it, with empty
                          columns for the keypoints: fill in 1 (present) or 0 (absent)
    sheets/0001.html      or fill it in by clicking: open it in a browser, answer, and
    sheets/0001/*.jpg     press "download csv". Files downloaded from several sheets
                          can be appended to each other
"""

import argparse
import csv
import io
import json
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import mmpose
import numpy as np
from mmpose.datasets.datasets.utils import parse_pose_metainfo

from mmpose_pretext.datasets import PersonCropDataset
from mmpose_pretext.datasets.presence_dataset import (
    BOX_COLUMNS,
    WINDOW_COLUMNS,
    grow_box,
)
from mmpose_pretext.datasets.transforms import LoadImageStrict
from mmpose_pretext.datasets.transforms.presence_windows import (
    draw_windows,
    window_rng,
)

COCO = Path(mmpose.__file__).parent / '.mim/configs/_base_/datasets/coco.py'
PICTURE_SIZE = 360  # longer side of a person's picture, in pixels

PAGE = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Presence, sheet __SHEET__</title>
<style>
body { font: 14px sans-serif; margin: 1em 1em 5em }
.region { display: flex; gap: 1em; border-top: 1px solid #ccc; padding: 1em 0 }
.crop { position: relative; overflow: hidden; flex: none; align-self: start }
.crop img { display: block }
.crop i { position: absolute; box-sizing: border-box; outline: 2px solid #f50;
  box-shadow: 0 0 0 9999px #0009 }
button { margin: 2px; padding: 4px 8px; border: 1px solid #888; border-radius: 4px;
  background: #fff }
button[value='1'] { background: #9e9 }
button[value='0'] { background: #f99 }
#bar { position: fixed; bottom: 0; left: 0; right: 0; padding: 1em; background: #eee }
</style>
<h1>Presence of keypoints, sheet __SHEET__</h1>
<p>Click a keypoint once if it is <b>present</b> (&#10003;): it lies in the bright,
outlined window, even if something hides it. Click twice if it is <b>absent</b>
(&#10007;): it does not. Leave it <b>unknown</b> (?) if you cannot tell. Left and right
are the person's own.</p>
<div id="regions"></div>
<div id="bar"><button id="download">download csv</button> <span id="count"></span></div>
<script>
'use strict';
const data = __DATA__;
const next = {'': '1', '1': '0', '0': ''};
const mark = {'': '?', '1': '\\u2713', '0': '\\u2717'};
const answers = data.regions.map(() => data.keypoints.map(() => ''));
let unsaved = false;

function add(parent, tag, text = '') {
  const element = document.createElement(tag);
  element.textContent = text;
  parent.append(element);
  return element;
}

data.regions.forEach((region, r) => {
  const box = add(document.getElementById('regions'), 'div');
  box.className = 'region';
  const crop = add(box, 'div');
  crop.className = 'crop';
  const picture = add(crop, 'img');
  [picture.width, picture.height] = region.size;
  picture.src = region.picture;
  const [left, top, width, height] = region.place.map(value => value + '%');
  Object.assign(add(crop, 'i').style, {left, top, width, height});
  const side = add(box, 'div');
  add(side, 'p', region.title);
  const row = add(side, 'p');
  const buttons = data.keypoints.map(name => add(row, 'button'));
  const show = () => {
    buttons.forEach((button, k) => {
      button.value = answers[r][k];
      button.textContent = data.keypoints[k] + ' ' + mark[answers[r][k]];
    });
    const all = answers.flat();
    const given = all.filter(answer => answer !== '').length;
    document.getElementById('count').textContent = given + ' of ' + all.length +
      ' answers';
  };
  const change = (button, answer) => button.onclick = () => {
    answers[r] = answers[r].map(answer);
    unsaved = true;
    show();
  };
  buttons.forEach((button, k) => change(button, (old, j) => j === k ? next[old] : old));
  const several = add(side, 'p');
  change(add(several, 'button', 'all present'), () => '1');
  change(add(several, 'button', 'the rest is absent'), old => old || '0');
  change(add(several, 'button', 'clear'), () => '');
  show();
});

document.getElementById('download').onclick = () => {
  const rows = data.regions.map((region, r) => [region.csv, ...answers[r]].join(','));
  const text = [data.header, ...rows].map(line => line + '\\n').join('');
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([text], {type: 'text/csv'}));
  link.download = data.file;
  link.click();
  unsaved = false;
};
window.onbeforeunload = event => { if (unsaved) event.preventDefault(); };
</script>
</html>
"""


def load_people(
    source: str, img_prefix: str | None
) -> tuple[str, list[tuple[str, np.ndarray]]]:
    """List the people of a json or of a folder.

    Args:
        source: COCO-style json, or folder in which each image is one person.
        img_prefix: Folder of the images of the json; None is the json's folder.

    Returns:
        - The folder of the images.
        - Image, relative to that folder, and box of each person, of shape (4,): x1,
          y1, x2, y2 in pixels. People with the same image and box are one.

    Raises:
        FileNotFoundError: If the source does not exist.
        ValueError: If the source holds no people, or ``img_prefix`` is given with
            a folder.
    """
    if Path(source).is_dir():
        if img_prefix is not None:
            raise ValueError('--img-prefix is for a json; a folder holds its images')
        ann_file, folder = '', source
    else:
        ann_file, folder = source, img_prefix or os.path.dirname(source)
    dataset = PersonCropDataset(
        ann_file=ann_file,
        data_prefix=dict(img=folder),
        min_bbox_size=1,
        serialize_data=False,
    )
    people = {}
    for person in dataset.data_list:
        path = os.path.relpath(person['img_path'], folder or '.')
        box = person['bbox'][0].astype(float).round(2)
        people[(Path(path).as_posix(), *box)] = box
    return folder, [(image, box) for (image, *_), box in people.items()]


def number(value: float) -> str:
    """Write pixels with at most two decimals, without zeros at the end."""
    return f'{value:.2f}'.rstrip('0').rstrip('.')


def csv_line(cells: Sequence[str]) -> str:
    """Write cells as a line of CSV, without its end."""
    text = io.StringIO()
    csv.writer(text, lineterminator='').writerow(cells)
    return text.getvalue()


def make_regions(
    image: str, box: np.ndarray, seen: np.ndarray, num_windows: int, seed: int
) -> tuple[list[str], np.ndarray]:
    """Draw the regions of a person.

    Args:
        image: Path of the image, as in the csv.
        box: Shape (4,): the person's box in pixels.
        seen: Shape (4,): the grown and clipped box, in which windows are drawn.
        num_windows: Number W of windows.
        seed: Seed of the windows.

    Returns:
        - The W + 1 rows of the csv, without answers, and
        - the regions, of shape (W + 1, 4), in pixels: first the whole box.
    """
    corners = [number(value) for value in box]
    rng = window_rng(seed, f'{image}:{",".join(corners)}')
    windows = draw_windows(rng, num_windows)
    windows = np.tile(seen[:2], 2) + windows * np.tile(seen[2:] - seen[:2], 2)
    lines = [
        csv_line([image, *corners, *window])
        for window in ([''] * 4, *([number(v) for v in window] for window in windows))
    ]
    return lines, np.concatenate([box[None], windows])


def draw_person(img: np.ndarray, seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cut a person out of an image.

    Args:
        img: Shape (H, W, 3).
        seen: Shape (4,): the part to show, in pixels.

    Returns:
        - The picture, whose longer side has ``PICTURE_SIZE`` pixels, and
        - the part it shows, of shape (4,), which is ``seen`` at whole pixels.
    """
    x1, y1 = np.floor(seen[:2]).astype(int)
    x2, y2 = np.ceil(seen[2:]).astype(int)
    scale = PICTURE_SIZE / max(x2 - x1, y2 - y1)
    size = [max(1, round(side * scale)) for side in (x2 - x1, y2 - y1)]
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    picture = cv2.resize(img[y1:y2, x1:x2], size, interpolation=method)
    return picture, np.array([x1, y1, x2, y2])


def make_sheet(
    people: Sequence[tuple[str, np.ndarray]],
    folder: str,
    keypoints: Sequence[str],
    page: Path,
    num_windows: int,
    seed: int,
) -> list[str]:
    """Write the page of some people, and their pictures beside it.

    Args:
        people: Image and box of each person.
        folder: Folder of the images.
        keypoints: Names of the K keypoints.
        page: HTML file to write; pictures go to the folder of its name.
        num_windows: Number W of windows.
        seed: Seed of the windows.

    Returns:
        The rows of the csv, without answers, of all regions.

    Raises:
        ValueError: If an image cannot be read, or a box is outside of it.
    """
    page.with_suffix('').mkdir(parents=True)
    regions = []
    for index, (image, box) in enumerate(people, start=1):
        path = os.path.join(folder, image)
        img = LoadImageStrict()(dict(img_path=path))['img']
        height, width = img.shape[:2]
        seen = grow_box(box).clip(0, [width, height] * 2)
        if not (seen[:2] < seen[2:]).all():
            raise ValueError(
                f'image {path} has {width}x{height} pixels; the box {box.tolist()} of '
                'a person is outside of it'
            )
        picture, shown = draw_person(img, seen)
        name = f'{page.stem}/{index:03d}.jpg'
        cv2.imwrite(str(page.parent / name), picture)
        lines, places = make_regions(image, box, seen, num_windows, seed)
        shown_size = np.tile(shown[2:] - shown[:2], 2)
        places = np.concatenate(
            [places[:, :2] - shown[:2], places[:, 2:] - places[:, :2]], axis=1
        )
        for i, (line, place) in enumerate(zip(lines, places / shown_size, strict=True)):
            what = f'window {i} of {num_windows}' if i else 'the whole person'
            regions.append(
                dict(
                    title=f'Person {index} of {len(people)}, {what} ({image})',
                    picture=name,
                    size=picture.shape[1::-1],
                    place=(100 * place).round(2).tolist(),
                    csv=line,
                )
            )
    data = dict(
        file=f'presence-{page.stem}.csv',
        header=header_line(keypoints),
        keypoints=list(keypoints),
        regions=regions,
    )
    text = PAGE.replace('__SHEET__', page.stem)
    # "<" is escaped, so that no name can end the script
    text = text.replace('__DATA__', json.dumps(data).replace('<', '\\u003c'))
    page.write_text(text, encoding='utf-8')
    return [region['csv'] for region in regions]


def header_line(keypoints: Sequence[str]) -> str:
    """Write the header of the csv."""
    return csv_line(['image', *BOX_COLUMNS, *WINDOW_COLUMNS, *keypoints])


def load_keypoints(metainfo: str | None) -> list[str]:
    """Read the names of the keypoints of a metainfo file; None is COCO's."""
    info = parse_pose_metainfo(dict(from_file=metainfo or str(COCO)))
    return list(info['keypoint_name2id'])


def old_output(out: Path) -> Iterator[Path]:
    """Find what an earlier run wrote, but not csv files that were downloaded."""
    if (out / 'presence.csv').exists():
        yield out / 'presence.csv'
    for path in sorted((out / 'sheets').glob('[0-9][0-9][0-9][0-9]*')):
        if path.suffix == '.html' or path.is_dir():
            yield path


def run(args: argparse.Namespace) -> None:
    """Write the csv and the sheets that the arguments name."""
    old = list(old_output(args.out))
    if old and not args.force:
        raise FileExistsError(f'{old[0]} exists; --force overwrites it')
    keypoints = load_keypoints(args.metainfo)
    folder, people = load_people(args.source, args.img_prefix)
    for path in old:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    lines = []
    for start in range(0, len(people), args.per_sheet):
        page = args.out / 'sheets' / f'{start // args.per_sheet + 1:04d}.html'
        some = people[start : start + args.per_sheet]
        lines += make_sheet(some, folder, keypoints, page, args.windows, args.seed)
    empty = ',' * len(keypoints)
    rows = [header_line(keypoints), *(line + empty for line in lines)]
    partial = args.out / 'presence.csv.partial'
    partial.write_text(''.join(row + '\n' for row in rows), encoding='utf-8')
    partial.replace(args.out / 'presence.csv')
    print(
        f'{args.out / "presence.csv"} and {page.parent}: {len(people)} people, '
        f'{len(lines)} regions, {len(keypoints) * (args.windows + 1)} answers a person'
    )


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        'source',
        help='COCO-style json, of which only images and boxes are read, never '
        'keypoints (crowds are left out); or a folder in which each image is a person',
    )
    parser.add_argument('--out', type=Path, required=True, help='folder to write to')
    parser.add_argument(
        '--img-prefix',
        help="folder of the json's images, which is PresenceDataset's "
        "data_prefix['img'] later (default: the folder of the json)",
    )
    parser.add_argument(
        '--windows',
        type=int,
        default=4,
        help='windows a person, besides the whole box (default: %(default)s)',
    )
    parser.add_argument(
        '--seed', type=int, default=0, help='seed of the windows (default: %(default)s)'
    )
    parser.add_argument(
        '--metainfo',
        help='metainfo file of MMPose that names the keypoints, such as '
        'configs/_base_/datasets/mpii.py (default: that of COCO)',
    )
    parser.add_argument(
        '--per-sheet',
        type=int,
        default=20,
        help='people on a sheet (default: %(default)s)',
    )
    parser.add_argument(
        '--force',
        action='store_true',
        help='replace presence.csv and the sheets in the folder of --out; other files, '
        'such as downloaded csv files, are kept',
    )
    args = parser.parse_args(argv)
    if args.windows < 0:
        parser.error(f'--windows must be 0 or more, but got {args.windows}')
    if args.per_sheet < 1:
        parser.error(f'--per-sheet must be 1 or more, but got {args.per_sheet}')
    return args


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool and return its exit status."""
    args = parse_args(argv)
    try:
        run(args)
    except (OSError, ValueError) as error:
        print(f'make_presence_windows.py: {error}', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
