"""Losses of presence and of places."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmpose_pretext.models.layers import (
    log_distribution,
    outside_logit,
    pool_windows,
    window_coverage,
)
from mmpose_pretext.registry import MODELS


@MODELS.register_module()
class PresenceLoss(nn.Module):
    r"""Multi-label loss that ignores unknown labels.

    Binary cross entropy, or with focusing the asymmetric loss (Ridnik et al., arXiv
    2009.14119): with the probability p of presence and :math:`p_m = \max(p - m, 0)`,

    .. math::
        -y (1 - p)^{\gamma_+} \log p - (1 - y) p_m^{\gamma_-} \log (1 - p_m)

    averaged over the known labels.

    Args:
        gamma_present: Focusing :math:`\gamma_+` of present labels.
        gamma_absent: Focusing :math:`\gamma_-` of absent labels.
        margin: m: absent labels with p below it cost nothing.
        loss_weight: Weight.

    Example:
        >>> present, absent = torch.tensor([0.5]).log(), torch.tensor([0.5]).log()
        >>> PresenceLoss()(present, absent, torch.tensor([1.0]))
        tensor(0.6931)
    """

    def __init__(
        self,
        gamma_present: float = 0.0,
        gamma_absent: float = 0.0,
        margin: float = 0.0,
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__()
        self.gamma_present = gamma_present
        self.gamma_absent = gamma_absent
        self.margin = margin
        self.loss_weight = loss_weight

    def forward(
        self, log_present: Tensor, log_absent: Tensor, labels: Tensor
    ) -> Tensor:
        """Compute the loss.

        Args:
            log_present: Logarithms of the probabilities of presence, of any shape.
            log_absent: Logarithms of the probabilities of absence.
            labels: 1 present, 0 absent, -1 unknown, all of one shape.

        Returns:
            The mean over the known labels, in nats; 0 if none is known.
        """
        # by the probability before the margin is taken off
        focus = log_absent.detach().exp() ** self.gamma_present
        present = log_present.exp()
        if self.margin:
            present = (present - self.margin).clamp(min=0)
            log_absent = (-present).log1p()
        if self.gamma_absent:
            log_absent = log_absent * present.detach() ** self.gamma_absent
        losses = torch.where(labels == 1, -log_present * focus, -log_absent)
        known = labels >= 0
        count = known.sum().clamp(min=1)
        return self.loss_weight * losses.masked_fill(~known, 0).sum() / count


@MODELS.register_module()
class WindowMassLoss(PresenceLoss):
    """Loss of presence in windows for any head whose maps are logits of places.

    A map and a bin for "outside of the crop" are one distribution over places, and the
    probability of presence in a window is the mass of the distribution within it. So
    every answer pushes mass into a window or out of it, and what the answers have in
    common is the place. (Ours, not of a paper.)

    A head of your own calls it with the maps, windows and labels of
    ``gt_instance_labels``, as :class:`mmpose_pretext.LocationFreeHead`, which does the
    same with ``cam=dict(pooling='mass')``. MMPose's ``HeatmapHead`` calls its losses
    with heatmaps instead.

    Args:
        **kwargs: See :class:`PresenceLoss`.

    Example:
        >>> maps = torch.zeros(1, 1, 4, 4)  # half of the mass is outside
        >>> left = torch.tensor(
        ...     [[[[-0.5, -0.5], [1.5, -0.5], [1.5, 3.5], [-0.5, 3.5]]]]
        ... )
        >>> WindowMassLoss()(maps, left, torch.ones(1, 1, 1)).exp()  # 1 / p
        tensor(4.)
    """

    def forward(self, maps: Tensor, windows: Tensor, labels: Tensor) -> Tensor:
        """Compute the loss.

        Args:
            maps: Logits of shape (B, K, H, W).
            windows: Corners of shape (B, M, 4, 2), in pixels of the maps.
            labels: Shape (B, M, K): 1 present, 0 absent, -1 unknown.

        Returns:
            The mean over the known labels, in nats.
        """
        coverage = window_coverage(windows, maps.shape[2:])
        return super().forward(*pool_windows(maps, coverage, 'mass'), labels)


@MODELS.register_module()
class JointWindowLoss(nn.Module):
    r"""Loss of presence in windows that takes all answers for a keypoint together.

    :class:`WindowMassLoss` takes the answers one by one, as if each were about another
    keypoint. But a keypoint has one place: it is in every window that shows it and in
    none of the others. With the distribution p over the places x of the crop and the
    bin for "outside", and the share :math:`c_m(x)` of the place that window m covers,
    the likelihood of the answers :math:`y_m` is

    .. math::
        \sum_x p(x) \prod_m c_m(x)^{y_m} (1 - c_m(x))^{1 - y_m}

    and the loss its negative logarithm. Its gradient is that of the cross entropy with
    the distribution that the answers leave of p, a step of expectation-maximisation
    (Dempster et al., 1977). So it has the same scale as
    :class:`PlaceCrossEntropyLoss`, to which it comes as windows get small. (Ours, not
    of a paper.)

    Args:
        error_rate: How often an answer is wrong, in (0, 0.5): the :math:`c_m` are kept
            that far from 0 and 1, so that answers that contradict each other have a
            likelihood.
        loss_weight: Weight.

    Raises:
        ValueError: If ``error_rate`` is outside its range.

    Example:
        >>> maps = torch.zeros(1, 1, 4, 4)  # half of the mass is outside
        >>> whole, left = (
        ...     [[-0.5, -0.5], [x, -0.5], [x, 3.5], [-0.5, 3.5]] for x in (3.5, 1.5)
        ... )
        >>> windows = torch.tensor([[whole, left]])
        >>> answers = torch.tensor([[[1.0], [0.0]]])  # in the crop, and not left
        >>> JointWindowLoss(1e-6)(maps, windows, answers).exp()  # 1 / p
        tensor(4.0000)
    """

    def __init__(self, error_rate: float = 1e-3, loss_weight: float = 1.0) -> None:
        super().__init__()
        if not 0 < error_rate < 0.5:
            raise ValueError(f'error_rate must be in (0, 0.5), but got {error_rate!r}')
        self.error_rate = error_rate
        self.loss_weight = loss_weight

    def forward(self, maps: Tensor, windows: Tensor, labels: Tensor) -> Tensor:
        """Compute the loss.

        Args:
            maps: Logits of shape (B, K, H, W).
            windows: Corners of shape (B, M, 4, 2), in pixels of the maps.
            labels: Shape (B, M, K): 1 present, 0 absent, -1 unknown.

        Returns:
            The mean over the keypoints with a known label, in nats; 0 if there is none.
        """
        with torch.autocast(maps.device.type, enabled=False):
            coverage = window_coverage(windows.float(), maps.shape[2:]).flatten(2)
            # the outside bin is one more place, which no window covers
            coverage = F.pad(coverage, (0, 1))
            coverage = coverage.clamp(self.error_rate, 1 - self.error_rate)
            present, absent = (
                (labels == answer).float().transpose(1, 2) for answer in (1, 0)
            )
            answers = present @ coverage.log() + absent @ (-coverage).log1p()
            outside = outside_logit(maps.shape[2:])
            logits = F.pad(maps.float().flatten(2), (0, 1), value=outside)
            losses = -(logits.log_softmax(dim=2) + answers).logsumexp(dim=2)
            known = (labels >= 0).any(dim=1)
            losses = losses.masked_fill(~known, 0).sum() / known.sum().clamp(min=1)
            return self.loss_weight * losses


@MODELS.register_module()
class PlaceCrossEntropyLoss(nn.Module):
    """Cross entropy between heatmaps and the distribution that the maps are.

    The target is the heatmap, normalised to sum 1; the prediction the softmax of the
    map over its pixels and the bin for "outside of the crop" of
    :class:`WindowMassLoss`, so that both losses train the same quantity.

    Args:
        loss_weight: Weight.
        average: ``'known'``, over the keypoints of the batch whose place is known, or
            ``'all'``, over all of them: then a person with places weighs the same
            however few of the batch have some, and as much as one by
            :class:`JointWindowLoss`, where places are mixed with presence.

    Raises:
        ValueError: If ``average`` is neither of the two.

    Example:
        >>> maps, heatmaps = torch.zeros(2, 1, 4, 4), torch.ones(2, 1, 4, 4)
        >>> weights = torch.tensor([[1.0], [0.0]])  # one of two people has a place
        >>> PlaceCrossEntropyLoss()(maps, heatmaps, weights).exp()  # 2 * 16
        tensor(32.0000)
        >>> PlaceCrossEntropyLoss(average='all')(maps, heatmaps, weights).exp() ** 2
        tensor(32.0000)
    """

    def __init__(self, loss_weight: float = 1.0, average: str = 'known') -> None:
        super().__init__()
        if average not in ('known', 'all'):
            raise ValueError(f"average must be 'known' or 'all', but got {average!r}")
        self.average = average
        self.loss_weight = loss_weight

    def forward(self, maps: Tensor, heatmaps: Tensor, weights: Tensor) -> Tensor:
        """Compute the loss.

        Args:
            maps: Logits of shape (B, K, H, W).
            heatmaps: Targets of shape (B, K, H, W), not negative.
            weights: Shape (B, K); 0 where the place is unknown.

        Returns:
            The weighted sum, in nats, divided as ``average`` says by the sum of the
            weights or by B K; 0 if no place is known.
        """
        mass = heatmaps.sum(dim=(2, 3))
        losses = -(heatmaps * log_distribution(maps)).sum(dim=(2, 3))
        losses = losses / mass.clamp(min=1e-6) * weights
        if self.average == 'all':
            return self.loss_weight * losses.sum() / weights.numel()
        return self.loss_weight * losses.sum() / weights.sum().clamp(min=1)
