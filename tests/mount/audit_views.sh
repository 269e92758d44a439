#!/bin/bash
# The audit tree under ordinary tools: sizes are right, tail follows, tar and
# cp copy what cat shows, nothing above what one may see.
. "$TOP/tests/mount/lib.sh"

new_volume
mount_volume
a=mnt/audit
mkdir -p mnt/d/sub
echo one >mnt/d/f
echo two >>mnt/d/f
mv mnt/d/f mnt/d/g
echo gone >mnt/d/sub/h
rm mnt/d/sub/h

# log.jsonl: valid JSON, one line an entry, sizes exact
expect "log" cp $a/log.jsonl log1
expect "every line is JSON" jq -e .entry log1
same "wc -c" "$(wc -c <$a/log.jsonl)" "$(stat -c %s $a/log.jsonl)"
jq -r .entry log1 >entries
expect "entries are in order, each is there once" sort -C -u -t. -k1,1n -k2,2n entries

command -v getfattr >/dev/null || { echo "getfattr is not here"; exit 77; }

# random access gives the same bytes as reading through
size=$(stat -c %s log1)
for off in 1 17 1000 $((size / 2)) $((size - 1)); do
	same "byte $off" "$(dd if=$a/log.jsonl bs=1 skip=$off count=50 status=none | md5sum)" \
		"$(dd if=$a/log.jsonl bs=1M status=none | tail -c +$((off + 1)) | head -c 50 | md5sum)"
done

# tail -f sees what comes, whole lines
timeout $((20 * SLOWNESS)) tail -n 1 -f $a/log.jsonl >tailed &
tail_pid=$!
for i in $(seq 1 $((50 * SLOWNESS))); do [ -s tailed ] && break; sleep 0.1; done
echo three >mnt/d/tailed-name
for i in $(seq 1 $((100 * SLOWNESS))); do
	grep -q tailed-name tailed && break
	sleep 0.1
done
kill $tail_pid
wait $tail_pid 2>/dev/null
grep -q tailed-name tailed || fail "tail -f did not see the new entry"
head -n -1 tailed | jq -e .entry >/dev/null || fail "tail -f gave broken lines"

# what was read before is a prefix of what is read now
cmp -n "$size" log1 $a/log.jsonl || fail "log.jsonl changed its beginning"

# history: through a rename and after the end (a plain digest may be added
# at any time, when the volume is idle)
jq -c 'select(.kind != "digest")' $a/history/d/g.jsonl >h
same "history of g" "$(jq -r .kind h | tr '\n' ' ')" "create version version rename "
same "path then" "$(jq -r .path_then h | tr '\n' ' ')" "d/f d/f d/f d/g "
jq -e '.by.exe | endswith("mv")' >/dev/null <<<"$(tail -n 1 h)" || fail "who renamed"
same "history of what is gone" "$(jq -r .kind $a/history/d/sub/h.jsonl | tail -n 1)" unlink
ino=$(jq -r .inode $a/history/d/sub/h.jsonl | head -n 1)
expect "history by number" cmp $a/history/d/sub/h.jsonl $a/history/.inode/$ino.jsonl
same "no history of nothing" "$(cat $a/history/d/nothing.jsonl 2>&1 | grep -c 'No such file')" 1

# a name that is a directory and a file's name with the suffix
mkdir mnt/d/x.jsonl
echo x >mnt/d/x
same "listed once" "$(ls $a/history/d | sort | uniq -d)" ""
[ -d $a/history/d/x.jsonl ] || fail "the directory comes first"

# status, keys, checkpoint, tiles
for f in status.json keys.json; do
	expect "$f" jq -e .format $a/$f
	same "size of $f" "$(wc -c <$a/$f)" "$(cat $a/$f | wc -c)"
done
expect "one active mount key" jq -e '[.keys[] | select(.role == "mount" and .active)] | length == 1' $a/keys.json
grep -q . $a/checkpoint || fail "checkpoint is empty"
size=$(sed -n 2p $a/checkpoint)
n=$(find $a/tile/entries -type f | wc -l)
[ "$n" -ge 1 ] || fail "no bundle of $size seals"
find $a/tile/0 -type f -printf '%s %p\n' >tiles
while read -r bytes path; do
	same "size of $path" "$(wc -c <"$path")" "$bytes"
	[ $((bytes % 32)) = 0 ] || fail "$path is no row of hashes"
done <tiles

# all digests are there, so that nothing is added meanwhile
find mnt/d -type f -exec getfattr -n user.vouch.sha256 {} + >/dev/null
vouch sync mnt

# tar, cp -r, grep -r, find end, and agree with cat.  (Documents that are
# made when they are opened have no size before: history has.)
expect "grep -r" grep -rq '"kind":"rename"' $a
expect "cp -r" cp -r $a/history copied
expect "same as cat" diff -r $a/history copied
expect "tar" tar -C $a -cf h.tar history status.json keys.json README checkpoint tile
mkdir untarred
expect "untar" tar -C untarred -xf h.tar
expect "tar holds what cat shows" diff -r $a/history untarred/history
expect "tar of status" jq -e .format untarred/status.json
expect "find" find mnt -ls
find mnt/audit -path '*/audit/*/audit*' | grep . && fail "the audit contains itself"

# nothing can be changed
refuse "no writing" 1 "" bash -c "echo x >$a/README"
refuse "no making" 1 "" touch $a/new
refuse "no removing" 1 "" rm -f $a/README
refuse "no directory" 1 "" mkdir $a/history/new

# the same bytes in the next mount
cp $a/log.jsonl log2
umount_volume
mount_volume
cmp -n "$(stat -c %s log2)" log2 $a/log.jsonl || fail "log.jsonl is not the same after a mount"
same "alerts of a clean volume" "$(cat $a/alerts.jsonl)" ""
umount_volume
