"""Losses."""

from .presence_loss import PlaceCrossEntropyLoss, PresenceLoss, WindowMassLoss
from .relative_depth_loss import RelativeDepthLoss

__all__ = [
    'PlaceCrossEntropyLoss',
    'PresenceLoss',
    'RelativeDepthLoss',
    'WindowMassLoss',
]
