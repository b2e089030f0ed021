"""Datasets of synthetic people on disk."""

import json
import multiprocessing
import os
import re
import zlib
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from .mocap import MotionCapture
from .scene import Scene, SceneConfig, annotate, render, sample_scene
from .skeleton import H36M_JOINTS, sample_pose

CATEGORY = {
    'id': 1,
    'name': 'person',
    'supercategory': 'person',
    'keypoints': [
        'nose', 'left_eye', 'right_eye', 'left_ear', 'right_ear', 'left_shoulder',
        'right_shoulder', 'left_elbow', 'right_elbow', 'left_wrist', 'right_wrist',
        'left_hip', 'right_hip', 'left_knee', 'right_knee', 'left_ankle',
        'right_ankle',
    ],
    'skeleton': [
        [16, 14], [14, 12], [17, 15], [15, 13], [12, 13], [6, 12], [7, 13], [6, 7],
        [6, 8], [7, 9], [8, 10], [9, 11], [2, 3], [1, 2], [1, 3], [2, 4], [3, 5],
        [4, 6], [5, 7],
    ],
    'keypoints_3d': list(H36M_JOINTS),
}  # fmt: skip
"""COCO's person category, and the joint order of ``keypoints_3d``."""

_ATTEMPTS = 50


@dataclass(frozen=True)
class _Job:
    """What a worker must know to draw any image of a dataset."""

    folder: Path
    split: str
    seed: int
    config: SceneConfig
    motion: MotionCapture | None

    def __call__(self, index: int) -> tuple[dict, list[dict]]:
        """Draw, write and describe one image."""
        rng = np.random.default_rng((self.seed, zlib.crc32(self.split.encode()), index))
        draw = self.motion.sample if self.motion else sample_pose
        for _ in range(_ATTEMPTS):
            scene = sample_scene(rng, self.config, draw)
            rendering = render(scene)
            people = annotate(scene, rendering)
            if len(people) >= self.config.people[0]:
                break
        else:
            raise ValueError(
                f'{self.config.people[0]} people do not fit into an image of '
                f'{self.config.image_size} pixels; make it larger or ask for fewer'
            )
        name = f'{self.split}_{index:06d}.jpg'
        quality = [cv2.IMWRITE_JPEG_QUALITY, 92]
        if not cv2.imwrite(str(self.folder / name), rendering.image, quality):
            raise OSError(f'could not write {self.folder / name}')
        return _image_record(scene, index, name), [
            _person_record(scene, person, index) for person in people
        ]


def _image_record(scene: Scene, index: int, name: str) -> dict:
    camera = scene.camera
    cx, cy = camera.centre
    # the last digits differ between processors
    focal, height, pitch = (
        round(v, 6) for v in (camera.focal, camera.height, camera.pitch)
    )
    return {
        'id': index,
        'file_name': name,
        'width': camera.image_size[0],
        'height': camera.image_size[1],
        'camera': {
            'fx': focal,
            'fy': focal,
            'cx': cx,
            'cy': cy,
            'height': height,
            'pitch': pitch,
        },
    }


def _person_record(scene: Scene, person: dict, image: int) -> dict:
    pose = scene.people[person['person']]
    joints = np.round(person['keypoints_3d'] * 1000, 2)
    record = {
        'image_id': image,
        'category_id': 1,
        'iscrowd': 0,
        'bbox': person['bbox'],
        'area': person['area'],
        'num_keypoints': int((person['keypoints'][:, 2] > 0).sum()),
        'keypoints': [
            v
            for x, y, seen in person['keypoints'].tolist()
            for v in (round(x, 3), round(y, 3), int(seen))
        ],
        'keypoints_3d': joints.tolist(),
        'keypoints_3d_visible': person['keypoints_3d_visible'].tolist(),
        'root_depth': float(joints[0, 2]),
        'action': pose.action,
    }
    if pose.source:
        record['pose_index'], record['clip'] = pose.source
    return record


_job: _Job | None = None  # of a worker process


def _start_worker(job: _Job) -> None:
    global _job
    _job = job


def _draw(index: int) -> tuple[dict, list[dict]]:
    return _job(index)


