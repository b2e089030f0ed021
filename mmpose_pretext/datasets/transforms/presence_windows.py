"""Which keypoints are inside of which region of a person: labels without places."""

import hashlib

import numpy as np
from mmcv.transforms import BaseTransform

from mmpose_pretext.registry import TRANSFORMS

BUDGETS = ('strict', 'windows', 'unlimited')


def window_rng(seed: int, key: object) -> np.random.Generator:
    """Return a generator that depends on the seed and a person's key only."""
    digest = hashlib.sha256(f'{seed}:{key}'.encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], 'big'))


def draw_windows(
    rng: np.random.Generator,
    num_windows: int,
    area: tuple[float, float] = (0.06, 0.5),
) -> np.ndarray:
    """Draw random windows within a box.

    A window's area is uniform in ``area``; the logarithm of its aspect ratio,
    relative to that of the box, is uniform between those of 1/2 and 2, as far as the
    window stays within the box; its place is uniform.

    Args:
        rng: Generator.
        num_windows: Number W of windows.
        area: Smallest and largest area of a window, in areas of the box.

    Returns:
        Windows of shape (W, 4): x1, y1, x2, y2 in widths and heights of the box.
    """
    size = rng.uniform(*area, size=num_windows)
    aspect = 2 ** rng.uniform(-1, 1, size=num_windows)
    width = np.clip(np.sqrt(size * aspect), size, 1)  # then size / width <= 1
    sides = np.stack([width, size / width], axis=1)
    start = rng.uniform(size=(num_windows, 2)) * (1 - sides)
    return np.concatenate([start, start + sides], axis=1)


def box_corners(boxes: np.ndarray) -> np.ndarray:
    """Return the corners of boxes: top-left, top-right, bottom-right, bottom-left.

    Args:
        boxes: Shape (..., 4): x1, y1, x2, y2.

    Returns:
        Shape (..., 4, 2).
    """
    return boxes[..., [[0, 1], [2, 1], [2, 3], [0, 3]]]


