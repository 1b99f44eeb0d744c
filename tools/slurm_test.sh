#!/usr/bin/env bash
# Run tools/test.py on GPUs of a slurm cluster.
#   GPUS=8 bash tools/slurm_test.sh PARTITION JOB_NAME CONFIG CHECKPOINT [options]
# GPUS, GPUS_PER_NODE, CPUS_PER_TASK and SRUN_ARGS as for slurm_train.sh.
set -e
here=$(cd "$(dirname "$0")" && pwd)
partition=$1 job_name=$2 config=$3 checkpoint=$4
shift 4
gpus=${GPUS:-8}
per_node=${GPUS_PER_NODE:-$((gpus < 8 ? gpus : 8))}
# SRUN_ARGS is several words
PYTHONPATH="$here/..:$PYTHONPATH" exec srun -p "$partition" \
    --job-name="$job_name" --gres="gpu:$per_node" --ntasks="$gpus" \
    --ntasks-per-node="$per_node" --cpus-per-task="${CPUS_PER_TASK:-5}" \
    --kill-on-bad-exit=1 $SRUN_ARGS \
    python -u "$here/test.py" "$config" "$checkpoint" --launcher slurm "$@"
