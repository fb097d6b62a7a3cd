#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Copies through the emulator's relay: `arclua copy` beside OpenSSH's sftp and
# scp over `arclua proxy`, in turns; medians. A large file without and with the
# profile azure, many small ones without a profile and with `near`. All sums
# are compared. Prints tables.
#   bench/copy.sh [PART...]      large small azure; default all of them
#   RUNS=3 MEGABYTES=1000 AZURE_MEGABYTES=1000 FILES=10000 NEAR_FILES=500
# Files are on a RAM disk (/dev/shm) where there is one: disks are not measured.
# Needs OpenSSH (ssh, scp, sftp, sshd) and GNU time.
set -euo pipefail
cd "$(dirname "$0")/.."
for tool in /usr/bin/time ssh scp sftp; do
  command -v "$tool" >/dev/null || {
    echo "bench/copy.sh: $tool is missing (apt-get install time" \
      "openssh-client)" >&2
    exit 2
  }
done
[ -f build/release/build.ninja ] || cmake --preset release >/dev/null
cmake --build --preset release >/dev/null 2>&1
export RUNS=${RUNS:-3} MEGABYTES=${MEGABYTES:-1000} FILES=${FILES:-10000}
export AZURE_MEGABYTES=${AZURE_MEGABYTES:-1000} NEAR_FILES=${NEAR_FILES:-500}
export ARCLUA=$PWD/build/release/bin/arclua
[ -w /dev/shm ] && export TMPDIR=/dev/shm
work=$(mktemp -d "${TMPDIR:-/tmp}/arclua-bench.XXXXXX")
trap 'rm -rf "$work"' EXIT
export WORK=$work

cat >"$work/lib.sh" <<'LIB'
set -euo pipefail
cd "$WORK"
cat >ssh_config <<CONFIG
Host *
  User $ARCLUA_USER
  IdentityFile $ARCLUA_IDENTITY
  IdentitiesOnly yes
  StrictHostKeyChecking accept-new
  UserKnownHostsFile $WORK/known
  LogLevel ERROR
  ProxyCommand $ARCLUA proxy %h
CONFIG
rm -f known
# timed NAME COMMAND...: appends seconds, CPU seconds and peak KiB to NAME.
timed() {
  local name=$1
  shift
  /usr/bin/time -q -a -f '%e %U %S %M' -o "$name.times" "$@" >/dev/null \
    2>"$name.err" || { cat "$name.err" >&2; exit 1; }
}
openssh() { # put|get FROM TO
  echo "$1 $2 $3" >batch
  sftp -q -F ssh_config -b batch web-01
}
export -f openssh
there() { # a sum on the machine
  "$ARCLUA" exec web-01 -o live -- "$1" 2>/dev/null | sed 's/^web-01: //'
}
# row NAME LABEL BYTES PEER: medians; how many times as fast as the peer.
median() { # FIELD NAME
  cut -d ' ' -f "$1" "$2.times" | sort -g | sed -n "$(((RUNS + 1) / 2))p"
}
row() {
  local seconds peer peak
  seconds=$(median 1 "$1")
  peer=$(median 1 "$4")
  peak=$(cut -d ' ' -f 4 "$1.times" | sort -g | tail -n 1)
  awk -v l="$2" -v s="$seconds" -v p="$peer" -v b="$3" -v k="$peak" \
    -v c="$(awk '{ t += $2 + $3 } END { print t / NR }' "$1.times")" 'BEGIN {
      printf "| %-34s | %7.2f s | %6.1f MB/s | %5.2f | %5.2f s | %5.1f MiB |\n",
        l, s, b / 1e6 / s, p / s, c, k / 1024 }'
}
LIB

