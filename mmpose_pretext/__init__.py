"""Pretraining of human pose networks as a plugin of MMPose 1.x."""

from .version import __version__

__all__ = ['__version__']
