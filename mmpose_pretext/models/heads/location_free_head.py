"""Keypoints from presence labels."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmcv.cnn import ConvModule
from mmengine.structures import PixelData
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.evaluation.functional import pose_pck_accuracy
from mmpose.models.heads import HeatmapHead
from mmpose.models.utils.tta import flip_heatmaps
from mmpose.utils.tensor_utils import to_numpy
from mmpose.utils.typing import ConfigType, Predictions, SampleList
from torch import Tensor, nn
from torchvision.transforms.functional import gaussian_blur

from mmpose_pretext.models.layers import log_distribution, window_coverage
from mmpose_pretext.registry import MODELS

BRANCHES = ('cam', 'prototype', 'location')


@MODELS.register_module()
class LocationFreeHead(HeatmapHead):
    r"""Locate keypoints, taught which keypoints are in which region of a person.

    Deconvolutions bring one of the backbone's features to the heatmap's size, as in
    :class:`mmpose.models.HeatmapHead`. From there:

    1. **CAM**: a convolution gives activation maps, which regions pool to presence.
       Without the parts below they are the answer: the CAM baseline.
    2. **Context** (``context``): an encoder over two or more scales of the backbone,
       guided by the activation maps. Its finest scale is added to the features.
    3. **Prototypes** (``prototypes``): a vector a keypoint; its scalar product with the
       features of each place is added to the activation map.

    The result is the *location map*. Losses: presence in regions, on the CAM, on the
    location map, and of the whole box on the prototypes (deep supervision,
    ``branch_weights``); and the cross entropy of places, for samples that have some.
    A prediction's score is the probability of presence times the height of the peak.

    Args:
        in_channels: Channels of every feature map that the backbone gives.
        metainfo: Metainfo of the dataset, as ``dict(from_file=...)``: it says how many
            keypoints there are and what the skeleton is.
        location_index: Which feature map the deconvolutions take.
        cam: Changes of :class:`mmpose_pretext.PartCAM`, such as its pooling, which
            the location map shares.
        cam_index: Feature map that the CAM takes, resized to the heatmap: earlier ones
            have a smaller receptive field. Default: what the deconvolutions give.
        context: Changes of :class:`mmpose_pretext.SpatialGuidedContextEncoder`, or None
            to leave it out.
        context_indices: Which feature maps the encoder takes.
        prototypes: Changes of :class:`mmpose_pretext.PosePrototypes`, or None.
        dims: Channels D of encoder and prototypes.
        presence_loss: Config of a loss such as :class:`mmpose_pretext.PresenceLoss`, or
            None for training on places only.
        window_loss: Config of a loss that is called with maps, windows and labels, for
            the presence in regions of CAM and location map in place of pooling and
            ``presence_loss``: :class:`mmpose_pretext.JointWindowLoss`. Only with the
            pooling ``'mass'``, and not used where ``presence_loss`` is None.
        place_loss: Config of a loss of places, or None to ignore places.
        branch_weights: Weights of the presence losses of ``cam``, ``prototype`` and
            ``location``.
        absent_outside_box: Whether the crop around the box is one more region, where
            what is present in the box is absent: a keypoint has one place, so nobody
            has to be asked. Maps that are pooled within regions are free around the
            box otherwise, and can have their peaks there. Default: True, unless the
            pooling is ``'mass'``, where mass in the box is none around it. Not used
            with a ``window_loss``.
        decoder: The codec, :class:`mmpose_pretext.PresenceLabel`.
        **kwargs: See :class:`mmpose.models.HeatmapHead`: ``deconv_out_channels``, ...

    Raises:
        ValueError: If an index names a feature map that the backbone does not give, a
            branch is unknown, both losses are None, nothing would train the location
            maps, prototypes are wanted without a context, ``cam_index`` without context
            and decoder, ``window_loss`` with another pooling than ``'mass'``, or as the
            parts raise.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        metainfo: dict,
        location_index: int = -1,
        cam: dict | None = None,
        cam_index: int | None = None,
        context: dict | None = None,
        context_indices: Sequence[int] = (),
        prototypes: dict | None = None,
        dims: int = 128,
        presence_loss: ConfigType | None = dict(type='mmpose_pretext.PresenceLoss'),  # noqa: B006
        window_loss: ConfigType | None = None,
        place_loss: ConfigType | None = dict(  # noqa: B006
            type='mmpose_pretext.PlaceCrossEntropyLoss'
        ),
        branch_weights: dict[str, float] | None = None,
        absent_outside_box: bool | None = None,
        decoder: ConfigType | None = None,
        **kwargs,
    ) -> None:
        channels = list(in_channels)
        indices = dict(location_index=location_index, cam_index=cam_index or 0)
        indices.update(
            {f'context_indices[{i}]': v for i, v in enumerate(context_indices)}
        )
        for name, index in indices.items():
            if not -len(channels) <= index < len(channels):
                raise ValueError(
                    f'{name}={index}, but the backbone gives {len(channels)} feature '
                    f'maps (in_channels={channels}); its out_indices, or '
                    'multiscale_output of HRNet, can give more'
                )
        if prototypes is not None and context is None:
            raise ValueError(
                'prototypes need the tokens of a context; context=dict(num_layers=0) '
                'gives them without an encoder'
            )
        if context is not None and not context_indices:
            raise ValueError('context needs context_indices, the feature maps to take')
        if presence_loss is None and place_loss is None:
            raise ValueError('presence_loss and place_loss cannot both be None')
        unknown = set(branch_weights or {}) - set(BRANCHES)
        if unknown:
            raise ValueError(
                f'branch_weights has {sorted(unknown)}, but branches are {BRANCHES}'
            )
        weights = dict.fromkeys(BRANCHES, 1.0) | (branch_weights or {})
        trained_by = ['location'] if prototypes is None else ['location', 'prototype']
        if place_loss is None and not any(weights[name] for name in trained_by):
            raise ValueError(
                f'branch_weights has {"=0 and ".join(trained_by)}=0 and place_loss is '
                'None, so nothing would train all of the maps that the poses are taken '
                'from'
            )
        coarse = cam_index is not None and context is None
        if coarse and decoder is None:
            raise ValueError(
                f'cam_index={cam_index} without a context needs the decoder, to whose '
                'heatmap_size its maps are enlarged'
            )
        try:
            info = parse_pose_metainfo(dict(metainfo))
        except (AssertionError, TypeError, ValueError) as error:
            raise ValueError(
                f'metainfo={metainfo!r} must be that of a dataset, with dataset_name, '
                'keypoint_info and skeleton_info (which may be an empty dict)'
            ) from error
        num_keypoints = info['num_keypoints']
        super().__init__(
            channels[location_index],
            num_keypoints,
            final_layer=None,
            decoder=decoder,
            **kwargs,
        )
        self.num_keypoints = num_keypoints
        self.feature_channels = channels
        self.location_index = location_index
        self.cam_index = cam_index
        self.context_indices = tuple(context_indices)
        self.branch_weights = weights
        del self.loss_module
        self.presence_loss = presence_loss and MODELS.build(presence_loss)
        self.place_loss = place_loss and MODELS.build(place_loss)

        if coarse:  # nothing would be made of them: DDP waits for all parameters
            self.conv_layers = self.deconv_layers = nn.Identity()
        decoded = self._decoded_channels(channels[location_index], kwargs)
        self.cam = MODELS.build(
            dict(type='mmpose_pretext.PartCAM', num_keypoints=num_keypoints)
            | dict(in_channels=decoded if cam_index is None else channels[cam_index])
            | (cam or {})
        )
        if window_loss is not None:
            self._needs_mass('window_loss')
        self.window_loss = window_loss and MODELS.build(window_loss)
        if absent_outside_box is None:
            absent_outside_box = self.cam.pooling != 'mass'
        self.absent_outside_box = absent_outside_box
        self.context = self.prototypes = self.classifier = None
        if context is not None:
            self.context = MODELS.build(
                dict(type='mmpose_pretext.SpatialGuidedContextEncoder', dims=dims)
                | dict(in_channels=[channels[i] for i in context_indices])
                | context
            )
            self.projection = ConvModule(
                decoded, dims, 1, norm_cfg=dict(type='BN'), act_cfg=None
            )
        if prototypes is not None:
            self.prototypes = MODELS.build(
                dict(type='mmpose_pretext.PosePrototypes', dims=dims)
                | dict(num_keypoints=num_keypoints, links=info['skeleton_links'])
                | prototypes
            )
            # not without its loss: DDP waits for the gradient of every parameter
            if self.presence_loss is not None and self.branch_weights['prototype']:
                self.classifier = nn.Parameter(torch.zeros(num_keypoints, dims))
                self.classifier_bias = nn.Parameter(torch.zeros(num_keypoints))
        elif context is not None:
            self.context_maps = nn.Conv2d(dims, num_keypoints, 1)

    @staticmethod
    def _decoded_channels(channels: int, kwargs: dict) -> int:
        """Return the channels of what the deconvolutions give."""
        deconv = kwargs.get('deconv_out_channels', (256, 256, 256))
        conv = kwargs.get('conv_out_channels')
        return (conv or deconv or (channels,))[-1]

    def _needs_mass(self, name: str) -> None:
        if self.cam.pooling != 'mass':
            raise ValueError(
                f'{name} takes the maps as distributions over places, so it needs '
                f"cam=dict(pooling='mass'), but pooling is {self.cam.pooling!r}"
            )

    def branches(self, feats: Sequence[Tensor]) -> dict[str, Tensor]:
        """Compute what all branches give.

        Args:
            feats: The backbone's feature maps, of shape (B, C_i, H_i, W_i).

        Returns:
            ``cam``, ``location`` and, with prototypes, ``similarity``: logits of
            shape (B, K, H, W), [W, H] being ``heatmap_size``; with prototypes and
            their loss ``prototype``: logits of presence in the box, of shape (B, K).

        Raises:
            ValueError: If the backbone gives another number of feature maps than
                ``in_channels`` has.
        """
        if len(feats) != len(self.feature_channels):
            raise ValueError(
                f'in_channels={self.feature_channels} names '
                f'{len(self.feature_channels)} feature maps, but the backbone gives '
                f'{len(feats)}; set its out_indices, or multiscale_output of HRNet'
            )
        x = self.conv_layers(self.deconv_layers(feats[self.location_index]))
        if self.cam_index is None:
            cam = self.cam(x)
        else:
            size = x.shape[2:]
            if self.context is None:
                size = self.decoder.heatmap_size[::-1]
            cam = self.cam(feats[self.cam_index])
            cam = F.interpolate(cam, size, mode='bilinear', align_corners=False)
        result = dict(cam=cam, location=cam)
        if self.context is None:
            return result
        guidance = cam.detach().sigmoid().amax(dim=1, keepdim=True)
        encoded = self.context([feats[i] for i in self.context_indices], guidance)
        sizes = [e.shape[2] * e.shape[3] for e in encoded]
        finest = encoded[sizes.index(max(sizes))]
        x = self.projection(x) + F.interpolate(
            finest, x.shape[2:], mode='bilinear', align_corners=False
        )
        if self.prototypes is None:
            result['location'] = cam + self.context_maps(x)
            return result
        memory = torch.cat([e.flatten(2).transpose(1, 2) for e in encoded], dim=1)
        prototypes = self.prototypes(x, cam, memory)
        similarity = torch.einsum('bkd,bdhw->bkhw', prototypes, x)
        result['similarity'] = similarity / math.sqrt(x.shape[1])
        result['location'] = cam + result['similarity']
        if self.classifier is not None:
            logits = (prototypes * self.classifier).sum(dim=2) + self.classifier_bias
            result['prototype'] = logits
        return result

    def _check_size(self, maps: Tensor) -> None:
        found = tuple(maps.shape[:1:-1])
        if self.decoder is not None and found != tuple(self.decoder.heatmap_size):
            raise ValueError(
                f'maps have the size {found}, but the codec has heatmap_size='
                f'{tuple(self.decoder.heatmap_size)}; change it, or '
                'deconv_out_channels or location_index of the head'
            )

    def forward(self, feats: Sequence[Tensor]) -> Tensor:
        """Compute the location maps.

        Args:
            feats: The backbone's feature maps.

        Returns:
            Logits of shape (B, K, H, W).
        """
        return self.branches(feats)['location']

    def loss(
        self,
        feats: Sequence[Tensor],
        batch_data_samples: SampleList,
        train_cfg: ConfigType | None = None,
    ) -> dict[str, Tensor]:
        """Compute the losses.

        Args:
            feats: The backbone's feature maps.
            batch_data_samples: B samples, as :class:`mmpose_pretext.PresenceLabel`
                encodes them.
            train_cfg: ``compute_acc`` (default True) adds ``acc_pose``.

        Returns:
            ``loss_presence_cam``, ``loss_presence_location`` and
            ``loss_presence_prototype``, as far as the head has them; ``loss_kpt`` of
            the places; ``acc_pose``.

        Raises:
            ValueError: If presence labels are wanted and the samples have none, or the
                maps have another size than the codec's heatmaps.
        """
        result = self.branches(feats)
        self._check_size(result['location'])
        losses = {}
        if self.presence_loss is not None:
            losses.update(self._presence_losses(result, batch_data_samples))
        if self.place_loss is not None:
            heatmaps = torch.stack([d.gt_fields.heatmaps for d in batch_data_samples])
            weights = torch.cat(
                [d.gt_instance_labels.keypoint_weights for d in batch_data_samples]
            )
            losses['loss_kpt'] = self.place_loss(result['location'], heatmaps, weights)
            if (train_cfg or {}).get('compute_acc', True):
                _, accuracy, _ = pose_pck_accuracy(
                    to_numpy(result['location'].detach().float().sigmoid()),
                    to_numpy(heatmaps),
                    to_numpy(weights) > 0,
                )
                losses['acc_pose'] = heatmaps.new_tensor(accuracy)
        return losses

    def _presence_losses(
        self, result: dict[str, Tensor], samples: SampleList
    ) -> dict[str, Tensor]:
        labels, windows = _presence_labels(samples)
        if self.window_loss is None:
            regions = window_coverage(windows, result['cam'].shape[2:])
            answers = labels
            if self.absent_outside_box:
                regions, answers = _with_outside(regions, answers)
        losses = {}
        for name in ('cam', 'location'):
            weight = self.branch_weights[name]
            if weight and not (name == 'cam' and result['location'] is result['cam']):
                if self.window_loss is not None:
                    loss = self.window_loss(result[name], windows, labels)
                else:
                    pooled = self.cam.pool(result[name], regions)
                    loss = self.presence_loss(*pooled, answers)
                losses[name] = weight * loss
        if 'prototype' in result:
            logits = result['prototype'].float()
            losses['prototype'] = self.branch_weights['prototype'] * self.presence_loss(
                F.logsigmoid(logits), F.logsigmoid(-logits), labels[:, 0]
            )
        return {f'loss_presence_{name}': loss for name, loss in losses.items()}

    def predict(
        self,
        feats: Sequence[Tensor] | list[Sequence[Tensor]],
        batch_data_samples: SampleList,
        test_cfg: ConfigType | None = None,
    ) -> Predictions:
        """Predict keypoints and their presence.

        Args:
            feats: The backbone's feature maps, or with flip test two of them: of the
                images and of the flipped images.
            batch_data_samples: B samples. Where they have presence labels, as in a
                validation of presence, presence is predicted for their regions.
            test_cfg: ``flip_test``, ``shift_heatmap`` and ``output_heatmaps``, as for
                :class:`mmpose.models.HeatmapHead`; ``blur``, for the pooling
                ``'mass'``: look for the place with most of the mass around it, not
                for the highest pixel (see :meth:`heatmaps`).

        Returns:
            B instances with ``keypoints`` of shape (1, K, 2) in pixels of the input,
            ``keypoint_scores`` of shape (1, K), and ``presence`` of shape (1, M, K):
            probabilities for M regions (without labels: M = 1, the whole crop). With
            ``output_heatmaps`` also B fields with ``heatmaps``.

        Raises:
            ValueError: If the maps have another size than the codec's heatmaps, or
                ``blur`` is wanted with another pooling than ``'mass'``.
        """
        test_cfg = test_cfg or {}
        if test_cfg.get('flip_test', False):
            upright, flipped = feats
            maps = flip_heatmaps(
                self(flipped),
                flip_mode='heatmap',
                flip_indices=batch_data_samples[0].metainfo['flip_indices'],
                shift_heatmap=test_cfg.get('shift_heatmap', False),
            )
            maps = (self(upright) + maps) / 2
        else:
            maps = self(feats)
        self._check_size(maps)
        whole = maps.new_ones((len(maps), 1, *maps.shape[2:]))
        in_crop = self.cam.pool(maps, whole)[0].exp()
        blur = test_cfg.get('blur', False)
        heatmaps = self.heatmaps(maps, in_crop[:, 0], blur)
        instances = self.decode(heatmaps)
        presence = in_crop
        if 'presence_windows' in batch_data_samples[0].get('gt_instance_labels', {}):
            coverage = window_coverage(
                _presence_labels(batch_data_samples)[1], maps.shape[2:]
            )
            presence = self.cam.pool(maps, coverage)[0].exp()
        for sample, instance, probabilities in zip(
            batch_data_samples, instances, presence, strict=True
        ):
            labels = sample.get('gt_instance_labels', {})
            if 'presence_windows' in labels:  # without the padding
                probabilities = probabilities[: labels.presence_windows.shape[1]]
            instance.presence = to_numpy(probabilities[None])
            instance.keypoint_scores = instance.keypoint_scores.clip(max=1)
        if test_cfg.get('output_heatmaps', False):
            return instances, [PixelData(heatmaps=h) for h in heatmaps.detach()]
        return instances

    def heatmaps(self, maps: Tensor, presence: Tensor, blur: bool = False) -> Tensor:
        r"""Return presence times peak, for each place.

        Args:
            maps: Logits of shape (B, K, H, W).
            presence: Probabilities of presence in the crop, of shape (B, K).
            blur: Whether the distribution of ``pooling='mass'`` is convolved with a
                Gaussian of the codec's :math:`\sigma`. The result is, but for a
                factor, the expected value of the codec's heatmap, which is what a
                stock head learns by its mean square.

        Returns:
            Shape (B, K, H, W). With ``pooling='mass'``: the distribution, which
            includes presence, times :math:`2 \pi \sigma^2` (with ``blur``
            :math:`4 \pi \sigma^2`), so that a Gaussian of the codec's :math:`\sigma`
            has the peak 1. Else the sigmoid times presence.

        Raises:
            ValueError: If ``blur`` is wanted with another pooling, or the head has no
                decoder to take :math:`\sigma` from.
        """
        if blur:
            self._needs_mass('test_cfg.blur')
        if self.cam.pooling == 'mass':
            if self.decoder is None:
                raise ValueError('the head needs a decoder to predict, for its sigma')
            sigma = self.decoder.sigma
            heatmaps = log_distribution(maps).exp() * (2 * math.pi * sigma**2)
            return 2 * _blur(heatmaps, sigma) if blur else heatmaps
        return maps.float().sigmoid() * presence[:, :, None, None]


