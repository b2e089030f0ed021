"""Datasets and transforms."""

from . import transforms
from .label_fraction import LabelFraction
from .mcpc_dataset import MCPCDataset
from .person_crop_dataset import PersonCropDataset
from .presence_dataset import PresenceDataset

__all__ = [
    'LabelFraction',
    'MCPCDataset',
    'PersonCropDataset',
    'PresenceDataset',
    'transforms',
]
