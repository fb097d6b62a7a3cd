#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs what is missing, builds, and runs a Lua script over 20 emulated Arc
# machines. --no-install: use what is there, touch no network.
set -eu
cd "$(dirname "$0")"

install=yes
machines=20
while [ $# -gt 0 ]; do
  case $1 in
  --no-install) install=no ;;
  --machines) machines=$2; shift ;;
  *) echo "demo.sh: unknown option '$1'; expected --no-install or" \
    "--machines N" >&2
    exit 2 ;;
  esac
  shift
done

[ "$install" = no ] || sh scripts/install-deps.sh
mkdir -p build
(
  flock 9 # two at once build one after the other
  [ -f build/release/build.ninja ] || cmake --preset release >/dev/null
  cmake --build --preset release >/dev/null
) 9>build/lock

arclua=build/release/bin/arclua
echo "\$ arclua emulator --machines $machines -- arclua run" \
  "scripts/fleet.lua -- uptime"
"$arclua" emulator --machines "$machines" -- \
  "$arclua" run scripts/fleet.lua -- uptime
cat <<TEXT

How to go on:
  $arclua emulator --machines $machines -- sh    a shell with a small cloud
  $arclua machines                     in it: what is there
  $arclua exec -g 'rg-*' -- uname -a   in it: a command on a selection
  scripts/fleet.lua                    the script that has just run
  README.md                            the same against real Azure
TEXT
