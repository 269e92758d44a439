#!/bin/bash
# A time without a zone is one of who gives the command, not of the daemon's
# zone; what tables print is a time that --at takes.
. "$TOP/tests/mount/lib.sh"

new_volume
TZ=EST5 mount_volume
echo one >mnt/f
expect "sync" vouch sync mnt
at=$(TZ=JST-9 date '+%F %T.%N')
later=$(date -u '+%FT%TZ')
echo two >mnt/f

as_seen() { # VERB WORDS...: of somebody in Japan
	TZ=JST-9 vouch "$@"
}

as_seen diff "$at" now mnt/f >out 2>err
same "diff WHEN now" "$(grep -c '^[-+]\(one\|two\)$' out)" 2
as_seen diff mnt/f --at="$at" >out 2>err
same "diff --at" "$(grep -c '^[-+]\(one\|two\)$' out)" 2
as_seen diff mnt/f --at="$at" --to="$at" >out 2>err || fail "diff --to: $(cat err)"
same "diff --at --to" "$(cat out)" ""
as_seen blame mnt/f --at="$at" >out 2>err
same "blame --at" "$(sed 's/.*) //' out)" one
refuse "the same words elsewhere" 1 "future" env TZ=EST5 vouch diff --at="$at" mnt/f
refuse "blame elsewhere" 1 "future" env TZ=EST5 vouch blame --at="$at" mnt/f
expect "restore" as_seen restore mnt/f --at="$at" -q
same "restored" "$(cat mnt/f)" one

# A snapshot's name goes before a day's.
expect "snapshot" vouch snapshot mnt today
echo three >mnt/f
expect "diff today" as_seen diff today now mnt/f
same "since the snapshot" "$(grep -c '^[-+]\(one\|three\)$' out)" 2

# What is printed is UTC, and says so.
stamp='20[0-9][0-9]-[0-9][0-9]-[0-9][0-9] [0-9][0-9]:[0-9][0-9]:[0-9][0-9]Z'
as_seen log -n 1 mnt/f >out
printed=$(grep -o "$stamp" out)
[ "$(date -u -d "$printed" +%s)" -ge "$(date -u -d "$later" +%s)" ] || fail "log: $(cat out)"
as_seen blame mnt/f >out
grep -q "  $stamp  " out || fail "blame: $(cat out)"
as_seen snapshot mnt --list >out
grep -q "  $stamp  today" out || fail "snapshot --list: $(cat out)"
expect "a run" vouch run --in mnt -- touch mnt/g
as_seen runs mnt >out
grep -q "  $stamp  " out || fail "runs: $(cat out)"
umount_volume

TZ=EST5 vouch diff --at="$at" --in=vol >out 2>err && fail "unmounted, elsewhere: $(cat out)"
expect "unmounted" as_seen diff --at="$at" --in=vol
grep -q '^+three$' out || fail "unmounted: $(cat out)"
as_seen export vol out.d --tree --at="$at" >out 2>err || fail "export: $(cat err)"
same "exported" "$(cat out.d/tree/f)" one
