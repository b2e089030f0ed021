#!/usr/bin/env python
r"""Add labels of depth order to any COCO-style json with keypoints of people.

    python tools/dataset_converters/label_relative_depth.py \
        data/my/person_keypoints.json data/my/depth.json

MCPCDataset reads the output, with the metainfo of the file's keypoints. Annotations get
their `scale` in pixels a metre and `scale_confidence`, images the `pairs` of people
whose depth order is known from perspective (see mmpose_pretext/perspective.py); with
--limbs, usable people also get a `limb_order`. Everything else is copied. The
`root_depth` in millimetres of make_synthetic_people.py becomes `depth` in metres, for
evaluation.
"""

import argparse
import json
import os
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mmpose_pretext.perspective import (
    FILTERS,
    USUAL_FILTERS,
    keypoint_indices,
    label_people,
)

TRUE_LIMBS = 'shoulder', 'elbow', 'wrist', 'hip', 'knee', 'ankle'


def add_labels(
    content: dict,
    tau: float,
    cues: Sequence[str],
    filters: Sequence[str],
    limbs: bool = False,
    true_limbs: bool = False,
) -> Counter:
    """Add the labels to the content of a COCO-style json, in place.

    A person without a box gets that of the visible keypoints. Where the category has
    ``keypoints_3d``, people get ``keypoint_depths``: z in metres of each keypoint.

    Args:
        content: Dict with ``images``, ``annotations`` and ``categories``.
        tau: See :func:`mmpose_pretext.perspective.pair_labels`.
        cues: See there.
        filters: See :func:`mmpose_pretext.perspective.label_people`.
        limbs: See there.
        true_limbs: Take ``limb_order`` from the true depths of left and right
            shoulders, elbows, wrists, hips, knees and ankles, which is more than
            perspective can tell: an upper bound.

    Returns:
        Numbers of images, people, usable people and pairs.

    Raises:
        ValueError: If the content is of another form, keypoints are not finite or not
            as many as the category has, an image has no size, or true depths are wanted
            that it has not.
    """
    lists = ('images', 'annotations', 'categories')
    if not isinstance(content, dict) or not all(
        isinstance(content.get(key), list) for key in lists
    ):
        raise ValueError(f'a COCO-style json needs the lists {", ".join(lists)}')
    category = next((c for c in content['categories'] if 'keypoints' in c), None)
    if category is None:
        raise ValueError('no category has keypoints, which tell the depth order')
    shape = len(category['keypoints']), 3
    groups = defaultdict(list)
    for annotation in content['annotations']:
        if (
            annotation.get('category_id') != category['id']
            or 'keypoints' not in annotation
            or annotation.get('iscrowd', 0)
        ):
            continue
        points = np.array(annotation['keypoints'], dtype=float)
        if points.size != shape[0] * 3 or not np.isfinite(points).all():
            raise ValueError(
                f'keypoints of annotation {annotation["id"]} must be {shape[0]} times '
                f'x, y, v, all finite, but got {annotation["keypoints"]}'
            )
        groups[annotation['image_id']].append((annotation, points.reshape(shape)))
    for image in content['images']:
        if not image.get('width') or not image.get('height'):
            raise ValueError(
                f'image {image["id"]} ({image.get("file_name")}) has no width and '
                'height, in pixels, which training needs'
            )
    groups = [groups[image['id']] for image in content['images']]
    people = [person for group in groups for person, _ in group]
    for group in groups:
        for annotation, keypoints in group:
            _complete(annotation, keypoints, category)
    points = np.array([p for group in groups for _, p in group]).reshape(-1, *shape)
    counts = [len(group) for group in groups]
    labels = label_people(
        *(points[..., :2], points[..., 2], counts, category['keypoints']),
        *(tau, cues, filters, limbs),
    )
    for person, scale in zip(people, labels.people, strict=True):
        person.update(scale)
        if 'root_depth' in person:
            person['depth'] = person['root_depth'] / 1000
    if true_limbs:
        _order_truly(people, category['keypoints'])
    for image, group, pairs in zip(
        content['images'], groups, labels.pairs, strict=True
    ):
        ids = [person['id'] for person, _ in group]
        image['pairs'] = [[ids[i], ids[j], *r] for i, j, *r in pairs]
    content['info'] = dict(
        content.get('info') or {},
        relative_depth=dict(tau=tau, cues=cues, filters=filters)
        | (dict(limbs='true' if true_limbs else True) if limbs or true_limbs else {}),
    )
    return Counter(
        images=len(groups),
        people=len(people),
        usable=int(np.count_nonzero(labels.usable)),
        pairs=sum(map(len, labels.pairs)),
    )


