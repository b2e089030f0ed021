"""Differentiable places of peaks."""

from collections.abc import Sequence

import torch
from torch import Tensor


def soft_argmax_3d(volumes: Tensor) -> Tensor:
    """Return the expected voxel of each volume, under the softmax of its values.

    Sun et al., *Integral Human Pose Regression*, 2018 (arXiv 1711.08229), equation 2:
    the sum over voxels of place times probability. In float32 at least.

    Args:
        volumes: Shape (B, K, D, H, W), any real values.

    Returns:
        Shape (B, K, 3): x in [0, W - 1], y in [0, H - 1], z in [0, D - 1].

    Example:
        >>> volumes = torch.full((1, 1, 2, 4, 8), -100.0)
        >>> volumes[0, 0, 1, 2, 5] = 0
        >>> soft_argmax_3d(volumes)
        tensor([[[5., 2., 1.]]])
    """
    return expected_voxels(marginals(probability_volumes(volumes)))


def probability_volumes(volumes: Tensor) -> Tensor:
    """Return the softmax over all voxels, of the same shape (B, K, D, H, W)."""
    dtype = torch.promote_types(volumes.dtype, torch.float32)
    return volumes.flatten(2).softmax(dim=2, dtype=dtype).view(volumes.shape)


def marginals(probabilities: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Sum the probabilities of volumes over two axes each.

    Args:
        probabilities: Shape (B, K, D, H, W).

    Returns:
        Probabilities of x, y and z, of shapes (B, K, W), (B, K, H) and (B, K, D).
    """
    return (
        probabilities.sum(dim=(2, 3)),
        probabilities.sum(dim=(2, 4)),
        probabilities.sum(dim=(3, 4)),
    )


def expected_voxels(marginals: Sequence[Tensor]) -> Tensor:
    """Return the mean place x, y, z of shape (B, K, 3), in voxels.

    Args:
        marginals: Probabilities of x, y and z, as of :func:`marginals`.
    """
    places = []
    for marginal in marginals:
        index = torch.arange(
            marginal.shape[2], dtype=marginal.dtype, device=marginal.device
        )
        places.append((marginal * index).sum(dim=2))
    return torch.stack(places, dim=2)
