"""Depth order of people from perspective: scales, labels of pairs, filters.

In a pinhole camera a bone of L metres, parallel to the image, at depth Z has f L / Z
pixels, and any other direction shortens it. So bones tell how many pixels a metre has
at a person's depth, people of about one size are ordered by it, and no camera need be
known.

All functions are NumPy alone and take N people at once, of one image or of many;
:func:`pair_labels` takes the people of one image. Depth is larger when farther: a
relation of a pair (i, j) is +1 if i is farther than j, and -1 if it is closer.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

BONE_LENGTHS = {
    ('shoulder', 'elbow'): 0.186,
    ('elbow', 'wrist'): 0.146,
    ('shoulder', 'hip'): 0.288,
    ('hip', 'knee'): 0.245,
    ('knee', 'ankle'): 0.246,
}
"""Lengths of bones of both sides of the body, in units of the body height.

Drillis and Contini (1966), as drawn in Winter, *Biomechanics and Motor Control of Human
Movement* (4th ed., 2009), figure 4.1: upper arm, forearm, thigh and shank; the side of
the trunk is the height of the shoulder less that of the hip (0.818 - 0.530).
"""

LIMB_CONFIDENCES = {('shoulder', 'elbow', 'wrist'): 0.45, ('hip', 'knee', 'ankle'): 0.7}
"""Limbs, and the confidences of :func:`limb_order`: 2 P - 1 of the share P of right
labels of synthetic people in poses of motion capture."""

HEIGHT = 1.69
"""Height in metres of a person: between the means of women and men, 1.62 and 1.76."""

FILTERS = ('truncated', 'tiny', 'seated', 'inconsistent')
"""Reasons of :func:`filter_people`."""

USUAL_FILTERS = ('truncated', 'tiny', 'inconsistent')
"""Those that pay: seated people have scales almost as good as others'."""

LOG_SCALE_SPREAD = 0.1
"""Standard deviation of the log ratio of the scales of two adults at one depth.

Their heights have a spread of 5 % each, and the rest is foreshortening.
"""

CAMERA_HEIGHT = 1.5
"""Height in metres at which photographers hold a camera."""

GROUND_SPREAD = 0.04
"""Standard deviation, in metres, of the difference of two people's ground points.

Of people who walk on one ground: 0.026 by the heights of their lowest keypoints in
motion capture, the rest because feet are before or behind the root. 0.04 fits how often
the order of synthetic people is right.
"""


