#!/bin/sh
# Installs the Debian packages of the named groups (packages.txt) that are missing: as root, else
# with sudo; else it prints the one command that does it and exits 1. Silent when all are there.
set -eu
list=$(dirname "$0")/packages.txt

wanted=$(awk -v groups=" $* " '$1 !~ /^#/ && index(groups, " " $1 " ") { print $2 }' "$list")
if ! command -v dpkg-query >/dev/null; then
  echo "kvasir: not a Debian system, so install these yourself (or their like):" $wanted >&2
  exit 0
fi

missing=
for package in $wanted; do
  state=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$state" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

command="apt-get install -y --no-install-recommends$missing"
if [ "$(id -u)" = 0 ]; then
  as_root=env
elif command -v sudo >/dev/null && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
  as_root="sudo env"
else
  echo "kvasir: packages are missing and only root may install them. Run this, then try again:" >&2
  echo "  sudo apt-get update && sudo $command" >&2
  exit 1
fi

echo "kvasir: installing$missing"
for package in $missing; do
  awk -v package="$package" '$2 == package { $1 = $2 = ""; print "  " package ":" $0 }' "$list"
done
$as_root DEBIAN_FRONTEND=noninteractive apt-get update -q
$as_root DEBIAN_FRONTEND=noninteractive $command
