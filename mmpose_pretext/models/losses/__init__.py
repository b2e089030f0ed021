"""Losses."""

from .marginal_heatmap_loss import MarginalHeatmapLoss
from .presence_loss import PlaceCrossEntropyLoss, PresenceLoss, WindowMassLoss
from .relative_depth_loss import RelativeDepthLoss

__all__ = [
    'MarginalHeatmapLoss',
    'PlaceCrossEntropyLoss',
    'PresenceLoss',
    'RelativeDepthLoss',
    'WindowMassLoss',
]
