# shellcheck shell=bash
# Part of zfs.sh: getting back. Copies of snapshots, a dataset that goes back with and without clients, clones as share and LUN.
echo "--- restore"
put() { smb files "put /tmp/$1 $2"; }
shown() { smb files "get $1 /tmp/shown" >/dev/null && cat /tmp/shown; }
last() { zfs list -H -t snapshot -o name -s creation "$1" | sed -n '$s/.*@//p'; }
restored() { "$POOLHOUSE" restore files --config $CONF "$@" </dev/null 2>&1; }
says() { # PATTERN COMMAND...   fails, with a reason
    local pattern=$1 out
    shift
    out=$("$@") && { echo "it did it: $out"; return 1; }
    grep -qE "$pattern" <<<"$out" || { echo "$out"; return 1; }
}
datasets() { zfs list -H -o name -r tank | sort | tr '\n' ' '; }
check "a server for this" start_server
zfs set refquota=512M compression=gzip tank/files
echo one >/tmp/one && echo two >/tmp/two && echo three >/tmp/three
smb files 'mkdir docs' >/dev/null
check "a client writes" put one 'docs\a'
(cd /tank/files/docs && setfattr -n user.DosStream.notes:\$DATA -v stream a && setfacl -m u:1234:r a && ln a hard &&
    truncate -s 64M sparse && echo end >>sparse && chown 1234:2345 sparse && chmod 640 sparse && touch -d 2001-02-03 sparse)
check "a snapshot" ph snapshot create files first
FIRST=$(last tank/files)
check "a client writes something else" put two 'docs\a'
check "and deletes" sh -c "smbclient -p $PORT -U mac%$PASSWORD //127.0.0.1/files -c 'del docs\\sparse'"
if section copies; then
echo "--- restore: a copy"
zfs create -o xattr=sa -o acltype=posix tank/out
check "a wrong name is told the nearest" says "nearest names are: .*$FIRST" restored --snapshot "${FIRST%t}" --to /tank/out/x
check "without a terminal it wants a word" says 'add --yes' restored --snapshot "$FIRST" --to /tank/out/all
check "nothing was made" test ! -e /tank/out/all
check "a copy of all" restored --snapshot "$FIRST" --to /tank/out/all --yes
check "with what was there" grep -q one /tank/out/all/docs/a
check "its stream" sh -c "getfattr -d --absolute-names /tank/out/all/docs/a | grep -q DosStream.notes"
check "its ACL" sh -c "getfacl -c --absolute-names /tank/out/all/docs/a | grep -q user:1234:r"
check "its other name" test /tank/out/all/docs/a -ef /tank/out/all/docs/hard
check "owner, mode and time" is "$(stat -c '%u %g %a %Y' /tank/out/all/docs/sparse)" "1234 2345 640 $(date -d 2001-02-03 +%s)"
check "and its hole" test "$(du -k /tank/out/all/docs/sparse | cut -f1)" -lt 1024
check "what is there is left" says 'not empty' restored --snapshot "$FIRST" --to /tank/out/all --yes
check "nothing goes into the snapshot" says 'in the snapshot itself' restored --snapshot "$FIRST" --to "/tank/files/.zfs/snapshot/$FIRST/new" --yes
check "one folder of the latest" restored --snapshot latest --path docs --to /tank/out/docs --yes
check "is there" grep -q one /tank/out/docs/a
check "nothing leads out" says 'from the share' restored --snapshot latest --path ../x --to /tank/out/y --yes
fi

