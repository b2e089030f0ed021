"""Convert Leeds Sports Pose Extended to the COCO-style json of CrowdPose.

Writes ``lspet_train.json`` and ``lspet_val.json`` with CrowdPose's 14 keypoints, so
that MMPose's ``CrowdPoseDataset`` reads them, and puts the images that they list into
``train/`` and ``val/`` beside them. Images with 13 or 14 labelled joints are used:
those below number 8500 for training, 8500 to 9249 for validation.
"""

import argparse
import filecmp
import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
from PIL import Image
from rich.progress import track
from scipy.io import loadmat

KEYPOINTS = [
    'left_shoulder',
    'right_shoulder',
    'left_elbow',
    'right_elbow',
    'left_wrist',
    'right_wrist',
    'left_hip',
    'right_hip',
    'left_knee',
    'right_knee',
    'left_ankle',
    'right_ankle',
    'top_head',
    'neck',
]
# The row of joints.mat that holds each of these keypoints.
JOINT_ORDER = [9, 8, 10, 7, 11, 6, 3, 2, 4, 1, 5, 0, 13, 12]
MIN_JOINTS = 13
SPLITS = {'train': range(1, 8500), 'val': range(8500, 9250)}
# Near-duplicates of training images.
LEFT_OUT = {8573, 8797, 9014, 9131, 9286, 9411, 9518, 9872}


def load_joints(path: Path) -> np.ndarray:
    """Read the joints of the published ``joints.mat``.

    Args:
        path: The MATLAB file.

    Returns:
        Array of shape (N, 14, 3): x and y in pixels, counted from 0, and 1 where
        the joint is labelled, in the order of ``KEYPOINTS``.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not the joints of LSPET.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f'{path} does not exist; LSPET_DIR must be the unpacked archive of Leeds '
            'Sports Pose Extended'
        )
    try:
        joints = loadmat(path).get('joints')
    except Exception as error:  # SciPy raises many types for a damaged file
        raise ValueError(f'{path} is no readable MATLAB file: {error}') from error
    if joints is None or joints.shape[:2] != (14, 3):
        raise ValueError(
            f'{path} must hold an array "joints" of shape (14, 3, N), but it holds '
            + ('none' if joints is None else f'shape {joints.shape}')
        )
    joints = joints[JOINT_ORDER].transpose(2, 0, 1).copy()
    joints[..., :2] -= 1
    return joints


def make_annotation(
    number: int, joints: np.ndarray, width: int, height: int
) -> dict[str, object]:
    """Make the annotation of one image.

    Args:
        number: Image number, which becomes both ids.
        joints: Array of shape (14, 3), as :func:`load_joints` gives them.
        width: Image width in pixels.
        height: Image height in pixels.

    Returns:
        COCO-style annotation. The box is the extent of the labelled joints, grown
        on each side by 15 % of its longer side and clipped to the image; the area
        is 0.53 of the box, as MMPose estimates it.
    """
    labelled = joints[:, 2] == 1
    keypoints: list[float] = []
    for x, y, is_labelled in joints.tolist():
        keypoints += [round(x, 2), round(y, 2), 2] if is_labelled == 1 else [0, 0, 0]
    low, high = joints[labelled, :2].min(0), joints[labelled, :2].max(0)
    margin = 0.15 * (high - low).max()
    low = np.maximum(low - margin, 0)
    size = np.minimum(high + margin, (width, height)) - low
    return dict(
        id=number,
        image_id=number,
        category_id=1,
        iscrowd=0,
        num_keypoints=int(labelled.sum()),
        bbox=[round(value, 2) for value in (*low.tolist(), *size.tolist())],
        area=round(0.53 * float(size.prod()), 1),
        keypoints=keypoints,
    )


def find_image(root: Path, split: str, name: str) -> Path:
    """Find an image in ``images/`` of the archive or in an already split folder."""
    candidates = (root / 'images' / name, root / split / name)
    for path in candidates:
        if path.is_file():
            return path
    raise FileNotFoundError(f'no image {" or ".join(map(str, candidates))}')


def convert_split(
    root: Path, split: str, joints: np.ndarray
) -> tuple[dict[str, object], list[Path]]:
    """Make the json content of a split.

    Args:
        root: Folder of the archive.
        split: ``'train'`` or ``'val'``.
        joints: Array of shape (N, 14, 3) from :func:`load_joints`.

    Returns:
        The content and the image files that it lists.

    Raises:
        FileNotFoundError: If an image is missing.
        ValueError: If an image cannot be decoded.
    """
    numbers = [
        number
        for number in SPLITS[split]
        if number <= len(joints)
        and number not in LEFT_OUT
        and np.count_nonzero(joints[number - 1, :, 2] == 1) >= MIN_JOINTS
    ]
    images, annotations, paths = [], [], []
    for number in track(numbers, f'{split}: {len(numbers)} images'):
        path = find_image(root, split, f'im{number:05d}.jpg')
        try:
            with Image.open(path) as image:
                image.load()
                width, height = image.size
        except OSError as error:
            raise ValueError(f'image {path} cannot be read: {error}') from error
        images.append(
            dict(
                id=number,
                file_name=path.name,
                width=width,
                height=height,
                crowdIndex=0.0,
            )
        )
        annotations.append(make_annotation(number, joints[number - 1], width, height))
        paths.append(path)
    content = dict(
        info=dict(
            description='Leeds Sports Pose Extended, >=13 labelled joints, '
            'CrowdPose keypoint order',
            source='Johnson and Everingham, CVPR 2011',
        ),
        images=images,
        annotations=annotations,
        categories=[dict(id=1, name='person', keypoints=KEYPOINTS, skeleton=[])],
    )
    return content, paths


def place_images(paths: list[Path], folder: Path, copy: bool) -> None:
    """Link or copy images into a folder; images that are there already stay.

    Args:
        paths: Image files.
        folder: Where they go; it is made if it does not exist.
        copy: Copy instead of making symbolic links.

    Raises:
        FileExistsError: If another image of the same name is there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for path in paths:
        target = folder / path.name
        if target.exists():
            if not filecmp.cmp(path, target, shallow=False):
                raise FileExistsError(
                    f'{target} exists and differs from {path}; move it away or give '
                    'another OUT_DIR'
                )
            continue
        if copy:
            partial = target.with_suffix('.partial')
            shutil.copyfile(path, partial)
            partial.replace(target)
        else:
            target.unlink(missing_ok=True)  # a link whose file is gone
            target.symlink_to(os.path.relpath(path.resolve(), folder.resolve()))


