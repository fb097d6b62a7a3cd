#!/bin/sh
# SPDX-License-Identifier: MIT
# Checks arclua against programs that are not ours: npm ws, hyco-ws, OpenSSH,
# Microsoft's sign-in libraries for node, Chromium, the Azure CLI.
#   --no-install   use what is there, touch no network
#   FILE...        only these
# Node's packages go to build/interop, and the Azure CLI (400 MB, half a minute)
# to build/interop/az; where that fails its spec says that it was left out.
set -eu
cd "$(dirname "$0")/../.."

install=yes
if [ "${1:-}" = --no-install ]; then
  install=no
  shift
fi
peers=build/interop
if [ "$install" = yes ]; then
  sh scripts/install-deps.sh --test --interop
  mkdir -p "$peers"
  cp spec/interop/peers/* "$peers/"
  (
    cd "$peers"
    npm install --silent --no-audit --no-fund --ignore-scripts
    # hyco-ws asks for packages that are not there (http@latest); it works with
    # this ws and moment, which it gets beside it.
    mkdir -p hyco
    cp hyco.cjs hyco/
    cd hyco
    [ -f node_modules/hyco-ws/package.json ] || {
      echo '{ "private": true }' >package.json
      npm install --silent --no-audit --no-fund --ignore-scripts --no-save \
        ws@1.1.5 moment@2
      tar xzf "$(npm pack --silent hyco-ws@1.0.5)"
      mv package node_modules/hyco-ws
    }
  )
  [ -x "$peers/az/bin/az" ] || {
    python3 -m venv "$peers/az" &&
      timeout 600 "$peers/az/bin/pip" install --quiet --no-compile azure-cli
  } || {
    echo "interop: the Azure CLI cannot be installed" >&2
    rm -rf "$peers/az"
  }
fi
mkdir -p build
(
  flock 9 # two at once build one after the other
  [ -f build/debug/build.ninja ] || cmake --preset debug >/dev/null
  cmake --build --preset debug >/dev/null
) 9>build/lock

scratch=$(mktemp -d "${TMPDIR:-/tmp}/arclua-interop.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
for name in $(env | sed -n 's/^\(\(AZURE\|ARCLUA\|SSH\)_[A-Z_]*\)=.*/\1/p'); do
  unset "$name"
done
export HOME="$scratch" XDG_STATE_HOME="$scratch/state"
export XDG_CONFIG_HOME="$scratch/config" XDG_CACHE_HOME="$scratch/cache"
export ARCLUA_PROGRAM="$PWD/build/debug/bin/arclua" ARCLUA_PEERS="$PWD/$peers"
export LUA_PATH="lua/?.lua;lua/?/init.lua;spec/support/?.lua;spec/interop/?.lua;;"
export LUA_CPATH="build/debug/?.so;;"
lua5.4 "$(command -v busted)" --pattern=_interop "${@:-spec/interop}"
