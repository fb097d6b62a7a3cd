#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# `true` on many machines: arclua through the emulated cloud and its relay,
# beside pssh and xargs ssh straight to one sshd. Prints a table.
#   bench/exec.sh [MACHINES] [PARALLEL]      default 200 100
# Needs pssh and GNU time (Debian: pssh time); says so when they are missing.
set -euo pipefail
cd "$(dirname "$0")/.."
machines=${1:-200}
parallel=${2:-100}
arclua=$PWD/build/release/bin/arclua
for tool in parallel-ssh /usr/bin/time sshd; do
  PATH=$PATH:/usr/sbin command -v "$tool" >/dev/null || {
    echo "bench/exec.sh: $tool is missing (apt-get install pssh time" \
      "openssh-server)" >&2
    exit 2
  }
done
cmake --build --preset release >/dev/null

work=$(mktemp -d "${TMPDIR:-/tmp}/arclua-bench.XXXXXX")
cleanup() {
  [ -f "$work/sshd.pid" ] && kill "$(cat "$work/sshd.pid")" || :
  rm -rf "$work"
}
trap cleanup EXIT
ulimit -n "$(ulimit -Hn)"

# timed NAME COMMAND...: wall, user, sys, peak KiB and status into $work/NAME.
timed() {
  local name=$1
  shift
  /usr/bin/time -q -f '%e %U %S %M %x' -o "$work/$name" "$@" \
    >"$work/$name.out" 2>"$work/$name.err" || :
}

# arclua: cold caches, no throttle; what the emulator costs is not counted.
cat >"$work/inside.sh" <<INSIDE
/usr/bin/time -q -f '%e %U %S %M %x' -o "$work/arclua" \\
  "$arclua" exec --all --yes -P $parallel -o jsonl -- true \\
  >"$work/arclua.out" 2>"$work/arclua.err"
"$arclua" run bench/descriptors.lua $parallel >"$work/descriptors"
INSIDE
"$arclua" emulator --machines "$machines" --throttle off -- \
  bash "$work/inside.sh" || :
ok=$(grep -c '"state":"ok"' "$work/arclua.out" || :)

# The peers: one sshd on loopback, one name a machine.
ssh-keygen -q -t ed25519 -N '' -f "$work/host"
ssh-keygen -q -t ed25519 -N '' -f "$work/user"
cp "$work/user.pub" "$work/authorized"
[ "$(id -u)" -ne 0 ] || mkdir -p /run/sshd
port=$((20000 + RANDOM % 20000))
cat >"$work/sshd_config" <<CONFIG
Port $port
ListenAddress 127.0.0.1
HostKey $work/host
PidFile $work/sshd.pid
AuthorizedKeysFile $work/authorized
UsePAM no
StrictModes no
PasswordAuthentication no
MaxStartups 1000
SetEnv HOME=$work
CONFIG
"$(PATH=$PATH:/usr/sbin command -v sshd)" -f "$work/sshd_config"
cat >"$work/ssh_config" <<CONFIG
Host *
  HostName 127.0.0.1
  Port $port
  User $(id -un)
  IdentityFile $work/user
  IdentitiesOnly yes
  StrictHostKeyChecking no
  UserKnownHostsFile /dev/null
  LogLevel ERROR
CONFIG
seq -f 'n%04g' 1 "$machines" >"$work/hosts"
timed pssh parallel-ssh -h "$work/hosts" -p "$parallel" -t 0 \
  -x "-F $work/ssh_config" true
timed xargs xargs -a "$work/hosts" -P "$parallel" -I{} \
  ssh -F "$work/ssh_config" {} true

row() { # NAME LABEL
  read -r wall user sys rss status <"$work/$1"
  awk -v l="$2" -v w="$wall" -v u="$user" -v s="$sys" -v r="$rss" \
    -v n="$machines" -v x="$status" 'BEGIN {
      printf "| %-34s | %7.2f | %8.2f | %8.2f | %8.1f | %6d |\n",
        l, w, u + s, (u + s) * 1000 / n, r / 1024, x }'
}
ratio() { # NAME: its figures as multiples of arclua's
  paste -d' ' "$work/$1" "$work/arclua" | awk -v l="$1" '{
    printf "%s / arclua: wall %.2f, client CPU %.1f\n",
      l, $1 / $6, ($2 + $3) / ($7 + $8) }'
}
echo "\`true\` on $machines machines, $parallel at once, $(nproc) cores," \
  "$(date -u +%Y-%m-%d)"
echo
echo "| client                             |  wall s | CPU s    | ms/mach. |" \
  "peak MiB | status |"
echo "|---|---:|---:|---:|---:|---:|"
row arclua "arclua exec (ARM, relay, SSH)"
row pssh "pssh, straight to one sshd"
row xargs "xargs ssh, straight to one sshd"
echo
ratio pssh
ratio xargs
echo "arclua: $ok of $machines ok; $(cat "$work/descriptors")"