def _blur(maps: Tensor, sigma: float) -> Tensor:
    """Convolve maps of shape (B, K, H, W) with a Gaussian, 0 outside of the maps."""
    radius = math.ceil(4 * sigma)
    padded = F.pad(maps, [radius] * 4)  # gaussian_blur would reflect at the border
    with torch.autocast(maps.device.type, enabled=False):  # small numbers matter
        blurred = gaussian_blur(padded, 2 * radius + 1, sigma)
    return blurred[..., radius:-radius, radius:-radius]


def _presence_labels(samples: SampleList) -> tuple[Tensor, Tensor]:
    """Return labels of shape (B, M, K) and windows of shape (B, M, 4, 2)."""
    labels = [sample.gt_instance_labels for sample in samples]
    if any('presence' not in label for label in labels):
        raise ValueError(
            'a sample has no presence labels: the pipeline needs '
            'mmpose_pretext.PresenceWindows (or the dataset '
            'mmpose_pretext.PresenceDataset), and GenerateTarget with the codec '
            'mmpose_pretext.PresenceLabel; for training on places only set '
            'presence_loss=None'
        )
    return (
        _pad([label.presence for label in labels], -1),
        _pad([label.presence_windows for label in labels], 0),
    )


def _with_outside(coverage: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Add the crop around the box, the first region: present there, absent here."""
    outside = 1 - coverage[:, :1]
    some = (outside.sum(dim=(2, 3)) > 1)[..., None]
    absent = torch.where((labels[:, :1] == 1) & some, 0.0, -1.0)
    return torch.cat([coverage, outside], 1), torch.cat([labels, absent], 1)


def _pad(parts: list[Tensor], value: float) -> Tensor:
    """Join tensors of shape (1, M, ...), whose M may differ."""
    most = max(part.shape[1] for part in parts)
    padded = []
    for part in parts:
        more = part.new_full((1, most - part.shape[1], *part.shape[2:]), value)
        padded.append(torch.cat([part, more], dim=1))
    return torch.cat(padded)
