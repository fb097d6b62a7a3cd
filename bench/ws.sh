#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Our WebSocket framing beside wslay's, in one process: CPU seconds per GB of
# payload, medians of interleaved runs. Prints a table.
# Needs wslay, which nothing else does (Debian: libwslay-dev).
set -euo pipefail
cd "$(dirname "$0")/.."
[ -f /usr/include/wslay/wslay.h ] || {
  echo "bench/ws.sh: wslay is missing (apt-get install libwslay-dev)" >&2
  exit 2
}
[ -f build/release/build.ninja ] || cmake --preset release >/dev/null
cmake --build --preset release --target arc_engine >/dev/null

work=$(mktemp -d "${TMPDIR:-/tmp}/arclua-bench.XXXXXX")
trap 'rm -rf "$work"' EXIT
gcc -std=c11 -D_GNU_SOURCE -O2 -Wall -Wextra -Icore -o "$work/ws" bench/ws.c \
  build/release/libarc_engine.a -lwslay -lcrypto
"$work/ws"
