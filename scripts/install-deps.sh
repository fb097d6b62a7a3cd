#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs what building (and, with --test, --interop or --lint, checking) arclua needs
# on Debian 12. Says what it does first; does nothing when nothing is missing.
set -eu

build="cmake ninja-build util-linux gcc libc6-dev pkg-config lua5.4 liblua5.4-dev
libuv1-dev libcurl4-openssl-dev libssl-dev libjansson-dev
libssh-dev libhttp-parser-dev libedit-dev lua-cjson lua-argparse
openssh-server openssh-client libnss-wrapper ca-certificates"
test="lua-busted openssl libasan8 libubsan1 procps tinyproxy-bin microsocks
socat curl libpam-wrapper dbus-daemon gnome-keyring libsecret-1-0"
lint="lua-check clang-format-14 clang-tidy-14 clang-14 libclang-rt-14-dev
luarocks git"

clients="rsync git ansible-core python3 python3-venv chromium"

# A node of any origin will do, if it has its npm.
interop=
command -v node >/dev/null && command -v npm >/dev/null || interop="nodejs npm"

wanted=$build
for option; do
  case $option in
  --test) wanted="$wanted $test" ;;
  --interop) wanted="$wanted $interop $clients" ;;
  --lint) wanted="$wanted $lint" ;;
  *) echo "install-deps.sh: unknown option '$option'; expected --test," \
    "--interop or --lint" >&2
    exit 2 ;;
  esac
done

missing=
for package in $wanted; do
  state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || :)
  [ "$state" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

as_root=
if [ "$(id -u)" -ne 0 ]; then
  as_root=sudo
fi
echo "Installing with ${as_root:+sudo }apt-get:$missing" >&2
case $missing in
*" openssh-server"*)
  # Only its program is wanted: a service on port 22 would be a surprise.
  if [ -d /run/systemd/system ]; then
    echo "openssh-server: its service stays off (systemctl mask ssh.service" \
      "ssh.socket); to use it: systemctl unmask ssh.service ssh.socket" >&2
    $as_root systemctl mask --quiet ssh.service ssh.socket
  fi
  ;;
esac
$as_root apt-get update -qq
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
  --no-install-recommends $missing >&2
