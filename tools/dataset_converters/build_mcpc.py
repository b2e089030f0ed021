#!/usr/bin/env python
r"""Merge MPII, COCO, PoseTrack18 and CrowdPose into MCPC: whose depth order is known?

    python tools/dataset_converters/build_mcpc.py data --out data/mcpc

DATA_ROOT has the data sets as MMPose's documentation places them; any may be missing:

    coco/annotations/person_keypoints_{train,val}2017.json     coco/{train,val}2017/
    mpii/annotations/mpii_{train,val,test}.json                mpii/images/
    posetrack18/annotations/posetrack18_{train,val}.json       posetrack18/images/
    crowdpose/annotations/mmpose_crowdpose_{train,val,test}.json   crowdpose/images/

Writes mcpc_train.json and mcpc_val.json, which MCPCDataset reads with DATA_ROOT as its
data_root. They hold the images with two or more usable people, that is with a scale
(see mmpose_pretext/perspective.py) and not rejected by --filters, and the labelled
pairs of usable people. Other people on these images stay, without a pair.

An image is in one json once. CrowdPose took images from MPII and COCO under new names,
COCO's validation images among its training images
(https://github.com/ViTAE-Transformer/ViTPose/issues/24). So where sources may share
images, these are compared by a perceptual hash: of images of two sources, the first
source of the list above is kept, and images that look like one of a val or test json
are not in mcpc_train.json.

What is done is kept in OUT/mcpc.partial until all is: the same command goes on after an
interruption.
"""

import argparse
import itertools
import json
import shutil
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from PIL import Image
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress
from rich.table import Table
from scipy.fft import dctn

sys.path.insert(0, str(Path(__file__).parent))

from label_relative_depth import add_label_arguments  # noqa: E402

from mmpose_pretext.datasets import MCPCDataset  # noqa: E402
from mmpose_pretext.datasets.mcpc_dataset import (  # noqa: E402
    MCPC_KEYPOINTS,
    SOURCE_KEYPOINTS,
)
from mmpose_pretext.perspective import FILTERS, label_people  # noqa: E402

PUBLISHED = 'over 53,000 images, 220,000 people'
MPII_STD = 200  # pixels of a person with scale 1 in MPII
MAX_DISTANCE = 40
"""Largest number of different bits, of 255, in the hashes of copies of an image.

Copies of COCO's images, recompressed at quality 50 to 95 or resized by 0.33 to 1.3,
differ by 16 bits or fewer; recoloured copies within Leeds Sports Pose Extended by 36;
two moments of one scene by 52 or more, other images by 64.
"""
CHUNK = 256  # images at once

MPII_KEYPOINTS = (
    *('right_ankle', 'right_knee', 'right_hip', 'left_hip', 'left_knee', 'left_ankle'),
    *('pelvis', 'thorax', 'upper_neck', 'head_top', 'right_wrist', 'right_elbow'),
    *('right_shoulder', 'left_shoulder', 'left_elbow', 'left_wrist'),
)
SYNONYMS = dict(
    upper_neck='neck', head_bottom='neck', head='head_top', top_head='head_top'
)


class Source(NamedTuple):
    """A data set.

    Attributes:
        ann_file: Annotation file below the data root, with {} for the split.
        img_prefix: Folder of the images below the data root.
        splits: Those that it has.
        origin: Where its images are from: sources with a common origin may share some.
    """

    ann_file: str
    img_prefix: str
    splits: tuple[str, ...]
    origin: set[str]


SOURCES = dict(
    coco=Source(
        'coco/annotations/person_keypoints_{}2017.json',
        'coco/{}2017',
        ('train', 'val'),
        {'flickr'},
    ),
    mpii=Source(
        'mpii/annotations/mpii_{}.json',
        'mpii/images',
        ('train', 'val', 'test'),
        {'youtube'},
    ),
    posetrack18=Source(
        'posetrack18/annotations/posetrack18_{}.json',
        'posetrack18',
        ('train', 'val'),
        {'youtube'},
    ),
    crowdpose=Source(
        'crowdpose/annotations/mmpose_crowdpose_{}.json',
        'crowdpose/images',
        ('train', 'val', 'test'),
        {'flickr', 'youtube'},
    ),
)


