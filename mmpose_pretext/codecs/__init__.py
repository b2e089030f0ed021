"""Label codecs."""

from .jigsaw_heatmap import JigsawHeatmap
from .presence_label import PresenceLabel
from .relative_depth_label import RelativeDepthLabel

__all__ = ['JigsawHeatmap', 'PresenceLabel', 'RelativeDepthLabel']