@TRANSFORMS.register_module()
class PresenceWindows(BaseTransform):
    """Replace the places of keypoints by their presence in regions of the person.

    Region 0 is the person's box as ``GetBBoxCenterScale`` has padded it, clipped to
    the image. The others are windows within it. For each, an annotator would say of
    each keypoint whether it is inside; this transform takes the answers from the
    annotated places, and then forgets the places. The budget says how many answers
    are bought:

    - ``'strict'``: region 0 only, K answers a person;
    - ``'windows'``: W windows more, drawn once from the seed and the person's id
      (never from a keypoint): K (W + 1) answers a person;
    - ``'unlimited'``: W new windows whenever the sample is drawn. After enough of
      them the places are known, so this is an oracle, not location-free.

    Place it after ``GetBBoxCenterScale`` and before every transform that looks at
    keypoints, or that moves the image: :class:`mmpose_pretext.PresenceLabel` moves the
    windows along. Samples with ``located=True``
    (:class:`mmpose_pretext.LabelFraction` with ``keep_rest``) keep their places, for
    semi-supervised training. Samples without keypoints, as those of MMPose's
    inferencers, get no labels, and keypoints of visibility 0, which later transforms
    need. Labels that a user wrote need no such transform: see
    :class:`mmpose_pretext.PresenceDataset`.

    Required Keys:

        - bbox_center, bbox_scale, img_shape
        - keypoints, keypoints_visible, or else num_keypoints
        - id (with ``budget='windows'``)
        - located (optional)

    Modified Keys:

        - keypoints, keypoints_visible: All 0, unless located.
        - raw_ann_info, num_keypoints, area: Without what tells places, unless located.

    Added Keys:

        - presence_windows: float32 of shape (M, 4, 2), the corners of the M regions in
          pixels of the image: top-left, top-right, bottom-right, bottom-left.
        - presence: float32 of shape (M, K): 1 present, 0 absent, -1 unknown.

    Args:
        budget: ``'strict'``, ``'windows'`` or ``'unlimited'``.
        num_windows: Number W of windows; 0 with ``'strict'``.
        seed: Seed of the windows.
        area: Smallest and largest area of a window, in areas of region 0.
        unannotated: What a keypoint without annotation (visibility 0) counts as,
            ``'absent'`` or ``'unknown'``. In COCO these are nearly all outside of the
            image or cannot be seen, and an annotator of presence would say absent.
        keep_locations: Keep the places of all samples, as for validation, where
            metrics need both.

    Raises:
        ValueError: If an argument is none of these; or a sample has not exactly one
            person, has presence labels already, was flipped, moved or turned before, or
            has no id with ``budget='windows'``.
    """

    def __init__(
        self,
        budget: str,
        num_windows: int = 0,
        seed: int = 0,
        area: tuple[float, float] = (0.06, 0.5),
        unannotated: str = 'absent',
        keep_locations: bool = False,
    ) -> None:
        if budget not in BUDGETS:
            raise ValueError(f'budget must be one of {BUDGETS}, but got {budget!r}')
        if (budget == 'strict') != (num_windows == 0) or num_windows < 0:
            raise ValueError(
                f"num_windows must be 0 with budget='strict' and positive with the "
                f'others, but got num_windows={num_windows} with budget={budget!r}'
            )
        if not 0 < area[0] <= area[1] <= 1:
            raise ValueError(f'area must be 0 < smallest <= largest <= 1, got {area}')
        if unannotated not in ('absent', 'unknown'):
            raise ValueError(
                f"unannotated must be 'absent' or 'unknown', but got {unannotated!r}"
            )
        self.budget = budget
        self.num_windows = num_windows
        self.seed = seed
        self.area = tuple(area)
        self.unannotated = unannotated
        self.keep_locations = keep_locations

    def transform(self, results: dict) -> dict:
        """Set the labels and, unless located, forget the places."""
        if 'keypoints' not in results:  # nothing is annotated where MMPose infers
            shape = 1, results['num_keypoints']
            results['keypoints'] = np.zeros((*shape, 2), dtype=np.float32)
            results['keypoints_visible'] = np.zeros(shape, dtype=np.float32)
            return results
        if 'presence' in results:
            raise ValueError(
                'the sample has presence labels already, as those of PresenceDataset; '
                'leave PresenceWindows, which makes them of places, out of its pipeline'
            )
        moved = [key for key in ('flip', 'bbox_rotation') if key in results]
        if moved:
            raise ValueError(
                f'the sample has {moved[0]} already, so its windows would be others in '
                'every epoch, or be flipped twice; place PresenceWindows right after '
                'GetBBoxCenterScale, before RandomFlip and RandomBBoxTransform'
            )
        regions = self._regions(results)
        points, visible = results['keypoints'], results['keypoints_visible']
        inside = (
            (points >= regions[:, None, :2]) & (points < regions[:, None, 2:])
        ).all(axis=-1)
        annotated = (visible if visible.ndim == 2 else visible[..., 0]) > 0
        missing = 0 if self.unannotated == 'absent' else -1
        results['presence'] = np.where(annotated, inside, missing).astype(np.float32)
        results['presence_windows'] = box_corners(regions).astype(np.float32)
        if not (self.keep_locations or results.get('located', False)):
            results['keypoints'] = np.zeros_like(points)
            results['keypoints_visible'] = np.zeros_like(visible)
            for key in ('raw_ann_info', 'num_keypoints', 'area'):
                results.pop(key, None)
        return results

    def _regions(self, results: dict) -> np.ndarray:
        """Return the regions, shape (M, 4), without a look at keypoints."""
        center, scale = results['bbox_center'], results['bbox_scale']
        if center.shape != (1, 2):
            raise ValueError(
                'bbox_center must have the shape (1, 2), one person a sample, but it '
                f'is {center.shape}; use it in a top-down pipeline, after '
                'GetBBoxCenterScale'
            )
        height, width = results['img_shape'][:2]
        size = np.array([width, height])
        box = np.concatenate(
            [
                np.clip(center[0] - scale[0] / 2, 0, size),
                np.clip(center[0] + scale[0] / 2, 0, size),
            ]
        )
        if self.budget == 'unlimited':
            state = np.random  # the generator that MMEngine seeds in each worker
            rng = np.random.default_rng(state.randint(2**31))
        else:
            if self.num_windows and results.get('id') is None:
                raise ValueError(
                    'the sample has no id to draw its windows from, so that all people '
                    "would have the same; the dataset needs the key 'id'"
                )
            rng = window_rng(self.seed, results.get('id'))
        windows = draw_windows(rng, self.num_windows, self.area)
        start, sides = np.tile(box[:2], 2), np.tile(box[2:] - box[:2], 2)
        return np.concatenate([box[None], start + windows * sides])

    def __repr__(self) -> str:
        """Return the arguments."""
        return (
            f'{type(self).__name__}(budget={self.budget!r}, '
            f'num_windows={self.num_windows}, seed={self.seed}, area={self.area}, '
            f'unannotated={self.unannotated!r}, keep_locations={self.keep_locations})'
        )
