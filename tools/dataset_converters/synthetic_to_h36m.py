#!/usr/bin/env python
r"""Write synthetic people in the layout of MMPose's Human3.6M, for its pose lifters.

    python tools/dataset_converters/synthetic_to_h36m.py \
        data/synthetic_crowd/annotations/person_keypoints_train.json \
        data/synthetic_h36m/train.npz

MMPose's Human36mDataset reads the npz, and mmpose_pretext.Human36mImageDataset reads it
with OUT_cameras.pkl, which is written beside it. Each person becomes a frame of its own
of subject S1, or S9 with --subject, seen by a camera of its own; file names carry the
action. With --link-images DIR the images are found under these names in DIR.
"""

import argparse
import os
import pickle
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mmpose_pretext.datasets import SyntheticPose3DDataset
from mmpose_pretext.datasets.human36m_image_dataset import BOX_PADDING


def convert(args: argparse.Namespace) -> int:
    """Write the files that the arguments name, and return the number of people."""
    cameras_file = args.out.with_name(f'{args.out.stem}_cameras.pkl')
    for path in (args.out, cameras_file):
        if path.exists() and not args.force:
            raise FileExistsError(f'{path} exists; --force replaces it')
    images = args.ann_file.parent.parent / 'images'
    dataset = SyntheticPose3DDataset(
        ann_file=str(args.ann_file), data_prefix=dict(img=str(images))
    )
    names, boxes, points, poses, cameras = [], [], [], [], {}
    for index in range(len(dataset)):
        person = dataset.get_data_info(index)
        action = person['raw_ann_info']['action'].replace('_', '').replace('.', '')
        camera = f'{index:08d}'
        names.append(f'{args.subject}_{action}.{camera}_{index + 1:06d}.jpg')
        x1, y1, x2, y2 = person['bbox'][0]
        size = BOX_PADDING * max(x2 - x1, y2 - y1)
        boxes.append(((x1 + x2) / 2, (y1 + y2) / 2, size / 200))
        seen = person['keypoints_visible'][0, :, None]
        points.append(np.concatenate([person['keypoints'][0], seen], axis=1))
        known = person['keypoints_cam_visible'][0, :, None]
        pose = person['keypoints_cam'][0] / 1000
        poses.append(np.concatenate([pose, known], axis=1))
        cameras[args.subject, camera] = dict(
            f=person['focal'].T.astype(float),
            c=person['principal_pt'].T.astype(float),
            id=camera,
        )
        if args.link_images:
            link = args.link_images / names[-1]
            link.parent.mkdir(parents=True, exist_ok=True)
            target = Path(person['img_path']).resolve()
            if link.is_symlink() and link.resolve() != target:
                if not args.force:
                    raise FileExistsError(
                        f'{link} links to {link.resolve()}, not to {target}; use '
                        'another --subject or folder for each split (--force replaces)'
                    )
                link.unlink()
            if not link.is_symlink():
                link.symlink_to(target)
    boxes = np.array(boxes)
    arrays = dict(
        imgname=np.array(names),
        center=boxes[:, :2],
        scale=boxes[:, 2],
        part=np.array(points),
        S=np.array(poses),
    )
    args.out.parent.mkdir(parents=True, exist_ok=True)
    partial = args.out.with_name(args.out.name + '.partial.npz')
    np.savez(partial, **arrays)
    cameras_file.write_bytes(pickle.dumps(cameras))
    os.replace(partial, args.out)
    return len(names)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool and return its exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('ann_file', type=Path, help='of make_synthetic_people.py')
    parser.add_argument('out', type=Path, help='npz to be written')
    parser.add_argument(
        '--subject', default='S1', help='whose frames they are called, as S9'
    )
    parser.add_argument(
        '--link-images',
        type=Path,
        metavar='DIR',
        help='folder for links to the images, under the names of the frames',
    )
    parser.add_argument('--force', action='store_true', help='replace the files')
    args = parser.parse_args(argv)
    try:
        count = convert(args)
    except (OSError, ValueError) as error:
        print(f'synthetic_to_h36m.py: {error}', file=sys.stderr)
        return 1
    print(f'{args.out}: {count:,} people')
    return 0


if __name__ == '__main__':
    sys.exit(main())