class Photo(NamedTuple):
    """An image and its N people.

    Attributes:
        file_name: Path below the image folder.
        source_id: Identity within the source.
        size: Width and height in pixels, None if the source does not say.
        points: Shape (N, 19, 3): x, y in pixels and visibility (0, 1 or 2).
        boxes: Shape (N, 4): x, y, width and height in pixels.
        crowd: Shape (N,), True for boxes of crowds.
    """

    file_name: str
    source_id: str
    size: tuple[int, int] | None
    points: np.ndarray
    boxes: np.ndarray
    crowd: np.ndarray


class Log:
    """Counts by what happened, with the first few names."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.names: defaultdict[str, list[str]] = defaultdict(list)

    def add(self, what: str, name: str) -> None:
        """Count what happened to an image or annotation, by its name."""
        self.counts[what] += 1
        if len(self.names[what]) < 3:
            self.names[what].append(name)


KEPT_KEYS = {
    *('images', 'annotations', 'categories'),
    *('id', 'file_name', 'width', 'height'),
    *('image_id', 'category_id', 'keypoints', 'bbox', 'iscrowd'),
    *('image', 'joints', 'joints_vis', 'center', 'scale'),
}


def _compact(value: dict) -> dict:
    """Drop what is not needed, such as polygons, while a json is read."""
    value = {key: child for key, child in value.items() if key in KEPT_KEYS}
    key = 'keypoints' if 'image_id' in value else 'joints'  # a category's are names
    if key in value:
        value[key] = np.array(value[key], dtype=np.float32)  # None becomes NaN
    return value


def load_json(path: Path) -> dict | list:
    """Read an annotation file in a third of the memory that all of it would take.

    Args:
        path: File in COCO's or MPII's format.

    Returns:
        Its content, without what is not needed; lists of coordinates are arrays.

    Raises:
        ValueError: If it is no valid json, or coordinates are no numbers.
    """
    with open(path, encoding='utf-8') as file:
        try:
            return json.load(file, object_hook=_compact)
        except (TypeError, ValueError) as error:
            raise ValueError(f'{path} is damaged or truncated: {error}') from error


def _columns(names: Sequence[str], source: str, path: Path) -> dict[int, int]:
    """Map the places of MCPC's keypoints to those of a source."""
    known = {SYNONYMS.get(name, name): i for i, name in enumerate(names)}
    missing = [name for name in SOURCE_KEYPOINTS[source] if name not in known]
    if missing:
        raise ValueError(
            f'{path} has the keypoints {", ".join(names)}; it is no file of {source}, '
            f'which has {", ".join(missing)} too'
        )
    return {
        MCPC_KEYPOINTS.index(name): known[name] for name in SOURCE_KEYPOINTS[source]
    }


def _photo(
    file_name: str,
    source_id: str,
    size: tuple[int, int] | None,
    people: list[tuple],
    columns: dict[int, int],
) -> Photo:
    points = np.zeros((len(people), len(MCPC_KEYPOINTS), 3))
    for row, (keypoints, *_) in zip(points, people, strict=True):
        row[list(columns)] = keypoints[list(columns.values())]
    boxes = np.array([box for _, box, _ in people], dtype=float).reshape(-1, 4)
    crowd = np.array([bool(crowd) for *_, crowd in people], dtype=bool)
    return Photo(file_name, source_id, size, points, boxes, crowd)


