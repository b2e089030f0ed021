"""Metrics."""

from .jigsaw_accuracy import JigsawAccuracy

__all__ = ['JigsawAccuracy']
