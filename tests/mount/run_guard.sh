#!/bin/bash
# run_guard.sh: what a guarded run may not do: a table of calls by aliases by
# policies; others do as they like meanwhile, and what they leave in the
# kernel's caches opens no hole; runs in runs, processes that leave, races.
# timeout: 180
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/run_lib.sh"

new_volume
mount_volume
(
	cd mnt || exit 1
	mkdir -p open secret/deep p/.git/hooks conf race empty many
	mkdir -p p/.git/modules/sub/hooks p/.git/modules/a/modules/b/hooks p/.git/worktrees/w p/.vscode p/.husky
	echo ../.. >p/.git/worktrees/w/commondir
	echo x | tee p/.git/worktrees/w/HEAD p/.git/modules/sub/config p/.vscode/tasks.json p/.husky/pre-commit p/.mcp.json >/dev/null
	echo SECRET >secret/k
	echo SECRET >secret/deep/er
	printf '#!/bin/sh\nexit 0\n' >secret/prog
	chmod 755 secret/prog
	echo hook >p/.git/hooks/pre
	echo config >p/.git/config
	echo index >p/.git/index
	echo f >p/f
	echo f >open/f
	echo ini >conf/app.ini
	echo key >open/a.key
	ln secret/k open/hard
	ln p/.git/hooks/pre open/hardhook
	ln -s ../secret/k open/soft
	ln -s ../secret open/softdir
	ln -s ../p/.git open/softgit
	ln -s k secret/link
	ln -s ../open/f race/l
	setfattr -n user.x -v v secret/k
	setfattr -n user.x -v v p/.git/hooks/pre
) || exit 1

# state: all that there is, but times of access
state() {
	(cd mnt && find . -path ./audit -prune -o -path ./query -prune -o -printf '%p %i %m %n %s %l %T@\n' |
		sort; cat secret/k secret/deep/er p/.git/hooks/pre p/.git/config conf/app.ini open/a.key)
}

# the same files at another place of the machine, and by handles: root's to do
bound=
[ "$(id -u)" != 0 ] || { mkdir bound && mount --bind mnt bound && bound=../bound; }

# guarded NAME [OPTIONS]: the table on standard input, in a run
guarded() {
	local name=$1
	shift
	vouch run --name "$name" -q --in mnt "$@" -- guardcall mnt >"$name.out" 2>"$name.err" ||
		fail "$name: $(cat "$name.out" "$name.err")"
	cat "$name.err"
}

# each CALLS PATHS WANT [SECOND]: a product
each() {
	local c p
	for c in $1; do for p in $2; do echo "$3 $c $p ${4:-}"; done; done
}

# somebody else has all of it in the kernel's caches
warm() {
	ls -lR mnt >/dev/null
	find mnt/secret mnt/open mnt/p -type f -exec cat {} + >/dev/null
	readlink mnt/open/soft >/dev/null
	# shellcheck disable=SC2012
	ls -l mnt/secret mnt/open mnt | wc -l >/dev/null
}
warm
state >before

# --- hidden: by every name and call, whatever is cached
{
	each 'read write append create read-truncate reopen reopen-write thread ring truncate chmod touch setxattr rmxattr getxattr listxattr' \
		'secret/k open/hard open/soft open/softdir/k secret/deep/er secret/prog open/a.key' EACCES
	each 'exec' 'secret/prog open/softdir/prog' EACCES
	if [ "$bound" ]; then
		each 'read write handle handle-write' "$bound/secret/k $bound/open/hard $bound/open/soft" EACCES
		each 'handle handle-write' 'secret/k open/hard open/softdir/k' EACCES
		each 'list' "$bound/secret" EACCES x
		each 'list' "$bound" ENOENT secret
	fi
	each 'unlink' 'secret/k open/hard secret/link open/a.key' EACCES
	each 'link' 'secret/k open/hard open/a.key' EACCES open/other
	each 'rename' 'secret/k open/hard open/a.key secret' EACCES open/other
	each 'exchange' 'secret/k open/hard open/a.key secret' EACCES open/f
	each 'rename' 'open/f p' EACCES secret/x
	each 'rename' 'open/f' EACCES open/b.key
	each 'exchange' 'open/f open' EACCES secret
	each 'mkdir mkfifo create' 'secret/new open/new.key' EACCES
	each 'symlink' 'secret/new open/new.key' EACCES open/f
	each 'get-ours' 'secret/k open/f' EACCES
	each 'rmdir' 'secret secret/deep' EACCES
	each 'list' 'secret open/softdir secret/deep' EACCES x
	each 'list' '.' ENOENT secret
	each 'list' 'open' ENOENT a.key
	each 'list' 'open' ok f
	each 'list' 'open' ok hard # by that name it is not hidden
	each 'list' '.' ok p
	each 'tmpfile' 'secret' EACCES open/t
	each 'tmpfile' 'open' EACCES open/t.key
	each 'stat' 'secret/k' ok
	# the parts that show old bytes
	each 'read' 'audit/status.json audit/log.jsonl audit/history/secret/k.jsonl' EACCES
	each 'list' 'audit audit/at audit/runs' EACCES x
	# all else is as ever
	each 'change-removed' 'open/temporary' ok
	each 'read append create chmod touch setxattr getxattr rmxattr' 'open/f' ok
} >table
guarded hide --hide secret --hide '*.key' --no-default-protect <table
chmod 644 mnt/open/f
# shellcheck disable=SC2016
warm

