# shellcheck shell=bash
# Part of zfs.sh: a per_user share on a dataset: each account gets a dataset of its own, with its own limit and its own snapshots.
echo "--- users"
CONF=/tmp/users.toml
export POOLHOUSE_CONFIG=$CONF
sed 's/^max_size.*//' /tmp/p.toml >$CONF
cat >>$CONF <<C
[[share]]
name = "homes"
dataset = "tank/homes"
per_user = true
max_size = "24MiB"
[[replicate]]
share = "homes"
to = "tank/copies/homes"
C
zfs create tank/copies
as() { smbclient -p $PORT -U "$1%$PASSWORD" //127.0.0.1/homes -c "$2" 2>&1; }
for account in "anna backup" "jörg games" "carl news"; do
    read -r name system <<<"$account"
    check "an account: $name" sh -c "echo $PASSWORD | $POOLHOUSE user add $name --password-stdin --unix-user $system --config $CONF"
done
head -c 16M /dev/urandom >/tmp/16m
check "the server starts" start_server
mkdir -m 700 /tank/homes/carl && chown news:news /tank/homes/carl && echo old >/tank/homes/carl/old && chown news:news /tank/homes/carl/old
refuse "nobody has a dataset yet" zfs list tank/homes/anna
check "anna logs in and writes" sh -c "smbclient -p $PORT -U anna%$PASSWORD //127.0.0.1/homes -c 'put /tmp/16m one'"
check "she has a dataset" is "$(property type tank/homes/anna)" filesystem
check "it is hers alone" is "$(stat -c '%U %a' /tank/homes/anna)" "backup 700"
check "limited" is "$(property refquota tank/homes/anna)" 25165824
check "the share's own is not" is "$(property refquota tank/homes)" 0
check "as it suits files" is "$(property xattr tank/homes/anna) $(property compression tank/homes/anna)" "sa lz4"
as anna 'put /tmp/16m two' >/tmp/full || true
check "past her limit the disk is full" grep -q DISK_FULL /tmp/full
check "jörg has his own room" sh -c "smbclient -p $PORT -U jörg%$PASSWORD //127.0.0.1/homes -c 'put /tmp/16m one'"
check "in a dataset that zfs can name" is "$(property mountpoint tank/homes/j:c3:b6rg)" /tank/homes/jörg
check "a folder that was there stays one" sh -c "smbclient -p $PORT -U carl%$PASSWORD //127.0.0.1/homes -c 'get old /tmp/old' && grep -q old /tmp/old"
refuse "no dataset is mounted over it" zfs list tank/homes/carl
check "a snapshot of hers" ph snapshot create homes --user anna before
as anna 'rm one'
TOKEN=$(date -u -d "@$(zfs list -Hp -t snapshot -o creation tank/homes/anna)" +@GMT-%Y.%m.%d-%H.%M.%S)
told() { as anna 'allinfo two' | grep -q "$TOKEN"; }
check "she is told of it" within 60 told
check "and gets back what was there" sh -c "smbclient -p $PORT -U anna%$PASSWORD //127.0.0.1/homes -c 'get $TOKEN\\one /tmp/one' && cmp /tmp/16m /tmp/one"
check "a snapshot of the share" ph snapshot create homes
check "all is replicated" ph replicate
check "her dataset has a copy" sh -c "zfs list -H -t snapshot -o name tank/copies/homes/anna | grep -q _before"
sed -i 's/max_size = "24MiB"/max_size = "48MiB"/' $CONF
kill -HUP "$(cat /tmp/server.pid)"
limit_is() { [ "$(property refquota tank/homes/anna)" = "$1" ]; }
check "a larger limit reaches her" within 60 limit_is 50331648
check "the server stops" stop_server
zfs unmount tank/homes/anna
: >/tmp/server.log
check "the server starts again" start_server
refuse "her dataset is not mounted, so she is refused" as anna 'put /tmp/old never'
check "the log says what to do" grep -q 'zfs mount tank/homes/anna' /tmp/server.log
check "nothing lies below the mount point" is "$(ls -A /tank/homes/anna)" ""
check "the others are served" sh -c "smbclient -p $PORT -U carl%$PASSWORD //127.0.0.1/homes -c ls"
zfs mount tank/homes/anna
check "mounted again, she is served" sh -c "smbclient -p $PORT -U anna%$PASSWORD //127.0.0.1/homes -c ls"
check "the server stops at the end" stop_server
zfs destroy -r tank/homes 2>/dev/null
zfs destroy -r tank/copies 2>/dev/null
