"""Label codecs."""

from .jigsaw_heatmap import JigsawHeatmap

__all__ = ['JigsawHeatmap']
