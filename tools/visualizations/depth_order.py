"""Draw people in the order of depth that a network predicts, beside the labels.

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
from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from mmpose.registry import DATASETS

from mmpose_pretext.visualization import draw_depth_order, load_model, pairs_right


def run(args: argparse.Namespace) -> None:
    """Draw the images that the arguments ask for."""
    if args.num < 1:
        raise ValueError(f'--num must be 1 or more, but got {args.num}')
    model = load_model(args.config, args.checkpoint, 'RelativeDepthHead', args.device)
    dataset = DATASETS.build(model.cfg.test_dataloader.dataset)
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    labelled = [i for i, info in enumerate(infos) if len(info['depth_pairs'])]
    if not labelled:
        raise ValueError(f'{dataset.ann_file} has no labelled pair')
    places = np.linspace(0, len(labelled) - 1, min(args.num, len(labelled)))
    paths = {}
    for index in np.array(labelled)[places.astype(int)].tolist():
        info = infos[index]
        name = f'{info["img_id"]}_{Path(info["img_path"]).stem}.png'
        paths[index] = args.out / name
        if paths[index].exists() and not args.force:
            raise FileExistsError(f'{paths[index]} exists; --force overwrites it')
    args.out.mkdir(parents=True, exist_ok=True)
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
        if not cv2.imwrite(str(path), picture):
            raise OSError(f'could not write {path}')
        right = pairs_right(found.depths, pairs, relations)
        total += right.tolist()
        print(f'{path}: {right.sum()} of {len(right)} pairs are right')
    print(f'all: {sum(total)} of {len(total)} pairs are right')


def main(argv: list[str] | None = None) -> int:
    """Run the tool and return its exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='WSP configuration')
    parser.add_argument('checkpoint', help='checkpoint of it')
    parser.add_argument(
        '--out', type=Path, required=True, help='folder of the pictures'
    )
    parser.add_argument(
        '--num',
        type=int,
        default=8,
        help='number of images, spread evenly over those with labelled pairs '
        '(default: %(default)s)',
    )
    parser.add_argument('--device', default='cpu', help='as in cuda:0')
    parser.add_argument('--force', action='store_true', help='overwrite pictures')
    args = parser.parse_args(argv)
    try:
        run(args)
    except (OSError, ValueError, pickle.UnpicklingError) as error:
        print(f'depth_order.py: {error}', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
