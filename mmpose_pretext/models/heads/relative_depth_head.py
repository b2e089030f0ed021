"""Heatmaps of all people of an image, and their depth order."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.structures import InstanceData, PixelData
from mmpose.models.heads import HeatmapHead
from mmpose.models.utils.tta import flip_heatmaps
from mmpose.utils.tensor_utils import to_numpy
from mmpose.utils.typing import ConfigType, Predictions, SampleList
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from mmpose_pretext.models.losses.relative_depth_loss import pair_gaps
from mmpose_pretext.registry import MODELS

PAIRS_OF = ('person', 'keypoint')
PERSON_DEPTH = ('nearest', 'mean')


@MODELS.register_module()
class RelativeDepthHead(HeatmapHead):
    """Heatmaps and a dense map of depth, which is read at the people's keypoints.

    The heatmap branch is that of :class:`mmpose.models.HeatmapHead`, whose checkpoints
    fit but for ``depth_layer``: a 1x1 convolution beside ``final_layer``, on the same
    features. Depth is larger when farther; only its order is trained, so it has
    neither unit nor origin.

    This head does not find people. Training and prediction read the depth at the
    points of the labels that :class:`mmpose_pretext.RelativeDepthLabel` encodes; so
    pipelines of validation need ``GenerateTarget``, too, and ``BottomupResize`` before
    it.

    Args:
        in_channels: Channels of the backbone's last feature map.
        out_channels: Number K of keypoints.
        depth_per_keypoint: Whether each keypoint has its own depth map, or all share
            one.
        coordinates: Whether ``depth_layer`` also sees where a pixel lies, as in
            CoordConv: Liu et al., *An Intriguing Failing of Convolutional Neural
            Networks and the CoordConv Solution*, 2018, arXiv 1807.03247. On flat
            ground, whoever stands lower in the image is nearer. Without this the
            network has to find out how low that is, from the zeros that pad its
            inputs (and it does: ``configs/wsp/STUDY.md``).
        pairs_of: What the loss ranks: ``'person'``, the depth of each one; or
            ``'keypoint'``, the keypoints of the same name that are visible in both
            people of a pair.
        person_depth: What the depth of a person is, where it is ranked and predicted:
            that of the ``'nearest'`` visible keypoint, or the ``'mean'`` over them. The
            nearest orders more people (``configs/wsp/STUDY.md``).
        depth_loss: Config of a loss such as :class:`mmpose_pretext.RelativeDepthLoss`.
            Its ``loss_weight`` balances it with the heatmaps; 0 trains heatmaps only.
        limb_loss: Config of such a loss, which ranks a person's left and right elbow,
            wrist, knee and ankle by the labels of
            :func:`mmpose_pretext.perspective.limb_order`. Without
            ``depth_per_keypoint`` both have one depth where one hides the other.
            Default: none.
        decoder: The codec, :class:`mmpose_pretext.RelativeDepthLabel`.
        **kwargs: See :class:`mmpose.models.HeatmapHead`: ``deconv_out_channels``, ...

    Raises:
        ValueError: If ``pairs_of`` or ``person_depth`` is neither of these.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        depth_per_keypoint: bool = False,
        coordinates: bool = False,
        pairs_of: str = 'person',
        person_depth: str = 'nearest',
        depth_loss: ConfigType = dict(type='mmpose_pretext.RelativeDepthLoss'),  # noqa: B006
        limb_loss: ConfigType | None = None,
        decoder: ConfigType | None = None,
        **kwargs,
    ) -> None:
        for name, value, choices in (
            ('pairs_of', pairs_of, PAIRS_OF),
            ('person_depth', person_depth, PERSON_DEPTH),
        ):
            if value not in choices:
                raise ValueError(f'{name} must be one of {choices}, but got {value!r}')
        super().__init__(in_channels, out_channels, decoder=decoder, **kwargs)
        self.depth_per_keypoint = depth_per_keypoint
        self.coordinates = coordinates
        self.pairs_of = pairs_of
        self.person_depth = person_depth
        self.depth_loss = MODELS.build(depth_loss)
        self.limb_loss = None if limb_loss is None else MODELS.build(limb_loss)
        self.depth_layer = nn.Conv2d(
            self.final_layer.in_channels + (2 if coordinates else 0),
            out_channels if depth_per_keypoint else 1,
            1,
        )

    def forward(self, feats: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Compute the maps.

        Args:
            feats: The backbone's feature maps.

        Returns:
            Heatmaps of shape (B, K, H, W) and depth maps of shape (B, 1, H, W), or
            (B, K, H, W) with ``depth_per_keypoint``. [W, H] is ``heatmap_size``.
        """
        x = self.conv_layers(self.deconv_layers(feats[-1]))
        heatmaps = self.final_layer(x)
        if self.coordinates:
            x = torch.cat([x, centered_coordinates(x)], dim=1)
        return heatmaps, self.depth_layer(x)

    def loss(
        self,
        feats: Sequence[Tensor],
        batch_data_samples: SampleList,
        train_cfg: ConfigType | None = None,
    ) -> dict[str, Tensor]:
        """Compute the losses.

        Args:
            feats: The backbone's feature maps.
            batch_data_samples: B samples, as :class:`mmpose_pretext.RelativeDepthLabel`
                encodes them. With :class:`mmpose_pretext.BottomupPolygonMask` in the
                pipeline, heatmaps do not learn where people are without labels.
            train_cfg: Not used.

        Returns:
            ``loss_kpt`` of the heatmaps; ``loss_depth``; ``acc_depth``, the share of
            the batch's labelled pairs that are in order, 0 if there are none; with a
            ``limb_loss`` also ``loss_limbs`` and ``acc_limbs``.

        Raises:
            ValueError: If a sample has no labels of depth.
        """
        heatmaps, depth_maps = self(feats)
        targets = torch.stack([d.gt_fields.heatmaps for d in batch_data_samples])
        weights = torch.cat(
            [d.gt_instance_labels.keypoint_weights for d in batch_data_samples]
        )
        masks = [
            d.gt_fields.heatmap_mask
            for d in batch_data_samples
            if 'heatmap_mask' in d.gt_fields
        ]
        masks = (torch.stack(masks),) if masks else ()
        loss = self.loss_module(heatmaps, targets, weights, *masks)
        return dict(loss_kpt=loss) | self.depth_losses(depth_maps, batch_data_samples)

    def depth_losses(
        self, depth_maps: Tensor, batch_data_samples: SampleList
    ) -> dict[str, Tensor]:
        """Compute the losses of depth, and the shares in order, from the maps."""
        points, visible, pairs, relations, confidences = (
            _padded_labels(batch_data_samples, name)
            for name in (
                'depth_points',
                'depth_points_visible',
                'depth_pairs',
                'depth_relations',
                'depth_confidences',
            )
        )
        depths = read_depths(depth_maps, points)
        losses = {}
        if self.limb_loss is not None:
            labels = _limb_pairs(depths, visible, batch_data_samples)
            losses['loss_limbs'] = self.limb_loss(*labels)
            losses['acc_limbs'] = _share_in_order(*labels[:4])
        if self.pairs_of == 'person':
            depths = person_depths(depths, visible, self.person_depth)[..., None]
            visible = visible.any(dim=2, keepdim=True)
        labels = depths, visible, pairs, relations, confidences
        losses['loss_depth'] = self.depth_loss(*labels)
        losses['acc_depth'] = _share_in_order(*labels[:4])
        return losses

    def predict(
        self,
        feats: Sequence[Tensor] | list[Sequence[Tensor]],
        batch_data_samples: SampleList,
        test_cfg: ConfigType | None = None,
    ) -> Predictions:
        """Predict the depths of the labelled people.

        Args:
            feats: The backbone's feature maps, or with flip test two of them: of the
                images and of the flipped images.
            batch_data_samples: B samples, as :class:`mmpose_pretext.RelativeDepthLabel`
                encodes them, with N people each.
            test_cfg: ``flip_test``, ``shift_heatmap`` and ``output_heatmaps``, as for
                :class:`mmpose.models.HeatmapHead`.

        Returns:
            B instances with ``keypoints`` of shape (N, K, 2), the points of the labels
            in pixels of the input, and ``keypoint_scores`` of shape (N, K), 1 where
            they are visible in it, else 0; ``keypoint_depths`` of shape (N, K), NaN
            where not visible; ``depths`` of shape (N,), NaN where nothing is visible.
            With ``output_heatmaps`` also B fields with ``heatmaps`` and ``depths``, the
            maps.

        Raises:
            ValueError: If a sample has no labels.
        """
        test_cfg = test_cfg or {}
        if test_cfg.get('flip_test', False):
            upright, flipped = feats
            indices = batch_data_samples[0].metainfo['flip_indices']
            shift = test_cfg.get('shift_heatmap', False)
            heatmaps, depth_maps = (
                (maps + flip_heatmaps(mirrored, order, shift_heatmap=shift)) / 2
                for maps, mirrored, order in zip(
                    self(upright),
                    self(flipped),
                    (indices, indices if self.depth_per_keypoint else None),
                    strict=True,
                )
            )
        else:
            heatmaps, depth_maps = self(feats)
        points = _padded_labels(batch_data_samples, 'depth_points')
        visible = _padded_labels(batch_data_samples, 'depth_points_visible')
        depths = read_depths(depth_maps, points)
        people = person_depths(depths, visible, self.person_depth)
        people = people.masked_fill(~visible.any(dim=2), torch.nan)
        depths = depths.masked_fill(~visible, torch.nan)
        instances = []
        for index, sample in enumerate(batch_data_samples):
            count = sample.gt_instance_labels.depth_points.shape[1]
            instances.append(
                InstanceData(
                    keypoints=to_numpy(points[index, :count])
                    * self.decoder.scale_factor,
                    keypoint_scores=to_numpy(visible[index, :count].float()),
                    keypoint_depths=to_numpy(depths[index, :count]),
                    depths=to_numpy(people[index, :count]),
                )
            )
        if test_cfg.get('output_heatmaps', False):
            fields = [
                PixelData(heatmaps=h, depths=d)
                for h, d in zip(heatmaps.detach(), depth_maps.detach(), strict=True)
            ]
            return instances, fields
        return instances


def centered_coordinates(maps: Tensor) -> Tensor:
    """Return how far pixels are to the right of the middle, and below it.

    Args:
        maps: Shape (B, C, H, W).

    Returns:
        Shape (B, 2, H, W), in pixels of the maps.
    """
    batch, _, height, width = maps.shape
    x, y = (
        torch.arange(size, device=maps.device, dtype=maps.dtype) - (size - 1) / 2
        for size in (width, height)
    )
    grid = torch.stack(torch.meshgrid(x, y, indexing='xy'))
    return grid.expand(batch, -1, -1, -1)


def read_depths(depth_maps: Tensor, points: Tensor) -> Tensor:
    """Read depth maps at points, bilinearly, in float32.

    Args:
        depth_maps: Shape (B, 1, H, W), or (B, K, H, W) for a map a keypoint.
        points: Shape (B, N, K, 2), in pixels of the maps, of which the first has its
            centre at 0. Beyond the outer centres the maps go on as they end.

    Returns:
        Shape (B, N, K).
    """
    size = points.new_tensor([depth_maps.shape[3], depth_maps.shape[2]])
    grid = (2 * points + 1) / size - 1
    if depth_maps.shape[1] > 1:  # each map has its own points
        grid = grid.transpose(1, 2).flatten(0, 1)[:, :, None]
    depths = F.grid_sample(
        depth_maps.float().flatten(0, 1)[:, None],
        grid,
        padding_mode='border',
        align_corners=False,
    )
    if depth_maps.shape[1] > 1:
        return depths.view(*depth_maps.shape[:2], -1).transpose(1, 2)
    return depths[:, 0]


def person_depths(depths: Tensor, visible: Tensor, kind: str) -> Tensor:
    """Make a depth a person of depths of keypoints.

    Args:
        depths: Shape (B, N, K).
        visible: Boolean, of the same shape: which of them mean something.
        kind: ``'mean'`` of these, or ``'nearest'``, the least of them.

    Returns:
        Shape (B, N); 0 where nothing is visible.
    """
    if kind == 'nearest':
        least = depths.masked_fill(~visible, torch.inf).amin(dim=2)
        return least.masked_fill(~visible.any(dim=2), 0)
    return (depths * visible).sum(dim=2) / visible.sum(dim=2).clamp(min=1)


def _share_in_order(
    depths: Tensor, visible: Tensor, pairs: Tensor, relations: Tensor
) -> Tensor:
    """Return the share of pairs in order; the arguments are those of the loss."""
    gaps, weights = pair_gaps(depths.detach(), visible, pairs, relations)
    correct = (gaps * relations[..., None] > 0) * weights
    return correct.sum() / weights.sum().clamp(min=1)


def _limb_pairs(
    depths: Tensor, visible: Tensor, samples: SampleList
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Return the labels of limbs as a loss takes those of people: N K keypoints."""
    batch, people, num_keypoints = depths.shape
    order = _padded_labels(samples, 'depth_limb_order')
    mirror = torch.tensor(samples[0].metainfo['flip_indices'], device=depths.device)
    one = torch.arange(num_keypoints, device=depths.device)
    one = one[one < mirror]
    first = torch.arange(people, device=depths.device)[:, None] * num_keypoints
    pairs = torch.stack([first + one, first + mirror[one]], dim=2).flatten(0, 1)
    order = order[..., one].flatten(1)
    return (
        depths.flatten(1)[..., None],
        visible.flatten(1)[..., None],
        pairs.expand(batch, -1, -1),
        order.sign(),
        order.abs(),
    )


def _padded_labels(samples: SampleList, name: str) -> Tensor:
    """Return a label of all samples, of shape (B, largest N or P, ...), padded by 0."""
    labels = [sample.get('gt_instance_labels', {}) for sample in samples]
    if any(name not in label for label in labels):
        raise ValueError(
            f'a sample has no gt_instance_labels.{name}: depths are read at labelled '
            "keypoints, so the pipeline needs dict(type='GenerateTarget', "
            "encoder=dict(type='mmpose_pretext.RelativeDepthLabel', ...)), also for "
            'validation, and images without people must be left out'
        )
    return pad_sequence([label[name][0] for label in labels], batch_first=True)
