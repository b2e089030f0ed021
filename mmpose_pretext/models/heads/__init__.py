"""Heads."""

from .location_free_head import LocationFreeHead
from .pretext_classification_head import PretextClassificationHead
from .relative_depth_head import RelativeDepthHead

__all__ = ['LocationFreeHead', 'PretextClassificationHead', 'RelativeDepthHead']
