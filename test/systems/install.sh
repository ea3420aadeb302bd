#!/usr/bin/env bash
# Installs the real systems that the connector tests run against (Debian packages; no daemon is started). Needs root and
# apt-get: elsewhere it says so and changes nothing, and the suites then name what they skipped. Safe to repeat.
set -euo pipefail

packages=(
  openssl slapd ldap-utils
  openssh-server openssh-client
  dovecot-imapd dovecot-lmtpd dovecot-sieve dovecot-managesieved exim4-daemon-light
  samba samba-ad-dc samba-ad-provision samba-dsdb-modules samba-vfs-modules winbind python3-samba ldb-tools
  mariadb-server mariadb-client
  freeradius freeradius-utils freeradius-postgresql freeradius-ldap
)

missing=()
for package in "${packages[@]}"; do
  status="$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)"
  [ "$status" = installed ] || missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then
  echo "all there: ${packages[*]}"
  exit 0
fi
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
  echo "not installed, because this needs root and apt-get: ${missing[*]}"
  exit 0
fi

# 101 forbids the packages' own scripts to start a daemon.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod +x "$policy"
  trap 'rm -f "$policy"' EXIT
fi
export DEBIAN_FRONTEND=noninteractive
apt-get -o DPkg::Lock::Timeout=300 -qq update
apt-get -o DPkg::Lock::Timeout=300 -qq install -y --no-install-recommends "${missing[@]}" >/dev/null
echo "installed: ${missing[*]}"
