"""What tools that draw samples of a dataset share: arguments, choice, files."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from torch.utils.data import Dataset


def drawing_parser(description: str, kind: str) -> argparse.ArgumentParser:
    """Return a parser of what such tools have in common.

    These are ``config``, ``checkpoint``, ``--out``, ``--device`` and ``--force``.

    Args:
        description: What the tool does.
        kind: Which configuration it takes, for its help.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help=f'{kind} configuration')
    parser.add_argument('checkpoint', help='checkpoint of it')
    parser.add_argument(
        '--out', type=Path, required=True, help='folder of the pictures'
    )
    parser.add_argument('--device', default='cpu', help='as in cuda:0')
    parser.add_argument('--force', action='store_true', help='overwrite pictures')
    return parser


def spread(indices: Sequence[int], num: int) -> list[int]:
    """Choose ``num`` indices, evenly from the first to the last; all if they are fewer.

    Raises:
        ValueError: If ``num`` is less than 1.
    """
    if num < 1:
        raise ValueError(f'--num must be 1 or more, but got {num}')
    places = np.linspace(0, len(indices) - 1, min(num, len(indices))).astype(int)
    return [int(indices[place]) for place in places]


def refuse_existing(paths: Sequence[Path], force: bool) -> None:
    """Refuse to overwrite pictures without ``force``.

    Raises:
        FileExistsError: If one exists.
    """
    existing = [path for path in paths if path.exists()]
    if existing and not force:
        raise FileExistsError(f'{existing[0]} exists; --force overwrites it')


def picture_paths(
    dataset: Dataset, indices: Sequence[int], key: str, out: Path, force: bool
) -> dict[int, Path]:
    """Name the pictures of samples, and make their folder.

    Args:
        dataset: A dataset of MMPose.
        indices: Of the samples.
        key: Of the number that tells samples apart: ``id`` for people, ``img_id`` for
            images.
        out: Folder.
        force: Whether pictures may be overwritten.

    Returns:
        ``out/NUMBER_IMAGE.png`` of each index.

    Raises:
        FileExistsError: If one exists and may not be overwritten.
    """
    paths = {}
    for index in indices:
        info = dataset.get_data_info(index)
        paths[index] = out / f'{info[key]}_{Path(info["img_path"]).stem}.png'
    refuse_existing(list(paths.values()), force)
    out.mkdir(parents=True, exist_ok=True)
    return paths


def save_picture(path: Path, picture: np.ndarray) -> None:
    """Write a picture.

    Args:
        path: Its file.
        picture: Of shape (H, W, 3), BGR.

    Raises:
        OSError: If it cannot be written.
    """
    if not cv2.imwrite(str(path), picture):
        raise OSError(f'could not write {path}')
