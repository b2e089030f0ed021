#!/usr/bin/env bash
# Trains on the GPUs of one machine, or of several:
#   bash tools/dist_train.sh CONFIG GPUS [options of tools/train.py]
# With several machines set NNODES, NODE_RANK and MASTER_ADDR on each. PORT must
# be free.
set -euo pipefail
if [ $# -lt 2 ]; then
  echo "usage: bash $0 CONFIG GPUS [options of tools/train.py]" >&2
  exit 2
fi

python -m torch.distributed.run \
  --nnodes="${NNODES:-1}" \
  --node-rank="${NODE_RANK:-0}" \
  --master-addr="${MASTER_ADDR:-127.0.0.1}" \
  --master-port="${PORT:-29500}" \
  --nproc-per-node="$2" \
  "$(dirname "$0")/train.py" "$1" --launcher pytorch "${@:3}"
