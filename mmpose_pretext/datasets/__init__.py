"""Datasets and transforms."""

from . import transforms
from .label_fraction import LabelFraction
from .person_crop_dataset import PersonCropDataset
from .presence_dataset import PresenceDataset

__all__ = ['LabelFraction', 'PersonCropDataset', 'PresenceDataset', 'transforms']
