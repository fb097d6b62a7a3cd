#!/bin/sh
# SPDX-License-Identifier: MIT
# Connect and exec, logins and a channel while our allocations fail, one by
# one and every n-th, under AddressSanitizer and LeakSanitizer.
#   STEP   try only each STEP-th allocation (1: all of them)
set -eu
cd "$(dirname "$0")/../.."

mkdir -p build
(
  flock 9 # two at once build one after the other
  [ -f build/oom/build.ninja ] || cmake --preset oom >/dev/null
  cmake --build --preset oom >/dev/null
) 9>build/lock

scratch=$(mktemp -d "${TMPDIR:-/tmp}/arclua-oom.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
export HOME="$scratch"
preload="$(gcc -print-file-name=libasan.so) $(gcc -print-file-name=libubsan.so)"
build/oom/bin/arclua emulator --machines 1 -- \
  env LD_PRELOAD="$preload" UBSAN_OPTIONS=print_stacktrace=1 \
  LSAN_OPTIONS="suppressions=$PWD/spec/support/lsan.supp" \
  LUA_PATH="lua/?.lua;lua/?/init.lua;spec/support/?.lua;spec/fuzz/oom/?.lua;;" LUA_CPATH="build/oom/?.so;;" \
  lua5.4 spec/fuzz/oom/run.lua build/oom/arclua/core.so "${1:-1}"
