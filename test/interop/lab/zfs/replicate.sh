# shellcheck shell=bash
# In the lab's ZFS VM: datasets sent to a second pool as a user without root, through the command that a key is restricted to. There is
# no sshd in the VM: a program in ssh's place starts that command, as sshd would. Runs alone, too.
if [ -z "${LAB_PASS:-}" ]; then
    . /lab/lablib.sh
    POOLHOUSE=/project/bin/poolhouse ALONE=1
    is() { [ "$1" = "$2" ] || { echo "got '$1', wanted '$2'"; return 1; }; }
    property() { zfs get -Hp -o value "$1" "$2"; }
fi
R=/tmp/replicate
mkdir -p $R
cat >$R/p.toml <<C
[server]
name = "lab"
state_dir = "$R/state"
[[replicate]]
dataset = "src/data"
to = "backup@box:dst/backups/data"
ssh_command = "$R/ssh"
[replicate.keep]
keep_all = 0
hourly = 0
daily = 0
weekly = 0
monthly = 0
yearly = 0
C
# As sshd with command= does. $R/cut: the connection is lost after so many bytes.
cat >$R/ssh <<C
#!/bin/bash
while [ "\$1" != -- ]; do shift; done
shift 2
export SSH_ORIGINAL_COMMAND="\$*"
# Without a restricted key: a shell.
[ -s $R/server ] || exec setpriv --reuid backup --regid backup --clear-groups sh -c "\$*"
serve() { setpriv --reuid backup --regid backup --clear-groups \$(cat $R/server); }
if [[ "\$*" = *receive\ -s* && -e $R/cut ]]; then
    head -c "\$(cat $R/cut)" | serve
    rm $R/cut
    echo "Connection to box closed by remote host." >&2
    exit 255
fi
serve
C
chmod 755 $R $R/ssh
echo "$POOLHOUSE replicate serve --root dst/backups --thin" >$R/server
replicate() { "$POOLHOUSE" replicate "$@" --config $R/p.toml; }
holds_of() { zfs list -H -t snapshot -o name "$1" | xargs zfs holds -H | grep -F 'poolhouse:backup@box:dst/backups/data' | cut -f1; }
last_of() { zfs list -H -t snapshot -s createtxg -o name "$1" | tail -n 1; }
says() { # PATTERN COMMAND...   fails, and says why
    local pattern=$1
    shift
    "$@" >$R/said 2>&1 && { echo "it succeeded"; return 1; }
    grep -q -- "$pattern" $R/said || { cat $R/said; return 1; }
}
same_files() { # SOURCE-FOLDER SNAPSHOT-OF-TARGET
    mkdir -p $R/mnt && mount -t zfs "$2" $R/mnt || return
    (cd "$1" && find . -type f -exec sha256sum {} + | sort) >$R/one
    (cd $R/mnt && find . -type f -exec sha256sum {} + | sort) >$R/other
    umount $R/mnt
    [ -s $R/one ] && cmp $R/one $R/other
}

echo "--- replication"
truncate -s 1G $R/src.img $R/dst.img
check "make two pools" sh -c "zpool create -O mountpoint=/src src $R/src.img && zpool create -O mountpoint=/dst dst $R/dst.img"
zfs create dst/backups
zfs create src/data
head -c 40M /dev/urandom >/src/data/a
zfs snapshot -o poolhouse:reason=manual src/data@one
head -c 20M /dev/urandom >/src/data/b
zfs snapshot -o poolhouse:reason=manual src/data@two
check "without permissions it says which are needed" says "zfs allow -u backup receive.* dst/backups" replicate push src/data
check "they are given" sh -c "$(sed -n 's/.*where box:.* is: //p; s/.*where backup@box:.* is: //p' $R/said | tail -n 1)"
check "a dry run says what would be sent" sh -c "$POOLHOUSE replicate --dry-run --config $R/p.toml | grep 'would send src/data.*all of one'"
refuse "and sends nothing" zfs list dst/backups/data
echo 20000000 >$R/cut
check "the connection is lost in the middle" says "connection to backup@box:dst/backups/data was lost" replicate push src/data
TOKEN=$(property receive_resume_token dst/backups/data)
check "what arrived is kept, with a token" [ "${#TOKEN}" -gt 20 ]
check "what is being sent is held" says "dataset is busy" zfs destroy src/data@one
check "the next run goes on there" sh -c "$POOLHOUSE replicate push src/data --json --config $R/p.toml >$R/json && grep -q '\"kind\":\"resume\"' $R/json"
RESUMED=$(sed -n 's/.*"event":"sent","plan":{"kind":"resume".*"bytes":\([0-9]*\).*/\1/p' $R/json)
check "and sends only the rest ($RESUMED bytes)" [ "${RESUMED:-99999999}" -lt 30000000 ]
check "the newest snapshot is there" is "$(property guid dst/backups/data@two)" "$(property guid src/data@two)"
check "with the same files" same_files /src/data dst/backups/data@two
check "the copy is read-only" is "$(property readonly dst/backups/data)" on
check "and not mounted" is "$(property mounted dst/backups/data)" no
check "the common snapshot alone is held at the source" is "$(holds_of src/data)" src/data@two
check "and at the target" is "$(holds_of dst/backups/data)" dst/backups/data@two
check "it is bookmarked" is "$(zfs list -H -t bookmark -o name src/data | wc -l)" 1
check "the target's retention is its own" is "$(zfs list -H -t snapshot -o name dst/backups/data)" dst/backups/data@two
check "the source's is not touched" zfs list src/data@one

