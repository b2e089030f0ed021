"""Metrics."""

from .jigsaw_accuracy import JigsawAccuracy
from .pretext_accuracy import PretextAccuracy

__all__ = ['JigsawAccuracy', 'PretextAccuracy']
