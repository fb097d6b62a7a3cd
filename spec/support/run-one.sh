#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs one spec file for test.sh: in a home of its own, quietly when all is well.
set -eu
file=$1
name=$(printf %s "$file" | tr / .)
export HOME="$SCRATCH/$name"
export XDG_STATE_HOME="$HOME/state" XDG_CONFIG_HOME="$HOME/config"
export XDG_CACHE_HOME="$HOME/cache"
mkdir -p "$HOME"

began=$(date +%s)
status=0
LD_PRELOAD="${ARCLUA_PRELOAD:-}" lua5.4 "$(command -v busted)" --pattern=_spec \
  "$file" >"$HOME.out" 2>&1 || status=$?
if [ "$status" -ne 0 ]; then
  printf '\n== %s: exit status %d\n' "$file" "$status"
  cat "$HOME.out"
fi
awk -v file="$file" -v seconds=$(($(date +%s) - began)) '
  / success(es)? \/ / { printf "%5d ok %4d s  %s\n", $1, seconds, file }' "$HOME.out"
exit "$status"
