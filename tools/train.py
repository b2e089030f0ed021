"""Train a model with MMPose's tools/train.py.

CONFIG is a path, or the name of a config of mmpose_pretext such as
hsjp_res50_8xb64-210e_coco-256x192. --resume reads MMEngine's checkpoints on
torch >= 2.6. --cfg-options refuses a key that the config does not have, and
+KEY=VALUE adds one on purpose, as in +sync_bn=torch.
"""

from collections.abc import Sequence

from launching import run_mmpose_tool


def main(argv: Sequence[str] | None = None) -> None:
    """Train with the arguments ``argv``, or those of this process."""
    run_mmpose_tool('train.py', __doc__, argv)


if __name__ == '__main__':
    main()
