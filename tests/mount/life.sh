#!/bin/bash
# life.sh: a volume is made, mounted, used, unmounted, mounted again; whatever
# stands in the way is told in words.
# timeout: 300
. "$(dirname "$0")/lib.sh"

# --- init
new_volume --origin=example.org/life
grep -q 'keep a copy' -i init.out || fail "init does not tell of the admin key"
[ -f vol/keys/admin.key ] || fail "the admin key is not where init says"
refuse "init again" 1 "already" vouch init vol
mkdir full && touch full/x
refuse "init of a full directory" 1 "not empty" vouch init full
refuse "no verb" 2 "usage" vouch
refuse "unknown verb" 2 "unknown verb" vouch frobnicate
refuse "missing argument" 2 "usage: vouch mount" vouch mount vol
refuse "unknown option" 2 "unknown option" vouch mount vol mnt --what
expect "help" vouch --help
grep -q umount out || fail "help does not list umount"
expect "help of a verb" vouch mount --help
[ -s err ] && fail "help writes on stderr"

# --- what is refused before anything happens
refuse "no volume" 1 "vouch init" vouch mount full mnt
[ -e full/vouch.log ] && fail "a log was left in a directory that is no store"
refuse "mount point missing" 1 "nowhere" vouch mount vol nowhere
refuse "unknown mount option" 2 "frob" vouch mount vol mnt -o frob
refuse "inside the store" 2 "inside the store" vouch mount vol vol/wal
mkdir above && mv vol above/
refuse "hides its store" 2 "hide" vouch mount above/vol above
mv above/vol .

# --- mounted
mount_volume
grep -q "$PWD/vol $PWD/mnt" <(awk '/fuse.vouchfs/ {print $(NF-1), $5}' /proc/self/mountinfo) ||
	fail "mountinfo does not show the store: $(grep vouchfs /proc/self/mountinfo)"
refuse "mounted twice" 1 "" vouch mount vol mnt
mkdir mnt2
refuse "mounted elsewhere, too" 1 "use\|lock\|mounted" vouch mount vol mnt2
echo one >mnt/file
expect "sync" vouch sync mnt
same "status" "$(vouch status mnt --format=json | jq -r .state)" mounted
same "status of the store" "$(vouch status vol --format=json | jq -r .dir)" "$PWD/mnt"
same "status from inside" "$(cd mnt && vouch status . --format=json | jq -r .store)" "$PWD/vol"
same "origin" "$(vouch status vol --format=json | jq -r .origin)" example.org/life
made=$(vouch status mnt --format=json | jq -r '.requests.mkdir // 0')
mkdir mnt/counted && rmdir mnt/counted
same "requests are counted" "$(vouch status mnt --format=json | jq -r .requests.mkdir)" $((made + 1))
vouch status -v mnt | grep -Eq "^ +$((made + 1)) mkdir" || fail "status -v does not tell requests"
vouch status | grep -q "$PWD/mnt" || fail "status does not list the mount"
same "the socket is private" "$(stat -c %a vol/control)" 600

# --- busy
(cd mnt && exec sleep 60) &
sleeper=$!
while [ "$(readlink /proc/$sleeper/cwd)" != "$PWD/mnt" ]; do sleep 0.02; done
refuse "busy" 1 "sleep (process $sleeper)" vouch umount mnt
same "still there" "$(cat mnt/file)" one
kill $sleeper
wait $sleeper 2>/dev/null
umount_volume
[ -e vol/control ] && fail "the socket is left"
same "status when unmounted" "$(vouch status vol --format=json | jq -r .state)" unmounted
refuse "not mounted" 1 "not mounted\|neither" vouch umount mnt

# --- SIGTERM ends it in order
mount_volume
same "after remount" "$(cat mnt/file)" one
echo two >mnt/file2
pid=$(daemon_pid)
kill "$pid"
for _ in $(seq $((200 * SLOWNESS))); do [ -d "/proc/$pid" ] || break; sleep 0.05; done
[ -d "/proc/$pid" ] && fail "SIGTERM does not end the daemon"
grep -q vouchfs /proc/self/mountinfo && grep -q " $PWD/mnt " /proc/self/mountinfo &&
	fail "SIGTERM leaves the mount"
mount_volume
same "written before SIGTERM" "$(cat mnt/file2)" two

# --- SIGTERM while busy: nothing is lost
exec 9>mnt/open
echo three >&9
pid=$(daemon_pid)
kill "$pid"
for _ in $(seq $((200 * SLOWNESS))); do [ -d "/proc/$pid" ] || break; sleep 0.05; done
[ -d "/proc/$pid" ] && fail "SIGTERM does not end a busy daemon"
exec 9>&-
mount_volume
same "written by an open file" "$(cat mnt/open)" three

# --- the daemon dies
pid=$(daemon_pid)
echo four >mnt/four
expect "sync" vouch sync mnt
kill -9 "$pid"
while [ -d "/proc/$pid" ]; do sleep 0.02; done
ls mnt 2>/dev/null && fail "a dead mount answers"
same "status of the dead" "$(vouch status mnt --format=json | jq -r .state)" dead
refuse "mount over the dead" 1 "umount" vouch mount vol mnt
expect "umount of the dead" vouch umount mnt
mount_volume -o ro
same "synced before the kill, read-only" "$(cat mnt/four)" four
umount_volume
mount_volume
same "synced before the kill" "$(cat mnt/four)" four
umount_volume

# --- as mount(8) and umount(8) call it
ln -s "$(command -v vouch)" mount.fuse.vouchfs
ln -s "$(command -v vouch)" umount.fuse.vouchfs
expect "mount helper" ./mount.fuse.vouchfs vol mnt -n -o rw,noatime,nofail,x-systemd.automount,_netdev
same "mounted by the helper" "$(cat mnt/four)" four
expect "umount helper" ./umount.fuse.vouchfs mnt -n
grep -q " $PWD/mnt " /proc/self/mountinfo && fail "the umount helper leaves the mount"

# --- read-only
mount_volume -o ro
same "read-only" "$(cat mnt/four)" four
(echo x >mnt/new) 2>/dev/null && fail "a read-only mount takes a file"
same "told" "$(vouch status mnt --format=json | jq -r .read_only)" true
vouch status mnt | grep -q 'rollback *not looked for by a read-only mount' || fail "status: $(vouch status mnt)"
umount_volume

# --- a long path to the store: longer than a socket's address
long=$PWD/$(printf 'x%.0s' $(seq 100))/$(printf 'y%.0s' $(seq 100))
mkdir -p "$long"
expect "init of a long path" vouch init "$long/vol"
expect "mount of a long path" vouch mount "$long/vol" mnt
same "status of a long path" "$(vouch status mnt --format=json | jq -r .state)" mounted
umount_volume

# --- a path that tries to be something else
odd="$PWD/a, b=c\\d"
mkdir "$odd"
expect "init of an odd path" vouch init "$odd/vol"
expect "mount of an odd path" vouch mount "$odd/vol" mnt
same "status of an odd path" "$(vouch status mnt --format=json | jq -r .store)" "$odd/vol"
umount_volume

# --- in the foreground
vouch mount vol mnt -f 2>fg.log &
fg=$!
for _ in $(seq $((200 * SLOWNESS))); do grep -q mounted fg.log && break; sleep 0.05; done
same "foreground" "$(cat mnt/four)" four
umount_volume
wait $fg || fail "the foreground daemon gave $?"
grep -q unmounted fg.log || fail "the foreground daemon logs nothing"
