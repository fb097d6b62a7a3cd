#!/bin/sh
# SPDX-License-Identifier: MIT
# CPU of logins with Entra's SSH certificate.
#   bench/cert.sh [MACHINES] [FIRSTS]      default 100 machines, 20 first logins
set -eu
cd "$(dirname "$0")/.."
[ -f build/release/build.ninja ] || cmake --preset release >/dev/null
cmake --build --preset release >/dev/null
arclua=build/release/bin/arclua
"$arclua" emulator --machines "${1:-100}" -- "$arclua" run bench/cert.lua "${2:-20}"
