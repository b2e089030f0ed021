r"""Draw puzzles, their target heatmaps, and the answers of a pretrained network.

Each row shows a person crop, the puzzle made of it, the target heatmaps (a colour for
each patch), the network's heatmaps, and the puzzle put together by its answer.

Example:
    python tools/visualizations/jigsaw_puzzles.py configs/hsjp/hsjp_....py \
        work_dirs/hsjp_.../epoch_210.pth puzzles.png
"""

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine.dataset import Compose, pseudo_collate
from mmpose.apis import init_model
from mmpose.registry import DATASETS

from mmpose_pretext.visualization import draw_puzzle


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='configuration of an HSJP pretraining')
    parser.add_argument('checkpoint', help='checkpoint of that run')
    parser.add_argument('out', help='picture to write (.png or .jpg)')
    parser.add_argument('--num', type=int, default=6, help='number of puzzles')
    parser.add_argument('--scale', type=int, default=2, help='enlargement')
    parser.add_argument('--device', default='cpu', help='as in cuda:0')
    parser.add_argument('--force', action='store_true', help='overwrite OUT')
    return parser.parse_args(argv)


@torch.no_grad()
def draw(config: str, checkpoint: str, num: int, device: str = 'cpu') -> np.ndarray:
    """Draw puzzles of the configuration's validation set, one below the other.

    Args:
        config: Path of an HSJP configuration.
        checkpoint: Path of a checkpoint of it.
        num: Number of puzzles, spread evenly over the set.
        device: Where the network runs.

    Returns:
        Picture of shape (H, W, 3), BGR.
    """
    model = init_model(config, checkpoint, device=device)
    model.test_cfg = dict(model.test_cfg, flip_test=False, output_heatmaps=True)
    dataset = DATASETS.build(model.cfg.val_dataloader.dataset)
    steps = dataset.pipeline.transforms
    shuffle = next(
        (i for i, t in enumerate(steps) if type(t).__name__ == 'JigsawShuffle'), None
    )
    if shuffle is None:
        raise ValueError(f'{config} has no JigsawShuffle in its validation pipeline')
    before, after = Compose(steps[:shuffle]), Compose(steps[shuffle + 1 :])
    codec = model.head.decoder
    rows = []
    for index in np.linspace(0, len(dataset) - 1, min(num, len(dataset))).astype(int):
        results = before(dataset.get_data_info(index))
        original = results['img'].copy()
        results = steps[shuffle](results)
        puzzle = results['img'].copy()
        targets = codec.encode(results['transformed_keypoints'])['heatmaps']
        batch = pseudo_collate([after(results)])
        prediction = model.test_step(batch)[0].pred_fields.heatmaps.cpu().numpy()
        rows.append(
            draw_puzzle(
                original,
                puzzle,
                targets,
                prediction,
                results['jigsaw_permutation'],
                codec.decode_permutation(prediction),
                codec.grid,
            )
        )
    border = np.full((4, rows[0].shape[1], 3), 255, dtype=np.uint8)
    return np.vstack([part for row in rows for part in (row, border)][:-1])


def main(argv: list[str] | None = None) -> int:
    """Run the tool and return its exit status."""
    args = parse_args(argv)
    try:
        for path in (args.config, args.checkpoint):
            if not Path(path).is_file():
                raise FileNotFoundError(f'{path} does not exist')
        if Path(args.out).exists() and not args.force:
            raise FileExistsError(f'{args.out} exists; --force overwrites it')
        picture = draw(args.config, args.checkpoint, args.num, args.device)
        size = (args.scale * picture.shape[1], args.scale * picture.shape[0])
        Path(args.out).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(
            args.out, cv2.resize(picture, size, interpolation=cv2.INTER_NEAREST)
        )
    except (OSError, ValueError) as error:
        print(f'jigsaw_puzzles.py: {error}', file=sys.stderr)
        return 1
    print(args.out)
    return 0


if __name__ == '__main__':
    sys.exit(main())
