#!/bin/bash
# In the lab's client VM: the Linux kernel's initiator logs in with mutual CHAP and both digests, makes file systems, writes,
# trims, logs in again and compares; then writes while the server is killed and started again.
# ALL DATA ON THE DISKS IS LOST. Environment: ISCSI_PORT ISCSI_IQN, ISCSI_USER ISCSI_PASS ISCSI_USER_IN ISCSI_PASS_IN,
# ISCSI_LARGE (LUN of 100 GiB), ISCSI_SMALL (LUN of a few GiB), ISCSI_KILLS (how often the server is killed; it is asked
# for by a line "kill the server"), ISCSI_ADDED (LUN that comes later, asked for by a line "change the disks").
. /lab/lablib.sh
exec 3>&1
M=/mnt/iscsi
BOTH_DIGESTS="node.conn[0].iscsi.HeaderDigest=CRC32C node.conn[0].iscsi.DataDigest=CRC32C"
mkdir -p $M

log_in() { ISCSI_OPTIONS=$BOTH_DIGESTS iscsi_login "$ISCSI_PORT" "$ISCSI_IQN" "$1"; }
log_out() { iscsi_logout "$ISCSI_PORT" "$ISCSI_IQN"; }
disk() { iscsi_dev "$ISCSI_PORT" "$ISCSI_IQN" "$1"; }
digests() { [ "$(iscsiadm -m session -P 2 | grep -cE '(Header|Data)Digest: CRC32C')" = 2 ]; }
write_large() { dd if=/dev/urandom of=$M/large bs=1M count=64 conv=fsync status=none && sha256sum $M/large >/tmp/large.sum; }

# NAME LUN MKFS MOUNT FSCK, where {} is the disk
file_system() {
    local name=$1 lun=$2 mkfs=$3 mount=$4 fsck=$5 dev
    check "$name: log in" log_in "$lun"
    dev=$(disk "$lun")
    [ -b "$dev" ] || return
    check "$name: both digests are used" digests
    wipefs -aq "$dev"
    check "$name: make" sh -c "${mkfs//'{}'/$dev}"
    udevadm settle
    check "$name: mount" sh -c "${mount//'{}'/$dev} $M"
    mountpoint -q $M || { log_out >/dev/null; return; }
    check "$name: write files" make_tree $M/tree
    check "$name: write 64 MiB and sync" write_large
    check "$name: unmount" umount $M
    check "$name: log out" log_out
    check "$name: log in again" log_in "$lun"
    dev=$(disk "$lun")
    [ -z "$fsck" ] || check "$name: the file system is consistent" sh -c "${fsck//'{}'/$dev}"
    check "$name: mount again" sh -c "${mount//'{}'/$dev} $M"
    check "$name: files are the same" verify_tree $M/tree
    check "$name: 64 MiB are the same" sha256sum --quiet -c /tmp/large.sum
    rm -r $M/large $M/tree
    sync -f $M
    if [ "$name" = ext4 ]; then check "$name: trim" fstrim $M; else fstrim $M 2>/dev/null; fi
    check "$name: unmount again" umount $M
    check "$name: log out again" log_out
}

file_system ext4 "$ISCSI_LARGE" "mkfs.ext4 -q -F {}" "mount -t ext4 {}" "e2fsck -fn {}"
file_system exfat "$ISCSI_SMALL" "mkfs.exfat {}" "mount -t exfat {}" "fsck.exfat -n {}"
file_system ntfs "$ISCSI_SMALL" "mkntfs -q -f -F {}" "mount -t ntfs-3g {}" "ntfsfix -n {}"
file_system hfsplus "$ISCSI_SMALL" "python3 /lab/mkhfsplus.py {} Lab" "mount -t hfsplus {}" ""

# Files of 1 MiB, each synced, its sum noted only then; the server dies meanwhile.
write_synced() {
    local i kills=0 wanted=$1 at=0
    for ((i = 0; i < 400; i++)); do
        head -c 1M /dev/urandom >"/tmp/piece"
        cp /tmp/piece "$M/synced/$i" && sync "$M/synced/$i" || return
        echo "$(sha256sum </tmp/piece | cut -d' ' -f1)  $i" >>/tmp/synced.sum
        if [ $kills -lt "$wanted" ] && [ $i = $((at + 12)) ]; then
            at=$i kills=$((kills + 1))
            echo "kill the server" >&3
        fi
        [ $kills -lt "$wanted" ] || [ $i -lt $((at + 40)) ] || return 0
    done
}
if [ "${ISCSI_KILLS:-0}" != 0 ]; then
    check "killed server: log in" log_in "$ISCSI_SMALL"
    DISK=$(disk "$ISCSI_SMALL")
    wipefs -aq "$DISK"
    check "killed server: make ext4" mkfs.ext4 -q -F "$DISK"
    check "killed server: mount" mount "$DISK" $M
    mkdir $M/synced
    check "killed server: writes go on" write_synced "$ISCSI_KILLS"
    check "killed server: unmount" umount $M
    check "killed server: log out" log_out
    check "killed server: log in again" log_in "$ISCSI_SMALL"
    DISK=$(disk "$ISCSI_SMALL")
    check "killed server: the file system is consistent" e2fsck -fn "$DISK"
    check "killed server: mount again" mount "$DISK" $M
    check "killed server: $(wc -l </tmp/synced.sum) synced files are the same" sh -c "cd $M/synced && sha256sum --quiet -c /tmp/synced.sum"
    check "killed server: unmount again" umount $M
    check "killed server: log out again" log_out
fi

# The owner makes the small disk larger and adds one, asked by a line "change the disks"; each command may bring one attention.
hears() {
    local i
    for ((i = 0; i < 30; i++)); do
        dd if="$DISK" of=/dev/null bs=4096 count=1 iflag=direct status=none
        ! dmesg | grep -q "$1" || return 0
        sleep 1
    done
    return 1
}
bytes() { blockdev --getsize64 "$DISK"; }
if [ -n "${ISCSI_ADDED:-}" ]; then
    check "changing disks: log in" log_in "$ISCSI_SMALL"
    DISK=$(disk "$ISCSI_SMALL")
    before=$(bytes)
    dmesg -C
    echo "change the disks" >&3
    check "changing disks: the kernel hears of the capacity" hears "Capacity data has changed"
    check "changing disks: the kernel hears of the new disk" hears "LUN assignments on this target have changed"
    check "changing disks: look again" iscsiadm -m session --rescan
    udevadm settle
    check "changing disks: one is larger by 1 GiB" [ "$(bytes)" = $((before + 1024 * 1024 * 1024)) ]
    check "changing disks: the new one is there" [ -b "$(disk "$ISCSI_ADDED")" ]
    check "changing disks: log out" log_out
fi
finish
