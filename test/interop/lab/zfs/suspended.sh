# shellcheck shell=bash
# Part of zfs.sh: a pool whose disks do not answer. Nobody else notices, nobody is told that something was done, and all is well by itself afterwards.
echo "--- suspended"
IQN=iqn.2026-11.lan.lab:thin THIN=/mnt/thin SMALL=96M LARGE=600M STATE=/proc/spl/kstat/zfs/thin/state ISCSI_PORT=3260
CONF=/tmp/suspended.toml
export POOLHOUSE_CONFIG=$CONF
ip address add 10.0.2.2/32 dev lo 2>/dev/null
# The disk says it has a gigabyte, and is on something that has not: writing fails, as on a thin disk or a cable that has come loose.
mkdir -p $THIN
mount -t tmpfs -o size=$SMALL tmpfs $THIN
truncate -s 1G $THIN/disk
check "a pool on a disk that promises too much" zpool create -O mountpoint=/thin -O compression=off thin $THIN/disk
sed "s/^enabled = false/listen = [\"10.0.2.2:$ISCSI_PORT\"]/; s/^max_size.*//" /tmp/p.toml >$CONF
cat >>$CONF <<C
[[share]]
name = "thin"
dataset = "thin/data"
[[target]]
name = "$IQN"
[[target.lun]]
id = 0
path = "/thin/disk.img"
size = "16MiB"
C
on() { smbclient -t 300 -p $PORT -U "mac%$PASSWORD" "//127.0.0.1/$1" -c "$2" 2>&1; }
listed() { on "$1" ls | grep -q 'blocks of size'; }
state_is() { [ "$(cat $STATE)" = "$1" ]; }
says() { grep -q "$1" /tmp/server.log; }
disk() { iscsi_dev $ISCSI_PORT $IQN 0; }
# With direct I/O, so that the initiator asks.
reads() { timeout 30 dd if="$(disk)" of=/dev/null bs=64k count=1 skip="$1" iflag=direct status=none; }
head -c 160M /dev/urandom >/tmp/large
head -c 4M /dev/urandom >/tmp/4m
: >/tmp/server.log
check "the server starts" start_server
check "the initiator logs in" iscsi_login $ISCSI_PORT $IQN 0
check "a client writes" sh -c "smbclient -p $PORT -U mac%$PASSWORD //127.0.0.1/thin -c 'put /tmp/4m before'"
check "the initiator reads" reads 0
on thin 'put /tmp/large large' >/tmp/large.out &
WRITER=$!
check "too much is written, and the pool is suspended" within 120 state_is SUSPENDED
check "the log says what to do" within 10 says 'zpool status thin, then: zpool clear thin'
on thin ls >/tmp/refused || true
check "a client is told at once" grep -q NT_STATUS_IO_DEVICE_ERROR /tmp/refused
refuse "so is the initiator" reads 7
FAILED=$(dmesg | grep -c 'Logical unit not ready, manual intervention required')
check "which hears why" test "$FAILED" -gt 0
# More clients than there are threads.
for client in 1 2 3 4 5 6 7 8; do on mac "put /tmp/4m while$client; get while$client /tmp/while$client" >/dev/null & echo $!; done >/tmp/clients
wait $(cat /tmp/clients)
for client in 1 2 3 4 5 6 7 8; do cmp /tmp/4m /tmp/while$client || echo "$client" >>/tmp/while.failed; done
check "eight clients of another pool notice nothing" test ! -e /tmp/while.failed
check "status says so, at once" sh -c "timeout 60 $POOLHOUSE status --config $CONF | grep 'the pool thin is SUSPENDED'"
check "a snapshot is refused at once" sh -c "timeout 60 $POOLHOUSE snapshot create thin --config $CONF 2>&1 | grep 'zpool clear thin'"
kill -HUP "$(cat /tmp/server.pid)"
check "a reload is no matter" within 60 says '"thin\\" is served as before'
check "the others are served" listed files
check "the disk has room again" mount -o remount,size=$LARGE $THIN
check "the owner says so" zpool clear thin
check "the pool is there" within 30 state_is ONLINE
check "the server knows" within 10 says 'the pool \\"thin\\" answers again'
wait $WRITER
sed 's/^/     the writer: /' /tmp/large.out
check "the share is there" within 30 listed thin
check "with what was written before" sh -c "smbclient -p $PORT -U mac%$PASSWORD //127.0.0.1/thin -c 'get before /tmp/again' && cmp /tmp/4m /tmp/again"
check "it can be written" sh -c "smbclient -p $PORT -U mac%$PASSWORD //127.0.0.1/thin -c 'put /tmp/large large2; get large2 /tmp/large2' && cmp /tmp/large /tmp/large2"
check "the initiator reads again" reads 7
check "and writes" sh -c "dd if=/tmp/4m of=$(disk) bs=64k oflag=direct,sync status=none"
check "log out" iscsi_logout $ISCSI_PORT $IQN
check "nothing hangs: the server stops" stop_server

echo "--- suspended at the start"
check "the disk has a little room" mount -o remount,size=$(($(df -m --output=used $THIN | tail -n 1) + 16))M $THIN
dd if=/dev/urandom of=/thin/data/fill bs=1M count=300 conv=fsync status=none &
FILLER=$!
check "it is suspended again" within 120 state_is SUSPENDED
: >/tmp/server.log
check "the server starts without it" start_server
check "its share is told" says 'share \\"thin\\" is not served: .*zpool clear thin'
check "its disk, too" says "target .*thin.* is not served: .*zpool clear thin"
check "the others are there" listed files
check "check says so" sh -c "timeout 120 $POOLHOUSE check --config $CONF | grep 'zpool clear thin'"
mount -o remount,size=1200M $THIN
check "the owner helps" zpool clear thin
wait $FILLER
check "its share is served by itself" within 60 listed thin
check "so is its disk" within 60 iscsi_login $ISCSI_PORT $IQN 0
check "log out again" iscsi_logout $ISCSI_PORT $IQN
check "the server stops at the end" stop_server
check "destroy the pool" zpool destroy thin
umount $THIN
