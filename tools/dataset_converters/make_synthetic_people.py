"""Make a dataset of synthetic people with exact 2D, 3D and depth truth."""

import argparse
import sys
from collections.abc import Sequence

import cv2

from mmpose_pretext.synthetic import MotionCapture, SceneConfig, make_dataset
from mmpose_pretext.synthetic.mocap import SPLITS


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog='Writes OUT_DIR/images/SPLIT_*.jpg and, last, '
        'OUT_DIR/annotations/person_keypoints_SPLIT.json (COCO keypoints, with camera '
        'and 3D joints). The same seed gives the same files, byte for byte, with the '
        'same libraries and the same kernels of OpenBLAS. These go by the processor, '
        'and others may move an outline by a pixel; OPENBLAS_CORETYPE chooses them.',
    )
    parser.add_argument('out_dir', help='folder of the dataset; may hold other splits')
    parser.add_argument('--num-images', type=int, default=1000, help='default: 1000')
    parser.add_argument(
        '--image-size', type=int, nargs=2, default=(256, 256), metavar=('W', 'H'),
        help='size of every image in pixels, default: 256 256',
    )  # fmt: skip
    parser.add_argument(
        '--people', type=int, nargs=2, default=(1, 6), metavar=('MIN', 'MAX'),
        help='number of people in an image, default: 1 6',
    )  # fmt: skip
    parser.add_argument(
        '--plain', action='store_true',
        help='bare ground, no noise and blur, nothing that hides people',
    )  # fmt: skip
    parser.add_argument(
        '--painted', action='store_true',
        help='every part of a body has a colour of its own, the same in everybody; '
        'left and right differ, so train without flips',
    )  # fmt: skip
    parser.add_argument('--split', default='train', help='its name, default: train')
    parser.add_argument('--seed', type=int, default=0, help='default: 0')
    parser.add_argument('--workers', type=int, default=1, help='processes, default: 1')
    parser.add_argument(
        '--poses', metavar='FILE.npz',
        help='motion capture instead of drawn poses: arrays poses (N, 17, 3) in '
        "metres, y up, Human3.6M's joints, and clip (N,), the recording's number",
    )  # fmt: skip
    parser.add_argument(
        '--poses-split', choices=list(SPLITS),
        help='use only the clips of this split: a hash of the clip number puts 80 %% '
        'into train, 10 %% into val, 10 %% into test; default: all clips',
    )  # fmt: skip
    parser.add_argument(
        '--force', action='store_true', help='replace an existing dataset of this split'
    )
    args = parser.parse_args(argv)
    if args.poses_split and not args.poses:
        parser.error('--poses-split needs --poses')
    return args


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool; the exit status is 1 after a mistake of the user."""
    args = parse_args(argv)
    cv2.setNumThreads(1)
    try:
        motion = MotionCapture(args.poses, args.poses_split) if args.poses else None
        path = make_dataset(
            args.out_dir,
            args.num_images,
            SceneConfig(
                tuple(args.image_size), tuple(args.people), args.plain, args.painted
            ),
            split=args.split,
            seed=args.seed,
            workers=args.workers,
            motion=motion,
            force=args.force,
            progress=True,
        )
    except (ValueError, OSError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    print(f'\nWrote {path}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
