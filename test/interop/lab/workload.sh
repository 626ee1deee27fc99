#!/bin/bash
# In the lab's client VM: random operations on files through two mounts of one share, which the server takes for two
# clients, while the link is cut and restored; then everything is compared with the models, after a new mount.
# Environment: SMB_PORT SMB_SHARE SMB_USER SMB_PASS, WORKLOAD_OPTIONS (mount options), and what workload/main.py says.
# Read with `.`, it gives `workload` to another script.
export PYTHONDONTWRITEBYTECODE=1

workload() {
    local first=/mnt/first second=/mnt/second folder=workload
    load() { # like check, with the output in any case
        local what=$1 rc=0
        shift
        python3 /script/workload/main.py "$@" || rc=$?
        check "workload: $what" test $rc = 0
    }
    echo "     seed $WORKLOAD_SEED, $WORKLOAD_SECONDS s, cuts: ${WORKLOAD_CUTS:-none}"
    check "workload: mount ($WORKLOAD_OPTIONS)" smb_mount "$SMB_SHARE" $first "$WORKLOAD_OPTIONS"
    check "workload: mount as another client" smb_mount "$SMB_SHARE" $second "$WORKLOAD_OPTIONS,nosharesock"
    mountpoint -q $first && mountpoint -q $second && mkdir $first/$folder || return
    load "every read is as the models say" run $first/$folder $second/$folder
    grep -hE 'share reconnects|OplockBreaks' /proc/fs/cifs/Stats | sed 's/^/     /'
    check "workload: unmount" umount $first $second
    # Not keeping handles: the two names of a file have one lease key, and a lease is of one name.
    check "workload: mount anew" smb_mount "$SMB_SHARE" $first "$WORKLOAD_OPTIONS,closetimeo=0"
    load "all is there after a new mount" verify $first/$folder
    check "workload: unmount again" umount $first
    dmesg | grep -E 'CIFS: (VFS|Status)' | tail -n 15 | sed 's/^/     kernel: /'
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
    . /lab/lablib.sh
    workload
    finish
fi
