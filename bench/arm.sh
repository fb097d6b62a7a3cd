#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Credentials for a large fleet against ARM's documented limits, on a clock
# that runs SCALE times faster. Prints a table.
#   bench/arm.sh [MACHINES] [SCALE]      default 10000 10
# One process is client and Azure: where it has no time left for both (see the
# column CPU) a smaller SCALE tells the truth.
set -euo pipefail
cd "$(dirname "$0")/.."
cmake --build --preset release >/dev/null
ARCLUA_STATE=$(mktemp -d)
export ARCLUA_STATE
trap 'rm -rf "$ARCLUA_STATE"' EXIT
export LUA_PATH="lua/?.lua;lua/?/init.lua;;" LUA_CPATH="build/release/?.so;;"
lua5.4 bench/arm.lua "${1:-10000}" "${2:-10}"
