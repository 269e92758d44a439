#!/bin/bash
# vouch undo where somebody else was at work between two steps of the run: what
# the run then removed or replaced comes back as they left it, without the
# run's own edits, or is told.
. "$TOP/tests/mount/lib.sh"

new_volume
mount_volume
mkfifo go back
# together NAME FIRST OTHERS THEN: a run that does FIRST, others who do OTHERS
# and the run that goes on with THEN; all of them in mnt/b
together() {
	vouch run -q --name "$1" --in=mnt -- bash -c "(cd mnt/b; $2); echo >back; read -r _ <go; cd mnt/b; $4" &
	local pid=$!
	read -r _ <back
	setsid -w bash -c "cd mnt/b; $3"
	echo >go
	wait $pid
}
text() { seq 1 40 | sed "$@"; }
is() { # NAME BYTES...: what the file holds is what the command prints
	local name=$1
	shift
	"$@" | cmp - "mnt/b/$name" || fail "$name is not that of $*: $(cat out)"
}

mkdir mnt/b
for f in text clash over mode named one; do seq 1 40 >mnt/b/$f; done
ln mnt/b/one mnt/b/two
head -c 9000 /dev/urandom >mnt/b/bin
head -c 9000 /dev/urandom >mnt/b/last
touch -d '2001-02-03 04:05:06' mnt/b/mode
python3 -c 'import os; os.setxattr("mnt/b/mode", "user.k", b"before")'
together job '
sed "s/^5\$/five/" text >../../x; for f in text clash over one; do cat ../../x >$f; done
for f in bin last; do printf zz | dd of=$f conv=notrunc bs=1 seek=50 2>/dev/null; done
chmod 600 mode; setfattr -n user.k -v run mode 2>/dev/null ||
	python3 -c "import os; os.setxattr(\"mode\", \"user.k\", b\"run\")"
mv named renamed; echo made >made' '
for f in text over one; do sed "s/^20\$/twenty/" $f >../../x; cat ../../x >$f; done
sed "s/^five\$/FIVE/" clash >../../x; cat ../../x >clash
for f in bin last; do printf yy | dd of=$f conv=notrunc bs=1 seek=5000 2>/dev/null; cp $f ../../$f.theirs; done
chmod 640 mode; python3 -c "import os; os.setxattr(\"mode\", \"user.k\", b\"theirs\")"
mv renamed theirs; echo more >>made' '
printf zz | dd of=last conv=notrunc bs=1 seek=70 2>/dev/null; chmod 604 mode
sed -i "s/^30\$/thirty/" over
rm text clash bin last mode theirs one two made'
vouch undo job --in=mnt >out 2>err
same "it tells what it does not know" "$? $(cat err)" "1 "
is text text 's/^20$/twenty/'
is over text 's/^20$/twenty/'
is one text 's/^20$/twenty/'
same "its links" "$(stat -c %h mnt/b/one mnt/b/two | tr '\n' ' ')" "2 2 "
is clash text 's/^5$/FIVE/'
is bin cat bin.theirs
is last cat last.theirs
same "settings" "$(stat -c '%a %y' mnt/b/mode | cut -c1-23)" "640 2001-02-03 04:05:06"
same "attribute" "$(python3 -c 'import os; print(os.getxattr("mnt/b/mode", "user.k").decode())')" theirs
same "names" "$(ls mnt/b | tr '\n' ' ')" "bin clash last mode one over text theirs two "
for what in 'clash: line 5: the same lines' 'bin: content: changed by somebody else while' \
	'last: content: changed by somebody else while' 'theirs: not called named again: moved since' \
	'made: file: changed by somebody else while'; do
	grep -q "b/$what.*by .*user $(id -u) in [^ ]*, 20..-..-.. ..:..:..Z$" out || fail "no \"$what\" in: $(cat out)"
done
for f in text over one mode; do
	sed -n '/^NOT/,$p' out | grep -q "b/$f:" && fail "$f is told: $(cat out)"
done
cp out first
vouch undo job --in=mnt >out 2>err
same "again" "$? $(cat err)" "1 "
grep -q '^Undone' out && fail "again it does something: $(cat out)"
same "and tells the same" "$(sed -n '/stays/,$p' out | grep '^  ')" "$(sed -n '/^NOT/,$p' first | grep '^  ')"

# --- undo of that undo: the run's work is there again, with theirs -----------------

expect "undo of the undo" vouch undo undo.1 --in=mnt
same "what it removed is gone again" "$(ls mnt/b | tr '\n' ' ')" "over "
is over text 's/^5$/five/; s/^20$/twenty/; s/^30$/thirty/'
umount_volume
expect "the volume is well" vouch verify vol --deep
