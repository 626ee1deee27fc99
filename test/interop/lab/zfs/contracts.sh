# shellcheck shell=bash
# Part of zfs.sh: the contract suites of storage, on a dataset as the server makes it, on one with ZFS' own defaults, and on a zvol.
echo "--- contracts"
exec 3>&1
zfs create -o compression=lz4 -o atime=off -o xattr=sa -o acltype=posix tank/ours
zfs create tank/plain
zfs create -s -V 8M -o volblocksize=16k tank/contract
within 30 test -b /dev/zvol/tank/contract
# FOLDER TEST   what failed is shown
passes() {
    TAP_TIMEOUT=600 TMPDIR=$1 POOLHOUSE_CONTRACT_DEVICE=/dev/zvol/tank/contract node "/project/dist/test/storage/$2.test.js" >/tmp/tap 2>&1 && return
    grep -A 16 -E '^ *not ok' /tmp/tap | grep -vE '^ *(stack|at|source|fileName|columnNumber|isToplevel):' | head -n 100 >&3 || tail -n 20 /tmp/tap
    return 1
}
for FOLDER in /tank/ours /tank/plain; do
    check "the file-system contract in $FOLDER" passes $FOLDER posix/contract
    tail -n 2 /tmp/tap
done
check "the block-device contract on a file in a dataset, and on a zvol" passes /tank/ours image/image
check "the zvol was tried" grep -q 'zvol: ' /tmp/tap
tail -n 2 /tmp/tap
