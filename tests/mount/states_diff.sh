#!/bin/bash
# vouch diff between two states of a random history: git makes the one tree of
# the other with it, whichever comes first, and no path that differs is left
# out; what git does not know of is told beside.
. "$TOP/tests/mount/lib.sh"

SEED=${SEED:-$RANDOM}
PAIRS=${PAIRS:-4}
echo "SEED=$SEED"
RANDOM=$SEED
new_volume
mount_volume

any() { # a name that may be there
	echo "d$((RANDOM % 3))/f$((RANDOM % 12))"
}

step() {
	local f g
	f=$(any) g=$(any)
	case $((RANDOM % 14)) in
	0 | 1) seq $((RANDOM % 30)) >"$f" ;;
	2) echo "more $RANDOM" >>"$f" ;;
	3) sed -i "$((RANDOM % 9 + 1))s/.*/changed $RANDOM/" "$f" ;;
	4) rm -f "$f" ;;
	5) mv "$f" "$g" ;;
	6) ln "$f" "$g" ;;
	7) rm -f "$f" && ln -s "to-$RANDOM" "$f" ;;
	8) mv d$((RANDOM % 3)) d$((RANDOM % 3 + 3)) ;;
	9) mv d$((RANDOM % 3 + 3)) d$((RANDOM % 3)) ;;
	10) mkdir -p d$((RANDOM % 3))/sub && cp "$f" d$((RANDOM % 3))/sub/ ;;
	11) [ -L "$f" ] || chmod $((RANDOM % 2 ? 755 : 644)) "$f" ;;
	12) head -c 3000 /dev/urandom >"bytes$((RANDOM % 3))" ;; # nothing else goes there
	*) echo "saved $RANDOM" >t && mv t "$f" ;;
	esac
}

mkdir -p mnt/t/{d0,d1,d2}
for i in 1 2 3 4 5; do
	(cd mnt/t && for _ in $(seq 24); do step; done) >/dev/null 2>&1
	[ $i = 3 ] && (exec 3>>mnt/t/open && echo "not closed" >&3 && vouch snapshot mnt "s$i" >out)
	[ $i = 3 ] || expect "snapshot $i" vouch snapshot mnt "s$i"
	rm -rf "tree$i" && cp -a "mnt/audit/at/s$i/t" "tree$i" || fail "cannot copy s$i"
done

# differing A B: paths of files that are not the same, with git's eyes
listed() {
	(cd "$1" && find . ! -type d -printf '%P %y %m %l ' \( -type f -exec sha1sum {} \; -o -printf '\n' \)) |
		sed 's/ \([fl]\) \([0-7]*\) / \1 \2 /' | awk '{ m = $3; x = ($2 == "f") ? (substr(m, 1, 1) % 2) : 0
			rest = ""; for (i = 4; i <= NF; i++) if ($i !~ /^\.\//) rest = rest " " $i
			print $1, $2, x, rest }' | sort
}
differing() {
	diff <(listed "$1") <(listed "$2") | awk '/^[<>]/ { print "t/" $2 }' | sort -u
}

for i in $(seq "$PAIRS"); do
	a=$((RANDOM % 5 + 1)) b=$((RANDOM % 5 + 1))
	what="s$a s$b SEED=$SEED"
	vouch diff s$a s$b --in=mnt >patch || fail "vouch diff $what"
	vouch diff s$a s$b --in=mnt --name-status >names || fail "vouch diff --name-status $what"
	vouch diff s$a s$b --in=mnt --format=json | jq -s . >json || fail "JSON $what"
	cut -f2- names | tr '\t' '\n' | sort -u >told
	differing "tree$a" "tree$b" >differ
	[ -z "$(comm -23 differ told)" ] || fail "$what: not told: $(comm -23 differ told | tr '\n' ' ')"
	rm -rf work && mkdir work && cp -a "tree$a" work/t
	# bytes that are no text have no patch: as they are in the other
	jq -r '.[] | select(.binary) | .after.path // .before.path' json >binaries
	(cd work && git init -q . && git apply --allow-empty $(sed 's/^/--exclude=/' ../binaries) ../patch) 2>err ||
		fail "$what: git does not take it: $(head -3 err)"
	rm -rf work/.git
	differing work/t "tree$b" | grep -vxFf binaries >left
	comm -23 left <(jq -r '.[] | select(.binary) | .before.path // empty' json | sort -u) >left2
	[ ! -s left2 ] || fail "$what: git makes another tree: $(tr '\n' ' ' <left2)"
