#!/bin/sh
# SPDX-License-Identifier: MIT
# Looks for inputs that break a parser, for HOURS in all (a fraction will do),
# one target after the other, two at a time; then lets every allocation fail.
# What it finds stays in build/fuzz/found; a finding belongs into spec/fuzz/corpus.
#   bench/fuzz.sh HOURS [TARGET...]
set -eu
cd "$(dirname "$0")/.."

hours=${1:?usage: bench/fuzz.sh HOURS [TARGET...]}
shift
[ $# -gt 0 ] || set -- $(cd spec/fuzz && ls ./*.c | sed 's|^\./||; s/\.c$//')
jobs=2
each=$(awk "BEGIN { print int($hours * 3600 * $jobs / $#) }")
[ "$each" -gt 0 ] || {
  echo "fuzz.sh: $hours hours are less than a second for each of $# targets" >&2
  exit 2
}

spec/fuzz/run.sh replay
echo "$# targets, $each seconds each, $jobs at a time"
printf '%s\n' "$@" | xargs -P "$jobs" -n 1 spec/fuzz/run.sh "$each"
spec/fuzz/oom.sh
