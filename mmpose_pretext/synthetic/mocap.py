"""Real motion-capture poses for the synthetic people."""

import hashlib
import zipfile
from pathlib import Path

import numpy as np

from .skeleton import PROPORTIONS, Pose, cross, sample_height, turn, unit

SPLITS = {'train': (0.0, 0.8), 'val': (0.8, 0.9), 'test': (0.9, 1.0)}
"""Share of the clips in each split; a hash of the clip's number decides."""

# Up the body from an ankle to the top of the head: parent and child joints.
_CHAIN = ([3, 2, 0, 7, 8, 9], [2, 1, 7, 8, 9, 10])


def split_of_clip(clip: int) -> str:
    """Split of a clip: the same on every machine and for every file."""
    digest = hashlib.sha256(str(int(clip)).encode()).digest()
    place = int.from_bytes(digest[:4], 'big') / 2**32
    return next(name for name, (_, end) in SPLITS.items() if place < end)


class MotionCapture:
    """Poses of an npz file, ready to be drawn.

    The file holds ``poses`` (N, 17, 3), metres, y up, joints in Human3.6M's order, and
    ``clip`` (N,), the number of the recording that a pose belongs to. Each clip is put
    on the ground, so that jumps stay in the air: the tenth percentile of its frames'
    lowest joints is taken as the height of a standing ankle. A drawn pose keeps the
    proportions of its bones; it is scaled as a whole to the drawn height of the person.

    Args:
        path: The npz file.
        split: Key of :data:`SPLITS`; all clips when None.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is no npz, an array is missing or has another shape, or
            holds values that are no poses in metres with y up, or no clip is in the
            split.
    """

    def __init__(self, path: str | Path, split: str | None = None) -> None:
        """Read and check the file."""
        path = Path(path)
        if not path.is_file():
            raise FileNotFoundError(f'poses: there is no file {path}')
        try:
            with np.load(path) as data:
                arrays = {k: data[k] for k in ('poses', 'clip') if k in data.files}
        except (ValueError, TypeError, OSError, zipfile.BadZipFile) as error:
            raise ValueError(f'poses: {path} is not a readable npz file') from error
        for key in ('poses', 'clip'):
            if key not in arrays:
                raise ValueError(f'poses: {path} has no array {key!r}')
        poses, clip = arrays['poses'], arrays['clip']
        if poses.ndim != 3 or poses.shape[1:] != (17, 3) or len(poses) == 0:
            raise ValueError(
                f"poses: 'poses' in {path} must have shape (N, 17, 3), "
                f'got {poses.shape}'
            )
        if clip.shape != poses.shape[:1] or not np.issubdtype(clip.dtype, np.integer):
            raise ValueError(
                f"poses: 'clip' in {path} must hold {len(poses)} whole numbers, got "
                f'shape {clip.shape} of {clip.dtype}'
            )
        poses = poses.astype(float)
        if not np.isfinite(poses).all():
            raise ValueError(f"poses: 'poses' in {path} holds NaN or infinite values")
        a, b = _CHAIN
        chain = np.linalg.norm(poses[:, a] - poses[:, b], axis=-1).sum(1)
        self.heights = chain / (1 - PROPORTIONS['ankle'])
        typical = float(np.median(self.heights))
        if not 0.8 < typical < 2.5:
            raise ValueError(
                f'poses: the people in {path} are {typical:.3g} m tall; metres expected'
            )
        if np.median(poses[:, 10, 1] - poses[:, [3, 6], 1].mean(1)) < 0.3 * typical:
            raise ValueError(
                f'poses: in {path} most heads are not above the feet; y must point up'
            )
        lowest = poses[..., 1].min(1)
        for c in np.unique(clip):
            rows = clip == c
            ankle = PROPORTIONS['ankle'] * self.heights[rows]
            poses[rows, :, 1] -= (np.percentile(lowest[rows], 10) - ankle)[:, None]
        self.poses, self.clip = poses, clip
        self.source = {'file': path.name, 'split': split}
        wanted = [c for c in np.unique(clip) if split in (None, split_of_clip(c))]
        self.frames = np.flatnonzero(np.isin(clip, wanted))
        if not len(self.frames):
            raise ValueError(f'poses: no clip of {path} is in the split {split!r}')

    def sample(self, rng: np.random.Generator) -> Pose:
        """Draw a pose; its face looks up to 40 degrees to a side of the chest."""
        frame = int(rng.choice(self.frames))
        height = sample_height(rng)
        joints = self.poses[frame] - self.poses[frame, 0] * [1, 0, 1]
        joints = joints * (height / self.heights[frame])
        sunk = (joints[:, 1] - 0.025 * height).min()
        joints[:, 1] -= min(sunk, 0)
        left = unit(joints[11] - joints[14])
        ahead = cross(left, unit(joints[10] - joints[8]))
        yaw = turn(1, float(np.clip(rng.normal(0, 15), -40, 40)))
        source = (frame, int(self.clip[frame]))
        return Pose(joints, yaw @ unit(ahead), height, 'mocap', source)
