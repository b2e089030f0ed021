"""Images of several people whose depth order is known in part."""

import numpy as np
from mmengine import fileio
from mmpose.datasets.datasets.base import BaseCocoStyleDataset

from mmpose_pretext.datasets.transforms import check_pipeline
from mmpose_pretext.registry import DATASETS

from .metainfo import metainfo_file

_LIMBS = tuple(
    f'{side}_{joint}'
    for joint in ('shoulder', 'elbow', 'wrist', 'hip', 'knee', 'ankle')
    for side in ('left', 'right')
)
_FACE = ('nose', 'left_eye', 'right_eye', 'left_ear', 'right_ear')

MCPC_KEYPOINTS = (*_FACE, *_LIMBS, 'neck', 'head_top')
"""The 19 keypoints of MCPC: those of COCO, then neck and top of the head."""

SOURCE_KEYPOINTS = dict(
    coco=(*_FACE, *_LIMBS),
    mpii=(*_LIMBS, 'neck', 'head_top'),
    posetrack18=('nose', *_LIMBS, 'neck', 'head_top'),
    crowdpose=(*_LIMBS, 'neck', 'head_top'),
)
"""Those that each source of MCPC labels. PoseTrack18 lists ears and labels none."""


@DATASETS.register_module()
class MCPCDataset(BaseCocoStyleDataset):
    """Whole images with people, and which of two people is farther.

    Reads the COCO-style json of ``tools/dataset_converters/build_mcpc.py``. A sample is
    an image with N people, as other bottom-up datasets of MMPose give it (``img_path``,
    ``keypoints`` of shape (N, K, 2), ``keypoints_visible`` (N, K), ``bbox`` (N, 4),
    ``id``, a list of N annotation ids, ...), and:

    - ``depth_pairs``: int64 of shape (P, 2), pairs (i, j) of the N people;
    - ``depth_relations``: float32 of shape (P,), +1 if i is farther than j, -1 if
      it is closer;
    - ``depth_confidences``: float32 of shape (P,), more than 0, at most 1;
    - ``keypoints_labelled``: float32 of shape (K,), 1 for the keypoints that the
      image's source labels, by :data:`SOURCE_KEYPOINTS`; all, in an image without
      ``source``;
    - ``limb_order``: float32 of shape (N, K), of
      :func:`mmpose_pretext.perspective.limb_order`: more than 0 where a keypoint is
      farther than the same one of the other side, less where it is closer; 0 in
      annotations without;
    - ``depths``: float32 of shape (N,), true root depth in metres, NaN where the
      annotation has no ``depth``: for evaluation, never for training.

    ``invalid_segs``, from which ``BottomupGetHeatmapMask`` makes a mask, holds the
    boxes of crowds and of people without a labelled keypoint.

    Args:
        ann_file: The json.
        shuffle_relations: A seed, for a control: the relations of each image's pairs
            become those of a random order of its people, the same in every epoch. So
            each relation is right with a probability of 0.5, while pairs and
            confidences stay, and all relations can be true at once. The limbs of half
            of the people change sides, too.
        **kwargs: See :class:`mmengine.dataset.BaseDataset`: ``metainfo``,
            ``data_root``, ``data_prefix`` (key ``img``), ``pipeline``, ...

    Raises:
        FileNotFoundError: If the json does not exist.
        TypeError: If ``data_mode`` or ``bbox_file`` is given.
        ValueError: If the pipeline does what
            :func:`mmpose_pretext.datasets.transforms.check_pipeline` refuses; if
            relations are to be shuffled in ``test_mode``; if the json is truncated, or
            holds what is not as above: keypoints that are not finite or not K, pairs of
            other images' people, relations or confidences out of range, an unknown
            source, no image with people.
    """

    METAINFO: dict = dict(from_file=metainfo_file('mcpc'))

    def __init__(
        self, ann_file: str = '', shuffle_relations: int | None = None, **kwargs
    ) -> None:
        for name in ('bbox_file', 'data_mode'):
            if name in kwargs:
                raise TypeError(
                    f'MCPCDataset has no argument {name!r}: its samples are images '
                    'with their labelled people'
                )
        if shuffle_relations is not None and kwargs.get('test_mode', False):
            raise ValueError(
                f'shuffle_relations={shuffle_relations} is for training only; leave '
                'it out of datasets with test_mode'
            )
        self.shuffle_relations = shuffle_relations
        super().__init__(ann_file=ann_file, data_mode='bottomup', **kwargs)
        check_pipeline(self.pipeline)

    def _load_annotations(self) -> tuple[list[dict], list[dict]]:
        if not fileio.exists(self.ann_file):
            raise FileNotFoundError(
                f'ann_file {self.ann_file} does not exist; '
                'tools/dataset_converters/build_mcpc.py makes it'
            )
        try:
            return super()._load_annotations()
        except (AssertionError, KeyError, ValueError) as error:
            raise ValueError(
                f'ann_file {self.ann_file} is no readable json of MCPC: '
                f'{type(error).__name__}: {error}'
            ) from error

    def parse_data_info(self, raw_data_info: dict) -> dict | None:
        """Parse one person.

        Args:
            raw_data_info: ``raw_ann_info`` and ``raw_img_info``, of the json.

        Returns:
            The person as the parent class gives it, with ``depths`` of shape (1,),
            ``keypoint_depths`` and ``limb_order`` of shape (1, K), and its box as
            ``segmentation``; None without a box or keypoints.

        Raises:
            ValueError: If keypoints are not finite or not K, or the order of limbs
                is none.
        """
        info = super().parse_data_info(raw_data_info)
        if info is None:
            return None
        num_keypoints = self._metainfo['num_keypoints']
        if info['keypoints'].shape[1] != num_keypoints:
            raise ValueError(
                f'annotation {info["id"]} has {info["keypoints"].shape[1]} keypoints, '
                f'but the metainfo has {num_keypoints}'
            )
        if not np.isfinite(info['keypoints']).all():
            raise ValueError(f'keypoints of annotation {info["id"]} are not finite')
        x1, y1, x2, y2 = info['bbox'][0].tolist()
        info['segmentation'] = [[x1, y1, x2, y1, x2, y2, x1, y2]]
        depth = raw_data_info['raw_ann_info'].get('depth')
        info['depths'] = np.array([depth], dtype=np.float32)  # None becomes NaN
        depths = raw_data_info['raw_ann_info'].get('keypoint_depths')
        if depths is None:
            depths = [None] * num_keypoints
        if len(depths) != num_keypoints:
            raise ValueError(
                f'annotation {info["id"]} has {len(depths)} keypoint_depths, but the '
                f'metainfo has {num_keypoints} keypoints'
            )
        info['keypoint_depths'] = np.array([depths], dtype=np.float32)
        order = raw_data_info['raw_ann_info'].get('limb_order', [0] * num_keypoints)
        order = np.array([order], dtype=np.float32)
        if (
            order.shape != (1, num_keypoints)
            or not (np.abs(order) <= 1).all()
            or (order != -order[:, self._metainfo['flip_indices']]).any()
        ):
            raise ValueError(
                f'limb_order of annotation {info["id"]} must have {num_keypoints} '
                'values from -1 to 1, one of the left and its opposite of the right'
            )
        info['limb_order'] = order
        return info

    def _get_bottomup_data_infos(
        self, instance_list: list[dict], image_list: list[dict]
    ) -> list[dict]:
        images = {image['img_id']: image for image in image_list}
        # the parent class appends images without people, when it tests
        data_list = super()._get_bottomup_data_infos(instance_list, [])
        if not data_list:
            raise ValueError(f'ann_file {self.ann_file} has no image with people')
        for info in data_list:
            image = images[info['img_id']]
            try:
                info.update(self._depth_labels(image.get('pairs', []), info['id']))
                info['keypoints_labelled'] = self._labelled(image.get('source'))
            except ValueError as error:
                raise ValueError(
                    f'{self.ann_file}, image {image["file_name"]}: {error}'
                ) from error
            if self.shuffle_relations is not None:
                rng = np.random.default_rng((self.shuffle_relations, info['img_id']))
                i, j = rng.permutation(len(info['id']))[info['depth_pairs']].T
                info['depth_relations'] = np.sign(i - j).astype(np.float32)
                sides = rng.choice([-1, 1], (len(info['id']), 1)).astype(np.float32)
                info['limb_order'] = info['limb_order'] * sides
        return data_list

    @staticmethod
    def _depth_labels(pairs: list[list[float]], ids: list[int]) -> dict:
        labels = np.array(pairs, dtype=float).reshape(-1, 4)
        relations, confidences = labels[:, 2:].T
        index = {id_: i for i, id_ in enumerate(ids)}
        unknown = {*labels[:, :2].ravel().tolist()} - {*index}
        if unknown:
            raise ValueError(
                f'pairs name annotation {unknown.pop():.0f}, but the people of the '
                f'image are {", ".join(map(str, ids))}'
            )
        if not (np.abs(relations) == 1).all():
            raise ValueError('relations of pairs must be 1 (farther) or -1 (closer)')
        if not ((confidences > 0) & (confidences <= 1)).all():
            raise ValueError('confidences of pairs must be more than 0, at most 1')
        people = [[index[i], index[j]] for i, j, *_ in labels.tolist()]
        return dict(
            depth_pairs=np.array(people, dtype=np.int64).reshape(-1, 2),
            depth_relations=relations.astype(np.float32),
            depth_confidences=confidences.astype(np.float32),
        )

    def _labelled(self, source: str | None) -> np.ndarray:
        names = self._metainfo['keypoint_name2id']
        if source is None:
            return np.ones(len(names), dtype=np.float32)
        if source not in SOURCE_KEYPOINTS:
            raise ValueError(
                f'source is {source!r}, but must be one of '
                f'{", ".join(SOURCE_KEYPOINTS)}, or left out if all keypoints are '
                'labelled'
            )
        labelled = [name in SOURCE_KEYPOINTS[source] for name in names]
        return np.array(labelled, dtype=np.float32)
