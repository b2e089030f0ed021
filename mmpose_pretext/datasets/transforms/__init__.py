"""Data transforms."""

from .jigsaw_shuffle import JigsawShuffle
from .loading import LoadImageStrict

__all__ = ['JigsawShuffle', 'LoadImageStrict']
