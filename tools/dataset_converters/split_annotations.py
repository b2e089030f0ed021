#!/usr/bin/env python
r"""Split a COCO-style annotation file in two by images, as for a choice of settings.

    python tools/dataset_converters/split_annotations.py data/lspet/lspet_train.json \
        data/lspet/lspet_fit.json data/lspet/lspet_select.json --fraction 0.9

The first file gets the fraction of the images, drawn by seed and image id (so the same
on every machine), the second the others. Everything else in the file is copied to both.
"""

import argparse
import json
import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from mmpose_pretext.datasets.label_fraction import fraction_order


def split(content: dict, fraction: float, seed: int) -> tuple[dict, dict]:
    """Split the content of a COCO-style annotation file by images.

    Args:
        content: Dict with ``images`` and ``annotations``.
        fraction: Fraction of the images in the first part, in (0, 1), rounded up.
        seed: Seed of the choice.

    Returns:
        The two parts; images and annotations keep their order.

    Raises:
        ValueError: If the content is of another form, the fraction is outside
            (0, 1), or a part would be empty.
    """
    if not 0 < fraction < 1:
        raise ValueError(f'--fraction must be in (0, 1), but got {fraction}')
    if not isinstance(content, dict) or not {'images', 'annotations'} <= set(content):
        raise ValueError('it is no COCO-style json with "images" and "annotations"')
    ids = [image['id'] for image in content['images']]
    count = math.ceil(fraction * len(ids) - 1e-9)
    first = {ids[i] for i in fraction_order(ids, seed)[:count]}
    if not 0 < len(first) < len(ids):
        raise ValueError(f'{len(ids)} images cannot be split at {fraction}')
    parts = []
    for wanted in (True, False):
        part = dict(content)
        for key, name in (('images', 'id'), ('annotations', 'image_id')):
            part[key] = [e for e in content[key] if (e[name] in first) == wanted]
        parts.append(part)
    return parts[0], parts[1]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool and return its exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('ann_file', help='COCO-style json to split')
    parser.add_argument('first', help='json to write: the fraction')
    parser.add_argument('second', help='json to write: the rest')
    parser.add_argument('--fraction', type=float, default=0.9)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--force', action='store_true', help='overwrite')
    args = parser.parse_args(argv)
    outs = [Path(args.first), Path(args.second)]
    try:
        for out in outs:
            if out.exists() and not args.force:
                raise FileExistsError(f'{out} exists; --force overwrites it')
        if len({path.resolve() for path in (*outs, Path(args.ann_file))}) < 3:
            raise ValueError('the three files must be different ones')
        try:
            content = json.loads(Path(args.ann_file).read_text())
            parts = split(content, args.fraction, args.seed)
        except ValueError as error:
            raise ValueError(f'{args.ann_file}: {error}') from None
        for out, part in zip(outs, parts, strict=True):
            out.parent.mkdir(parents=True, exist_ok=True)
            partial = out.with_name(out.name + '.partial')
            partial.write_text(json.dumps(part))
            os.replace(partial, out)
            print(
                f'{out}: {len(part["images"])} images, '
                f'{len(part["annotations"])} annotations'
            )
    except (OSError, ValueError) as error:
        print(f'split_annotations.py: {error}', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
