r"""Draw what a location-free network sees: its activation maps, and the pose.

A picture a person. The first column shows the crop, the pose and what guides the
context encoder; the others, for each of some keypoints, the class activation map (CAM),
the attention of the keypoint's prototype, its similarity to the features of each place,
and the final map, from which the pose is taken. A network without such a part, as the
CAM baseline, has no such column.

Example:
    python tools/visualizations/activation_maps.py configs/location_free/....py \
        work_dirs/locfree_.../epoch_14.pth demo.jpg --out pictures

Without --ann-file each image is taken for the box of one person. The pictures are
OUT/NAME_0.png, NAME_1.png, ..., one for each person on the image NAME.
"""

import argparse
import pickle
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from mmengine.dataset import Compose, pseudo_collate
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from torch import nn

from mmpose_pretext.datasets import PersonCropDataset
from mmpose_pretext.datasets.person_crop_dataset import IMAGE_SUFFIXES
from mmpose_pretext.datasets.transforms import LoadImageStrict
from mmpose_pretext.visualization import (
    branch_maps,
    draw_activations,
    drawing_parser,
    load_model,
    refuse_existing,
)

MAX_ROWS = 6  # of the keypoints that are chosen by default
LABELLING = ('PresenceWindows', 'GenerateTarget')  # transforms that need annotations


def find_people(source: Path, ann_file: str | None = None) -> list[dict]:
    """List the people to draw.

    Args:
        source: An image, or a folder, which is searched with its subfolders.
        ann_file: COCO-style json with boxes of people; file names are relative to the
            folder (to that of the image).

    Returns:
        ``img_path`` of each person and, with ``ann_file``, ``bbox``.

    Raises:
        FileNotFoundError: If a file does not exist, or the folder holds no image.
        ValueError: If ``ann_file`` is no such json, or names no person on the image.
    """
    if not source.exists():
        raise FileNotFoundError(f'{source} does not exist')
    if ann_file is not None:
        folder = source if source.is_dir() else source.parent
        dataset = PersonCropDataset(ann_file, data_prefix=dict(img=str(folder)))
        people = [dataset.get_data_info(i) for i in range(len(dataset))]
        if source.is_dir():
            return people
        people = [person for person in people if Path(person['img_path']) == source]
        if not people:
            raise ValueError(f'{ann_file} names no person on {source}')
        return people
    paths = [source]
    if source.is_dir():
        paths = [p for p in source.rglob('*') if p.suffix.lower() in IMAGE_SUFFIXES]
        if not paths:
            raise FileNotFoundError(
                f'{source} holds no image ({", ".join(IMAGE_SUFFIXES)})'
            )
    return [dict(img_path=str(path)) for path in sorted(paths)]


def choose_keypoints(metainfo: dict, names: list[str] | None = None) -> list[int]:
    """Return the indices of keypoints: of the names, or of some from all over the body.

    Raises:
        ValueError: If the dataset does not have a keypoint of some name.
    """
    if names is None:
        number = metainfo['num_keypoints']
        spread = np.linspace(0, number - 1, min(MAX_ROWS, number))
        return spread.round().astype(int).tolist()
    known = metainfo['keypoint_name2id']
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(
            f'--keypoints has {", ".join(unknown)}, but the keypoints are: '
            + ', '.join(known)
        )
    return [known[name] for name in names]


def picture_paths(people: list[dict], source: Path, out: Path) -> list[Path]:
    """Return the path of each person's picture; subfolders are those of the images."""
    folder = source if source.is_dir() else source.parent
    counts: Counter[Path] = Counter()
    paths = []
    for person in people:
        stem = out / Path(person['img_path']).relative_to(folder).with_suffix('')
        paths.append(stem.with_name(f'{stem.name}_{counts[stem]}.png'))
        counts[stem] += 1
    return paths


@torch.no_grad()
def draw(model: nn.Module, person: dict, keypoints: list[int], out: Path) -> None:
    """Draw one person.

    Args:
        model: What :func:`load_model` gives, with ``dataset_meta``.
        person: An item of what :func:`find_people` gives.
        keypoints: Which keypoints get a row.
        out: Picture to write.

    Raises:
        ValueError: If the image cannot be read, or the config has no test pipeline.
    """
    if not model.cfg.get('test_dataloader'):
        raise ValueError(
            f'{model.cfg.filename} has no test_dataloader, whose pipeline is used'
        )
    person = LoadImageStrict()(dict(person))
    height, width = person['img_shape']
    person.setdefault('bbox', np.array([[0, 0, width, height]], dtype=np.float32))
    steps = model.cfg.test_dataloader.dataset.pipeline
    pipeline = Compose([s for s in steps if s.type.split('.')[-1] not in LABELLING])
    data = pipeline(person)
    batch = model.data_preprocessor(pseudo_collate([data]))
    feats = model.extract_feat(batch['inputs'])
    maps = branch_maps(model.head, feats)
    poses, fields = model.head.predict(
        feats, batch['data_samples'], dict(output_heatmaps=True)
    )
    maps = {name: values[0].cpu().numpy() for name, values in maps.items()}
    guidance = maps.pop('guidance', None)
    columns = dict(cam='CAM', attention='attention', similarity='similarity')
    maps = {title: maps[name] for name, title in columns.items() if name in maps}
    figure = draw_activations(
        data['inputs'].numpy()[::-1].transpose(1, 2, 0),
        maps | {'final map': fields[0].heatmaps.cpu().numpy()},
        poses[0].keypoints[0],
        poses[0].presence[0, 0],
        keypoints,
        model.dataset_meta,
        None if guidance is None else guidance[0],
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out)


def run(args: argparse.Namespace) -> None:
    """Draw the people that the arguments name."""
    people = find_people(args.image, args.ann_file)
    paths = picture_paths(people, args.image, args.out)
    refuse_existing(paths, args.force)
    model = load_model(args.config, args.checkpoint, 'LocationFreeHead', args.device)
    model.dataset_meta = parse_pose_metainfo(model.cfg.model.head.metainfo)
    keypoints = choose_keypoints(model.dataset_meta, args.keypoints)
    for person, path in zip(people, paths, strict=True):
        draw(model, person, keypoints, path)
        print(path)


def main(argv: list[str] | None = None) -> int:
    """Run the tool and return its exit status."""
    parser = drawing_parser(__doc__, 'location-free')
    parser.add_argument(
        'image', type=Path, help='image, or folder, searched with the subfolders'
    )
    parser.add_argument(
        '--ann-file',
        help='COCO-style json with the boxes of people, as detect_people.py writes it',
    )
    parser.add_argument(
        '--keypoints',
        nargs='+',
        metavar='NAME',
        help=f'keypoints to draw, a row each (default: up to {MAX_ROWS} from all over '
        'the body)',
    )
    args = parser.parse_args(argv)
    try:
        run(args)
    except (OSError, ValueError, pickle.UnpicklingError) as error:
        print(f'activation_maps.py: {error}', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
