"""Synthetic people: rendered pictures with exact 2D, 3D and depth truth."""

from .camera import Camera
from .dataset import make_dataset
from .mocap import MotionCapture
from .scene import Rendering, Scene, SceneConfig, annotate, render, sample_scene
from .skeleton import Pose, sample_pose

__all__ = [
    'Camera', 'MotionCapture', 'Pose', 'Rendering', 'Scene', 'SceneConfig', 'annotate',
    'make_dataset', 'render', 'sample_pose', 'sample_scene',
]  # fmt: skip