# --- protected
{
	each 'write append create read-truncate reopen-write truncate chmod chown touch setxattr rmxattr' \
		'p/.git/hooks/pre open/hardhook open/softgit/hooks/pre p/.git/config conf/app.ini' EPERM
	each 'read reopen ring listxattr' 'p/.git/hooks/pre open/hardhook conf/app.ini' ok
	each 'unlink' 'p/.git/hooks/pre open/hardhook open/softgit/config conf/app.ini' EPERM
	each 'link' 'p/.git/hooks/pre open/hardhook conf/app.ini' EPERM open/other
	each 'rename' 'p/.git/hooks/pre open/hardhook p/.git/hooks p/.git p conf/app.ini conf' EPERM open/other
	each 'exchange' 'p/.git p conf' EPERM empty
	each 'exchange' 'empty' EPERM p/.git
	each 'rename' 'open/f' EPERM p/.git/config
	each 'rename' 'open/f' EPERM p/.git/hooks/new
	each 'rename' 'open/f' EPERM .envrc
	each 'link' 'open/f' EPERM .bashrc
	each 'create mkfifo mkdir' 'p/.git/hooks/new .envrc open/.vscode' EPERM
	each 'symlink' '.envrc open/.git p/.git/hooks/l' EPERM f
	each 'create mkfifo' 'open/.git' EPERM
	each 'rmdir' 'p/.git/hooks' EPERM
	each 'tmpfile' 'open' EPERM open/.profile
	each 'tmpfile' 'p/.git/hooks' EPERM open/t
	# as git does it itself: beside it, then in its place
	each 'create' 'p/.git/config.lock' ok
	each 'rename exchange' 'p/.git/config.lock' EPERM p/.git/config
	each 'unlink' 'p/.git/config.lock' ok
	# a whole directory for another; git's own of submodules and work trees
	each 'mkdir' 'open/h open/.vs' ok
	each 'rename exchange' 'open/h' EPERM p/.git/hooks
	each 'exchange' 'p/.git/hooks p/.git/modules/sub p/.git/modules' EPERM open/h
	each 'rename' 'open/.vs' EPERM open/.vscode
	each 'rename' 'p/.vscode p/.git/modules p/.git/worktrees/w p/.git/worktrees' EPERM open/away
	each 'rmdir' 'open/h open/.vs' ok
	each 'write append truncate unlink' \
		'p/.git/modules/sub/config p/.git/worktrees/w/commondir p/.vscode/tasks.json p/.husky/pre-commit p/.mcp.json' EPERM
	each 'create' 'p/.git/modules/sub/hooks/h p/.git/modules/a/modules/b/hooks/h p/.git/worktrees/w/config.worktree p/.vscode/new p/.envrc' EPERM
	each 'write' 'p/.git/worktrees/w/HEAD' ok
	each 'create' '.bashrc open/.zshrc .profile open/.xprofile open/.claude' EPERM
	each 'mkdir' 'open/.claude' ok
	each 'create' 'open/.claude/settings.json' EPERM
	each 'create unlink' 'open/.claude/notes' ok
	each 'rmdir' 'open/.claude' ok
	# names are bytes: these are other names, to git here as well
	each 'mkdir' 'open/.GIT' ok
	each 'create unlink' 'open/.GIT/config open/.Bashrc .gitmodules' ok
	each 'rmdir' 'open/.GIT' ok
	if [ "$bound" ]; then
		each 'write append truncate unlink' "$bound/p/.git/config $bound/open/hardhook" EPERM
		each 'handle-write' 'p/.git/config open/hardhook p/.vscode/tasks.json' EPERM
		each 'handle' 'p/.git/config open/f' ok
		each 'handle-write' 'open/f' ok
	fi
	# a place is made ready, and put in place
	each 'mkdir' 'open/y open/y/z open/y/z/hooks' ok
	each 'rename' 'open/y/z' EPERM open/.git
	each 'mkdir' 'open/.git' ok
	each 'exchange' 'open/y/z' EPERM open/.git
	each 'rename' 'open/y/z/hooks' EPERM open/.git/hooks
	each 'mkdir' 'open/.git/hooks' EPERM
	each 'create' 'open/.git/index' ok
	each 'rename' 'open/.git' ok open/git2
	each 'unlink' 'open/git2/index' ok
	each 'rmdir' 'open/git2 open/y/z/hooks open/y/z open/y' ok
	each 'symlink' 'open/conf' ok f
	each 'unlink' 'open/conf' ok
	each 'list' 'p/.git' ok hooks
	each 'write' 'p/.git/index' ok
	each 'read' 'audit/status.json' ok
} >table
guarded protect --guard --protect conf/app.ini <table
warm

