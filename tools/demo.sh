#!/usr/bin/env bash
# Shows HSJP pretraining from end to end on synthetic people: pretrains a backbone
# without labels, fine-tunes it and a control from random weights on few labels, tests
# both, and prints a table and the paths of three pictures. Some minutes on 2 CPU cores.
#   bash tools/demo.sh [OUT_DIR]      (default: work_dirs/demo)
# What is finished is kept: the demo goes on where it was interrupted.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
out=$(realpath -m "${1:-$root/work_dirs/demo}")
bash "$root/tools/setup_env.sh" --if-needed
PATH=$(realpath -m "${PRETEXT_VENV:-$root/.venv}")/bin:$PATH
unset PYTHONHOME PYTHONPATH
mkdir -p "$out"
cd "$out" # the configurations' data/ and work_dirs/ are here

configs=$root/configs/synthetic
pretraining=hsjp_res18-half_1xb16-12e_synthetic-96x64
scratch=td-hm_res18-half_scratch_1xb16-30e_synthetic-96x64
finetuning=td-hm_res18-half_hsjp-12e-pre_1xb16-30e_synthetic-96x64

# Runs a command with its output in a log, which is shown if the command fails.
step() {
  local name=$1 started=$SECONDS
  shift
  printf '%-58s' "$name ..."
  if ! "$@" >"$out/demo.log" 2>&1; then
    printf 'failed\n'
    tail -n 30 "$out/demo.log"
    echo "The whole output is in $out/demo.log." >&2
    exit 1
  fi
  printf '%4d s\n' $((SECONDS - started))
}

make_people() { # SPLIT NUMBER SEED
  [ -e "data/synthetic/annotations/person_keypoints_$1.json" ] && return
  step "make $2 images of synthetic people ($1)" \
    python "$root/tools/dataset_converters/make_synthetic_people.py" data/synthetic \
    --split "$1" --num-images "$2" --people 1 3 --seed "$3" --workers 2 --force
}

train() { # CONFIG EPOCHS DESCRIPTION
  [ -e "work_dirs/$1/epoch_$2.pth" ] && return
  local gpus=0
  python -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' && gpus=1
  step "$3" mim train mmpose "$configs/$1.py" --work-dir "work_dirs/$1" \
    --launcher none --gpus "$gpus" --resume
}

test_model() { # CONFIG
  step "test $1" mim test mmpose "$configs/$1.py" \
    --checkpoint "work_dirs/$1/epoch_30.pth" --work-dir "work_dirs/$1/test" \
    --launcher none
}

make_people unlabelled 700 1
make_people train 100 2
make_people val 150 3

train "$pretraining" 12 'pretrain: puzzles of unlabelled people'
backbone=work_dirs/$pretraining/backbone.pth
if [ ! -e "$backbone" ]; then
  step 'extract the backbone' python "$root/tools/model_converters/extract_backbone.py" \
    "work_dirs/$pretraining/epoch_12.pth" "$backbone"
fi
train "$finetuning" 30 'fine-tune from the pretrained backbone'
train "$scratch" 30 'train the control from random weights'
test_model "$finetuning"
test_model "$scratch"

step 'draw puzzles' python "$root/tools/visualizations/jigsaw_puzzles.py" \
  "$configs/$pretraining.py" "work_dirs/$pretraining/epoch_12.pth" puzzles.png \
  --scale 3 --force
step 'draw poses' python "$root/tools/visualizations/predicted_poses.py" \
  "$configs/$finetuning.py" poses.png "scratch=work_dirs/$scratch/epoch_30.pth" \
  "HSJP=work_dirs/$finetuning/epoch_30.pth" --force
step 'draw learning curves' python "$root/tools/visualizations/learning_curves.py" \
  curves.png "scratch=work_dirs/$scratch" "HSJP=work_dirs/$finetuning" \
  --key pck@0.1/PCK loss --force

python - "$pretraining" "$scratch" "$finetuning" <<'PYTHON'
import json
import sys
from pathlib import Path


def last(work_dir, key):
    """The last value of a scalar in MMEngine's logs of a work directory."""
    for log in sorted(Path(work_dir).glob('**/*.json'), reverse=True):
        for line in reversed(log.read_text().splitlines()):
            if key in (scalars := json.loads(line)):
                return scalars[key]
    raise SystemExit(f'no {key} in the logs under {work_dir}')


pretraining, scratch, finetuning = (Path('work_dirs') / name for name in sys.argv[1:])
found, chance = (
    last(pretraining, f'jigsaw/{kind}_accuracy') for kind in ('cell', 'chance')
)
print(f'\nPretraining puts {100 * found:.1f} % of the patches into the right cell')
print(f'(by chance: {100 * chance:.1f} %). People never seen, few labels, one seed:\n')
print('| start           | PCK@0.1 | PCK@0.2 |')
print('|-----------------|--------:|--------:|')
for name, work_dir in (('random weights', scratch), ('HSJP backbone', finetuning)):
    pck = [100 * last(work_dir / 'test', f'pck@{t}/PCK') for t in ('0.1', '0.2')]
    print(f'| {name:15} | {pck[0]:7.1f} | {pck[1]:7.1f} |')
PYTHON
cat <<MESSAGE

puzzles, their target heatmaps and the network's answers: $out/puzzles.png
predicted poses:                                          $out/poses.png
learning curves:                                          $out/curves.png
MESSAGE
