#!/bin/bash
# In the lab's client VM: the Linux kernel's SMB client writes a tree of files, reads it back by
# checksum after a new mount, renames, truncates and deletes, once for each set of mount options.
# Environment: SMB_PORT SMB_SHARE SMB_USER SMB_PASS, SMB_MODES (mount options, separated by
# spaces), SMB_SMALL (how many small files), SMB_QUICK_MODES (options for which a few are enough),
# where /posix-link is a symbolic link to posix-target on the server. Then the POSIX extensions, and the load of
# workload.sh in its short form.
. /lab/lablib.sh
. /script/workload.sh
M=/mnt/smb N=/mnt/other
QUICK_SMALL=100

make_source() { # DIR SMALL   the tree, with its checksums in DIR.sums
    local SOURCE=$1
    mkdir -p "$SOURCE/many" "$SOURCE/Unicode ümläut" && cd "$SOURCE" || return
    : >empty.bin
    printf x >one-byte.bin
    for size in 65535 65536 65537; do head -c $size /dev/urandom >"edge-$size.bin"; done
    head -c 104857600 /dev/urandom >large.bin
    for name in 'résumé.txt' 'über decomposed.txt' '日本語の名前.txt' 'Привет мир.txt' '🏊🏠 emoji.txt' 'مرحبا.txt' "punctuation + , ; = [x] & ' % # @ !.txt"; do
        echo "$name" >"Unicode ümläut/$name" || return
    done
    python3 -c "
for i in range($2):
    with open('many/small-%05d.txt' % i, 'w') as f: f.write('small file %d\n' % i)"
    find . -type f -print0 | sort -z | xargs -0 sha256sum >$SOURCE.sums
}
same_as_source() { (cd "$1" && sha256sum --quiet -c "$2.sums"); }
count_is() { local n; n=$(find "$2" -type f | wc -l); [ "$n" = "$1" ] || { echo "$n files instead of $1"; return 1; }; }
mount_share() { smb_mount "$SMB_SHARE" "$M" "$1"; }
# A new mount: nothing that is read afterwards comes from the client's cache.
remount() { umount "$M" && mount_share "$1"; }
renames() {
    cd "$1" && mv edge-65537.bin "renamed é.bin" && mv many more && mv empty.bin one-byte.bin &&
        [ -e "renamed é.bin" ] && [ -e more/small-00007.txt ] && [ ! -e many ] && [ ! -s one-byte.bin ]
}
truncates() { # DIR SOURCE
    cd "$1" && truncate -s 10 large.bin && truncate -s 1M edge-65535.bin &&
        [ "$(stat -c %s large.bin)" = 10 ] && [ "$(stat -c %s edge-65535.bin)" = 1048576 ] &&
        cmp -n 65535 edge-65535.bin "$2/edge-65535.bin" &&
        tail -c $((1048576 - 65535)) edge-65535.bin | cmp - <(head -c $((1048576 - 65535)) /dev/zero)
}
one_mode() { # OPTIONS SOURCE
    local opts=$1 source=$2 d=$M/kernel t=$SECONDS total
    total=$(wc -l <"$source.sums")
    check "$opts: mount" mount_share "$opts"
    mountpoint -q "$M" || return 0
    check "$opts: write $total files" cp -r "$source" "$d"
    check "$opts: mount anew" remount "$opts"
    check "$opts: list" count_is "$total" "$d"
    check "$opts: read back" same_as_source "$d" "$source"
    check "$opts: rename" renames "$d"
    check "$opts: truncate" truncates "$d" "$source"
    check "$opts: delete" rm -r "$d"
    check "$opts: unmount" umount "$M"
    echo "     $opts took $((SECONDS - t)) s"
}

check "make the quick tree" make_source /tmp/quick "$QUICK_SMALL"
for opts in $SMB_QUICK_MODES; do one_mode "$opts" /tmp/quick; done
rm -r /tmp/quick
check "make the full tree" make_source /tmp/full "$SMB_SMALL"
for opts in $SMB_MODES; do one_mode "$opts" /tmp/full; done
posix_mode() { # CHMOD_MODE FILE: is kept over a new mount
    chmod "$1" "$2" && umount "$M" && mount_share vers=3.1.1,posix,modefromsid && [ "$(stat -c %a "$2")" = "$1" ]
}
posix_rules() {
    check "posix: mount" mount_share vers=3.1.1,posix
    check "posix: is negotiated" grep -q " $M cifs .*,posix," /proc/mounts
    check "posix: mount again, as another client" smb_mount "$SMB_SHARE" "$N" vers=3.1.1,posix,nosharesock
    python3 /script/posix.py "$M/posix" "$N/posix" || echo "FAIL posix: the checks end"
    check "posix: a link of the server's is a link" [ "$(readlink "$M/posix-link")" = posix-target ]
    check "posix: and is followed" grep -q "behind the link" "$M/posix-link"
    check "posix: unmount" umount "$M" "$N"
    check "posix: mount with modefromsid" mount_share vers=3.1.1,posix,modefromsid
    check "posix: chmod" posix_mode 751 "$M/posix/private/file"
    check "posix: chmod of a directory" posix_mode 705 "$M/posix/private"
    check "posix: delete" rm -r "$M/posix"
    check "posix: unmount again" umount "$M"
}
posix_rules
# MS-SMB2 3.2.5.5: encryption is of dialect 3.0 on.
refuse "seal with vers=2.1 is refused" mount_share vers=2.1,seal
SMB_PASS=wrong refuse "a wrong password is refused" mount_share vers=3.1.1
workload
finish
