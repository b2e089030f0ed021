"""The parts of :class:`mmpose_pretext.LocationFreeHead`."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmdet.models.layers import SinePositionalEncoding
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmpose_pretext.registry import MODELS

from .window_pooling import POOLINGS, pool_windows

GUIDANCES = ('bias', 'gate', 'none')
RELATIONS = ('skeleton', 'learned', 'combined', 'none')
_XAVIER = dict(type='Xavier', layer=['Conv2d', 'Linear'], distribution='uniform')


def _check(name: str, value: str, values: Sequence[str]) -> str:
    if value not in values:
        raise ValueError(f'{name} must be one of {tuple(values)}, but got {value!r}')
    return value


@MODELS.register_module()
class PartCAM(BaseModule):
    """Class activation maps of K keypoints, and their pooling.

    A convolution to K maps, so that a map is the evidence of each place for a keypoint
    (Zhou et al., arXiv 1512.04150; the pooling after it, not before). What a place sees
    is the receptive field of the features that are given, widened by the kernel:
    :class:`mmpose_pretext.LocationFreeHead` has ``cam_index`` to choose the features.

    Args:
        in_channels: Channels C of the features.
        num_keypoints: Number K of maps.
        kernel_size: Odd size of the convolution's kernel.
        pooling: See :func:`mmpose_pretext.models.layers.pool_windows`.
        topk: For ``pooling='topk'``.
        sharpness: For ``pooling='lse'``.
        init_cfg: See :class:`mmengine.model.BaseModule`. Default: weights of standard
            deviation 0.001, so that all places begin alike.

    Raises:
        ValueError: If the pooling is unknown, the kernel's size is even, the sharpness
            is not more than 0, or topk is less than 1.
    """

    def __init__(
        self,
        in_channels: int,
        num_keypoints: int,
        kernel_size: int = 1,
        pooling: str = 'topk',
        topk: int = 10,
        sharpness: float = 4.0,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg or dict(type='Normal', layer='Conv2d', std=0.001))
        if kernel_size % 2 == 0:
            raise ValueError(f'kernel_size must be odd, but got {kernel_size}')
        if sharpness <= 0:
            raise ValueError(f'sharpness must be more than 0, but got {sharpness}')
        if topk < 1:
            raise ValueError(f'topk must be at least 1, but got {topk}')
        self.pooling = _check('pooling', pooling, POOLINGS)
        self.topk = topk
        self.sharpness = sharpness
        self.conv = nn.Conv2d(
            in_channels, num_keypoints, kernel_size, padding=kernel_size // 2
        )

    def forward(self, features: Tensor) -> Tensor:
        """Compute the maps.

        Args:
            features: Shape (B, C, H, W).

        Returns:
            Logits of shape (B, K, H, W).
        """
        return self.conv(features)

    def pool(self, maps: Tensor, coverage: Tensor) -> tuple[Tensor, Tensor]:
        """Pool maps within windows.

        Args:
            maps: Logits of shape (B, K, H, W).
            coverage: Shape (B, M, H, W).

        Returns:
            Logarithms of the probabilities of presence and absence, (B, M, K).
        """
        return pool_windows(maps, coverage, self.pooling, self.topk, self.sharpness)


@MODELS.register_module()
class SpatialGuidedContextEncoder(BaseModule):
    """Transformer encoder over features of several scales, guided by a map.

    Features of each scale are projected to D channels, get sine positions and a learned
    vector of the scale, and become tokens of one sequence. The guidance S in [0, 1]
    says where the person's parts are:

    - ``'bias'``: every attention logit to a key gets beta log(S + eps) more, with a
      learned beta for each layer, which begins at 1;
    - ``'gate'``: the tokens x become x + x S before the first layer;
    - ``'none'``: a plain encoder.

    After Location-Free's Multi-scale Spatial-guided Context Encoder; where the guidance
    goes in is our reconstruction.

    Args:
        in_channels: Channels of the features of each scale.
        dims: D.
        num_layers: Number of encoder layers; 0 projects only.
        num_heads: Attention heads.
        feedforward_channels: Hidden channels of the feed-forward layers.
        guidance: ``'bias'``, ``'gate'`` or ``'none'``.
        dropout: Dropout within the layers.
        eps: Smallest guidance.
        init_cfg: See :class:`mmengine.model.BaseModule`.

    Raises:
        ValueError: If no scale is given or the guidance is unknown.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        dims: int = 128,
        num_layers: int = 1,
        num_heads: int = 4,
        feedforward_channels: int = 256,
        guidance: str = 'bias',
        dropout: float = 0.0,
        eps: float = 1e-3,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg or _XAVIER)
        if not in_channels:
            raise ValueError('in_channels must name the channels of at least one scale')
        self.guidance = _check('guidance', guidance, GUIDANCES)
        self.eps = eps
        self.projections = nn.ModuleList(nn.Conv2d(c, dims, 1) for c in in_channels)
        self.positions = SinePositionalEncoding(dims // 2, normalize=True)
        self.scales = nn.Parameter(torch.zeros(len(in_channels), dims))
        # With ReLU or GELU, torch's inference path would take the bias for a mask of
        # bools (seen in torch 2.11: NaN).
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                dims,
                num_heads,
                feedforward_channels,
                dropout,
                activation=F.silu,
                batch_first=True,
            )
            for _ in range(num_layers)
        )
        if guidance == 'bias' and num_layers:
            self.beta = nn.Parameter(torch.ones(num_layers))

    def forward(self, feats: Sequence[Tensor], guidance: Tensor) -> list[Tensor]:
        """Encode.

        Args:
            feats: Features of each scale, of shape (B, C_s, H_s, W_s).
            guidance: S, of shape (B, 1, H, W), in [0, 1].

        Returns:
            Encoded features of each scale, of shape (B, D, H_s, W_s).
        """
        tokens, weights = [], []
        for x, projection, scale in zip(
            feats, self.projections, self.scales, strict=True
        ):
            x = projection(x)
            x = x + self.positions(None, input=x).to(x) + scale[:, None, None]
            tokens.append(x.flatten(2).transpose(1, 2))
            weights.append(F.adaptive_max_pool2d(guidance, x.shape[2:]).flatten(1))
        sequence, weight = torch.cat(tokens, dim=1), torch.cat(weights, dim=1)
        if self.guidance == 'gate':
            sequence = sequence + sequence * weight[..., None]
        for index, layer in enumerate(self.layers):
            bias = None
            if self.guidance == 'bias':
                bias = (self.beta[index] * (weight + self.eps).log()).to(sequence)
            sequence = layer(sequence, src_key_padding_mask=bias)
        sizes = [x.shape[2] * x.shape[3] for x in feats]
        return [
            part.transpose(1, 2).unflatten(2, x.shape[2:])
            for part, x in zip(sequence.split(sizes, dim=1), feats, strict=True)
        ]


