"""Classify a whole crop, for pretexts whose label is one of N classes."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.structures import InstanceData
from mmpose.models.heads import BaseHead
from mmpose.utils.tensor_utils import to_numpy
from mmpose.utils.typing import ConfigType, InstanceList, OptMultiConfig, SampleList
from torch import Tensor, nn

from mmpose_pretext.registry import MODELS


@MODELS.register_module()
class PretextClassificationHead(BaseHead):
    """Predict a pretext's label from the last feature map.

    Global average pooling and a linear layer, trained by cross entropy, on
    ``gt_instance_labels.pretext_labels`` of shape (1,). It predicts no keypoint.

    Args:
        in_channels: Channels of the backbone's last feature map.
        num_classes: Number N of classes: ``num_permutations`` of
            :class:`mmpose_pretext.JigsawShuffle`, or 4 for
            :class:`mmpose_pretext.RandomQuarterTurn`.
        init_cfg: See :class:`mmengine.model.BaseModule`. Default: weights of
            standard deviation 0.01.

    Raises:
        ValueError: If ``num_classes`` is below 2.
    """

    def __init__(
        self, in_channels: int, num_classes: int, init_cfg: OptMultiConfig = None
    ) -> None:
        if num_classes < 2:
            raise ValueError(f'num_classes must be 2 or more, but got {num_classes!r}')
        super().__init__(
            init_cfg or dict(type='Normal', layer=['Linear'], std=0.01, bias=0)
        )
        self.num_classes = num_classes
        self.fc = nn.Linear(in_channels, num_classes)

    def forward(self, feats: Sequence[Tensor]) -> Tensor:
        """Classify.

        Args:
            feats: Feature maps of shape (B, C, H, W); the last one is used.

        Returns:
            Logits of shape (B, N).
        """
        return self.fc(feats[-1].mean(dim=(2, 3)))

    def loss(
        self,
        feats: Sequence[Tensor],
        batch_data_samples: SampleList,
        train_cfg: ConfigType | None = None,
    ) -> dict[str, Tensor]:
        """Compute the cross entropy, and the accuracy on the batch.

        Args:
            feats: Feature maps of shape (B, C, H, W).
            batch_data_samples: B samples with their labels.
            train_cfg: Not used.

        Returns:
            ``loss_pretext`` in nats, and ``acc_pretext`` in [0, 1].
        """
        logits = self(feats)
        labels = torch.cat(
            [sample.gt_instance_labels.pretext_labels for sample in batch_data_samples]
        )
        accuracy = (logits.argmax(dim=1) == labels).float().mean()
        return dict(loss_pretext=F.cross_entropy(logits, labels), acc_pretext=accuracy)

    def predict(
        self,
        feats: Sequence[Tensor],
        batch_data_samples: SampleList,
        test_cfg: ConfigType | None = None,
    ) -> InstanceList:
        """Predict labels.

        Args:
            feats: Feature maps of shape (B, C, H, W).
            batch_data_samples: Not used.
            test_cfg: The model's; ``flip_test`` must be off.

        Returns:
            B instances with ``labels`` of shape (1,), ``label_scores`` of shape
            (1, N), the probabilities, and no keypoints: ``keypoints`` of shape
            (1, 0, 2) and ``keypoint_scores`` of shape (1, 0).

        Raises:
            ValueError: If ``flip_test`` is on.
        """
        if test_cfg and test_cfg.get('flip_test'):
            raise ValueError(
                'test_cfg.flip_test=True needs keypoints, and this head has none; set '
                'model.test_cfg=dict(flip_test=False)'
            )
        scores = to_numpy(self(feats).softmax(dim=1))
        return [
            InstanceData(
                keypoints=np.zeros((1, 0, 2), dtype=np.float32),
                keypoint_scores=np.zeros((1, 0), dtype=np.float32),
                labels=score.argmax(keepdims=True),
                label_scores=score[None],
            )
            for score in scores
        ]