done

# the same state twice, and now
same "no difference" "$(vouch diff s2 s2 --in=mnt | wc -c)" 0
echo "at last" >mnt/t/last
same "a state and now" "$(vouch diff s5 --in=mnt --name-status)" "A	t/last"
same "now is the same" "$(vouch diff s5 now --in=mnt --name-status)" "A	t/last"
same "and back" "$(vouch diff now s5 --in=mnt --name-status)" "D	t/last"
same "names alone" "$(vouch diff s5 --in=mnt --name-only)" "t/last"

# only some paths
mkdir mnt/p mnt/q
echo a >mnt/p/f && echo b >mnt/q/f && echo c >mnt/pf
expect "before" vouch snapshot mnt before
mv mnt/p/f mnt/q/g && echo B >mnt/q/f && echo C >mnt/pf
same "below a directory" "$(vouch diff before now mnt/q --name-status | sort | tr '\n\t' ' =')" "A=q/g M=q/f "
same "two of them" "$(vouch diff before mnt/p mnt/pf --name-status | sort | tr '\n\t' ' =')" "D=p/f M=pf "
same "inside" "$(cd mnt/q && vouch diff --at before . --name-only | sort | tr '\n' ' ')" "q/f q/g "
same "to another" "$(vouch diff --at s5 --to before mnt/q --name-only)" "q/f"
same "all of it" "$(cd mnt && vouch diff before now --name-status | grep '^R')" "R	p/f	q/g"

# what git does not know of
expect "before attributes" vouch snapshot mnt plain
chmod 2700 mnt/q && mkdir mnt/empty && mkfifo mnt/fifo && chmod 600 mnt/pf
setfattr -n user.colour -v red mnt/q/g
expect "with attributes" vouch diff plain now --in=mnt
for line in '# q: directory, mode 0755 -> 2700' '# empty: new directory, mode 0755' \
	'# fifo: new fifo' '# pf: file, mode 0644 -> 0600' '# q/g: file, attribute user.colour new'; do
	grep -qF "$line" out || fail "no \"$line\" in $(cat out)"
done
same "no more than that" "$(grep -c . out)" 5
same "names of those" "$(vouch diff plain now --in=mnt --name-status | tr '\n\t' ' =')" "M=pf M=q/g "
same "sums" "$(vouch diff plain now --in=mnt --stat | grep -c '| attributes$')" 2
same "as JSON" "$(vouch diff plain now --in=mnt --format=json | jq -r 'select(.attributes) | .attributes[].name')" user.colour
(cd work && git init -q . && git apply --allow-empty ../out) 2>err || fail "git does not skip them: $(cat err)"

# a moved directory moves what is in it, for a run, too
mkdir -p mnt/m/sub && echo x >mnt/m/sub/x && echo y >mnt/m/y
expect "a run that moves" vouch run -q --name move --in=mnt -- sh -c 'mv mnt/m mnt/n; echo z >>mnt/n/y'
same "what is in it" "$(vouch diff move --in=mnt --name-status | sort | tr '\n\t' ' =')" "R=m/sub/x=n/sub/x R=m/y=n/y "
same "a run's start and end" "$(vouch diff move:start move:end --in=mnt --name-status | sort | tr '\n\t' ' =')" \
	"R=m/sub/x=n/sub/x R=m/y=n/y "
same "a run, one path" "$(vouch diff move mnt/n/y --name-status | tr '\t' =)" "A=n/y"

# a name more of a file is a file to git, and said
expect "before links" vouch snapshot mnt unlinked
ln mnt/pf mnt/q/link && echo new >mnt/new1 && ln mnt/new1 mnt/new2
expect "with links" vouch diff unlinked now --in=mnt
same "links" "$(grep '^# ' out | tr '\n' ';')" "# new2: hard link to new1;# q/link: hard link to pf;"
same "a link, as JSON" "$(vouch diff unlinked now --in=mnt --format=json | jq -rc 'select(.link) | [.after.path, .link]' | tr '\n' ' ')" \
	'["new2","new1"] ["q/link","pf"] '
