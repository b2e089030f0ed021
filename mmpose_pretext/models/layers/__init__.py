"""Layers."""

from .location_free import PartCAM, PosePrototypes, SpatialGuidedContextEncoder
from .soft_argmax import soft_argmax_3d
from .window_pooling import (
    log_distribution,
    outside_logit,
    pool_windows,
    window_coverage,
)

__all__ = [
    'PartCAM',
    'PosePrototypes',
    'SpatialGuidedContextEncoder',
    'log_distribution',
    'outside_logit',
    'pool_windows',
    'soft_argmax_3d',
    'window_coverage',
]
