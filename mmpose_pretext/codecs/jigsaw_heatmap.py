"""Heatmaps for the places of jigsaw patches."""

import numpy as np
from mmpose.codecs import MSRAHeatmap
from mmpose.codecs.utils import get_heatmap_maximum
from scipy.optimize import linear_sum_assignment

from mmpose_pretext.registry import KEYPOINT_CODECS


def _nearest_divisors(size: int, wanted: int) -> list[int]:
    """Return the divisors of ``size`` next to ``wanted``, below and above."""
    divisors = [d for d in range(1, size + 1) if size % d == 0]
    below = [d for d in divisors if d <= wanted]
    above = [d for d in divisors if d >= wanted]
    return sorted({d for d in (below[-1:] + above[:1])})


@KEYPOINT_CODECS.register_module()
class JigsawHeatmap(MSRAHeatmap):
    """Represent the places of P shuffled patches as P heatmaps.

    A puzzle is a pose with P = rows x cols keypoints: keypoint k is the centre
    of the cell in which original patch k now lies, and
    :class:`mmpose_pretext.JigsawShuffle` sets it. Encoding is that of
    :class:`mmpose.codecs.MSRAHeatmap`. Decoding takes the argmax without the
    sub-pixel shift, which could carry a maximum at the border of a cell into
    its neighbour.

    Encoded:

        - heatmaps (np.ndarray): Shape (P, H, W), where [W, H] is
          ``heatmap_size``.
        - keypoint_weights (np.ndarray): Shape (1, P).

    Args:
        input_size: Size of the network's input [w, h] in pixels.
        heatmap_size: Size of the heatmaps [W, H] in pixels.
        sigma: Standard deviation of the Gaussian, in heatmap pixels.
        grid: Rows and columns of the puzzle. A cell must be a whole number of
            heatmap pixels, so that every patch has its target at the same
            place within its cell.

    Raises:
        ValueError: If the grid is no pair of positive integers, is (1, 1), or
            does not divide the heatmap. The message proposes grids that do.
    """

    def __init__(
        self,
        input_size: tuple[int, int],
        heatmap_size: tuple[int, int],
        sigma: float,
        grid: tuple[int, int],
    ) -> None:
        super().__init__(input_size, heatmap_size, sigma)
        self.grid = check_grid(grid)
        rows, cols = self.grid
        width, height = heatmap_size
        if height % rows or width % cols:
            fitting = [
                (r, c)
                for r in _nearest_divisors(height, rows)
                for c in _nearest_divisors(width, cols)
                if r * c > 1
            ]
            raise ValueError(
                f'grid={self.grid} (rows, cols) cuts heatmap_size='
                f'{tuple(heatmap_size)} (width, height) into cells that are not a '
                'whole number of heatmap pixels; the nearest grids that fit are '
                + ', '.join(map(str, fitting))
            )

    def decode(self, encoded: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Decode the most likely place of every patch.

        Args:
            encoded: Heatmaps of shape (P, H, W).

        Returns:
            Keypoints of shape (1, P, 2) in pixels of the input, and scores of
            shape (1, P), the heights of the maxima.
        """
        keypoints, scores = get_heatmap_maximum(encoded)
        return keypoints[None] * self.scale_factor, scores[None]

    def decode_permutation(self, encoded: np.ndarray) -> np.ndarray:
        """Decode the most likely one-to-one placing of the patches.

        The Hungarian method maximises the sum over the patches of the highest
        value of the patch's heatmap within the cell that it gets.

        Args:
            encoded: Heatmaps of shape (P, H, W).

        Returns:
            Permutation of shape (P,): the cell, counted row by row, in which
            original patch k lies.
        """
        (rows, cols), (width, height) = self.grid, self.heatmap_size
        cells = encoded.reshape(-1, rows, height // rows, cols, width // cols)
        scores = cells.max(axis=(2, 4)).reshape(-1, rows * cols)
        return linear_sum_assignment(scores, maximize=True)[1]


def check_grid(grid: tuple[int, int]) -> tuple[int, int]:
    """Return ``grid`` as a tuple if it is a puzzle's (rows, cols).

    Raises:
        ValueError: If it is no pair of positive integers with two cells or more.
    """
    valid = (
        isinstance(grid, (tuple, list))
        and len(grid) == 2
        and all(isinstance(n, int) and n > 0 for n in grid)
        and grid[0] * grid[1] > 1
    )
    if not valid:
        raise ValueError(
            'grid must be two positive integers (rows, cols) with two cells or '
            f'more, as in (4, 3), but got {grid!r}'
        )
    return tuple(grid)
