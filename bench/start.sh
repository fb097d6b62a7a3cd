#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Time to start and end: `arclua -e ''` beside `lua5.4 -e ''`, in turns.
#   bench/start.sh [RUNS]      default 50
set -euo pipefail
cd "$(dirname "$0")/.."
runs=${1:-50}
cmake --build --preset release >/dev/null
arclua=build/release/bin/arclua
once() { # COMMAND...: milliseconds on stdout
  local from=${EPOCHREALTIME/./}
  "$@" >/dev/null
  local to=${EPOCHREALTIME/./}
  echo "$(((to - from))) "
}
for ((i = 0; i < runs; i++)); do
  once "$arclua" -e '' >>/dev/stdout
  once lua5.4 -e ''
done | awk '
  NR % 2 { a[++n] = $1 } !(NR % 2) { b[n] = $1 }
  function median(list, n,   i, j, t) {
    for (i = 2; i <= n; i++)
      for (j = i; j > 1 && list[j] < list[j - 1]; j--) {
        t = list[j]; list[j] = list[j - 1]; list[j - 1] = t }
    return list[int((n + 1) / 2)] / 1000 }
  END {
    x = median(a, n); y = median(b, n)
    printf "arclua -e %s: median %.2f ms; lua5.4 -e %s: %.2f ms; " \
      "allowed 2 x %.2f + 4 = %.2f ms\n", "\"\"", x, "\"\"", y, y, 2 * y + 4 }'