def read_coco_style(path: Path, source: str, log: Log) -> Iterator[Photo]:
    """Read the images of a COCO-style json of COCO, PoseTrack18 or CrowdPose.

    Args:
        path: The json.
        source: Its name in ``SOURCES``.
        log: Counts the annotations that are left out.

    Yields:
        Images in the order of the file, those without people too.

    Raises:
        ValueError: If the file is damaged, or of another kind.
    """
    content = load_json(path)
    lists = ('images', 'annotations', 'categories')
    if not isinstance(content, dict) or not all(
        isinstance(content.get(key), list) for key in lists
    ):
        raise ValueError(
            f'{path} is no COCO-style json of {source}: it needs the lists '
            f'{", ".join(lists)}'
        )
    category = next((c for c in content['categories'] if 'keypoints' in c), None)
    if category is None:
        raise ValueError(
            f'{path} has no category with keypoints; MCPC needs the file of {source} '
            'that labels keypoints'
        )
    names = list(category['keypoints'])
    columns = _columns(names, source, path)
    people = defaultdict(list)
    for annotation in content['annotations']:
        place = f'annotation {annotation.get("id")} of {path}'
        if not {'image_id', 'category_id', 'keypoints', 'bbox'} <= {*annotation}:
            log.add('without keypoints or box', place)
        elif annotation['category_id'] != category['id']:
            log.add('of another category', place)
        elif annotation['keypoints'].shape != (3 * len(names),):
            raise ValueError(
                f'{place} has {annotation["keypoints"].size} numbers as keypoints, but '
                f'{len(names)} keypoints have {3 * len(names)}'
            )
        elif np.shape(annotation['bbox']) != (4,):
            raise ValueError(
                f'{place} has the box {annotation["bbox"]}, but a box has 4 numbers'
            )
        else:
            people[annotation['image_id']].append(
                (
                    annotation['keypoints'].reshape(-1, 3),
                    annotation['bbox'],
                    annotation.get('iscrowd', 0),
                )
            )
    images = {image['id']: image for image in content['images']}
    strangers = people.keys() - images.keys()
    if strangers:
        raise ValueError(
            f'{path} has annotations of image {min(strangers)}, but does not list it; '
            'is the file complete?'
        )
    for id_, image in images.items():
        size = (image['width'], image['height']) if 'height' in image else None
        yield _photo(image['file_name'], str(id_), size, people.pop(id_, []), columns)


def read_mpii(path: Path, source: str, log: Log) -> Iterator[Photo]:
    """Read the images of a json of MPII, as MMPose distributes it.

    The file counts pixels from 1, as MATLAB does. Boxes are squares with sides of the
    person's height, of which MPII gives center and scale.

    Args:
        path: The json.
        source: ``'mpii'``.
        log: Counts the annotations that are left out.

    Yields:
        Images in the order of the file.

    Raises:
        ValueError: If the file is damaged, or of another kind.
    """
    content = load_json(path)
    if not isinstance(content, list) or not all(
        isinstance(person, dict) and 'image' in person for person in content
    ):
        raise ValueError(f'{path} is no json of MPII: it needs a list of people')
    columns = _columns(MPII_KEYPOINTS, source, path)
    people = defaultdict(list)
    for number, person in enumerate(content):
        place = f'person {number} of {path}'
        found = people[person['image']]
        if not {'joints', 'joints_vis', 'center', 'scale'} <= {*person}:
            log.add('without keypoints or box', place)
            continue
        visible = np.array(person['joints_vis'], dtype=float)
        if person['joints'].shape != (16, 2) or visible.shape != (16,):
            raise ValueError(
                f'{place} has joints of shape {person["joints"].shape} and joints_vis '
                f'of {visible.shape}, but MPII has (16, 2) and (16,)'
            )
        keypoints = np.column_stack([person['joints'] - 1, 2 * visible])
        side = MPII_STD * person['scale']
        corner = [value - 1 - side / 2 for value in person['center']]
        found.append((keypoints, [*corner, side, side], False))
    for name, group in people.items():
        yield _photo(name, Path(name).stem, None, group, columns)


