"""Label codecs."""

from .jigsaw_heatmap import JigsawHeatmap
from .presence_label import PresenceLabel

__all__ = ['JigsawHeatmap', 'PresenceLabel']
