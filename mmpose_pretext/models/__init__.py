"""Models."""

from .heads import *  # noqa: F403