# --- nothing at all
{
	each 'write append truncate chmod touch setxattr rmxattr unlink' 'open/f open/soft' EROFS
	each 'create mkdir mkfifo' 'open/new' EROFS
	each 'symlink' 'open/new' EROFS f
	each 'rename link' 'open/f' EROFS open/new
	each 'exchange' 'open/f' EROFS empty
	each 'rmdir' 'empty' EROFS
	each 'tmpfile' 'open' EROFS open/t
	each 'read exec' 'secret/prog' ok
	each 'list' 'open' ok f
	each 'read' 'open/f audit/status.json' ok
} >table
guarded ro --read-only --no-default-protect <table
rm -f mnt/open/t
state >after
# what was allowed: times and modes of open/f, the directories around it
diff <(grep -v ' 4.... \|^\./open\|^\./p/.git \|^\. \|/index' before) <(grep -v ' 4.... \|^\./open\|^\./p/.git \|^\. \|/index' after) ||
	fail "something changed"

# --- what it was denied is told, with the run
runs=mnt/audit/runs
same "kinds of denials" "$(jq -r .why $runs/hide.1/denied.jsonl | sort -u)" "hidden"
same "who, what" "$(jq -rs 'map(select(.path == "secret/prog" and .call == "open")) | .[0] |
	"\(.times) \(.by.exe | split("/") | last) \(.inode > 0)"' $runs/hide.1/denied.jsonl)" "1 guardcall true"
same "protected" "$(jq -r .why $runs/protect.1/denied.jsonl | sort -u)" "protected"
same "read-only" "$(jq -r .why $runs/ro.1/denied.jsonl | sort -u)" "read-only"
same "in the summary" "$(jq -r '.denied.protected == .denied.all and .denied.all > 50' $runs/protect.1/summary.json)" true
same "each is counted" "$(jq -s 'map(.times) | add' $runs/hide.1/denied.jsonl)" "$(jq .denied.hidden $runs/hide.1/summary.json)"
jq -r .policy $runs/protect.1/summary.json | grep -qx 'protect conf/app.ini' || fail "no policy in the summary"
same "no alerts" "$(grep -c denied mnt/audit/alerts.jsonl)" 0
vouch run --format=json --in mnt --hide secret -- cat mnt/secret/k 2>said >/dev/null
same "the wrapper tells" "$(tail -n 1 said | jq .denied)" 1

# --- many are counted, not written down
vouch run --name flood -q --in mnt --protect many -- bash -c '
	for i in {1..400}; do : >mnt/many/$i; done; for i in {1..50}; do : >mnt/many/1; done' 2>/dev/null
