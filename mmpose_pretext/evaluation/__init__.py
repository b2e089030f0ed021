"""Metrics."""

from .jigsaw_accuracy import JigsawAccuracy
from .left_right_confusion import LeftRightConfusion
from .presence_ap import PresenceAP
from .pretext_accuracy import PretextAccuracy
from .relative_depth_accuracy import RelativeDepthAccuracy
from .root_aligned_pose_3d import RootAlignedPose3D

__all__ = [
    'JigsawAccuracy',
    'LeftRightConfusion',
    'PresenceAP',
    'PretextAccuracy',
    'RelativeDepthAccuracy',
    'RootAlignedPose3D',
]
