#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# CPU of `arclua proxy` with credentials at hand, until its ClientHello has come
# to a listener that refuses it by an alert, beside `curl -V`; and of whole
# connections.
#   bench/proxy.sh [RUNS]      default 50
# As at a user's: OpenSSL's own directory of authorities (no SSL_CERT_FILE).
set -euo pipefail
cd "$(dirname "$0")/.."
runs=${1:-50}
[ -f build/release/build.ninja ] || cmake --preset release >/dev/null
cmake --build --preset release >/dev/null
unset SSL_CERT_FILE SSL_CERT_DIR
export ARCLUA="$PWD/build/release/bin/arclua" RUNS="$runs"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export WORK="$work"

cat >"$work/hello.lua" <<'LUA'
-- Takes a ClientHello and refuses it.
local core = require "arclua.core"
local listener = assert(core.tcp.listen("127.0.0.1", 0))
io.stdout:write(listener:port(), "\n")
io.stdout:flush()
while true do
  local peer = assert(listener:accept())
  local bytes = peer:read() or ""
  assert(bytes:byte(1) == 22 and bytes:byte(6) == 1, "no ClientHello")
  peer:write "\21\3\3\0\2\2\40" -- fatal: handshake_failure
  peer:close()
end
LUA

cat >"$work/run.sh" <<'SH'
set -euo pipefail
mean_of() { # WHAT COMMAND...: CPU ms a run, of RUNS
  local what=$1
  shift
  times >"$WORK/from"
  for ((i = 0; i < RUNS; i++)); do "$@" </dev/null >/dev/null 2>&1 || :; done
  times >"$WORK/to"
  tail -qn 1 "$WORK/from" "$WORK/to" | awk -v n="$RUNS" -v what="$what" '
    function s(t) { split(t, p, "[ms]"); return p[1] * 60 + p[2] }
    { sum[NR] = s($1) + s($2) }
    END { printf "| %s | %.1f |\n", what, 1000 * (sum[2] - sum[1]) / n }'
}
"$ARCLUA" ssh-config web-01 --static --file "$WORK/config" 2>/dev/null
info=$(echo "$WORK"/config.relay-info/*)
exec 3< <(exec "$ARCLUA" run "$WORK/hello.lua" 2>/dev/null)
listener=$!
read -r port <&3
base64 -d "$info" | sed "s/arc.localhost:[0-9]*/arc.localhost:$port/" >"$WORK/hello"
chmod 600 "$WORK/hello"
"$ARCLUA" proxy web-01 </dev/null >/dev/null
echo "| what | CPU ms |"
echo "|---|---:|"
mean_of "\`arclua proxy --relay-info\`, to the ClientHello" \
  "$ARCLUA" proxy --relay-info "$WORK/hello" web-01
mean_of "\`curl -V\`" curl -V
mean_of "\`arclua proxy --relay-info\`, a whole connection" \
  "$ARCLUA" proxy --relay-info "$info" web-01
mean_of "\`arclua proxy NAME\`, credentials kept: a token, a whole connection" \
  "$ARCLUA" proxy web-01
kill "$listener"
SH
"$ARCLUA" emulator --machines 1 -- bash "$work/run.sh"
