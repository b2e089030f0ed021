"""Losses."""

from .marginal_heatmap_loss import MarginalHeatmapLoss
from .presence_loss import (
    JointWindowLoss,
    PlaceCrossEntropyLoss,
    PresenceLoss,
    WindowMassLoss,
)
from .relative_depth_loss import RelativeDepthLoss

__all__ = [
    'JointWindowLoss',
    'MarginalHeatmapLoss',
    'PlaceCrossEntropyLoss',
    'PresenceLoss',
    'RelativeDepthLoss',
    'WindowMassLoss',
]
