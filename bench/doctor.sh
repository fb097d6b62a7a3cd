#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# `arclua doctor` over many emulated machines: without ARM's limits, and with
# the documented ones, beside the least time that those allow. Prints a table.
#   bench/doctor.sh [MACHINES]      default 500
# The emulator, with a real sshd for each handshake, runs on the same cores.
set -euo pipefail
cd "$(dirname "$0")/.."
machines=${1:-500}
arclua=$PWD/build/release/bin/arclua
cmake --build --preset release >/dev/null
work=$(mktemp -d "${TMPDIR:-/tmp}/arclua-bench.XXXXXX")
trap 'rm -rf "$work"' EXIT
ulimit -n "$(ulimit -Hn)"

for throttle in off documented; do
  "$arclua" emulator --machines "$machines" --throttle "$throttle" \
    --log-file "$work/$throttle.log" -- \
    "$arclua" doctor -o json >"$work/$throttle.json" 2>"$work/$throttle.err" ||
    echo "doctor with --throttle $throttle: status $?" >&2
  cat "$work/$throttle.err" >&2
done
exec "$arclua" run bench/doctor.lua "$work" "$machines"