@MODELS.register_module()
class PosePrototypes(BaseModule):
    """One vector a keypoint, from its activation map, its neighbours and the image.

    A prototype is the mean of the features under the softmax of the keypoint's map,
    plus a learned vector of the keypoint. A transformer decoder layer relates the
    prototypes to one another (self-attention) and to the encoded image
    (cross-attention). The relation is

    - ``'skeleton'``: a prototype attends to itself and to its neighbours in the
      skeleton;
    - ``'learned'``: to all, as the image tells;
    - ``'combined'``: to all, and the logits of neighbours get a learned bias more;
    - ``'none'``: to itself only.

    After Location-Free's Relation-encoded Pose Prototype Generation; self-attention as
    the relation is our reconstruction.

    Args:
        num_keypoints: K.
        links: Pairs of indices of keypoints, the skeleton.
        dims: D.
        num_layers: Number of decoder layers; 0 relates nothing.
        num_heads: Attention heads.
        feedforward_channels: Hidden channels of the feed-forward layers.
        relation: As above.
        dropout: Dropout within the layers.
        init_cfg: See :class:`mmengine.model.BaseModule`.

    Raises:
        ValueError: If the relation is unknown, or it needs a skeleton and ``links`` is
            empty, or names an index that is no keypoint's.
    """

    def __init__(
        self,
        num_keypoints: int,
        links: Sequence[tuple[int, int]],
        dims: int = 128,
        num_layers: int = 1,
        num_heads: int = 4,
        feedforward_channels: int = 256,
        relation: str = 'combined',
        dropout: float = 0.0,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg or _XAVIER)
        self.relation = _check('relation', relation, RELATIONS)
        if relation in ('skeleton', 'combined') and not len(links):
            raise ValueError(
                f"relation={relation!r} needs a skeleton, but the dataset's metainfo "
                "has none (skeleton_info); add it there, or take relation='learned'"
            )
        adjacency = torch.eye(num_keypoints)
        for a, b in links:
            if not 0 <= min(a, b) <= max(a, b) < num_keypoints:
                raise ValueError(
                    f'links has {(a, b)}, but keypoints are 0 to {num_keypoints - 1}'
                )
            adjacency[a, b] = adjacency[b, a] = 1
        self.register_buffer('adjacency', adjacency, persistent=False)
        self.embeddings = nn.Parameter(torch.randn(num_keypoints, dims) * 0.02)
        if relation == 'combined' and num_layers:
            self.neighbour_bias = nn.Parameter(torch.ones(num_layers))
        self.layers = nn.ModuleList(
            nn.TransformerDecoderLayer(
                dims, num_heads, feedforward_channels, dropout, batch_first=True
            )
            for _ in range(num_layers)
        )

    def forward(self, features: Tensor, cam: Tensor, memory: Tensor) -> Tensor:
        """Compute the prototypes.

        Args:
            features: Shape (B, D, H, W).
            cam: Logits of shape (B, K, H, W).
            memory: The encoded image, of shape (B, L, D).

        Returns:
            Shape (B, K, D).
        """
        attention = cam.flatten(2).softmax(dim=2)
        prototypes = attention @ features.flatten(2).transpose(1, 2) + self.embeddings
        for index, layer in enumerate(self.layers):
            prototypes = layer(prototypes, memory, tgt_mask=self._mask(index))
        return prototypes

    def _mask(self, layer: int) -> Tensor | None:
        """Return what is added to the logits of self-attention, shape (K, K)."""
        if self.relation == 'learned':
            return None
        if self.relation == 'combined':
            return self.neighbour_bias[layer] * self.adjacency
        seen = self.adjacency
        if self.relation == 'none':
            seen = torch.eye(len(seen), device=seen.device)
        return torch.zeros_like(seen).masked_fill(seen == 0, float('-inf'))