cat >"$work/large.sh" <<'LARGE'
. "$WORK/lib.sh"
bytes=$((MB * 1000000))
head -c "$bytes" /dev/urandom >large
sum=$(sha256sum <large)
"$ARCLUA" exec web-01 -- true >/dev/null 2>&1
same() { [ "$1" = "$sum" ] || { echo "the sums differ: $2" >&2; exit 1; }; }
for _ in $(seq "$RUNS"); do
  timed up4 "$ARCLUA" copy -o quiet large web-01:a
  same "$(there "sha256sum <a")" a
  timed ups bash -c 'openssh put large c'
  same "$(there "sha256sum <c")" c
  there "rm c" >/dev/null
  timed down4 "$ARCLUA" copy -o quiet web-01:a d
  same "$(sha256sum <d)" d && rm d
  timed downs bash -c 'openssh get a d'
  same "$(sha256sum <d)" d && rm d
  [ -n "$ONE" ] || continue
  timed up1 "$ARCLUA" copy -o quiet --connections 4 large web-01:b
  same "$(there "sha256sum <b")" b
  timed down1 "$ARCLUA" copy -o quiet --connections 4 web-01:b d
  same "$(sha256sum <d)" d && rm d
done
echo "| $MB MB, $WHAT | time | rate | sftp's time / this | CPU | peak RSS |"
echo "|---|---:|---:|---:|---:|---:|"
row up4 "up, arclua copy" "$bytes" ups
[ -z "$ONE" ] || row up1 "up, arclua copy --connections 4" "$bytes" ups
row ups "up, sftp over arclua proxy" "$bytes" ups
row down4 "down, arclua copy" "$bytes" downs
[ -z "$ONE" ] || row down1 "down, arclua copy --connections 4" "$bytes" downs
row downs "down, sftp over arclua proxy" "$bytes" downs
echo
LARGE

cat >"$work/small.sh" <<'SMALL'
. "$WORK/lib.sh"
mkdir small
for i in $(seq "$COUNT"); do
  printf '%01024d' "$i" >"small/$i"
done
bytes=$((COUNT * 1024))
sum=$(cd small && cat $(seq "$COUNT") | sha256sum)
"$ARCLUA" exec web-01 -- true >/dev/null 2>&1
for run in $(seq "$RUNS"); do
  timed up "$ARCLUA" copy -o quiet -r small web-01:a
  timed ups scp -q -F ssh_config -r small web-01:b
  for name in a b; do
    [ "$(there "cd $name && cat \$(seq $COUNT) | sha256sum")" = "$sum" ]
  done
  timed down "$ARCLUA" copy -o quiet -r web-01:a c
  timed downs scp -q -F ssh_config -r web-01:b d
  for name in c d; do
    [ "$(cd "$name" && cat $(seq "$COUNT") | sha256sum)" = "$sum" ]
  done
  rm -r c d
  there "rm -r a b" >/dev/null
done
rm -r small
echo "| $COUNT files of 1 KB, $WHAT | time | rate | scp's time / this | CPU |" \
  "peak RSS |"
echo "|---|---:|---:|---:|---:|---:|"
row up "up, arclua copy -r" "$bytes" ups
row ups "up, scp -r over arclua proxy" "$bytes" ups
row down "down, arclua copy -r" "$bytes" downs
row downs "down, scp -r over arclua proxy" "$bytes" downs
echo
rm -f ./*.times
SMALL

inside() { # SCRIPT [OPTION...]: runs it with an emulator
  local script=$1
  shift
  rm -f "$work"/*.times
  "$ARCLUA" emulator --machines 1 --seed 2 "$@" -- bash "$work/$script.sh"
}
echo "bench/copy.sh $*: $(nproc) cores, $(date -u +%Y-%m-%d)," \
  "$(ssh -V 2>&1 | cut -d , -f 1), medians of $RUNS"
echo
for part in "${@:-large small azure}"; do
  for one in $part; do
    case $one in
    large) MB=$MEGABYTES ONE=yes WHAT="no profile" inside large ;;
    small)
      COUNT=$FILES WHAT="no profile" inside small
      COUNT=$NEAR_FILES WHAT="profile near" RUNS=1 inside small --profile near
      ;;
    azure)
      MB=$AZURE_MEGABYTES ONE='' WHAT="profile azure" RUNS=1 inside large \
        --profile azure
      ;;
    *) echo "bench/copy.sh: no part '$one'; large small azure" >&2; exit 2 ;;
    esac
  done
done
