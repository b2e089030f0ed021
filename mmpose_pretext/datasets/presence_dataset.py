"""People whose labels say which keypoints a region shows, and no more."""

import csv
import difflib
import io
import json
import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from mmengine import fileio
from mmengine.logging import print_log
from mmpose.datasets.datasets.base import BaseCocoStyleDataset

from mmpose_pretext.registry import DATASETS

from .transforms.presence_windows import box_corners

BOX_COLUMNS = ('box_x1', 'box_y1', 'box_x2', 'box_y2')
WINDOW_COLUMNS = ('window_x1', 'window_y1', 'window_x2', 'window_y2')
PADDING = 1.25  # of GetBBoxCenterScale: what of a person the network sees


class _Row(NamedTuple):
    place: str  # file and number, for messages
    image: Any
    box: Any
    window: Any
    answers: dict[str, Any]


def grow_box(box: np.ndarray, padding: float = PADDING) -> np.ndarray:
    """Grow a box about its center, as ``GetBBoxCenterScale`` does.

    Args:
        box: Shape (..., 4): x1, y1, x2, y2.
        padding: Factor of the width and of the height.

    Returns:
        Shape (..., 4): x1, y1, x2, y2.
    """
    box = np.asarray(box, dtype=float)
    center, size = (box[..., 2:] + box[..., :2]) / 2, box[..., 2:] - box[..., :2]
    return np.concatenate(
        [center - padding * size / 2, center + padding * size / 2], axis=-1
    )


def check_presence(presence: np.ndarray, names: Sequence[str]) -> list[str]:
    """Find keypoints that the labels cannot teach.

    A keypoint that is present wherever it is labelled, or absent wherever it is, is
    answered best without a look at the image.

    Args:
        presence: Shape (..., K): 1 present, 0 absent, -1 unknown.
        names: Names of the K keypoints.

    Returns:
        At most two messages, which name keypoints: those without an absent label,
        and those without a present label.

    Raises:
        ValueError: If K is not the number of names.
    """
    if presence.shape[-1] != len(names):
        raise ValueError(
            f'presence has shape {presence.shape}, whose last dimension must be the '
            f'number of names, {len(names)}'
        )
    labels = presence.reshape(-1, len(names))
    messages = []
    for value, word, remedy in (
        (0, 'absent', 'cut them off'),
        (1, 'present', 'show them'),
    ):
        found = (labels == value).any(axis=0)
        missing = [name for name, ok in zip(names, found, strict=True) if not ok]
        if missing:
            messages.append(
                f'no {word} label for {", ".join(missing)}: they cannot be learned '
                f'from presence; add labelled regions that {remedy}'
            )
    return messages


