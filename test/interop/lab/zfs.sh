#!/bin/bash
# In the lab's ZFS VM: the whole server on a real pool, with its project at /project: datasets as shares, their limits, snapshots
# after backups and by hand, thinning, datasets that cannot be served.
. /lab/lablib.sh
POOLHOUSE=/project/bin/poolhouse CONF=/tmp/p.toml PORT=4450 PASSWORD=Passw0rd
export POOLHOUSE_CONFIG=$CONF
# SECTION   whether it is wanted; without SECTIONS all are
section() { [ -z "$SECTIONS" ] || [[ " $SECTIONS " == *" $1 "* ]]; }
is() { [ "$1" = "$2" ] || { echo "got '$1', wanted '$2'"; return 1; }; }
property() { zfs get -Hp -o value "$1" "$2"; }
ph() { "$POOLHOUSE" "$@" --config $CONF; }
smb() { smbclient -p $PORT -U "mac%$PASSWORD" "//127.0.0.1/$1" -c "$2" 2>&1; }
# SECONDS COMMAND...   until it succeeds
within() {
    local end=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do [ $SECONDS -lt $end ] || { "$@"; return; }; sleep 1; done
}
start_server() {
    rm -f /tmp/ready && mkfifo /tmp/ready
    "$POOLHOUSE" serve --config $CONF --ready-fd 3 3>/tmp/ready >>/tmp/server.log 2>&1 &
    echo $! >/tmp/server.pid
    timeout 300 cat /tmp/ready | grep -q ready
}
# Checks run in shells of their own, so nobody can wait(1) for it.
stop_server() { kill "$(cat /tmp/server.pid)" && within 30 gone "$(cat /tmp/server.pid)"; }
gone() { ! kill -0 "$1"; }

check "make a pool" zpool create -o ashift=12 -O mountpoint=/tank tank $LAB_DISKS
cat >$CONF <<C
[server]
name = "lab"
state_dir = "/tmp/state"
[smb]
listen = ["127.0.0.1:$PORT"]
[iscsi]
enabled = false
[discovery]
mdns = false
wsd = false
[status]
listen = "127.0.0.1:4480"
[[share]]
name = "mac"
dataset = "tank/backups/mac"
time_machine = true
max_size = "64MiB"
[[share]]
name = "files"
dataset = "tank/files"
C
mkdir -m 700 /tmp/state
check "add an account" sh -c "echo $PASSWORD | $POOLHOUSE user add mac --password-stdin --unix-user root --config $CONF"

if section shares; then
echo "--- datasets"
check "the server starts" start_server
check "a missing dataset was made" is "$(property type tank/backups/mac)" filesystem
check "for bundles with large records" is "$(property recordsize tank/backups/mac)" 1048576
check "attributes are in the inodes" is "$(property xattr tank/backups/mac)" sa
check "its limit is the refquota" is "$(property refquota tank/backups/mac)" 67108864
check "and not the quota" is "$(property quota tank/backups/mac)" 0
check "a share without a limit has none" is "$(property refquota tank/files)" 0
head -c 40M /dev/urandom >/tmp/40m
check "a client writes" sh -c "smbclient -p $PORT -U mac%$PASSWORD //127.0.0.1/mac -c 'put /tmp/40m one' && cmp /tmp/40m /tank/backups/mac/one"
smb mac "put /tmp/40m two" >/tmp/full || true
check "past the limit the disk is full" grep -q DISK_FULL /tmp/full
check "what was there is there" cmp /tmp/40m /tank/backups/mac/one
check "deleting makes room" sh -c "smbclient -p $PORT -U mac%$PASSWORD //127.0.0.1/mac -c 'rm one; rm two'"
check "and it can be written again" within 30 sh -c "smbclient -p $PORT -U mac%$PASSWORD //127.0.0.1/mac -c 'put /tmp/40m one; rm one' 2>&1 | grep -q 'putting file'"
# "16384 blocks of size 4096. ..."
volume_bytes() { smb mac ls | sed -nE 's/^[^0-9]*([0-9]+) blocks of size ([0-9]+)\. .*/\1 * \2/p'; }
check "the limit is the volume's size" is "$(($(volume_bytes)))" 67108864

echo "--- a backup"
history() { # FILE DATE...
    local file=$1 date
    shift
    { echo '<?xml version="1.0" encoding="UTF-8"?><plist version="1.0"><dict><key>Snapshots</key><array>'
        for date; do echo "<dict><key>com.apple.backupd.SnapshotCompletionDate</key><date>$date</date></dict>"; done
        echo '</array></dict></plist>'; } >"$file"
}
HISTORY=com.apple.TimeMachine.SnapshotHistory.plist
history /tmp/h1 2026-01-01T10:00:00Z
history /tmp/h2 2026-01-01T10:00:00Z 2026-01-02T10:00:00Z
# FILE   a Mac stays for a while: the server looks every 20 seconds
back_up() {
    (echo 'mkdir annas-mac.sparsebundle'; echo 'cd annas-mac.sparsebundle'; echo "put $1 $HISTORY"; sleep 30) |
        smbclient -p $PORT -U "mac%$PASSWORD" //127.0.0.1/mac
}
check "a Mac has a bundle" back_up /tmp/h1
known() { ph status --json | grep -q '2026-01-01T10'; }
check "its backup is known" within 90 known
within 60 sh -c "zfs list -H -t snapshot -o name tank/backups/mac | grep -q annas-mac"
BEFORE=$(zfs list -H -t snapshot -o name tank/backups/mac | wc -l)
check "a backup is completed" back_up /tmp/h2
taken() { [ "$(zfs list -H -t snapshot -o name tank/backups/mac | wc -l)" -gt "$BEFORE" ]; }
check "a snapshot was taken" within 90 taken
check "it is named after the Mac" sh -c "zfs list -H -t snapshot -o name tank/backups/mac | tail -n 1 | grep -q 'Z_annas-mac'"
check "it is marked as ours" is "$(zfs list -H -t snapshot -o poolhouse:reason tank/backups/mac | tail -n 1)" backup
zfs list -H -t snapshot -o name,used tank/backups/mac | sed 's/^/     /'

