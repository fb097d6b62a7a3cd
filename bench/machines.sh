#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# `arclua machines` over many emulated machines: time and memory of the client.
# Prints a table; what the emulator costs shows in the wall time only.
#   bench/machines.sh [MACHINES] [RUNS]      default 10000 5
# Needs GNU time (Debian: time).
set -euo pipefail
cd "$(dirname "$0")/.."
machines=${1:-10000}
runs=${2:-5}
arclua=$PWD/build/release/bin/arclua
[ -x /usr/bin/time ] || {
  echo "bench/machines.sh: /usr/bin/time is missing (apt-get install time)" >&2
  exit 2
}
cmake --build --preset release >/dev/null
work=$(mktemp -d "${TMPDIR:-/tmp}/arclua-bench.XXXXXX")
trap 'rm -rf "$work"' EXIT

cat >"$work/inside.sh" <<INSIDE
row() { # FILE LABEL WORDS...: the median run, and how many lines came
  label=\$1 shown=\$2
  shift 2
  for i in \$(seq $runs); do
    /usr/bin/time -f '%e %U %S %M' -a -o "$work/\$label" "$arclua" "\$@" >"$work/out"
  done
  lines=\$(wc -l <"$work/out")
  sort -n "$work/\$label" | awk -v l="\$shown" -v n="\$lines" '
    { wall[NR] = \$1; cpu[NR] = \$2 + \$3; if (\$4 > peak) peak = \$4 }
    END { m = int((NR + 1) / 2)
      printf "| \`arclua %s\` | %d | %.2f | %.2f | %.1f |\n",
        l, n, wall[m], cpu[m], peak / 1024 }'
}
row table machines machines
row jsonl 'machines -o jsonl' machines -o jsonl
row names 'machines -o names' machines -o names
row tagged 'machines --tag role=web --os linux --status connected' \\
  machines --tag role=web --os linux --status connected
row query 'machines --query ... (all IDs)' machines --query \\
  "Resources | where type =~ 'microsoft.hybridcompute/machines' | project id | order by id asc"
row one 'show web-01' show web-01
INSIDE
echo "$machines machines, $runs runs each, $(nproc) cores, $(date -u +%Y-%m-%d)"
echo
echo "| command | lines | wall s | client CPU s | peak MiB |"
echo "|---|---:|---:|---:|---:|"
"$arclua" emulator --machines "$machines" -- bash "$work/inside.sh"
