"""Pinhole camera above a ground plane."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Camera:
    """A pinhole camera without roll that looks along the world's +z.

    World: metres, right-handed, y up, ground at y = 0; seen from the camera, +x is to
    the left. Camera space: x right, y down, z forward. Pixel centres have whole
    coordinates, so the principal point of an image is ``((W - 1) / 2, (H - 1) / 2)``.

    Args:
        image_size: Width and height in pixels.
        focal: Focal length in pixels, the same for x and y.
        height: Height of the camera above the ground in metres.
        pitch: Angle in radians by which the camera looks down.
    """

    image_size: tuple[int, int]
    focal: float
    height: float
    pitch: float

    @property
    def centre(self) -> tuple[float, float]:
        """Principal point (cx, cy) in pixels."""
        return (self.image_size[0] - 1) / 2, (self.image_size[1] - 1) / 2

    @property
    def position(self) -> np.ndarray:
        """Place of the camera in the world, shape (3,), metres."""
        return np.array([0.0, self.height, 0.0])

    @property
    def rotation(self) -> np.ndarray:
        """Rotation from world to camera axes, shape (3, 3)."""
        c, s = np.cos(self.pitch), np.sin(self.pitch)
        return np.array([[-1.0, 0.0, 0.0], [0.0, -c, -s], [0.0, -s, c]])

    def to_camera(self, points: np.ndarray) -> np.ndarray:
        """Move world points (..., 3) into camera space, same unit and shape."""
        return (points - self.position) @ self.rotation.T

    def project(self, points: np.ndarray) -> np.ndarray:
        """Project camera-space points (..., 3) to pixels (..., 2)."""
        return self.focal * points[..., :2] / points[..., 2:] + np.array(self.centre)

    def rays(self) -> tuple[np.ndarray, np.ndarray]:
        """Slopes x / z of the W columns and y / z of the H rows, float32."""
        (w, h), (cx, cy) = self.image_size, self.centre
        x = (np.arange(w) - cx) / self.focal
        y = (np.arange(h) - cy) / self.focal
        return x.astype(np.float32), y.astype(np.float32)
