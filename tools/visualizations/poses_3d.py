r"""Draw poses that a network predicts in 3D beside the images and the true poses.

A picture a person of the configuration's test set.

Example:
    python tools/visualizations/poses_3d.py \
        configs/wsp/benchmarks/integral-pose3d_....py \
        work_dirs/integral-pose3d_.../epoch_25.pth --out pictures
"""

import argparse
import pickle
import sys

import cv2
import torch
from mmengine.dataset import pseudo_collate
from mmpose.registry import DATASETS

from mmpose_pretext.evaluation.root_aligned_pose_3d import joint_errors
from mmpose_pretext.visualization import (
    draw_pose_3d,
    drawing_parser,
    load_model,
    picture_paths,
    save_picture,
    spread,
)


def run(args: argparse.Namespace) -> None:
    """Draw the people that the arguments ask for."""
    model = load_model(args.config, args.checkpoint, 'IntegralPose3DHead', args.device)
    dataset = DATASETS.build(model.cfg.test_dataloader.dataset)
    indices = spread(range(len(dataset)), args.num)
    paths = picture_paths(dataset, indices, 'id', args.out, args.force)
    root = model.head.decoder.root_index
    for index, path in paths.items():
        with torch.no_grad():
            (sample,) = model.test_step(pseudo_collate([dataset[index]]))
        img = cv2.cvtColor(cv2.imread(sample.img_path), cv2.COLOR_BGR2RGB)
        picture = draw_pose_3d(img, sample, dataset.metainfo, root)
        save_picture(path, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        true = sample.gt_instances
        if not true.keypoints_cam_visible[0, root]:
            print(f'{path}: the root is not labelled')
            continue
        errors = joint_errors(
            sample.pred_instances.keypoints,
            true.keypoints_cam,
            root,
        )[true.keypoints_cam_visible > 0]
        print(f'{path}: MPJPE {errors.mean():.0f} mm, root-aligned')


def main(argv: list[str] | None = None) -> int:
    """Run the tool and return its exit status."""
    parser = drawing_parser(__doc__, 'IntegralPose3DHead')
    parser.add_argument(
        '--num',
        type=int,
        default=8,
        help='number of people, spread evenly over the set (default: %(default)s)',
    )
    args = parser.parse_args(argv)
    try:
        run(args)
    except (OSError, ValueError, pickle.UnpicklingError) as error:
        print(f'poses_3d.py: {error}', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
