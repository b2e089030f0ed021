r"""How often people are in order by their scale or the ground, without a network.

Judges the rules that labels are made by, but without a threshold: of two people the one
of the smaller scale is called farther, or with --cue ground the one who stands higher
in the image. The metrics are those of the configuration, of the same pairs as a
network's: so its `accuracy/unlabelled` is what a network has to beat on pairs that the
rule leaves out.

Example:
    python tools/benchmarks/scale_rule.py \
        configs/wsp/wsp_res18_1xb16-8e_synthetic-128x128.py rule.json
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from label_efficiency import hashed_files
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.registry import DATASETS, METRICS

from mmpose_pretext.engine.run_result_hook import write_json
from mmpose_pretext.perspective import ground_point


def run(args: argparse.Namespace) -> None:
    """Judge the rule on the test set of the configuration, and write the result."""
    if args.out.exists() and not args.force:
        raise FileExistsError(f'{args.out} exists; --force replaces it')
    cfg = Config.fromfile(args.config)
    init_default_scope(cfg.default_scope)
    metric = METRICS.build(cfg.test_evaluator)
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    names = list(dataset.metainfo['keypoint_name2id'])
    for index in range(len(dataset)):
        sample = dataset[index]['data_samples']
        people = sample.raw_ann_info
        scales = [person.get('scale') for person in people]
        if all(scale is None for scale in scales):
            raise ValueError(
                f'{dataset.ann_file}: the people of {sample.img_path} have no scale; '
                'tools/dataset_converters/label_relative_depth.py adds it'
            )
        # people whose scale or ground is not known are in no order
        depths = np.array([-s if s else np.nan for s in scales], dtype=float)
        if args.cue == 'ground':
            keypoints = np.array([person['keypoints'] for person in people], float)
            keypoints = keypoints.reshape(len(people), len(names), 3)
            depths = -ground_point(keypoints[..., :2], keypoints[..., 2], names)
        predicted = dict(depths=depths)  # one a person, none of its keypoints
        metric.process({}, [dict(sample.to_dict(), pred_instances=predicted)])
    metrics = metric.evaluate(len(dataset))
    used = hashed_files(cfg.test_dataloader.dataset)
    write_json(args.out, dict(metrics=metrics, info=dict(evaluated_on=used)))
    for name, value in metrics.items():
        print(f'{name}: {value:.4f}')


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool and return its exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='WSP configuration')
    parser.add_argument('out', type=Path, help='json to be written')
    parser.add_argument(
        '--cue', choices=('scale', 'ground'), default='scale', help='(default: scale)'
    )
    parser.add_argument('--force', action='store_true', help='replace it')
    args = parser.parse_args(argv)
    try:
        run(args)
    except (OSError, ValueError) as error:
        print(f'scale_rule.py: {error}', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
