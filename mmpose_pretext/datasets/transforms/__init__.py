"""Data transforms."""

from .jigsaw_shuffle import JigsawShuffle
from .loading import LoadImageStrict
from .rotation_prediction import RandomQuarterTurn

__all__ = ['JigsawShuffle', 'LoadImageStrict', 'RandomQuarterTurn']
