#!/usr/bin/env bash
# Tests on a Slurm cluster:
#   bash tools/slurm_test.sh PARTITION JOB_NAME CONFIG CHECKPOINT [options of tools/test.py]
# GPUS, GPUS_PER_NODE and CPUS_PER_TASK change the size of the job, and SRUN_ARGS
# holds further options of srun.
set -euo pipefail
if [ $# -lt 4 ]; then
  echo "usage: bash $0 PARTITION JOB_NAME CONFIG CHECKPOINT [options of tools/test.py]" >&2
  exit 2
fi

# shellcheck disable=SC2086  # SRUN_ARGS is a list of words
srun --partition="$1" \
  --job-name="$2" \
  --gres=gpu:"${GPUS_PER_NODE:-8}" \
  --ntasks="${GPUS:-8}" \
  --ntasks-per-node="${GPUS_PER_NODE:-8}" \
  --cpus-per-task="${CPUS_PER_TASK:-5}" \
  --kill-on-bad-exit=1 \
  ${SRUN_ARGS:-} \
  python -u "$(dirname "$0")/test.py" "$3" "$4" --launcher slurm "${@:5}"
