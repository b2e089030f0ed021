"""Person crops without labels."""

import logging
import os
from collections import Counter

import numpy as np
from mmengine import fileio
from mmengine.dataset import BaseDataset
from mmengine.logging import print_log
from PIL import Image

from mmpose_pretext.registry import DATASETS

EXIF_ORIENTATION = 0x0112  # values above 4 turn the image by 90 degrees
IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.webp')


@DATASETS.register_module()
class PersonCropDataset(BaseDataset):
    """One sample a person, for pretraining without labels.

    The people come from one of three sources:

    - ``ann_file``: a COCO-style json. Every annotation with a box is a person,
      with or without keypoints; crowds (``iscrowd``) are left out.
    - ``ann_file`` and ``bbox_file``: boxes of a detector in COCO's result format
      (a list of ``image_id``, ``category_id``, ``bbox``, ``score``) for the
      images of ``ann_file``.
    - neither: every image under ``data_prefix['img']``, with its subfolders, is
      the crop of one person.

    Boxes are clipped to the image. Boxes that are then empty, and people that
    the filters reject, are left out and counted in the log.

    A sample holds ``img_path``, ``img_id``, ``id``, ``bbox`` of shape (1, 4)
    (x1, y1, x2, y2 in pixels) and ``bbox_score`` of shape (1,), as the stock
    top-down transforms need them.

    Args:
        ann_file: COCO-style json, or empty for a folder of crops.
        bbox_file: Detection results in COCO's format.
        min_bbox_size: Smallest shorter side of a box in pixels, after clipping.
        min_keypoints: Smallest number of labelled keypoints of a person; 1
            selects the instances on which MMPose's CocoDataset trains.
        bbox_score_thr: Smallest score of a box; boxes without a score pass.
        category_id: Category of people in ``ann_file`` and ``bbox_file``.
        **kwargs: See :class:`mmengine.dataset.BaseDataset`: ``data_root``,
            ``data_prefix`` (key ``img``), ``pipeline``, ``test_mode``, ...

    Raises:
        FileNotFoundError: If a file or folder does not exist.
        ValueError: If a file is not of the form that is described above, or no
            person is left.
    """

    METAINFO = dict(dataset_name='person_crops', classes=('person',))

    def __init__(
        self,
        ann_file: str = '',
        bbox_file: str | None = None,
        min_bbox_size: float = 0,
        min_keypoints: int = 0,
        bbox_score_thr: float = 0.0,
        category_id: int = 1,
        **kwargs,
    ) -> None:
        if bbox_file and not ann_file:
            raise ValueError(
                f'bbox_file={bbox_file!r} needs ann_file, the COCO-style json that '
                'names the images of its image_id'
            )
        self.bbox_file = bbox_file
        self.min_bbox_size = min_bbox_size
        self.min_keypoints = min_keypoints
        self.bbox_score_thr = bbox_score_thr
        self.category_id = category_id
        kwargs.setdefault('data_prefix', dict(img=''))
        super().__init__(ann_file=ann_file, **kwargs)

    def load_data_list(self) -> list[dict]:
        """Load the people from the source and log how many are left out."""
        if not self.ann_file:
            return self._load_folder()
        images, people = self._load_coco()
        data_list, left_out = [], Counter()
        for person in people:
            data_info = self._parse_person(person, images)
            if isinstance(data_info, str):
                left_out[data_info] += 1
            else:
                data_list.append(data_info)
        source = self.bbox_file or self.ann_file
        reasons = ', '.join(f'{n} {reason}' for reason, n in left_out.items())
        if not data_list:
            raise ValueError(
                f'no person is left of {source}: it has {len(people)} boxes'
                + (f', of which {reasons}' if reasons else '')
            )
        if left_out:
            print_log(
                f'{source}: {len(data_list)} of {len(people)} people are used; '
                f'left out: {reasons}',
                logger='current',
                level=logging.WARNING,
            )
        return data_list

    def _load_folder(self) -> list[dict]:
        folder = self.data_prefix['img']
        if not fileio.isdir(folder):
            raise FileNotFoundError(
                f"data_prefix['img']={folder!r} is not a folder; without ann_file it "
                'must be a folder of person images'
            )
        names = sorted(
            name
            for name in fileio.list_dir_or_file(folder, list_dir=False, recursive=True)
            if name.lower().endswith(IMAGE_SUFFIXES)
        )
        data_list = []
        for index, name in enumerate(names):
            path = os.path.join(folder, name)
            try:
                with Image.open(path) as image:  # reads the header only
                    width, height = image.size
                    if image.getexif().get(EXIF_ORIENTATION, 1) > 4:
                        width, height = height, width  # as the image is loaded
            except OSError as error:
                raise ValueError(f'image {path} cannot be read: {error}') from error
            if min(width, height) >= self.min_bbox_size:
                data_list.append(
                    self._data_info(index, index, path, (0, 0, width, height), 1.0)
                )
        if not data_list:
            raise ValueError(
                f'no person is left of {folder}: it has {len(names)} images '
                f'({", ".join(IMAGE_SUFFIXES)}), min_bbox_size={self.min_bbox_size}'
            )
        return data_list

    def _load_coco(self) -> tuple[dict[int, dict], list[dict]]:
        content = _load_json(self.ann_file)
        if not isinstance(content, dict) or 'images' not in content:
            raise ValueError(
                f'{self.ann_file} is no COCO-style json: it has no list "images"'
            )
        if self.bbox_file:
            people = _load_json(self.bbox_file)
            if not isinstance(people, list):
                raise ValueError(
                    f'{self.bbox_file} must be a list of detections in the format of '
                    f'COCO results, but it is a {type(people).__name__}'
                )
        else:
            people = content.get('annotations', [])
            if not any('bbox' in person for person in people):
                raise ValueError(
                    f'{self.ann_file} has no annotation with a "bbox"; give the boxes '
                    'of a detector as bbox_file, or a folder of person crops as '
                    "data_prefix['img'] without ann_file"
                )
        return {image['id']: image for image in content['images']}, people

    def _parse_person(self, person: dict, images: dict[int, dict]) -> dict | str:
        """Return the sample of a person, or why it is left out."""
        if person.get('category_id', self.category_id) != self.category_id:
            return f'not of category {self.category_id}'
        if person.get('iscrowd', 0):
            return 'crowds'
        if 'bbox' not in person:
            return 'without a box'
        if person.get('score', 1.0) < self.bbox_score_thr:
            return f'with a score below {self.bbox_score_thr}'
        if self.min_keypoints:
            visible = np.array(person.get('keypoints', ()))[2::3]
            if np.count_nonzero(visible) < self.min_keypoints:
                return f'with fewer than {self.min_keypoints} keypoints'
        image = images.get(person['image_id'])
        if image is None:
            raise ValueError(
                f'{self.bbox_file or self.ann_file} has a box of image_id='
                f'{person["image_id"]}, which is not among the images of '
                f'{self.ann_file}'
            )
        if not {'width', 'height', 'file_name'} <= image.keys():
            raise ValueError(
                f'{self.ann_file}: the image with id={image["id"]} must have '
                f'"file_name", "width" and "height", but has {sorted(image)}'
            )
        x, y, width, height = person['bbox']
        x1, y1 = max(x, 0), max(y, 0)
        x2, y2 = min(x + width, image['width']), min(y + height, image['height'])
        if not (x2 > x1 and y2 > y1):
            return 'with an empty box or one outside its image'
        if min(x2 - x1, y2 - y1) < self.min_bbox_size:
            return f'smaller than {self.min_bbox_size} pixels'
        path = os.path.join(self.data_prefix['img'], image['file_name'])
        return self._data_info(
            image['id'],
            person.get('id'),
            path,
            (x1, y1, x2, y2),
            person.get('score', 1),
        )

    @staticmethod
    def _data_info(img_id, id_, path, bbox, score) -> dict:
        return dict(
            img_id=img_id,
            id=id_,
            img_path=path,
            bbox=np.array([bbox], dtype=np.float32),
            bbox_score=np.array([score], dtype=np.float32),
        )


def _load_json(path: str):
    if not fileio.exists(path):
        raise FileNotFoundError(f'annotation file {path} does not exist')
    try:
        return fileio.load(path, file_format='json')
    except ValueError as error:
        raise ValueError(f'{path} is no valid json: {error}') from error
