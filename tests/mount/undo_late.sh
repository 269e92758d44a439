#!/bin/bash
# vouch undo whose plan is overtaken: what somebody writes between the plan and
# its doing stays; two at once; names that somebody else took away; and bytes
# that were behind a shut directory are nobody else's when they are gone.
. "$TOP/tests/mount/lib.sh"
. "$TOP/tests/mount/undo_lib.sh"

new_volume
mount_volume -o allow_other

# --- written after the plan was made ---------------------------------------------

mkdir mnt/l
echo before >mnt/l/changed
echo x >mnt/l/mode
cat >job.sh <<'END'
cd mnt/l || exit
chmod 600 mode; echo new >new; echo new >untouched; echo after >changed; mkdir d; echo in >d/in
END
expect "the run" vouch run -q --name late --in=mnt -- bash job.sh
exec 9<mnt
flock 9
vouch undo late --in=mnt >undo.out 2>undo.err 9<&- &
undo=$!
at_work $undo
echo mine >>mnt/l/new
echo mine >>mnt/l/changed
echo mine >>mnt/l/d/in
chmod 640 mnt/l/mode
flock -u 9
wait $undo
same "it tells that something stays" "$? $(cat undo.err)" "1 "
same "what was written stays" "$(cd mnt/l && tail -qn 1 new changed d/in | tr '\n' ' '; ls | tr '\n' ' ')" \
	"mine mine mine changed d mode new "
same "so does what was set" "$(stat -c %a mnt/l/mode)" 640
same "and is told" "$(grep -c 'l/new: removal: it changed\|l/changed: content: it changed\|l/d/in: removal: it changed\|l/mode: mode: it changed' undo.out)" 4

# --- two at once --------------------------------------------------------------------

mkdir mnt/w
for i in 1 2 3 4 5 6; do echo $i >mnt/w/f$i; done
ln mnt/w/f1 mnt/w/link && chmod 640 mnt/w/f1 && chmod 750 mnt/w
cat >job.sh <<'END'
cd mnt/w || exit
rm f1 link f2; mv f3 t; mv f4 f3; mv t f4; echo x >>f5; chmod 600 f6; mkdir d; echo n >d/n
END
stat -c '%n %a %h' mnt/w/* >before
expect "the run" vouch run -q --name twice --in=mnt -- bash job.sh
flock 9
vouch undo twice --in=mnt >one.out 2>one.err 9<&- &
one=$!
vouch undo twice --in=mnt >two.out 2>two.err 9<&- &
two=$!
at_work $one
at_work $two
flock -u 9
exec 9<&-
for pid in $one $two; do
	wait $pid
	[ $? -le 1 ] || fail "one of two: $(cat one.err two.err)"
done
stat -c '%n %a %h' mnt/w/* | diff before - || fail "two at once: $(cat one.out two.out)"
same "their bytes" "$(cat mnt/w/f?)" "$(seq 1 6)"
find mnt/w | grep -F .vouch-undo && fail "left on its way"
expect "nothing is left to undo" vouch undo twice --in=mnt

# --- one of its names was taken away by somebody else -----------------------------

expect "the run" vouch run -q --name names --in=mnt -- sh -c 'echo n >mnt/l/a; ln mnt/l/a mnt/l/b'
rm mnt/l/a
expect "its undo" vouch undo names --in=mnt
[ ! -e mnt/l/b ] || fail "the other name is left: $(cat out)"

# --- each of two names taken by something else --------------------------------------

echo two >mnt/l/one && ln mnt/l/one mnt/l/two
expect "the run" vouch run -q --name over --in=mnt -- \
	sh -c 'cd mnt/l; ln -s x t; mv t two; echo n >t; mv t one'
expect "its undo" vouch undo over --in=mnt
same "both are back" "$(cat mnt/l/one) $(stat -c %h mnt/l/one mnt/l/two | tr '\n' ' ')" "two 2 2 "

# --- gone, and it was behind a shut directory ---------------------------------------

if [ "$(id -u)" = 0 ]; then
	chmod 755 . mnt
	mkdir mnt/shut mnt/open && chmod 700 mnt/shut
	for d in shut open; do echo secret >mnt/$d/f && chmod 644 mnt/$d/f; done
	echo mine >mnt/mine && chown 65534 mnt/mine
	expect "the run" vouch run -q --name gone --in=mnt -- rm mnt/shut/f mnt/open/f
	for d in shut open; do
		jq -r "select(.path == \"$d/f\") | .put" mnt/audit/runs/gone.1/undo.jsonl >put.$d
		python3 - put.$d <<'END' >got.$d
import json, os, sys
put = json.load(open(sys.argv[1]))
os.setgroups([])
os.setresgid(65534, 65534, 65534)
os.setresuid(65534, 65534, 65534)
for put["expect"] in range(4):
    try:
        os.setxattr("mnt/mine", "user.vouch.restore", json.dumps(put).encode())
        break
    except OSError as e:
        print(e.errno)
print(open("mnt/mine").read())
END
	done
	grep -q secret got.shut && fail "he reads what was behind a shut directory"
	grep -q secret got.open || fail "he may read what was in an open one: $(cat got.open)"
else
	echo "not root: what is gone was not asked for"
fi
umount_volume
expect "the volume is well" vouch verify vol --deep
