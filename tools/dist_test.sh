#!/usr/bin/env bash
# Tests on the GPUs of one machine, or of several:
#   bash tools/dist_test.sh CONFIG CHECKPOINT GPUS [options of tools/test.py]
# With several machines set NNODES, NODE_RANK and MASTER_ADDR on each. PORT must
# be free.
set -euo pipefail
if [ $# -lt 3 ]; then
  echo "usage: bash $0 CONFIG CHECKPOINT GPUS [options of tools/test.py]" >&2
  exit 2
fi

python -m torch.distributed.run \
  --nnodes="${NNODES:-1}" \
  --node-rank="${NODE_RANK:-0}" \
  --master-addr="${MASTER_ADDR:-127.0.0.1}" \
  --master-port="${PORT:-29500}" \
  --nproc-per-node="$3" \
  "$(dirname "$0")/test.py" "$1" "$2" --launcher pytorch "${@:4}"