@DATASETS.register_module()
class PresenceDataset(BaseCocoStyleDataset):
    """People in labelled regions, without a coordinate of any keypoint.

    ``ann_file`` has one row a labelled region. Rows with the same image and person
    box are one sample. As CSV (UTF-8, commas), with one column a keypoint::

        image,box_x1,box_y1,box_x2,box_y2,window_x1,...,window_y2,nose,left_eye,...
        a.jpg,10,20,110,220,,,,,1,1,...
        a.jpg,10,20,110,220,30,20,90,80,1,,...

    - ``image``: path relative to ``data_prefix['img']``;
    - ``box_*``: box of the person in pixels;
    - ``window_*``: the region that is labelled, in pixels of the image; empty, or
      without these columns, it is the person's whole box. It must overlap the box
      grown by 1.25, beyond which stock pipelines do not look;
    - a keypoint, by its name in the metainfo: 1 present, 0 absent, empty unknown.
      Keypoints without a column are unknown.

    The header may be repeated, so that files can be appended to each other. As JSON:

    .. code-block:: json

        [{"image": "a.jpg", "box": [10, 20, 110, 220], "window": null,
          "presence": {"nose": 1, "left_knee": 0, "left_eye": null}}]

    where ``window`` and names in ``presence`` may be left out.

    A sample holds what the stock top-down transforms need (``img_path``, ``img_id``,
    ``id``, ``bbox`` of shape (1, 4) as x1, y1, x2, y2, ``bbox_score``; zeros as
    ``keypoints`` and ``keypoints_visible``), and:

    - ``presence_windows``: float32 of shape (M, 4, 2), the corners of the labelled
      regions in pixels: top-left, top-right, bottom-right, bottom-left;
    - ``presence``: float32 of shape (M, K), 1 present, 0 absent, -1 unknown.

    Region 0 is the person's whole box, unknown if no row labels it; the windows follow
    in the order of the file. Rows of the same region are one: each answers what others
    leave unknown. M is that of the person with the most regions; the others are padded
    with windows of zeros, where all is unknown.

    Args:
        ann_file: File with the ending ``.csv`` or ``.json``.
        metainfo: Metainfo of the keypoints as in MMPose, such as
            ``dict(from_file='configs/_base_/datasets/coco.py')``.
        check_images: Whether to look for all images at the start; not possible for
            images in an LMDB.
        **kwargs: See :class:`mmengine.dataset.BaseDataset`: ``data_root``,
            ``data_prefix`` (key ``img``), ``pipeline``, ``test_mode``, ...

    Raises:
        FileNotFoundError: If the file or images do not exist.
        ValueError: If the file is not of the form that is described above, holds no
            answer, two rows of a region contradict each other, or there is no metainfo.
    """

    def __init__(
        self,
        ann_file: str = '',
        metainfo: dict | None = None,
        check_images: bool = True,
        **kwargs,
    ) -> None:
        if not metainfo:
            raise ValueError(
                f'metainfo must name the keypoints, but got {metainfo}; for the 17 of '
                "COCO give dict(from_file='configs/_base_/datasets/coco.py')"
            )
        for name in ('bbox_file', 'data_mode', 'sample_interval'):
            if name in kwargs:
                raise TypeError(f'PresenceDataset has no argument {name!r}')
        self.check_images = check_images
        super().__init__(ann_file=ann_file, metainfo=metainfo, **kwargs)

    def load_data_list(self) -> list[dict]:
        """Load the people, and log what their labels lack."""
        ids = self._metainfo['keypoint_name2id']
        people: dict[tuple, dict[tuple, np.ndarray]] = {}
        named = set()
        for row in _read(self.ann_file, list(ids)):
            if not isinstance(row.image, str) or not row.image:
                raise ValueError(f'{row.place}: image is {row.image!r}, not a path')
            box = _parse_box(row.box, f'{row.place}: box')
            region = _parse_window(row, box)
            labels = np.full(len(ids), -1, dtype=np.float32)
            for name, value in row.answers.items():
                labels[ids[name]] = _parse_answer(value, f'{row.place}: {name}')
            named.update(row.answers)
            unknown = np.full_like(labels, -1)
            regions = people.setdefault((row.image, box), {box: unknown})
            before = regions.setdefault(region or box, unknown)
            differ = (before >= 0) & (labels >= 0) & (before != labels)
            if differ.any():
                wrong = ', '.join(np.array(list(ids))[differ])
                raise ValueError(
                    f'{row.place}: an earlier row of the same region has another '
                    f'answer for {wrong}; keep one of them'
                )
            regions[region or box] = np.maximum(before, labels)
        if not people:
            raise ValueError(
                f'{self.ann_file} has no row; it needs one a labelled region'
            )
        paths = dict.fromkeys(image for image, _ in people)
        images = {image: i for i, image in enumerate(paths)}
        if self.check_images:
            self._check_images(images)
        most = max(map(len, people.values()))
        data_list = [
            self._data_info(id_, image, images[image], box, regions, most)
            for id_, ((image, box), regions) in enumerate(people.items())
        ]
        self._report(data_list, [name for name in ids if name not in named])
        return data_list

    def _check_images(self, images: Iterable[str]) -> None:
        folder = self.data_prefix['img']
        images = list(images)
        missing = [
            image for image in images if not fileio.exists(os.path.join(folder, image))
        ]
        if missing:
            raise FileNotFoundError(
                f'{len(missing)} of {len(images)} images of {self.ann_file} do not '
                f"exist in data_prefix['img']={folder!r}: {', '.join(missing[:3])}"
                + (', ...' if len(missing) > 3 else '')
                + '; paths are relative to that folder'
            )

    def _data_info(self, id_, image, img_id, box, regions, most) -> dict:
        num_keypoints = self._metainfo['num_keypoints']
        windows = np.zeros((most, 4), dtype=np.float32)
        presence = np.full((most, num_keypoints), -1, dtype=np.float32)
        for i, (region, labels) in enumerate(regions.items()):
            windows[i], presence[i] = region, labels
        return dict(
            img_id=img_id,
            id=id_,
            img_path=os.path.join(self.data_prefix['img'], image),
            bbox=np.array([box], dtype=np.float32),
            bbox_score=np.ones(1, dtype=np.float32),
            keypoints=np.zeros((1, num_keypoints, 2), dtype=np.float32),
            keypoints_visible=np.zeros((1, num_keypoints), dtype=np.float32),
            presence_windows=box_corners(windows),
            presence=presence,
        )

    def _report(self, data_list: list[dict], without_column: list[str]) -> None:
        presence = np.stack([person['presence'] for person in data_list])
        answers = np.count_nonzero(presence >= 0)
        if not answers:
            raise ValueError(
                f'{self.ann_file} has no answer: all keypoints of all its regions are '
                'unknown. Write 1 (present) or 0 (absent) in its cells; answers that '
                'were clicked in a sheet are in the file that it has downloaded'
            )
        print_log(
            f'{self.ann_file}: {len(data_list)} people with {answers} answers, '
            f'{answers / len(data_list):.1f} a person',
            logger='current',
        )
        if without_column:
            print_log(
                f'{self.ann_file} does not label {", ".join(without_column)}; they '
                'are unknown everywhere',
                logger='current',
            )
        names = list(self._metainfo['keypoint_name2id'])
        for message in check_presence(presence, names):
            print_log(
                f'{self.ann_file}: {message}', logger='current', level=logging.WARNING
            )


