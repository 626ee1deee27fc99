# shellcheck shell=bash
# Part of zfs.sh: zvols as LUNs. Made sparse, used by the kernel's initiator, trimmed, grown under it, snapshotted, and kept from a second user.
echo "--- zvol"
IQN=iqn.2026-11.lan.lab:mac0 ZVOL=tank/disks/mac0 RAW=tank/disks/raw THEIRS=tank/theirs ISCSI_PORT=3260 M=/mnt/zvol
CONF=/tmp/zvol.toml
export POOLHOUSE_CONFIG=$CONF
mkdir -m 700 /tmp/zvol-state
mkdir -p $M
# The lab's functions take the host for the target; here it is this machine.
ip address add 10.0.2.2/32 dev lo
zfs create tank/iscsi && zfs unmount tank/iscsi
zfs create -V 32M -o volblocksize=4k $THEIRS
configure() { # SIZE [LINES]
    cat >$CONF <<C
[server]
name = "lab"
state_dir = "/tmp/zvol-state"
[smb]
listen = ["127.0.0.1:$PORT"]
[iscsi]
listen = ["10.0.2.2:$ISCSI_PORT"]
[discovery]
mdns = false
wsd = false
[status]
listen = "127.0.0.1:4480"
[[target]]
name = "$IQN"
[[target.lun]]
id = 0
zvol = "$ZVOL"
size = "$1"
volblocksize = "16KiB"
[[target.lun]]
id = 2
zvol = "$RAW"
size = "16MiB"
[[target.lun]]
id = 3
zvol = "$THEIRS"
size = "16MiB"
volblocksize = "64KiB"
$2
[[target]]
name = "$IQN-file"
[[target.lun]]
id = 0
path = "/tank/iscsi/a.img"
size = "16MiB"
C
}
disk() { iscsi_dev $ISCSI_PORT $IQN "${1:-0}"; }
zil_commits() { awk '$1 == "zil_commit_count" { print $3 }' /proc/spl/kstat/zfs/zil; }
referenced() { zpool sync tank && property referenced $ZVOL; }
less_than() { [ "$1" -lt "$2" ] || { echo "$1 is not less than $2"; return 1; }; }
commits() { local before; before=$(zil_commits) && "$@" && less_than "$before" "$(zil_commits)"; }
# PATTERN   the kernel has logged it; each command may bring one attention
hears() { dd if="$(disk)" of=/dev/null bs=4096 count=1 iflag=direct status=none; dmesg | grep -q "$1"; }
start_fails() { # PATTERN
    timeout 120 "$POOLHOUSE" serve --config $CONF >/tmp/refused 2>&1 && return 1
    grep -q "$1" /tmp/refused || { tail -n 5 /tmp/refused; return 1; }
}

configure 256MiB
check "check says what will be made" sh -c "$POOLHOUSE check --config $CONF | grep 'no volume \"$ZVOL\" yet'"
check "and what is not mounted" sh -c "$POOLHOUSE check --config $CONF | grep 'a.img is missing, and .*zfs mount tank/iscsi'"
check "the server starts" start_server
check "a missing volume was made" is "$(property volsize $ZVOL) $(property volblocksize $ZVOL)" "268435456 16384"
check "sparse, and compressed" is "$(property refreservation $ZVOL) $(property compression $ZVOL)" "0 lz4"
check "another's is as it was" is "$(property volsize $THEIRS) $(property volblocksize $THEIRS)" "33554432 4096"
check "which is told" grep -q 'made with a volblocksize of 4096, which cannot be changed to 65536' /tmp/server.log
check "a dataset that is not mounted costs its target" grep -q 'target \\"'$IQN'-file\\" is not served: .*zfs mount tank/iscsi' /tmp/server.log
refuse "no disk is made below its mount point" test -e /tank/iscsi/a.img
zfs mount tank/iscsi
check "the initiator logs in" iscsi_login $ISCSI_PORT $IQN 0
check "it sees the sizes" is "$(blockdev --getsize64 "$(disk)" "$(disk 2)" "$(disk 3)" | tr '\n' ' ')" "268435456 16777216 33554432 "
refuse "nobody else can mount the disk" mount /dev/zvol/$ZVOL /mnt
refuse "nor format it" mkfs.ext4 -q /dev/zvol/$ZVOL
check "make ext4" mkfs.ext4 -q -F "$(disk)"
check "mount" mount "$(disk)" $M
check "write 48 MiB" dd if=/dev/urandom of=$M/large bs=1M count=48 conv=fsync status=none
FULL=$(referenced)
check "the pool has them" less_than 48000000 "$FULL"
rm $M/large && sync -f $M
check "trim" fstrim $M
EMPTY=$(referenced)
check "the pool has the space again" less_than "$EMPTY" $((FULL - 45000000))
echo "     referenced: $FULL written, $EMPTY trimmed"
check "SYNCHRONIZE CACHE reaches the pool" commits sg_sync "$(disk 2)"
check "FUA reaches the pool" commits sg_dd if=/dev/zero of="$(disk 2)" bs=512 count=8 blk_sgio=1 fua=1
check "write files" make_tree $M/tree