same "kinds entered" "$(jq -rs 'map(select(.times == 1 and .call != "more")) | length' $runs/flood.1/denied.jsonl)" 256
same "and all counted" "$(jq -s 'map(.times) | add' $runs/flood.1/denied.jsonl)" 450

# --- others do what they like; so does the same user outside
vouch run --name beside -q --in mnt --read-only --hide open -- sh -c ': >beside.ready; until [ -e beside.go ]; do sleep 0.05; done; ls mnt; cat mnt/open/f' >beside.out 2>&1 &
until_there beside.ready
expect "write" sh -c 'echo again >mnt/open/f; mkdir mnt/open/d; rmdir mnt/open/d; ls mnt/open | grep -q hard'
expect "a command" vouch snapshot mnt beside
expect "an unguarded run" vouch run -q --in mnt -- sh -c 'echo more >>mnt/open/f; cat mnt/open/f | grep -q more'
: >beside.go
wait $!
grep -q "Permission denied" beside.out || fail "what others opened it could, too: $(cat beside.out)"
grep -qx open beside.out && fail "it is shown what others listed"
expect "its listing is its own" sh -c 'ls mnt | grep -qx open'

# --- what a process is started from, or leaves, or was given
cat >twice.sh <<'END'
if [ "$1" ]; then # its parent is to be gone first
	while kill -0 "$1" 2>/dev/null; do sleep 0.05; done
	env -u VOUCH_RUN cat mnt/secret/k
	: >removed
	exit
fi
setsid sh twice.sh $$ &
END
inside() { # WHAT SCRIPT [OPTION]: the guarded script must not see the secret
	vouch run -q --in mnt $3 --hide secret --no-default-protect -- bash -c "$2" >inside.out 2>inside.err
	grep -q SECRET inside.out && fail "$1: it saw it"
	grep -q "Permission denied" inside.err || fail "$1: $(cat inside.out inside.err)"
}
inside "a run inside" 'vouch run -q --in mnt --protect f -- cat mnt/secret/k'
inside "a run inside without a guard" 'vouch run -q --in mnt -- cat mnt/secret/k'
inside "a run inside without a cgroup" 'vouch run -q --no-cgroup --in mnt -- env -u VOUCH_RUN cat mnt/secret/k'
inside "without the marker" 'env -i /bin/cat mnt/secret/k'
inside "in a session of its own" 'setsid cat mnt/secret/k'
inside "twice removed" 'sh twice.sh; until [ -e removed ]; do sleep 0.05; done'
inside "as the shell itself" 'exec 3<mnt/secret/k; cat <&3'
inside "standard input is its own" 'cat mnt/secret/k; cat >/dev/null' <<<SECRET
cat >deep.sh <<'END'
[ "$1" = 0 ] || sh deep.sh $(($1 - 1))
[ "$1" != 0 ] || env -u VOUCH_RUN cat mnt/secret/k
:
END
inside "deep below, with nothing but its parents" 'env -u VOUCH_RUN sh deep.sh 60' --no-cgroup
# its parents are gone, and it is where a run inside was
cat >placed.sh <<'END'
if [ "$2" ]; then
	while kill -0 "$2" 2>/dev/null; do sleep 0.05; done
	echo $$ >"$1/cgroup.procs"
	cat /proc/self/cgroup
	env -u VOUCH_RUN cat mnt/secret/k
	: >removed
	exit
fi
setsid sh placed.sh "$1" $$ &
END
if own_cgroup; then
	rm -f removed
	top=$(awk '/ - cgroup2 / { print $5; exit }' /proc/self/mountinfo)
	inside "in the place of a run that ended" "
		vouch run -q --in mnt -- sed -n s/^0:://p /proc/self/cgroup >place
		mkdir $top\$(cat place) && sh placed.sh $top\$(cat place) || exit
		until [ -e removed ]; do sleep 0.05; done"
	grep -q "$(cat place)$" inside.out || fail "it is not there: $(cat inside.out)"
fi
# a descriptor that somebody gave it is good
vouch run -q --in mnt --hide secret --read-only -- cat <mnt/secret/k >mnt/given
same "given" "$(cat mnt/given)" SECRET
# runs inside add, and cannot take away
vouch run -q --in mnt --hide secret --no-default-protect -- \
	vouch run -q --in mnt --read-only -- sh -c 'cat mnt/secret/k; : >mnt/new' >both.out 2>&1
