#!/usr/bin/env bash
# setup-peers.sh   installs the real clients that `npm test` runs against the server, on Debian 12, and
# builds the lab's virtual machine when the lab is there. Needs root. What is already installed stays as it is.
#
# POOLHOUSE_SHARED   where the lab and the smbtorture plan are (default: ../shared beside the project)
# LAB_CACHE          where the virtual machine is built (default: ~/.cache/storage-lab)
set -euo pipefail

PROJECT=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.." && pwd)
SHARED=${POOLHOUSE_SHARED:-$PROJECT/../shared}

# The clients, the control (smbd) that the benchmark also compares with, as with tgt, and file systems for smbtorture's shares.
PACKAGES=(smbclient samba samba-testsuite samba-vfs-modules rclone python3-impacket
    xfsprogs btrfs-progs attr acl util-linux mount
    avahi-daemon avahi-utils wsdd dbus iproute2
    libiscsi-bin qemu-utils qemu-block-extra qemu-system-common fio tgt)

say() { printf 'setup-peers: %s\n' "$*"; }
die() { say "$*" >&2; exit 1; }

installed() { dpkg-query -W -f '${db:Status-Status}\n' "$1" 2>/dev/null | grep -qx installed; }

install_packages() {
    local package missing=()
    for package in "${PACKAGES[@]}"; do
        installed "$package" || missing+=("$package")
    done
    if [ ${#missing[@]} -eq 0 ]; then
        say "all packages are installed"
        return
    fi
    say "installing ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    local apt=(apt-get -q -o DPkg::Lock::Timeout=600 -o Acquire::Retries=3)
    "${apt[@]}" update
    local services=()
    installed samba || services+=(smbd nmbd winbind samba-ad-dc)
    installed avahi-daemon || services+=(avahi-daemon.socket avahi-daemon.service)
    installed wsdd || services+=(wsdd)
    installed tgt || services+=(tgt)
    forbid_services
    "${apt[@]}" install -y --no-install-recommends "${missing[@]}"
    if [ ${#services[@]} -gt 0 ] && command -v systemctl >/dev/null; then
        systemctl disable --quiet "${services[@]}" 2>/dev/null || true
    fi
}

# Only the programs are wanted: Samba's own services would take port 445, wsdd's would announce this machine.
forbid_services() {
    [ ! -e /usr/sbin/policy-rc.d ] || return 0
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
    chmod 755 /usr/sbin/policy-rc.d
}

build_lab() {
    local lab=$SHARED/lab/lab
    if [ ! -x "$lab" ]; then
        say "no lab in $SHARED: the Linux kernel's client is left out"
        return
    fi
    LAB_ZFS_PREBUILT=${LAB_ZFS_PREBUILT:-$SHARED/lab/zfs-prebuilt.tar.xz} "$lab" build
}

[ "$(id -u)" = 0 ] || die "needs root: it installs Debian packages (sudo npm run setup:peers)"
command -v apt-get >/dev/null || die "not a Debian machine: install ${PACKAGES[*]} by your own means"
install_packages
build_lab
say "ready"
