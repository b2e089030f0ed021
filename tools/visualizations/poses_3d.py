"""Draw poses that a network predicts in 3D beside the images and the true poses.

A picture a person of the configuration's test set.

Example:
    python tools/visualizations/poses_3d.py \
        configs/wsp/benchmarks/integral-pose3d_....py \
        work_dirs/integral-pose3d_.../epoch_25.pth --out pictures
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

from mmpose_pretext.evaluation.root_aligned_pose_3d import joint_errors
from mmpose_pretext.visualization import draw_pose_3d, load_model


def run(args: argparse.Namespace) -> None:
    """Draw the people that the arguments ask for."""
    if args.num < 1:
        raise ValueError(f'--num must be 1 or more, but got {args.num}')
    model = load_model(args.config, args.checkpoint, 'IntegralPose3DHead', args.device)
    dataset = DATASETS.build(model.cfg.test_dataloader.dataset)
    places = np.linspace(0, len(dataset) - 1, min(args.num, len(dataset)))
    paths = {}
    for index in places.astype(int).tolist():
        info = dataset.get_data_info(index)
        paths[index] = args.out / f'{info["id"]}_{Path(info["img_path"]).stem}.png'
        if paths[index].exists() and not args.force:
            raise FileExistsError(f'{paths[index]} exists; --force overwrites it')
    args.out.mkdir(parents=True, exist_ok=True)
    root = model.head.decoder.root_index
    for index, path in paths.items():
        with torch.no_grad():
            (sample,) = model.test_step(pseudo_collate([dataset[index]]))
        img = cv2.cvtColor(cv2.imread(sample.img_path), cv2.COLOR_BGR2RGB)
        picture = draw_pose_3d(img, sample, dataset.metainfo, root)
        if not cv2.imwrite(str(path), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)):
            raise OSError(f'could not write {path}')
        true = sample.gt_instances
        errors = joint_errors(
            sample.pred_instances.keypoints,
            true.keypoints_cam,
            root,
        )[true.keypoints_cam_visible > 0]
        print(f'{path}: MPJPE {errors.mean():.0f} mm, root-aligned')


def main(argv: list[str] | None = None) -> int:
    """Run the tool and return its exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='configuration with IntegralPose3DHead')
    parser.add_argument('checkpoint', help='checkpoint of it')
    parser.add_argument(
        '--out', type=Path, required=True, help='folder of the pictures'
    )
    parser.add_argument(
        '--num',
        type=int,
        default=8,
        help='number of people, spread evenly over the set (default: %(default)s)',
    )
    parser.add_argument('--device', default='cpu', help='as in cuda:0')
    parser.add_argument('--force', action='store_true', help='overwrite pictures')
    args = parser.parse_args(argv)
    try:
        run(args)
    except (OSError, ValueError, pickle.UnpicklingError) as error:
        print(f'poses_3d.py: {error}', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