def clean(photo: Photo, log: Log) -> Photo:
    """Leave out people with coordinates that are not finite, or without a box.

    Args:
        photo: An image.
        log: Counts them.

    Returns:
        The image without these people; unlabelled keypoints become ``0, 0, 0``.
    """
    bad_box = ~(np.isfinite(photo.boxes).all(1) & (photo.boxes[:, 2:] > 0).all(1))
    labelled = photo.points[..., 2] != 0  # True for NaN
    bad_points = (labelled & ~np.isfinite(photo.points).all(2)).any(1)
    for bad, what in ((bad_points, 'NaN in keypoints'), (bad_box, 'empty box')):
        for _ in range(np.count_nonzero(bad)):
            log.add(what, photo.file_name)
    good = ~(bad_box | bad_points)
    return photo._replace(
        points=np.where(labelled[..., None], photo.points, 0)[good],
        boxes=photo.boxes[good],
        crowd=photo.crowd[good],
    )


def image_hash(image: Image.Image) -> np.ndarray:
    """Hash what an image looks like, so that copies differ in few bits.

    Tells which of the 255 lowest frequencies of the discrete cosine transform, of 64x64
    grey pixels, are above their median (Zauner, "Implementation and benchmarking of
    perceptual image hash functions", 2010, whose hash has 64 bits).

    Args:
        image: The image, not yet decoded.

    Returns:
        Bool of shape (255,).

    Raises:
        OSError: If it cannot be decoded.
    """
    image.draft('L', (128, 128))  # a JPEG is decoded at this size or above
    small = image.convert('L').resize((64, 64), Image.Resampling.BOX)
    frequencies = dctn(np.asarray(small, dtype=np.float32))[:16, :16].ravel()[1:]
    return frequencies > np.median(frequencies)


def look(path: Path, with_hash: bool) -> tuple[tuple[int, int], str | None] | OSError:
    """Read the size of an image, and its hash as hexadecimal digits.

    Args:
        path: Image file.
        with_hash: Whether to decode it, for its hash.

    Returns:
        Width and height in pixels, and the hash; or the error that prevented it.
    """
    try:
        with Image.open(path) as image:
            size = image.size
            bits = image_hash(image) if with_hash else None
    except OSError as error:
        return error
    return size, np.packbits(bits).tobytes().hex() if with_hash else None


def unpack_hashes(hashes: Sequence[str | None]) -> np.ndarray:
    """Turn M hashes of :func:`look` into signs.

    Args:
        hashes: Hexadecimal digits, or None.

    Returns:
        Float32 of shape (M, 255): -1 or 1, and 0 for None, which is like no image.
    """
    digits = ''.join(text or '0' * 64 for text in hashes)
    packed = np.frombuffer(bytes.fromhex(digits), dtype=np.uint8).reshape(-1, 32)
    signs = 2 * np.unpackbits(packed, axis=1, count=255).astype(np.float32) - 1
    signs[[text is None for text in hashes]] = 0
    return signs