(cd work && rm -rf .git q && git init -q . && git apply ../out && same "git takes it" "$(cat q/link)" C) ||
	fail "git does not take it"
rm mnt/q/link
expect "a link less" vouch diff --at unlinked --in=mnt mnt/q
same "of which nothing is left" "$(cat out)" ""

# what was released is said to be
seq 1 30 >mnt/rel
expect "a version" vouch snapshot mnt thirty
at=$(sed -n 's/.* is entry \(.*\)\.$/\1/p' out)
seq 1 31 >mnt/rel && vouch sync mnt
expect "its name goes" vouch snapshot mnt thirty --remove
expect "a policy" vouch retain set mnt rel --versions=1
expect "gc" vouch gc mnt
expect "what was released" vouch diff "$at" now mnt/rel
grep -q '^# blake3:.*, released (vouch gc): these bytes are no more$' out || fail "released, and not said: $(cat out)"
same "in the sums" "$(vouch diff "$at" now mnt/rel --stat | grep -c '| released$')" 1
same "as JSON" "$(vouch diff "$at" now mnt/rel --format=json | jq .released)" true

# in git's order, and no line that says nothing
expect "before a move" vouch snapshot mnt still
mv mnt/q/g mnt/q/moved && mv mnt/q/f mnt/q/f2 && echo more >>mnt/q/f2 && chmod 755 mnt/q/f2
expect "moves" vouch diff still now mnt/q
same "their heads" "$(grep -v '^[#@ +-]' out | tr '\n' ';')" "$(printf '%s;' 'diff --git a/q/f b/q/f2' 'old mode 100644' \
	'new mode 100755' 'rename from q/f' 'rename to q/f2' 'diff --git a/q/g b/q/moved' 'similarity index 100%' \
	'rename from q/g' 'rename to q/moved')"

# to a terminal, through a pager
terminal() { # COMMAND...: what a terminal of its own shows
	python3 -c 'import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)' "$@" </dev/null | tr -d '\r'
}
PAGER="sed 's/^/paged: /'" terminal vouch diff still now mnt/q >out || fail "with a pager"
same "all of it is paged" "$(grep -vc '^paged: ' out)" 0
grep -q $'paged: \e\[32m+more' out || fail "no colours for the pager: $(cat -v out)"
seq 100000 >mnt/q/long # more than a pipe holds
PAGER='head -n 1' terminal vouch diff still now mnt/q >out
grep -q '^.*diff --git' out || fail "nothing for a pager that is quit: $(cat -v out)"
same "who quits the pager hears no more" "$(grep -c 'roken pipe' out)" 0
rm mnt/q/long
PAGER=cat terminal vouch diff still now mnt/q --stat >out || fail "without a pager"
grep -q '2 files changed' out || fail "nothing without a pager: $(cat -v out)"
same "as it is where no terminal is" "$(PAGER='echo no' vouch diff still now mnt/q | grep -c 'no$')" 0

# questions that have no answer
refuse "a path that never was" 1 'nope: nothing of that name was there in either of the two' vouch diff still now mnt/nope
refuse "in no run" 1 'nope: there was never anything of that name' vouch diff move mnt/nope
(cd mnt && refuse "a time in words" 2 '"2 minutes ago" is meant, put it in quotes' vouch diff 2 minutes ago) || fail "in words"
refuse "nothing" 2 'which run, which states' vouch diff --in=mnt
refuse "no state" 1 'no run nothing: .*no snapshot, log position or time' vouch diff nothing --in=mnt
refuse "no second state" 2 'nothing: no snapshot' vouch diff s1 nothing --in=vol
refuse "a run is no state" 2 'that is a run: say move.1:start' vouch diff move now --in=mnt
refuse "in the future" 1 'in the future' vouch diff s1 2190-01-01 --in=mnt
refuse "a path elsewhere" 1 'lies in no mount of this volume' vouch diff s1 s2 /etc --in=mnt
expect "a snapshot called as a run" vouch snapshot mnt move
refuse "which of them" 2 'move is a run and a snapshot: say move.1:start' vouch diff move --in=mnt
refuse "two forms" 2 'one of --stat' vouch diff s1 s2 --stat --name-only
umount_volume
expect "not mounted" vouch diff s1 s5 --in=vol --name-status
[ -s out ] || fail "nothing is told when it is not mounted"
