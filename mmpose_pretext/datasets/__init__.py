"""Datasets and transforms."""

from . import transforms
from .human36m_image_dataset import Human36mImageDataset
from .image_pose_3d_dataset import (
    MuCo3DHPDataset,
    MuPoTS3DDataset,
    SyntheticPose3DDataset,
)
from .label_fraction import LabelFraction
from .mcpc_dataset import MCPCDataset
from .person_crop_dataset import PersonCropDataset
from .presence_dataset import PresenceDataset

__all__ = [
    'Human36mImageDataset',
    'LabelFraction',
    'MCPCDataset',
    'MuCo3DHPDataset',
    'MuPoTS3DDataset',
    'PersonCropDataset',
    'PresenceDataset',
    'SyntheticPose3DDataset',
    'transforms',
]
