#!/bin/sh
# Train and save every sample again: samples/make_samples.sh [FOLDER], by default over the committed files.
# PYTHON names the interpreter that has the frameworks. Each script runs in a process of its own.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
folder=${1:-"$root/samples"}
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
cd "$root"
for script in train_digits_keras train_sunspots_keras train_digits_pytorch make_wrong_pair \
    cells.train_cells cells.train_tf1 cells.train_gates_keras; do
    OMP_NUM_THREADS=1 TF_CPP_MIN_LOG_LEVEL=3 "${PYTHON:-python3}" -m "samples.$script" "$folder"
done
