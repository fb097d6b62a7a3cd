#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs what is missing, builds, and runs every spec.
#   --no-install   use what is there, touch no network
#   --asan         build and run with AddressSanitizer, UBSan and LeakSanitizer
#   FILE...        only these spec files
set -eu
cd "$(dirname "$0")"

install=yes
preset=debug
while [ $# -gt 0 ]; do
  case $1 in
  --no-install) install=no ;;
  --asan) preset=asan ;;
  -*) echo "test.sh: unknown option '$1'; expected --no-install or --asan" >&2
    exit 2 ;;
  *) break ;;
  esac
  shift
done

[ "$install" = no ] || sh scripts/install-deps.sh --test
mkdir -p build
(
  flock 9 # two at once build one after the other
  [ -f "build/$preset/build.ninja" ] || cmake --preset "$preset" >/dev/null
  cmake --build --preset "$preset"
) 9>build/lock

# Nothing of the caller's is read or written: an empty home, no credentials.
scratch=$(mktemp -d "${TMPDIR:-/tmp}/arclua-test.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
for name in $(env | sed -n 's/^\(\(AZURE\|ARCLUA\|SSH\)_[A-Z_]*\)=.*/\1/p'); do
  unset "$name"
done
export HOME="$scratch" XDG_STATE_HOME="$scratch/state"
export XDG_CONFIG_HOME="$scratch/config" XDG_CACHE_HOME="$scratch/cache"
export ARCLUA_PROGRAM="$PWD/build/$preset/bin/arclua"
export ARCLUA_REPLAY="$PWD/build/$preset/spec/fuzz/fuzz_replay"
export LUA_PATH="lua/?.lua;lua/?/init.lua;spec/support/?.lua;;"
export LUA_CPATH="build/$preset/?.so;;"

if [ "$preset" = asan ]; then
  export ARCLUA_PRELOAD="$(gcc -print-file-name=libasan.so) $(gcc \
    -print-file-name=libubsan.so)"
  export ASAN_OPTIONS="detect_leaks=1:abort_on_error=0"
  export LSAN_OPTIONS="suppressions=$PWD/spec/support/lsan.supp"
  export UBSAN_OPTIONS="print_stacktrace=1"
fi
LD_PRELOAD="${ARCLUA_PRELOAD:-}" lua5.4 "$(command -v busted)" --pattern=_spec \
  "${@:-spec}"
