"""Datasets and transforms."""

from . import transforms
from .person_crop_dataset import PersonCropDataset

__all__ = ['PersonCropDataset', 'transforms']
