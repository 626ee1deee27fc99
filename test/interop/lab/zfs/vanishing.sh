# shellcheck shell=bash
# Part of zfs.sh: datasets that come and go under a running server: nobody tells it, and nothing lands below an empty mount point.
echo "--- vanishing"
lists() { smbclient -p $PORT -U "mac%$PASSWORD" "//127.0.0.1/$1" -c ls; }
zfs create -o mountpoint=/tank/files tank/files
zfs unmount tank/files
check "the server starts, one dataset is not mounted" start_server
refuse "its share is not there" lists files
check "the other one is" lists mac
check "mounted later, it is served by itself" sh -c "zfs mount tank/files"
check "without being told" within 60 lists files
echo kept >/tmp/kept.txt && echo lost >/tmp/lost.txt
check "a client writes" sh -c "smbclient -p $PORT -U mac%$PASSWORD //127.0.0.1/files -c 'put /tmp/kept.txt kept'"
# A client that has the share open all the while, and one of the other share.
(sleep 40; echo 'put /tmp/lost.txt lost') | smbclient -p $PORT -U "mac%$PASSWORD" //127.0.0.1/files >/tmp/client.out 2>&1 &
CLIENT=$!
(sleep 40; echo 'put /tmp/kept.txt other') | smbclient -p $PORT -U "mac%$PASSWORD" //127.0.0.1/mac >/tmp/other.out 2>&1 &
OTHER=$!
sleep 5
: >/tmp/server.log
check "it is unmounted under the client" umount -l /tank/files
check "the log says what to do" within 60 grep -q 'zfs mount tank/files' /tmp/server.log
refuse "the share is gone" lists files
wait $CLIENT
wait $OTHER
refuse "the client could not go on" grep -q 'putting file' /tmp/client.out
check "the folder below, of another dataset, is empty" is "$(ls -A /tank/files)" ""
check "clients of other shares have noticed nothing" cmp /tmp/kept.txt /tank/backups/mac/other
check "nothing keeps the dataset from being mounted again" within 60 zfs mount tank/files
check "it is served again" within 60 lists files
check "with what was there" sh -c "smbclient -p $PORT -U mac%$PASSWORD //127.0.0.1/files -c 'get kept /tmp/again' && cmp /tmp/again /tmp/kept.txt"
check "a larger limit, told by a reload" sed -i 's/max_size = "64MiB"/max_size = "96MiB"/' $CONF
kill -HUP "$(cat /tmp/server.pid)"
limit_is() { [ "$(property refquota tank/backups/mac)" = "$1" ]; }
check "is the refquota" within 60 limit_is 100663296
check "and the clients' volume" is "$(($(smb mac ls | sed -nE 's/^[^0-9]*([0-9]+) blocks of size ([0-9]+)\. .*/\1 * \2/p')))" 100663296
check "the server stops after it" stop_server
zfs destroy -r tank/files