echo "--- a Mac"
visit() { node /project/dist/test/interop/mac/visit.js $PORT mac "$PASSWORD" mac /tank/backups/mac; }
snapshots_of() { zfs list -H -t snapshot -o name tank/backups/mac | grep -c "$1"; }
visit
check "the Mac's visit was without a fault" is "$?" 0
check "its backup is followed by a snapshot" within 90 snapshots_of 'Z_macbook'
check "with what it wrote" sh -c 'cmp /tank/backups/mac/MacBook.sparsebundle/bands/1 /tank/backups/mac/.zfs/snapshot/*_macbook/MacBook.sparsebundle/bands/1'
check "status knows it" sh -c "$POOLHOUSE status --json --config $CONF | grep -q '\"mac\": \"MacBook\"'"

echo "--- by hand"
check "create" ph snapshot create files "before the move"
NAME=$(zfs list -H -t snapshot -o name tank/files | sed 's/.*@//')
check "list" sh -c "$POOLHOUSE snapshot list files --json --config $CONF | grep -q '\"reason\": \"manual\"'"
echo new >/tank/files/new
check "diff" sh -c "$POOLHOUSE snapshot diff files $NAME --config $CONF | grep -q '^added.*/tank/files/new'"
check "hold" ph snapshot hold files "$NAME"
refuse "a held one is not destroyed" zfs destroy "tank/files@$NAME"
check "release" ph snapshot release files "$NAME"
refuse "a share without a dataset of that name" ph snapshot list nothing

echo "--- previous versions"
echo old >/tank/files/doc
zfs snapshot tank/files@whatever-name
echo new >/tank/files/doc
TOKEN=$(date -u -d "@$(property creation tank/files@whatever-name)" +@GMT-%Y.%m.%d-%H.%M.%S)
listed() { smb files 'allinfo doc' | grep -q "$TOKEN"; }
check "a client is told of a snapshot" within 60 listed
check "and reads what was there" sh -c "smbclient -p $PORT -U mac%$PASSWORD //127.0.0.1/files -c 'get $TOKEN\\doc /tmp/doc' && grep -q old /tmp/doc"
smb files "put /tmp/doc $TOKEN\\doc" >/tmp/put || true
check "and changes nothing" grep -q MEDIA_WRITE_PROTECTED /tmp/put
check "once it is left alone, it can be destroyed" within 90 zfs destroy tank/files@whatever-name

echo "--- thinning"
zfs destroy "tank/files@$NAME"
# The kernel stamps snapshots with its own clock: 200 of them, 37 hours apart.
NOW=$(date +%s)
for ((i = 199; i >= 0; i--)); do
    date -s "@$((NOW - i * 37 * 3600))" >/dev/null
    zfs snapshot -o poolhouse:reason=schedule "tank/files@s$i" || break
done
zfs snapshot tank/files@others
date -s "@$((NOW + 300))" >/dev/null
check "200 snapshots" is "$(zfs list -H -t snapshot -o name tank/files | grep -c @s)" 200
python3 /script/thin_expected.py "$NOW" 200 37 >/tmp/expected
check "a dry run says what goes" sh -c "$POOLHOUSE snapshot thin files --dry-run --config $CONF | sed -n 's/would destroy .*@//p' | sort | cmp - /tmp/expected"
check "and destroys nothing" is "$(zfs list -H -t snapshot -o name tank/files | wc -l)" 201
check "thin" ph snapshot thin files
zfs list -H -t snapshot -o name tank/files | sed -n 's/.*@s/s/p' | sort >/tmp/kept
seq 0 199 | sed 's/^/s/' | sort | comm -23 - /tmp/expected >/tmp/wanted
check "what is kept is what was expected" cmp /tmp/kept /tmp/wanted
check "what others made is left" zfs list tank/files@others
echo "     $(wc -l </tmp/kept) of 200 are kept"

echo "--- datasets that cannot be served"
check "the server stops" stop_server
zfs unmount tank/files
: >/tmp/server.log
check "the server starts with one that is not mounted" start_server
check "it says so" grep -q 'zfs mount tank/files' /tmp/server.log
check "the other share is served" sh -c "smbclient -p $PORT -U mac%$PASSWORD //127.0.0.1/mac -c ls"
refuse "this one is not" smbclient -p $PORT -U "mac%$PASSWORD" //127.0.0.1/files -c ls
check "check says so, too" sh -c "$POOLHOUSE check --config $CONF | grep 'zfs mount tank/files'"
zfs mount tank/files
check "mounted again, it is served" within 60 smbclient -p $PORT -U "mac%$PASSWORD" //127.0.0.1/files -c ls
check "the server stops again" stop_server
fi
if section replication; then . /script/zfs/replicate.sh; fi
if section vanishing; then . /script/zfs/vanishing.sh; fi
if section contracts; then . /script/zfs/contracts.sh; fi
if section zvol; then . /script/zfs/zvol.sh; fi
if section users; then . /script/zfs/users.sh; fi
if section suspended; then . /script/zfs/suspended.sh; fi
if section copies || section rollback || section clones; then . /script/zfs/restore.sh; fi
[ $LAB_FAIL = 0 ] || tail -n 30 /tmp/server.log
finish
