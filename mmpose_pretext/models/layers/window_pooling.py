"""From maps of keypoints to their presence in regions."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

POOLINGS = ('average', 'topk', 'lse', 'noisy_or', 'mass')
_TINY = 1e-6  # of a length or an area
_FLOOR = 1e-30  # of probabilities: their logarithms are finite, and have gradients


def window_coverage(windows: Tensor, size: tuple[int, int]) -> Tensor:
    """Return which share of each pixel the windows cover.

    Exact for upright windows of a pixel or more, an approximation by the distance of
    the pixel's centre to the sides for rotated ones.

    Args:
        windows: Corners of rectangles, in order around them, of shape (B, M, 4, 2),
            in pixels of the map, whose first pixel has its centre at 0.
        size: Height H and width W of the map.

    Returns:
        Shape (B, M, H, W), in [0, 1].
    """
    height, width = size
    corner = windows[..., 0, :]
    x = torch.arange(width, device=windows.device, dtype=windows.dtype)
    y = torch.arange(height, device=windows.device, dtype=windows.dtype)[:, None]
    coverage = 1.0
    for side in (windows[..., 1, :] - corner, windows[..., 3, :] - corner):
        length = side.norm(dim=-1, keepdim=True)
        unit = side / length.clamp(min=_TINY)
        along = (
            unit[..., 0, None, None] * x
            + unit[..., 1, None, None] * y
            - (unit * corner).sum(dim=-1)[..., None, None]
        )
        start = (along + 0.5).clamp(0, 1)
        end = (length[..., None] - along + 0.5).clamp(0, 1)
        coverage = coverage * (start + end - 1).clamp(min=0)
    return coverage


def outside_logit(size: tuple[int, int]) -> float:
    """Return the logit of the bin "outside of the crop": that of all pixels at 0.

    So a map of zeros says that the keypoint is inside with probability 1/2, at any
    resolution.
    """
    return math.log(size[0] * size[1])


def log_distribution(maps: Tensor) -> Tensor:
    """Return the logarithm of the distribution over the pixels and the outside bin.

    Args:
        maps: Logits of shape (B, K, H, W).

    Returns:
        Shape (B, K, H, W); the probabilities sum to 1 less that of the outside bin.
    """
    maps = maps.float()
    return maps - _log_total(maps)[..., None, None]


def _log_total(maps: Tensor) -> Tensor:
    inside = maps.flatten(2).logsumexp(dim=2)
    outside = torch.full_like(inside, outside_logit(maps.shape[2:]))
    return torch.logaddexp(inside, outside)


def pool_windows(
    maps: Tensor, coverage: Tensor, pooling: str, topk: int = 10, sharpness: float = 4.0
) -> tuple[Tensor, Tensor]:
    r"""Pool maps within windows to probabilities of presence.

    With logits :math:`z_i` of the pixels and the share :math:`m_i` of them that the
    window covers, the logit of presence is

    - ``'average'``: :math:`\sum m_i z_i / \sum m_i`, global average pooling (Zhou et
      al., arXiv 1512.04150) within the window;
    - ``'topk'``: the mean of the ``topk`` largest :math:`z_i` where
      :math:`m_i \ge 1/2`;
    - ``'lse'``: :math:`\log(\sum m_i e^{r z_i} / \sum m_i) / r` with the sharpness r
      (Pinheiro and Collobert, arXiv 1411.6228).

    and the probability of presence is

    - ``'noisy_or'``: :math:`1 - \prod (1 - \sigma(z_i))^{m_i}`;
    - ``'mass'``: :math:`\sum m_i p_i`, where p is the softmax of z over the pixels and
      a bin for "outside of the crop" (:func:`log_distribution`).

    Args:
        maps: Logits of shape (B, K, H, W).
        coverage: Shape (B, M, H, W), of :func:`window_coverage`.
        pooling: One of the names above.
        topk: Number of pixels for ``'topk'``.
        sharpness: r of ``'lse'``, more than 0: the less, the nearer to the average, the
            more, the nearer to the maximum.

    Returns:
        Logarithms of the probabilities of presence and absence, both of shape
        (B, M, K).

    Raises:
        ValueError: If the pooling is unknown, the sharpness is not more than 0, or topk
            is less than 1.
    """
    if pooling not in POOLINGS:
        raise ValueError(f'pooling must be one of {POOLINGS}, but got {pooling!r}')
    if sharpness <= 0:
        raise ValueError(f'sharpness must be more than 0, but got {sharpness}')
    if topk < 1:
        raise ValueError(f'topk must be at least 1, but got {topk}')
    with torch.autocast(maps.device.type, enabled=False):  # small numbers matter
        return _pool(
            maps.float(), coverage.flatten(2).float(), pooling, topk, sharpness
        )


def _pool(
    maps: Tensor, weights: Tensor, pooling: str, topk: int, sharpness: float
) -> tuple[Tensor, Tensor]:
    """As pool_windows, with weights of shape (B, M, N), N = H W."""

    def total(values: Tensor) -> Tensor:  # (B, K, H, W) -> (B, M, K)
        return weights @ values.flatten(2).transpose(1, 2)

    if pooling == 'mass':
        p = log_distribution(maps).exp()
        present = total(p)
        # not 1 - present, which is 0 long before its logarithm is out of range
        outside = (outside_logit(maps.shape[2:]) - _log_total(maps)).exp()
        absent = (1 - weights) @ p.flatten(2).transpose(1, 2) + outside[:, None]
        return present.clamp(_FLOOR, 1).log(), absent.clamp(_FLOOR, 1).log()
    if pooling == 'noisy_or':
        absent = total(F.logsigmoid(-maps)).clamp(max=-_FLOOR)
        return (-absent.expm1()).log(), absent
    pixels = weights.sum(dim=2, keepdim=True).clamp(min=_TINY)
    if pooling == 'average':
        logits = total(maps) / pixels
    elif pooling == 'lse':
        # a sum for each window: with one peak for all, weak evidence in a window far
        # from the peak would underflow
        terms = sharpness * maps.flatten(2)[:, None] + weights.log()[:, :, None]
        terms = terms.masked_fill((weights == 0)[:, :, None], torch.finfo().min)
        logits = (terms.logsumexp(dim=-1) - pixels.log()) / sharpness
        logits = logits.masked_fill(~(weights > 0).any(dim=2, keepdim=True), 0)
    else:
        inside = (weights >= 0.5)[:, :, None]  # (B, M, 1, N)
        masked = maps.flatten(2)[:, None].masked_fill(~inside, -math.inf)
        values = masked.topk(min(topk, masked.shape[-1]), dim=-1).values
        found = values > -math.inf
        logits = values.masked_fill(~found, 0).sum(-1) / found.sum(-1).clamp(min=1)
    return F.logsigmoid(logits), F.logsigmoid(-logits)
