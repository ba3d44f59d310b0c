#!/usr/bin/env bash
# Installs what the tests need from the system: bash test/system-setup.sh
# As root on Debian (or what descends from it) with apt; anywhere else it says what is missing and leaves it at that,
# and `npm test` skips what needs it. Safe to run again: when nothing is missing, nothing is done.
set -euo pipefail
export PATH="$PATH:/usr/sbin:/sbin"

# Each line: a program that a test runs, and the Debian package it comes in.
needs='
ip          iproute2
nft         nftables
setpriv     util-linux
sysctl      procps
turnserver  coturn
sqlite3     sqlite3
miniupnpd   miniupnpd
chromium    chromium
'

missing_programs=()
missing_packages=()
while read -r program package; do
  [ -n "$program" ] || continue
  command -v "$program" >/dev/null && continue
  missing_programs+=("$program")
  missing_packages+=("$package")
done <<<"$needs"

is_root() { [ "$(id -u)" -eq 0 ]; }

# A container has no udev to make the TUN device's node, though its kernel has the device.
if [ ! -e /dev/net/tun ] && is_root; then
  mkdir -p /dev/net
  mknod /dev/net/tun c 10 200 2>/dev/null || true
fi
[ -e /dev/net/tun ] || echo 'missing: /dev/net/tun; tests of the NAT on a TUN device are skipped'

if [ ${#missing_packages[@]} -eq 0 ]; then
  echo 'system packages: all there'
  exit 0
fi

if ! is_root || ! command -v apt-get >/dev/null; then
  echo "missing: ${missing_programs[*]}; tests that need them are skipped"
  echo "on Debian, root installs them: apt-get install --no-install-recommends ${missing_packages[*]}"
  exit 0
fi

# coturn and miniupnpd come as services. A test machine wants the programs, and no daemon on its ports: invoke-rc.d asks
# this file, which forbids all starts, and afterwards the services are disabled, so that no reboot starts them either.
policy=/usr/sbin/policy-rc.d
log=$(mktemp)
made_policy=
cleanup() {
  [ -z "$made_policy" ] || rm -f "$policy"
  rm -f "$log"
}
trap cleanup EXIT
if [ ! -e "$policy" ]; then
  made_policy=yes
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
fi

echo "installing: ${missing_packages[*]}"
export DEBIAN_FRONTEND=noninteractive
apt() {
  apt-get -qq -y -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=120 "$@" </dev/null >>"$log" 2>&1 || {
    echo "apt-get $* failed:" >&2
    cat "$log" >&2
    exit 1
  }
}
apt update
apt install --no-install-recommends "${missing_packages[@]}"

if command -v systemctl >/dev/null; then
  for service in coturn miniupnpd; do
    case " ${missing_packages[*]} " in
      *" $service "*) systemctl disable "$service" >/dev/null 2>&1 || true ;;
    esac
  done
fi
echo 'system packages: all there'
