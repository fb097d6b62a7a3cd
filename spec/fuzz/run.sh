#!/bin/sh
# SPDX-License-Identifier: MIT
# Builds the fuzz targets and runs each of them.
#   SECONDS        how long each looks for new inputs; 20 when not given
#   replay         only what is in corpus/, once
#   TARGET...      only these
# What it finds (new inputs, and crash-*) stays in build/fuzz/found/TARGET.
set -eu
cd "$(dirname "$0")/../.."

how=20
case ${1:-} in
replay | [0-9]*) how=$1; shift ;;
esac

mkdir -p build
(
  flock 9 # two at once build one after the other
  [ -f build/fuzz/build.ninja ] || cmake --preset fuzz >/dev/null
  cmake --build --preset fuzz
) 9>build/lock

[ $# -gt 0 ] || set -- $(cd spec/fuzz && ls *.c | sed 's/\.c$//')
for target; do
  program=build/fuzz/spec/fuzz/fuzz_$target
  corpus=spec/fuzz/corpus/$target
  found=build/fuzz/found/$target
  mkdir -p "$found"
  echo "== $target"
  if [ "$how" = replay ]; then
    "$program" -timeout=10 -artifact_prefix="$found/" "$corpus"/* 2>"$found.log" || {
      tail -n 40 "$found.log" >&2
      exit 1
    }
  else
    "$program" -timeout=10 -max_len=8192 -max_total_time="$how" \
      -print_final_stats=1 -artifact_prefix="$found/" "$found" "$corpus" \
      2>"$found.log" || {
      tail -n 40 "$found.log" >&2
      exit 1
    }
    grep -E 'stat::(number_of_executed|average_exec)' "$found.log"
  fi
done
