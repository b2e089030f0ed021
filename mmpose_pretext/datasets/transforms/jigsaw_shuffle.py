"""Cut a crop into patches and put them back in another order."""

import itertools
import math

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


def permutation_set(
    num_patches: int, num_permutations: int, seed: int = 0
) -> np.ndarray:
    """Choose permutations that differ from one another in many places.

    The greedy algorithm of Noroozi and Favaro (arXiv 1603.09246, Algorithm 1): the
    first permutation is random, and each further one has the largest sum of Hamming
    distances to those already chosen. They search all 9! permutations. Here all P!
    are searched if there are no more than 50,000 (P up to 8) or ten times
    ``num_permutations``, and otherwise that many random ones; and of those with the
    largest sum, which are many, the one whose smallest distance is largest is chosen.

    Args:
        num_patches: P, 2 or more.
        num_permutations: N, from 2 to P!.
        seed: Seed of the first choice and of the candidates.

    Returns:
        Different permutations of shape (N, P), the same for the same arguments.

    Raises:
        ValueError: If ``num_permutations`` is out of its range.
    """
    available = math.factorial(num_patches)
    if not isinstance(num_permutations, int) or not 2 <= num_permutations <= available:
        raise ValueError(
            'num_permutations must be a whole number from 2 to the number of '
            f'permutations of {num_patches} patches, {available}, but got '
            f'{num_permutations!r}'
        )
    rng = np.random.RandomState(seed)  # its stream is the same in every NumPy
    num_candidates = max(50_000, 10 * num_permutations)
    if available <= num_candidates:
        every = itertools.permutations(range(num_patches))
        candidates = rng.permutation(np.array(list(every)))
    else:
        candidates = rng.rand(num_candidates, num_patches).argsort(axis=1)
    candidates = np.ascontiguousarray(candidates.T)

    chosen = [0]
    total, nearest = 0, num_patches  # distances from the chosen to each candidate
    while len(chosen) < num_permutations:
        distances = (candidates != candidates[:, chosen[-1:]]).sum(axis=0)
        total += distances
        nearest = np.minimum(nearest, distances)
        score = total + nearest / (num_patches + 1)
        score[nearest == 0] = -1  # those chosen, and their duplicates
        chosen.append(score.argmax())
    return candidates[:, chosen].T


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
        - pretext_label (only with ``num_permutations``): Shape (1,), int64, the
          index of the permutation. Unless
          :class:`mmpose.datasets.transforms.GenerateTarget` follows,
          ``label_mapping_table`` makes ``PackPoseInputs`` pack it as
          ``gt_instance_labels.pretext_labels``.

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
        num_permutations: If given, the permutation is one of this many, chosen by
            :func:`permutation_set`, and its index is a label to be classified.
            Default: any permutation, and no label.
        permutation_seed: Seed of :func:`permutation_set`. A network knows the
            labels of one seed only.

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
        num_permutations: int | None = None,
        permutation_seed: int = 0,
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
        self.num_permutations = num_permutations
        self.permutation_seed = permutation_seed
        self.permutations = None
        if num_permutations is not None:
            num_patches = self.grid[0] * self.grid[1]
            self.permutations = permutation_set(
                num_patches, num_permutations, permutation_seed
            )

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
        permutation, label = self._draw_permutation(rng)
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
        if label is not None:
            results['pretext_label'] = np.array([label], dtype=np.int64)
            results['label_mapping_table'] = dict(pretext_label='pretext_labels')
        return results

    def _draw_permutation(self, rng) -> tuple[np.ndarray, int | None]:
        identity = np.arange(self.grid[0] * self.grid[1])
        label = None
        while True:
            if self.permutations is None:
                permutation = rng.permutation(len(identity))
            else:
                label = rng.randint(len(self.permutations))
                permutation = self.permutations[label].copy()
            if not (self.exclude_identity and (permutation == identity).all()):
                return permutation, label

    def __repr__(self) -> str:
        """Return the arguments."""
        return (
            f'{type(self).__name__}(grid={self.grid}, gap={self.gap}, '
            f'jitter={self.jitter}, color_jitter={self.color_jitter}, '
            f'exclude_identity={self.exclude_identity}, seed={self.seed}, '
            f'num_permutations={self.num_permutations}, '
            f'permutation_seed={self.permutation_seed})'
        )
