#!/bin/bash
# vouch undo: the tree is as before the run; an undo is undone by undo; what
# others did since stays, and is told.
. "$TOP/tests/mount/lib.sh"

new_volume
mount_volume -o allow_other
cat >list.py <<'END'
import hashlib, os, stat, sys
inodes = {}
for top, dirs, files in os.walk(b"mnt/" + os.fsencode(sys.argv[1])):
    dirs.sort()
    for name in sorted(dirs + files):
        path = os.path.join(top, name)
        st = os.lstat(path)
        what = [oct(st.st_mode), st.st_uid, st.st_gid, st.st_nlink if not stat.S_ISDIR(st.st_mode) else "-"]
        if stat.S_ISREG(st.st_mode):
            what.append(hashlib.sha256(open(path, "rb").read()).hexdigest())
            what.append(inodes.setdefault(st.st_ino, path) if st.st_nlink > 1 else "-")
        if stat.S_ISLNK(st.st_mode):
            what.append(os.readlink(path))
        else:
            what += [(a, os.getxattr(path, a)) for a in sorted(os.listxattr(path))]
        if stat.S_ISCHR(st.st_mode):
            what.append(st.st_rdev)
        print(path, *what)
END
list() { python3 list.py "$1"; }
# as_others COMMAND: in a process group, and so a run, of its own
as_others() { setsid -w bash -c "$1"; }
# stays WHAT COMMAND...: it tells what it does not do
stays() {
	local what=$1 got
	shift
	"$@" >out 2>err
	got=$?
	[ $got = 1 ] && [ ! -s err ] || fail "$what: $* gave $got: $(cat err)"
}

# --- every kind of change --------------------------------------------------------

mkdir -p mnt/t/d/deep mnt/t/p/q/r mnt/t/repo/.git
(
	cd mnt/t || exit
	seq 1 40 >a && seq 1 40 >sed && seq 1 40 >vi
	echo hello >b && ln b b2 && ln b d/b3
	echo x >d/deep/x && chmod 640 d/deep/x && touch -d '2001-02-03 04:05:06' d/deep/x
	chmod 2750 d && touch -d '2002-02-03 04:05:06.5' d/deep
	ln -s foo link && mkfifo fifo
	for i in 1 2 3; do echo $i >c$i; done
	head -c 300000 /dev/urandom >bin
	python3 -c 'import os; os.setxattr("a", "user.k", b"v\0v"); os.setxattr("b", "user.long", b"l" * 5000)
os.setxattr("a", "user.gone", b"1")'
	: >empty && echo data >emptied && echo ignored >repo/ignored && echo '*' >repo/.gitignore
	echo ref >repo/.git/HEAD
)
list t >before
cat >job.sh <<'END'
cd mnt/t || exit
echo 41 >>a; chmod 600 a; rm b d/b3; rm -r d; ln -sfn bar link; sed -i 's/^5$/five/' sed
sed 's/^7$/seven/' vi >.vi.swp; mv .vi.swp vi
mv bin bin2; printf zz | dd of=bin2 conv=notrunc bs=1 seek=500 2>/dev/null
mkdir -p new/er; echo n >new/er/n; mv b2 new/b2; truncate -s 100000 bin2
mv c1 tmp; mv c2 c1; mv c3 c2; mv tmp c3
mv p/q .; mv p q/r/p; rm fifo; mkdir fifo; echo in >fifo/in
python3 -c 'import os; os.setxattr("a", "user.k", b"w"); os.removexattr("a", "user.gone"); os.setxattr("a", "user.new", b"")
open(b"nl\nx\x1b\xff", "w").write("odd")'
echo filled >empty; : >emptied; rm -rf repo/.git repo/ignored; mkdir d; echo other >d/x
echo temporary >scratch; mv scratch scratch2; rm scratch2; mkdir was-cwd; cd was-cwd; rmdir ../was-cwd
END
expect "the run" vouch run -q --name job --in=mnt -- bash job.sh
list t >after
cmp -s before after && fail "the run did nothing"
expect "dry run" vouch undo job --in=mnt --dry-run
grep -q 'remove .*t/nl\\x0ax\\x1b' out || fail "names are not escaped: $(cat out)"
list t | cmp - after || fail "a dry run did something"
expect "undo" vouch undo job --in=mnt
list t >undone
diff before undone >diff || fail "not as before: $(head -n 20 diff)"
same "times of what was made again" "$(stat -c %y mnt/t/d/deep/x mnt/t/d/deep | cut -c1-21 | tr '\n' ' ')" \
	"2001-02-03 04:05:06.0 2002-02-03 04:05:06.5 "
expect "undo of what is undone" vouch undo job.1 --in=mnt
grep -q 'nothing left to undo' out || fail "it says: $(cat out)"
same "no run for that" "$(ls -d mnt/audit/runs/undo.* | wc -l)" 1
expect "undo of the undo" vouch undo undo --in=mnt
list t | diff after - >diff || fail "not as after: $(head -n 20 diff)"
expect "undo of that" vouch undo undo.2 --in=mnt
list t | diff before - >diff || fail "not as before, again: $(head -n 20 diff)"
vouch log vol --all --format=json >log.jsonl
same "why" "$(jq -r 'select(.kind == "restore") | .why' log.jsonl | sort -u)" undo
ls -A mnt/t | grep -F .vouch-undo && fail "something was left on its way"

# --- what others did since ---------------------------------------------------------

mkdir mnt/o
(cd mnt/o && seq 1 40 >text && seq 1 40 >clash && head -c 9000 /dev/urandom >bin && echo 1 >mode && echo 1 >moved &&
	echo 1 >taken && echo 1 >gone && seq 1 40 >edited && mkdir dir && echo 1 >dir/f)
