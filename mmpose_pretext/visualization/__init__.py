"""Pictures of pretexts and of what networks make of them."""

from .activation_maps import branch_maps, draw_activations
from .jigsaw import draw_heatmaps, draw_puzzle

__all__ = ['branch_maps', 'draw_activations', 'draw_heatmaps', 'draw_puzzle']
