"""Test a model with MMPose's tools/test.py.

CONFIG is a path, or the name of a config of mmpose_pretext such as
td-hm_res50_scratch_8xb64-210e_coco-256x192. CHECKPOINT is what training wrote,
also on torch >= 2.6. --cfg-options refuses a key that the config does not have,
and +KEY=VALUE adds one on purpose.
"""

from collections.abc import Sequence

from launching import run_mmpose_tool


def main(argv: Sequence[str] | None = None) -> None:
    """Test with the arguments ``argv``, or those of this process."""
    run_mmpose_tool('test.py', __doc__, argv)


if __name__ == '__main__':
    main()
