"""Pictures of pretexts and of what networks make of them."""

from .activation_maps import branch_maps, draw_activations
from .depth_order import draw_depth_order, pairs_right
from .jigsaw import draw_heatmaps, draw_puzzle
from .load_model import load_model
from .pictures import (
    drawing_parser,
    picture_paths,
    refuse_existing,
    save_picture,
    spread,
)
from .pose_3d import draw_pose_3d

__all__ = [
    'branch_maps', 'draw_activations', 'draw_depth_order', 'draw_heatmaps',
    'draw_pose_3d', 'draw_puzzle', 'drawing_parser', 'load_model', 'pairs_right',
    'picture_paths', 'refuse_existing', 'save_picture', 'spread',
]  # fmt: skip
