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
export ARCLUA_PROGRAM="$PWD/build/$preset/bin/arclua"
export LUA_PATH="lua/?.lua;lua/?/init.lua;spec/support/?.lua;;"
export LUA_CPATH="build/$preset/?.so;;"

if [ "$preset" = asan ]; then
  export ARCLUA_PRELOAD="$(gcc -print-file-name=libasan.so) $(gcc \
    -print-file-name=libubsan.so)"
  # Thread-local blocks of libraries: by a guess the sanitizer takes what lies
  # before one for its size, and may then look for leaks anywhere.
  export ASAN_OPTIONS="detect_leaks=1:abort_on_error=0:intercept_tls_get_addr=0"
  export LSAN_OPTIONS="suppressions=$PWD/spec/support/lsan.supp"
  export UBSAN_OPTIONS="print_stacktrace=1"
fi

# One process and one home a file, as many at once as there are cores, the
# largest first. What a file prints is shown when something in it failed.
export SCRATCH="$scratch"
find "${@:-spec}" -name '*_spec.lua' -type f -printf '%s %p\n' | sort -rn |
  cut -d ' ' -f 2- >"$scratch/files"
[ -s "$scratch/files" ] || {
  echo "test.sh: no spec (*_spec.lua) in: ${*:-spec}" >&2
  exit 2
}
began=$(date +%s)
failed=no
xargs -P "$(nproc)" -n 1 sh spec/support/run-one.sh <"$scratch/files" || failed=yes
awk -v seconds=$(($(date +%s) - began)) '
  / success(es)? \/ / { ok += $1; bad += $4; err += $7; later += $10 }
  END {
    printf "%d successes / %d failures / %d errors / %d pending : %d seconds\n",
      ok, bad, err, later, seconds
  }' "$scratch"/*.out
[ "$failed" = no ]