def _run(job: _Job, count: int, workers: int) -> Iterable[tuple[dict, list[dict]]]:
    """Results of the images 0 to count - 1, in order."""
    if workers == 1:
        yield from map(job, range(count))
        return
    context = multiprocessing.get_context('fork')  # others would import torch again
    # Threads do not survive a fork: OpenCV's are ended before it, since a worker
    # that meets their remains (even by setting their number) waits for ever.
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    pool = ProcessPoolExecutor(workers, context, _start_worker, (job,))
    try:
        yield from pool.map(_draw, range(count), chunksize=8)
    finally:
        pool.shutdown(cancel_futures=True)
        cv2.setNumThreads(threads)


def make_dataset(
    out_dir: str | Path,
    num_images: int,
    config: SceneConfig | None = None,
    *,
    split: str = 'train',
    seed: int = 0,
    workers: int = 1,
    motion: MotionCapture | None = None,
    force: bool = False,
    progress: bool = False,
) -> Path:
    """Write a dataset of synthetic people.

    The images are ``images/<split>_000000.jpg`` and so on. The annotations are
    ``annotations/person_keypoints_<split>.json``, COCO keypoints with these additions:

    - image ``camera``: ``fx``, ``fy``, ``cx``, ``cy`` in pixels, ``height`` above the
      ground in metres, ``pitch`` (downwards) in radians;
    - annotation ``keypoints_3d``: 17 x, y, z in millimetres in camera space (x right, y
      down, z forward), in the order of :data:`skeleton.H36M_JOINTS`;
      ``keypoints_3d_visible``: 2 seen, 1 hidden, 0 outside the image; ``root_depth``: z
      of the root; ``action``; with motion capture ``pose_index`` and ``clip``.

    ``bbox`` is the tight box of the person's visible pixels and ``area`` their number.
    A keypoint has v = 2 if seen, 1 if in the image but hidden by a thing, by another
    person or by the own body, and 0 (with x = y = 0) outside the image. The files
    depend on seed, split and settings only, not on the number of workers. The json is
    written last: without it a dataset is not finished.

    Args:
        out_dir: Folder, made when missing; it may hold other splits.
        num_images: Number of images, at least 1.
        config: Size of the images, number of people, and what else is in view.
        split: Name of the split: letters, digits, ``_`` and ``-``.
        seed: Seed, not negative.
        workers: Number of processes, at least 1.
        motion: Real poses; drawn ones when None.
        force: Whether to replace an existing dataset of this split.
        progress: Whether to print a progress bar.

    Returns:
        Path of the json.

    Raises:
        ValueError: If an argument is out of its range, or the people do not fit.
        FileExistsError: If the split exists, finished or not, and ``force`` is False.
    """
    for name, value, least in (
        ('num_images', num_images, 1),
        ('workers', workers, 1),
        ('seed', seed, 0),
    ):
        if value < least:
            raise ValueError(f'{name} must be at least {least}, got {value}')
    if not re.fullmatch(r'[\w-]+', split, re.ASCII):
        raise ValueError(f'split must be letters, digits, _ and -, got {split!r}')
    config = config or SceneConfig()
    images = Path(out_dir) / 'images'
    target = Path(out_dir) / 'annotations' / f'person_keypoints_{split}.json'
    pattern = re.compile(rf'{re.escape(split)}_\d{{6,}}\.jpg')
    old = [p for p in images.glob('*.jpg') if pattern.fullmatch(p.name)]
    if old or target.exists():
        if not force:
            raise FileExistsError(
                f'{out_dir} already holds the split {split!r}'
                + ('' if target.exists() else ', unfinished')
                + '; choose another folder or split, or replace it with --force'
            )
        for path in [target, *old]:  # the json first: never an old one on new images
            path.unlink(missing_ok=True)
    images.mkdir(parents=True, exist_ok=True)
    target.parent.mkdir(parents=True, exist_ok=True)

    results = _run(_Job(images, split, seed, config, motion), num_images, workers)
    if progress:
        from mmengine.utils import track_iter_progress

        results = track_iter_progress((results, num_images))
    records, annotations = [], []
    for image, people in results:
        records.append(image)
        for person in people:
            annotations.append({'id': len(annotations), **person})
    content = {
        'info': {
            'description': 'Synthetic people',
            'seed': seed,
            'split': split,
            'image_size': config.image_size,
            'people': config.people,
            'plain': config.plain,
            'painted': config.painted,
            'poses': motion and motion.source,
        },
        'images': records,
        'annotations': annotations,
        'categories': [CATEGORY],
    }
    part = target.with_suffix('.part')
    part.write_text(json.dumps(content))
    os.replace(part, target)
    return target
