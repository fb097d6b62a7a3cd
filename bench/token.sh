#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What a token costs that is at hand, and how many requests a crowd of tasks makes.
#   bench/token.sh [RUNS]      default 5
set -euo pipefail
cd "$(dirname "$0")/.."
runs=${1:-5}
cmake --build --preset release >/dev/null
arclua=build/release/bin/arclua
"$arclua" emulator --machines 1 -- bash -c \
  "for ((i = 0; i < $runs; i++)); do '$arclua' run bench/token.lua; done"
