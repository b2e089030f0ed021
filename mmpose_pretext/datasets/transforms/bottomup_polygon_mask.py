"""Mask of the places without labels, from polygons."""

import cv2
import numpy as np
from mmpose.datasets.transforms import BottomupGetHeatmapMask

from mmpose_pretext.registry import TRANSFORMS


@TRANSFORMS.register_module()
class BottomupPolygonMask(BottomupGetHeatmapMask):
    """``BottomupGetHeatmapMask`` for ``invalid_segs`` that are lists of polygons.

    Draws them with OpenCV. The parent class uses xtcocotools, whose masks fail with
    NumPy 2. See it for the keys; the order of transforms is that of
    :func:`mmpose_pretext.datasets.transforms.check_pipeline`.
    """

    def _segs_to_mask(self, segs: list, img_shape: tuple[int, int]) -> np.ndarray:
        """Return 1 within any polygon, else 0, uint8 of shape (H, W)."""
        mask = np.zeros(img_shape, dtype=np.uint8)
        for seg in segs:
            for polygon in seg:
                corners = np.round(polygon).astype(np.int32).reshape(-1, 1, 2)
                cv2.fillPoly(mask, [corners], 1)
        return mask
