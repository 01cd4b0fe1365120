#!/bin/sh
# Installs the system packages that some features need. Never fails: what stays missing is told, and
# `goldpair doctor` says what that disables.
set -u
missing=""
command -v cobc     >/dev/null 2>&1 || missing="$missing gnucobol"
command -v bwrap    >/dev/null 2>&1 || missing="$missing bubblewrap"
command -v chromium >/dev/null 2>&1 || command -v chromium-browser >/dev/null 2>&1 || missing="$missing chromium"
[ -z "$missing" ] && exit 0
if ! command -v apt-get >/dev/null 2>&1; then
    echo "Not installed:$missing. Install them with this system's package manager; see goldpair doctor."
    exit 0
fi
if [ "$(id -u)" = 0 ]; then as_root=""
elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then as_root="sudo -n"
else
    echo "Not installed:$missing. To get them: sudo apt-get install$missing"
    exit 0
fi
echo "Installing system packages:$missing"
export DEBIAN_FRONTEND=noninteractive
# One package that cannot be had must not keep back the others.
$as_root apt-get update -qq >/dev/null 2>&1
for package in $missing; do
    $as_root apt-get install -y -qq "$package" >/dev/null 2>&1 || echo "Could not install $package; going on without it."
done
exit 0
