"""Loading of images that may be damaged."""

import logging

import mmcv
from mmengine import fileio
from mmengine.logging import print_log
from mmpose.datasets.transforms import LoadImage

from mmpose_pretext.registry import TRANSFORMS


def _is_complete(data: bytes) -> bool:
    """Tell whether an encoded image ends where its format says it must.

    OpenCV decodes a truncated JPEG or PNG without a word and fills the rest with
    grey. A JPEG ends with the marker FFD9 after its last start of scan (FFDA),
    neither of which occurs in the coded data between them (ITU-T T.81, B.1.1); a
    PNG ends with the chunk IEND. Other formats are left to the decoder.
    """
    if data.startswith(b'\xff\xd8'):
        return data.rfind(b'\xff\xd9') > data.rfind(b'\xff\xda')
    if data.startswith(b'\x89PNG'):
        return b'IEND' in data[-32:]
    return True


@TRANSFORMS.register_module()
class LoadImageStrict(LoadImage):
    """Load an image, and never train on a missing or truncated one unnoticed.

    Required Keys:

        - img_path

    Added Keys:

        - img
        - img_shape
        - ori_shape

    Args:
        on_error: ``'raise'`` stops with an error that names the file. ``'skip'``
            returns None, so that MMEngine's dataset draws another sample while
            training, and warns with the file and the count of images skipped by
            this worker so far.
        **kwargs: See :class:`mmpose.datasets.transforms.LoadImage`.

    Raises:
        ValueError: If ``on_error`` is neither of the two, or the image is
            missing, truncated, or cannot be decoded.
    """

    def __init__(self, on_error: str = 'raise', **kwargs) -> None:
        super().__init__(**kwargs)
        if on_error not in ('raise', 'skip'):
            raise ValueError(
                f"on_error must be 'raise' or 'skip', but got {on_error!r}"
            )
        self.on_error = on_error
        self.num_skipped = 0

    def transform(self, results: dict) -> dict | None:
        """Load the image of ``results['img_path']``."""
        try:
            results['img'] = self._read(results['img_path'])
        except ValueError as error:
            if self.on_error == 'raise':
                raise
            self.num_skipped += 1
            print_log(
                f'{error}; skipped, {self.num_skipped} so far in this process',
                logger='current',
                level=logging.WARNING,
            )
            return None
        return super().transform(results)

    def _read(self, path: str):
        try:
            data = fileio.get(path, self.backend_args)
        except (OSError, TypeError) as error:  # LMDB answers a missing key with None
            raise ValueError(f'image {path} cannot be read: {error}') from error
        if data is None:
            raise ValueError(f'image {path} is not in {self.backend_args}')
        if not _is_complete(bytes(data)):
            raise ValueError(
                f'image {path} is truncated ({len(data)} bytes without an end); '
                "restore the file, or leave such images out with on_error='skip'"
            )
        img = None
        if data:  # OpenCV fails on nothing with an error of its own
            img = mmcv.imfrombytes(
                bytes(data), flag=self.color_type, backend=self.imdecode_backend
            )
        if img is None:
            raise ValueError(
                f'image {path} cannot be decoded ({len(data)} bytes); restore the '
                "file, or leave such images out with on_error='skip'"
            )
        return img
