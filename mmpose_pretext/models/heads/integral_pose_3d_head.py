"""A volume of probabilities for each keypoint, and the depth of the root."""

from collections.abc import Sequence

import torch
from mmengine.structures import InstanceData
from mmpose.models.heads import HeatmapHead
from mmpose.models.utils.tta import flip_heatmaps
from mmpose.registry import MODELS as MMPOSE_MODELS
from mmpose.utils.tensor_utils import to_numpy
from mmpose.utils.typing import ConfigType, Predictions, SampleList
from torch import Tensor, nn

from mmpose_pretext.models.layers.soft_argmax import (
    expected_voxels,
    marginals,
    probability_volumes,
)
from mmpose_pretext.registry import MODELS


@MODELS.register_module()
class IntegralPose3DHead(HeatmapHead):
    """Regress keypoints in 3D as the expected voxel of a volume.

    Deconvolutions as :class:`mmpose.models.HeatmapHead` has them, whose checkpoints
    fit but for the last layer; a 1x1 convolution with K * D channels; and the soft
    argmax over the volume (Sun et al., *Integral Human Pose Regression*, 2018, arXiv
    1711.08229).

    With ``root_depth``, global average pooling of the backbone's features and a linear
    layer predict the logarithm of the root's depth, divided by the depth at which a
    person of 2 m fills the crop. This is the correction factor of RootNet (Moon et
    al., 2019, arXiv 1907.11346), as a branch of the same network, and of the logarithm:
    our reconstruction. It needs intrinsics; without it the root's depth must come from
    elsewhere.

    Args:
        in_channels: Channels of the backbone's last feature map.
        num_keypoints: Number K of keypoints.
        root_depth: Whether to predict the root's depth.
        loss: Config of the loss of the coordinates, in voxels: one of MMPose's, with
            ``use_target_weight``.
        root_depth_loss: Config of the loss of the depth's logarithm, likewise.
        marginal_loss: Config of a loss of the volumes' marginals on top, such as
            :class:`mmpose_pretext.MarginalHeatmapLoss`; short trainings from random
            weights need it.
        decoder: The codec, :class:`mmpose_pretext.IntegralPose3D`.
        **kwargs: See :class:`mmpose.models.HeatmapHead`: ``deconv_out_channels``, ...

    Raises:
        ValueError: If there is no decoder; in :meth:`forward`, if the feature map does
            not give volumes of the codec's size.
    """

    def __init__(
        self,
        in_channels: int,
        num_keypoints: int,
        root_depth: bool = False,
        loss: ConfigType = dict(type='L1Loss', use_target_weight=True),  # noqa: B006
        root_depth_loss: ConfigType = dict(type='L1Loss', use_target_weight=True),  # noqa: B006
        marginal_loss: ConfigType | None = None,
        decoder: ConfigType | None = None,
        **kwargs,
    ) -> None:
        if decoder is None:
            raise ValueError(
                'IntegralPose3DHead needs decoder, the config of its codec '
                'mmpose_pretext.IntegralPose3D: it has the size of the volume'
            )
        depth = decoder['heatmap_size'][2]
        super().__init__(
            in_channels=in_channels,
            out_channels=num_keypoints * depth,
            loss=loss,
            decoder=decoder,
            **kwargs,
        )
        self.num_keypoints = num_keypoints
        self.root_layer = nn.Linear(in_channels, 1) if root_depth else None
        self.root_depth_loss = (
            MMPOSE_MODELS.build(root_depth_loss) if root_depth else None
        )
        self.marginal_loss = None
        if marginal_loss is not None:
            self.marginal_loss = MMPOSE_MODELS.build(marginal_loss)

    @property
    def predicts_root_depth(self) -> bool:
        """Whether predictions have the depth of the root."""
        return self.root_layer is not None

    def forward(self, feats: Sequence[Tensor]) -> tuple[Tensor, Tensor | None]:
        """Compute volumes and the depth of the root.

        Args:
            feats: Feature maps of the backbone, the last of shape (B, C, h, w).

        Returns:
            volumes: Shape (B, K, D, H, W), before the softmax.
            root_depths: Shape (B, 1), as the codec encodes it, or None.
        """
        volumes = super().forward(feats)
        depth = self.decoder.heatmap_size[2]
        volumes = volumes.unflatten(1, (self.num_keypoints, depth))
        size = tuple(volumes.shape[:1:-1])
        if size != self.decoder.heatmap_size:
            raise ValueError(
                f'the head makes volumes of {size} voxels (W, H, D), but heatmap_size '
                f'of its decoder is {self.decoder.heatmap_size}'
            )
        if self.root_layer is None:
            return volumes, None
        return volumes, self.root_layer(feats[-1].mean(dim=(2, 3)))

    def loss(
        self,
        feats: Sequence[Tensor],
        batch_data_samples: SampleList,
        train_cfg: ConfigType | None = None,
    ) -> dict[str, Tensor]:
        """Compute the losses of a batch.

        Args:
            feats: Feature maps of the backbone.
            batch_data_samples: B samples, as :class:`mmpose_pretext.IntegralPose3D`
                encodes them.
            train_cfg: Not used.

        Returns:
            ``loss_kpt``, the mean over the batch's coordinates, where unlabelled ones
            have 0; with ``marginal_loss`` also ``loss_marginal``, and with
            ``root_depth`` also ``loss_root_depth``.
        """
        volumes, root_depths = self(feats)
        labels = [sample.gt_instance_labels for sample in batch_data_samples]
        places = marginals(probability_volumes(volumes))
        target = torch.cat([label.keypoint_labels for label in labels])
        weight = torch.cat([label.keypoint_weights for label in labels])
        losses = dict(
            loss_kpt=self.loss_module(expected_voxels(places), target, weight)
        )
        if self.marginal_loss is not None:
            losses['loss_marginal'] = self.marginal_loss(places, target, weight)
        if root_depths is not None:
            losses['loss_root_depth'] = self.root_depth_loss(
                root_depths.float(),
                torch.cat([label.root_depth_labels for label in labels]),
                torch.cat([label.root_depth_weights for label in labels]),
            )
        return losses

    def predict(
        self,
        feats: Sequence[Tensor] | list[Sequence[Tensor]],
        batch_data_samples: SampleList,
        test_cfg: ConfigType | None = None,
    ) -> Predictions:
        """Predict keypoints in the crop.

        Args:
            feats: Feature maps of the backbone, or with flip test two of them: of the
                images and of the flipped images.
            batch_data_samples: B samples.
            test_cfg: ``flip_test``: average the probabilities of both.

        Returns:
            B instances of one person each: ``keypoints`` of shape (1, K, 3), x and y
            in pixels of the input and z in mm behind the root; ``keypoint_scores`` of
            shape (1, K); and with ``root_depth`` also ``root_depths`` of shape (1,),
            the root's depth divided by the reference depth of its crop.
        """
        test_cfg = test_cfg or {}
        if test_cfg.get('flip_test', False):
            upright, flipped = (self(each) for each in feats)
            mirrored = flip_heatmaps(
                probability_volumes(flipped[0]),
                batch_data_samples[0].metainfo['flip_indices'],
                shift_heatmap=False,
            )
            probabilities = (probability_volumes(upright[0]) + mirrored) / 2
            roots = None
            if upright[1] is not None:
                roots = (upright[1] + flipped[1]) / 2
        else:
            volumes, roots = self(feats)
            probabilities = probability_volumes(volumes)
        voxels = to_numpy(expected_voxels(marginals(probabilities)))
        instances = []
        for index in range(len(voxels)):
            keypoints, scores = self.decoder.decode(voxels[index : index + 1])
            instance = InstanceData(keypoints=keypoints, keypoint_scores=scores)
            if roots is not None:
                instance.root_depths = to_numpy(roots[index].float().exp())
            instances.append(instance)
        return instances
