#!/usr/bin/env bash
# Run tools/train.py on GPUs of a slurm cluster.
#   GPUS=8 bash tools/slurm_train.sh PARTITION JOB_NAME CONFIG WORK_DIR [options]
# GPUS is the number in all (8), GPUS_PER_NODE how many are taken of a machine
# (8, or GPUS if that is less), CPUS_PER_TASK (5); SRUN_ARGS goes to srun.
set -e
here=$(cd "$(dirname "$0")" && pwd)
[ $# -ge 4 ] || { sed -n '2,5s/^# *//p' "$0"; exit 2; }
partition=$1 job_name=$2 config=$3 work_dir=$4
shift 4
gpus=${GPUS:-8}
per_node=${GPUS_PER_NODE:-$((gpus < 8 ? gpus : 8))}
# SRUN_ARGS is several words
PYTHONPATH="$here/..:$PYTHONPATH" exec srun -p "$partition" \
    --job-name="$job_name" --gres="gpu:$per_node" --ntasks="$gpus" \
    --ntasks-per-node="$per_node" --cpus-per-task="${CPUS_PER_TASK:-5}" \
    --kill-on-bad-exit=1 $SRUN_ARGS \
    python -u "$here/train.py" "$config" --work-dir "$work_dir" \
    --launcher slurm "$@"