def find_bones(keypoint_names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Find the bones of a keypoint layout by the names of their ends.

    Args:
        keypoint_names: K names as in MMPose's metainfo: ``left_shoulder``, ...
            Human3.6M says ``foot`` for the ankle.

    Returns:
        The E bones, pairs of keypoint indices of shape (E, 2), and their lengths in
        metres in a person of :data:`HEIGHT`, shape (E,).

    Raises:
        ValueError: If fewer than two bones are known.
    """
    index = keypoint_indices(keypoint_names)
    found = {
        (index[f'{side}_{a}'], index[f'{side}_{b}']): HEIGHT * length
        for (a, b), length in BONE_LENGTHS.items()
        for side in ('left', 'right')
        if f'{side}_{a}' in index and f'{side}_{b}' in index
    }
    if len(found) < 2:
        raise ValueError(
            f'keypoint_names must have both ends of two bones or more, such as '
            f'left_hip and left_knee; got {list(keypoint_names)}'
        )
    return np.array(list(found)), np.array(list(found.values()))


def keypoint_indices(keypoint_names: Sequence[str]) -> dict[str, int]:
    """Return the indices of keypoints by name.

    Args:
        keypoint_names: K names as in MMPose's metainfo.

    Returns:
        Their indices; where there is a ``left_foot`` and no ``left_ankle``, as in
        Human3.6M, the foot is the ankle, too, and so on the right.
    """
    index = {name: i for i, name in enumerate(keypoint_names)}
    for side in ('left', 'right'):
        if f'{side}_foot' in index:
            index.setdefault(f'{side}_ankle', index[f'{side}_foot'])
    return index


def _checked(
    keypoints: np.ndarray, visible: np.ndarray, num_keypoints: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return keypoints (N, K, 2) as float and visibility (N, K) as bool."""
    keypoints, visible = np.asarray(keypoints, float), np.asarray(visible) > 0
    if keypoints.ndim != 3 or keypoints.shape != (*visible.shape, 2):
        raise ValueError(
            'keypoints must have shape (N, K, 2) and visible (N, K), got '
            f'{keypoints.shape} and {visible.shape}'
        )
    if num_keypoints not in (None, visible.shape[1]):
        raise ValueError(
            f'there are {num_keypoints} keypoint_names but {visible.shape[1]} keypoints'
        )
    bad = visible & ~np.isfinite(keypoints).all(-1)
    if bad.any():
        n, k = np.argwhere(bad)[0]
        raise ValueError(
            f'keypoints must be finite where visible, but keypoint {k} of person {n} '
            f'is {keypoints[n, k]}'
        )
    return keypoints, visible


def _bone_scales(
    keypoints: np.ndarray, visible: np.ndarray, bones: np.ndarray, lengths: np.ndarray
) -> np.ndarray:
    """Pixels a metre by each bone, ascending, shape (N, E); 0 where not visible."""
    a, b = np.asarray(bones).T
    difference = keypoints[:, a] - keypoints[:, b]
    scales = np.sqrt(np.einsum('nei,nei->ne', difference, difference)) / lengths
    return np.sort(np.where(visible[:, a] & visible[:, b], scales, 0), axis=1)


def person_scale(
    keypoints: np.ndarray, visible: np.ndarray, bones: np.ndarray, lengths: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Tell how many pixels a metre has at the depth of each person.

    It is the second largest over the visible bones of length in pixels / length in
    metres: foreshortening makes bones only shorter, and the largest may be an error of
    annotation. The confidence is s2 / s1 (1 - 2^(1 - n)) with the largest s1, the
    second s2 and n visible bones: the two should agree, and each further bone makes it
    less likely that fewer than two are parallel to the image.

    Args:
        keypoints: Shape (N, K, 2), pixels.
        visible: Shape (N, K), more than 0 where a keypoint is labelled.
        bones: Shape (E, 2), as of :func:`find_bones`.
        lengths: Shape (E,), metres.

    Returns:
        Scale in pixels a metre, shape (N,), NaN with fewer than two visible bones; and
        its confidence, shape (N,), 0 to 1, 0 where the scale is NaN.

    Raises:
        ValueError: If shapes do not fit or a visible keypoint is not finite.
    """
    keypoints, visible = _checked(keypoints, visible)
    scales = _bone_scales(keypoints, visible, bones, lengths)
    second, first = scales[:, -2], scales[:, -1]
    known = second > 0
    count = (scales > 0).sum(1)
    confidence = second / np.where(known, first, 1) * (1 - 0.5 ** (count - 1.0))
    return np.where(known, second, np.nan), np.where(known, confidence, 0)


def ground_point(
    keypoints: np.ndarray, visible: np.ndarray, keypoint_names: Sequence[str]
) -> np.ndarray:
    """Tell where each person meets the ground: the lowest visible keypoint.

    Args:
        keypoints: Shape (N, K, 2), pixels.
        visible: Shape (N, K), more than 0 where a keypoint is labelled.
        keypoint_names: K names as in MMPose's metainfo.

    Returns:
        Its y in pixels, shape (N,); NaN where no ankle is visible.

    Raises:
        ValueError: If shapes do not fit or a visible keypoint is not finite.
    """
    keypoints, visible = _checked(keypoints, visible, len(keypoint_names))
    feet = [n.endswith(('_ankle', '_foot')) for n in keypoint_names]
    lowest = np.where(visible, keypoints[..., 1], -np.inf).max(1)
    return np.where(visible[:, feet].any(1), lowest, np.nan)


def pair_labels(
    scale: np.ndarray,
    confidence: np.ndarray,
    ground: np.ndarray | None = None,
    tau: float = 1.1,
    cues: Sequence[str] = ('scale',),
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Label the depth order of pairs of people of one image.

    i is closer than j if scale_i / scale_j > tau, farther if it is less than 1 / tau;
    other pairs have no label, since similar scales are no evidence of equal depth.

    The cue ``ground`` is for people on a common ground, where the closer person stands
    lower in the image. Beside ``scale`` it takes labels away: a pair is left out where
    both ground points are known and say else. Alone it replaces the ratio of the
    scales: seen by a level camera at height H, the ground at a scale of s pixels a
    metre is H s below the horizon, so that ground points g differ by
    H (s_i - s_j) = 2 H s sinh(r / 2), with s the geometric mean of the scales and r the
    logarithm of their ratio; hence r = 2 asinh((g_i - g_j) / (2 H s)), with H of
    :data:`CAMERA_HEIGHT`. A wrong H moves tau, and orders no pair otherwise.

    The confidence is tanh(0.85 c_i c_j |r| / sigma), with the persons' confidences c
    and sigma of :data:`LOG_SCALE_SPREAD`, or with ``ground`` alone
    :data:`GROUND_SPREAD` / H. For c = 1 it is 2 P - 1, the best weight of a label that
    is right with probability P, if the error of r has a logistic distribution about as
    wide as a normal one of sigma.

    Args:
        scale: Shape (N,), pixels a metre; people with NaN are in no pair.
        confidence: Shape (N,), as of :func:`person_scale`.
        ground: Shape (N,), y of the ground points in pixels or NaN; needed for the cue
            ``ground`` only.
        tau: Least ratio of scales of a labelled pair, 1 or more.
        cues: ``('scale',)``, ``('scale', 'ground')`` or ``('ground',)``.

    Returns:
        P pairs (i, j), i < j, shape (P, 2); their relations, +1 if i is farther and -1
        if closer, shape (P,), int; and their confidences, 0 to 1, shape (P,).

    Raises:
        ValueError: If tau, cues, a shape or a scale is none of these.
    """
    scale, confidence = np.asarray(scale, float), np.asarray(confidence, float)
    if scale.ndim != 1 or confidence.shape != scale.shape:
        raise ValueError(
            f'scale and confidence must have one shape (N,), got {scale.shape} and '
            f'{confidence.shape}'
        )
    if (scale <= 0).any():
        raise ValueError(f'scale must be more than 0 or NaN, got {scale.tolist()}')
    if not tau >= 1:
        raise ValueError(f'tau must be 1 or more, got {tau}')
    if set(cues) not in ({'scale'}, {'scale', 'ground'}, {'ground'}):
        raise ValueError(
            "cues must be ('scale',), ('scale', 'ground') or ('ground',), got "
            f'{tuple(cues)}'
        )
    i, j = np.triu_indices(len(scale), 1)
    ratio, sigma = np.log(scale[j] / scale[i]), LOG_SCALE_SPREAD
    if 'ground' in cues:
        if ground is None or np.shape(ground) != scale.shape:
            raise ValueError(
                f"the cue 'ground' needs ground of shape {scale.shape}, got "
                f'{None if ground is None else np.shape(ground)}'
            )
        ground = np.asarray(ground, float)
        lower = ground[j] - ground[i]
        if 'scale' in cues:
            ratio[ratio * lower < 0] = 0  # they contradict each other
        else:
            mean = np.sqrt(scale[i] * scale[j])
            ratio = 2 * np.arcsinh(lower / (2 * CAMERA_HEIGHT * mean))
            sigma = GROUND_SPREAD / CAMERA_HEIGHT
    labelled = np.abs(ratio) > np.log(tau)  # NaN is not greater
    i, j, ratio = i[labelled], j[labelled], ratio[labelled]
    certainty = confidence[i] * confidence[j] * np.abs(ratio) / sigma
    pairs = np.stack([i, j], axis=1)
    relation = np.where(ratio > 0, 1, -1)
    return pairs, relation, np.tanh(0.85 * certainty)


def limb_order(
    keypoints: np.ndarray,
    visible: np.ndarray,
    keypoint_names: Sequence[str],
    tau: float = 1.05,
) -> np.ndarray:
    """Label which of each person's arms, and which of the legs, is closer.

    It is the one that is longer in the image, by more than tau: sum of upper arm and
    forearm, or thigh and shank. This is weak evidence, since a limb is shorter by
    foreshortening, too.

    Args:
        keypoints: Shape (N, K, 2), pixels.
        visible: Shape (N, K), more than 0 where a keypoint is labelled.
        keypoint_names: K names as in MMPose's metainfo.
        tau: Least ratio of lengths in pixels of two limbs whose order is labelled.

    Returns:
        Shape (N, K): for elbows, wrists, knees and ankles (or feet) the confidence of
        :data:`LIMB_CONFIDENCES` if the keypoint is farther than the same one of the
        other side, less 0 if it is closer; 0 without a label, and for all others.

    Raises:
        ValueError: If shapes do not fit, a visible keypoint is not finite, or tau is
            less than 1.
    """
    keypoints, visible = _checked(keypoints, visible, len(keypoint_names))
    if not tau >= 1:
        raise ValueError(f'tau must be 1 or more, got {tau}')
    index = keypoint_indices(keypoint_names)
    order = np.zeros(visible.shape)
    for limb, confidence in LIMB_CONFIDENCES.items():
        names = [[f'{side}_{joint}' for joint in limb] for side in ('left', 'right')]
        if not {*names[0], *names[1]} <= {*index}:
            continue
        joints = np.array([[index[name] for name in side] for side in names])
        bones = np.diff(keypoints[:, joints], axis=2)  # (N, side, bone, 2)
        left, right = np.linalg.norm(bones, axis=3).sum(axis=2).T
        longer = (left > tau * right) * 1.0 - (right > tau * left)
        longer *= visible[:, joints].all(axis=(1, 2)) * confidence
        order[:, joints[0, 1:]] = -longer[:, None]
        order[:, joints[1, 1:]] = longer[:, None]
    return order + 0.0  # no -0


def filter_people(
    keypoints: np.ndarray,
    visible: np.ndarray,
    keypoint_names: Sequence[str],
    min_bones: int = 4,
    min_scale: float = 30.0,
    min_thigh_drop: float = 0.5,
    max_disagreement: float = 1.5,
) -> dict[str, np.ndarray]:
    """Tell which people should not be trusted, and why.

    Args:
        keypoints: Shape (N, K, 2), pixels.
        visible: Shape (N, K), more than 0 where a keypoint is labelled.
        keypoint_names: K names as in MMPose's metainfo.
        min_bones: Least number of visible bones of :func:`find_bones`.
        min_scale: Least scale in pixels a metre; below it an error of two pixels is a
            tenth of a bone.
        min_thigh_drop: How much lower than the hip a knee must be in the image, in
            lengths of a thigh, in one leg at least.
        max_disagreement: Greatest ratio of the largest to the second largest scale of
            the bones.

    Returns:
        For each reason a mask of shape (N,), True where a person is rejected:
        ``truncated``, fewer visible bones than ``min_bones``; ``tiny``, of a smaller
        scale than ``min_scale``; ``seated``, every visible thigh drops less than
        ``min_thigh_drop``, as when sitting, squatting or lying; ``inconsistent``, the
        two largest scales differ by more than ``max_disagreement``. A person without a
        scale is truncated only; one without a visible thigh is never seated. Scales of
        seated people are about as good as those of others (see
        ``tools/benchmarks/relative_depth_labels.py``); what may fail is their ground.

    Raises:
        ValueError: If shapes do not fit, a visible keypoint is not finite, or fewer
            than two bones are known.
    """
    keypoints, visible = _checked(keypoints, visible, len(keypoint_names))
    bones, lengths = find_bones(keypoint_names)
    scales = _bone_scales(keypoints, visible, bones, lengths)
    first, second = scales[:, -1], scales[:, -2]
    known = second > 0
    thigh = np.array([keypoint_names[a].endswith('_hip') for a, _ in bones])
    hip, knee = bones[thigh].T
    drop = keypoints[:, knee, 1] - keypoints[:, hip, 1]
    seen = visible[:, knee] & visible[:, hip]
    upright = seen & (drop >= min_thigh_drop * lengths[thigh] * second[:, None])
    return dict(
        truncated=(scales > 0).sum(1) < min_bones,
        tiny=known & (second < min_scale),
        seated=known & seen.any(1) & ~upright.any(1),
        inconsistent=known & (first > max_disagreement * second),
    )


class PeopleLabels(NamedTuple):
    """Labels of the N people of M images, as MCPC's json has them.

    Attributes:
        people: N dicts with ``scale`` in pixels a metre, None if unknown, and
            ``scale_confidence``; of usable people also ``limb_order``, if it was asked
            for: K values of :func:`limb_order`.
        pairs: For each image a list of pairs: index i, index j, relation, confidence,
            with indices of the image's people and i < j.
        usable: Shape (N,), bool: with a scale, and not rejected.
        rejected: See :func:`filter_people`.
    """

    people: list[dict]
    pairs: list[list]
    usable: np.ndarray
    rejected: dict[str, np.ndarray]


def label_people(
    keypoints: np.ndarray,
    visible: np.ndarray,
    counts: Sequence[int],
    keypoint_names: Sequence[str],
    tau: float = 1.1,
    cues: Sequence[str] = ('scale', 'ground'),
    filters: Sequence[str] = USUAL_FILTERS,
    limbs: bool = False,
) -> PeopleLabels:
    """Label the people of images, and the depth order of pairs.

    Args:
        keypoints: Shape (N, K, 2), pixels, image by image.
        visible: Shape (N, K), more than 0 where a keypoint is labelled.
        counts: M numbers of people, of each image.
        keypoint_names: K names as in MMPose's metainfo.
        tau: See :func:`pair_labels`.
        cues: See :func:`pair_labels`.
        filters: Of :data:`FILTERS`: which people are in no pair.
        limbs: Whether to label the limbs of each person, too.

    Returns:
        Scales, pairs, and who is in pairs.

    Raises:
        ValueError: If shapes do not fit, a visible keypoint is not finite, fewer than
            two bones are known, or tau or cues are none of these.
    """
    scales, confidences = person_scale(keypoints, visible, *find_bones(keypoint_names))
    grounds = ground_point(keypoints, visible, keypoint_names)
    rejected = filter_people(keypoints, visible, keypoint_names)
    usable = np.isfinite(scales)
    for name in filters:
        usable &= ~rejected[name]
    trusted = np.where(usable, scales, np.nan)
    image_pairs = []
    for end, count in zip(np.cumsum(counts), counts, strict=True):
        own = slice(end - count, end)
        pairs, relations, certainties = pair_labels(
            trusted[own], confidences[own], grounds[own], tau, cues
        )
        certainties = np.maximum(certainties.round(4), 1e-4)
        columns = pairs.tolist(), relations.tolist(), certainties.tolist()
        image_pairs.append([[*p, r, c] for p, r, c in zip(*columns, strict=True)])
    people = [
        dict(
            scale=round(scale, 3) if np.isfinite(scale) else None,
            scale_confidence=round(confidence, 4),
        )
        for scale, confidence in zip(scales.tolist(), confidences.tolist(), strict=True)
    ]
    if limbs:
        order = limb_order(keypoints, visible, keypoint_names)
        for n in np.flatnonzero(usable):
            people[n]['limb_order'] = order[n].tolist()
    return PeopleLabels(people, image_pairs, usable, rejected)
