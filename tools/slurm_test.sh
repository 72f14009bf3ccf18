#!/usr/bin/env bash
# slurm_test.sh CONFIG CHECKPOINT NODES GPUS_PER_NODE [options of test.py]; srun's options in SRUN_ARGS (partition, time, account). Each node starts torchrun, which finds the others by c10d.
set -euo pipefail
config=$1 checkpoint=$2 nodes=$3 gpus=$4
here=$(dirname "$0") port=${PORT:-29500}
srun --nodes="$nodes" --ntasks-per-node=1 --gpus-per-node="$gpus" --kill-on-bad-exit=1 ${SRUN_ARGS:-} bash -c '
    head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
    exec torchrun --nnodes="$SLURM_NNODES" --nproc_per_node="'"$gpus"'" --rdzv_backend=c10d --rdzv_id="$SLURM_JOB_ID" --rdzv_endpoint="$head:'"$port"'" "$@"
' bash "$here/test.py" "$config" "$checkpoint" --launcher pytorch "${@:5}"