echo more >/src/data/c
rm /src/data/b
zfs snapshot -o poolhouse:reason=manual src/data@three
zfs snapshot -o poolhouse:reason=manual src/data@four
check "what is new is sent" replicate
check "with the same files again" same_files /src/data dst/backups/data@four
check "the older holds are released" is "$(holds_of src/data) $(holds_of dst/backups/data)" "src/data@four dst/backups/data@four"
check "once more there is nothing to send" sh -c "$POOLHOUSE replicate --json --config $R/p.toml | grep -q '\"bytes\":0'"
check "the list says so" sh -c "$POOLHOUSE replicate list --json --config $R/p.toml | grep -q '\"missing\": 0'"

zfs release poolhouse:backup@box:dst/backups/data src/data@four
zfs destroy src/data@four
zfs snapshot src/data@five
zfs snapshot src/data@six
check "with the common snapshot gone, its bookmark does" replicate
check "and all came" is "$(property guid dst/backups/data@six)" "$(property guid src/data@six)"
zfs rename src/data@six src/data@renamed
zfs snapshot src/data@seven
check "a renamed snapshot is known by its guid" replicate
zfs snapshot dst/backups/data@strange
check "a target with a snapshot of its own is refused" says "unknown to .*src/data.*zfs rollback -r dst/backups/data@seven" replicate
check "and left as it is" zfs list dst/backups/data@strange
zfs destroy dst/backups/data@strange
zfs set readonly=off dst/backups/data
zfs mount dst/backups/data && echo changed >/dst/backups/data/own && zfs unmount dst/backups/data
zpool sync dst
check "one that has changed is refused" says "has changed by" replicate
check "and again left as it is" sh -c "zfs mount dst/backups/data && grep -q changed /dst/backups/data/own && zfs unmount dst/backups/data"
zfs rollback dst/backups/data@seven
check "rolled back, it is up to date" replicate

echo "--- a key for replication"
key() { SSH_ORIGINAL_COMMAND="$*" "$POOLHOUSE" replicate serve --root dst/backups; }
check "gives no shell" says "may not do that" key sh
check "destroys nothing unless it may" says "needs --thin" key zfs destroy dst/backups/data@seven
check "sends nothing unless it may" says "needs --send" key zfs send -w dst/backups/data@seven
check "reaches nothing outside" says "below .*dst/backups.* alone" key zfs receive -s -u src/data
check "what others made stays" sh -c "zfs snapshot dst/backups/data@others; ! SSH_ORIGINAL_COMMAND='zfs destroy dst/backups/data@others' $POOLHOUSE replicate serve --root dst/backups --thin; zfs list dst/backups/data@others && zfs destroy dst/backups/data@others"

echo "--- encrypted, and back, to an account without a restricted key"
: >$R/server
echo password >$R/key
zfs create -o encryption=on -o keyformat=passphrase -o keylocation=file://$R/key src/secret
head -c 10M /dev/urandom >/src/secret/file
zfs snapshot src/secret@one
check "it is sent as it is" replicate push src/secret --to box:dst/backups/secret --ssh-command $R/ssh
check "the target has no key" is "$(property keystatus dst/backups/secret)" unavailable
echo more >/src/secret/more
check "also what is new, with a snapshot for it" replicate push src/secret --snapshot --to box:dst/backups/secret --ssh-command $R/ssh
zfs allow -u backup send,hold,release,bookmark,destroy dst/backups
check "it is fetched back" replicate pull src/again --from box:dst/backups/secret --ssh-command $R/ssh
check "and can be read with the key" sh -c "zfs load-key -L file://$R/key src/again && zfs mount src/again && cmp /src/secret/file /src/again/file && cmp /src/secret/more /src/again/more"
zpool destroy src
zpool destroy dst
[ -z "${ALONE:-}" ] || finish