def find_copies(hashes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Find the image that each image is a copy of.

    Args:
        hashes: Shape (M, 255), of :func:`unpack_hashes`.
        others: Shape (L, 255), of the images to look among.

    Returns:
        Shape (M,): the index of the most similar image among the others, or -1 if it
        differs in more than ``MAX_DISTANCE`` bits.
    """
    found = np.full(len(hashes), -1)
    for start in range(0, len(hashes) if len(others) else 0, CHUNK):
        same = hashes[start : start + CHUNK] @ others.T  # 255 - 2 * distance
        best = same.argmax(axis=1)
        close = same.max(axis=1) >= 255 - 2 * MAX_DISTANCE
        found[start : start + CHUNK] = np.where(close, best, -1)
    return found


class Labels(NamedTuple):
    """How depth is labelled.

    Attributes:
        tau: Least ratio of the scales of a labelled pair.
        cues: See :func:`mmpose_pretext.perspective.pair_labels`.
        filters: Names of the filters whose people are not usable.
        limbs: Whether the order of limbs is labelled, too.
    """

    tau: float
    cues: tuple[str, ...]
    filters: tuple[str, ...]
    limbs: bool = False


def label(photos: Sequence[Photo], labels: Labels, log: Log) -> Iterator[dict]:
    """Label the people of images, and the pairs of those that are usable.

    Args:
        photos: Images, of :func:`clean`.
        labels: How to label.
        log: Counts people by filter.

    Yields:
        For each image ``annotations``, COCO-style without ids; ``pairs``, lists of
        index, index, relation and confidence; ``people``, their number without crowds
        and those without keypoints; and ``usable``, the number of usable people.
    """
    points = np.concatenate([photo.points for photo in photos])
    crowd = np.concatenate([photo.crowd for photo in photos])
    visible = (points[..., 2] > 0) & ~crowd[:, None]
    counts = [len(photo.crowd) for photo in photos]
    found = label_people(points[..., :2], visible, counts, MCPC_KEYPOINTS, *labels)
    people = visible.any(1)
    for name in labels.filters:
        log.counts[name] += int(np.count_nonzero(found.rejected[name] & people))
    log.counts['people'] += int(np.count_nonzero(people))
    log.counts['usable people'] += int(np.count_nonzero(found.usable))

    for photo, end, pairs in zip(photos, np.cumsum(counts), found.pairs, strict=True):
        own = slice(end - len(photo.crowd), end)
        columns = photo.points, photo.boxes, photo.crowd, found.people[own]
        yield dict(
            annotations=[_annotation(*person) for person in zip(*columns, strict=True)],
            pairs=pairs,
            people=int(np.count_nonzero(people[own])),
            usable=int(np.count_nonzero(found.usable[own])),
        )


def _annotation(points: np.ndarray, box: np.ndarray, crowd: bool, scale: dict) -> dict:
    xy = points[:, :2].round(2).tolist()
    return dict(
        category_id=1,
        bbox=box.round(2).tolist(),
        area=round(0.53 * float(box[2] * box[3]), 2),  # as MMPose estimates it
        iscrowd=int(crowd),
        num_keypoints=int(np.count_nonzero(points[:, 2])),
        keypoints=[
            value
            for (x, y), v in zip(xy, points[:, 2].astype(int).tolist(), strict=True)
            for value in (x, y, v)
        ],
        **scale,
    )


class Part(NamedTuple):
    """An annotation file to read.

    Attributes:
        source: Name of the source.
        split: ``'train'``, ``'val'`` or ``'test'``.
        root: Data root.
        ann_file: Annotation file, below the root.
        img_prefix: Folder of its images, below the root.
        with_hash: Whether other sources may share its images.
        labels: How to label.
    """

    source: str
    split: str
    root: Path
    ann_file: str
    img_prefix: str
    with_hash: bool
    labels: Labels

    def settings(self) -> list:
        """Return what the result depends on, as json gives it back."""
        stat = (self.root / self.ann_file).stat()
        return json.loads(
            json.dumps([*self, stat.st_size, stat.st_mtime_ns], default=str)
        )


def read_part(part: Part, folder: Path, progress: Progress) -> tuple[Path, dict]:
    """Write the labelled images of a part, one json a line, unless that is done.

    A training image is written if it has two or more usable people; every validation
    or test image is, since none may be in training.

    Args:
        part: What to read.
        folder: Where to write.
        progress: Shows the progress.

    Returns:
        The file, and its ``counts`` and ``names`` of :class:`Log`.

    Raises:
        FileNotFoundError: If none of the images exists.
        ValueError: If the annotation file is damaged or of another kind.
    """
    out = folder / f'{part.source}_{part.split}.jsonl'
    done = out.with_suffix('.json')
    settings = part.settings()
    if done.is_file():
        entry = json.loads(done.read_text())
        if entry['settings'] == settings:
            progress.print(f'{part.source} {part.split} is read already: going on')
            return out, entry
        done.unlink()
    log = Log()
    task = progress.add_task(f'{part.source} {part.split}', total=None)
    read = read_mpii if part.source == 'mpii' else read_coco_style
    path = part.root / part.ann_file
    try:
        photos = [clean(photo, log) for photo in read(path, part.source, log)]
    except KeyError as error:
        raise ValueError(f'{path}: an entry has no {error}') from error
    progress.update(task, total=len(photos))
    log.counts['images'] = len(photos)
    log.counts['images of 2 people'] = sum(
        int(np.count_nonzero(p.points[~p.crowd, :, 2].any(1)) > 1) for p in photos
    )
    images = part.root / part.img_prefix
    looked = 0
    with open(out, 'w') as file, ThreadPoolExecutor() as pool:
        for start in range(0, len(photos), CHUNK):
            chunk = photos[start : start + CHUNK]
            records = [
                (photo, found)
                for photo, found in zip(
                    chunk, label(chunk, part.labels, log), strict=True
                )
                if found['usable'] > 1 or part.split != 'train'
            ]
            looks = pool.map(
                look,
                [images / photo.file_name for photo, _ in records],
                [part.with_hash] * len(records),
            )
            for record, seen in zip(records, looks, strict=True):
                file.write(json.dumps(_record(part, *record, seen, log)) + '\n')
            looked += len(records)
            progress.advance(task, len(chunk))
    if looked and log.counts['image missing'] == looked:
        raise FileNotFoundError(
            f'none of the {looked} images of {path} exists in {images}: put them '
            'there, or move the annotation file away'
        )
    entry = dict(settings=settings, counts=log.counts, names=log.names)
    lost = log.counts['image missing'] + log.counts['image unreadable']
    if lost:  # not done: they are looked for again the next time
        if part.split != 'train' and part.with_hash:
            progress.print(
                f'WARNING: {lost} images of {part.source} {part.split} are missing or '
                'unreadable. Copies of them under other names cannot be kept out of '
                'training; complete the images and run this again'
            )
        return out, entry
    partial = done.with_suffix('.partial')
    partial.write_text(json.dumps(entry))
    partial.replace(done)
    return out, entry


def _record(
    part: Part, photo: Photo, found: dict, seen: tuple | OSError, log: Log
) -> dict:
    name = f'{part.img_prefix}/{photo.file_name}'
    problem = None
    if isinstance(seen, OSError):
        missing = isinstance(seen, FileNotFoundError)
        problem = 'image missing' if missing else 'image unreadable'
        seen = (0, 0), None
    elif photo.size not in (None, seen[0]):
        problem = 'image of another size'
    if problem:
        log.add(problem, name)
        found.update(usable=0)  # it is only held out
    (width, height), image_hash = seen
    image = dict(file_name=name, width=width, height=height)
    image.update(source=part.source, source_id=photo.source_id)
    return dict(image=image, hash=image_hash, **found)


def read_records(path: Path, min_usable: int) -> Iterator[dict]:
    """Read the images of a file of :func:`read_part` with so many usable people."""
    with open(path) as file:
        for line in file:
            record = json.loads(line)
            if record['usable'] >= min_usable:
                yield record


def select(paths: Iterable[Path], held_out: Iterable[Path], log: Log) -> Iterator[dict]:
    """Choose the images of a json.

    Args:
        paths: Files of :func:`read_part`, of different sources.
        held_out: Such files, whose images are left out.
        log: Counts what is left out.

    Yields:
        Records of the images with two or more usable people, but those held out and
        copies of an image of an earlier source.
    """
    held = [(r['image'], r['hash']) for path in held_out for r in read_records(path, 0)]
    held_ids = {(image['source'], image['source_id']) for image, _ in held}
    held_hashes = unpack_hashes([text for _, text in held])
    names, hashes = [], held_hashes[:0]
    for path in paths:
        images, texts = [], []
        for record in read_records(path, 2):
            images.append(record['image'])
            texts.append(record['hash'])
        own = unpack_hashes(texts)
        keep = np.zeros(len(images), dtype=bool)
        originals = find_copies(own, held_hashes), find_copies(own, hashes)
        for i, (image, in_held, in_kept) in enumerate(
            zip(images, *originals, strict=True)
        ):
            name = image['file_name']
            if (image['source'], image['source_id']) in held_ids:
                log.add('held out, by name', name)
            elif in_held >= 0:
                original = held[in_held][0]['file_name']
                log.add('held out, by hash', f'{name} is {original}')
            elif in_kept >= 0:
                log.add('copies of an earlier source', f'{name} is {names[in_kept]}')
            else:
                keep[i] = True
        hashes = np.concatenate([hashes, own[keep]])
        names += [images[i]['file_name'] for i in np.flatnonzero(keep)]
        yield from itertools.compress(read_records(path, 2), keep)


def write_json(records: Iterable[dict], out: Path, info: dict) -> dict[str, Counter]:
    """Write a json of MCPC.

    Args:
        records: Images, of :func:`select`.
        out: File to write.
        info: What to write as ``info``.

    Returns:
        Numbers of images, people, usable people and pairs by source.
    """
    totals: defaultdict[str, Counter] = defaultdict(Counter)
    images, next_id = [], 1
    with open(out, 'w') as file:
        file.write('{"annotations":[')
        for image_id, record in enumerate(records, start=1):
            first_id = next_id
            for annotation in record['annotations']:
                annotation = dict(id=next_id, image_id=image_id, **annotation)
                file.write(',' * (next_id > 1) + json.dumps(annotation))
                next_id += 1
            pairs = [[i + first_id, j + first_id, *r] for i, j, *r in record['pairs']]
            images.append(dict(id=image_id, **record['image'], pairs=pairs))
            totals[record['image']['source']].update(
                images=1,
                people=record['people'],
                usable=record['usable'],
                pairs=len(pairs),
            )
        skeleton = parse_pose_metainfo(MCPCDataset.METAINFO)['skeleton_links']
        category = dict(id=1, name='person', keypoints=MCPC_KEYPOINTS)
        category['skeleton'] = [[i + 1, j + 1] for i, j in skeleton]
        rest = dict(info=info, images=images, categories=[category])
        file.write('],' + json.dumps(rest)[1:])
    return totals


def report(split: str, entries: dict[str, dict], log: Log, totals: dict) -> None:
    """Print the counts of a json by source and by filter, and what is not in it."""
    table = Table('', *entries, 'all', title=f'mcpc_{split}.json')
    listed = {source: Counter(entry['counts']) for source, entry in entries.items()}
    for counts, what, name in (
        (listed, 'images', 'images listed'),
        (listed, 'images of 2 people', '... of 2 or more people'),
        (listed, 'people', 'people'),
        *((listed, name, f'... {name}') for name in FILTERS),
        (listed, 'usable people', '... usable'),
        (totals, 'images', 'images in the json'),
        (totals, 'people', 'people in the json'),
        (totals, 'usable', '... usable'),
        (totals, 'pairs', 'pairs in the json'),
    ):
        cells = [counts[source][what] for source in entries]
        table.add_row(name, *(f'{cell:,}' for cell in (*cells, sum(cells))))
    Console(width=max(80, 30 + 15 * len(entries))).print(table)
    print_left_out(f'mcpc_{split}.json', log.counts, log.names)


def print_left_out(place: str, counts: dict, names: dict) -> None:
    """Print what :class:`Log` has names of."""
    for what, examples in names.items():
        more = ', ...' if counts[what] > len(examples) else ''
        print(
            f'left out of {place}: {counts[what]} {what}: {", ".join(examples)}{more}'
        )


def find_parts(root: Path, labels: Labels) -> list[Part]:
    """Find the annotation files below a folder, and say which are missing.

    Args:
        root: The data root.
        labels: How to label.

    Returns:
        What to read, in the order of ``SOURCES``.

    Raises:
        FileNotFoundError: If no source has a training file.
    """
    found = {
        source: [s for s in entry.splits if (root / entry.ann_file.format(s)).is_file()]
        for source, entry in SOURCES.items()
    }
    if not any('train' in splits for splits in found.values()):
        raise FileNotFoundError(
            f'{root} has no annotation file of a training set, such as '
            f'{SOURCES["coco"].ann_file.format("train")}'
        )
    parts = []
    for source, entry in SOURCES.items():
        others = [SOURCES[s].origin for s, splits in found.items() if splits]
        with_hash = sum(bool(entry.origin & origin) for origin in others) > 1
        for split in entry.splits:
            ann_file, img_prefix = (s.format(split) for s in entry[:2])
            if split in found[source]:
                parts.append(
                    Part(source, split, root, ann_file, img_prefix, with_hash, labels)
                )
            elif split == 'train' or found[source]:
                lack = 'left out' if split == 'train' else 'not kept out of training'
                print(f'{source} {split} is {lack}: {root / ann_file} does not exist')
    return parts


def run(args: argparse.Namespace) -> None:
    """Write the json files that the arguments name."""
    for split in ('train', 'val'):
        path = args.out / f'mcpc_{split}.json'
        if path.exists() and not args.force:
            raise FileExistsError(f'{path} exists; --force replaces it')
    labels = Labels(args.tau, tuple(args.cues), tuple(args.filters), args.limbs)
    parts = find_parts(args.data_root, labels)
    folder = args.out / 'mcpc.partial'
    folder.mkdir(parents=True, exist_ok=True)
    with Progress(*Progress.get_default_columns(), MofNCompleteColumn()) as progress:
        read = {part: read_part(part, folder, progress) for part in parts}
    for part, (_, entry) in read.items():
        place = f'{part.source} {part.split}'
        print_left_out(place, entry['counts'], entry['names'])
    for split in ('val', 'train'):
        own = {p.source: found for p, found in read.items() if p.split == split}
        if not own:
            continue
        held_out = [
            path for p, (path, _) in read.items() if 'train' == split != p.split
        ]
        log = Log()
        records = select([path for path, _ in own.values()], held_out, log)
        info = dict(description='MCPC', **labels._asdict())
        totals = write_json(records, folder / f'mcpc_{split}.json', info)
        report(
            split, {source: entry for source, (_, entry) in own.items()}, log, totals
        )
    for split in ('train', 'val'):
        name = f'mcpc_{split}.json'
        (args.out / name).unlink(missing_ok=True)  # there may be no validation now
        if (folder / name).exists():
            (folder / name).replace(args.out / name)
    shutil.rmtree(folder)
    total = sum(totals.values(), Counter())
    print(
        f'{args.out / "mcpc_train.json"}: {total["images"]:,} images, '
        f'{total["people"]:,} people ({total["usable"]:,} usable); '
        f'published: {PUBLISHED}'
    )


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        'data_root', metavar='DATA_ROOT', type=Path, help='folder of the data sets'
    )
    parser.add_argument(
        '--out', type=Path, help='folder to write to (default: DATA_ROOT/mcpc)'
    )
    add_label_arguments(parser)
    parser.add_argument(
        '--force', action='store_true', help='replace an earlier output in OUT'
    )
    args = parser.parse_args(argv)
    if not args.tau >= 1:
        parser.error(f'--tau must be 1 or more, but got {args.tau}')
    args.out = args.out or args.data_root / 'mcpc'
    return args


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line tool.

    Args:
        argv: Arguments; those of the process if None.

    Returns:
        Exit code: 0, 1 after an error that is printed, 130 when interrupted.
    """
    args = parse_args(argv)
    try:
        run(args)
    except (OSError, ValueError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('interrupted; the same command goes on', file=sys.stderr)
        return 130
    return 0


if __name__ == '__main__':
    sys.exit(main())
