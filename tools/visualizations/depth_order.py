r"""Draw people in the order of depth that a network predicts, beside the labels.

A picture an image of the configuration's test set. People are numbered and coloured
from the nearest, 1 in magenta, to the farthest in cyan; lines join the labelled pairs,
green where the network has them in the right order, red where not.

Example:
    python tools/visualizations/depth_order.py configs/wsp/wsp_....py \
        work_dirs/wsp_.../epoch_100.pth --out pictures
"""

import argparse
import pickle
import sys

import cv2
import torch
from mmengine.dataset import pseudo_collate
from mmpose.registry import DATASETS

from mmpose_pretext.visualization import (
    draw_depth_order,
    drawing_parser,
    load_model,
    pairs_right,
    picture_paths,
    save_picture,
    spread,
)


def run(args: argparse.Namespace) -> None:
    """Draw the images that the arguments ask for."""
    model = load_model(args.config, args.checkpoint, 'RelativeDepthHead', args.device)
    dataset = DATASETS.build(model.cfg.test_dataloader.dataset)
    numbers = range(len(dataset))
    labelled = [i for i in numbers if len(dataset.get_data_info(i)['depth_pairs'])]
    if not labelled:
        raise ValueError(f'{dataset.ann_file} has no labelled pair')
    indices = spread(labelled, args.num)
    paths = picture_paths(dataset, indices, 'img_id', args.out, args.force)
    total = []
    for index, path in paths.items():
        with torch.no_grad():
            (sample,) = model.test_step(pseudo_collate([dataset[index]]))
        found, labels = sample.pred_instances, sample.gt_instance_labels
        pairs, relations = (
            labels[key][0].cpu().numpy() for key in ('depth_pairs', 'depth_relations')
        )
        picture = draw_depth_order(
            cv2.imread(sample.img_path),
            *(found.keypoints, found.keypoint_scores, found.depths, pairs, relations),
            dataset.metainfo['skeleton_links'],
        )
        save_picture(path, picture)
        right = pairs_right(found.depths, pairs, relations)
        total += right.tolist()
        print(f'{path}: {right.sum()} of {len(right)} pairs are right')
    print(f'all: {sum(total)} of {len(total)} pairs are right')


def main(argv: list[str] | None = None) -> int:
    """Run the tool and return its exit status."""
    parser = drawing_parser(__doc__, 'WSP')
    parser.add_argument(
        '--num',
        type=int,
        default=8,
        help='number of images, spread evenly over those with labelled pairs '
        '(default: %(default)s)',
    )
    args = parser.parse_args(argv)
    try:
        run(args)
    except (OSError, ValueError, pickle.UnpicklingError) as error:
        print(f'depth_order.py: {error}', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
