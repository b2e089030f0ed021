"""People in images whose pose in camera space is known."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
from mmengine import fileio
from mmengine.logging import print_log
from mmpose.datasets.datasets.base import BaseCocoStyleDataset

from mmpose_pretext.codecs import IntegralPose3D
from mmpose_pretext.registry import DATASETS

from .metainfo import metainfo_file

H36M = 'configs/_base_/datasets/h36m.py'


class ImagePose3DDataset(BaseCocoStyleDataset):
    """Base of datasets with one sample a person, with a pose in camera space.

    A sample is as those of other top-down datasets of MMPose, and has:

    - ``keypoints``: float32 of shape (1, K, 2), in pixels of the image;
      ``keypoints_visible``: (1, K);
    - ``keypoints_cam``: float32 of shape (1, K, 3), in mm in camera space: x to the
      right, y down, z forward; ``keypoints_cam_visible``: (1, K), 0 where unknown;
    - ``focal`` and ``principal_pt``: float32 of shape (1, 2), in pixels;
    - ``raw_ann_info``: with ``action``, if the annotation has one;
    - ``instance_mapping_table``: that of :class:`mmpose_pretext.IntegralPose3D`, so
      that ``PackPoseInputs`` keeps these keys without ``GenerateTarget``, too.

    Keypoints that are not finite are taken as unknown, in 2D and in 3D. What is left
    out, or in part unknown, is counted in the log.

    A subclass reads its format in ``_load_people``, and makes samples by ``_sample``.

    Args:
        ann_file: The annotations.
        **kwargs: See :class:`mmpose.datasets.datasets.base.BaseCocoStyleDataset`:
            ``metainfo``, ``data_root``, ``data_prefix`` (key ``img``), and ``pipeline``
            among others.

    Raises:
        FileNotFoundError: If the annotations do not exist.
        TypeError: If ``data_mode`` or ``bbox_file`` is given.
        ValueError: If the annotations are truncated or of another kind, a person has
            another number of keypoints than the metainfo, a person's image is not
            there, an image has no intrinsics, or nobody is left.
    """

    def __init__(self, ann_file: str = '', **kwargs) -> None:
        for name in ('bbox_file', 'data_mode'):
            if name in kwargs:
                raise TypeError(
                    f'{type(self).__name__} has no argument {name!r}: its samples are '
                    'annotated people'
                )
        self.counts: Counter[str] = Counter()
        super().__init__(ann_file=ann_file, data_mode='topdown', **kwargs)

    def get_data_info(self, idx: int) -> dict:
        """Return an annotated person, before the pipeline."""
        table = dict(IntegralPose3D.instance_mapping_table)
        return dict(super().get_data_info(idx), instance_mapping_table=table)

    def _load_annotations(self) -> tuple[list[dict], list[dict]]:
        if not fileio.exists(self.ann_file):
            raise FileNotFoundError(
                f'ann_file {self.ann_file} of {type(self).__name__} does not exist'
            )
        try:
            people = self._load_people()
        except (KeyError, IndexError) as error:
            raise ValueError(
                f'ann_file {self.ann_file} is not what {type(self).__name__} reads: it '
                f'lacks {error}'
            ) from error
        except (AttributeError, TypeError) as error:
            raise ValueError(
                f'ann_file {self.ann_file} is not what {type(self).__name__} reads: a '
                f'part of it is of another kind ({error})'
            ) from error
        people = [person for person in people if person is not None]
        usable = sum(map(self._is_valid_instance, people))
        self.counts['people without a box, left out'] += len(people) - usable
        self.counts += Counter()  # drops zeros
        if self.counts:
            what = ', '.join(f'{count} {name}' for name, count in self.counts.items())
            print_log(f'{self.ann_file}: {what}', 'current')
        if not usable:
            raise ValueError(f'ann_file {self.ann_file} has no person to use')
        return people, []

    def _load_people(self) -> list[dict | None]:
        """Return the samples; None for what is left out."""
        raise NotImplementedError

    def _load_json(self) -> dict:
        try:
            return json.loads(fileio.get_text(self.ann_file))
        except ValueError as error:
            raise ValueError(
                f'ann_file {self.ann_file} is no complete json: {error}'
            ) from error

    def _annotated(self, content: dict) -> list[tuple[dict, dict]]:
        """Pair the annotations of a COCO-like json with their images."""
        images = {image['id']: image for image in content['images']}
        pairs = []
        for annotation in content['annotations']:
            image = images.get(annotation['image_id'])
            if image is None:
                raise ValueError(
                    f'{self.ann_file}: annotation {annotation["id"]} is of image '
                    f'{annotation["image_id"]}, which is not among the images'
                )
            pairs.append((annotation, image))
        return pairs

    def _sample(
        self,
        *,
        index: int,
        img_id: int,
        file_name: str,
        bbox: np.ndarray,
        keypoints: np.ndarray,
        keypoints_cam: np.ndarray,
        intrinsics: tuple[float, float, float, float] | None,
        raw: dict,
        visible: np.ndarray | None = None,
        visible_cam: np.ndarray | None = None,
    ) -> dict | None:
        """Check and make a sample.

        Args:
            index: Id of the annotation.
            img_id: Id of the image.
            file_name: Its file, below ``data_prefix``.
            bbox: Shape (4,): left, top, right, bottom, in pixels.
            keypoints: Shape (K, 2), pixels.
            keypoints_cam: Shape (K, 3), mm.
            intrinsics: fx, fy, cx, cy in pixels.
            raw: For ``raw_ann_info``.
            visible: Shape (K,), more than 0 where labelled in the image. Default: all.
            visible_cam: Likewise in camera space.

        Returns:
            The sample; None without a keypoint, or without a finite box.
        """
        place = f'{self.ann_file}, annotation {index} of {file_name}'
        expected = self._metainfo['num_keypoints']
        if keypoints.shape != (expected, 2) or keypoints_cam.shape != (expected, 3):
            raise ValueError(
                f'{place}: keypoints have the shapes {keypoints.shape} and '
                f'{keypoints_cam.shape}, but the metainfo has {expected} keypoints'
            )
        if intrinsics is None:
            raise ValueError(f'{place}: the image has no intrinsics')
        if not (
            np.shape(intrinsics) == (4,)
            and np.isfinite(intrinsics).all()
            and min(intrinsics[:2]) > 0
        ):
            raise ValueError(
                f'{place}: intrinsics must be the four numbers fx, fy, cx, cy, finite, '
                f'fx and fy more than 0, but are {intrinsics}'
            )
        if not np.isfinite(bbox).all():
            self.counts['people whose box is not finite, left out'] += 1
            return None
        seen, known = np.isfinite(keypoints).all(1), np.isfinite(keypoints_cam).all(1)
        if not (seen & known).all():
            self.counts['people with keypoints that are not finite'] += 1
        keypoints = np.where(seen[:, None], keypoints, 0)
        keypoints_cam = np.where(known[:, None], keypoints_cam, 0)
        if visible is not None:
            seen = seen & (visible > 0)
        if visible_cam is not None:
            known = known & (visible_cam > 0)
        if not seen.any():
            self.counts['people without a keypoint, left out'] += 1
            return None
        return dict(
            id=index,
            img_id=img_id,
            img_path=str(Path(self.data_prefix['img']) / file_name),
            bbox=np.asarray(bbox, dtype=np.float32)[None],
            bbox_score=np.ones(1, dtype=np.float32),
            num_keypoints=int(seen.sum()),
            keypoints=keypoints.astype(np.float32)[None],
            keypoints_visible=seen.astype(np.float32)[None],
            keypoints_cam=keypoints_cam.astype(np.float32)[None],
            keypoints_cam_visible=known.astype(np.float32)[None],
            focal=np.array([intrinsics[:2]], dtype=np.float32),
            principal_pt=np.array([intrinsics[2:]], dtype=np.float32),
            category_id=np.array(1),
            raw_ann_info=raw,
        )


@DATASETS.register_module()
class SyntheticPose3DDataset(ImagePose3DDataset):
    """Synthetic people, of ``tools/dataset_converters/make_synthetic_people.py``.

    Keypoints are the 17 of Human3.6M: their places in the image are projected from
    camera space. Those outside the image are not labelled in it, but in 3D they are.
    See :class:`ImagePose3DDataset`.
    """

    METAINFO: dict = dict(from_file=H36M)

    def _load_people(self) -> list[dict | None]:
        content = self._load_json()
        joints = content['categories'][0]['keypoints_3d']
        people = []
        for annotation, image in self._annotated(content):
            if annotation.get('iscrowd', 0):
                continue
            camera = image.get('camera')
            intrinsics = camera and tuple(camera[k] for k in ('fx', 'fy', 'cx', 'cy'))
            points = np.array(annotation['keypoints_3d'], dtype=float)
            if points.shape != (len(joints), 3):
                raise ValueError(
                    f'{self.ann_file}: annotation {annotation["id"]} has keypoints_3d '
                    f'of shape {points.shape}, but its category names {len(joints)}'
                )
            pixels = np.full((len(points), 2), np.nan)
            if intrinsics:
                focal, centre = np.reshape(intrinsics, (2, 2))
                pixels = focal * points[:, :2] / points[:, 2:] + centre
            x, y, w, h = annotation['bbox']
            people.append(
                self._sample(
                    index=annotation['id'],
                    img_id=image['id'],
                    file_name=image['file_name'],
                    bbox=np.array([x, y, x + w, y + h]),
                    keypoints=pixels,
                    keypoints_cam=points,
                    intrinsics=intrinsics,
                    raw=dict(action=annotation['action']),
                    visible=np.array(annotation['keypoints_3d_visible']),
                )
            )
        return people


@DATASETS.register_module()
class MuCo3DHPDataset(ImagePose3DDataset):
    """MuCo-3DHP: people of MPI-INF-3DHP, composed into images, for training.

    Reads the COCO-like json of Moon et al., 2019 (arXiv 1907.11346), in common use:
    images have ``f`` and ``c``, annotations ``keypoints_img`` and ``keypoints_cam`` of
    21 keypoints in mm. The first 17 are those of MuPoTS-3D, and are used here; hands
    and toes are not. See :class:`ImagePose3DDataset`.

    Args:
        min_distance: Composed people may stand in each other. As in that work, the
            nearest person of an image is used, and of the others those whose root is
            at least so many mm from each other one's, in the image plane (x, y). None
            uses all.
        **kwargs: See :class:`ImagePose3DDataset`.
    """

    METAINFO: dict = dict(from_file=metainfo_file('mupots'))
    ROOT = 14

    def __init__(self, *, min_distance: float | None = 500.0, **kwargs) -> None:
        self.min_distance = min_distance
        super().__init__(**kwargs)

    def _load_people(self) -> list[dict | None]:
        groups: dict[int, list[tuple[dict, dict]]] = {}
        for annotation, image in self._annotated(self._load_json()):
            groups.setdefault(image['id'], []).append((annotation, image))
        people = []
        for group in groups.values():
            roots = np.array([a['keypoints_cam'][self.ROOT] for a, _ in group], float)
            used = self._apart(roots)
            self.counts['people too near another, left out'] += int((~used).sum())
            people += [self._person(*group[i]) for i in np.flatnonzero(used)]
        return people

    def _apart(self, roots: np.ndarray) -> np.ndarray:
        """Which people are used; roots of shape (N, 3)."""
        if self.min_distance is None:
            return np.ones(len(roots), dtype=bool)
        roots = np.where(np.isfinite(roots), roots, np.inf)  # nobody is near them
        with np.errstate(invalid='ignore'):
            gaps = np.linalg.norm(roots[:, None, :2] - roots[None, :, :2], axis=2)
        gaps[np.isnan(gaps)] = np.inf
        np.fill_diagonal(gaps, np.inf)
        apart = gaps.min(axis=1) >= self.min_distance
        apart[roots[:, 2].argmin()] = True
        return apart

    @staticmethod
    def _intrinsics(image: dict) -> tuple | None:
        """Return fx, fy, cx, cy of an image, if it has them."""
        if not {'f', 'c'} <= image.keys():
            return None
        return tuple(map(float, (*image['f'], *image['c'])))

    def _person(self, annotation: dict, image: dict) -> dict | None:
        count = self._metainfo['num_keypoints']
        x, y, w, h = annotation['bbox']
        return self._sample(
            index=annotation['id'],
            img_id=image['id'],
            file_name=image['file_name'],
            bbox=np.array([x, y, x + w, y + h]),
            keypoints=np.array(annotation['keypoints_img'], dtype=float)[:count],
            keypoints_cam=np.array(annotation['keypoints_cam'], dtype=float)[:count],
            intrinsics=self._intrinsics(image),
            raw=dict(action=image['file_name'].split('/')[0]),
        )


@DATASETS.register_module()
class MuPoTS3DDataset(MuCo3DHPDataset):
    """MuPoTS-3D: people outdoors and indoors, for tests.

    Reads the COCO-like json of Moon et al., 2019 (arXiv 1907.11346): images have
    ``intrinsic`` (fx, fy, cx, cy), annotations ``keypoints_img``, ``keypoints_cam`` in
    mm and ``is_valid``: 0 is left out. As in that work all keypoints count, also hidden
    ones. The action is the sequence, as ``TS1``. See :class:`ImagePose3DDataset`.
    """

    def __init__(self, **kwargs) -> None:
        if 'min_distance' in kwargs:
            raise TypeError('MuPoTS3DDataset has no argument min_distance: it uses all')
        super().__init__(min_distance=None, **kwargs)

    @staticmethod
    def _intrinsics(image: dict) -> tuple | None:
        intrinsics = image.get('intrinsic')
        return intrinsics and tuple(map(float, intrinsics))

    def _person(self, annotation: dict, image: dict) -> dict | None:
        if not annotation.get('is_valid', 1):
            self.counts['people that are not valid, left out'] += 1
            return None
        return super()._person(annotation, image)