echo "--- zvol: grown"
dmesg -C
configure 512MiB
kill -HUP "$(cat /tmp/server.pid)"
check "the kernel hears of the capacity" within 90 hears "Capacity data has changed"
check "the disk on the dataset that is mounted by now is there" test -e /tank/iscsi/a.img
check "the volume is larger" is "$(property volsize $ZVOL)" 536870912
check "look again" iscsiadm -m session --rescan
check "the disk is larger" is "$(blockdev --getsize64 "$(disk)")" 536870912
check "the mounted file system, too" resize2fs "$(disk)"
check "by what it got" less_than 400000 "$(df -k --output=size $M | tail -n 1)"
check "files are the same" verify_tree $M/tree

echo "--- zvol: snapshots"
sync -f $M
check "a snapshot" ph snapshot create $IQN before-update --lun 0
NAME=$(zfs list -H -t snapshot -o name $ZVOL | sed 's/.*@//')
check "is listed" sh -c "$POOLHOUSE snapshot list $IQN --lun 0 --json --config $CONF | grep -q '\"name\": \"$NAME\"'"
check "something else is written" sh -c "rm -r $M/tree/sub && sync -f $M"
check "a clone as a LUN" sh -c "$POOLHOUSE snapshot clone $IQN $NAME --lun 0 --as mac0-then --config $CONF | tee /tmp/clone"
configure 512MiB "$(grep -A3 '^\[\[target.lun' /tmp/clone)"
kill -HUP "$(cat /tmp/server.pid)"
THEN=$(sed -n 's/^id = //p' /tmp/clone)
check "the kernel hears of the new LUN" within 90 hears "LUN assignments on this target have changed"
check "look once more" iscsiadm -m session --rescan
within 30 test -b "$(iscsi_path $ISCSI_PORT $IQN "$THEN")"
check "it is read-only" is "$(blockdev --getro "$(disk "$THEN")")" 1
mkdir -p /mnt/then
check "it can be mounted" mount -o ro,noload "$(disk "$THEN")" /mnt/then
check "it has what was" verify_tree /mnt/then/tree
umount /mnt/then
head -c 1M /dev/urandom >/tmp/1m
check "an initiator writes, and flushes nothing" dd if=/tmp/1m of="$(disk 2)" bs=64k oflag=direct status=none
check "a snapshot at once" ph snapshot create $IQN --lun 2
zfs clone "$(zfs list -H -t snapshot -o name $RAW)" tank/disks/raw-then
within 30 test -b /dev/zvol/tank/disks/raw-then
check "has it" cmp -n 1048576 /tmp/1m /dev/zvol/tank/disks/raw-then

echo "--- zvol: again"
(cd $M/tree && find . -type f ! -name SUMS -print0 | sort -z | xargs -0 sha256sum >SUMS)
check "unmount" umount $M
check "log out" iscsi_logout $ISCSI_PORT $IQN
check "the server stops" stop_server
check "the volume is mounted here" mount /dev/zvol/$ZVOL $M
check "so the server does not start, and says why" start_fails "/dev/zvol/$ZVOL is in use by this machine"
umount $M
check "the server starts again" start_server
check "so does no other with the same LUN" sh -c "sed 's/zvol-state/other-state/; s/$ISCSI_PORT/3261/; s/$PORT/4451/; s/4480/4481/' $CONF >/tmp/other.toml"
CONF=/tmp/other.toml
check "it is told whose it is" start_fails "is in use by process $(cat /tmp/server.pid)"
CONF=/tmp/zvol.toml
check "the initiator logs in again" iscsi_login $ISCSI_PORT $IQN 0
check "the file system is whole" e2fsck -fn "$(disk)"
check "mount again" mount "$(disk)" $M
check "what was written is there" verify_tree $M/tree
check "unmount again" umount $M
check "log out again" iscsi_logout $ISCSI_PORT $IQN
check "the server stops at the end" stop_server

echo "--- zvol: rights"
as_backup() { setpriv --reuid backup --regid backup --clear-groups "$@"; }
zfs create tank/own
zfs allow backup create,mount,compression tank/own
check "a user may make a volume with the rights that check names" \
    as_backup zfs create -s -p -o compression=lz4 -o volblocksize=16384 -V 16777216 tank/own/vol
refuse "not make it larger" as_backup zfs set volsize=33554432 tank/own/vol
zfs allow backup volsize tank/own
check "with volsize it may" as_backup zfs set volsize=33554432 tank/own/vol
zfs set refreservation=auto tank/own/vol
refuse "not one that has its space reserved" as_backup zfs set volsize=67108864 tank/own/vol
zfs allow backup refreservation tank/own
check "with refreservation it may" as_backup zfs set volsize=67108864 tank/own/vol