def _complete(annotation: dict, points: np.ndarray, category: dict) -> None:
    """Add a box, which datasets need, and the true depths, if they are known."""
    seen = points[points[:, 2] > 0, :2]
    if not annotation.get('bbox') and len(seen):
        low, size = seen.min(axis=0), np.maximum(np.ptp(seen, axis=0), 1)
        annotation['bbox'] = np.concatenate([low, size]).tolist()
        annotation.setdefault('area', float(size.prod()))
    names = category.get('keypoints_3d')
    if names and 'keypoints_3d' in annotation:
        places = annotation['keypoints_3d']
        if len(places) != len(names):
            raise ValueError(
                f'keypoints_3d of annotation {annotation["id"]} are {len(places)}, but '
                f'the category names {len(names)}'
            )
        index = keypoint_indices(names)
        annotation['keypoint_depths'] = [
            places[index[name]][2] / 1000 if name in index else None
            for name in category['keypoints']
        ]


def _order_truly(people: list[dict], names: Sequence[str]) -> None:
    """Set the limb_order of people from their true depths.

    Raises:
        ValueError: If a person has none.
    """
    pairs = [
        [names.index(f'{side}_{limb}') for side in ('left', 'right')]
        for limb in TRUE_LIMBS
        if {f'left_{limb}', f'right_{limb}'} <= {*names}
    ]
    for person in people:
        if 'keypoint_depths' not in person:
            raise ValueError(
                f'--true-limbs needs true depths, but annotation {person["id"]} has no '
                'keypoints_3d, or its category does not name them'
            )
        depths = person['keypoint_depths']
        order = [0.0] * len(names)
        for left, right in pairs:
            if None not in (depths[left], depths[right]):
                order[left] = float(np.sign(depths[left] - depths[right]))
                order[right] = -order[left]
        person['limb_order'] = order


def run(args: argparse.Namespace) -> None:
    """Write the file that the arguments name."""
    if args.out.exists() and not args.force:
        raise FileExistsError(f'{args.out} exists; --force replaces it')
    try:
        content = json.loads(args.ann_file.read_text(encoding='utf-8'))
        options = args.tau, args.cues, args.filters, args.limbs, args.true_limbs
        counts = add_labels(content, *options)
    except KeyError as error:
        raise ValueError(f'{args.ann_file}: an entry has no {error}') from error
    except (TypeError, ValueError) as error:
        raise ValueError(f'{args.ann_file}: {error}') from error
    args.out.parent.mkdir(parents=True, exist_ok=True)
    partial = args.out.with_name(args.out.name + '.partial')
    partial.write_text(json.dumps(content))
    os.replace(partial, args.out)
    print(
        f'{args.out}: {counts["images"]:,} images, {counts["people"]:,} people '
        f'({counts["usable"]:,} usable), {counts["pairs"]:,} labelled pairs'
    )


def add_label_arguments(parser: argparse.ArgumentParser) -> None:
    """Add --tau, --cues, --filters and --limbs: how people are labelled."""
    parser.add_argument(
        '--tau',
        type=float,
        default=1.1,
        help='least ratio of the depths of a labelled pair, as its cues tell it '
        '(default: %(default)s)',
    )
    parser.add_argument(
        '--cues',
        nargs='+',
        choices=('scale', 'ground'),
        default=['scale', 'ground'],
        help='what orders people: their scales; scales, but a pair whose ground points '
        'say else has no label; or, if all stand on one ground, who stands lower '
        '(default: scale ground)',
    )
    parser.add_argument(
        '--filters',
        nargs='*',
        choices=FILTERS,
        default=USUAL_FILTERS,
        help=f'whose people are in no pair (default: {" ".join(USUAL_FILTERS)})',
    )
    parser.add_argument(
        '--limbs',
        action='store_true',
        help="also label which of a person's arms and legs is closer, that which is "
        'longer in the image: weak labels, for the limb_loss of RelativeDepthHead',
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool and return its exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('ann_file', metavar='IN.json', type=Path)
    parser.add_argument('out', metavar='OUT.json', type=Path)
    add_label_arguments(parser)
    parser.add_argument(
        '--true-limbs',
        action='store_true',
        help='as --limbs, but in the true order, of keypoints_3d: an upper bound',
    )
    parser.add_argument('--force', action='store_true', help='replace OUT.json')
    args = parser.parse_args(argv)
    try:
        run(args)
    except (OSError, ValueError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
