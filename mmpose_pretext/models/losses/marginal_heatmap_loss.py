"""Loss of the marginal distributions of volumes."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mmpose_pretext.registry import MODELS


@MODELS.register_module()
class MarginalHeatmapLoss(nn.Module):
    r"""Divergence of a volume's marginals from Gaussians around the labels.

    The loss of the expected voxel says in which direction a distribution should move,
    not what it should be, and learns slowly from random weights. With the marginal
    p_c of coordinate c, and the Gaussian g_c around its label, at whole voxels and of
    sum 1, this is

    .. math::
        D_{KL}(g_c \,\|\, p_c) = \sum_i g_c(i) \log \frac{g_c(i)}{p_c(i)}

    averaged over the batch's coordinates, where unlabelled ones have 0. A divergence
    from Gaussians beside the loss of coordinates is from Nibali et al., *Numerical
    Coordinate Regression with Convolutional Neural Networks*, 2018 (arXiv
    1801.07372), and in 3D, of marginals over one axis, from *3D Human Pose Estimation
    with 2D Marginal Heatmaps*, 2018 (arXiv 1806.01484). Ours: marginals over two
    axes, and the Kullback-Leibler divergence in the place of Jensen and Shannon's,
    which hardly has a gradient where the two do not overlap.

    Args:
        sigma: Standard deviation of the Gaussians, in voxels.
        loss_weight: Weight.

    Raises:
        ValueError: If sigma is not positive.

    Example:
        >>> x, y, z = (torch.full((1, 1, n), 1 / n) for n in (8, 8, 4))
        >>> labels, weights = torch.tensor([[[5.0, 2.0, 1.0]]]), torch.ones(1, 1, 3)
        >>> MarginalHeatmapLoss(sigma=0.5)((x, y, z), labels, weights)
        tensor(1.1790)
    """

    def __init__(self, sigma: float = 1.0, loss_weight: float = 1.0) -> None:
        super().__init__()
        if sigma <= 0:
            raise ValueError(f'sigma must be more than 0 voxels, but got {sigma}')
        self.sigma = sigma
        self.loss_weight = loss_weight

    def forward(
        self, marginals: Sequence[Tensor], labels: Tensor, weights: Tensor
    ) -> Tensor:
        """Compute the loss.

        Args:
            marginals: Probabilities of x, y and z, of shapes (B, K, W), (B, K, H) and
                (B, K, D).
            labels: Shape (B, K, 3), x, y and z in voxels.
            weights: Shape (B, K, 3).

        Returns:
            The loss, in nats.
        """
        losses = []
        for axis, marginal in enumerate(marginals):
            voxels = torch.arange(marginal.shape[2], device=marginal.device)
            gaps = voxels - labels[:, :, axis, None]
            target = (-(gaps**2) / (2 * self.sigma**2)).log_softmax(dim=2)
            found = marginal.clamp(min=torch.finfo(marginal.dtype).tiny).log()
            losses.append((target.exp() * (target - found)).sum(dim=2))
        return self.loss_weight * (torch.stack(losses, dim=2) * weights).mean()
