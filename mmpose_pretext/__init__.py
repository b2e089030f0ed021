"""Pretraining of human pose networks as a plugin of MMPose 1.x.

Importing it lets MMEngine read its own checkpoints on torch >= 2.6; see
:mod:`mmpose_pretext.checkpoint`.
"""

from .checkpoint import activate as _activate_checkpoint_loading
from .version import __version__

__all__ = ['__version__']

_activate_checkpoint_loading()
