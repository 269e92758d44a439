#!/bin/bash
# run_guard_user.sh: an ordinary user's guarded run without a cgroup: who drops
# the marker and outlives parents and wrapper, seen before or not, stays under
# the guard, also when the daemon was killed meanwhile; nobody else is.
# timeout: 120
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/run_lib.sh"
. "$(dirname "$0")/users_lib.sh"

mkdir mnt/secret && echo SECRET >mnt/secret/k && echo f >mnt/f && chmod 666 mnt/f
mkdir w && chmod 777 w # who looks takes away the question

# When it is asked it looks, with programs that nobody has seen before.
cat >looker.sh <<'END2'
( while [ ! -e "w/$1.end" ]; do
	if [ -e "w/$1.ask" ]; then
		rm "w/$1.ask"
		$2 cat mnt/secret/k >"w/$1.got" 2>&1
		$2 sh -c 'echo x >mnt/f' >>"w/$1.got" 2>&1
		: >"w/$1.answered"
	fi
	sleep 0.05
done ) </dev/null >/dev/null 2>&1 &
: >"w/$1.ready"
[ ! "$3" ] || until [ -e "w/$1.done" ]; do sleep 0.05; done
END2

# lost NAME [HOW [WAIT]]: one that has neither marker nor parents, of a run that
# ended, or (WAIT) whose wrapper was killed
lost() {
	anna vouch run --name "$1" -q --no-cgroup --in mnt --hide secret --protect f -- \
		env -u VOUCH_RUN setsid sh looker.sh "$1" "$2" $3 &
	until_there "w/$1.ready"
	[ ! "$3" ] || kill -9 $!
	wait $! 2>/dev/null
	[ ! "$3" ] || : >"w/$1.done"
}

ask() {
	rm -f "w/$1.answered"
	: >"w/$1.ask"
	until_there "w/$1.answered"
}

looks() { # NAME WHAT
	ask "$1"
	grep -q SECRET "w/$1.got" && fail "$2: it saw what is hidden"
	grep -q "Permission denied" "w/$1.got" || fail "$2: $(cat "w/$1.got")"
	grep -q "Operation not permitted" "w/$1.got" || fail "$2: $(cat "w/$1.got")"
	same "$2: f" "$(cat mnt/f)" f
	same "$2: the user's own" "$(anna cat mnt/secret/k)" SECRET
	same "$2: another's" "$(bert cat mnt/secret/k)" SECRET
}

lost ended
looks ended "a run that ended"
lost killed '' wait
looks killed "its wrapper was killed"
# bash calls the limit -x: down it goes, but not up
cat >lower.sh <<'END2'
ulimit -x 77 || echo "not lowered"
exec "$@"
END2
cat >higher.sh <<'END2'
ulimit -x unlimited 2>/dev/null && echo raised
exec "$@"
END2
lost lower "bash lower.sh"
looks lower "who lowered the limit"
grep -q "not lowered" w/lower.got && fail "it could not be lowered"
lost higher "bash higher.sh"
looks higher "who would raise the limit"
grep -q raised w/higher.got && fail "an ordinary user raised it"

# how strong it is, is said once
anna script -qec 'vouch run --no-cgroup --in mnt --guard -- true' /dev/null </dev/null >w/said 2>&1
same "the strength is said once" "$(grep -c 'without a cgroup of its own' w/said)" 1
grep -q 'a limit that cannot be raised' w/said || fail "how strong it is: $(cat w/said)"

# two at once: each is under its own guard
lost ro
anna vouch run --name beside -q --no-cgroup --in mnt --protect nothing --no-default-protect -- cat mnt/secret/k >w/beside 2>&1
same "a run beside it" "$(cat w/beside)" SECRET

# --- whose denials they are
same "attributed" "$(jq -r .why mnt/audit/runs/ended.1/denied.jsonl | sort -u | tr '\n' ' ')" "hidden protected "

# --- nor does the guard list for her what she may not
mkdir -p -m 777 mnt/open && mkdir -p mnt/open/a/shut && echo x | tee mnt/open/a/shut/inner.key >mnt/open/outer.key
chown 4242 mnt/open/a && chmod 700 mnt/open/a/shut && ln mnt/open/a/shut/inner.key mnt/open/linked
anna vouch run --name keys -q --no-cgroup --in mnt --hide '*er.key' --no-default-protect -- \
	sh -c 'mv mnt/open/a mnt/open/b; cat mnt/open/outer.key; cat mnt/open/linked' >w/keys 2>&1
same "all are denied" "$(grep -c 'Permission denied' w/keys)" 3
where() { jq -r '"\(.call) \(.path)"' | sort -u | tr '\n' ,; }
same "where, to root" "$(where <mnt/audit/runs/keys.1/denied.jsonl)" "open open/a/shut/inner.key,open open/outer.key,rename open/a/shut/inner.key,"
anna cat mnt/audit/runs/keys.1/denied.jsonl >w/keys
same "where, to the user" "$(where <w/keys)" "open null,open open/outer.key,rename null,"
expect "nothing of it" sh -c '! grep -q "shut\|inner" w/keys'
same "in the root" "$(anna cat mnt/audit/runs/ended.1/denied.jsonl | where)" "open secret/k,write f,"

# --- the daemon is killed, and the volume is mounted again
kill_daemon
vouch umount -l mnt || fail "the dead mount"
mount_volume -o allow_other
looks ended "ended: after a crash"
looks killed "killed: after a crash"
looks lower "lowered: after a crash"
umount_volume
mount_volume -o allow_other
looks ended "ended: mounted once more"
looks higher "higher: mounted once more"

# --- when they are gone nobody is asked for any more
for i in ended killed lower higher ro; do : >w/$i.end; done
gone() {
	local i
	for ((i = 0; i < 100 * SLOWNESS; i++)); do
		pgrep -u 4242 >/dev/null || return 0
		sleep 0.05
	done
	fail "they do not go: $(pgrep -u 4242 -a)"
}
gone
anna vouch run -q --no-cgroup --in mnt --guard -- true
asked() { vouch status mnt --format=json | jq .guard_asked; }
before=$(asked)
expect "others work" sh -c 'cat mnt/secret/k; echo again >mnt/g; rm mnt/g'
same "questions" "$(asked)" "$before"
umount_volume
expect "verify" vouch verify vol
