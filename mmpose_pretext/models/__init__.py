"""Models."""

from .heads import *  # noqa: F403
from .layers import *  # noqa: F403
from .losses import *  # noqa: F403
from .pose_estimators import *  # noqa: F403