if section rollback; then
echo "--- restore: in place"
check "a second snapshot" ph snapshot create files second
SECOND=$(last tank/files)
check "where nothing was written nothing is done" sh -c "$POOLHOUSE restore files --snapshot latest --rollback --config $CONF | grep -q 'nothing is to be done'"
check "a client writes once more" put three 'docs\a'
BEFORE=$(datasets)
check "the plan alone" sh -c "$POOLHOUSE restore files --snapshot $FIRST --rollback --dry-run --config $CONF | tee /tmp/plan | grep -q 'kept as tank/files-before-restore-'"
sed 's/^/     /' /tmp/plan
check "changes nothing" is "$(datasets)" "$BEFORE"
# A client opens the file, and then waits for somebody to read what it gets.
head -c 4M /dev/urandom >/tmp/big && put big big >/dev/null
rm -f /tmp/pipe && mkfifo /tmp/pipe
smbclient -p $PORT -U "mac%$PASSWORD" //127.0.0.1/files -c 'get big /tmp/pipe' >/tmp/holder.log 2>&1 &
HOLDER=$!
opened() { ph status --json | grep -q '"path": "big"'; }
check "a client has a file open" within 60 opened
check "so it is refused" says 'files or folders of "files" open.*--force' restored --snapshot "$FIRST" --rollback --yes
check "and all is as it was" is "$(datasets)" "$BEFORE"
check "with force it goes back" restored --snapshot "$FIRST" --rollback --force --yes
kill $HOLDER 2>/dev/null
KEPT=$(zfs list -H -o name -r tank | grep '^tank/files-before-restore-')
check "clients see what was" is "$(shown 'docs\a')" one
check "and what was deleted" sh -c "smbclient -p $PORT -U mac%$PASSWORD //127.0.0.1/files -c 'ls docs\\sparse'"
check "they write" put two new
check "properties stay" is "$(property refquota tank/files) $(property compression tank/files) $(property canmount tank/files)" "536870912 gzip on"
check "earlier snapshots are the share's" sh -c "zfs list -H -t snapshot -o name tank/files | grep -q '@$FIRST'"
check "and still marked" is "$(property poolhouse:reason "tank/files@$FIRST")" manual
check "later ones are kept" zfs list "$KEPT@$SECOND"
check "the state before is kept" is "$(property mounted "$KEPT") $(property readonly "$KEPT")" "no on"
check "it can be seen" sh -c "zfs mount $KEPT && grep -q three /$KEPT/docs/a && zfs unmount $KEPT"
check "a snapshot with a clone is not thinned" sh -c "$POOLHOUSE snapshot list files --json --config $CONF | grep -q '\"isHeld\": true'"
TOKEN=$(date -u -d "@$(property creation "tank/files@$FIRST")" +@GMT-%Y.%m.%d-%H.%M.%S)
version() { smb files "get $TOKEN\\docs\\a /tmp/version" >/dev/null && grep -q one /tmp/version; }
check "previous versions go on" within 30 version

echo "--- restore: what is in the way"
check "a third snapshot" ph snapshot create files third
check "a client changes it" put three 'docs\a'
THIRD=$(last tank/files) BEFORE=$(datasets)
sleep 600 </dev/null >/dev/null 2>&1 9</tank/files/new &
check "a local program has a file open" says 'all is as it was' restored --snapshot "$THIRD" --rollback --yes
kill $!
check "nothing is left over" is "$(datasets)" "$BEFORE"
check "the share is served" is "$(shown 'docs\a')" three
check "the server stops" stop_server
check "without a server it goes back" restored --snapshot "$THIRD" --rollback --yes
check "to what was" grep -q one /tank/files/docs/a
check "both states before are kept" is "$(zfs list -H -o name -r tank | grep -c '^tank/files-before-restore-')" 2
check "a server starts" start_server
check "and serves it" is "$(shown 'docs\a')" one
fi

if section clones; then
echo "--- clones"
check "a clone of a share" sh -c "$POOLHOUSE snapshot clone files $FIRST --as old --config $CONF | tee /tmp/clone"
grep -A3 '^\[\[share' /tmp/clone >>$CONF
kill -HUP "$(cat /tmp/server.pid)"
check "its lines serve it" within 60 sh -c "smbclient -p $PORT -U mac%$PASSWORD //127.0.0.1/old -c 'get docs\\a /tmp/cloned' && grep -q one /tmp/cloned"
smb old 'put /tmp/two docs\b' >/tmp/put || true
check "read-only" grep -qE 'ACCESS_DENIED|WRITE_PROTECTED' /tmp/put
zfs create -V 16M tank/disk
ready() { [ -b /dev/zvol/tank/$1 ]; }
within 30 ready disk
printf first | dd of=/dev/zvol/tank/disk conv=fsync status=none
zfs snapshot tank/disk@first
printf other | dd of=/dev/zvol/tank/disk conv=fsync status=none
printf '[[target]]\nname = "iqn.2026-11.test:disk"\n[[target.lun]]\nid = 0\nzvol = "tank/disk"\n' >>$CONF
check "a clone of a LUN" sh -c "$POOLHOUSE snapshot clone iqn.2026-11.test:disk first --lun 0 --as disk-old --config $CONF | tee /tmp/clone"
check "has the next id" grep -q '^id = 1' /tmp/clone
within 30 ready disk-old
check "holds what was there" is "$(head -c 5 /dev/zvol/tank/disk-old)" first
check "and cannot be written" is "$(property readonly tank/disk-old)" on
grep -A3 '^\[\[target.lun' /tmp/clone >>$CONF
check "its lines are right" sh -c "! $POOLHOUSE check --json --config $CONF | grep -q 'disk-old'"
fi
check "the server stops at the end" stop_server
