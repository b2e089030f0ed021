"""Version of mmpose_pretext."""

__version__ = '0.1.0'