cat >job2.sh <<'END'
cd mnt/o || exit
sed -i 's/^5$/five/; s/^35$/thirty-five/' text clash edited
printf zz | dd of=bin conv=notrunc bs=1 seek=50 2>/dev/null
chmod 600 mode; mv moved moved2; rm taken; rm -r dir; echo x >>gone; mkdir made; echo m >made/m; echo keep >grown
END
expect "the run" vouch run -q --name others --in=mnt -- bash job2.sh
as_others 'cd mnt/o; sed "s/^20\$/twenty/" text >../x; cat ../x >text
	sed "s/^5\$/FIVE/; s/^five\$/FIVE/" clash >../x; cat ../x >clash; sed -i "s/^20\$/twenty/" edited
	printf yy | dd of=bin conv=notrunc bs=1 seek=5000 2>/dev/null; chmod 640 mode; mv moved2 moved3
	echo theirs >taken; rm gone; echo o >made/o; echo more >>grown'
cp mnt/o/bin bin.theirs
stays "undo beside others" vouch undo others --in=mnt
same "text without the run" "$(seq 1 40 | sed 's/^20$/twenty/' | cmp - mnt/o/text && echo yes)" yes
same "an edited one, too" "$(seq 1 40 | sed 's/^20$/twenty/' | cmp - mnt/o/edited && echo yes)" yes
same "the clash stays, the rest is undone" \
	"$(seq 1 40 | sed 's/^5$/FIVE/' | cmp - mnt/o/clash && echo yes)" yes
cmp -s bin.theirs mnt/o/bin || fail "others' bytes were changed"
same "mode" "$(stat -c %a mnt/o/mode)" 640
same "names" "$(cd mnt/o && echo * dir/* made/*)" \
	"bin clash dir edited grown made mode moved3 taken text dir/f made/o"
same "their file" "$(cat mnt/o/taken)" theirs
same "theirs on the run's" "$(cat mnt/o/grown)" "keep
more"
for what in 'clash: line 5: the same lines' 'bin: content: changed since' 'mode: mode: changed since' \
	'moved3: not called moved again: moved since' 'taken: not called taken again: the name is taken' \
	'made: kept, it holds [^ ]*o/made/o' 'grown: file: changed since'; do
	grep -q "o/$what.*by .*user $(id -u) in [^ ]*, 20..-..-.. ..:..:..Z$" out || fail "no \"$what\" in: $(cat out)"
done
stays "again" vouch undo others --in=mnt
grep -q '^What stays of others.1' out || fail "again it says: $(cat out)"
grep -q '^Undone' out && fail "again it does something: $(cat out)"

# --- by path -------------------------------------------------------------------------

mkdir mnt/by && (cd mnt/by && echo 1 >a && mkdir -p s/u && echo 2 >s/u/b && echo 3 >s/c)
expect "the run" vouch run -q --name by --in=mnt -- bash -c 'cd mnt/by; echo x >>a; rm -r s; echo n >n'
expect "one path" vouch undo by mnt/by/s/u/b --in=mnt
same "and its directories" "$(cd mnt/by && find . | sort | tr '\n' ' ')" ". ./a ./n ./s ./s/u ./s/u/b "
(cd mnt/by && vouch undo by a ./n) >out 2>err || fail "two, from where we are: $(cat out err)"
same "those two" "$(cat mnt/by/a; ls mnt/by)" "1
a
s"
refuse "outside the mount" 2 'is not in' vouch undo by /etc --in=mnt
refuse "not the run's" 1 'nothing is left there' vouch undo by mnt/o --in=mnt
grep -q 'nothing left to undo' out && fail "it says of a slip: $(cat out)"
expect "the rest" vouch undo by --in=mnt
same "all of it" "$(cat mnt/by/s/c)" 3

# --- questions that have no answer -----------------------------------------------------

# a volume that is not there is not the one we stand in
for verb in verify gc sync status umount; do
	(cd mnt && refuse "$verb of a slip" 1 'slip: no such file' vouch $verb slip)
done

refuse "no such run" 1 'no run nobody' vouch undo nobody --in=mnt
refuse "in no mount" 2 "in which mount" vouch undo others -n
stays "where we are" bash -c "cd mnt/o && vouch undo others -n"
stays "where the path is" vouch undo others mnt/o -n
refuse "hostile" 1 'no run' vouch undo ../../o --in=mnt
refuse "which of them" 2 'say undo\.' vouch undo undo --in=mnt
refuse "no mount" 1 'not inside' vouch undo job --in=/
mkfifo go back
vouch run -q --name going --in=mnt -- bash -c 'echo x >mnt/going; echo done >back; read -r _ <go' &
pid=$!
read -r _ <back
refuse "a run that goes on" 1 'still goes on' vouch undo going --in=mnt
echo on >go
wait $pid
expect "and when it ended" vouch undo going --in=mnt
[ ! -e mnt/going ] || fail "what it made is there"
expect "JSON" vouch undo job --in=mnt --dry-run --format=json
same "of what is undone" "$(jq -c '[.planned, (.items | length)]' out)" '[true,0]'
expect "a run without a wrapper" as_others 'echo implicit >mnt/implicit'
vouch undo "$(basename "$(dirname "$(grep -l '"path_then":"implicit"' mnt/audit/runs/*/changes.jsonl | head -n 1)")")" --in=mnt >out 2>err ||
	fail "undo of it: $(cat out err)"
[ ! -e mnt/implicit ] || fail "its file is there: $(cat out err)"
expect "one more" vouch run -q --name more --in=mnt -- touch mnt/more
umount_volume
mount_volume -o ro
expect "dry run, read-only" vouch undo more --in=mnt -n
refuse "read-only" 1 'read-only' vouch undo more --in=mnt
umount_volume
expect "the volume is well" vouch verify vol --deep
