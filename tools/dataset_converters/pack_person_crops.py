"""Crop every person once, and pack the crops into an LMDB.

A photograph is decoded again for every person on it and in every epoch. This tool
does it once: it cuts each person out with a margin, shrinks the crop to the resolution
of training, and writes OUT_DIR/crops.lmdb and the COCO-style OUT_DIR/crops.json, in
which one image is one crop and boxes and keypoints are in its pixels. PersonCropDataset
reads them for pretraining, MMPose's own datasets (CocoDataset, CrowdPoseDataset, ...)
for fine-tuning:

    dataset=dict(ann_file='OUT_DIR/crops.json', data_root='', data_prefix=dict(img=''))
    dict(type='LoadImage',
         backend_args=dict(backend='lmdb', db_path='OUT_DIR/crops.lmdb'))

An interrupted run goes on where it stopped when the same command is given again.
"""

import argparse
import hashlib
import json
import os
import shutil
import sys
from pathlib import Path

import cv2
import lmdb
import numpy as np
from rich.progress import MofNCompleteColumn, Progress
from torch.utils.data import DataLoader, Dataset

from mmpose_pretext.datasets import PersonCropDataset
from mmpose_pretext.datasets.transforms import LoadImageStrict

# Keys of an annotation, besides the box, that the crop keeps.
LABELS = ('keypoints', 'num_keypoints', 'area', 'score')
SETTINGS_KEY = b'settings'
PHOTOGRAPHS_PER_COMMIT = 32


class LabelledPeople(PersonCropDataset):
    """People with what their annotations hold besides the box.

    Adds ``labels`` (dict) and ``image_size`` (width, height) to each sample.
    """

    def _parse_person(self, person: dict, images: dict[int, dict]) -> dict | str:
        data_info = super()._parse_person(person, images)
        if isinstance(data_info, dict):
            image = images[person['image_id']]
            data_info['image_size'] = (image['width'], image['height'])
            data_info['labels'] = {key: person[key] for key in LABELS if key in person}
        return data_info


