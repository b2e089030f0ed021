"""Data transforms."""

from .bottomup_polygon_mask import BottomupPolygonMask
from .check_pipeline import check_pipeline
from .jigsaw_shuffle import JigsawShuffle
from .loading import LoadImageStrict
from .presence_windows import PresenceWindows
from .random_flip_3d import RandomFlip3D
from .rotation_prediction import RandomQuarterTurn

__all__ = [
    'BottomupPolygonMask',
    'JigsawShuffle',
    'LoadImageStrict',
    'PresenceWindows',
    'RandomFlip3D',
    'RandomQuarterTurn',
    'check_pipeline',
]
