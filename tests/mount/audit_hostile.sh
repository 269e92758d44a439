#!/bin/bash
# Names and arguments that want to be something else, in every view; and who
# may see what.
. "$TOP/tests/mount/lib.sh"

new_volume
mount_volume -o allow_other
a=mnt/audit
names=(
	$'new\nline' $'\e[31mred' 'quo"te' "apo's" 'back\slash' '<b>&amp;' '$(touch pwned)'
	$'bad\xff\xfeutf8' '-rf' '=1+1' 'a,b' $'tab\there' '`x`' '}];\n' $'\x01\x7f' $'\xc2\x9b31m' "..."
)
i=0
for n in "${names[@]}"; do
	echo "$n" >"mnt/$n"
	cp -- "mnt/$n" "mnt/copy$i"
	i=$((i + 1))
done
long=$(printf 'l%.0s' $(seq 1 255))
echo long >"mnt/$long"

control='[\x00-\x08\x0b-\x1f\x7f]'
clean() { # WHAT FILE: UTF-8, nothing that a terminal obeys
	iconv -f utf-8 -t utf-8 "$2" >/dev/null 2>&1 || fail "$1 is no UTF-8"
	! LC_ALL=C grep -qP "$control" "$2" || fail "$1 holds control characters"
}
cp $a/log.jsonl log
expect "log.jsonl is JSON" jq -e . log
clean log.jsonl log
i=0
for n in "${names[@]}"; do
	cp "$a/history/$n.jsonl" h || fail "history of ${n@Q}"
	expect "history is JSON" jq -e . h
	clean "history of ${n@Q}" h
	cp "$a/lineage/copy$i.json" j || fail "lineage of ${n@Q}"
	expect "lineage is JSON" jq -e '.edges | length >= 1' j
	clean "lineage of ${n@Q}" j
	cp "$a/lineage/copy$i.dot" d
	clean "dot of ${n@Q}" d
	! command -v dot >/dev/null || expect "dot parses" dot -Tcanon -o /dev/null d
	i=$((i + 1))
done
ino=$(stat -c %i "mnt/$long")
expect "a name that is too long: by number" jq -e . $a/history/.inode/$ino.jsonl
[ ! -e pwned ] || fail "a name was executed"

echo 'SELECT path, name FROM files ORDER BY path' >mnt/query/all.sql
expect "result" cp mnt/query/all/result.csv c
expect "result" jq -e .path mnt/query/all/result.jsonl
expect "csv" python3 -c "
import csv
rows = list(csv.reader(open('c', newline='', encoding='utf-8')))
assert all(len(r) == 2 for r in rows), rows"

[ "$(id -u)" = 0 ] || exit 0
command -v setpriv >/dev/null || exit 0
as() { setpriv --reuid 4242 --regid 4242 --clear-groups -- "$@"; }
chmod 755 . mnt
mkdir mnt/closed mnt/open
echo secret >mnt/closed/s
echo secret >mnt/open/s
echo public >mnt/open/p
cat mnt/open/s >mnt/open/derived
chmod 700 mnt/closed
chmod 600 mnt/open/s
at=$(($(jq -r .log.seals $a/status.json) - 1))
echo gone >mnt/open/gone
rm mnt/open/gone
expect "public history" as cat $a/history/open/p.jsonl
expect "public past" as cat $a/at/$at/open/p
for f in history/open/s.jsonl lineage/open/s.json proof/open/s.tlog-proof \
	history/closed/s.jsonl at/$at/open/s at/$at/closed/s history/open/gone.jsonl \
	log.jsonl status.json keys.json alerts.jsonl history/.inode/$(stat -c %i mnt/open/s).jsonl; do
	! as cat $a/$f >o 2>/dev/null || fail "$f is shown to anybody"
	[ ! -s o ] || fail "$f gave bytes"
done
! as ls $a/history/closed >/dev/null 2>&1 || fail "history/closed is listed"
! as ls $a/at/$at/closed >/dev/null 2>&1 || fail "at/closed is listed"
! as ls $a/tile >/dev/null 2>&1 || fail "tile is listed"
! as cat mnt/query/all/result.csv >/dev/null 2>&1 || fail "results are shown to anybody"
as cat $a/lineage/open/derived.json >o || fail "lineage of a public file"
expect "a hidden input" jq -e '[.nodes[] | select(.hidden)] | length == 1' o
! grep -q '"open/s"' o || fail "lineage tells a name that is not to be seen"
umount_volume

# the audit group
mount_volume -o allow_other,audit_group=4343
expect "the group reads the log" setpriv --reuid 4242 --regid 4343 --clear-groups -- cat $a/log.jsonl
expect "and as a further group" setpriv --reuid 4242 --regid 4242 --groups 4343 -- cat $a/status.json
! as cat $a/log.jsonl >/dev/null 2>&1 || fail "others read the log"
umount_volume
