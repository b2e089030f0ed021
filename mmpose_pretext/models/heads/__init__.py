"""Heads."""

from .integral_pose_3d_head import IntegralPose3DHead
from .location_free_head import LocationFreeHead
from .pretext_classification_head import PretextClassificationHead
from .relative_depth_head import RelativeDepthHead

__all__ = [
    'IntegralPose3DHead',
    'LocationFreeHead',
    'PretextClassificationHead',
    'RelativeDepthHead',
]
