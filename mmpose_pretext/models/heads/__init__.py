"""Heads."""

from .location_free_head import LocationFreeHead
from .pretext_classification_head import PretextClassificationHead

__all__ = ['LocationFreeHead', 'PretextClassificationHead']
