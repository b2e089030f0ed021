"""Cut a crop into patches and put them back in another order."""

import numpy as np
from mmcv.transforms import BaseTransform

from mmpose_pretext.codecs.jigsaw_heatmap import check_grid
from mmpose_pretext.registry import TRANSFORMS


def shuffle_patches(
    img: np.ndarray,
    permutation: np.ndarray,
    grid: tuple[int, int],
    shifts: np.ndarray | None = None,
) -> np.ndarray:
    """Move patch k of an image to the cell ``permutation[k]``.

    Args:
        img: Image of shape (H, W, C); H and W are multiples of the rows and
            columns of the grid.
        permutation: Shape (P,): the cell, counted row by row, of each patch.
        grid: Rows and columns; P is their product.
        shifts: Shape (P, 2): displacements (x, y) in pixels of the window that
            is cut for each patch; windows stay within the image. Default: none.

    Returns:
        The shuffled image, a copy of the shape of ``img``.

    Example:
        >>> img = np.arange(4).reshape(2, 2, 1)
        >>> shuffle_patches(img, np.array([3, 1, 2, 0]), (2, 2))[..., 0]
        array([[3, 1],
               [2, 0]])
    """
    rows, cols = grid
    height, width, channels = img.shape
    cell_h, cell_w = height // rows, width // cols
    sources = np.argsort(permutation)  # sources[c]: the patch that goes to cell c
    if shifts is None:
        cells = img.reshape(rows, cell_h, cols, cell_w, channels)
        patches = cells.transpose(0, 2, 1, 3, 4)[sources // cols, sources % cols]
    else:
        x, y = shifts[sources].T
        y = np.clip(sources // cols * cell_h + y, 0, height - cell_h)
        x = np.clip(sources % cols * cell_w + x, 0, width - cell_w)
        y = y[:, None, None] + np.arange(cell_h)[:, None]
        x = x[:, None, None] + np.arange(cell_w)
        patches = img[y, x]
    patches = patches.reshape(rows, cols, cell_h, cell_w, channels)
    return patches.transpose(0, 2, 1, 3, 4).reshape(img.shape)


@TRANSFORMS.register_module()
class JigsawShuffle(BaseTransform):
    """Make a jigsaw puzzle of a person crop, and a pose of its solution.

    It follows :class:`mmpose.datasets.transforms.TopdownAffine`. The grid, the
    gap, the jitter and the colour jitter are a reconstruction; the published
    description (Zhang et al., arXiv 2012.07101) says that one image of shuffled
    patches is the input, and the place of each patch is the target.

    Required Keys:

        - img
        - input_size, input_center, input_scale
        - sample_idx (only with ``seed``)

    Modified Keys:

        - img

    Added Keys:

        - jigsaw_grid: (rows, cols).
        - jigsaw_permutation: Shape (P,), the cell of each original patch, cells
          counted row by row.
        - transformed_keypoints: Shape (1, P, 2), centres of those cells in
          pixels of the input, which the codec encodes.
        - keypoints: The same in the coordinates of the photograph, as the
          model's predictions are returned.
        - keypoints_visible: Shape (1, P), ones.

    Args:
        grid: Rows and columns of the puzzle.
        gap: Width in pixels of the border of fill (the mean colour of the crop)
            between neighbouring patches, so that edges cannot be matched.
        jitter: Largest displacement in pixels, along each axis, of the window
            that is cut for a patch, drawn uniformly for each patch.
        color_jitter: Each channel of each patch is multiplied by a number drawn
            uniformly from [1 - color_jitter, 1 + color_jitter].
        exclude_identity: Whether to draw again if no patch has moved.
        seed: If given, the puzzle depends on this seed and the index of the
            sample only: fixed puzzles for validation. Default: drawn from NumPy's
            global generator, which MMEngine seeds in each worker.

    Raises:
        ValueError: If an argument is out of its range, or the crop cannot be cut
            into equal cells.
    """

    def __init__(
        self,
        grid: tuple[int, int],
        gap: int = 0,
        jitter: int = 0,
        color_jitter: float = 0.0,
        exclude_identity: bool = False,
        seed: int | None = None,
    ) -> None:
        self.grid = check_grid(grid)
        for name, value in (('gap', gap), ('jitter', jitter)):
            if not isinstance(value, int) or value < 0:
                raise ValueError(
                    f'{name} must be a whole number of pixels, 0 or more, but got '
                    f'{value!r}'
                )
        if not 0 <= color_jitter <= 1:
            raise ValueError(
                f'color_jitter must be in [0, 1], but got {color_jitter!r}'
            )
        self.gap = gap
        self.jitter = jitter
        self.color_jitter = color_jitter
        self.exclude_identity = exclude_identity
        self.seed = seed

    def transform(self, results: dict) -> dict:
        """Shuffle ``results['img']`` and set the keypoints."""
        img = results['img']
        rows, cols = self.grid
        height, width = img.shape[:2]
        cell_h, cell_w = height // rows, width // cols
        if height % rows or width % cols:
            raise ValueError(
                f'grid={self.grid} (rows, cols) does not cut a crop of '
                f'{width}x{height} pixels (width x height) into equal cells; choose '
                f'rows that divide {height} and columns that divide {width}'
            )
        if self.gap >= min(cell_h, cell_w):
            raise ValueError(
                f'gap={self.gap} pixels leaves nothing of a cell of {cell_w}x{cell_h} '
                'pixels (width x height)'
            )

        rng = np.random  # the generator that MMEngine seeds
        if self.seed is not None:
            rng = np.random.RandomState([self.seed, results['sample_idx']])
        permutation = self._draw_permutation(rng)
        shifts = None
        if self.jitter:
            shifts = rng.randint(-self.jitter, self.jitter + 1, (rows * cols, 2))
        shuffled = shuffle_patches(img, permutation, self.grid, shifts)
        cells = shuffled.reshape(rows, cell_h, cols, cell_w, -1)
        if self.color_jitter:
            low, high = 1 - self.color_jitter, 1 + self.color_jitter
            gains = rng.uniform(low, high, (rows, 1, cols, 1, cells.shape[-1]))
            cells = np.clip(cells * gains.astype(np.float32), 0, 255).astype(img.dtype)
        if self.gap:
            before, after = self.gap // 2, self.gap - self.gap // 2
            inner = np.zeros((1, cell_h, 1, cell_w, 1), dtype=bool)
            inner[:, before : cell_h - after, :, before : cell_w - after] = True
            fill = img.mean(axis=(0, 1)).astype(img.dtype)
            cells = np.where(inner, cells, fill)
        results['img'] = np.ascontiguousarray(cells.reshape(img.shape))

        centers = np.stack(
            [
                (permutation % cols + 0.5) * cell_w - 0.5,
                (permutation // cols + 0.5) * cell_h - 0.5,
            ],
            axis=-1,
        ).astype(np.float32)[None]
        scale, center = results['input_scale'], results['input_center']
        results['transformed_keypoints'] = centers
        results['keypoints'] = (
            centers / results['input_size'] * scale + center - 0.5 * scale
        ).astype(np.float32)
        results['keypoints_visible'] = np.ones((1, rows * cols), dtype=np.float32)
        results['jigsaw_grid'] = self.grid
        results['jigsaw_permutation'] = permutation
        return results

    def _draw_permutation(self, rng) -> np.ndarray:
        num_patches = self.grid[0] * self.grid[1]
        identity = np.arange(num_patches)
        permutation = rng.permutation(num_patches)
        while self.exclude_identity and (permutation == identity).all():
            permutation = rng.permutation(num_patches)
        return permutation

    def __repr__(self) -> str:
        """Return the arguments."""
        return (
            f'{type(self).__name__}(grid={self.grid}, gap={self.gap}, '
            f'jitter={self.jitter}, color_jitter={self.color_jitter}, '
            f'exclude_identity={self.exclude_identity}, seed={self.seed})'
        )