grep -q "Permission denied" both.out && grep -q "Read-only" both.out || fail "both: $(cat both.out)"

# --- the daemon does nothing for it
refuse "a snapshot" 1 "guarded run" vouch run -q --in mnt --guard -- vouch snapshot mnt never
refuse "an old version" 1 "" vouch run -q --in mnt --guard -- vouch restore mnt/p/.git/config --at 1
expect "but it may ask" vouch run -q --in mnt --guard -- vouch status mnt
expect "others may" vouch snapshot mnt now

# --- where no guarded run goes on, nobody is asked for
asked() { vouch status mnt --format=json | jq .guard_asked; }
# a guard stays while the same user has guarded runs elsewhere, other tests' too
limited() { grep -h '^Max file locks' /proc/[0-9]*/limits 2>/dev/null | grep -qv 'unlimited *locks'; }
unguarded() {
	local i
	for ((i = 0; i < 400 * SLOWNESS; i++)); do
		if ! limited; then
			vouch run -q --in mnt --guard -- true
			asked=$(asked)
			ls mnt/open >/dev/null
			[ "$(asked)" != "$asked" ] || return 0
		fi
		sleep 0.1
	done
	fail "somebody is guarded still"
}
unguarded
[ "$asked" -gt 300 ] || fail "only $asked questions"
expect "a run that is not guarded" vouch run -q --in mnt -- sh -c 'for i in 1 2 3 4 5; do echo $i >mnt/c.$i; cat mnt/c.$i; done; ls mnt; mkdir mnt/c; mv mnt/c mnt/cc; rm -r mnt/cc mnt/c.*'
expect "and nobody's" sh -c 'echo x >mnt/c; cat mnt/c; rm mnt/c'
same "questions" "$(asked)" "$asked"

# --- what is asked for is understood, or refused
refuse "a pattern" 2 "slash" vouch run --in mnt --hide /a -- true
refuse "a pattern" 2 "control" vouch run --in mnt --protect $'a\nread-only' -- true
refuse "an option as a pattern" 2 "takes a pattern" vouch run --in mnt --guard --hide -- true
refuse "a path of this machine" 2 "--hide=secret/k" vouch run --in mnt --hide mnt/secret/k -- true
refuse "an absolute one" 2 "without a slash first: --protect=secret/k" vouch run --in mnt --protect "$PWD/mnt/secret/k" -- true
refuse "one that is to come" 2 "--hide=secret/\*.pem" vouch run --in mnt --hide 'mnt/secret/*.pem' -- true
refuse "from inside" 2 "--hide=secret/deep/er" sh -c "cd mnt/secret && vouch run --hide deep/er -- true"
for pattern in conf/key 'secret/*.pem' secret/deep/er/x; do
	expect "$pattern" vouch run --in mnt --hide "$pattern" -- true
	grep -qF "nothing that is there now matches --hide=$pattern;" err || fail "$pattern: $(cat err)"
	expect "$pattern, -q" vouch run -q --in mnt --hide "$pattern" -- true
	same "$pattern, -q" "$(cat err)" ""
done
for pattern in secret/k 'secret/?' 'secret/*/er' '*.none' '**/none'; do
	expect "$pattern" vouch run --in mnt --hide "$pattern" -- true
	same "$pattern" "$(cat err)" ""
done
refuse "a set without an end" 2 'no ]; \[\[\] stands' vouch run --in mnt --hide '[' -- true
refuse "nothing to take away" 2 "goes with" vouch run --in mnt --no-default-protect -- true
[ "$(id -u)" != 0 ] || refuse "whom the daemon does not see" 125 "would be guarded" \
	setpriv --ruid 65534 vouch run --in mnt --guard -- true
refuse "both" 2 "takes away" vouch run --in mnt --guard --no-default-protect -- true

# --- races: nothing of it is ever seen, or made
expect "races" vouch run -q --in mnt --guard --hide secret -- guardcall mnt race $((1500 * SLOWNESS)) SECRET
cat out err
[ ! -e mnt/race/.git/hooks ] || fail "hooks came to be there"

[ ! "$bound" ] || umount bound
umount_volume
expect "verify" vouch verify vol
expect "fsck" vouch fsck vol
