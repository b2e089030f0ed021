"""Loss of the depth order of pairs."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmpose_pretext.registry import MODELS


def pair_gaps(
    depths: Tensor, visible: Tensor, pairs: Tensor, relations: Tensor
) -> tuple[Tensor, Tensor]:
    """Compute the depth gaps of labelled pairs.

    Args:
        depths: Shape (B, N, K), larger when farther: K depths of each of N people, or
            K = 1 depth of the whole person.
        visible: Boolean, of shape (B, N, K): which of them mean something.
        pairs: int64 of shape (B, P, 2), people i and j.
        relations: Shape (B, P): 1 if i is farther than j, -1 if closer, 0 for no pair.

    Returns:
        The gaps z_i - z_j, of shape (B, P, K), in float32, and their weights, of the
        same shape. The weights of a pair are equal where both are visible, and sum to
        1; or are all 0 where there is no pair, or nothing is visible in both.
    """
    people = pairs.flatten(1)[..., None]
    depths = torch.take_along_dim(depths.float(), people, dim=1)
    visible = torch.take_along_dim(visible, people, dim=1)
    weights = (visible[:, 0::2] & visible[:, 1::2]) * (relations != 0)[..., None]
    weights = weights / weights.sum(dim=2, keepdim=True).clamp(min=1)
    return depths[:, 0::2] - depths[:, 1::2], weights


@MODELS.register_module()
class RelativeDepthLoss(nn.Module):
    r"""Ranking loss of pairs: who is farther away?

    For a pair of relation r (1 if i is farther than j, -1 if closer) and confidence c

    .. math::
        c \log (1 + \exp(-r (z_i - z_j)))

    averaged over the labelled pairs of an image, then over the images that have some.
    This is the ranking loss of Chen et al., "Single-Image Depth Perception in the
    Wild" (arXiv 1604.03901), without its term for points of equal depth, and with
    confidences.

    Args:
        normalize: Divide the gaps of an image by the mean of
            :math:`|z_i - z_j|` over its labelled pairs. Then the loss depends on the
            order and on relative gaps only, and larger depths do not make it smaller;
            it no longer falls to 0.
        loss_weight: Weight.

    Example:
        >>> depths = torch.tensor([[[1.0], [3.0]]])  # an image, two people
        >>> pairs, farther = torch.tensor([[[1, 0]]]), torch.tensor([[1.0]])
        >>> seen, sure = torch.ones(1, 2, 1, dtype=torch.bool), torch.ones(1, 1)
        >>> RelativeDepthLoss()(depths, seen, pairs, farther, sure)
        tensor(0.1269)
    """

    def __init__(self, normalize: bool = False, loss_weight: float = 1.0) -> None:
        super().__init__()
        self.normalize = normalize
        self.loss_weight = loss_weight

    def forward(
        self,
        depths: Tensor,
        visible: Tensor,
        pairs: Tensor,
        relations: Tensor,
        confidences: Tensor,
    ) -> Tensor:
        """Compute the loss, in float32.

        Images with fewer people or pairs than others are padded: pairs with the
        relation 0 do not count, and people that are in no pair neither.

        Args:
            depths: Shape (B, N, K), larger when farther. K = 1 ranks people; K > 1
                ranks their K keypoints of the same name, and averages over them.
            visible: Boolean, of shape (B, N, K): which of them mean something. Pairs
                without anything visible in both do not count.
            pairs: int64 of shape (B, P, 2), people i and j.
            relations: Shape (B, P): 1 farther, -1 closer, 0 no pair.
            confidences: Shape (B, P), not negative.

        Returns:
            The loss, in nats; 0, with a gradient of 0, if no pair counts.
        """
        gaps, weights = pair_gaps(depths, visible, pairs, relations)
        counts = weights.sum(dim=(1, 2))  # pairs of each image
        if self.normalize:
            scales = (gaps.abs() * weights).sum(dim=(1, 2)) / counts.clamp(min=1)
            gaps = gaps / scales.clamp(min=1e-6)[:, None, None]
        losses = F.softplus(-relations[..., None] * gaps) * confidences[..., None]
        losses = (losses * weights).sum(dim=(1, 2)) / counts.clamp(min=1)
        return self.loss_weight * losses.sum() / (counts > 0).sum().clamp(min=1)
