r"""Draw annotated and predicted poses of one or several checkpoints side by side.

Each row is a person of the configuration's test set: the annotation, then the answer
of each checkpoint.

Example:
    python tools/visualizations/predicted_poses.py configs/.../td-hm_....py poses.png \
        scratch=work_dirs/a/epoch_30.pth hsjp=work_dirs/b/epoch_30.pth
"""

import argparse
import sys
from pathlib import Path

import cv2
import mmcv
import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from mmpose.apis import init_model
from mmpose.registry import DATASETS
from mmpose.structures.bbox import get_warp_matrix

import mmpose_pretext  # noqa: F401, so that checkpoints can be read


@torch.no_grad()
def draw(
    config: str,
    checkpoints: dict[str, str],
    num: int,
    size: tuple[int, int] = (192, 256),
    device: str = 'cpu',
) -> np.ndarray:
    """Draw the poses of people spread evenly over the test set.

    Args:
        config: Path of a top-down configuration.
        checkpoints: Path of each named checkpoint.
        num: Number of people.
        size: Width and height of each crop in pixels.
        device: Where the networks run.

    Returns:
        Picture of shape (H, W, 3), BGR.
    """
    models = {
        name: init_model(config, path, device=device)
        for name, path in checkpoints.items()
    }
    first = next(iter(models.values()))
    dataset = DATASETS.build(first.cfg.test_dataloader.dataset)
    names = ['annotation', *models]
    rows = [np.hstack([_title(name, size[0]) for name in names])]
    for index in np.linspace(0, len(dataset) - 1, min(num, len(dataset))).astype(int):
        data = dataset[index]
        sample = data['data_samples']
        warp = get_warp_matrix(
            sample.input_center, sample.input_scale, 0, output_size=size
        )
        crop = cv2.warpAffine(mmcv.imread(sample.img_path), warp, size)
        panels = []
        for name in names:
            if name == 'annotation':
                pose = sample.gt_instances
                visible = pose.keypoints_visible[0].reshape(-1) > 0
            else:
                pose = models[name].test_step(pseudo_collate([data]))[0].pred_instances
                visible = np.ones(pose.keypoints.shape[1], dtype=bool)
            points = cv2.transform(pose.keypoints[:, :, :2].astype(float), warp)[0]
            panels.append(_draw_pose(crop.copy(), points, visible, dataset.metainfo))
        rows.append(np.hstack(panels))
    return np.vstack(rows)


def _draw_pose(crop, points, visible, metainfo) -> np.ndarray:
    links = zip(
        metainfo['skeleton_links'], metainfo['skeleton_link_colors'], strict=True
    )
    places = [tuple(place) for place in np.round(points).astype(int).tolist()]
    for (start, end), color in links:
        if visible[start] and visible[end]:
            color = color[::-1].tolist()
            cv2.line(crop, places[start], places[end], color, 2, cv2.LINE_AA)
    for place, seen, color in zip(
        places, visible, metainfo['keypoint_colors'], strict=True
    ):
        if seen:
            cv2.circle(crop, place, 3, color[::-1].tolist(), -1, cv2.LINE_AA)
    return crop


def _title(text: str, width: int) -> np.ndarray:
    bar = np.full((24, width, 3), 255, dtype=np.uint8)
    return cv2.putText(
        bar, text, (6, 17), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1, cv2.LINE_AA
    )


def main(argv: list[str] | None = None) -> int:
    """Run the tool and return its exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='top-down configuration')
    parser.add_argument('out', help='picture to write (.png or .jpg)')
    parser.add_argument('checkpoints', nargs='+', help='NAME=CHECKPOINT of each')
    parser.add_argument('--num', type=int, default=4, help='number of people')
    parser.add_argument('--device', default='cpu', help='as in cuda:0')
    parser.add_argument('--force', action='store_true', help='overwrite OUT')
    args = parser.parse_args(argv)
    checkpoints = dict(item.partition('=')[::2] for item in args.checkpoints)
    try:
        if '' in checkpoints.values():
            raise ValueError(
                f'checkpoints must be NAME=CHECKPOINT, but got {args.checkpoints}'
            )
        for path in (args.config, *checkpoints.values()):
            if not Path(path).is_file():
                raise FileNotFoundError(f'{path} does not exist')
        if Path(args.out).exists() and not args.force:
            raise FileExistsError(f'{args.out} exists; --force overwrites it')
        picture = draw(args.config, checkpoints, args.num, device=args.device)
        Path(args.out).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(args.out, picture)
    except (OSError, ValueError) as error:
        print(f'predicted_poses.py: {error}', file=sys.stderr)
        return 1
    print(args.out)
    return 0


if __name__ == '__main__':
    sys.exit(main())