def _read(path: str, names: list[str]) -> Iterator[_Row]:
    readers = {'.csv': _read_csv, '.json': _read_json}
    reader = readers.get(os.path.splitext(path)[1].lower())
    if reader is None:
        raise ValueError(f'ann_file must be a .csv or .json file, but got {path!r}')
    if not fileio.exists(path):
        raise FileNotFoundError(f'presence file {path} does not exist')
    try:
        text = fileio.get_text(path, encoding='utf-8-sig')
    except UnicodeDecodeError as error:
        raise ValueError(f'{path} is no UTF-8 text: {error}') from error
    return reader(path, text, names)


def _read_csv(path: str, text: str, names: list[str]) -> Iterator[_Row]:
    reader = csv.reader(io.StringIO(text, newline=''))
    header = [cell.strip() for cell in next(reader, [])]
    _check_names(
        header, ('image', *BOX_COLUMNS, *WINDOW_COLUMNS, *names), path, 'column'
    )
    required = ['image', *BOX_COLUMNS]
    if set(header) & set(WINDOW_COLUMNS):
        required += WINDOW_COLUMNS
    _check_required(header, required, path, 'column')
    twice = {name for name in header if header.count(name) > 1}
    if twice:
        raise ValueError(
            f'{path} has more than one column {", ".join(sorted(twice))}; keep one'
        )
    columns = [name for name in names if name in header]
    for cells in reader:
        cells = [cell.strip() for cell in cells]
        if cells == header or not any(cells):
            continue
        place = f'{path}, row {reader.line_num}'
        if len(cells) != len(header):
            raise ValueError(
                f'{place} has {len(cells)} cells, but the header has {len(header)}'
            )
        row = dict(zip(header, cells, strict=True))
        window = [row.get(name, '') for name in WINDOW_COLUMNS]
        yield _Row(
            place,
            row['image'],
            [row[name] for name in BOX_COLUMNS],
            window if any(window) else None,
            {name: row[name] for name in columns},
        )


def _read_json(path: str, text: str, names: list[str]) -> Iterator[_Row]:
    try:
        content = json.loads(text)
    except ValueError as error:
        raise ValueError(f'{path} is no valid json: {error}') from error
    if not isinstance(content, list):
        raise ValueError(
            f'{path} must be a list of labelled regions, but it is a '
            f'{type(content).__name__}'
        )
    for number, entry in enumerate(content, start=1):
        place = f'{path}, row {number}'
        answers = entry.get('presence', {}) if isinstance(entry, dict) else None
        if not isinstance(answers, dict):
            raise ValueError(
                f'{place} must be an object with "image", "box", "window" and '
                f'"presence", an object by keypoint, but it is {entry!r}'
            )
        _check_names(entry, ('image', 'box', 'window', 'presence'), place, 'key')
        _check_required(entry, ('image', 'box'), place, 'key')
        _check_names(answers, names, place, 'keypoint')
        yield _Row(place, entry['image'], entry['box'], entry.get('window'), answers)


def _check_names(
    found: Iterable[str], allowed: Sequence[str], place: str, kind: str
) -> None:
    for name in found:
        if name not in allowed:
            near = difflib.get_close_matches(name, allowed, n=1)
            raise ValueError(
                f'{place} has the unknown {kind} {name!r}'
                + (f'; did you mean {near[0]!r}?' if near else '')
                + f' There may be {", ".join(allowed)}'
            )


def _check_required(
    found: Iterable[str], required: Sequence[str], place: str, kind: str
) -> None:
    missing = [name for name in required if name not in found]
    if missing:
        raise ValueError(
            f'{place} has no {kind} {", ".join(missing)}; it needs '
            f'{", ".join(required)}'
        )


def _parse_box(values: Any, what: str) -> tuple[float, ...]:
    try:
        box = tuple(float(value) for value in values if isinstance(values, list))
    except (TypeError, ValueError):
        box = ()
    if len(box) != 4 or not np.isfinite(box).all():
        raise ValueError(f'{what} is {values!r}, but must be four numbers')
    if not (box[0] < box[2] and box[1] < box[3]):
        raise ValueError(f'{what} {values!r} is empty: it needs x1 < x2 and y1 < y2')
    return box


def _parse_window(row: _Row, box: tuple[float, ...]) -> tuple[float, ...] | None:
    if row.window is None:
        return None
    window = _parse_box(row.window, f'{row.place}: window')
    seen = grow_box(box)
    if not (np.maximum(window[:2], seen[:2]) < np.minimum(window[2:], seen[2:])).all():
        raise ValueError(
            f'{row.place}: window {row.window!r} does not overlap the box {row.box!r} '
            f'of its person, grown by {PADDING}; both are in pixels of the image'
        )
    return window


def _parse_answer(value: Any, what: str) -> float:
    if value is None or value == '':
        return -1
    try:
        if float(value) in (0, 1):  # pandas writes 1.0 in columns with empty cells
            return float(value)
    except (TypeError, ValueError):
        pass
    raise ValueError(
        f'{what} is {value!r}, but must be 1 (present), 0 (absent) or empty (unknown)'
    )
