#!/usr/bin/env bash
# Run tools/test.py on several GPUs of this machine.
#   bash tools/dist_test.sh CONFIG CHECKPOINT NUM_GPUS [options]
set -e
here=$(cd "$(dirname "$0")" && pwd)
config=$1 checkpoint=$2 gpus=$3
shift 3
PYTHONPATH="$here/..:$PYTHONPATH" exec python -m torch.distributed.run \
    --nnodes="${NNODES:-1}" --node_rank="${NODE_RANK:-0}" \
    --master_addr="${MASTER_ADDR:-127.0.0.1}" --master_port="${PORT:-29500}" \
    --nproc_per_node="$gpus" "$here/test.py" "$config" "$checkpoint" \
    --launcher pytorch "$@"