def write_json(content: dict[str, object], path: Path, force: bool) -> None:
    """Write a json, keeping an existing one that differs unless ``force``."""
    text = json.dumps(content, separators=(',', ':'))
    if path.exists() and path.read_text() != text and not force:
        raise FileExistsError(
            f'{path} exists with other content; give --force to replace it'
        )
    partial = path.with_name(f'{path.name}.partial')
    partial.write_text(text)
    partial.replace(path)


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        'lspet_dir',
        metavar='LSPET_DIR',
        type=Path,
        help='unpacked archive: joints.mat, and the images in images/ (or already in '
        'train/ and val/)',
    )
    parser.add_argument(
        'out_dir', metavar='OUT_DIR', type=Path, help='output, such as data/lspet'
    )
    parser.add_argument(
        '--copy',
        action='store_true',
        help='copy the images into OUT_DIR; the default is symbolic links',
    )
    parser.add_argument(
        '--force', action='store_true', help='replace json files that differ'
    )
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Run the command line tool.

    Args:
        argv: Arguments; those of the process if None.

    Returns:
        Exit code: 0, or 1 after an error that is printed.
    """
    args = parse_args(argv)
    try:
        joints = load_joints(args.lspet_dir / 'joints.mat')
        for split in SPLITS:
            content, paths = convert_split(args.lspet_dir, split, joints)
            place_images(paths, args.out_dir / split, args.copy)
            write_json(content, args.out_dir / f'lspet_{split}.json', args.force)
    except (OSError, ValueError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    print(f'written: {args.out_dir}/lspet_train.json and lspet_val.json')
    return 0


if __name__ == '__main__':
    sys.exit(main())
