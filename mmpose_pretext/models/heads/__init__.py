"""Heads."""

from .pretext_classification_head import PretextClassificationHead

__all__ = ['PretextClassificationHead']
