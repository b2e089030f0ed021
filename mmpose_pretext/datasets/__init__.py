"""Datasets and transforms."""

from . import transforms
from .label_fraction import LabelFraction
from .person_crop_dataset import PersonCropDataset

__all__ = ['LabelFraction', 'PersonCropDataset', 'transforms']
