"""Pictures of what a location-free head makes of a person."""

from collections.abc import Sequence
from contextlib import ExitStack

import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from mmpose_pretext.models.heads import LocationFreeHead


@torch.no_grad()
def branch_maps(head: LocationFreeHead, feats: Sequence[Tensor]) -> dict[str, Tensor]:
    r"""Compute the maps of a head's branches, and the attention within them.

    What a head does not have is left out: the CAM baseline gives ``cam`` only.
    Attention is read from the same forward pass by hooks, which are removed at the end.

    Args:
        head: The head.
        feats: The backbone's feature maps, of shape (B, C_i, H_i, W_i).

    Returns:
        Maps of shape (B, K, H, W), [W, H] being ``heatmap_size``:

        - ``cam``: logits;
        - ``attention``: how much the prototype of each keypoint attends to each place
          in the last layer's cross-attention, the mean over the heads. A token's
          weight is spread over the pixels it covers, and the scales are summed, so
          that a map sums to about 1;
        - ``similarity``: what prototypes add to the logits;

        and ``guidance`` of shape (B, 1, H, W), in [0, 1]: what guides the context
        encoder, the same for all keypoints.
    """
    seen = {}

    def want_weights(module, args, kwargs):
        return args, kwargs | dict(need_weights=True)

    def keep_attention(module, args, output):
        seen['attention'] = output[1]

    def keep_guidance(module, args):
        seen['guidance'] = args[1]

    with ExitStack() as hooks:
        if head.context is not None and head.context.guidance != 'none':
            hook = head.context.register_forward_pre_hook(keep_guidance)
            hooks.enter_context(hook)
        if head.prototypes is not None and len(head.prototypes.layers):
            attention = head.prototypes.layers[-1].multihead_attn
            hook = attention.register_forward_pre_hook(want_weights, with_kwargs=True)
            hooks.enter_context(hook)
            hooks.enter_context(attention.register_forward_hook(keep_attention))
        maps = head.branches(feats)
    size = maps['cam'].shape[2:]
    if 'attention' in seen:
        scales = [feats[i].shape[2:] for i in head.context_indices]
        parts = seen['attention'].split([h * w for h, w in scales], dim=2)
        seen['attention'] = sum(
            F.interpolate(
                part.unflatten(2, scale) * (scale.numel() / size.numel()),
                size,
                mode='bilinear',
                align_corners=False,
            )
            for part, scale in zip(parts, scales, strict=True)
        )
    return {k: maps[k] for k in ('cam', 'similarity') if k in maps} | seen


def draw_activations(
    img: np.ndarray,
    maps: dict[str, np.ndarray],
    points: np.ndarray,
    presence: np.ndarray,
    keypoints: Sequence[int],
    metainfo: dict,
    guidance: np.ndarray | None = None,
) -> Figure:
    """Draw the maps of some keypoints, a row each, and the pose.

    The first column shows the crop, the pose (keypoints whose presence is at least
    0.5) and the guidance. Each map has a colour scale of its own; below it are its
    least and its greatest value.

    Args:
        img: Crop that the network sees, of shape (H, W, 3), RGB, uint8.
        maps: Maps of shape (K, h, w) by their title, a column each.
        points: Keypoints of shape (K, 2), in pixels of the crop.
        presence: Probabilities of presence of shape (K,).
        keypoints: Which keypoints get a row.
        metainfo: Parsed metainfo of the dataset.
        guidance: Shape (h, w), or None.

    Returns:
        The figure.
    """
    names = metainfo['keypoint_id2name']
    first = [('crop', None), ('pose', None)]
    if guidance is not None:
        first.append(('guidance', guidance))
    rows, columns = max(len(keypoints), len(first)), 1 + len(maps)
    height, width = img.shape[:2]
    figure = Figure(
        figsize=(2 * columns + 0.4, (2 * height / width + 0.3) * rows),
        layout='constrained',
    )
    axes = figure.subplots(rows, columns)
    for axis in axes.flat:
        axis.set_axis_off()
    for axis, (title, values) in zip(axes[:, 0], first, strict=False):
        _draw_map(axis, img, values)
        axis.set_title(title)
    _draw_pose(axes[1, 0], points, presence >= 0.5, metainfo)
    for column, (title, values) in enumerate(maps.items(), start=1):
        for row, keypoint in enumerate(keypoints):
            _draw_map(axes[row, column], img, values[keypoint])
        axes[0, column].set_title(title)
    for axis, keypoint in zip(axes[:, 1], keypoints, strict=False):
        axis.set_ylabel(f'{names[keypoint]}\npresence {presence[keypoint]:.2f}')
    return figure


def _draw_map(axis: Axes, img: np.ndarray, values: np.ndarray | None) -> None:
    extent = axis.imshow(img).get_extent()
    axis.set_axis_on()
    axis.set_xticks([])
    axis.set_yticks([])
    if values is not None:
        axis.imshow(
            values, cmap='turbo', alpha=0.5, extent=extent, interpolation='bilinear'
        )
        axis.set_xlabel(f'{values.min():.2g} to {values.max():.2g}', fontsize='small')


def _draw_pose(
    axis: Axes, points: np.ndarray, visible: np.ndarray, metainfo: dict
) -> None:
    axis.autoscale(False)
    links = zip(
        metainfo['skeleton_links'], metainfo['skeleton_link_colors'], strict=True
    )
    for link, color in links:
        if visible[list(link)].all():
            axis.plot(*points[list(link)].T, color=color / 255, linewidth=2)
    colors = metainfo['keypoint_colors'][visible] / 255
    axis.scatter(*points[visible].T, c=colors, s=16, zorder=2)
