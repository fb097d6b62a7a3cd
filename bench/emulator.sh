#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What the emulator holds and carries: memory a connection, bytes a second
# through one. Emulator and client are a process each. Prints a table.
#   bench/emulator.sh [CONNECTIONS] [SECONDS]      default 1000 5
# The machines behind are cat and dd instead of sshd; they are not counted.
# On a machine that is busy with other things: chrt -r 10 bench/emulator.sh
set -euo pipefail
cd "$(dirname "$0")/.."
cmake --build --preset release >/dev/null
ulimit -n "$(ulimit -Hn)"
export LUA_PATH="lua/?.lua;lua/?/init.lua;;" LUA_CPATH="build/release/?.so;;"
exec lua5.4 bench/emulator.lua "${1:-1000}" "${2:-5}"
