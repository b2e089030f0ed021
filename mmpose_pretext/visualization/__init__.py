"""Pictures of pretexts and of what networks make of them."""

from .jigsaw import draw_heatmaps, draw_puzzle

__all__ = ['draw_heatmaps', 'draw_puzzle']
