"""Images of Human3.6M with poses in camera space."""

import pickle
import re
import zipfile
from collections.abc import Sequence

import numpy as np
from mmengine import fileio

from mmpose_pretext.registry import DATASETS

from .image_pose_3d_dataset import H36M, ImagePose3DDataset

SUBJECTS = dict(train=('S1', 'S5', 'S6', 'S7', 'S8'), test=('S9', 'S11'))
"""Those with published poses, as the usual protocols divide them."""

BOX_PADDING = 1.2
"""Factor by which MMPose's ``preprocess_h36m.py`` grows its boxes."""

_VIDEO = re.compile(r'(?P<subject>S\d+)_(?P<action>[^._]+)(_\d+)?\.(?P<camera>\d+)')
_ARRAYS = ('imgname', 'center', 'scale', 'part', 'S')


@DATASETS.register_module()
class Human36mImageDataset(ImagePose3DDataset):
    """Human3.6M for pose from images.

    Reads what MMPose's own ``preprocess_h36m.py`` writes: an npz with ``imgname``,
    ``center`` and ``scale`` of the box (a square of 200 * scale pixels, with a margin
    that is taken off here: ``bbox_padding``), ``part`` (2D, pixels) and ``S`` (3D,
    metres in camera space), a pickle of the cameras, and the images. Keypoints are the
    17 of MMPose's ``h36m``; the action of a sample is named without its number. Lens
    distortion is left alone: MMPose's pixels have it, the pinhole camera does not.

    Most works train on S1, S5, S6, S7 and S8 and test on S9 and S11. As Martinez et
    al., 2017 (arXiv 1705.03098), number them, protocol 1 then reports MPJPE and
    protocol 2 PA-MPJPE, both of which :class:`mmpose_pretext.RootAlignedPose3D` gives.
    Moon et al., 2019, and Sun et al., 2018, call the first protocol 2; their protocol 1
    trains on S9 as well, and reports PA-MPJPE on S11. See :class:`ImagePose3DDataset`.

    Args:
        subjects: ``'train'``, ``'test'``, or a list of subjects as ``'S9'``.
        camera_param_file: The pickle, below ``data_root`` if relative.
        frame_step: Use every n-th frame of a video, from its first, by the numbers in
            the file names. At 50 frames a second (``preprocess_h36m.py --sample-rate
            1``, whose default writes every fifth), 5 is usual in training, 64 in tests.
        bbox_padding: Factor by which the boxes of the file have been grown; those of
            samples are without it, for ``GetBBoxCenterScale`` grows them again.
        **kwargs: See :class:`ImagePose3DDataset`.

    Raises:
        FileNotFoundError: If a file does not exist.
        ValueError: As of :class:`ImagePose3DDataset`; and if a subject has no published
            poses or is not in the file, arrays have different lengths, a name of an
            image is there twice or is not of Human3.6M, the pickle is none of cameras,
            a camera is missing, or the frames of the file are farther apart than
            ``frame_step`` or by no divisor of it.
    """

    METAINFO: dict = dict(from_file=H36M)

    def __init__(
        self,
        *,
        subjects: str | Sequence[str],
        camera_param_file: str,
        frame_step: int = 1,
        bbox_padding: float = BOX_PADDING,
        **kwargs,
    ) -> None:
        known = [*SUBJECTS['train'], *SUBJECTS['test']]
        if isinstance(subjects, str):
            if subjects not in SUBJECTS:
                raise ValueError(
                    "subjects must be 'train', 'test' or a list of "
                    f'{", ".join(known)}, but got {subjects!r}'
                )
            subjects = SUBJECTS[subjects]
        unknown = [subject for subject in subjects if subject not in known]
        if unknown or not subjects:
            raise ValueError(
                f'subjects must be of {", ".join(known)}, which have published poses, '
                f'but got {list(subjects)!r}'
            )
        if frame_step < 1:
            raise ValueError(f'frame_step must be at least 1, but got {frame_step}')
        self.subjects = tuple(subjects)
        self.camera_param_file = camera_param_file
        if bbox_padding <= 0:
            raise ValueError(
                f'bbox_padding must be more than 0, but got {bbox_padding}'
            )
        self.frame_step = frame_step
        self.bbox_padding = bbox_padding
        super().__init__(**kwargs)

    def _join_prefix(self) -> None:
        super()._join_prefix()
        if self.data_root:
            self.camera_param_file = fileio.join_path(
                self.data_root, self.camera_param_file
            )

    def _load_people(self) -> list[dict | None]:
        if not fileio.exists(self.camera_param_file):
            raise FileNotFoundError(
                f'camera_param_file {self.camera_param_file} does not exist'
            )
        cameras = self._load_cameras()
        arrays = self._load_arrays()
        names = [str(name) for name in arrays['imgname']]
        videos, of, frames = self._parse(names)
        if len(np.unique(np.stack([of, frames]), axis=1).T) < len(names):
            raise ValueError(f'{self.ann_file}: an image is there twice in imgname')
        first = np.full(len(videos), np.iinfo(int).max)
        np.minimum.at(first, of, frames)
        present = {video['subject'] for video in videos}
        missing = [subject for subject in self.subjects if subject not in present]
        if missing:
            raise ValueError(
                f'{self.ann_file} has no image of {", ".join(missing)}; it has '
                f'{", ".join(sorted(present))}. Choose others by subjects'
            )
        of_subjects = np.array([v['subject'] in self.subjects for v in videos])[of]
        spacing = int(np.gcd.reduce((frames - first[of])[of_subjects]))
        if self.frame_step > 1 and spacing and self.frame_step % spacing:
            raise ValueError(
                f'{self.ann_file} has every {spacing}th frame, of which '
                f'frame_step={self.frame_step} would keep one in '
                f'{self.frame_step // np.gcd(spacing, self.frame_step)}. Give a '
                f'multiple of {spacing}, or write all frames by preprocess_h36m.py '
                '--sample-rate 1'
            )
        people = []
        kept = of_subjects & ((frames - first[of]) % self.frame_step == 0)
        for index in np.flatnonzero(kept).tolist():
            video = videos[of[index]]
            camera = cameras.get((video['subject'], video['camera']))
            intrinsics = None
            if camera is not None:
                intrinsics = (*np.ravel(camera['f']), *np.ravel(camera['c']))
            pose, points = arrays['S'][index], arrays['part'][index]
            half = 100.0 * arrays['scale'][index] / self.bbox_padding
            centre = arrays['center'][index]
            people.append(
                self._sample(
                    index=index,
                    img_id=index,
                    file_name=names[index],
                    bbox=np.concatenate([centre - half, centre + half]),
                    keypoints=points[:, :2],
                    keypoints_cam=1000 * pose[:, :3],
                    intrinsics=intrinsics,
                    raw=dict(action=video['action'], subject=video['subject']),
                    visible=points[:, 2],
                    visible_cam=pose[:, 3],
                )
            )
        return people

    def _load_cameras(self) -> dict[tuple[str, str], dict]:
        try:
            cameras = fileio.load(self.camera_param_file)
        except (EOFError, ValueError, pickle.UnpicklingError) as error:
            raise ValueError(
                f'camera_param_file {self.camera_param_file} is no complete pickle: '
                f'{error}'
            ) from error
        if not isinstance(cameras, dict):
            raise ValueError(
                f'camera_param_file {self.camera_param_file} must hold a dict of '
                f'cameras by subject and camera, but holds a {type(cameras).__name__}'
            )
        return cameras

    def _load_arrays(self) -> dict[str, np.ndarray]:
        try:
            with fileio.get_local_path(self.ann_file) as path, np.load(path) as data:
                arrays = {key: data[key] for key in _ARRAYS}
        except (OSError, ValueError, zipfile.BadZipFile) as error:
            raise ValueError(
                f'ann_file {self.ann_file} is no complete npz: {error}'
            ) from error
        lengths = {key: len(array) for key, array in arrays.items()}
        if len({*lengths.values()}) > 1:
            raise ValueError(
                f'{self.ann_file}: the arrays are not of the same frames; their '
                f'lengths are {lengths}'
            )
        return arrays

    def _parse(self, names: list[str]) -> tuple[list[dict], np.ndarray, np.ndarray]:
        """Split names as S1_Directions_1.54138969_000001.jpg of N images.

        Returns:
            The videos, with ``subject``, ``action`` and ``camera``; the index of each
            image's video, shape (N,); and its frame, shape (N,).
        """
        videos: dict[str, tuple[int, dict]] = {}
        of, frames = np.empty((2, len(names)), dtype=int)
        for index, name in enumerate(names):
            video, _, frame = name.rpartition('/')[2].rpartition('_')
            number = frame.partition('.')[0]
            match = None if video in videos else _VIDEO.fullmatch(video)
            if match:
                videos[video] = len(videos), match.groupdict()
            if video not in videos or not number.isdecimal():
                raise ValueError(
                    f'{self.ann_file}: {name!r} is no image of Human3.6M; expected a '
                    'name as S1_Directions_1.54138969_000001.jpg'
                )
            of[index], frames[index] = videos[video][0], int(number)
        return [parts for _, parts in videos.values()], of, frames
