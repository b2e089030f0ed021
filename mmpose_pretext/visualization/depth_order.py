"""Pictures of people in their order of depth."""

import cv2
import numpy as np

from .jigsaw import RIGHT, WRONG


def pairs_right(
    depths: np.ndarray, pairs: np.ndarray, relations: np.ndarray
) -> np.ndarray:
    """Tell which labelled pairs the depths have in the right order.

    Args:
        depths: Shape (N,), larger when farther.
        pairs: Shape (P, 2), people i and j.
        relations: Shape (P,): 1 if i is farther, -1 if closer.

    Returns:
        Bool of shape (P,); equal and NaN depths are wrong.
    """
    i, j = pairs.T
    return np.sign(depths[i] - depths[j]) == relations


def draw_depth_order(
    img: np.ndarray,
    keypoints: np.ndarray,
    visible: np.ndarray,
    depths: np.ndarray,
    pairs: np.ndarray,
    relations: np.ndarray,
    skeleton: list[tuple[int, int]],
) -> np.ndarray:
    """Draw people from the nearest, 1 in magenta, to the farthest in cyan.

    Labelled pairs are joined by lines: green if the depths have them in the right
    order, else red.

    Args:
        img: Shape (H, W, 3), BGR, uint8.
        keypoints: Shape (N, K, 2), pixels.
        visible: Shape (N, K), more than 0 where a keypoint is drawn.
        depths: Shape (N,), larger when farther; people with NaN are not drawn.
        pairs: Shape (P, 2), people i and j, of whom keypoints are visible.
        relations: Shape (P,): 1 if i is farther, -1 if closer.
        skeleton: Pairs of keypoints.

    Returns:
        An enlarged picture, uint8, its longer side about 768 pixels or more.
    """
    scale = max(1, round(768 / max(img.shape[:2])))
    picture = cv2.resize(img // 2, None, fx=scale, fy=scale)
    points = np.round((keypoints + 0.5) * scale).astype(int)
    visible = visible > 0
    order = [n for n in np.argsort(depths) if np.isfinite(depths[n])]
    centres = {
        n: tuple(points[n][visible[n]].mean(axis=0).astype(int).tolist()) for n in order
    }
    shades = np.linspace(255, 0, max(len(order), 2)).astype(np.uint8)
    colors = cv2.applyColorMap(shades, cv2.COLORMAP_COOL).reshape(-1, 3).tolist()
    for rank in reversed(range(len(order))):  # the nearest on top
        n = order[rank]
        for a, b in skeleton:
            if visible[n, a] and visible[n, b]:
                ends = points[n, a].tolist(), points[n, b].tolist()
                cv2.line(picture, *ends, colors[rank], 3, cv2.LINE_AA)
        for point in points[n][visible[n]].tolist():
            cv2.circle(picture, point, 4, colors[rank], -1, cv2.LINE_AA)
    right = pairs_right(depths, pairs, relations)
    for (i, j), correct in zip(pairs.tolist(), right, strict=True):
        color = RIGHT if correct else WRONG
        cv2.line(picture, centres[i], centres[j], color, 2, cv2.LINE_AA)
    for rank, n in enumerate(order):
        x, y = centres[n]
        cv2.circle(picture, (x, y), 13, colors[rank], -1, cv2.LINE_AA)
        font = cv2.FONT_HERSHEY_SIMPLEX, 0.6, (0, 0, 0), 2, cv2.LINE_AA
        (width, height), _ = cv2.getTextSize(str(rank + 1), *font[:2], font[3])
        place = x - width // 2, y + height // 2
        cv2.putText(picture, str(rank + 1), place, *font)
    return picture
