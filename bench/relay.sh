#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# One connection through the emulator's relay: `arclua proxy` between two pipes
# beside a bare TLS stream over as many processes (bench/relay.c: blocking
# calls of OpenSSL, no WebSocket, no Lua), in turns; medians. Round trips until
# a command's first output; what 500 open connections cost. Prints tables.
#   bench/relay.sh [MEGABYTES [RUNS]]      default 512 7
# Needs OpenSSH (ssh and sshd).
set -euo pipefail
cd "$(dirname "$0")/.."
[ -f build/release/build.ninja ] || cmake --preset release >/dev/null
cmake --build --preset release >/dev/null
work=$(mktemp -d "${TMPDIR:-/tmp}/arclua-bench.XXXXXX")
trap 'rm -rf "$work"' EXIT
gcc -std=c11 -D_GNU_SOURCE -O2 -Wall -Wextra -o "$work/meter" bench/relay.c \
  -lssl -lcrypto
echo "bench/relay.sh $*: $(nproc) cores, $(date -u +%Y-%m-%d)"
echo
build/release/bin/arclua run bench/relay.lua "$work/meter" "$@"
echo
build/release/bin/arclua emulator --machines 500 --throttle off -- bash -c '
  "$0" run bench/idle.lua relay 500 && "$0" run bench/idle.lua ssh 50 500' \
  "$PWD/build/release/bin/arclua"