def crop_person(
    img: np.ndarray, bbox: np.ndarray, margin: float, input_size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cut a person out of a photograph.

    The box is grown to the aspect ratio of the network's input, as
    ``TopdownAffine`` grows it; the crop is the upright square around it whose side
    is ``margin`` times its longer side, clipped to the photograph. The crop is
    shrunk, never enlarged, so that the grown box is not larger than the input.

    Args:
        img: Photograph of shape (H, W, 3).
        bbox: Shape (4,): x1, y1, x2, y2 in pixels.
        margin: Side of the crop, relative to the grown box.
        input_size: Width and height of the network's input in pixels.

    Returns:
        - The crop, of shape (h, w, 3).
        - scale, of shape (2,), and
        - shift, of shape (2,): the point p of the photograph lies at
          ``p * scale + shift`` in the crop.
    """
    input_size = np.array(input_size)
    size = bbox[2:] - bbox[:2]
    factor = (size / input_size).max()  # the grown box is factor * input_size
    center, half = (bbox[2:] + bbox[:2]) / 2, margin * factor * input_size.max() / 2
    x1, y1 = np.maximum(np.floor(center - half), 0).astype(int)
    x2, y2 = np.minimum(np.ceil(center + half), img.shape[1::-1]).astype(int)
    crop = img[y1:y2, x1:x2]
    cut_size = np.array([x2 - x1, y2 - y1])
    if factor > 1:
        width, height = np.maximum(np.round(cut_size / factor), 1).astype(int).tolist()
        crop = cv2.resize(crop, (width, height), interpolation=cv2.INTER_AREA)
    scale = np.array(crop.shape[1::-1]) / cut_size
    # Pixel i covers i - 0.5 to i + 0.5.
    return crop, scale, (0.5 - np.array([x1, y1])) * scale - 0.5


def move_labels(
    person: dict, scale: np.ndarray, shift: np.ndarray
) -> dict[str, object]:
    """Make the COCO-style annotation of a person in the pixels of its crop.

    Args:
        person: Sample of :class:`LabelledPeople`.
        scale: Shape (2,), from :func:`crop_person`.
        shift: Shape (2,), from :func:`crop_person`.

    Returns:
        The annotation without its ids; visibilities are as they were, points with
        visibility 0 become ``0, 0, 0`` as in COCO.
    """
    corners = person['bbox'].reshape(2, 2) * scale + shift
    bbox = np.concatenate([corners[0], corners[1] - corners[0]])
    labels = dict(person.get('labels', {}))
    if 'area' in labels:
        labels['area'] = round(float(labels['area'] * scale.prod()), 2)
    if 'keypoints' in labels:
        points = np.array(labels['keypoints'], dtype=float).reshape(-1, 3)
        moved = (points[:, :2] * scale + shift).round(2).tolist()
        labels['keypoints'] = [
            value
            for (x, y), v in zip(moved, points[:, 2].astype(int).tolist(), strict=True)
            for value in ((x, y, v) if v else (0, 0, 0))
        ]
    return dict(
        category_id=1,
        iscrowd=0,
        bbox=bbox.round(2).tolist(),
        orig_image_id=person['img_id'],
        orig_ann_id=person['id'],
        **labels,
    )


def key_of(number: int) -> str:
    """Return the LMDB key, which is the file name, of a crop."""
    return f'{number:09d}.jpg'


class PhotographCrops(Dataset):
    """The crops of each photograph.

    An item is the list of (number, JPEG, record) of the people on a photograph, or
    the message that says why it cannot be used. The record is a json with the
    ``image`` and the ``annotation`` of the crop.

    Args:
        people: Samples of :class:`LabelledPeople` by number.
        margin: See :func:`crop_person`.
        input_size: See :func:`crop_person`.
        quality: JPEG quality, 1 to 100.
    """

    def __init__(
        self,
        people: dict[int, dict],
        margin: float,
        input_size: tuple[int, int],
        quality: int,
    ) -> None:
        """Group the people by photograph."""
        photographs: dict[str, list[int]] = {}
        for number, person in people.items():
            photographs.setdefault(person['img_path'], []).append(number)
        self.photographs = list(photographs.items())
        self.people = people
        self.margin = margin
        self.input_size = input_size
        self.quality = quality
        self.load = LoadImageStrict()

    def __len__(self) -> int:
        """Return the number of photographs."""
        return len(self.photographs)

    def __getitem__(self, index: int) -> list[tuple[int, bytes, bytes]] | str:
        """Crop the people on a photograph."""
        path, numbers = self.photographs[index]
        try:
            img = self.load(dict(img_path=path))['img']
        except ValueError as error:
            return str(error)
        size = img.shape[1::-1]
        expected = self.people[numbers[0]].get('image_size', size)
        if size != expected:
            return (
                f'image {path} has {size[0]}x{size[1]} pixels, but the annotation '
                f'file says {expected[0]}x{expected[1]}'
            )
        return [(number, *self._pack(img, number)) for number in numbers]

    def _pack(self, img: np.ndarray, number: int) -> tuple[bytes, bytes]:
        person = self.people[number]
        crop, scale, shift = crop_person(
            img, person['bbox'][0], self.margin, self.input_size
        )
        _, jpeg = cv2.imencode('.jpg', crop, [cv2.IMWRITE_JPEG_QUALITY, self.quality])
        height, width = crop.shape[:2]
        record = dict(
            image=dict(id=number, file_name=key_of(number), width=width, height=height),
            annotation=dict(
                id=number, image_id=number, **move_labels(person, scale, shift)
            ),
        )
        return jpeg.tobytes(), json.dumps(record, separators=(',', ':')).encode()


def fingerprint(people: dict[int, dict]) -> str:
    """Return a digest of the people and their photographs."""
    digest = hashlib.sha256()
    for person in people.values():
        path, bbox = os.path.abspath(person['img_path']), person['bbox'].tolist()
        digest.update(json.dumps([path, bbox, person.get('labels')]).encode())
    return digest.hexdigest()


def put(env: lmdb.Environment, items: list[tuple[bytes, bytes]]) -> None:
    """Write items in one transaction, enlarging the map when it is full."""
    while True:
        try:
            with env.begin(write=True) as transaction:
                for key, value in items:
                    transaction.put(key, value)
            return
        except lmdb.MapFullError:
            env.set_mapsize(2 * env.info()['map_size'])


def check_settings(env: lmdb.Environment, settings: dict[str, object]) -> None:
    """Store the settings of a new LMDB; refuse to go on with other ones."""
    with env.begin() as transaction:
        stored = transaction.get(SETTINGS_KEY)
    if stored is None:
        put(env, [(SETTINGS_KEY, json.dumps(settings).encode())])
        return
    stored = json.loads(stored)
    different = [key for key, value in settings.items() if stored.get(key) != value]
    if different:
        raise FileExistsError(
            f'{env.path()} was begun with other {" and ".join(different)}; give the '
            'same arguments to go on, another OUT_DIR, or --force to begin anew'
        )


def use_one_thread(_: int) -> None:
    """Keep OpenCV in a worker process to the thread of the process."""
    cv2.setNumThreads(0)


def pack(
    env: lmdb.Environment, crops: PhotographCrops, workers: int, skip_bad: bool
) -> list[str]:
    """Crop and write all photographs.

    Args:
        env: LMDB to write to.
        crops: What to crop.
        workers: Number of processes that crop; this one writes.
        skip_bad: Whether to go on after a bad photograph.

    Returns:
        A message for each photograph that was skipped.

    Raises:
        ValueError: If a photograph is bad and ``skip_bad`` is not set.
    """
    loader = DataLoader(
        crops,
        batch_size=PHOTOGRAPHS_PER_COMMIT,
        num_workers=workers,
        collate_fn=list,
        worker_init_fn=use_one_thread,
    )
    skipped = []
    with Progress(*Progress.get_default_columns(), MofNCompleteColumn()) as progress:
        task = progress.add_task('people', total=len(crops.people))
        for batch in loader:
            packed = [crop for item in batch if isinstance(item, list) for crop in item]
            bad = [item for item in batch if isinstance(item, str)]
            put(
                env,
                [
                    pair
                    for number, jpeg, record in packed
                    for pair in (
                        (key_of(number).encode(), jpeg),
                        (f'{number:09d}.json'.encode(), record),
                    )
                ],
            )
            if bad and not skip_bad:
                raise ValueError(
                    f'{bad[0]}. What is packed so far is kept: repair the image and '
                    'give the same command, or add --skip-bad to leave it out'
                )
            skipped += bad
            progress.advance(task, len(packed))
    return skipped


def write_json(env: lmdb.Environment, path: Path) -> int:
    """Write the json of all crops in an LMDB and return their number."""
    images, annotations = [], []
    with env.begin() as transaction:
        for key, value in transaction.cursor():
            if key.endswith(b'.json'):
                record = json.loads(value)
                images.append(record['image'])
                annotations.append(record['annotation'])
    content = dict(
        info=dict(description='person crops'),
        images=images,
        annotations=annotations,
        categories=[dict(id=1, name='person')],
    )
    partial = path.with_suffix('.partial')
    partial.write_text(json.dumps(content, separators=(',', ':')))
    partial.replace(path)
    return len(images)


def run(args: argparse.Namespace) -> None:
    """Pack the people that the arguments name."""
    dataset = LabelledPeople(
        ann_file=args.ann_file if args.ann_file != '-' else '',
        bbox_file=args.bbox_file,
        data_prefix=dict(img=args.img_prefix),
        min_bbox_size=args.min_bbox_size,
        serialize_data=False,
    )
    people = dict(enumerate(dataset.data_list, start=1))
    database, json_file = args.out_dir / 'crops.lmdb', args.out_dir / 'crops.json'
    if args.force:
        shutil.rmtree(database, ignore_errors=True)
        json_file.unlink(missing_ok=True)
    if json_file.exists() and not database.exists():
        raise FileExistsError(
            f'{json_file} exists, but {database} does not; give another OUT_DIR, or '
            '--force to replace it'
        )
    database.mkdir(parents=True, exist_ok=True)
    with lmdb.open(str(database)) as env:
        settings = dict(
            people=fingerprint(people),
            margin=args.margin,
            input_size=args.input_size,
            quality=args.quality,
        )
        check_settings(env, settings)
        with env.begin() as transaction:
            missing = {
                number: person
                for number, person in people.items()
                if transaction.get(key_of(number).encode()) is None
            }
        if not missing and json_file.exists():
            print(f'{args.out_dir} is complete: {len(people)} people')
            return
        if len(missing) < len(people):
            print(f'going on: {len(people) - len(missing)} people are packed already')
        crops = PhotographCrops(missing, args.margin, args.input_size, args.quality)
        skipped = pack(env, crops, args.workers, args.skip_bad)
        for message in skipped:
            print(f'skipped: {message}', file=sys.stderr)
        count = write_json(env, json_file)
    print(
        f'{count} of {len(people)} people are in {database} and {json_file}'
        + (f'; {len(skipped)} images were skipped' if skipped else '')
    )


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        'ann_file',
        metavar='ANN',
        help='COCO-style json whose boxes are the people, with or without keypoints '
        '(crowds are left out); or - if each image in IMG_PREFIX is one person',
    )
    parser.add_argument('img_prefix', metavar='IMG_PREFIX', help='image folder')
    parser.add_argument('out_dir', metavar='OUT_DIR', type=Path, help='output folder')
    parser.add_argument(
        '--bbox-file',
        metavar='FILE',
        help="take the people from a detector's results in COCO format (a list) "
        'instead of the annotations in ANN',
    )
    parser.add_argument(
        '--margin',
        type=float,
        default=1.875,
        help='side of the square crop relative to the person box (which is first grown '
        'to the aspect ratio of the input). The default is the 1.25 of '
        'GetBBoxCenterScale times the 1.5 of RandomBBoxTransform: views that are '
        'neither rotated nor shifted are the same as from the photograph; of all views '
        'together less than 1%% of the pixels turn black. 2.75 keeps every pixel, in '
        'files 1.5 times as large (default: %(default)s)',
    )
    parser.add_argument(
        '--input-size',
        type=int,
        nargs=2,
        default=[192, 256],
        metavar=('W', 'H'),
        help='largest input of the networks to train, in pixels: people that are '
        'larger are shrunk to it, none is enlarged (default: 192 256)',
    )
    parser.add_argument(
        '--quality', type=int, default=95, help='JPEG quality (default: %(default)s)'
    )
    parser.add_argument(
        '--min-bbox-size',
        type=float,
        default=0,
        help='leave out boxes whose shorter side has fewer pixels (default: 0)',
    )
    parser.add_argument(
        '--workers',
        type=int,
        default=min(4, os.cpu_count() or 1),
        help='processes; 0 works in this one (default: %(default)s)',
    )
    parser.add_argument(
        '--skip-bad',
        action='store_true',
        help='leave out images that are missing, truncated or of another size than the '
        'json says, and count them; the default is to stop',
    )
    parser.add_argument(
        '--force',
        action='store_true',
        help='delete crops.lmdb and crops.json in OUT_DIR and begin anew',
    )
    args = parser.parse_args(argv)
    if args.margin < 1:
        parser.error(f'--margin must be 1 or more, but got {args.margin}')
    if min(args.input_size) < 1:
        parser.error(f'--input-size must be positive, but got {args.input_size}')
    if not 1 <= args.quality <= 100:
        parser.error(f'--quality must be 1 to 100, but got {args.quality}')
    if args.workers < 0:
        parser.error(f'--workers must be 0 or more, but got {args.workers}')
    return args


def main(argv: list[str] | None = None) -> int:
    """Run the command line tool.

    Args:
        argv: Arguments; those of the process if None.

    Returns:
        Exit code: 0, 1 after an error that is printed, 130 when interrupted.
    """
    args = parse_args(argv)
    try:
        run(args)
    except (OSError, ValueError, lmdb.Error) as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('interrupted; the same command goes on', file=sys.stderr)
        return 130
    return 0


if __name__ == '__main__':
    sys.exit(main())
