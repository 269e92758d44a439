#!/bin/bash
# vouch undo and restore of many files: what a file costs in requests, a plan
# that fits in no answer, what is told (totals, own run, where names go back
# to, -q, JSON), damaged bytes; and a directory that shuts its owner out.
. "$TOP/tests/mount/lib.sh"

new_volume
mount_volume -o allow_other
requests() { # that somebody waited for, until now
	vouch status mnt --format=json | jq '.requests | with_entries(select(.key | test("forget") | not)) | add'
}

# --- what a file costs ----------------------------------------------------------

mkdir -p mnt/t/a mnt/t/b
for i in $(seq 150); do echo "a $i" >mnt/t/a/$i; echo "b $i" >mnt/t/b/$i; done
cp -a mnt/t copy
vouch snapshot mnt was >/dev/null
at=$(requests)
echo changed | tee mnt/t/*/* >/dev/null
vouch sync mnt
at=$(requests)
expect "restore of what was changed" vouch restore mnt/t --at was
took=$(($(requests) - at))
[ $took -le 900 ] || fail "300 files put back took $took requests"
diff -r copy mnt/t || fail "restored bytes"
grep -q "vouch undo restore.1 --in=$PWD/mnt takes that back" out || fail "no way back in: $(cat out)"
chmod 640 mnt/t/a/7 && touch -d '2001-02-03 04:05:06' mnt/t/a/8
(cd mnt && find t -printf '%p %m %TY%Tm%Td %s\n' | sort) >before
expect "the run" vouch run -q --name gone --in=mnt -- rm -rf mnt/t
vouch sync mnt
at=$(requests)
expect "undo of a removal" vouch undo gone --in=mnt
took=$(($(requests) - at))
[ $took -le 3300 ] || fail "300 files made again took $took requests"
(cd mnt && find t -printf '%p %m %TY%Tm%Td %s\n' | sort) >after
same "they are as they were" "$(diff before after)" ""
diff -r copy mnt/t || fail "undone bytes"
same "what that was" "$(tail -n 1 out)" "303 made again; vouch undo undo.1 --in=$PWD/mnt takes that back"

# --- what is told -----------------------------------------------------------------

mkdir mnt/w && echo 1 >mnt/w/old && echo 2 >mnt/w/kept && ln mnt/w/kept mnt/w/link
vouch run -q --name told --in=mnt -- bash -c 'cd mnt/w && mv old new && rm link && echo x >>kept && ln new more && touch made'
expect "dry" vouch undo told --in=mnt --dry-run
same "where a name goes back to" "$(grep -c 'w/new (name: back to w/old, name: without w/more)\|w/more (name: back to w/old, name: without w/new)' out)" 1
same "and comes again" "$(grep -c 'w/kept (content, name: again w/link)' out)" 1
same "how many" "$(tail -n 1 out)" "That is 2 put back, 1 removed"
expect "JSON" vouch undo told --in=mnt --format=json
same "it counts" "$(jq -r '"\(.put_back) \(.made) \(.removed) \(.left) \(.undo) \(.planned)"' out)" "2 0 1 0 undo.2 false"
expect "quiet" vouch undo undo.2 --in=mnt -q
same "it says nothing" "$(cat out err)" ""
same "and did it" "$(ls mnt/w | tr '\n' ' ')" "kept made more new "
rm -rf mnt/w
expect "quiet restore" vouch restore mnt/t --at was -q
same "it says nothing" "$(cat out err)" ""
rm mnt/t/a/1
expect "restore, JSON" vouch restore mnt/t --at was --format=json
same "its own run" "$(jq -r '"\(.files) \(.run)"' out)" "1 restore.3"

# --- one who shuts himself out ------------------------------------------------------

as_user() { setpriv --reuid 65534 --regid 65534 --clear-groups "$@"; }
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
	chmod 755 . mnt
	mkdir mnt/u && chown 65534:65534 mnt/u
	as_user bash -c 'cd mnt/u && mkdir d && echo in >d/f && chmod 4711 d/f && chmod 555 d'
	as_user vouch run -q --name shut --in=mnt -- bash -c 'chmod u+w mnt/u/d && rm -r mnt/u/d'
	expect "undo, by him" as_user vouch undo shut --in=mnt
	same "all of it is there" "$(stat -c '%a %u' mnt/u/d mnt/u/d/f | tr '\n' ' ')$(cat mnt/u/d/f)" "555 65534 4711 65534 in"
fi

# --- a plan that fits in no answer -----------------------------------------------------

long=$(printf 'x%.0s' $(seq 240))
deep=mnt/deep
for i in $(seq 14); do deep=$deep/$long; done
mkdir -p $deep
for i in $(seq 300); do echo "deep $i"; done | split -l 1 -a 3 - $deep/f.
vouch snapshot mnt deep >/dev/null
rm $deep/f.* && echo since >$deep/since
expect "restore by a long plan" vouch restore mnt/deep --at deep
same "all are there" "$(cat $deep/f.* | sort -k2n | sha256sum)" "$(for i in $(seq 300); do echo "deep $i"; done | sha256sum)"
same "what came since stays" "$(cat $deep/since)" since
echo x | tee $deep/f.* >/dev/null
expect "exact, by a long plan" vouch restore mnt/deep --at deep --exact
same "all are there" "$(cat $deep/* | sort -k2n | sha256sum)" "$(for i in $(seq 300); do echo "deep $i"; done | sha256sum)"
same "nothing of it is left" "$(ls vol/cache | grep -c '^plan')" 0

# --- damaged bytes ------------------------------------------------------------------------

mkdir mnt/x && head -c 20000 /dev/urandom >x && cp x mnt/x/bad && echo good >mnt/x/good
vouch sync mnt
vouch run -q --name hurt --in=mnt -- bash -c 'rm mnt/x/bad; echo worse >mnt/x/good'
umount_volume
hurt=
for pack in vol/packs/*.pack; do
	at=$(LC_ALL=C grep -obUaP -m 1 "$(head -c 16 x | od -An -tx1 -v | tr -d '\n' | sed 's/ /\\x/g')" "$pack" | head -n 1 | cut -d: -f1)
	[ -z "$at" ] || { flip "$pack" $((at + 5000)) && hurt=yes; }
done
[ -n "$hurt" ] || fail "its bytes are in no pack"
mount_volume -o allow_other
vouch undo hurt --in=mnt >out 2>err
same "a damaged version" "$? $(cat err)" "1 "
grep -q 'x/bad: content: its bytes as after entry [0-9.]* are damaged in the store: vouch fsck' out || fail "not told: $(cat out)"
same "the rest is done" "$(ls mnt/x) $(cat mnt/x/good)" "good good"
same "and counted" "$(tail -n 1 out | cut -d';' -f1)" "1 put back, 1 left"
umount_volume
