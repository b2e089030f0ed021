"""Pose estimators."""

from .topdown_3d import TopdownPose3DEstimator

__all__ = ['TopdownPose3DEstimator']
