"""Losses."""

from .presence_loss import PlaceCrossEntropyLoss, PresenceLoss, WindowMassLoss

__all__ = ['PlaceCrossEntropyLoss', 'PresenceLoss', 'WindowMassLoss']
