"""Which of two people of an image is farther away, beside heatmaps of all."""

from collections.abc import Sequence

import numpy as np
from mmpose.codecs import MSRAHeatmap
from mmpose.codecs.utils import generate_gaussian_heatmaps

from mmpose_pretext.registry import KEYPOINT_CODECS


@KEYPOINT_CODECS.register_module()
class RelativeDepthLabel(MSRAHeatmap):
    """Represent the N people of an image by heatmaps, points and ordered pairs.

    The image is one "instance" of the labels, so that the stock
    :class:`mmpose.models.HeatmapHead` can train on the heatmaps, too. Keypoints are
    taken to be in the input, except after ``BottomupResize``, which moves the image
    only: then they are moved here. Decoding is that of
    :class:`mmpose.codecs.MSRAHeatmap`, the highest peak of each keypoint; nothing
    groups the peaks of several people.

    Encoded:

        - heatmaps (np.ndarray): Shape (K, H, W), where [W, H] is ``heatmap_size``: the
          largest of the people's Gaussians.
        - keypoint_weights (np.ndarray): Shape (1, K), ``keypoints_labelled``.
        - depth_points (np.ndarray): Shape (1, N, K, 2), the keypoints in pixels of the
          heatmap, whose first pixel has its centre at 0. Here the depth is read.
        - depth_points_visible (np.ndarray): Boolean, of shape (1, N, K): visible and
          within the input. Points that are not are at 0.
        - depth_pairs (np.ndarray): int64 of shape (1, P, 2), people i and j.
        - depth_relations (np.ndarray): Shape (1, P): 1 if i is farther than j, -1 if
          closer.
        - depth_confidences (np.ndarray): Shape (1, P).
        - depth_limb_order (np.ndarray): Shape (1, N, K): c if a keypoint is farther
          than the same one of the other side, -c if closer, c the confidence; 0 without
          a label, or where one of the two is not visible within the input.

    Pairs with a person of whom no point is visible within the input are left out.
    For metrics, ``depths`` of shape (N,) and ``keypoint_depths`` of shape (N, K), in
    metres, go to the sample's ``gt_instances`` if the dataset gives them.

    Args:
        input_size: Size of the network's input [w, h] in pixels.
        heatmap_size: Size of the heatmaps [W, H] in pixels.
        sigma: Standard deviation of the Gaussian, in heatmap pixels.

    Raises:
        ValueError: In :meth:`encode`, if there are no people, the input has another
            size, a visible keypoint is not a finite number, the labels do not fit the
            people or each other, or ``limb_order`` comes without ``flip_indices``.
    """

    auxiliary_encode_keys = {
        'depth_pairs', 'depth_relations', 'depth_confidences', 'keypoints_labelled',
        'limb_order', 'flip', 'flip_indices', 'input_size', 'input_center',
        'input_scale', 'img_path',
    }  # fmt: skip
    # these replace the tables of PackPoseInputs
    instance_mapping_table = dict(
        bbox='bboxes',
        bbox_score='bbox_scores',
        keypoints='keypoints',
        keypoints_visible='keypoints_visible',
        depths='depths',
        keypoint_depths='keypoint_depths',
    )
    field_mapping_table = dict(heatmaps='heatmaps', heatmap_mask='heatmap_mask')
    label_mapping_table = dict(
        keypoint_weights='keypoint_weights',
        depth_points='depth_points',
        depth_points_visible='depth_points_visible',
        depth_pairs='depth_pairs',
        depth_relations='depth_relations',
        depth_confidences='depth_confidences',
        depth_limb_order='depth_limb_order',
    )

    def __init__(
        self,
        input_size: tuple[int, int],
        heatmap_size: tuple[int, int],
        sigma: float,
    ) -> None:
        super().__init__(input_size, heatmap_size, sigma)

    def encode(
        self,
        keypoints: np.ndarray,
        keypoints_visible: np.ndarray | None = None,
        depth_pairs: np.ndarray | None = None,
        depth_relations: np.ndarray | None = None,
        depth_confidences: np.ndarray | None = None,
        keypoints_labelled: np.ndarray | None = None,
        limb_order: np.ndarray | None = None,
        flip: bool = False,
        flip_indices: Sequence[int] | None = None,
        input_size: Sequence[int] | None = None,
        input_center: np.ndarray | None = None,
        input_scale: np.ndarray | None = None,
        img_path: str | None = None,
    ) -> dict[str, np.ndarray]:
        """Encode the people of an image.

        Args:
            keypoints: Shape (N, K, 2), in pixels of the input, or of the image if
                there is an ``input_center``.
            keypoints_visible: Shape (N, K). Default: all are.
            depth_pairs: Shape (P, 2). Default: no pairs.
            depth_relations: Shape (P,), 1 or -1.
            depth_confidences: Shape (P,). Default: all 1.
            keypoints_labelled: Shape (K,), 1 where the image's annotators labelled
                that keypoint at all. A flip leaves it, so left and right must be
                equal. Default: all are.
            limb_order: Shape (N, K), of :class:`mmpose_pretext.MCPCDataset`: of the
                image before a flip. Default: all 0.
            flip: Whether the pipeline has flipped the image and the keypoints.
            flip_indices: K indices, of the same keypoint of the other side, or of
                itself. Needed with ``limb_order``.
            input_size: Width and height of the input, as the pipeline made it.
            input_center: Shape (2,), its centre in the image.
            input_scale: Shape (2,), its width and height in the image.
            img_path: The image's file, named in errors.

        Returns:
            What the class encodes.
        """
        people, num_keypoints = keypoints.shape[:2]
        if not people:
            raise ValueError(f'{img_path} has no people; leave it out of the dataset')
        if input_size is not None and tuple(input_size) != tuple(self.input_size):
            raise ValueError(
                f'the pipeline made an input of width and height {tuple(input_size)}, '
                f'but input_size of RelativeDepthLabel is {tuple(self.input_size)} '
                f'({img_path}); they must be equal'
            )
        if keypoints_visible is None:
            keypoints_visible = np.ones((people, num_keypoints), dtype=np.float32)
        if keypoints_labelled is None:
            keypoints_labelled = np.ones(num_keypoints, dtype=np.float32)
        if np.shape(keypoints_labelled) != (num_keypoints,):
            raise ValueError(
                f'keypoints_labelled must have the shape ({num_keypoints},), but it is '
                f'{np.shape(keypoints_labelled)} ({img_path})'
            )
        visible = keypoints_visible >= 0.5
        if not np.isfinite(keypoints[visible]).all():
            raise ValueError(
                f'a visible keypoint of {img_path} is NaN or infinite; set its '
                'visibility to 0'
            )
        keypoints = np.where(visible[..., None], keypoints, 0)
        if input_center is not None:
            keypoints = (keypoints - input_center) / input_scale + 0.5
            keypoints = keypoints * self.input_size
        points = (keypoints / self.scale_factor).astype(np.float32)
        heatmaps, _ = generate_gaussian_heatmaps(
            self.heatmap_size, points, keypoints_visible, self.sigma
        )
        inside = (keypoints >= 0) & (keypoints <= np.array(self.input_size) - 1)
        visible &= inside.all(axis=-1)
        pairs, relations, confidences = self._pairs(
            depth_pairs, depth_relations, depth_confidences, people, img_path
        )
        kept = visible.any(axis=1)[pairs].all(axis=1)
        order = np.zeros((people, num_keypoints), dtype=np.float32)
        if limb_order is not None:
            if flip_indices is None:
                raise ValueError(
                    f'limb_order of {img_path} needs flip_indices, which datasets of '
                    'MMPose take from the metainfo'
                )
            mirror = np.asarray(flip_indices)
            both = visible & visible[:, mirror]
            order = np.where(both, limb_order[:, mirror] if flip else limb_order, 0)
        return dict(
            heatmaps=heatmaps,
            keypoint_weights=np.asarray(keypoints_labelled, dtype=np.float32)[None],
            depth_points=np.where(visible[..., None], points, 0)[None],
            depth_points_visible=visible[None],
            depth_pairs=pairs[kept][None],
            depth_relations=relations[kept][None],
            depth_confidences=confidences[kept][None],
            depth_limb_order=order.astype(np.float32)[None],
        )

    @staticmethod
    def _pairs(
        pairs: np.ndarray | None,
        relations: np.ndarray | None,
        confidences: np.ndarray | None,
        people: int,
        img_path: str | None,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return pairs (P, 2), relations (P,) and confidences (P,) after checks."""
        if pairs is None:
            pairs, relations, confidences = (), (), ()
        pairs = np.asarray(pairs, dtype=np.int64).reshape(-1, 2)
        relations = np.asarray(relations, dtype=np.float32)
        if confidences is None:
            confidences = np.ones(len(pairs))
        confidences = np.asarray(confidences, dtype=np.float32)
        if not relations.shape == confidences.shape == (len(pairs),):
            raise ValueError(
                f'{len(pairs)} depth_pairs need as many depth_relations and '
                f'depth_confidences, but their shapes are {relations.shape} and '
                f'{confidences.shape} ({img_path})'
            )
        if ((pairs < 0) | (pairs >= people)).any():
            raise ValueError(
                f'depth_pairs name a person {pairs.max()}, but there are {people} '
                f'people, from 0 ({img_path}); does a transform drop people?'
            )
        if (np.abs(relations) != 1).any():
            raise ValueError(
                'depth_relations must be 1 (farther) or -1 (closer), with pairs '
                f'without a label left out, but one of {img_path} is not'
            )
        return pairs, relations, confidences
