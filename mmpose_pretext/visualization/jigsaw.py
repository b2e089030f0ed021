"""Pictures of jigsaw puzzles."""

import cv2
import numpy as np

from mmpose_pretext.datasets.transforms.jigsaw_shuffle import shuffle_patches

RIGHT, WRONG = (60, 170, 60), (50, 50, 220)  # BGR


def patch_colors(num_patches: int) -> np.ndarray:
    """Return a colour for each patch, all around the colour circle.

    Returns:
        Array of shape (num_patches, 3), BGR, uint8.
    """
    hues = np.arange(num_patches) * 180 // num_patches
    hsv = np.stack([hues, np.full_like(hues, 200), np.full_like(hues, 255)], axis=-1)
    return cv2.cvtColor(hsv[None].astype(np.uint8), cv2.COLOR_HSV2BGR)[0]


def draw_heatmaps(img: np.ndarray, heatmaps: np.ndarray) -> np.ndarray:
    """Lay the heatmaps of all patches over an image, each in its patch's colour.

    Args:
        img: Image of shape (H, W, 3), BGR, uint8.
        heatmaps: Heatmaps of shape (P, h, w); values are clipped to [0, 1].

    Returns:
        A copy of the image with the heatmaps.
    """
    height, width = img.shape[:2]
    colors = patch_colors(len(heatmaps)).astype(np.float32)
    weights = np.clip(heatmaps, 0, 1)
    color = np.einsum('phw,pc->hwc', weights, colors)
    color /= np.maximum(weights.sum(axis=0), 1e-6)[..., None]
    layers = [
        cv2.resize(layer, (width, height), interpolation=cv2.INTER_LINEAR)
        for layer in (color, weights.max(axis=0).astype(np.float32))
    ]
    alpha = 0.8 * layers[1][..., None]
    return (alpha * layers[0] + (1 - alpha) * 0.6 * img).astype(np.uint8)


def draw_puzzle(
    original: np.ndarray,
    puzzle: np.ndarray,
    targets: np.ndarray,
    predictions: np.ndarray,
    permutation: np.ndarray,
    answer: np.ndarray,
    grid: tuple[int, int],
) -> np.ndarray:
    """Draw a puzzle, its targets, the network's answer and what that makes.

    Args:
        original: Crop before shuffling, of shape (H, W, 3), BGR, uint8.
        puzzle: Crop after shuffling, of the same shape.
        targets: Target heatmaps of shape (P, h, w).
        predictions: Predicted heatmaps of shape (P, h, w).
        permutation: Shape (P,), the cell in which each patch lies.
        answer: Shape (P,), the cell in which the network puts each patch, a
            permutation (see :meth:`JigsawHeatmap.decode_permutation`).
        grid: Rows and columns.

    Returns:
        Five pictures of the input's size side by side: the crop, the puzzle, the
        targets, the predictions, and the puzzle put together by the answer, with
        green frames about patches at their right place and red ones about others.
    """
    rows, cols = grid
    solved = shuffle_patches(puzzle, np.argsort(answer), grid)
    cell_h, cell_w = puzzle.shape[0] // rows, puzzle.shape[1] // cols
    for patch in range(rows * cols):
        x, y = patch % cols * cell_w, patch // cols * cell_h
        color = RIGHT if permutation[patch] == answer[patch] else WRONG
        cv2.rectangle(
            solved, (x + 1, y + 1), (x + cell_w - 2, y + cell_h - 2), color, 2
        )
    panels = [
        original,
        puzzle,
        draw_heatmaps(puzzle, targets),
        draw_heatmaps(puzzle, predictions),
        solved,
    ]
    border = np.full((puzzle.shape[0], 4, 3), 255, dtype=np.uint8)
    return np.hstack([part for panel in panels for part in (panel, border)][:-1])
