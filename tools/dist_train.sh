#!/usr/bin/env bash
# Run tools/train.py on several GPUs of this machine.
#   bash tools/dist_train.sh CONFIG NUM_GPUS [options]
set -e
here=$(cd "$(dirname "$0")" && pwd)
[ $# -ge 2 ] || { sed -n '2,3s/^# *//p' "$0"; exit 2; }
config=$1 gpus=$2
shift 2
PYTHONPATH="$here/..:$PYTHONPATH" exec python -m torch.distributed.run \
    --nnodes="${NNODES:-1}" --node_rank="${NODE_RANK:-0}" \
    --master_addr="${MASTER_ADDR:-127.0.0.1}" --master_port="${PORT:-29500}" \
    --nproc_per_node="$gpus" "$here/train.py" "$config" --launcher pytorch "$@"
