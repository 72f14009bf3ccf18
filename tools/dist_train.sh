#!/usr/bin/env bash
# dist_train.sh CONFIG PROCESSES [options of train.py]; one process a GPU, or gloo on a CPU. NNODES, NODE_RANK, MASTER_ADDR, PORT for several machines.
set -euo pipefail
config=$1 processes=$2
torchrun --nnodes="${NNODES:-1}" --node_rank="${NODE_RANK:-0}" --master_addr="${MASTER_ADDR:-127.0.0.1}" --master_port="${PORT:-29500}" --nproc_per_node="$processes" \
    "$(dirname "$0")/train.py" "$config" --launcher pytorch "${@:3}"
