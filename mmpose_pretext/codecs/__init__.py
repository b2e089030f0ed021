"""Label codecs."""

from .integral_pose_3d import IntegralPose3D
from .jigsaw_heatmap import JigsawHeatmap
from .presence_label import PresenceLabel
from .relative_depth_label import RelativeDepthLabel

__all__ = ['IntegralPose3D', 'JigsawHeatmap', 'PresenceLabel', 'RelativeDepthLabel']
